/* layer: base */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "evenkeel/base/span.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
test_make(void **state)
{
	(void)state;
	assert_int_equal(SPAN("abc").len, 3);
	assert_int_equal(SPAN("a\0b").len, 3);
	assert_int_equal(span_of("abc").len, 3);
	assert_int_equal(span_of(NULL).len, 0);
	assert_null(SPAN_NONE.ptr);
	assert_int_equal(span_make("abc", 2).len, 2);
}

static void
test_lower_byte(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		char want = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);

		assert_int_equal(span_lower_byte((char)c), want);
	}
}

static void
test_equal(void **state)
{
	(void)state;
	assert_true(span_equal(SPAN("ab"), SPAN("ab")));
	assert_true(span_equal(SPAN_NONE, SPAN("")));
	assert_true(span_equal(SPAN("a\0b"), SPAN("a\0b")));
	assert_false(span_equal(SPAN("a\0b"), SPAN("a\0c")));
	assert_false(span_equal(SPAN("ab"), SPAN("aB")));
	assert_false(span_equal(SPAN("ab"), SPAN("abc")));
	assert_true(span_equal_nocase(SPAN("aB-9"), SPAN("Ab-9")));
	assert_true(span_equal_nocase(SPAN_NONE, SPAN_NONE));
	assert_false(span_equal_nocase(SPAN("ab"), SPAN("abc")));
	/* Only letters fold: these differ in the same bit. */
	assert_false(span_equal_nocase(SPAN("@"), SPAN("`")));
	assert_false(span_equal_nocase(SPAN("["), SPAN("{")));
	assert_false(span_equal_nocase(SPAN("\xc4"), SPAN("\xe4")));
}

static void
test_prefixes(void **state)
{
	(void)state;
	assert_true(span_starts_with(SPAN("abc"), SPAN("ab")));
	assert_true(span_starts_with(SPAN("abc"), SPAN_NONE));
	assert_true(span_starts_with(SPAN_NONE, SPAN_NONE));
	assert_false(span_starts_with(SPAN("abc"), SPAN("aB")));
	assert_false(span_starts_with(SPAN("a"), SPAN("ab")));
	assert_true(span_starts_with_nocase(SPAN("abc"), SPAN("AB")));
	assert_false(span_starts_with_nocase(SPAN("abc"), SPAN("ac")));
	assert_false(span_starts_with_nocase(SPAN("a"), SPAN("ab")));
	assert_true(span_ends_with_nocase(SPAN("abc"), SPAN("BC")));
	assert_true(span_ends_with_nocase(SPAN("abc"), SPAN_NONE));
	assert_false(span_ends_with_nocase(SPAN("abc"), SPAN("ab")));
	assert_false(span_ends_with_nocase(SPAN("c"), SPAN("bc")));
}

static void
test_find(void **state)
{
	(void)state;
	assert_int_equal(span_find(SPAN("abab"), 'b'), 1);
	assert_int_equal(span_find(SPAN("abab"), 'c'), 4);
	assert_int_equal(span_find(SPAN("a\0b"), '\0'), 1);
	assert_int_equal(span_find(SPAN("\xff"), '\xff'), 0);
	assert_int_equal(span_find(SPAN_NONE, 'a'), 0);
	assert_int_equal(span_find_last(SPAN("abab"), 'b'), 3);
	assert_int_equal(span_find_last(SPAN("abab"), 'a'), 2);
	assert_int_equal(span_find_last(SPAN("abab"), 'c'), 4);
	assert_int_equal(span_find_last(SPAN_NONE, 'a'), 0);
}

static void
test_trim(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"", ""},
	    {" \t ", ""},
	    {"a", "a"},
	    {" \ta b\t ", "a b"},
	    {"\na\r", "\na\r"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_true(span_equal(
		    span_trim(span_of(cases[i].in)), span_of(cases[i].out)));
	assert_int_equal(span_trim(SPAN_NONE).len, 0);
}

static void
test_next_element(void **state)
{
	static const struct {
		const char *list, *elements[5];
	} cases[] = {
	    {"", {"", NULL}},
	    {"a", {"a", NULL}},
	    {" a , b\t,c ", {"a", "b", "c", NULL}},
	    {",", {"", "", NULL}},
	    {",a,", {"", "a", "", NULL}},
	    {"a b;c=\"d\"", {"a b;c=\"d\"", NULL}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct span rest = span_of(cases[i].list), element;
		size_t n = 0;

		while (span_next_element(&rest, &element)) {
			assert_non_null(cases[i].elements[n]);
			assert_true(
			    span_equal(element, span_of(cases[i].elements[n])));
			n++;
		}
		assert_null(cases[i].elements[n]);
		assert_false(span_next_element(&rest, &element));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_make),
	    cmocka_unit_test(test_lower_byte),
	    cmocka_unit_test(test_equal),
	    cmocka_unit_test(test_prefixes),
	    cmocka_unit_test(test_find),
	    cmocka_unit_test(test_trim),
	    cmocka_unit_test(test_next_element),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
