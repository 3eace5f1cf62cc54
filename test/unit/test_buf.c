/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "evenkeel/net/buf.h"

static struct buf_pool pool;

static int
open_pool(void **state)
{
	(void)state;
	buf_pool_init(&pool, 0);
	return 0;
}

static int
close_pool(void **state)
{
	(void)state;
	buf_pool_close(&pool);
	return 0;
}

static struct buf *
get(void)
{
	struct buf *b = buf_get(&pool);

	assert_non_null(b);
	assert_true(buf_ok(b));
	return b;
}

/* `base` bytes of a head, `ready` bytes, a gap and raw bytes, all different. */
static struct buf *
laid_out(uint32_t base, uint32_t ready, uint32_t gap, uint32_t raw)
{
	struct buf *b = get();

	for (uint32_t i = 0; i < b->cap; i++)
		b->data[i] = (char)(i * 7 + (i >> 8));
	b->base = b->start = base;
	b->mid = base + ready;
	b->raw = b->mid + gap;
	b->end = b->raw + raw;
	assert_true(buf_ok(b));
	return b;
}

static char
byte_at(uint32_t i)
{
	return (char)(i * 7 + (i >> 8));
}

static void
last_in_first_out(void **state)
{
	struct buf *a = get(), *b = get();

	(void)state;
	assert_ptr_not_equal(a, b);
	assert_int_equal(pool.n_lent, 2);
	a->end = a->raw = a->mid = a->start = a->base = 17;
	buf_put(&pool, b);
	buf_put(&pool, a);
	assert_int_equal(pool.n_lent, 0);
	assert_int_equal(pool.n_free, 2);
	assert_ptr_equal(get(), a);
	assert_int_equal(a->end + a->raw + a->mid + a->start + a->base, 0);
	assert_ptr_equal(get(), b);
	assert_int_equal(pool.n_free, 0);
	buf_put(&pool, NULL);
	buf_put(&pool, a);
	buf_put(&pool, b);
}

static void
sizes(void **state)
{
	struct buf_pool other;
	struct buf *b = get();

	(void)state;
	assert_int_equal(b->cap, BUF_BYTES);
	assert_int_equal(buf_room(b), BUF_BYTES);
	buf_put(&pool, b);
	buf_pool_init(&other, 3 * BUF_BYTES);
	b = buf_get(&other);
	assert_non_null(b);
	assert_int_equal(b->cap, 3 * BUF_BYTES);
	buf_put(&other, b);
	buf_pool_close(&other);
}

/* After growing nobody gets a small one: neither kept ones nor those that were
 * lent at the time. */
static void
growing(void **state)
{
	struct buf *lent, *b;

	(void)state;
	lent = get();
	buf_put(&pool, get());
	buf_pool_grow(&pool, 2 * BUF_BYTES);
	assert_int_equal(pool.n_free, 0);
	b = get();
	assert_int_equal(b->cap, 2 * BUF_BYTES);
	buf_put(&pool, b);
	buf_put(&pool, lent);
	assert_int_equal(pool.n_free, 1);
	buf_pool_grow(&pool, BUF_BYTES);
	assert_int_equal(pool.n_free, 1);
	b = get();
	assert_int_equal(b->cap, 2 * BUF_BYTES);
	buf_put(&pool, b);
}

static void
keeps_only_so_many(void **state)
{
	static struct buf *lent[BUF_POOL_KEEP + 3];

	(void)state;
	for (size_t i = 0; i < BUF_POOL_KEEP + 3; i++)
		lent[i] = get();
	assert_int_equal(pool.n_lent, BUF_POOL_KEEP + 3);
	for (size_t i = 0; i < BUF_POOL_KEEP + 3; i++)
		buf_put(&pool, lent[i]);
	assert_int_equal(pool.n_lent, 0);
	assert_int_equal(pool.n_free, BUF_POOL_KEEP);
}

static void
lengths(void **state)
{
	struct buf *b = laid_out(10, 20, 5, 30);

	(void)state;
	assert_int_equal(buf_ready_len(b), 20);
	assert_int_equal(buf_raw_len(b), 30);
	assert_int_equal(buf_room(b), b->cap - 65);
	assert_ptr_equal(buf_raw(b), b->data + 35);
	buf_put(&pool, b);
}

static void
the_gap_is_closed(void **state)
{
	struct buf *b = laid_out(10, 20, 5, 300);

	(void)state;
	buf_close_gap(b);
	assert_true(buf_ok(b));
	assert_int_equal(b->base, 10);
	assert_int_equal(b->start, 10);
	assert_int_equal(b->mid, 30);
	assert_int_equal(b->raw, 30);
	assert_int_equal(b->end, 330);
	for (uint32_t i = 0; i < 30; i++)
		assert_int_equal(b->data[i], byte_at(i));
	for (uint32_t i = 30; i < 330; i++)
		assert_int_equal(b->data[i], byte_at(i + 5));
	buf_put(&pool, b);
}

static void
raw_bytes_move_down(void **state)
{
	struct buf *b = laid_out(10, 0, 100, 300);

	(void)state;
	buf_compact(b);
	assert_true(buf_ok(b));
	assert_int_equal(b->base, 10);
	assert_int_equal(b->start, 10);
	assert_int_equal(b->mid, 10);
	assert_int_equal(b->raw, 10);
	assert_int_equal(b->end, 310);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(b->data[i], byte_at(i));
	for (uint32_t i = 10; i < 310; i++)
		assert_int_equal(b->data[i], byte_at(i + 100));
	buf_compact(b);
	assert_int_equal(b->end, 310);
	buf_put(&pool, b);
}

static void
assert_bounds(const struct buf *b, uint32_t start, uint32_t mid, uint32_t raw,
    uint32_t end)
{
	assert_true(buf_ok(b));
	assert_int_equal(b->start, start);
	assert_int_equal(b->mid, mid);
	assert_int_equal(b->raw, raw);
	assert_int_equal(b->end, end);
}

static void
settling(void **state)
{
	struct buf *b = laid_out(10, 20, 5, 30);

	(void)state;
	buf_settle(b);
	assert_bounds(b, 10, 30, 35, 65);
	b->raw = b->end;
	buf_settle(b);
	assert_bounds(b, 10, 30, 30, 30);
	b->start = 29;
	buf_settle(b);
	assert_bounds(b, 29, 30, 30, 30);
	b->start = 30;
	buf_settle(b);
	assert_bounds(b, 10, 10, 10, 10);
	assert_int_equal(b->base, 10);
	buf_put(&pool, b);
}

static void
bounds_out_of_order_are_noticed(void **state)
{
	struct buf good = {.start = 1, .mid = 2, .raw = 3, .end = 4, .cap = 4};
	struct buf bad;

	(void)state;
	assert_true(buf_ok(&good));
	bad = good;
	bad.base = 2;
	assert_false(buf_ok(&bad));
	bad = good;
	bad.start = 3;
	assert_false(buf_ok(&bad));
	bad = good;
	bad.mid = 4;
	assert_false(buf_ok(&bad));
	bad = good;
	bad.raw = 5;
	assert_false(buf_ok(&bad));
	bad = good;
	bad.end = 5;
	assert_false(buf_ok(&bad));
}

#define POOLED(test) \
	cmocka_unit_test_setup_teardown(test, open_pool, close_pool)

/* Few, of their own size, and lent again. */
static void
large_ones_are_few(void **state)
{
	struct buf_pool p;
	struct buf *lent[BUF_LARGE_MAX];

	(void)state;
	buf_pool_init(&p, BUF_BYTES);
	for (size_t i = 0; i < BUF_LARGE_MAX; i++) {
		lent[i] = buf_get_large(&p);
		assert_non_null(lent[i]);
		assert_int_equal(lent[i]->cap, BUF_LARGE_BYTES);
	}
	assert_null(buf_get_large(&p));
	assert_int_equal(p.n_lent, BUF_LARGE_MAX);
	for (size_t i = 0; i < BUF_LARGE_MAX; i++)
		buf_put(&p, lent[i]);
	assert_int_equal(p.n_free_large, BUF_LARGE_KEEP);
	assert_int_equal(p.n_free, 0);
	lent[0] = buf_get_large(&p);
	assert_non_null(lent[0]);
	assert_int_equal(p.n_free_large, BUF_LARGE_KEEP - 1);
	buf_put(&p, lent[0]);
	buf_pool_close(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    POOLED(last_in_first_out),
	    POOLED(sizes),
	    POOLED(growing),
	    POOLED(keeps_only_so_many),
	    POOLED(lengths),
	    POOLED(the_gap_is_closed),
	    POOLED(raw_bytes_move_down),
	    POOLED(settling),
	    cmocka_unit_test(bounds_out_of_order_are_noticed),
	    cmocka_unit_test(large_ones_are_few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
