/* layer: proxy */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "evenkeel/proxy/backend.h"

#define THREADS  4
#define BACKENDS 7
#define PICKS    20003

static struct upstream *pool;
static struct backend *backends[BACKENDS];

static int
open_pool(void **state)
{
	struct address a = {.len = 0};
	char name[] = "b0";

	(void)state;
	pool = upstream_create("web", THREADS);
	if (pool == NULL)
		return -1;
	for (uint32_t i = 0; i < BACKENDS; i++) {
		name[1] = (char)('0' + i);
		backends[i] =
		    backend_create(name, SPAN_NONE, &a, NULL, 1, THREADS);
		if (backends[i] == NULL)
			return -1;
	}
	return 0;
}

static int
close_pool(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < BACKENDS; i++)
		backend_free(backends[i]);
	upstream_free(pool);
	return 0;
}

static void
publish(size_t n)
{
	uint32_t weights[BACKENDS];
	struct rotation *r;

	for (size_t i = 0; i < n; i++)
		weights[i] = backends[i]->weight;
	r = rotation_create(backends, weights, n, false);

	assert_non_null(r);
	rotation_free(atomic_exchange(&pool->rotation, r));
}

/* Whose turn it is, as the picker finds it when all are usable. */
static struct backend *
pick(void)
{
	const struct rotation *r = atomic_load(&pool->rotation);

	return rotation_at(r, upstream_turn(pool));
}

/* A ring has every backend, by its weight; the same key leads to the same. */
static void
ring_of_all(void **state)
{
	const uint32_t weights[3] = {100, 100, 100};
	struct rotation *r = rotation_create(backends, weights, 3, true);
	unsigned points[3] = {0};

	(void)state;
	assert_non_null(r);
	assert_int_equal(r->n, 3);
	for (size_t i = 0; i < r->n_points; i++) {
		points[r->points[i].owner]++;
		assert_true(i == 0 || r->points[i - 1].at <= r->points[i].at);
	}
	assert_int_equal(points[0], r->n_points / 3);
	assert_int_equal(points[1], r->n_points / 3);
	rotation_free(r);
}

static void
lanes_of_their_own(void **state)
{
	(void)state;
	assert_string_equal(backends[3]->name, "b3");
	assert_true(span_equal(backends[3]->name_span, SPAN("b3")));
	assert_true(span_equal(pool->name_span, SPAN("web")));
	assert_int_equal(backends[0]->n_lanes, THREADS);
	for (uint32_t i = 0; i < THREADS; i++) {
		struct lane *l = &backends[0]->lanes[i];

		assert_int_equal((uintptr_t)l % STATS_LINE, 0);
		assert_int_equal((uintptr_t)&pool->lanes[i] % STATS_LINE, 0);
		assert_true(list_empty(&l->idle));
		assert_int_equal(counter_get(&l->inflight), 0);
	}
	assert_int_equal(sizeof(struct lane) % STATS_LINE, 0);
	assert_int_equal((uintptr_t)&pool->cursor % STATS_LINE, 0);
}

static void
nothing_usable(void **state)
{
	(void)state;
	assert_null(atomic_load(&pool->rotation));
	assert_null(rotation_create(backends, NULL, 0, false));
	assert_int_equal(atomic_load(&pool->cursor), 0);
}

static void
in_plain_order(void **state)
{
	(void)state;
	publish(3);
	for (size_t i = 0; i < 9; i++)
		assert_ptr_equal(pick(), backends[i % 3]);
	publish(1);
	assert_ptr_equal(pick(), backends[0]);
}

static void
by_weight(void **state)
{
	unsigned seen[3] = {0};

	(void)state;
	backends[0]->weight = 2;
	backends[1]->weight = 6;
	backends[2]->weight = 4;
	publish(3);
	assert_int_equal(atomic_load(&pool->rotation)->entries, 6);
	for (size_t i = 0; i < 600; i++) {
		struct backend *b = pick();

		for (size_t k = 0; k < 3; k++)
			seen[k] += b == backends[k];
	}
	assert_int_equal(seen[0], 100);
	assert_int_equal(seen[1], 300);
	assert_int_equal(seen[2], 200);
}

struct picker {
	pthread_t thread;
	pthread_barrier_t *begin;
	unsigned seen[BACKENDS];
};

static void *
pick_many(void *arg)
{
	struct picker *p = arg;

	pthread_barrier_wait(p->begin);
	for (size_t i = 0; i < PICKS; i++) {
		struct backend *b = pick();

		for (size_t k = 0; k < BACKENDS; k++)
			p->seen[k] += b == backends[k];
	}
	return NULL;
}

/* N requests over B backends differ by at most one, over all workers. */
static void
strict_over_threads(void **state)
{
	static struct picker pickers[THREADS];
	pthread_barrier_t begin;
	unsigned all = 0, least = UINT32_MAX, most = 0;

	(void)state;
	publish(BACKENDS);
	assert_int_equal(pthread_barrier_init(&begin, NULL, THREADS), 0);
	for (size_t i = 0; i < THREADS; i++) {
		pickers[i].begin = &begin;
		assert_int_equal(pthread_create(&pickers[i].thread, NULL,
				     pick_many, &pickers[i]),
		    0);
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(pickers[i].thread, NULL);
	for (size_t k = 0; k < BACKENDS; k++) {
		unsigned sum = 0;

		for (size_t i = 0; i < THREADS; i++)
			sum += pickers[i].seen[k];
		least = sum < least ? sum : least;
		most = sum > most ? sum : most;
		all += sum;
	}
	assert_int_equal(all, THREADS * PICKS);
	assert_true(most - least <= 1);
	pthread_barrier_destroy(&begin);
}

/* ---- counting ---- */

static uint64_t
counted(uint32_t worker, const struct front *f, unsigned code)
{
	struct code_counts *c = atomic_load(&pool->lanes[worker].codes);
	uint64_t sum = 0;

	for (; c != NULL; c = atomic_load(&c->next))
		if (c->front == f)
			sum += counter_get(&c->code[code]);
	return sum;
}

static void
counts_by_listener_and_code(void **state)
{
	struct front *a = front_create("a"), *b = front_create("b");
	size_t blocks = 0;

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	for (int i = 0; i < 3; i++)
		upstream_count(pool, 0, a, 200);
	upstream_count(pool, 0, b, 200);
	upstream_count(pool, 0, a, 503);
	upstream_count(pool, 1, b, 599);
	upstream_count(pool, 0, b, 200);
	assert_int_equal(counted(0, a, 200), 3);
	assert_int_equal(counted(0, b, 200), 2);
	assert_int_equal(counted(0, a, 503), 1);
	assert_int_equal(counted(0, b, 503), 0);
	assert_int_equal(counted(1, b, 599), 1);
	assert_int_equal(counted(1, a, 200), 0);
	for (struct code_counts *c = atomic_load(&pool->lanes[0].codes);
	     c != NULL; c = atomic_load(&c->next))
		blocks++;
	assert_int_equal(blocks, 2);
	front_free(a);
	front_free(b);
}

struct counting {
	pthread_t thread;
	struct front *fronts[3];
};

static void *
count_many(void *arg)
{
	struct counting *c = arg;

	for (size_t i = 0; i < 3 * 4000; i++)
		upstream_count(pool, 2, c->fronts[i / 4000], 200);
	return NULL;
}

/* Another thread reads while one counts: sums never fall. */
static void
read_while_counted(void **state)
{
	struct counting c = {.fronts = {front_create("a"), front_create("b"),
				 front_create("c")}};
	uint64_t sum = 0, before;

	(void)state;
	assert_int_equal(pthread_create(&c.thread, NULL, count_many, &c), 0);
	while (sum < 3 * 4000) {
		before = sum;
		sum = 0;
		for (size_t i = 0; i < 3; i++)
			sum += counted(2, c.fronts[i], 200);
		assert_true(sum >= before);
	}
	pthread_join(c.thread, NULL);
	assert_int_equal(sum, 3 * 4000);
	for (size_t i = 0; i < 3; i++)
		front_free(c.fronts[i]);
}

static void
freeing_nothing(void **state)
{
	(void)state;
	backend_free(NULL);
	upstream_free(NULL);
	front_free(NULL);
}

#define POOLED(test) \
	cmocka_unit_test_setup_teardown(test, open_pool, close_pool)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    POOLED(lanes_of_their_own),
	    POOLED(nothing_usable),
	    POOLED(in_plain_order),
	    POOLED(by_weight),
	    POOLED(strict_over_threads),
	    POOLED(counts_by_listener_and_code),
	    POOLED(read_while_counted),
	    POOLED(ring_of_all),
	    cmocka_unit_test(freeing_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
