/* layer: base */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "evenkeel/base/num.h"
#include "evenkeel/base/rng.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define UNTOUCHED    0x5555

static void
test_parse(void **state)
{
	static const struct {
		struct span text;
		uint64_t max;
		bool good;
		uint64_t value;
	} cases[] = {
	    {SPAN("0"), 0, true, 0},
	    {SPAN("007"), 7, true, 7},
	    {SPAN("8"), 7, false, 0},
	    {SPAN("10"), 9, false, 0},
	    {SPAN("10"), 10, true, 10},
	    {SPAN("99"), 100, true, 99},
	    {SPAN("101"), 100, false, 0},
	    {SPAN("65535"), 65535, true, 65535},
	    {SPAN("65536"), 65535, false, 0},
	    {SPAN("18446744073709551615"), UINT64_MAX, true, UINT64_MAX},
	    {SPAN("18446744073709551616"), UINT64_MAX, false, 0},
	    {SPAN("99999999999999999999999"), UINT64_MAX, false, 0},
	    {SPAN("00000000000000000000000000"), 0, true, 0},
	    {SPAN(""), UINT64_MAX, false, 0},
	    {SPAN("+1"), UINT64_MAX, false, 0},
	    {SPAN("-1"), UINT64_MAX, false, 0},
	    {SPAN(" 1"), UINT64_MAX, false, 0},
	    {SPAN("1 "), UINT64_MAX, false, 0},
	    {SPAN("1\0"), UINT64_MAX, false, 0},
	    {SPAN("0x1"), UINT64_MAX, false, 0},
	    {SPAN("1a"), UINT64_MAX, false, 0},
	    {SPAN("\xb2"), UINT64_MAX, false, 0},
	    {SPAN("/"), UINT64_MAX, false, 0},
	    {SPAN(":"), UINT64_MAX, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint64_t value = UNTOUCHED;

		assert_int_equal(
		    num_parse_u64(cases[i].text, cases[i].max, &value),
		    cases[i].good);
		assert_true(
		    value == (cases[i].good ? cases[i].value : UNTOUCHED));
	}
}

static void
test_hex_digit(void **state)
{
	static const char digits[] = "0123456789abcdef";

	(void)state;
	for (int c = 0; c < 256; c++) {
		const char *at =
		    c ? strchr(digits, span_lower_byte((char)c)) : NULL;

		assert_int_equal(num_hex_digit((char)c),
		    at != NULL ? (int)(at - digits) : -1);
	}
}

static void
check_put(uint64_t value)
{
	char out[NUM_U64_DIGITS], want[32];
	int n = snprintf(want, sizeof(want), "%" PRIu64, value);
	uint64_t again = UNTOUCHED;

	assert_int_equal(num_put_u64(out, value), n);
	assert_memory_equal(out, want, (size_t)n);
	assert_true(
	    num_parse_u64(span_make(out, (size_t)n), UINT64_MAX, &again));
	assert_true(again == value);
	n = snprintf(want, sizeof(want), "%" PRIx64, value);
	assert_int_equal(num_put_hex(out, value), n);
	assert_memory_equal(out, want, (size_t)n);
	(void)snprintf(want, sizeof(want), "%016" PRIx64, value);
	num_put_hex_padded(out, value);
	assert_memory_equal(out, want, NUM_HEX_DIGITS);
}

static void
test_put(void **state)
{
	struct rng r;

	(void)state;
	for (uint64_t v = 0; v < 1100; v++)
		check_put(v);
	for (unsigned bit = 0; bit < 64; bit++) {
		check_put(1ULL << bit);
		check_put((1ULL << bit) - 1);
	}
	check_put(UINT64_MAX);
	rng_init(&r, 1);
	for (int i = 0; i < 1000; i++)
		check_put(rng_next(&r) >> rng_upto(&r, 63));
}

static void
test_capped(void **state)
{
	(void)state;
	assert_true(num_add_capped(1, 2) == 3);
	assert_true(num_add_capped(UINT64_MAX - 1, 1) == UINT64_MAX);
	assert_true(num_add_capped(UINT64_MAX, 1) == UINT64_MAX);
	assert_true(num_add_capped(UINT64_MAX, UINT64_MAX) == UINT64_MAX);
	assert_true(num_mul_capped(0, UINT64_MAX) == 0);
	assert_true(num_mul_capped(UINT64_MAX, 0) == 0);
	assert_true(num_mul_capped(UINT64_MAX, 1) == UINT64_MAX);
	assert_true(num_mul_capped(1ULL << 32, 1ULL << 31) == 1ULL << 63);
	assert_true(num_mul_capped(1ULL << 32, 1ULL << 32) == UINT64_MAX);
	assert_true(num_mul_capped(UINT64_MAX / 3, 3) == UINT64_MAX);
	assert_true(num_mul_capped(UINT64_MAX / 3 + 1, 3) == UINT64_MAX);
}

static void
test_min_max(void **state)
{
	(void)state;
	assert_true(num_min_u64(1, 2) == 1 && num_min_u64(2, 1) == 1);
	assert_true(num_max_u64(1, 2) == 2 && num_max_u64(2, 1) == 2);
	assert_true(num_min_size(1, 2) == 1 && num_min_size(2, 1) == 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_hex_digit),
	    cmocka_unit_test(test_put),
	    cmocka_unit_test(test_capped),
	    cmocka_unit_test(test_min_max),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
