/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "evenkeel/config/arena.h"
#include "evenkeel/net/blocks.h"

#define MANY 1000

/* Zeroed, aligned for anything, and each its own. */
static void
many(void **state)
{
	struct blocks all = {NULL};
	unsigned char *p[MANY];

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		p[i] = blocks_more(&all, i + 1);
		assert_non_null(p[i]);
		assert_int_equal((uintptr_t)p[i] % _Alignof(max_align_t), 0);
		for (size_t k = 0; k <= i; k++)
			assert_int_equal(p[i][k], 0);
		memset(p[i], (int)(i % 255) + 1, i + 1);
	}
	for (size_t i = 0; i < MANY; i++)
		for (size_t k = 0; k <= i; k++)
			assert_int_equal(p[i][k], i % 255 + 1);
	blocks_free(&all);
	assert_null(all.first);
	/* It begins anew, and may be freed twice. */
	assert_non_null(blocks_more(&all, 0));
	blocks_free(&all);
	blocks_free(&all);
}

static void
too_many_bytes(void **state)
{
	struct blocks all = {NULL};

	(void)state;
	assert_null(blocks_more(&all, SIZE_MAX));
	assert_null(blocks_more(&all, SIZE_MAX - 1));
	assert_null(all.first);
	blocks_free(&all);
}

/* What an arena asks for. */
static void
under_an_arena(void **state)
{
	struct blocks all = {NULL};
	struct arena a;

	(void)state;
	arena_init(&a, blocks_more, &all);
	for (size_t i = 0; i < MANY; i++) {
		char *p = arena_get(&a, 1, 100 + i);

		assert_non_null(p);
		memset(p, 'x', 100 + i);
	}
	blocks_free(&all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(many),
	    cmocka_unit_test(too_many_bytes),
	    cmocka_unit_test(under_an_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
