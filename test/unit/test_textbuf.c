/* layer: base */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "evenkeel/base/textbuf.h"

static char room[64];

static struct textbuf
fresh(size_t cap)
{
	memset(room, 0x55, sizeof(room));
	return textbuf_make(room, cap);
}

static void
assert_text(const struct textbuf *t, const char *want)
{
	assert_true(span_equal(textbuf_span(t), span_of(want)));
}

static void
test_puts(void **state)
{
	struct textbuf t = fresh(64);

	(void)state;
	textbuf_lit(&t, "a");
	textbuf_put(&t, SPAN("bc"));
	textbuf_put(&t, SPAN_NONE);
	textbuf_str(&t, "d");
	textbuf_str(&t, NULL);
	textbuf_byte(&t, 'e');
	textbuf_u64(&t, 0);
	textbuf_u64(&t, UINT64_MAX);
	textbuf_byte(&t, ' ');
	textbuf_hex(&t, 0xbeef);
	assert_text(&t, "abcde018446744073709551615 beef");
	assert_false(t.full);
}

static void
test_padded(void **state)
{
	struct textbuf t = fresh(64);

	(void)state;
	textbuf_u64_padded(&t, 7, 3);
	textbuf_byte(&t, ' ');
	textbuf_u64_padded(&t, 1234, 3);
	textbuf_byte(&t, ' ');
	textbuf_u64_padded(&t, 0, 0);
	textbuf_byte(&t, ' ');
	textbuf_u64_padded(&t, 1, 99);
	assert_text(&t, "007 1234 0 00000000000000000001");
}

/* A put that does not fit writes nothing, and neither does a later one. */
static void
test_full(void **state)
{
	struct textbuf t = fresh(4);

	(void)state;
	textbuf_lit(&t, "abcd");
	assert_false(t.full);
	textbuf_put(&t, SPAN_NONE);
	assert_false(t.full);
	textbuf_byte(&t, 'e');
	assert_true(t.full);
	assert_text(&t, "abcd");
	assert_int_equal(room[4], 0x55);

	t = fresh(4);
	textbuf_lit(&t, "ab");
	textbuf_lit(&t, "cde");
	assert_true(t.full);
	textbuf_byte(&t, 'c');
	assert_text(&t, "ab");
	assert_int_equal(room[2], 0x55);

	t = fresh(0);
	assert_false(t.full);
	textbuf_u64(&t, 1);
	assert_true(t.full);
	assert_int_equal(t.len, 0);
}

/* Claimed room is all there, or nothing of it is and the text stays. */
static void
test_claim(void **state)
{
	struct textbuf t = fresh(6);
	char *p;

	(void)state;
	textbuf_lit(&t, "a");
	p = textbuf_claim(&t, 5);
	assert_ptr_equal(p, room + 1);
	p = textbuf_part(textbuf_part(p, SPAN("bc")), SPAN("def"));
	assert_ptr_equal(p, room + 6);
	assert_text(&t, "abcdef");
	assert_int_equal(room[6], 0x55);
	assert_non_null(textbuf_claim(&t, 0));
	assert_false(t.full);
	assert_null(textbuf_claim(&t, 1));
	assert_true(t.full);
	assert_text(&t, "abcdef");

	t = fresh(4);
	assert_null(textbuf_claim(&t, SIZE_MAX));
	assert_null(textbuf_claim(&t, 1));
	assert_int_equal(t.len, 0);
}

static void
test_json(void **state)
{
	struct textbuf t = fresh(64);
	char out[16];

	(void)state;
	textbuf_json(&t, SPAN("a\"b\\c\n\0/\x7f\xff~"));
	assert_text(&t, "a\\\"b\\\\c\\u000a\\u0000/\\u007f\\u00ff~");
	t = fresh(64);
	textbuf_json(&t, SPAN_NONE);
	assert_text(&t, "");
	for (int c = 0; c < 256; c++) {
		char byte = (char)c;

		t = textbuf_make(out, sizeof(out));
		textbuf_json(&t, span_make(&byte, 1));
		if (c == '"' || c == '\\')
			assert_int_equal(t.len, 2);
		else
			assert_int_equal(t.len, c < 0x20 || c > 0x7e ? 6 : 1);
		for (size_t i = 0; i < t.len; i++)
			assert_in_range(out[i], 0x20, 0x7e);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_puts),
	    cmocka_unit_test(test_padded),
	    cmocka_unit_test(test_full),
	    cmocka_unit_test(test_claim),
	    cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
