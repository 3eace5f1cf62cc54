#include "evenkeel/http/metrics.h"

#include "evenkeel/base/check.h"

#define US_PER_SECOND   1000000ULL
#define SECOND_DECIMALS 6

static const struct bucket {
	uint64_t us;
	const char *text; /* in seconds, as the label `le` */
} buckets[METRICS_BUCKETS] = {
    {500, "0.0005"},
    {1000, "0.001"},
    {2500, "0.0025"},
    {5000, "0.005"},
    {10000, "0.01"},
    {25000, "0.025"},
    {50000, "0.05"},
    {100000, "0.1"},
    {250000, "0.25"},
    {500000, "0.5"},
    {1000000, "1"},
    {2500000, "2.5"},
    {5000000, "5"},
    {10000000, "10"},
    {30000000, "30"},
    {60000000, "60"},
};

/* How many bounds are below 2^k: a duration of k+1 binary digits is above all
 * of those.  Bounds at least double, so one at most lies among the numbers of
 * k+1 digits, and one comparison is left. */
static const uint8_t bounds_below[] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 1,  /* 2^0 .. 2^9 */
    2, 2, 3, 4, 5, 6, 7, 8, 9, 10, /* 2^10 .. 2^19 */
    11, 11, 12, 13, 14, 15, 16,    /* 2^20 .. 2^26 */
};

unsigned
metrics_bucket(uint64_t us)
{
	unsigned k = 63 - (unsigned)__builtin_clzll(us | 1);
	unsigned i;

	if (k >= sizeof(bounds_below))
		return METRICS_BUCKETS;
	i = bounds_below[k];
	return i < METRICS_BUCKETS && us > buckets[i].us ? i + 1 : i;
}

uint64_t
metrics_bound_us(unsigned i)
{
	CHECK(i < METRICS_BUCKETS);
	return buckets[i].us;
}

/* Backslash and line feed, and in a label's value the quote too. */
static void
put_escaped(struct textbuf *out, struct span s, bool quoted)
{
	size_t from = 0;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (c != '\n' && c != '\\' && (c != '"' || !quoted))
			continue;
		textbuf_put(out, span_make(s.ptr + from, i - from));
		textbuf_lit(out, "\\");
		textbuf_byte(out, c == '\n' ? 'n' : c);
		from = i + 1;
	}
	textbuf_put(out, span_make(s.ptr + from, s.len - from));
}

void
metrics_put_family(struct textbuf *out, const char *name,
    enum metrics_type type, const char *help)
{
	static const char *const words[] = {"counter", "gauge", "histogram"};

	textbuf_lit(out, "# HELP ");
	textbuf_str(out, name);
	textbuf_lit(out, " ");
	put_escaped(out, span_of(help), false);
	textbuf_lit(out, "\n# TYPE ");
	textbuf_str(out, name);
	textbuf_lit(out, " ");
	textbuf_str(out, words[type]);
	textbuf_lit(out, "\n");
}

/* `a="x",b="y"` */
static void
put_labels(struct textbuf *out, struct metrics_labels labels)
{
	for (size_t i = 0; i < labels.n; i++) {
		if (i > 0)
			textbuf_lit(out, ",");
		textbuf_str(out, labels.list[i].name);
		textbuf_lit(out, "=\"");
		put_escaped(out, labels.list[i].value, true);
		textbuf_lit(out, "\"");
	}
}

/* A sample up to its value. */
static void
put_name(struct textbuf *out, const char *name, const char *suffix,
    struct metrics_labels labels)
{
	textbuf_str(out, name);
	textbuf_str(out, suffix);
	if (labels.n > 0) {
		textbuf_lit(out, "{");
		put_labels(out, labels);
		textbuf_lit(out, "}");
	}
	textbuf_lit(out, " ");
}

static void
put_seconds(struct textbuf *out, uint64_t us)
{
	textbuf_u64(out, us / US_PER_SECOND);
	textbuf_lit(out, ".");
	textbuf_u64_padded(out, us % US_PER_SECOND, SECOND_DECIMALS);
	textbuf_lit(out, "\n");
}

void
metrics_put_count(struct textbuf *out, const char *name,
    struct metrics_labels labels, uint64_t value)
{
	put_name(out, name, "", labels);
	textbuf_u64(out, value);
	textbuf_lit(out, "\n");
}

void
metrics_put_seconds(struct textbuf *out, const char *name,
    struct metrics_labels labels, uint64_t us)
{
	put_name(out, name, "", labels);
	put_seconds(out, us);
}

/* A bucket's sample up to the value of its label `le`. */
static struct span
put_bucket_name(
    struct textbuf *out, const char *name, struct metrics_labels labels)
{
	size_t begin = out->len;

	textbuf_str(out, name);
	textbuf_lit(out, "_bucket{");
	put_labels(out, labels);
	if (labels.n > 0)
		textbuf_lit(out, ",");
	textbuf_lit(out, "le=\"");
	return span_make(out->ptr + begin, out->len - begin);
}

void
metrics_put_histogram(struct textbuf *out, const char *name,
    struct metrics_labels labels, const struct metrics_histogram *h)
{
	/* The names are most of a page: they are copied from the first. */
	struct span bucket = put_bucket_name(out, name, labels);
	uint64_t count = 0;

	for (unsigned i = 0; i < METRICS_BUCKETS; i++) {
		count += h->counts[i];
		textbuf_str(out, buckets[i].text);
		textbuf_lit(out, "\"} ");
		textbuf_u64(out, count);
		textbuf_lit(out, "\n");
		textbuf_put(out, bucket);
	}
	count += h->counts[METRICS_BUCKETS];
	textbuf_lit(out, "+Inf\"} ");
	textbuf_u64(out, count);
	textbuf_lit(out, "\n");
	put_name(out, name, "_sum", labels);
	put_seconds(out, h->sum_us);
	put_name(out, name, "_count", labels);
	textbuf_u64(out, count);
	textbuf_lit(out, "\n");
}
