/* layer: http */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "evenkeel/http/framing.h"
#include "h1_samples.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct h1_field fields[H1_FIELDS_MAX];
static struct h1_head head;

static void
parse(enum h1_kind kind, const char *text, size_t len)
{
	static const struct h1_limits limits = {
	    .head_bytes = 65536, .fields = H1_FIELDS_MAX};

	h1_head_init(&head, kind, &limits, fields);
	if (h1_head_parse(&head, text, len) != H1_DONE)
		fail_msg("%s: %s", text, h1_error_text(head.error));
}

static enum h1_error
request(const char *text, struct h1_framing *f)
{
	parse(H1_REQUEST, text, strlen(text));
	return h1_framing_request(&head, text, f);
}

static enum h1_error
response(const char *text, enum h1_method method, struct h1_framing *f)
{
	parse(H1_RESPONSE, text, strlen(text));
	return h1_framing_response(&head, text, method, f);
}

/* ---- verdicts on all samples ---- */

static void
test_samples(void **state)
{
	static const struct h1_limits limits = {
	    .head_bytes = 16384, .fields = 100};
	struct h1_framing f;
	enum h1_error e;

	(void)state;
	for (size_t i = 0; i < H1_REQUESTS; i++) {
		const struct h1_sample *s = &h1_requests[i];

		h1_head_init(&head, H1_REQUEST, &limits, fields);
		if (h1_head_parse(&head, s->text, s->len) != H1_DONE)
			continue;
		e = h1_framing_request(&head, s->text, &f);
		if (e != s->error)
			fail_msg("%s: got %s, want %s", s->text,
			    h1_error_text(e), h1_error_text(s->error));
	}
	for (size_t i = 0; i < H1_RESPONSES; i++) {
		const struct h1_sample *s = &h1_responses[i];

		h1_head_init(&head, H1_RESPONSE, &limits, fields);
		if (h1_head_parse(&head, s->text, s->len) != H1_DONE)
			continue;
		e = h1_framing_response(&head, s->text, H1_METHOD_GET, &f);
		if (e != s->error)
			fail_msg("%s: got %s, want %s", s->text,
			    h1_error_text(e), h1_error_text(s->error));
	}
}

/* ---- bodies ---- */

struct body_case {
	const char *text;
	enum h1_body_kind body;
	uint64_t length;
	bool has_length;
	uint64_t given_length;
	bool keep_alive;
};

static void
assert_body(const struct h1_framing *f, const struct body_case *c)
{
	if (f->body != c->body || f->length != c->length ||
	    f->has_length != c->has_length ||
	    f->given_length != c->given_length ||
	    f->keep_alive != c->keep_alive)
		fail_msg("%s: body %d length %lu has %d given %lu alive %d",
		    c->text, f->body, (unsigned long)f->length, f->has_length,
		    (unsigned long)f->given_length, f->keep_alive);
}

#define GET  "GET / HTTP/1.1\r\nHost: a\r\n"
#define OLD  "GET / HTTP/1.0\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"

static void
test_request_bodies(void **state)
{
	static const struct body_case cases[] = {
	    {GET "\r\n", H1_BODY_NONE, 0, false, 0, true},
	    {POST "\r\n", H1_BODY_NONE, 0, false, 0, true},
	    {POST "Content-Length: 0\r\n\r\n", H1_BODY_NONE, 0, true, 0, true},
	    {POST "Content-Length: 7\r\n\r\n", H1_BODY_LENGTH, 7, true, 7,
		true},
	    {GET "Content-Length: 007\r\n\r\n", H1_BODY_LENGTH, 7, true, 7,
		true},
	    {POST "Transfer-Encoding: cHuNkEd\r\n\r\n", H1_BODY_CHUNKED, 0,
		false, 0, true},
	    {GET "Connection: close\r\n\r\n", H1_BODY_NONE, 0, false, 0, false},
	    {GET "Connection: CLOSE\r\n\r\n", H1_BODY_NONE, 0, false, 0, false},
	    {GET "Connection: keep-alive, close\r\n\r\n", H1_BODY_NONE, 0,
		false, 0, false},
	    {GET "Connection: x\r\nConnection: ,close\r\n\r\n", H1_BODY_NONE, 0,
		false, 0, false},
	    {GET "Connection: a b\r\n\r\n", H1_BODY_NONE, 0, false, 0, false},
	    {GET "Connection: closed\r\n\r\n", H1_BODY_NONE, 0, false, 0, true},
	    {GET "Connection:\r\n\r\n", H1_BODY_NONE, 0, false, 0, true},
	    {OLD "\r\n", H1_BODY_NONE, 0, false, 0, false},
	    {OLD "Connection: Keep-Alive\r\n\r\n", H1_BODY_NONE, 0, false, 0,
		true},
	    {OLD "Connection: keep-alive, close\r\n\r\n", H1_BODY_NONE, 0,
		false, 0, false},
	    {POST "Content_Length: 7\r\nTransfer_Encoding: chunked\r\n\r\n",
		H1_BODY_NONE, 0, false, 0, true},
	};
	struct h1_framing f;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(request(cases[i].text, &f), H1_OK);
		assert_body(&f, &cases[i]);
	}
}

#define OK "HTTP/1.1 200 OK\r\n"

static void
test_response_bodies(void **state)
{
	static const struct body_case cases[] = {
	    {OK "\r\n", H1_BODY_UNTIL_CLOSE, 0, false, 0, false},
	    {OK "Connection: keep-alive\r\n\r\n", H1_BODY_UNTIL_CLOSE, 0, false,
		0, false},
	    {OK "Content-Length: 0\r\n\r\n", H1_BODY_NONE, 0, true, 0, true},
	    {OK "Content-Length: 9\r\n\r\n", H1_BODY_LENGTH, 9, true, 9, true},
	    {OK "Transfer-Encoding: chunked\r\n\r\n", H1_BODY_CHUNKED, 0, false,
		0, true},
	    {"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n", H1_BODY_LENGTH, 9,
		true, 9, false},
	    {"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n"
	     "Connection: keep-alive\r\n\r\n",
		H1_BODY_LENGTH, 9, true, 9, true},
	    {"HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n", H1_BODY_NONE, 0,
		true, 5, true},
	    {"HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n", H1_BODY_NONE, 0,
		true, 5, true},
	    {"HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n",
		H1_BODY_NONE, 0, false, 0, true},
	    {"HTTP/1.1 103 x\r\nTransfer-Encoding: gzip\r\n\r\n", H1_BODY_NONE,
		0, false, 0, true},
	    {"HTTP/1.1 101 x\r\nConnection: close\r\n\r\n", H1_BODY_NONE, 0,
		false, 0, false},
	};
	struct h1_framing f;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(
		    response(cases[i].text, H1_METHOD_GET, &f), H1_OK);
		assert_body(&f, &cases[i]);
	}
	assert_int_equal(
	    response(OK "Content-Length: 5\r\n\r\n", H1_METHOD_HEAD, &f),
	    H1_OK);
	assert_int_equal(f.body, H1_BODY_NONE);
	assert_int_equal(f.length, 0);
	assert_int_equal(f.given_length, 5);
	assert_true(f.keep_alive);
	assert_int_equal(response(OK "Transfer-Encoding: chunked\r\n\r\n",
			     H1_METHOD_HEAD, &f),
	    H1_OK);
	assert_int_equal(f.body, H1_BODY_NONE);
	assert_int_equal(
	    response(OK "Content-Length: x\r\n\r\n", H1_METHOD_HEAD, &f),
	    H1_E_LENGTH);
}

/* ---- targets ---- */

static void
test_targets(void **state)
{
	static const struct {
		const char *line;
		enum h1_target_form form;
		const char *path, *host;
	} cases[] = {
	    {"GET /a?b HTTP/1.1", H1_ORIGIN_FORM, "/a?b", "h.test:1"},
	    {"GET //evil/p HTTP/1.1", H1_ORIGIN_FORM, "//evil/p", "h.test:1"},
	    {"OPTIONS * HTTP/1.1", H1_ASTERISK_FORM, "*", "h.test:1"},
	    {"GET http://a.test/p?q HTTP/1.1", H1_ABSOLUTE_FORM, "/p?q",
		"a.test"},
	    {"GET HtTpS://[::1]:9/ HTTP/1.1", H1_ABSOLUTE_FORM, "/", "[::1]:9"},
	    {"GET http://a.test HTTP/1.1", H1_ABSOLUTE_FORM, "", "a.test"},
	    {"GET http://a.test?q/r HTTP/1.1", H1_ABSOLUTE_FORM, "?q/r",
		"a.test"},
	    {"GET http://a.test/http://b.test/ HTTP/1.1", H1_ABSOLUTE_FORM,
		"/http://b.test/", "a.test"},
	};
	struct h1_framing f;
	char text[256];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof(text), "%s\r\nHost: h.test:1\r\n\r\n",
		    cases[i].line);
		assert_int_equal(request(text, &f), H1_OK);
		assert_int_equal(f.form, cases[i].form);
		assert_true(
		    span_equal(h1_span(f.path, text), span_of(cases[i].path)));
		assert_true(
		    span_equal(h1_span(f.host, text), span_of(cases[i].host)));
	}
	assert_int_equal(request(OLD "\r\n", &f), H1_OK);
	assert_int_equal(f.host.len, 0);
}

/* ---- authorities ---- */

static void
test_authorities(void **state)
{
	static const char *const good[] = {"a", "lb.test", "lb.test.", "a:0",
	    "a:", "a:80", "a:65535", "a:00080", "127.0.0.1", "1.2.3.4.5:1",
	    "a_b", "a%41~!$&'()*+;=", "[::]", "[::1]", "[::1]:80",
	    "[1:2:3:4:5:6:7:8]", "[1::8]", "[1:2:3:4:5:6:7::]",
	    "[::2:3:4:5:6:7:8]", "[2001:db8::FFFF]", "[::ffff:1.2.3.4]",
	    "[1:2:3:4:5:6:1.2.3.4]", "[::255.0.10.99]"};
	static const char *const bad[] = {"", ":", ":80", "a:65536", "a:999999",
	    "a:000080", "a:8a", "a:-1", "a: 1", "a:1:2", "a b", "a,b", "a/b",
	    "a?b", "a#b", "u@a", "u:p@a", "\"a\"", "<a>", "a\\b", "a[", "a%",
	    "a%4", "a%4g", "a%zz", "\xff", "a\x7f", "::1", "[", "[]", "[::1",
	    "[::1]a", "[::1]:x", "[::1]]", "[:]", "[:::]", "[1]", "[:1]",
	    "[1:]", "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:]", "[:1:2:3:4:5:6:7]",
	    "[1:2:3:4:5:6:7:8:9]", "[1::2::3]", "[1:2:3:4:5:6:7:8::]",
	    "[::1:2:3:4:5:6:7:8]", "[12345::]", "[g::]", "[::1%25eth0]",
	    "[v1.a]", "[1.2.3.4]", "[::1.2.3]", "[::1.2.3.4.]", "[::1.2.3.256]",
	    "[::1.2.3.04]", "[::1..2.3]", "[::1.2.3.4.5]",
	    "[1:2:3:4:5:6:7:1.2.3.4]", "[::1.2.3.4:5]", "[ ::1]"};
	char name[H1_HOST_NAME_BYTES + 2];

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		if (!h1_is_authority(span_of(good[i])))
			fail_msg("refused %s", good[i]);
	for (size_t i = 0; i < COUNT(bad); i++)
		if (h1_is_authority(span_of(bad[i])))
			fail_msg("accepted %s", bad[i]);
	memset(name, 'a', sizeof(name));
	assert_true(h1_is_authority(span_make(name, H1_HOST_NAME_BYTES)));
	assert_false(h1_is_authority(span_make(name, H1_HOST_NAME_BYTES + 1)));
	assert_false(h1_is_authority(SPAN("a\0")));
}

/* ---- the rest of the fields ---- */

static void
test_expect(void **state)
{
	struct h1_framing f;

	(void)state;
	assert_int_equal(request(POST "Expect: 100-CONTINUE\r\n"
				      "Content-Length: 1\r\n\r\n",
			     &f),
	    H1_OK);
	assert_true(f.expect_continue);
	assert_int_equal(request(POST "Expect: 100-continue\r\n"
				      "Transfer-Encoding: chunked\r\n\r\n",
			     &f),
	    H1_OK);
	assert_true(f.expect_continue);
	assert_int_equal(
	    request(POST "Expect: 100-continue\r\n\r\n", &f), H1_OK);
	assert_false(f.expect_continue);
	assert_int_equal(request(POST "Expect: 100-continue\r\nExpect: x\r\n"
				      "Content-Length: 1\r\n\r\n",
			     &f),
	    H1_E_EXPECT);
	assert_int_equal(request("POST / HTTP/1.0\r\nExpect: x\r\n"
				 "Content-Length: 1\r\n\r\n",
			     &f),
	    H1_OK);
	assert_false(f.expect_continue);
}

static void
test_upgrade(void **state)
{
	struct h1_framing f;

	(void)state;
	assert_int_equal(request(GET "Connection: keep-alive, Upgrade\r\n"
				     "Upgrade: websocket\r\n\r\n",
			     &f),
	    H1_OK);
	assert_true(f.upgrade);
	assert_true(f.keep_alive);
	assert_int_equal(request(GET "Connection: upgrade\r\n"
				     "Upgrade: h2c, websocket\r\n\r\n",
			     &f),
	    H1_OK);
	assert_true(f.upgrade);
	assert_int_equal(request(GET "Connection: Upgrade\r\n"
				     "Upgrade: H2C\r\n\r\n",
			     &f),
	    H1_OK);
	assert_false(f.upgrade);
	assert_int_equal(request(GET "Upgrade: websocket\r\n\r\n", &f), H1_OK);
	assert_false(f.upgrade);
	assert_int_equal(request(GET "Connection: Upgrade\r\n\r\n", &f), H1_OK);
	assert_false(f.upgrade);
	assert_int_equal(request(OLD "Connection: Upgrade\r\n"
				     "Upgrade: websocket\r\n\r\n",
			     &f),
	    H1_OK);
	assert_false(f.upgrade);
}

static void
test_keep_alive_timeout(void **state)
{
	static const struct {
		const char *value;
		uint32_t seconds;
	} cases[] = {
	    {"timeout=5", 5},
	    {"timeout=5, max=100", 5},
	    {"max=100, Timeout=60", 60},
	    {"timeout=4294967295", UINT32_MAX},
	    {"timeout=4294967296", 0},
	    {"timeout=", 0},
	    {"timeout=-1", 0},
	    {"timeout=5s", 0},
	    {"max=5", 0},
	    {"", 0},
	};
	struct h1_framing f;
	char text[256];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof(text), OK "Keep-Alive: %s\r\n\r\n",
		    cases[i].value);
		assert_int_equal(response(text, H1_METHOD_GET, &f), H1_OK);
		assert_int_equal(f.keep_alive_timeout_s, cases[i].seconds);
	}
}

static void
test_connection_names(void **state)
{
	struct h1_framing f;
	char text[2048];

	(void)state;
	assert_int_equal(
	    request(GET "Connection: close, keep-alive\r\n\r\n", &f), H1_OK);
	assert_false(f.nominates);
	assert_int_equal(
	    request(GET "Connection: close, X-Hop\r\n\r\n", &f), H1_OK);
	assert_true(f.nominates);
	for (int over = 0; over < 2; over++) {
		size_t n = (size_t)sprintf(text, GET "Connection: a");

		for (int i = 1; i < 40; i++)
			n += (size_t)sprintf(text + n, ",a");
		n += (size_t)sprintf(text + n, "\r\nConnection: b");
		for (int i = 41; i < H1_CONNECTION_NAMES_MAX + over; i++)
			n += (size_t)sprintf(text + n, ",");
		sprintf(text + n, "\r\n\r\n");
		assert_int_equal(
		    request(text, &f), over ? H1_E_FIELDS_MANY : H1_OK);
	}
	memcpy(text, OK, strlen(OK));
	sprintf(text + strlen(OK), "Connection: %*s\r\n\r\n", 1, ",");
	memset(text + strlen(OK) + 12, ',', H1_CONNECTION_NAMES_MAX);
	sprintf(text + strlen(OK) + 12 + H1_CONNECTION_NAMES_MAX, "\r\n\r\n");
	assert_int_equal(response(text, H1_METHOD_GET, &f), H1_E_FIELDS_MANY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_samples),
	    cmocka_unit_test(test_request_bodies),
	    cmocka_unit_test(test_response_bodies),
	    cmocka_unit_test(test_targets),
	    cmocka_unit_test(test_authorities),
	    cmocka_unit_test(test_expect),
	    cmocka_unit_test(test_upgrade),
	    cmocka_unit_test(test_keep_alive_timeout),
	    cmocka_unit_test(test_connection_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
