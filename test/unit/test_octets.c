/* layer: http */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* The scans as they are on machines without SSE2; the others are met byte by
 * byte in test_head. */
#define OCTETS_PORTABLE
#include "evenkeel/http/octets.h"

#include "evenkeel/base/rng.h"

static bool
is_tchar(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z') ||
	    (c > 0 && c < 0x80 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool
is_reg_name(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z') ||
	    (c > 0 && c < 0x80 && strchr("-._~!$&'()*+;=", c) != NULL);
}

static void
test_classes(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		assert_int_equal(octets_is((char)c, OCTETS_TOKEN), is_tchar(c));
		assert_int_equal(octets_is((char)c, OCTETS_TARGET),
		    c > 0x20 && c < 0x7f && c != '#');
		assert_int_equal(
		    octets_is((char)c, OCTETS_REG_NAME), is_reg_name(c));
		assert_int_equal(octets_is_text((char)c),
		    c == '\t' || (c >= 0x20 && c != 0x7f));
	}
}

/* Where a byte-by-byte reader stops, so does each scan. */
static void
test_scans(void **state)
{
	struct rng r;
	char text[64];

	(void)state;
	rng_init(&r, 7);
	for (int round = 0; round < 20000; round++) {
		size_t len = (size_t)rng_upto(&r, sizeof(text)), n[3] = {0};
		uint64_t mode = rng_upto(&r, 2);

		for (size_t i = 0; i < len; i++)
			text[i] = rng_upto(&r, 20) > 0 && mode > 0
			    ? "aZ09-\xff \t"[rng_upto(&r, mode == 1 ? 7 : 4)]
			    : (char)rng_next(&r);
		while (n[0] < len && octets_is(text[n[0]], OCTETS_TOKEN))
			n[0]++;
		while (n[1] < len && octets_is(text[n[1]], OCTETS_TARGET))
			n[1]++;
		while (n[2] < len && octets_is_text(text[n[2]]))
			n[2]++;
		assert_ptr_equal(
		    octets_skip_token(text, text + len), text + n[0]);
		assert_ptr_equal(
		    octets_skip_target(text, text + len), text + n[1]);
		assert_ptr_equal(
		    octets_skip_text(text, text + len), text + n[2]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_classes),
	    cmocka_unit_test(test_scans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
