/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "evenkeel/control/budgets.h"

#define WORKERS 2
#define TAKERS  3
#define STEPS   100000

static struct cfg_pool cfg;
static struct snapshot_pool pools[3];
static struct snapshot snapshot;
static struct budgets *budgets;
static uint64_t now_ms;

static int
open_pools(void **state)
{
	(void)state;
	now_ms = 50000;
	/* As config gives them; the others have no limit, and none at all. */
	cfg = (struct cfg_pool){.retry_attempts = 2,
	    .retry_budget_pct = 20,
	    .retry_budget_min = 10};
	for (int i = 0; i < 3; i++)
		pools[i] = (struct snapshot_pool){
		    .cfg = &cfg, .upstream = upstream_create("web", WORKERS)};
	pools[1].budget_limited = true;
	snapshot = (struct snapshot){.pools = pools, .n_pools = 3};
	budgets = budgets_create(&snapshot, NULL, now_ms);
	return budgets != NULL ? 0 : -1;
}

static int
close_pools(void **state)
{
	(void)state;
	budgets_free(budgets);
	for (int i = 0; i < 3; i++)
		upstream_free(pools[i].upstream);
	return 0;
}

static struct upstream *
limited(void)
{
	return pools[1].upstream;
}

static void
requests(uint64_t n)
{
	counter_add(&limited()->lanes[n % WORKERS].requests, n);
}

/* As a worker does it. */
static bool
take(_Atomic uint32_t *from)
{
	uint32_t n = atomic_load(from);

	do {
		if (n == 0)
			return false;
	} while (!atomic_compare_exchange_weak(from, &n, n - 1));
	return true;
}

static unsigned
take_all(_Atomic uint32_t *from)
{
	unsigned n = 0;

	while (take(from))
		n++;
	return n;
}

static uint64_t
step(uint64_t ms)
{
	now_ms += ms;
	return budgets_step(budgets, now_ms) - now_ms;
}

static void
floor_from_the_start(void **state)
{
	(void)state;
	assert_int_equal(atomic_load(&limited()->floor_left), 10);
	assert_int_equal(atomic_load(&limited()->share_left), 0);
	assert_int_equal(atomic_load(&pools[0].upstream->floor_left), 0);
	assert_int_equal(take_all(&limited()->floor_left), 10);
	step(100);
	assert_int_equal(atomic_load(&limited()->floor_left), 0);
	step(1200);
	assert_int_equal(atomic_load(&limited()->floor_left), 10);
}

static void
share_of_requests(void **state)
{
	(void)state;
	requests(1000);
	step(100);
	assert_int_equal(atomic_load(&limited()->share_left), 200);
	for (int i = 0; i < 50; i++)
		assert_true(take(&limited()->share_left));
	step(100);
	assert_int_equal(atomic_load(&limited()->share_left), 150);
	requests(100);
	step(100);
	assert_int_equal(atomic_load(&limited()->share_left), 170);
	/* Ten seconds later all of that is forgotten. */
	step(11000);
	assert_int_equal(atomic_load(&limited()->share_left), 0);
}

static void
quiet_steps_are_rare(void **state)
{
	(void)state;
	assert_int_equal(step(100), BUDGETS_STEP_MS);
	assert_int_equal(step(BUDGETS_QUIET_MS), BUDGETS_QUIET_STEP_MS);
	assert_int_equal(step(1000), BUDGETS_QUIET_STEP_MS);
	/* The first burst has the floor without a step. */
	assert_int_equal(take_all(&limited()->floor_left), 10);
	requests(100);
	assert_int_equal(step(900), BUDGETS_STEP_MS);
	assert_int_equal(atomic_load(&limited()->floor_left), 0);
	assert_int_equal(atomic_load(&limited()->share_left), 20);
}

static void
nothing_limited(void **state)
{
	struct snapshot none = {.pools = pools, .n_pools = 1};
	struct budgets *b = budgets_create(&none, NULL, 1);

	(void)state;
	assert_true(budgets_step(b, 2) == UINT64_MAX);
	budgets_free(b);
}

/* ---- another configuration ---- */

static struct budgets *
other_budgets(const struct budgets *old)
{
	struct budgets *b = budgets_create(&snapshot, old, now_ms);

	assert_non_null(b);
	return b;
}

/* What was asked and spent counts on; nothing is allowed twice. */
static void
carried_over(void **state)
{
	struct budgets *old = budgets;

	(void)state;
	requests(1000);
	step(100);
	for (int i = 0; i < 50; i++)
		assert_true(take(&limited()->share_left));
	assert_int_equal(take_all(&limited()->floor_left), 10);
	budgets = other_budgets(old);
	/* Nothing has changed until it is in force. */
	assert_int_equal(atomic_load(&limited()->share_left), 150);
	assert_int_equal(atomic_load(&limited()->floor_left), 0);
	/* Taken between the two. */
	assert_true(take(&limited()->share_left));
	budgets_free(old);
	step(0);
	assert_int_equal(atomic_load(&limited()->share_left), 149);
	assert_int_equal(atomic_load(&limited()->floor_left), 0);
	requests(100);
	step(100);
	assert_int_equal(atomic_load(&limited()->share_left), 169);
	step(11000);
	assert_int_equal(atomic_load(&limited()->share_left), 0);
	assert_int_equal(atomic_load(&limited()->floor_left), 10);
}

/* Other limits: of what was asked already, too. */
static void
another_share(void **state)
{
	struct budgets *old = budgets;

	(void)state;
	requests(1000);
	step(100);
	for (int i = 0; i < 150; i++)
		assert_true(take(&limited()->share_left));
	cfg.retry_budget_pct = 50;
	budgets = other_budgets(old);
	budgets_free(old);
	step(0);
	assert_int_equal(atomic_load(&limited()->share_left), 350);
	old = budgets;
	cfg.retry_budget_pct = 10;
	budgets = other_budgets(old);
	budgets_free(old);
	step(0);
	/* More is spent than that. */
	assert_int_equal(atomic_load(&limited()->share_left), 0);
	requests(1000);
	step(100);
	assert_int_equal(atomic_load(&limited()->share_left), 50);
}

/* The old ones go on when it does not come to the new ones. */
static void
never_in_force(void **state)
{
	(void)state;
	requests(1000);
	step(100);
	cfg.retry_budget_pct = 50;
	budgets_free(other_budgets(budgets));
	cfg.retry_budget_pct = 20;
	assert_true(take(&limited()->share_left));
	step(100);
	assert_int_equal(atomic_load(&limited()->share_left), 199);
	requests(100);
	step(100);
	assert_int_equal(atomic_load(&limited()->share_left), 219);
}

/* From the time it has a limit, whatever was asked before. */
static void
limited_from_now_on(void **state)
{
	struct budgets *old = budgets;
	struct upstream *u = pools[0].upstream;

	(void)state;
	counter_add(&u->lanes[0].requests, 100000);
	pools[0].budget_limited = true;
	budgets = other_budgets(old);
	budgets_free(old);
	step(0);
	assert_int_equal(atomic_load(&u->share_left), 0);
	assert_int_equal(atomic_load(&u->floor_left), 10);
	counter_add(&u->lanes[1].requests, 100);
	step(100);
	assert_int_equal(atomic_load(&u->share_left), 20);
	/* The other one has its own. */
	assert_int_equal(atomic_load(&limited()->share_left), 0);
}

static void
no_limit_and_one_again(void **state)
{
	struct budgets *old = budgets;

	(void)state;
	requests(1000);
	step(100);
	pools[1].budget_limited = false;
	budgets = other_budgets(old);
	budgets_free(old);
	assert_true(budgets_step(budgets, now_ms) == UINT64_MAX);
	requests(1000);
	now_ms += 100;
	old = budgets;
	pools[1].budget_limited = true;
	budgets = other_budgets(old);
	budgets_free(old);
	step(0);
	/* What was left of its first time is not to be had any more. */
	assert_int_equal(atomic_load(&limited()->share_left), 0);
	assert_int_equal(atomic_load(&limited()->floor_left), 10);
}

static _Atomic bool over;
static pthread_barrier_t first;
static _Atomic uint64_t taken;

static void *
take_many(void *arg)
{
	(void)arg;
	pthread_barrier_wait(&first);
	while (!atomic_load(&over))
		if (take(&limited()->share_left))
			atomic_fetch_add(&taken, 1);
	return NULL;
}

/* Whatever is taken while allowances are set: never more than 20 %, and no
 * retry is lost on the way. */
static void
exact_while_others_take(void **state)
{
	pthread_t threads[TAKERS];
	uint64_t asked = 0;

	(void)state;
	atomic_store(&over, false);
	atomic_store(&taken, 0);
	assert_int_equal(pthread_barrier_init(&first, NULL, TAKERS + 1), 0);
	for (size_t i = 0; i < TAKERS; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, take_many, NULL), 0);
	pthread_barrier_wait(&first);
	for (unsigned i = 0; i < STEPS; i++) {
		requests(i % 50);
		asked += i % 50;
		/* All within one window. */
		step(i % 300 == 0);
		assert_true(atomic_load(&taken) <= asked * 20 / 100);
	}
	atomic_store(&over, true);
	for (size_t i = 0; i < TAKERS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&first);
	step(0);
	assert_true(atomic_load(&taken) > 0);
	assert_int_equal(
	    atomic_load(&taken) + atomic_load(&limited()->share_left),
	    asked * 20 / 100);
}

#define POOLED(test) \
	cmocka_unit_test_setup_teardown(test, open_pools, close_pools)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    POOLED(floor_from_the_start),
	    POOLED(share_of_requests),
	    POOLED(quiet_steps_are_rare),
	    POOLED(nothing_limited),
	    POOLED(carried_over),
	    POOLED(another_share),
	    POOLED(never_in_force),
	    POOLED(limited_from_now_on),
	    POOLED(no_limit_and_one_again),
	    POOLED(exact_while_others_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
