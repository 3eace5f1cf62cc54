/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "evenkeel/control/publish.h"

#define READERS 3
#define ROUNDS  20000

static struct publish published;
static struct upstream *pool;
static struct backend *backends[2];

/* What guard and the workers do, without their loops and mail: a reader looks
 * at the generation between two callbacks. */
static _Atomic uint64_t generation;
static _Atomic uint64_t passed_by[READERS];
static uint32_t n_readers;
static _Atomic bool over;
static unsigned told;

static void
tell(uint64_t to, void *arg)
{
	(void)arg;
	told++;
	atomic_store(&generation, to);
}

static uint64_t
lowest(void *arg)
{
	uint64_t least = UINT64_MAX;

	(void)arg;
	for (uint32_t i = 0; i < n_readers; i++) {
		uint64_t p = atomic_load(&passed_by[i]);

		least = p < least ? p : least;
	}
	return least;
}

static const struct publish_ops ops = {.tell = tell, .passed = lowest};

static int
open_pool(void **state)
{
	struct address a = {.len = 0};

	(void)state;
	publish_init(&published, &ops, NULL);
	pool = upstream_create("web", 1);
	backends[0] = backend_create("b0", SPAN_NONE, &a, NULL, 1, 1);
	backends[1] = backend_create("b1", SPAN_NONE, &a, NULL, 1, 1);
	n_readers = 0;
	told = 0;
	atomic_store(&generation, 0);
	atomic_store(&over, false);
	for (int i = 0; i < READERS; i++)
		atomic_store(&passed_by[i], 0);
	return pool && backends[0] && backends[1] ? 0 : -1;
}

static int
close_pool(void **state)
{
	(void)state;
	publish_close(&published);
	upstream_free(pool);
	backend_free(backends[0]);
	backend_free(backends[1]);
	return 0;
}

static void
swap(uint32_t weight)
{
	const uint32_t weights[2] = {weight, 1};
	struct rotation *r = rotation_create(backends, weights, 2, false);

	assert_non_null(r);
	publish_swap(&published, &pool->rotation, r);
}

/* Without readers nothing waits. */
static void
at_once_without_readers(void **state)
{
	(void)state;
	for (uint32_t i = 1; i < 10; i++) {
		swap(i);
		publish_tell(&published);
		assert_int_equal(published.n_retired, 0);
	}
	publish_swap(&published, &pool->rotation, NULL);
	publish_tell(&published);
	assert_null(atomic_load(&pool->rotation));
	assert_int_equal(published.n_retired, 0);
	assert_int_equal(told, 10);
	/* Nothing new, nothing told. */
	publish_tell(&published);
	assert_int_equal(told, 10);
}

static void
waits_for_the_slowest(void **state)
{
	(void)state;
	n_readers = 2;
	swap(1);
	publish_tell(&published);
	assert_int_equal(published.n_retired, 0);
	swap(2);
	publish_tell(&published);
	swap(3);
	publish_tell(&published);
	assert_int_equal(published.n_retired, 2);
	atomic_store(&passed_by[0], 3);
	atomic_store(&passed_by[1], 1);
	assert_true(publish_collect(&published));
	assert_int_equal(published.n_retired, 2);
	atomic_store(&passed_by[1], 2);
	assert_true(publish_collect(&published));
	assert_int_equal(published.n_retired, 1);
	atomic_store(&passed_by[1], 3);
	assert_false(publish_collect(&published));
	assert_int_equal(published.n_retired, 0);
}

static void
a_stuck_reader_makes_a_crowd(void **state)
{
	(void)state;
	n_readers = 1;
	for (uint32_t i = 0; i <= PUBLISH_CROWD + 1; i++) {
		assert_false(publish_crowded(&published));
		swap(i + 1);
		publish_tell(&published);
	}
	assert_true(publish_crowded(&published));
}

static void *
read_many(void *arg)
{
	_Atomic uint64_t *passed = arg;
	uint64_t turn = 0;

	while (!atomic_load(&over)) {
		/* One callback. */
		const struct rotation *r =
		    atomic_load_explicit(&pool->rotation, memory_order_acquire);

		if (r != NULL)
			assert_non_null(rotation_at(r, turn++)->name);
		/* And the one that is told of a new generation. */
		atomic_store(passed, atomic_load(&generation));
	}
	return NULL;
}

/* Under ASan and TSan: nobody reads what was freed. */
static void
freed_behind_the_readers(void **state)
{
	pthread_t threads[READERS];

	(void)state;
	n_readers = READERS;
	for (size_t i = 0; i < READERS; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, read_many, &passed_by[i]),
		    0);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		if (i % 7 == 0)
			publish_swap(&published, &pool->rotation, NULL);
		else
			swap(i % 5 + 1);
		publish_tell(&published);
	}
	while (publish_collect(&published))
		;
	atomic_store(&over, true);
	for (size_t i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
}

#define POOLED(test) \
	cmocka_unit_test_setup_teardown(test, open_pool, close_pool)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    POOLED(at_once_without_readers),
	    POOLED(waits_for_the_slowest),
	    POOLED(a_stuck_reader_makes_a_crowd),
	    POOLED(freed_behind_the_readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
