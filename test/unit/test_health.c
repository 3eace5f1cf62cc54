/* layer: policy */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "evenkeel/base/rng.h"
#include "evenkeel/policy/health.h"

/* "k in a row", counted as people do. */
struct naive {
	bool up;
	uint32_t row; /* of results against the state */
};

static enum health_change
naive_report(struct naive *n, const struct health_rules *r, bool good)
{
	if (good == n->up) {
		n->row = 0;
		return HEALTH_SAME;
	}
	if (++n->row < (n->up ? r->fall : r->rise))
		return HEALTH_SAME;
	n->row = 0;
	n->up = good;
	return good ? HEALTH_WENT_UP : HEALTH_WENT_DOWN;
}

static void
check_same(
    const struct health *h, const struct health_rules *r, const struct naive *n)
{
	assert_true(health_ok(h, r));
	assert_int_equal(health_is_up(h, r), n->up);
}

/* Every sequence of 10 results, for every small pair of rules. */
static void
test_every_sequence(void **state)
{
	(void)state;
	for (uint32_t rise = 1; rise <= 4; rise++)
		for (uint32_t fall = 1; fall <= 4; fall++)
			for (unsigned bits = 0; bits < 1U << 11; bits++) {
				struct health_rules r = {rise, fall};
				struct naive n = {.up = bits & 1};
				struct health h;

				health_init(&h, &r, n.up);
				check_same(&h, &r, &n);
				for (int i = 1; i <= 10; i++) {
					bool good = bits >> i & 1;

					assert_int_equal(
					    health_report(&h, &r,
						good ? HEALTH_OK
						     : HEALTH_FAILED,
						false),
					    naive_report(&n, &r, good));
					check_same(&h, &r, &n);
				}
			}
}

static void
random_steps(struct rng *rng, const struct health_rules *r, struct health *h,
    struct naive *n)
{
	for (int i = 0; i < 500; i++) {
		enum health_result result =
		    (enum health_result)rng_upto(rng, HEALTH_RESULTS - 1);
		bool answered = rng_upto(rng, 1);
		/* Runs, or long rows would never come. */
		uint64_t times = rng_upto(rng, 2 * (r->rise + r->fall));

		for (uint64_t t = 0; t < times; t++) {
			enum health_change want =
			    result == HEALTH_TIMEOUT && answered
			    ? HEALTH_SAME
			    : naive_report(n, r, result == HEALTH_OK);

			assert_int_equal(
			    health_report(h, r, result, answered), want);
			check_same(h, r, n);
		}
	}
}

static void
test_random_sequences(void **state)
{
	struct rng rng;

	(void)state;
	rng_init(&rng, 11);
	for (int round = 0; round < 200; round++) {
		struct health_rules r = {(uint32_t)rng_upto(&rng, 20) + 1,
		    (uint32_t)rng_upto(&rng, 20) + 1};
		struct naive n = {.up = rng_upto(&rng, 1)};
		struct health h;

		health_init(&h, &r, n.up);
		random_steps(&rng, &r, &h, &n);
	}
}

static void
test_slow_is_not_down(void **state)
{
	static const struct health_rules r = {2, 3};
	struct health h;

	(void)state;
	health_init(&h, &r, true);
	for (int i = 0; i < 100; i++)
		assert_int_equal(
		    health_report(&h, &r, HEALTH_TIMEOUT, true), HEALTH_SAME);
	assert_int_equal(
	    health_report(&h, &r, HEALTH_TIMEOUT, false), HEALTH_SAME);
	assert_int_equal(
	    health_report(&h, &r, HEALTH_FAILED, true), HEALTH_SAME);
	/* It neither counts nor makes good. */
	assert_int_equal(
	    health_report(&h, &r, HEALTH_TIMEOUT, true), HEALTH_SAME);
	assert_int_equal(
	    health_report(&h, &r, HEALTH_FAILED, true), HEALTH_WENT_DOWN);
}

/* Up stays up and down down; results that count go on counting. */
static void
test_adapt(void **state)
{
	(void)state;
	for (uint32_t a = 1; a <= 6; a++)
		for (uint32_t b = 1; b <= 6; b++)
			for (uint32_t c = 1; c <= 6; c++)
				for (uint32_t level = 0; level < a + b;
				     level++) {
					struct health_rules old = {a, b};
					struct health_rules now = {c, 7 - c};
					struct health h = {level};
					bool up = health_is_up(&h, &old);

					health_adapt(&h, &old, &now);
					assert_true(health_ok(&h, &now));
					assert_int_equal(
					    health_is_up(&h, &now), up);
					h.level = level;
					health_adapt(&h, &old, &old);
					assert_int_equal(h.level, level);
				}
}

static void
test_adapt_keeps_rows(void **state)
{
	struct health_rules old = {2, 3}, now = {4, 5};
	struct health h;

	(void)state;
	health_init(&h, &old, true);
	assert_int_equal(
	    health_report(&h, &old, HEALTH_FAILED, false), HEALTH_SAME);
	health_adapt(&h, &old, &now);
	for (int i = 2; i < 5; i++)
		assert_int_equal(
		    health_report(&h, &now, HEALTH_FAILED, false), HEALTH_SAME);
	assert_int_equal(
	    health_report(&h, &now, HEALTH_FAILED, false), HEALTH_WENT_DOWN);
}

static void
test_next(void **state)
{
	struct rng rng;

	(void)state;
	rng_init(&rng, 3);
	for (uint32_t ms = 1; ms < 3000; ms++) {
		uint32_t tenth = ms / 10;
		bool low = false, high = false;

		for (uint64_t r = 0; r <= 2 * tenth; r++) {
			uint32_t next = health_next_ms(ms, r);

			assert_true(next >= ms - tenth && next <= ms + tenth);
			low |= next == ms - tenth;
			high |= next == ms + tenth;
		}
		assert_true(low && high);
		assert_true(health_next_ms(ms, rng_next(&rng)) >= 1);
	}
	assert_true(health_next_ms(HEALTH_INTERVAL_MAX_MS, UINT64_MAX) >=
	    HEALTH_INTERVAL_MAX_MS / 10 * 9);
}

static void
test_first(void **state)
{
	static const uint64_t sizes[] = {1, 2, 16, 17, 18, 100, 100000};

	(void)state;
	for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
		uint32_t before = 0, gap = 0;

		for (uint64_t i = 0; i < sizes[k]; i++) {
			uint32_t ms = health_first_ms(2000, i, sizes[k]);

			assert_true(ms >= before && ms < 2000);
			assert_true(i >= HEALTH_AT_ONCE || ms == 0);
			if (ms - before > gap)
				gap = ms - before;
			before = ms;
		}
		/* Spread over the whole interval. */
		if (sizes[k] > HEALTH_AT_ONCE)
			assert_true(before + gap + 1 >= 2000 ||
			    sizes[k] == HEALTH_AT_ONCE + 1);
	}
	assert_int_equal(
	    health_first_ms(HEALTH_INTERVAL_MAX_MS, UINT32_MAX - 1, UINT32_MAX),
	    HEALTH_INTERVAL_MAX_MS - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_sequence),
	    cmocka_unit_test(test_random_sequences),
	    cmocka_unit_test(test_slow_is_not_down),
	    cmocka_unit_test(test_adapt),
	    cmocka_unit_test(test_adapt_keeps_rows),
	    cmocka_unit_test(test_next),
	    cmocka_unit_test(test_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
