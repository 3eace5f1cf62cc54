/* layer: policy */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "evenkeel/policy/eject.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct eject_rules usual = {5, 10000, 120000, 50};

static void
test_rules_ok(void **state)
{
	static const struct {
		struct eject_rules r;
		bool good;
	} cases[] = {
	    {{0, 1, 1, 0}, true},
	    {{5, 10000, 120000, 50}, true},
	    {{5, 1, EJECT_TIME_MAX_MS, 100}, true},
	    {{5, 0, 1, 50}, false},
	    {{5, 2, 1, 50}, false},
	    {{5, 1, EJECT_TIME_MAX_MS + 1, 50}, false},
	    {{5, 1, 1, 101}, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(eject_rules_ok(&cases[i].r), cases[i].good);
}

static void
test_counts(void **state)
{
	(void)state;
	for (int o = 0; o < ACCESS_OUTCOMES; o++) {
		enum access_outcome outcome = (enum access_outcome)o;
		bool want = o != ACCESS_OK && o != ACCESS_STALE &&
		    o != ACCESS_CANCELLED;

		assert_int_equal(eject_counts(outcome, 503), want);
		assert_int_equal(
		    eject_counts(outcome, 429), want && o != ACCESS_STATUS);
		assert_int_equal(eject_counts(outcome, 0), want);
	}
}

static void
test_limit(void **state)
{
	static const struct {
		uint32_t pct, n, limit;
	} cases[] = {
	    {50, 0, 0},
	    {50, 1, 0},
	    {50, 2, 1},
	    {50, 3, 1},
	    {50, 4, 2},
	    {50, 5, 2},
	    {100, 1, 0},
	    {100, 2, 1},
	    {100, 10, 9},
	    {99, 100, 99},
	    {100, 100, 99},
	    {10, 5, 1},
	    {0, 5, 1},
	    {0, 1, 0},
	    {100, UINT32_MAX, UINT32_MAX - 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct eject_rules r = usual;

		r.max_pct = cases[i].pct;
		assert_int_equal(eject_limit(&r, cases[i].n), cases[i].limit);
	}
	for (uint32_t pct = 0; pct <= 100; pct++)
		for (uint32_t n = 2; n < 300; n++) {
			struct eject_rules r = {5, 1, 1, pct};
			uint32_t limit = eject_limit(&r, n);

			assert_true(limit >= 1 && limit < n);
			assert_true(limit * 100 <= pct * n || limit == 1);
			assert_true(
			    (limit + 1) * 100 > pct * n || limit == n - 1);
		}
}

/* Out as soon as it is back: the time doubles up to the cap. */
static void
test_doubles(void **state)
{
	static const uint32_t want[] = {
	    10000, 20000, 40000, 80000, 120000, 120000, 120000};
	struct eject e;
	uint64_t now = 500;

	(void)state;
	eject_init(&e);
	assert_true(eject_ok(&e));
	for (size_t i = 0; i < COUNT(want); i++) {
		assert_int_equal(eject_time_ms(&usual, &e, now), want[i]);
		eject_out(&e, &usual, now, 0);
		assert_true(eject_ok(&e) && e.out);
		assert_int_equal(e.in_a_row, i + 1);
		assert_false(eject_due(&e, now));
		assert_false(eject_due(&e, now + want[i] - 1));
		assert_true(eject_due(&e, now + want[i]));
		now += want[i];
		eject_back(&e, now);
		assert_true(eject_ok(&e) && !e.out);
		assert_false(eject_due(&e, now + 1000000));
	}
	for (int i = 0; i < 5000; i++) {
		eject_out(&e, &usual, now, 0);
		assert_true(eject_ok(&e));
		assert_int_equal(e.until_ms, now + 120000);
		eject_back(&e, now);
		/* Not settled for any time, or a row would end here. */
		e.settled_ms = now + 1;
	}
}

/* In for as long as it was out: the row is over. */
static void
test_settles(void **state)
{
	struct eject e;

	(void)state;
	eject_init(&e);
	eject_out(&e, &usual, 1000, 0);
	eject_back(&e, 11000);
	assert_int_equal(eject_time_ms(&usual, &e, 20999), 20000);
	assert_int_equal(eject_time_ms(&usual, &e, 21000), 10000);
	eject_out(&e, &usual, 20999, 0);
	assert_int_equal(e.until_ms, 40999);
	/* Active checks bring it back early: out for 4 s only. */
	eject_back(&e, 24999);
	assert_int_equal(eject_time_ms(&usual, &e, 28998), 40000);
	assert_int_equal(eject_time_ms(&usual, &e, 28999), 10000);
	eject_out(&e, &usual, 28999, 0);
	assert_int_equal(e.in_a_row, 1);
}

static void
test_asked(void **state)
{
	static const struct {
		uint64_t asked_ms, out_ms;
	} cases[] = {
	    {0, 10000},
	    {1, 10000},
	    {10000, 10000},
	    {10001, 10001},
	    {40000, 40000},
	    {40001, 40000},
	    {UINT64_MAX, 40000},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct eject e;

		eject_init(&e);
		eject_out(&e, &usual, 77, cases[i].asked_ms);
		assert_int_equal(e.until_ms, 77 + cases[i].out_ms);
		/* What was asked doubles nothing. */
		eject_back(&e, 78);
		assert_int_equal(eject_time_ms(&usual, &e, 78), 20000);
	}
}

static void
test_twice(void **state)
{
	struct eject e, before;

	(void)state;
	eject_init(&e);
	eject_back(&e, 5);
	assert_int_equal(e.settled_ms, 0);
	eject_out(&e, &usual, 1000, 0);
	before = e;
	eject_out(&e, &usual, 2000, 20000);
	assert_memory_equal(&e, &before, sizeof(e));
	assert_int_equal(eject_time_ms(&usual, &e, 2000), 20000);
	eject_back(&e, 11000);
	before = e;
	eject_back(&e, 50000);
	assert_memory_equal(&e, &before, sizeof(e));
}

static void
test_end_of_time(void **state)
{
	struct eject e;

	(void)state;
	eject_init(&e);
	eject_out(&e, &usual, UINT64_MAX - 5, 0);
	assert_true(eject_ok(&e));
	assert_true(e.until_ms == UINT64_MAX);
	eject_back(&e, UINT64_MAX);
	assert_true(e.settled_ms == UINT64_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rules_ok),
	    cmocka_unit_test(test_counts),
	    cmocka_unit_test(test_limit),
	    cmocka_unit_test(test_doubles),
	    cmocka_unit_test(test_settles),
	    cmocka_unit_test(test_asked),
	    cmocka_unit_test(test_twice),
	    cmocka_unit_test(test_end_of_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
