/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "evenkeel/control/query.h"

#define NOTHING "(nothing)"

/* The value of "key". */
static const struct sample {
	const char *target;
	const char *value;
} samples[] = {
    {"/p", NOTHING},
    {"/p?", NOTHING},
    {"/p?key", ""},
    {"/p?key=", ""},
    {"/p?key=a", "a"},
    {"/p?key=a=b", "a=b"},
    {"/p?x=y&key=a&&z", "a"},
    {"/p?key=a?b", "a?b"},
    {"/key=a", NOTHING},
    {"/p?keys=a&ke=b&=c", NOTHING},
    {"/p?key=a&key=a", NOTHING},
    {"/p?key&key", NOTHING},
    {"/p?key=%41%2f%2F%00x", "A//"},
    {"/p?key=a+b", "a+b"},
    {"/p?key=%", NOTHING},
    {"/p?key=%4", NOTHING},
    {"/p?key=%g1", NOTHING},
    {"/p?key=%1g", NOTHING},
    {"/p?key=12345678", "12345678"},
    {"/p?key=123456789", NOTHING},
};

static void
values(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		char bytes[9] = {0};
		struct textbuf out = textbuf_make(bytes, 8);
		bool found =
		    query_get(span_of(samples[i].target), SPAN("key"), &out);

		print_message("%s\n", samples[i].target);
		assert_string_equal(found ? bytes : NOTHING, samples[i].value);
	}
}

static void
paths(void **state)
{
	(void)state;
	assert_true(span_equal(query_path(span_of("/a/b?c?d")), SPAN("/a/b")));
	assert_true(span_equal(query_path(span_of("/a")), SPAN("/a")));
	assert_int_equal(query_path(span_of("?x")).len, 0);
}

/* Every byte survives, and none of them means anything on the way. */
static void
there_and_back(void **state)
{
	char all[256], target_bytes[1024], bytes[256];
	struct textbuf target =
	    textbuf_make(target_bytes, sizeof(target_bytes));
	struct textbuf out = textbuf_make(bytes, sizeof(bytes));

	(void)state;
	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	textbuf_lit(&target, "/p?key=");
	query_put(&target, span_make(all, sizeof(all)));
	textbuf_lit(&target, "&x=y");
	assert_false(target.full);
	for (size_t i = 0; i < target.len; i++)
		assert_true(target.ptr[i] > ' ' && target.ptr[i] < 0x7f);
	assert_true(query_get(textbuf_span(&target), SPAN("key"), &out));
	assert_int_equal(out.len, sizeof(all));
	assert_memory_equal(bytes, all, sizeof(all));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(values),
	    cmocka_unit_test(paths),
	    cmocka_unit_test(there_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
