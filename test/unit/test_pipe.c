/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/resource.h>
#include <unistd.h>

#include "evenkeel/net/pipe.h"

static void
lent_and_given_back(void **state)
{
	struct pipe_pool pool;
	struct pipe *a, *b;

	(void)state;
	pipe_pool_init(&pool, 2);
	a = pipe_get(&pool);
	b = pipe_get(&pool);
	assert_non_null(a);
	assert_non_null(b);
	assert_true(a->cap >= PIPE_MIN_BYTES && a->len == 0);
	assert_null(pipe_get(&pool));
	pipe_put(&pool, b);
	pipe_put(&pool, NULL);
	/* The one that came back last is the next. */
	assert_ptr_equal(pipe_get(&pool), b);
	pipe_put(&pool, a);
	pipe_put(&pool, b);
	pipe_pool_close(&pool);
}

static void
closed_when_not_empty(void **state)
{
	struct pipe_pool pool;
	struct pipe *a;
	int fd;

	(void)state;
	pipe_pool_init(&pool, 1);
	a = pipe_get(&pool);
	assert_non_null(a);
	fd = a->in;
	assert_int_equal(write(a->in, "left", 4), 4);
	a->len = 4;
	pipe_put(&pool, a);
	assert_int_equal(pool.n_free, 0);
	assert_int_equal(write(fd, "x", 1), -1);
	a = pipe_get(&pool);
	assert_non_null(a);
	assert_int_equal(a->len, 0);
	pipe_put(&pool, a);
	pipe_pool_close(&pool);
}

static void
few_are_kept(void **state)
{
	struct pipe_pool pool;
	struct pipe *lent[PIPE_POOL_KEEP + 2];

	(void)state;
	pipe_pool_init(&pool, PIPE_POOL_MAX);
	for (size_t i = 0; i < PIPE_POOL_KEEP + 2; i++) {
		lent[i] = pipe_get(&pool);
		assert_non_null(lent[i]);
	}
	for (size_t i = 0; i < PIPE_POOL_KEEP + 2; i++)
		pipe_put(&pool, lent[i]);
	assert_int_equal(pool.n_free, PIPE_POOL_KEEP);
	assert_int_equal(pool.n_lent, 0);
	pipe_pool_close(&pool);
}

/* The system is asked again, but not each time. */
static void
no_descriptors(void **state)
{
	struct rlimit before, none;
	struct pipe_pool pool;
	struct pipe *a;

	(void)state;
	pipe_pool_init(&pool, 4);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_null(pipe_get(&pool));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	for (uint32_t i = 0; i < PIPE_POOL_PAUSE; i++)
		assert_null(pipe_get(&pool));
	a = pipe_get(&pool);
	assert_non_null(a);
	pipe_put(&pool, a);
	pipe_pool_close(&pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lent_and_given_back),
	    cmocka_unit_test(closed_when_not_empty),
	    cmocka_unit_test(few_are_kept),
	    cmocka_unit_test(no_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
