/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "evenkeel/base/num.h"
#include "evenkeel/base/rng.h"
#include "evenkeel/net/log_ring.h"

#define RECORD_HEAD 8

static char bytes[LOG_RING_LINE_BYTES + 1];

static struct log_ring *
fresh(void)
{
	struct log_ring *r = log_ring_new(NULL, "test");

	assert_non_null(r);
	return r;
}

static bool
put(struct log_ring *r, size_t len)
{
	return log_ring_put(
	    r, LOG_STREAM_LOG, LOG_LEVEL_INFO, 0, span_make(bytes, len));
}

/* The bytes of the n-th line: they depend on its number and place. */
static void
fill(size_t n, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)(n * 31 + i * 7 + (i >> 8));
}

static void
assert_line(const struct log_line *line, size_t n, size_t len)
{
	fill(n, len);
	assert_int_equal(line->first.len + line->second.len, len);
	assert_memory_equal(line->first.ptr, bytes, line->first.len);
	if (line->second.len > 0)
		assert_memory_equal(line->second.ptr, bytes + line->first.len,
		    line->second.len);
}

static size_t
length_of(size_t n)
{
	static const size_t lengths[] = {
	    1, 7, 8, 9, 300, 2048, 16384, LOG_RING_LINE_BYTES};

	return n % 64 == 0 ? lengths[(n / 64) % 8] : 100 + n * 13 % 500;
}

/* Many times around the ring, with a random number of lines in it. */
static void
lines_come_back(void **state)
{
	struct log_ring *r = fresh();
	size_t in = 0, out = 0, split = 0;
	struct log_line line;
	struct rng rng;

	(void)state;
	rng_init(&rng, 1);
	while (out < 60000) {
		for (uint64_t k = rng_upto(&rng, 400); k > 0; k--) {
			fill(in, length_of(in));
			if (!log_ring_put(r, (enum log_stream)(in % 2),
				(enum log_level)(in % 4), (uint8_t)in,
				span_make(bytes, length_of(in))))
				break;
			in++;
		}
		for (uint64_t k = rng_upto(&rng, 400); k > 0; k--) {
			if (!log_ring_peek(r, log_ring_mark(r), &line))
				break;
			assert_line(&line, out, length_of(out));
			assert_int_equal(line.to, out % 2);
			assert_int_equal(line.level, out % 4);
			assert_int_equal(line.stamp_bytes, out % 256);
			split += line.second.len > 0;
			log_ring_pop(r, &line);
			out++;
		}
		assert_true(log_ring_empty(r) == (in == out));
	}
	assert_true(split > 0);
	log_ring_free(r);
}

/* All bytes of the ring can be used, not one more; a refused line leaves no
 * trace but its count. */
static void
full_to_the_byte(void **state)
{
	struct log_ring *r = fresh();
	size_t n = LOG_RING_BYTES / 1024;
	struct log_line line;

	(void)state;
	for (size_t i = 0; i < n; i++)
		assert_true(put(r, 1024 - RECORD_HEAD));
	assert_false(put(r, 1));
	assert_int_equal(atomic_load(&r->dropped), 1);
	assert_true(log_ring_peek(r, log_ring_mark(r), &line));
	log_ring_pop(r, &line);
	assert_false(put(r, 1025 - RECORD_HEAD));
	assert_true(put(r, 1024 - RECORD_HEAD));
	assert_false(put(r, 1));
	assert_int_equal(atomic_load(&r->dropped), 3);
	while (log_ring_peek(r, log_ring_mark(r), &line)) {
		log_ring_pop(r, &line);
		n--;
	}
	assert_int_equal(n, 0);
	log_ring_free(r);
}

static void
too_long(void **state)
{
	struct log_ring *r = fresh();

	(void)state;
	assert_false(put(r, LOG_RING_LINE_BYTES + 1));
	assert_true(put(r, LOG_RING_LINE_BYTES));
	assert_int_equal(atomic_load(&r->dropped), 1);
	log_ring_free(r);
}

static void
crowded_above_half(void **state)
{
	struct log_ring *r = fresh();
	struct log_line line;

	(void)state;
	for (size_t i = 0; i < LOG_RING_BYTES / 2048; i++) {
		assert_false(log_ring_crowded(r));
		assert_true(put(r, 1024 - RECORD_HEAD));
	}
	assert_false(log_ring_crowded(r));
	assert_true(put(r, 1));
	assert_true(log_ring_crowded(r));
	assert_true(log_ring_peek(r, log_ring_mark(r), &line));
	log_ring_pop(r, &line);
	assert_false(log_ring_crowded(r));
	log_ring_free(r);
}

/* A drain ends at its mark, whatever is put meanwhile. */
static void
mark_is_an_end(void **state)
{
	struct log_ring *r = fresh();
	struct log_line line;
	uint64_t mark;

	(void)state;
	assert_true(put(r, 10));
	mark = log_ring_mark(r);
	assert_true(put(r, 20));
	assert_true(log_ring_peek(r, mark, &line));
	log_ring_pop(r, &line);
	assert_false(log_ring_peek(r, mark, &line));
	assert_true(log_ring_peek(r, log_ring_mark(r), &line));
	log_ring_pop(r, &line);
	/* Also when it was passed. */
	assert_false(log_ring_peek(r, mark, &line));
	log_ring_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lines_come_back),
	    cmocka_unit_test(full_to_the_byte),
	    cmocka_unit_test(too_long),
	    cmocka_unit_test(crowded_above_half),
	    cmocka_unit_test(mark_is_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
