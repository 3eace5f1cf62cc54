/* layer: policy */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <time.h>

#include "evenkeel/base/rng.h"
#include "evenkeel/policy/balance.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct round {
	size_t n, entries;
	uint32_t *turns, *table;
};

static struct round
make_round(const uint32_t *weights, size_t n)
{
	struct round r = {.n = n};
	uint32_t *work;

	r.turns = calloc(n + 1, sizeof(*r.turns));
	assert_non_null(r.turns);
	r.entries = balance_turns(weights, n, r.turns);
	/* Exactly what the header asks for: more would hide an overflow. */
	r.table = malloc(r.entries * sizeof(*r.table));
	work = malloc((r.entries + 1) * sizeof(*work));
	assert_non_null(r.table);
	assert_non_null(work);
	memset(r.table, 0xff, r.entries * sizeof(*r.table));
	balance_order(r.turns, n, r.table, r.entries, work);
	free(work);
	return r;
}

static void
drop_round(struct round *r)
{
	free(r->turns);
	free(r->table);
}

/* Each backend stands in the table exactly `turns` times. */
static void
assert_counts(const struct round *r)
{
	uint32_t *seen = calloc(r->n, sizeof(*seen));
	size_t sum = 0;

	assert_non_null(seen);
	for (size_t k = 0; k < r->entries; k++) {
		assert_true(r->table[k] < r->n);
		seen[r->table[k]]++;
	}
	for (size_t i = 0; i < r->n; i++) {
		assert_true(r->turns[i] >= 1);
		assert_int_equal(seen[i], r->turns[i]);
		sum += r->turns[i];
	}
	assert_int_equal(sum, r->entries);
	free(seen);
}

static void
equal_weights_in_plain_order(void **state)
{
	static const uint32_t weights[] = {1, 7, 256};

	(void)state;
	for (size_t w = 0; w < COUNT(weights); w++)
		for (size_t n = 1; n <= 300; n += 1 + n / 8) {
			uint32_t given[300];
			struct round r;

			for (size_t i = 0; i < n; i++)
				given[i] = weights[w];
			r = make_round(given, n);
			assert_int_equal(r.entries, n);
			for (size_t k = 0; k < n; k++)
				assert_int_equal(r.table[k], k);
			drop_round(&r);
		}
}

static void
weights_are_divided(void **state)
{
	static const struct {
		uint32_t weights[3], turns[3];
	} cases[] = {
	    {{2, 4, 6}, {1, 2, 3}},
	    {{100, 50, 25}, {4, 2, 1}},
	    {{3, 5, 7}, {3, 5, 7}},
	    {{256, 128, 1}, {256, 128, 1}},
	    {{6, 6, 6}, {1, 1, 1}},
	    {{12, 18, 6}, {2, 3, 1}},
	};

	(void)state;
	for (size_t c = 0; c < COUNT(cases); c++) {
		struct round r = make_round(cases[c].weights, 3);

		assert_memory_equal(
		    r.turns, cases[c].turns, sizeof(cases[c].turns));
		assert_counts(&r);
		drop_round(&r);
	}
}

static void
nobody_and_one(void **state)
{
	uint32_t turns = 42, weight = 200;
	struct round r;

	(void)state;
	assert_int_equal(balance_turns(NULL, 0, &turns), 0);
	assert_int_equal(turns, 42);
	r = make_round(&weight, 1);
	assert_int_equal(r.entries, 1);
	assert_int_equal(r.table[0], 0);
	drop_round(&r);
}

/* The distance between two turns of a backend, once around. */
static void
assert_spacing(const struct round *r, uint32_t backend, size_t slack)
{
	size_t want = r->entries / r->turns[backend];
	size_t first = r->entries, last = 0, gap;

	for (size_t k = 0; k < r->entries; k++) {
		if (r->table[k] != backend)
			continue;
		gap = first == r->entries ? want : k - last;
		if (first == r->entries)
			first = k;
		last = k;
		assert_true(gap + slack >= want && gap <= want + 1 + slack);
	}
	gap = first + r->entries - last;
	assert_true(gap + slack >= want && gap <= want + 1 + slack);
}

/* Of two, the one with more turns is as even as whole numbers let it be; and
 * among several nobody is moved farther than the others can push it. */
static void
turns_are_spread(void **state)
{
	struct rng rng;

	(void)state;
	for (uint32_t a = 1; a <= 40; a++)
		for (uint32_t b = 1; b <= 40; b++) {
			uint32_t weights[2] = {a, b};
			struct round r = make_round(weights, 2);

			assert_counts(&r);
			assert_spacing(&r, 0, 1);
			assert_spacing(&r, 1, 1);
			drop_round(&r);
		}
	rng_init(&rng, 5);
	for (int i = 0; i < 300; i++) {
		uint32_t weights[12];
		size_t n = 2 + rng_upto(&rng, 10);
		struct round r;

		for (size_t k = 0; k < n; k++)
			weights[k] = (uint32_t)(1 + rng_upto(&rng, 255));
		r = make_round(weights, n);
		assert_counts(&r);
		for (uint32_t k = 0; k < n; k++)
			assert_spacing(&r, k, n);
		drop_round(&r);
	}
}

/* The one that has a single turn has it in the middle of the round, so that
 * the first turns of all do not fall together. */
static void
a_single_turn_in_the_middle(void **state)
{
	(void)state;
	for (uint32_t w = 2; w <= 60; w++) {
		uint32_t weights[2] = {1, w};
		struct round r = make_round(weights, 2);

		assert_true(r.table[w / 2] == 0 || r.table[(w + 1) / 2] == 0);
		drop_round(&r);
	}
}

/* Weights whose sum is too large keep their proportions, and nobody is left
 * out. */
static void
large_sums_are_scaled(void **state)
{
	enum { N = 1000 };
	uint32_t weights[N];
	struct round r;

	(void)state;
	for (size_t i = 0; i < N; i++)
		weights[i] = i % 2 ? 255 : i % 4 ? 128 : 1;
	r = make_round(weights, N);
	assert_true(r.entries <= BALANCE_ENTRIES);
	assert_true(r.entries > BALANCE_ENTRIES * 9 / 10);
	assert_counts(&r);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(r.turns[i], r.turns[i % 4]);
		assert_true(r.turns[i] <= weights[i]);
	}
	/* 255 : 128, rounded down each */
	assert_in_range(
	    r.turns[1] * 128, (r.turns[2] - 1) * 255, (r.turns[2] + 2) * 255);
	drop_round(&r);
}

/* Those that stand in the table once though their part is less must not make
 * it larger than the limit. */
static void
never_above_the_limit(void **state)
{
	static const size_t sizes[] = {16384, 20000, 65536};

	(void)state;
	for (size_t s = 0; s < COUNT(sizes); s++)
		for (size_t heavy = 1; heavy <= sizes[s]; heavy *= 4) {
			size_t n = sizes[s];
			size_t limit = n * BALANCE_ENTRIES_PER_BACKEND;
			uint32_t *weights = malloc(n * sizeof(*weights));
			uint32_t *turns = malloc(n * sizeof(*turns));

			assert_non_null(weights);
			assert_non_null(turns);
			for (size_t i = 0; i < n; i++)
				weights[i] = i < heavy ? 256 : 1;
			if (limit < BALANCE_ENTRIES)
				limit = BALANCE_ENTRIES;
			assert_in_range(
			    balance_turns(weights, n, turns), n, limit);
			free(weights);
			free(turns);
		}
}

/* It takes some milliseconds; only a quadratic algorithm takes seconds. */
static void
a_hundred_thousand(void **state)
{
	enum { N = 100000 };
	uint32_t *weights = malloc(N * sizeof(*weights));
	clock_t before = clock();
	struct round r;

	(void)state;
	assert_non_null(weights);
	for (size_t i = 0; i < N; i++)
		weights[i] = (uint32_t)(1 + i * 7919 % 256);
	r = make_round(weights, N);
	assert_true(clock() - before < 2 * CLOCKS_PER_SEC);
	assert_true(r.entries <= (size_t)BALANCE_ENTRIES_PER_BACKEND * N);
	assert_counts(&r);
	drop_round(&r);
	free(weights);
}

static void
places_go_around(void **state)
{
	(void)state;
	assert_int_equal(balance_place(0, 3), 0);
	assert_int_equal(balance_place(2, 3), 2);
	assert_int_equal(balance_place(3, 3), 0);
	assert_int_equal(balance_place(UINT64_MAX, 10), 5);
	assert_int_equal(balance_place(UINT64_MAX, 1), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(equal_weights_in_plain_order),
	    cmocka_unit_test(weights_are_divided),
	    cmocka_unit_test(nobody_and_one),
	    cmocka_unit_test(turns_are_spread),
	    cmocka_unit_test(a_single_turn_in_the_middle),
	    cmocka_unit_test(large_sums_are_scaled),
	    cmocka_unit_test(never_above_the_limit),
	    cmocka_unit_test(a_hundred_thousand),
	    cmocka_unit_test(places_go_around),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
