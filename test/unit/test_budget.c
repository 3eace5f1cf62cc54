/* layer: policy */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "evenkeel/base/rng.h"
#include "evenkeel/policy/budget.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct budget_allowance
step(struct budget *b, uint32_t pct, uint32_t least, uint64_t now_ms,
    struct budget_totals totals)
{
	struct budget_policy p = {.share_pct = pct, .floor = least};
	struct budget_allowance a = budget_step(b, &p, now_ms, &totals);

	assert_true(budget_ok(b));
	return a;
}

static void
test_table(void **state)
{
	static const struct {
		uint32_t pct, least;
		struct budget_totals totals;
		struct budget_allowance want;
	} cases[] = {
	    {20, 10, {0, 0, 0}, {0, 10}},
	    {20, 10, {4, 0, 0}, {0, 10}},
	    {20, 10, {5, 0, 0}, {1, 10}},
	    {20, 0, {1000, 0, 0}, {200, 0}},
	    {20, 10, {1000, 150, 4}, {50, 6}},
	    {20, 10, {1000, 201, 11}, {0, 0}},
	    {99, 10, {100, 0, 0}, {99, 10}},
	    {1, 0, {199, 0, 0}, {1, 0}},
	    {0, 10, {1000, 0, 0}, {0, 0}},
	    {100, 0, {0, 0, 0}, {UINT32_MAX, UINT32_MAX}},
	    {100, 10, {1, 1000, 1000}, {UINT32_MAX, UINT32_MAX}},
	    {20, BUDGET_FLOOR_MAX, {0, 0, 0}, {0, BUDGET_FLOOR_MAX}},
	    /* Jumps that no counter of a slot can hold. */
	    {20, 10, {UINT64_MAX, 0, 0}, {UINT32_MAX / 5, 10}},
	    {20, 10, {UINT64_MAX, UINT64_MAX, UINT64_MAX}, {0, 0}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct budget b;
		struct budget_allowance got;

		budget_init(&b, 12345);
		got = step(
		    &b, cases[i].pct, cases[i].least, 12345, cases[i].totals);
		assert_int_equal(got.share, cases[i].want.share);
		assert_int_equal(got.floor, cases[i].want.floor);
	}
}

/* Requests leave the window before they are 10 s old, retries not before. */
static void
test_edges(void **state)
{
	(void)state;
	for (uint64_t start = 0; start < 2 * BUDGET_SLOT_MS; start += 7)
		for (uint64_t age = 9800; age <= 10200; age++) {
			struct budget b;
			struct budget_totals t = {.requests = 100};
			uint32_t share;

			budget_init(&b, start);
			(void)step(&b, 20, 0, start, t);
			share = step(&b, 20, 0, start + age, t).share;
			assert_true(share == 0 || share == 20);
			assert_true(age > 9900 || share == 20);
			assert_true(age < 10000 || share == 0);

			budget_init(&b, start);
			t = (struct budget_totals){.from_share = 10};
			(void)step(&b, 20, 0, start, t);
			t.requests = 100;
			share = step(&b, 20, 0, start + age, t).share;
			assert_true(share == 10 || share == 20);
			assert_true(age >= 10000 || share == 10);
			assert_true(age <= 10100 || share == 20);
		}
}

static void
test_floor_edges(void **state)
{
	(void)state;
	for (uint64_t start = 0; start < 2 * BUDGET_SLOT_MS; start += 3)
		for (uint64_t age = 0; age <= 1300; age++) {
			struct budget b;
			struct budget_totals t = {.from_floor = 7};
			uint32_t least;

			budget_init(&b, start);
			(void)step(&b, 20, 10, start, t);
			least = step(&b, 20, 10, start + age, t).floor;
			assert_true(least == 3 || least == 10);
			assert_true(age >= 1000 || least == 3);
			assert_true(age <= 1100 || least == 10);
		}
}

/* A step that comes too early counts, and moves nothing back. */
static void
test_time_does_not_fall(void **state)
{
	struct budget b;
	struct budget_totals t = {.requests = 50};

	(void)state;
	budget_init(&b, 5000);
	assert_int_equal(step(&b, 20, 0, 7000, t).share, 10);
	t.requests = 100;
	assert_int_equal(step(&b, 20, 0, 6000, t).share, 20);
	assert_int_equal(step(&b, 20, 0, 7000, t).share, 20);
	assert_int_equal(step(&b, 20, 0, UINT64_MAX, t).share, 0);
}

/* --- against a list of everything that happened --------------------------- */

#define EVENTS 4000

struct told {
	uint64_t now_ms;
	struct budget_totals more;
};

struct history {
	struct told told[EVENTS];
	size_t n;
};

/* Sums of what was told from `from_ms` on. */
static struct budget_totals
since(const struct history *h, uint64_t from_ms)
{
	struct budget_totals sum = {0};

	for (size_t i = h->n; i > 0 && h->told[i - 1].now_ms >= from_ms; i--) {
		sum.requests += h->told[i - 1].more.requests;
		sum.from_share += h->told[i - 1].more.from_share;
		sum.from_floor += h->told[i - 1].more.from_floor;
	}
	return sum;
}

static uint64_t
back(uint64_t now_ms, uint64_t ms)
{
	return now_ms > ms ? now_ms - ms : 0;
}

/* The start of the slot that `ms` is in. */
static uint64_t
slot_of(uint64_t ms)
{
	return ms / BUDGET_SLOT_MS * BUDGET_SLOT_MS;
}

static uint32_t
rest(uint64_t allowed, uint64_t spent)
{
	return allowed > spent ? (uint32_t)(allowed - spent) : 0;
}

static uint64_t
gap(struct rng *rng)
{
	switch (rng_upto(rng, 9)) {
	case 0:
		return rng_upto(rng, 30000);
	case 1:
		return rng_upto(rng, 1) ? 10000 : 1000;
	case 2:
		return 0;
	case 3:
		return rng_upto(rng, 1000);
	default:
		return 90 + rng_upto(rng, 20);
	}
}

static struct budget_totals
spend(struct rng *rng, struct budget_allowance a)
{
	bool all = rng_upto(rng, 2) == 0;

	return (struct budget_totals){
	    .requests = rng_upto(rng, rng_upto(rng, 20) == 0 ? 100000 : 60),
	    .from_share = all ? a.share : rng_upto(rng, a.share),
	    .from_floor = all ? a.floor : rng_upto(rng, a.floor),
	};
}

/* Exactly what the slots say, and the promises for any moving window. */
static void
check_step(const struct history *h, const struct budget_policy *p,
    struct budget_allowance a)
{
	uint64_t now = h->told[h->n - 1].now_ms;
	uint64_t oldest = back(slot_of(now), BUDGET_WINDOW_MS);
	uint64_t requests = since(
	    h, slot_of(now) < BUDGET_WINDOW_MS ? 0 : oldest + BUDGET_SLOT_MS)
				.requests;
	uint64_t real = since(h, back(now, BUDGET_WINDOW_MS)).requests;
	uint64_t held = since(h, back(now, BUDGET_WINDOW_MS)).from_share;
	uint64_t held_floor = since(h, back(now, BUDGET_FLOOR_MS)).from_floor;

	assert_int_equal(a.share,
	    rest(requests * p->share_pct / 100, since(h, oldest).from_share));
	assert_int_equal(a.floor,
	    rest(p->floor,
		since(h, back(slot_of(now), BUDGET_FLOOR_MS)).from_floor));
	if (a.share > 0)
		assert_true((a.share + held) * 100 <= real * p->share_pct);
	if (a.floor > 0)
		assert_true(a.floor + held_floor <= p->floor);
}

static void
simulate(uint64_t seed, struct history *h)
{
	struct budget_policy p;
	struct budget_totals totals = {0};
	struct budget_allowance a = {0, 0};
	struct budget b;
	struct rng rng;
	uint64_t now;

	rng_init(&rng, seed);
	p.share_pct = (uint32_t)rng_upto(&rng, 98) + 1;
	p.floor = (uint32_t)rng_upto(&rng, 30);
	now = rng_upto(&rng, 1) ? rng_upto(&rng, 1U << 20) : 0;
	budget_init(&b, now);
	for (h->n = 0; h->n < EVENTS;) {
		struct budget_totals more = spend(&rng, a);

		now += gap(&rng);
		totals.requests += more.requests;
		totals.from_share += more.from_share;
		totals.from_floor += more.from_floor;
		h->told[h->n++] = (struct told){now, more};
		a = budget_step(&b, &p, now, &totals);
		assert_true(budget_ok(&b));
		check_step(h, &p, a);
	}
}

static void
test_simulation(void **state)
{
	struct history *h = malloc(sizeof(*h));

	(void)state;
	assert_non_null(h);
	for (uint64_t seed = 1; seed <= 15; seed++)
		simulate(seed, h);
	free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_edges),
	    cmocka_unit_test(test_floor_edges),
	    cmocka_unit_test(test_time_does_not_fall),
	    cmocka_unit_test(test_simulation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
