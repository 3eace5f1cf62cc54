/* layer: config */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "evenkeel/config/arena.h"

#define BLOCKS_MAX 64

struct memory {
	void *blocks[BLOCKS_MAX];
	size_t used;
	size_t allowed; /* requests that are met */
};

static void *
memory_more(void *arg, size_t bytes)
{
	struct memory *m = arg;

	if (m->used == m->allowed)
		return NULL;
	m->blocks[m->used] = calloc(1, bytes);
	assert_non_null(m->blocks[m->used]);
	return m->blocks[m->used++];
}

static void
memory_free(struct memory *m)
{
	for (size_t i = 0; i < m->used; i++)
		free(m->blocks[i]);
}

static void
pieces_are_zeroed_aligned_and_apart(void **state)
{
	struct memory m = {.allowed = BLOCKS_MAX};
	unsigned char *seen[300];
	struct arena a;

	(void)state;
	arena_init(&a, memory_more, &m);
	for (size_t i = 0; i < 300; i++) {
		size_t size = 1 + i % 50;

		seen[i] = arena_get(&a, 3, size);
		assert_non_null(seen[i]);
		assert_int_equal((uintptr_t)seen[i] % _Alignof(max_align_t), 0);
		for (size_t k = 0; k < 3 * size; k++)
			assert_int_equal(seen[i][k], 0);
		memset(seen[i], (int)i, 3 * size);
	}
	for (size_t i = 0; i < 300; i++)
		for (size_t k = 0; k < 3 * (1 + i % 50); k++)
			assert_int_equal(seen[i][k], i % 256);
	assert_false(a.failed);
	/* About 23 kB in blocks of 16. */
	assert_int_equal(m.used, 2);
	memory_free(&m);
}

static void
nothing_has_an_address_of_its_own(void **state)
{
	struct memory m = {.allowed = BLOCKS_MAX};
	struct arena a;
	void *p, *q;

	(void)state;
	arena_init(&a, memory_more, &m);
	p = arena_get(&a, 0, 8);
	q = arena_get(&a, 8, 0);
	assert_non_null(p);
	assert_non_null(q);
	assert_ptr_not_equal(p, q);
	memory_free(&m);
}

static void
large_pieces_do_not_waste_a_block(void **state)
{
	struct memory m = {.allowed = BLOCKS_MAX};
	struct arena a;
	char *before, *large, *after;

	(void)state;
	arena_init(&a, memory_more, &m);
	before = arena_get(&a, 1, 16);
	large = arena_get(&a, 1, 1000000);
	after = arena_get(&a, 1, 16);
	assert_non_null(large);
	large[999999] = 'x';
	assert_ptr_equal(after, before + 16);
	assert_int_equal(m.used, 2);
	memory_free(&m);
}

static void
failure_sticks(void **state)
{
	struct memory m = {.allowed = 1};
	struct arena a;

	(void)state;
	arena_init(&a, memory_more, &m);
	assert_non_null(arena_get(&a, 1, 100));
	assert_null(arena_get(&a, 1, 1000000));
	assert_true(a.failed);
	/* What is left may still be given; the failure is not forgotten. */
	assert_non_null(arena_get(&a, 1, 100));
	assert_true(a.failed);
	memory_free(&m);
}

static void
products_do_not_overflow(void **state)
{
	struct memory m = {.allowed = BLOCKS_MAX};
	struct arena a;

	(void)state;
	arena_init(&a, memory_more, &m);
	assert_null(arena_get(&a, SIZE_MAX / 2 + 1, 2));
	assert_true(a.failed);
	arena_init(&a, memory_more, &m);
	assert_null(arena_get(&a, SIZE_MAX, 1));
	assert_true(a.failed);
	assert_int_equal(m.used, 0);
	memory_free(&m);
}

static void
texts_are_terminated_copies(void **state)
{
	struct memory m = {.allowed = BLOCKS_MAX};
	struct arena a;
	char source[] = "abc";
	const char *copy;

	(void)state;
	arena_init(&a, memory_more, &m);
	copy = arena_text(&a, span_make(source, 2));
	source[0] = 'x';
	assert_string_equal(copy, "ab");
	assert_string_equal(arena_text(&a, SPAN_NONE), "");
	m.allowed = m.used;
	assert_null(arena_text(&a, span_make(source, SIZE_MAX / 2)));
	memory_free(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pieces_are_zeroed_aligned_and_apart),
	    cmocka_unit_test(nothing_has_an_address_of_its_own),
	    cmocka_unit_test(large_pieces_do_not_waste_a_block),
	    cmocka_unit_test(failure_sticks),
	    cmocka_unit_test(products_do_not_overflow),
	    cmocka_unit_test(texts_are_terminated_copies),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
