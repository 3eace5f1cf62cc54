/* layer: http */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "evenkeel/http/metrics.h"
#include "evenkeel/base/num.h"
#include "evenkeel/base/rng.h"

#define NO_LABELS ((struct metrics_labels){NULL, 0})

static char text_bytes[4096];

static struct textbuf
fresh(void)
{
	return textbuf_make(text_bytes, sizeof(text_bytes));
}

static void
assert_text(const struct textbuf *t, const char *want)
{
	assert_false(t->full);
	if (!span_equal(textbuf_span(t), span_of(want)))
		fail_msg("got\n%.*s\nwant\n%s", (int)t->len, t->ptr, want);
}

static void
family_header(void **state)
{
	struct textbuf t = fresh();

	(void)state;
	metrics_put_family(
	    &t, "evenkeel_requests_total", METRICS_COUNTER, "Requests.");
	metrics_put_family(&t, "up", METRICS_GAUGE, "a\\b \"c\"\nd");
	metrics_put_family(&t, "h", METRICS_HISTOGRAM, "");
	assert_text(&t,
	    "# HELP evenkeel_requests_total Requests.\n"
	    "# TYPE evenkeel_requests_total counter\n"
	    "# HELP up a\\\\b \"c\"\\nd\n"
	    "# TYPE up gauge\n"
	    "# HELP h \n"
	    "# TYPE h histogram\n");
}

static void
samples(void **state)
{
	const struct metrics_label list[] = {
	    {"pool", SPAN("web")}, {"backend", SPAN("a\"b\\c\nd")}};
	struct metrics_labels labels = {list, 2};
	struct textbuf t = fresh();

	(void)state;
	metrics_put_count(&t, "a", NO_LABELS, 0);
	metrics_put_count(&t, "b", labels, UINT64_MAX);
	metrics_put_seconds(&t, "c", NO_LABELS, 0);
	metrics_put_seconds(&t, "d", labels, 1000001);
	metrics_put_seconds(&t, "e", NO_LABELS, UINT64_MAX);
	assert_text(&t,
	    "a 0\n"
	    "b{pool=\"web\",backend=\"a\\\"b\\\\c\\nd\"} "
	    "18446744073709551615\n"
	    "c 0.000000\n"
	    "d{pool=\"web\",backend=\"a\\\"b\\\\c\\nd\"} 1.000001\n"
	    "e 18446744073709.551615\n");
}

static void
histogram(void **state)
{
	const struct metrics_label list[] = {{"pool", SPAN("w")}};
	struct metrics_histogram h = {.sum_us = 61500250};
	struct textbuf t = fresh();

	(void)state;
	for (unsigned i = 0; i <= METRICS_BUCKETS; i++)
		h.counts[i] = i % 3;
	metrics_put_histogram(&t, "d", (struct metrics_labels){list, 1}, &h);
	assert_text(&t,
	    "d_bucket{pool=\"w\",le=\"0.0005\"} 0\n"
	    "d_bucket{pool=\"w\",le=\"0.001\"} 1\n"
	    "d_bucket{pool=\"w\",le=\"0.0025\"} 3\n"
	    "d_bucket{pool=\"w\",le=\"0.005\"} 3\n"
	    "d_bucket{pool=\"w\",le=\"0.01\"} 4\n"
	    "d_bucket{pool=\"w\",le=\"0.025\"} 6\n"
	    "d_bucket{pool=\"w\",le=\"0.05\"} 6\n"
	    "d_bucket{pool=\"w\",le=\"0.1\"} 7\n"
	    "d_bucket{pool=\"w\",le=\"0.25\"} 9\n"
	    "d_bucket{pool=\"w\",le=\"0.5\"} 9\n"
	    "d_bucket{pool=\"w\",le=\"1\"} 10\n"
	    "d_bucket{pool=\"w\",le=\"2.5\"} 12\n"
	    "d_bucket{pool=\"w\",le=\"5\"} 12\n"
	    "d_bucket{pool=\"w\",le=\"10\"} 13\n"
	    "d_bucket{pool=\"w\",le=\"30\"} 15\n"
	    "d_bucket{pool=\"w\",le=\"60\"} 15\n"
	    "d_bucket{pool=\"w\",le=\"+Inf\"} 16\n"
	    "d_sum{pool=\"w\"} 61.500250\n"
	    "d_count{pool=\"w\"} 16\n");
}

static void
histogram_without_labels(void **state)
{
	struct metrics_histogram h = {.counts = {1}};
	struct textbuf t = fresh();

	(void)state;
	metrics_put_histogram(&t, "d", NO_LABELS, &h);
	assert_true(span_starts_with(
	    textbuf_span(&t), SPAN("d_bucket{le=\"0.0005\"} 1\n")));
	assert_true(span_ends_with_nocase(
	    textbuf_span(&t), SPAN("\nd_sum 0.000000\nd_count 1\n")));
}

/* ---- buckets ---- */

static unsigned
bucket_by_search(uint64_t us)
{
	unsigned i = 0;

	while (i < METRICS_BUCKETS && us > metrics_bound_us(i))
		i++;
	return i;
}

static void
bounds_double(void **state)
{
	(void)state;
	assert_int_equal(metrics_bound_us(0), 500);
	assert_int_equal(metrics_bound_us(METRICS_BUCKETS - 1), 60000000);
	for (unsigned i = 1; i < METRICS_BUCKETS; i++)
		assert_true(metrics_bound_us(i) >= 2 * metrics_bound_us(i - 1));
}

static void
bucket_of_every_size(void **state)
{
	struct rng rng;

	(void)state;
	rng_init(&rng, 7);
	for (unsigned i = 0; i < METRICS_BUCKETS; i++) {
		uint64_t us = metrics_bound_us(i);

		/* Bounds belong to their bucket: `le` is "at most". */
		assert_int_equal(metrics_bucket(us - 1), i);
		assert_int_equal(metrics_bucket(us), i);
		assert_int_equal(metrics_bucket(us + 1), i + 1);
	}
	for (unsigned k = 0; k < 64; k++) {
		uint64_t us = UINT64_C(1) << k;

		assert_int_equal(metrics_bucket(us), bucket_by_search(us));
		assert_int_equal(
		    metrics_bucket(us - 1), bucket_by_search(us - 1));
	}
	assert_int_equal(metrics_bucket(UINT64_MAX), METRICS_BUCKETS);
	for (int i = 0; i < 1000000; i++) {
		uint64_t us = rng_next(&rng) >> rng_upto(&rng, 63);

		assert_int_equal(metrics_bucket(us), bucket_by_search(us));
	}
}

/* The text of each bound is the bound. */
static void
bound_texts(void **state)
{
	struct metrics_histogram h = {.sum_us = 0};
	struct textbuf t = fresh();
	struct span rest;

	(void)state;
	metrics_put_histogram(&t, "x", NO_LABELS, &h);
	rest = textbuf_span(&t);
	for (unsigned i = 0; i < METRICS_BUCKETS; i++) {
		size_t skip = sizeof("x_bucket{le=\"") - 1;
		struct span text = span_make(rest.ptr + skip,
		    span_find(span_make(rest.ptr + skip, 20), '"'));
		size_t dot = span_find(text, '.');
		uint64_t us, part = 0, unit = 1000000;

		assert_true(num_parse_u64(span_make(text.ptr, dot), 100, &us));
		us *= unit;
		for (size_t d = dot + 1; d < text.len; d++) {
			unit /= 10;
			part += unit * (uint64_t)(text.ptr[d] - '0');
		}
		assert_int_equal(us + part, metrics_bound_us(i));
		rest.ptr += span_find(rest, '\n') + 1;
		rest.len = t.len - (size_t)(rest.ptr - t.ptr);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(family_header),
	    cmocka_unit_test(samples),
	    cmocka_unit_test(histogram),
	    cmocka_unit_test(histogram_without_labels),
	    cmocka_unit_test(bounds_double),
	    cmocka_unit_test(bucket_of_every_size),
	    cmocka_unit_test(bound_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
