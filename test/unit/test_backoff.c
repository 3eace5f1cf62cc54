/* layer: policy */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "evenkeel/base/rng.h"
#include "evenkeel/policy/backoff.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
test_ok(void **state)
{
	static const struct {
		struct backoff_policy p;
		bool good;
	} cases[] = {
	    {{1, 1, BACKOFF_FULL}, true},
	    {{25, 1000, BACKOFF_EQUAL}, true},
	    {{BACKOFF_LIMIT_MS, BACKOFF_LIMIT_MS, BACKOFF_NONE}, true},
	    {{0, 1000, BACKOFF_FULL}, false},
	    {{0, 0, BACKOFF_FULL}, false},
	    {{1001, 1000, BACKOFF_FULL}, false},
	    {{1, BACKOFF_LIMIT_MS + 1, BACKOFF_FULL}, false},
	    {{1, 1, (enum backoff_jitter)(BACKOFF_NONE + 1)}, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(backoff_ok(&cases[i].p), cases[i].good);
}

/* SPEC: the textbook loop wait(2 ** retries). */
static void
test_textbook(void **state)
{
	static const struct backoff_policy p = {1000, 3600000, BACKOFF_NONE};
	uint32_t seconds = 1;

	(void)state;
	for (uint32_t n = 1; n <= 40; n++) {
		assert_int_equal(
		    backoff_wait_ms(&p, n, UINT64_MAX), seconds * 1000);
		seconds = seconds * 2 > 3600 ? 3600 : seconds * 2;
	}
	assert_int_equal(backoff_wait_ms(&p, 5, 0), 16000);
}

/* min(cap, base * 2^(n-1)), in numbers wide enough. */
static uint32_t
naive(uint32_t base, uint32_t cap, uint32_t n)
{
	unsigned shift = n == 0 ? 0 : n > 32 ? 31 : n - 1;
	uint64_t value = (uint64_t)base << shift;

	return value < cap ? (uint32_t)value : cap;
}

static void
test_ceiling(void **state)
{
	static const uint32_t caps[] = {1, 2, 3, 4, 5, 7, 8, 9, 100, 1000, 4095,
	    4096, 4097, 3600000, BACKOFF_LIMIT_MS - 1, BACKOFF_LIMIT_MS};

	(void)state;
	for (size_t c = 0; c < COUNT(caps); c++)
		for (uint32_t base = 1; base <= caps[c]; base += 1 + base / 9) {
			struct backoff_policy p = {base, caps[c], BACKOFF_FULL};
			uint32_t before = 1;

			for (uint32_t n = 0; n <= 70; n++) {
				uint32_t ms = backoff_ceiling_ms(&p, n);

				assert_int_equal(ms, naive(base, caps[c], n));
				assert_true(ms >= before && ms <= caps[c]);
				before = ms;
			}
			assert_int_equal(
			    backoff_ceiling_ms(&p, UINT32_MAX), caps[c]);
		}
}

/* Every small policy, retry and draw: the range is met exactly. */
static void
test_every_small_wait(void **state)
{
	(void)state;
	for (uint32_t cap = 1; cap <= 40; cap++)
		for (uint32_t base = 1; base <= cap; base++)
			for (uint32_t n = 0; n <= 8; n++) {
				struct backoff_policy p = {
				    base, cap, BACKOFF_FULL};
				uint32_t top = backoff_ceiling_ms(&p, n);
				unsigned full = 0, equal = 0;

				for (uint64_t r = 0; r <= top; r++) {
					uint32_t ms;

					p.jitter = BACKOFF_FULL;
					ms = backoff_wait_ms(&p, n, r);
					assert_true(ms <= top);
					full += ms == 0 || ms == top;
					p.jitter = BACKOFF_EQUAL;
					ms = backoff_wait_ms(&p, n, r);
					assert_true(ms >= top / 2 && ms <= top);
					equal += ms == top / 2 || ms == top;
				}
				assert_true(full >= 2 && equal >= 2);
			}
}

#define DRAWS   100000
#define BUCKETS 64

/*
 * Chi-square of draws from [low, high] in equal classes: as many as there are
 * values when those are few, else BUCKETS of them.
 */
static double
chi_square(
    struct backoff_policy p, uint32_t low, uint64_t seed, unsigned *classes)
{
	uint64_t values = backoff_ceiling_ms(&p, 1) - low + 1;
	uint64_t seen[BUCKETS] = {0};
	double sum = 0;
	struct rng rng;

	*classes = values < BUCKETS ? (unsigned)values : BUCKETS;
	rng_init(&rng, seed);
	for (unsigned i = 0; i < DRAWS; i++) {
		uint64_t at = backoff_wait_ms(&p, 1, rng_next(&rng)) - low;

		assert_true(at < values);
		seen[at * *classes / values]++;
	}
	for (unsigned i = 0; i < *classes; i++) {
		/* Values v with v * classes / values == i. */
		uint64_t from = (i * values + *classes - 1) / *classes;
		uint64_t to = ((i + 1) * values + *classes - 1) / *classes;
		double want =
		    (double)DRAWS * (double)(to - from) / (double)values;
		double off = (double)seen[i] - want;

		sum += off * off / want;
	}
	return sum;
}

/* Within five standard deviations of the mean, which chance passes by once in
 * a million. */
static bool
is_chance(double chi, unsigned classes)
{
	double off = chi - (classes - 1);

	return off < 0 || off * off < 25 * 2.0 * classes;
}

/* Jitter is uniform. */
static void
test_uniform(void **state)
{
	static const uint32_t ceilings[] = {1, 2, 3, 6, 10, 25, 60, 63, 64, 100,
	    1000, 1023, 1024, 48611, 3600000, BACKOFF_LIMIT_MS};

	(void)state;
	for (size_t i = 0; i < COUNT(ceilings); i++)
		for (uint64_t seed = 1; seed <= 3; seed++) {
			uint32_t c = ceilings[i];
			struct backoff_policy p = {c, c, BACKOFF_FULL};
			unsigned classes;
			double x = chi_square(p, 0, seed, &classes);

			assert_true(is_chance(x, classes));
			p.jitter = BACKOFF_EQUAL;
			x = chi_square(p, c / 2, seed + 10, &classes);
			assert_true(is_chance(x, classes));
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ok),
	    cmocka_unit_test(test_textbook),
	    cmocka_unit_test(test_ceiling),
	    cmocka_unit_test(test_every_small_wait),
	    cmocka_unit_test(test_uniform),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
