/*
 * metrics - the text format of Prometheus, piece by piece.
 *
 * The caller prints a family's header once and then its samples, all together;
 * a family without samples still has its header.  Counts are exact integers.
 * Times are counted in integer microseconds and printed as seconds with six
 * decimals, so that no sum is ever rounded.
 *
 * Layer: http.  Pure: whoever counts does so in arrays of its own, by
 * metrics_bucket, and brings their sums here.
 *
 * Sources: Prometheus "Exposition formats", text format 0.0.4; "Metric and
 * label naming"; "Histograms and summaries".
 */
#ifndef EVENKEEL_HTTP_METRICS_H
#define EVENKEEL_HTTP_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "evenkeel/base/span.h"
#include "evenkeel/base/textbuf.h"

/* What an answer that carries the text says of it. */
#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/*
 * Upper bounds in seconds of the buckets of every histogram: 0.0005 0.001
 * 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 30 60.  From a fast
 * answer on the local network to the default request_timeout; each at least
 * twice the one before, which metrics_bucket relies on.  One more count, the
 * last, is of what lies above them all.
 */
#define METRICS_BUCKETS 16

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

struct metrics_label {
	const char *name;
	struct span value; /* UTF-8; escaped when printed */
};

struct metrics_labels {
	const struct metrics_label *list;
	size_t n;
};

struct metrics_histogram {
	/* How many fell into each bucket, not cumulated. */
	uint64_t counts[METRICS_BUCKETS + 1];
	uint64_t sum_us;
};

/* The bucket of a duration: the first whose bound is not below it, or
 * METRICS_BUCKETS.  A few instructions.  Cannot fail. */
unsigned metrics_bucket(uint64_t us);

/* Upper bound of bucket `i` < METRICS_BUCKETS in microseconds. */
uint64_t metrics_bound_us(unsigned i);

/* The lines HELP and TYPE.  `help` is plain text. */
void metrics_put_family(struct textbuf *out, const char *name,
    enum metrics_type type, const char *help);

/* One sample.  The second prints microseconds as seconds. */
void metrics_put_count(struct textbuf *out, const char *name,
    struct metrics_labels labels, uint64_t value);
void metrics_put_seconds(struct textbuf *out, const char *name,
    struct metrics_labels labels, uint64_t us);

/* The samples of one histogram: cumulated buckets up to +Inf, _sum and
 * _count.  +Inf and _count are the same number by construction. */
void metrics_put_histogram(struct textbuf *out, const char *name,
    struct metrics_labels labels, const struct metrics_histogram *h);

#endif
