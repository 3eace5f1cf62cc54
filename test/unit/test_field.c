/* layer: http */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "evenkeel/http/field.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *name;
	enum h1_field_id id;
} names[] = {
    {"Host", H1_FIELD_HOST},
    {"Content-Length", H1_FIELD_CONTENT_LENGTH},
    {"Transfer-Encoding", H1_FIELD_TRANSFER_ENCODING},
    {"Connection", H1_FIELD_CONNECTION},
    {"Keep-Alive", H1_FIELD_KEEP_ALIVE},
    {"Proxy-Connection", H1_FIELD_PROXY_CONNECTION},
    {"TE", H1_FIELD_TE},
    {"Trailer", H1_FIELD_TRAILER},
    {"Upgrade", H1_FIELD_UPGRADE},
    {"HTTP2-Settings", H1_FIELD_HTTP2_SETTINGS},
    {"Proxy-Authenticate", H1_FIELD_PROXY_AUTHENTICATE},
    {"Proxy-Authorization", H1_FIELD_PROXY_AUTHORIZATION},
    {"Expect", H1_FIELD_EXPECT},
    {"Via", H1_FIELD_VIA},
    {"X-Forwarded-For", H1_FIELD_X_FORWARDED},
    {"X-Forwarded-Proto", H1_FIELD_X_FORWARDED},
    {"X-Forwarded-Something-Quite-Long", H1_FIELD_X_FORWARDED},
    {"X-Forwarded-", H1_FIELD_X_FORWARDED},
    {"Forwarded", H1_FIELD_FORWARDED},
    {"X-Request-Id", H1_FIELD_X_REQUEST_ID},
    {"X-Client-Cert-Subject", H1_FIELD_X_CLIENT_CERT_SUBJECT},
    {"Idempotency-Key", H1_FIELD_IDEMPOTENCY_KEY},
    {"Retry-After", H1_FIELD_RETRY_AFTER},
    {"Authorization", H1_FIELD_AUTHORIZATION},
    {"User-Agent", H1_FIELD_USER_AGENT},
    {"Referer", H1_FIELD_REFERER},
    {"Date", H1_FIELD_DATE},
};

static enum h1_field_id
lookup(const char *name, size_t len, bool *underscore)
{
	char exact[64];

	memcpy(exact, name, len);
	*underscore = true;
	return h1_field_lookup(span_make(exact, len), underscore);
}

static void
test_known_names(void **state)
{
	bool underscore;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		size_t len = strlen(names[i].name);
		char text[64];

		assert_int_equal(
		    lookup(names[i].name, len, &underscore), names[i].id);
		assert_false(underscore);
		for (size_t k = 0; k < len; k++)
			text[k] = span_lower_byte(names[i].name[k]);
		assert_int_equal(lookup(text, len, &underscore), names[i].id);
		for (size_t k = 0; k < len; k++)
			if (text[k] >= 'a' && text[k] <= 'z')
				text[k] = (char)(text[k] - 0x20);
		assert_int_equal(lookup(text, len, &underscore), names[i].id);
		assert_false(underscore);
	}
}

/* Each hyphen alone and all together. */
static void
test_underscores(void **state)
{
	bool underscore;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		size_t len = strlen(names[i].name);
		char text[64], all[64];
		bool any = false;

		memcpy(all, names[i].name, len);
		for (size_t k = 0; k < len; k++) {
			if (names[i].name[k] != '-')
				continue;
			memcpy(text, names[i].name, len);
			text[k] = all[k] = '_';
			any = true;
			assert_int_equal(
			    lookup(text, len, &underscore), names[i].id);
			assert_true(underscore);
		}
		assert_int_equal(lookup(all, len, &underscore), names[i].id);
		assert_int_equal(underscore, any);
	}
	assert_int_equal(lookup("X-Forwarded-For_Real", 20, &underscore),
	    H1_FIELD_X_FORWARDED);
	assert_true(underscore);
}

/* One byte changed to any other tchar: never the same name. */
static void
test_near_misses(void **state)
{
	bool underscore;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		size_t len = strlen(names[i].name);
		/* Behind the prefix anything goes. */
		size_t fixed = names[i].id == H1_FIELD_X_FORWARDED ? 12 : len;
		char text[64];

		for (size_t k = 0; k < fixed; k++)
			for (int c = 0; c < 128; c++) {
				char was = names[i].name[k];

				memcpy(text, names[i].name, len);
				text[k] = (char)c;
				if (!h1_is_token(span_make(text, len)) ||
				    span_lower_byte((char)c) ==
					span_lower_byte(was) ||
				    (was == '-' && c == '_'))
					continue;
				assert_int_not_equal(
				    lookup(text, len, &underscore),
				    names[i].id);
				assert_false(underscore);
			}
		if (fixed == len)
			assert_int_not_equal(
			    lookup(names[i].name, len - 1, &underscore),
			    names[i].id);
	}
	assert_int_equal(h1_field_lookup(SPAN_NONE, &underscore), 0);
	assert_int_equal(lookup("X-Forwarded", 11, &underscore), 0);
	assert_int_equal(lookup("X", 1, &underscore), 0);
	assert_int_equal(lookup("X-Client-Cert-Subject2", 22, &underscore), 0);
	assert_int_equal(lookup("Proxy-AuthorizationX", 20, &underscore), 0);
}

static void
test_tokens(void **state)
{
	(void)state;
	assert_true(h1_is_token(SPAN("a")));
	assert_true(h1_is_token(SPAN("!#$%&'*+-.^_`|~0123456789ABCxyz")));
	assert_false(h1_is_token(SPAN_NONE));
	assert_false(h1_is_token(SPAN("a b")));
	assert_false(h1_is_token(SPAN("0123456789012345678901234567890\"")));
	assert_false(h1_is_token(SPAN("\x80")));
	assert_false(h1_is_token(SPAN("a\0")));
}

static void
test_lines(void **state)
{
	static const struct {
		struct span line;
		enum h1_error error;
		const char *name, *value;
	} lines[] = {
	    {SPAN("X: y"), H1_OK, "X", "y"},
	    {SPAN("X:"), H1_OK, "X", ""},
	    {SPAN("X:\t a \tb \t"), H1_OK, "X", "a \tb"},
	    {SPAN("X:y:z"), H1_OK, "X", "y:z"},
	    {SPAN("X: \xff"), H1_OK, "X", "\xff"},
	    {SPAN(""), H1_E_FIELD_NAME, NULL, NULL},
	    {SPAN(":"), H1_E_FIELD_NAME, NULL, NULL},
	    {SPAN("X"), H1_E_FIELD_NAME, NULL, NULL},
	    {SPAN("X : y"), H1_E_FIELD_NAME, NULL, NULL},
	    {SPAN("X Y: y"), H1_E_FIELD_NAME, NULL, NULL},
	    {SPAN(" X: y"), H1_E_FOLD, NULL, NULL},
	    {SPAN("\tX: y"), H1_E_FOLD, NULL, NULL},
	    {SPAN("X: \0"), H1_E_FIELD_VALUE, NULL, NULL},
	    {SPAN("X: \x7f"), H1_E_FIELD_VALUE, NULL, NULL},
	    {SPAN("X: a\r"), H1_E_LINE_END, NULL, NULL},
	    {SPAN("X: a\nb"), H1_E_LINE_END, NULL, NULL},
	};
	struct h1_field f;

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		const char *base = lines[i].line.ptr;

		assert_int_equal(
		    h1_field_line(lines[i].line, &f), lines[i].error);
		if (lines[i].error != H1_OK)
			continue;
		assert_true(span_equal(span_make(base + f.name.off, f.name.len),
		    span_of(lines[i].name)));
		assert_true(
		    span_equal(span_make(base + f.value.off, f.value.len),
			span_of(lines[i].value)));
	}
	assert_int_equal(h1_field_line(SPAN("content_length: 1"), &f), H1_OK);
	assert_int_equal(f.id, H1_FIELD_CONTENT_LENGTH);
	assert_true(f.underscore);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_known_names),
	    cmocka_unit_test(test_underscores),
	    cmocka_unit_test(test_near_misses),
	    cmocka_unit_test(test_tokens),
	    cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
