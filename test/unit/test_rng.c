/* layer: base */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "evenkeel/base/rng.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Published vectors: splitmix64 of seed 0; xoshiro256++ of state 1, 2, 3, 4. */
static void
test_vectors(void **state)
{
	static const uint64_t seeded[4] = {0xe220a8397b1dcdaf,
	    0x6e789e6aa1b965f4, 0x06c45d188009454f, 0xf88bb8a8724c81ec};
	static const uint64_t outputs[] = {41943041, 58720359, 3588806011781223,
	    3591011842654386, 9228616714210784205U, 9973669472204895162U};
	struct rng r;

	(void)state;
	rng_init(&r, 0);
	assert_memory_equal(r.s, seeded, sizeof(seeded));
	r = (struct rng){{1, 2, 3, 4}};
	for (size_t i = 0; i < COUNT(outputs); i++)
		assert_true(rng_next(&r) == outputs[i]);
}

static void
test_seeds(void **state)
{
	struct rng a, b, c;

	(void)state;
	rng_init(&a, 42);
	rng_init(&b, 42);
	rng_init(&c, 43);
	for (int i = 0; i < 100; i++) {
		uint64_t x = rng_next(&a);

		assert_true(x == rng_next(&b));
		assert_true(x != rng_next(&c));
	}
}

static void
test_upto_stays_inside(void **state)
{
	static const uint64_t bounds[] = {0, 1, 2, 9, 255, 1ULL << 32,
	    (1ULL << 63) - 1, 1ULL << 63, UINT64_MAX - 1, UINT64_MAX};
	struct rng r;

	(void)state;
	rng_init(&r, 3);
	for (size_t i = 0; i < COUNT(bounds); i++)
		for (int k = 0; k < 1000; k++)
			assert_true(rng_upto(&r, bounds[i]) <= bounds[i]);
}

/* Each of ten values about equally often; 6 sigma of 100,000 draws is 570. */
static void
test_upto_is_uniform(void **state)
{
	unsigned counts[10] = {0};
	struct rng r;

	(void)state;
	rng_init(&r, 4);
	for (int i = 0; i < 100000; i++)
		counts[rng_upto(&r, 9)]++;
	for (size_t i = 0; i < COUNT(counts); i++)
		assert_in_range(counts[i], 10000 - 570, 10000 + 570);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_seeds),
	    cmocka_unit_test(test_upto_stays_inside),
	    cmocka_unit_test(test_upto_is_uniform),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
