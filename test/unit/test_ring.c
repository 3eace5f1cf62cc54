/* layer: policy */
#include "evenkeel/policy/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define BACKENDS 10
#define KEYS     20000

struct made {
	uint64_t names[BACKENDS];
	uint32_t turns[BACKENDS];
	uint32_t per_turn;
	size_t count;
	struct ring_point *points;
};

static void
make(struct made *m, size_t n, const uint32_t *turns)
{
	m->count = 0;
	for (size_t i = 0; i < n; i++) {
		char name[32];

		snprintf(name, sizeof(name), "backend%zu", i);
		m->names[i] = ring_hash(span_of(name));
		m->turns[i] = turns == NULL ? 1 : turns[i];
	}
	m->per_turn = ring_points_per_turn(m->turns, n);
	for (size_t i = 0; i < n; i++)
		m->count += (size_t)m->turns[i] * m->per_turn;
	m->points = calloc(m->count, sizeof(*m->points));
	assert_non_null(m->points);
	ring_build(m->points, m->names, m->turns, n, m->per_turn);
}

static uint32_t
owner(const struct made *m, unsigned key)
{
	char text[32];

	snprintf(text, sizeof(text), "key%u", key);
	return m
	    ->points[ring_find(m->points, m->count, ring_hash(span_of(text)))]
	    .owner;
}

static void
is_sorted(void **state)
{
	struct made m;

	(void)state;
	make(&m, BACKENDS, NULL);
	assert_int_equal(m.count, BACKENDS * RING_POINTS);
	for (size_t i = 1; i < m.count; i++)
		assert_true(m.points[i - 1].at <= m.points[i].at);
	free(m.points);
}

static void
finds_the_first_at_or_behind(void **state)
{
	static const struct ring_point p[] = {{10, 0}, {20, 1}, {30, 2}};

	(void)state;
	assert_int_equal(ring_find(p, 3, 0), 0);
	assert_int_equal(ring_find(p, 3, 10), 0);
	assert_int_equal(ring_find(p, 3, 11), 1);
	assert_int_equal(ring_find(p, 3, 30), 2);
	assert_int_equal(ring_find(p, 3, 31), 0);
	assert_int_equal(ring_find(p, 1, UINT64_MAX), 0);
}

/* Shares are level to a quarter, and follow the weights. */
static void
shares(void **state)
{
	static const uint32_t turns[3] = {1, 2, 1};
	unsigned seen[BACKENDS] = {0};
	struct made m;

	(void)state;
	make(&m, BACKENDS, NULL);
	for (unsigned k = 0; k < KEYS; k++)
		seen[owner(&m, k)]++;
	for (size_t i = 0; i < BACKENDS; i++)
		assert_in_range(
		    seen[i], KEYS / BACKENDS * 3 / 4, KEYS / BACKENDS * 5 / 4);
	free(m.points);
	make(&m, 3, turns);
	seen[0] = seen[1] = seen[2] = 0;
	for (unsigned k = 0; k < KEYS; k++)
		seen[owner(&m, k)]++;
	assert_in_range(seen[1], KEYS * 2 / 5, KEYS * 3 / 5);
	free(m.points);
}

/* When one of B leaves, its keys move and no others. */
static void
little_moves(void **state)
{
	struct made all, fewer;
	unsigned moved = 0;

	(void)state;
	make(&all, BACKENDS, NULL);
	make(&fewer, BACKENDS - 1, NULL);
	for (unsigned k = 0; k < KEYS; k++) {
		uint32_t before = owner(&all, k), after = owner(&fewer, k);

		if (before == after)
			continue;
		assert_int_equal(before, BACKENDS - 1);
		moved++;
	}
	assert_in_range(
	    moved, KEYS / BACKENDS * 3 / 4, KEYS / BACKENDS * 5 / 4);
	free(all.points);
	free(fewer.points);
}

static void
points_are_bounded(void **state)
{
	static uint32_t many[100000];

	(void)state;
	for (size_t i = 0; i < 100000; i++)
		many[i] = 1;
	assert_int_equal(ring_points_per_turn(many, 10), RING_POINTS);
	assert_int_equal(ring_points_per_turn(many, 100000), RING_POINTS_MIN);
	assert_int_equal(ring_points_per_turn(many, 0), RING_POINTS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(is_sorted),
	    cmocka_unit_test(finds_the_first_at_or_behind),
	    cmocka_unit_test(shares),
	    cmocka_unit_test(little_moves),
	    cmocka_unit_test(points_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
