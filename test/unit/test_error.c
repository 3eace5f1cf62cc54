/* layer: http */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "evenkeel/http/error.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
test_errors_have_texts(void **state)
{
	static const unsigned statuses[] = {400, 405, 414, 417, 431, 501, 505};

	(void)state;
	assert_int_equal(h1_error_status(H1_OK), 0);
	for (int e = H1_OK + 1; e < H1_ERRORS; e++) {
		bool known = false;

		for (size_t i = 0; i < COUNT(statuses); i++)
			known |=
			    h1_error_status((enum h1_error)e) == statuses[i];
		assert_true(known);
		assert_true(strlen(h1_error_text((enum h1_error)e)) > 5);
		for (int f = H1_OK; f < e; f++)
			assert_string_not_equal(h1_error_text((enum h1_error)e),
			    h1_error_text((enum h1_error)f));
	}
	assert_int_equal(h1_error_status(H1_E_METHOD_REFUSED), 405);
	assert_int_equal(h1_error_status(H1_E_LINE_LONG), 414);
	assert_int_equal(h1_error_status(H1_E_EXPECT), 417);
	assert_int_equal(h1_error_status(H1_E_HEAD_LONG), 431);
	assert_int_equal(h1_error_status(H1_E_FIELDS_MANY), 431);
	assert_int_equal(h1_error_status(H1_E_CODING_UNKNOWN), 501);
	assert_int_equal(h1_error_status(H1_E_VERSION_HIGH), 505);
	assert_non_null(h1_error_text(H1_ERRORS));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_errors_have_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
