/* layer: http */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "evenkeel/http/head.h"
#include "h1_samples.h"

#define FIELDS       100
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct h1_limits wide = {.head_bytes = 16384, .fields = FIELDS};

/* A parser and its fields, and an exact copy of the bytes it may see, so that
 * a sanitizer catches a look behind them. */
struct run {
	struct h1_head h;
	struct h1_field fields[H1_FIELDS_MAX];
	enum h1_result result;
};

static void
begin(struct run *r, enum h1_kind kind, const struct h1_limits *limits)
{
	memset(r, 0, sizeof(*r));
	h1_head_init(&r->h, kind, limits, r->fields);
	r->result = H1_MORE;
}

static void
feed(struct run *r, const char *text, size_t len)
{
	char *exact = malloc(len > 0 ? len : 1);

	assert_non_null(exact);
	memcpy(exact, text, len);
	r->result = h1_head_parse(&r->h, exact, len);
	free(exact);
}

static void
parse(struct run *r, enum h1_kind kind, const struct h1_limits *limits,
    const char *text, size_t len)
{
	begin(r, kind, limits);
	feed(r, text, len);
}

static void
assert_same_text(struct h1_text a, struct h1_text b)
{
	assert_int_equal(a.off, b.off);
	assert_int_equal(a.len, b.len);
}

static void
assert_same(const struct run *a, const struct run *b)
{
	assert_int_equal(a->result, b->result);
	assert_int_equal(a->h.error, b->h.error);
	assert_int_equal(a->h.method, b->h.method);
	assert_int_equal(a->h.minor, b->h.minor);
	assert_int_equal(a->h.status, b->h.status);
	assert_int_equal(a->h.start, b->h.start);
	assert_int_equal(a->h.pos, b->h.pos);
	assert_int_equal(a->h.len, b->h.len);
	assert_same_text(a->h.method_text, b->h.method_text);
	assert_same_text(a->h.target, b->h.target);
	assert_same_text(a->h.reason, b->h.reason);
	assert_int_equal(a->h.n_fields, b->h.n_fields);
	for (uint32_t i = 0; i < a->h.n_fields; i++) {
		assert_same_text(a->fields[i].name, b->fields[i].name);
		assert_same_text(a->fields[i].value, b->fields[i].value);
		assert_int_equal(a->fields[i].id, b->fields[i].id);
		assert_int_equal(
		    a->fields[i].underscore, b->fields[i].underscore);
	}
}

/* ---- the verdict does not depend on how the bytes were cut ---- */

static void
check_cuts(enum h1_kind kind, const struct h1_limits *limits, const char *text,
    size_t len)
{
	static struct run whole, cut;

	parse(&whole, kind, limits, text, len);
	begin(&cut, kind, limits);
	for (size_t n = 0; n <= len && cut.result == H1_MORE; n++)
		feed(&cut, text, n);
	assert_same(&whole, &cut);
	for (size_t n = 0; n <= len; n++) {
		begin(&cut, kind, limits);
		feed(&cut, text, n);
		if (cut.result == H1_MORE)
			feed(&cut, text, len);
		assert_same(&whole, &cut);
	}
}

static void
test_cuts(void **state)
{
	(void)state;
	assert_true(H1_REQUESTS >= 60 && H1_RESPONSES >= 30);
	for (size_t i = 0; i < H1_REQUESTS; i++)
		check_cuts(
		    H1_REQUEST, &wide, h1_requests[i].text, h1_requests[i].len);
	for (size_t i = 0; i < H1_RESPONSES; i++)
		check_cuts(H1_RESPONSE, &wide, h1_responses[i].text,
		    h1_responses[i].len);
}

/* Small limits too: what is behind them must not matter. */
static void
test_cuts_at_limits(void **state)
{
	(void)state;
	for (uint32_t bytes = 1; bytes < 60; bytes++) {
		struct h1_limits limits = {
		    .head_bytes = bytes, .fields = 1 + bytes % 3};

		for (size_t i = 0; i < H1_REQUESTS; i += 7)
			check_cuts(H1_REQUEST, &limits, h1_requests[i].text,
			    h1_requests[i].len);
		for (size_t i = 0; i < H1_RESPONSES; i += 7)
			check_cuts(H1_RESPONSE, &limits, h1_responses[i].text,
			    h1_responses[i].len);
	}
}

/* A valid head is never refused before it is whole, and never done. */
static void
test_prefixes_of_valid_heads(void **state)
{
	static struct run r;

	(void)state;
	for (size_t i = 0; i < H1_REQUESTS; i++) {
		const struct h1_sample *s = &h1_requests[i];

		parse(&r, H1_REQUEST, &wide, s->text, s->len);
		if (r.result != H1_DONE)
			continue;
		assert_in_range(r.h.len, 1, s->len);
		for (size_t n = 0, len = r.h.len; n < len; n++) {
			parse(&r, H1_REQUEST, &wide, s->text, n);
			assert_int_equal(r.result, H1_MORE);
			assert_int_equal(r.h.pos, n);
		}
	}
}

static bool
is_head_error(enum h1_error e)
{
	return e > H1_OK && e < H1_E_HOST;
}

static void
test_verdicts(void **state)
{
	static struct run r;

	(void)state;
	for (size_t i = 0; i < H1_REQUESTS; i++) {
		const struct h1_sample *s = &h1_requests[i];

		parse(&r, H1_REQUEST, &wide, s->text, s->len);
		/* Target forms are judged by framing. */
		if (r.result == H1_DONE && s->error == H1_E_TARGET)
			continue;
		if (is_head_error(s->error) != (r.result == H1_BAD) ||
		    (r.result == H1_BAD && r.h.error != s->error))
			fail_msg("%s: got %s, want %s", s->text,
			    h1_error_text(r.h.error), h1_error_text(s->error));
	}
	for (size_t i = 0; i < H1_RESPONSES; i++) {
		const struct h1_sample *s = &h1_responses[i];

		parse(&r, H1_RESPONSE, &wide, s->text, s->len);
		if (is_head_error(s->error) != (r.result == H1_BAD) ||
		    (r.result == H1_BAD && r.h.error != s->error))
			fail_msg("%s: got %s, want %s", s->text,
			    h1_error_text(r.h.error), h1_error_text(s->error));
	}
}

/* ---- what is found ---- */

#define assert_text_is(text, base, want) \
	assert_true(span_equal(h1_span(text, base), SPAN(want)))

static void
test_request_parts(void **state)
{
	static const char text[] =
	    "\r\nPATCH /a?b HTTP/1.0\r\nHost:\t lb.test \t"
	    "\r\nX_Forwarded_For:x\r\nE:\r\n\r\nrest";
	static struct run r;

	(void)state;
	begin(&r, H1_REQUEST, &wide);
	r.result = h1_head_parse(&r.h, text, sizeof(text) - 1);
	assert_int_equal(r.result, H1_DONE);
	assert_int_equal(r.h.start, 2);
	assert_int_equal(r.h.len, sizeof(text) - 1 - 4);
	assert_int_equal(r.h.method, H1_METHOD_PATCH);
	assert_int_equal(r.h.minor, 0);
	assert_text_is(r.h.method_text, text, "PATCH");
	assert_text_is(r.h.target, text, "/a?b");
	assert_int_equal(r.h.n_fields, 3);
	assert_text_is(r.fields[0].name, text, "Host");
	assert_text_is(r.fields[0].value, text, "lb.test");
	assert_int_equal(r.fields[1].id, H1_FIELD_X_FORWARDED);
	assert_true(r.fields[1].underscore);
	assert_text_is(r.fields[1].value, text, "x");
	assert_int_equal(r.fields[2].value.len, 0);
	assert_ptr_equal(h1_head_find(&r.h, H1_FIELD_HOST), &r.fields[0]);
	assert_null(h1_head_find(&r.h, H1_FIELD_X_FORWARDED));
	assert_null(h1_head_find(&r.h, H1_FIELD_DATE));
}

static void
test_response_parts(void **state)
{
	static const char text[] =
	    "HTTP/1.1 404 Not \tthere \r\nDate: x\r\n\r\n";
	static const char bare[] = "HTTP/1.0 200\r\n\r\n";
	static struct run r;

	(void)state;
	begin(&r, H1_RESPONSE, &wide);
	assert_int_equal(h1_head_parse(&r.h, text, sizeof(text) - 1), H1_DONE);
	assert_int_equal(r.h.status, 404);
	assert_int_equal(r.h.minor, 1);
	assert_int_equal(r.h.len, sizeof(text) - 1);
	assert_text_is(r.h.reason, text, "Not \tthere ");
	assert_int_equal(r.fields[0].id, H1_FIELD_DATE);
	begin(&r, H1_RESPONSE, &wide);
	assert_int_equal(h1_head_parse(&r.h, bare, sizeof(bare) - 1), H1_DONE);
	assert_int_equal(r.h.reason.len, 0);
	assert_int_equal(r.h.minor, 0);
}

static void
test_methods(void **state)
{
	static const struct {
		const char *text;
		enum h1_method method;
		bool idempotent;
	} methods[] = {
	    {"GET", H1_METHOD_GET, true},
	    {"HEAD", H1_METHOD_HEAD, true},
	    {"POST", H1_METHOD_POST, false},
	    {"PUT", H1_METHOD_PUT, true},
	    {"DELETE", H1_METHOD_DELETE, true},
	    {"OPTIONS", H1_METHOD_OPTIONS, true},
	    {"PATCH", H1_METHOD_PATCH, false},
	    {"CONNECT", H1_METHOD_CONNECT, false},
	    {"TRACE", H1_METHOD_TRACE, true},
	    {"get", H1_METHOD_OTHER, false},
	    {"GETS", H1_METHOD_OTHER, false},
	    {"PUSH", H1_METHOD_OTHER, false},
	    {"PURGE", H1_METHOD_OTHER, false},
	    {"SEARCH", H1_METHOD_OTHER, false},
	    {"VERSION", H1_METHOD_OTHER, false},
	    {"G", H1_METHOD_OTHER, false},
	    {"FOO", H1_METHOD_OTHER, false},
	};
	static struct run r;
	char text[64];

	(void)state;
	for (size_t i = 0; i < COUNT(methods); i++) {
		int n = snprintf(text, sizeof(text), "%s / HTTP/1.1\r\n\r\n",
		    methods[i].text);

		parse(&r, H1_REQUEST, &wide, text, (size_t)n);
		assert_int_equal(r.result, H1_DONE);
		assert_int_equal(r.h.method, methods[i].method);
		assert_int_equal(h1_method_idempotent(methods[i].method),
		    methods[i].idempotent);
	}
}

/* ---- every byte in every place ---- */

static bool
is_tchar(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z') ||
	    (c != 0 && c < 0x80 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool
is_value(int c)
{
	return c == '\t' || (c >= 0x20 && c != 0x7f);
}

/* Byte `c` at each of 40 places, so that it meets every lane of the scans. */
static void
check_byte(int c, const char *before, const char *after, bool good)
{
	static struct run r;
	char text[256];

	for (size_t at = 0; at < 40; at++) {
		size_t n = strlen(before);

		memcpy(text, before, n);
		memset(text + n, 'a', 40);
		text[n + at] = (char)c;
		n += 40;
		memcpy(text + n, after, strlen(after));
		n += strlen(after);
		parse(&r, H1_REQUEST, &wide, text, n);
		if ((r.result == H1_DONE) != good)
			fail_msg("byte 0x%02x at %zu of %s", c, at, text);
	}
}

static void
test_every_byte(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		check_byte(c, "GET /", " HTTP/1.1\r\n\r\n",
		    c > 0x20 && c < 0x7f && c != '#');
		check_byte(
		    c, "GET / HTTP/1.1\r\nX: a", "b\r\n\r\n", is_value(c));
		check_byte(c, "GET / HTTP/1.1\r\nX", "Y: b\r\n\r\n",
		    is_tchar(c) || c == ':');
		check_byte(c, "M", "N / HTTP/1.1\r\n\r\n", is_tchar(c));
	}
}

/* ---- limits ---- */

static void
test_request_line_limit(void **state)
{
	static struct run r;
	static char text[H1_REQUEST_LINE_BYTES + 64];
	const size_t fixed = strlen("GET / HTTP/1.1");

	(void)state;
	for (size_t over = 0; over < 3; over++) {
		size_t pad = H1_REQUEST_LINE_BYTES - fixed + over;
		size_t n = 0;

		/* The empty line before it does not count. */
		n += (size_t)sprintf(text, "\r\nGET /");
		memset(text + n, 'a', pad);
		n += pad;
		n += (size_t)sprintf(text + n, " HTTP/1.1\r\n\r\n");
		parse(&r, H1_REQUEST, &wide, text, n);
		assert_int_equal(r.result, over ? H1_BAD : H1_DONE);
		assert_int_equal(r.h.error, over ? H1_E_LINE_LONG : H1_OK);
		/* Known as soon as the line is full. */
		parse(&r, H1_REQUEST, &wide, text, H1_REQUEST_LINE_BYTES + 1);
		assert_int_equal(r.result, H1_MORE);
		parse(&r, H1_REQUEST, &wide, text, H1_REQUEST_LINE_BYTES + 2);
		assert_int_equal(r.result, over ? H1_BAD : H1_MORE);
	}
	memset(text, 'M', sizeof(text));
	parse(&r, H1_REQUEST, &wide, text, sizeof(text));
	assert_int_equal(r.h.error, H1_E_LINE_LONG);
}

static void
test_head_limit(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	static const char reply[] = "HTTP/1.1 200 OK\r\nHost: a\r\n\r\n";
	static struct run r;
	uint32_t len = sizeof(text) - 1;

	(void)state;
	for (uint32_t limit = 1; limit < len + 3; limit++) {
		struct h1_limits limits = {.head_bytes = limit, .fields = 1};
		enum h1_error want = limit >= len ? H1_OK
		    : limit < 16                  ? H1_E_LINE_LONG
						  : H1_E_HEAD_LONG;

		parse(&r, H1_REQUEST, &limits, text, len);
		assert_int_equal(r.h.error, want);
		assert_int_equal(r.result, limit >= len ? H1_DONE : H1_BAD);
		/* A full buffer must not ask for more. */
		parse(&r, H1_REQUEST, &limits, text,
		    limit < len ? limit : len - 1);
		assert_int_equal(r.result, limit < len ? H1_BAD : H1_MORE);
	}
	for (uint32_t limit = 1; limit < sizeof(reply) - 1; limit++) {
		struct h1_limits limits = {.head_bytes = limit, .fields = 1};

		parse(&r, H1_RESPONSE, &limits, reply, sizeof(reply) - 1);
		assert_int_equal(r.h.error, H1_E_HEAD_LONG);
	}
}

static void
test_field_limit(void **state)
{
	static struct run r;
	static char text[16384];
	static const uint32_t limits_of_fields[] = {1, 2, 100, 1000};

	(void)state;
	for (size_t i = 0; i < COUNT(limits_of_fields); i++) {
		struct h1_limits limits = {
		    .head_bytes = sizeof(text), .fields = limits_of_fields[i]};

		for (uint32_t over = 0; over < 2; over++) {
			size_t n = (size_t)sprintf(text, "GET / HTTP/1.1\r\n");

			for (uint32_t k = 0; k < limits.fields + over; k++)
				n += (size_t)sprintf(text + n, "a:%u\r\n", k);
			n += (size_t)sprintf(text + n, "\r\n");
			parse(&r, H1_REQUEST, &limits, text, n);
			assert_int_equal(
			    r.h.error, over ? H1_E_FIELDS_MANY : H1_OK);
			assert_int_equal(r.h.n_fields, limits.fields);
		}
	}
}

static void
test_begun(void **state)
{
	static const char text[] = "\r\nGET / HTTP/1.1\r\n\r\n";
	static struct run r;

	(void)state;
	begin(&r, H1_REQUEST, &wide);
	for (size_t n = 0; n < sizeof(text); n++) {
		assert_int_equal(h1_head_begun(&r.h), n > 3);
		if (r.result == H1_MORE)
			feed(&r, text, n);
	}
	begin(&r, H1_RESPONSE, &wide);
	assert_false(h1_head_begun(&r.h));
	feed(&r, "H", 1);
	assert_true(h1_head_begun(&r.h));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cuts),
	    cmocka_unit_test(test_cuts_at_limits),
	    cmocka_unit_test(test_prefixes_of_valid_heads),
	    cmocka_unit_test(test_verdicts),
	    cmocka_unit_test(test_request_parts),
	    cmocka_unit_test(test_response_parts),
	    cmocka_unit_test(test_methods),
	    cmocka_unit_test(test_every_byte),
	    cmocka_unit_test(test_request_line_limit),
	    cmocka_unit_test(test_head_limit),
	    cmocka_unit_test(test_field_limit),
	    cmocka_unit_test(test_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
