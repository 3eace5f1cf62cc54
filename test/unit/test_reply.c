/* layer: proxy */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "evenkeel/http/framing.h"
#include "evenkeel/proxy/reply.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char bytes[REPLY_BYTES];

static const struct reply plain = {.status = 502,
    .id = {"0123456789abcdef0123456789abcdef", 32},
    .why = {"backend closed the connection", 29},
    .error = "connection_terminated"};

static struct span
put(const struct reply *r)
{
	struct textbuf out = textbuf_make(bytes, sizeof(bytes));

	reply_put(&out, r);
	assert_false(out.full);
	return textbuf_span(&out);
}

static bool
has(struct span text, const char *line)
{
	return memmem(text.ptr, text.len, line, strlen(line)) != NULL;
}

static void
to_the_letter(void **state)
{
	static const char want[] =
	    "HTTP/1.1 502 Bad Gateway\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Length: 92\r\n"
	    "X-Request-Id: 0123456789abcdef0123456789abcdef\r\n"
	    "Proxy-Status: evenkeel; error=connection_terminated\r\n"
	    "\r\n"
	    "502 Bad Gateway: backend closed the connection\n"
	    "request id: 0123456789abcdef0123456789abcdef\n";
	struct span got = put(&plain);

	(void)state;
	assert_int_equal(got.len, sizeof(want) - 1);
	assert_memory_equal(got.ptr, want, got.len);
}

/* The length is right for every status, with and without a reason; HEAD gets
 * the same head alone.  Our own strict parser reads all of them. */
static void
the_length_is_right(void **state)
{
	static const unsigned statuses[] = {400, 404, 405, 408, 413, 414, 417,
	    431, 500, 501, 502, 503, 504, 505, 599};
	static const struct h1_limits limits = {
	    .head_bytes = REPLY_BYTES, .fields = 20};

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(statuses); i++) {
		struct h1_field fields[20];
		struct h1_framing framing;
		struct reply r = plain;
		struct h1_head head;
		struct span got;
		size_t whole;

		r.status = statuses[i / 2];
		if (i % 2)
			r.why = SPAN_NONE;
		got = put(&r);
		whole = got.len;
		h1_head_init(&head, H1_RESPONSE, &limits, fields);
		assert_int_equal(
		    h1_head_parse(&head, got.ptr, got.len), H1_DONE);
		assert_int_equal(head.status, r.status);
		assert_int_equal(h1_framing_response(
				     &head, got.ptr, H1_METHOD_GET, &framing),
		    H1_OK);
		assert_int_equal(head.len + framing.length, whole);
		r.head_only = true;
		got = put(&r);
		assert_int_equal(got.len, head.len);
		assert_int_equal(
		    has(got, "\r\nRetry-After: 1\r\n"), r.status == 503);
		assert_int_equal(has(got, "\r\nAllow: "), r.status == 405);
	}
}

/* A redirect is no error: it has no Proxy-Status; HEAD gets the same head. */
static void
redirects(void **state)
{
	static const char want[] = "HTTP/1.1 308 Permanent Redirect\r\n"
				   "Content-Type: text/plain; charset=utf-8\r\n"
				   "Content-Length: 37\r\n"
				   "X-Request-Id: 1\r\n"
				   "Location: https://h.test:8443/a?b\r\n"
				   "Connection: close\r\n"
				   "\r\n"
				   "308 Permanent Redirect\n"
				   "request id: 1\n";
	static const struct redirect to = {
	    .host = SPAN("h.test"), .path = SPAN("/a?b"), .port = 8443};
	struct reply r = {.status = 308,
	    .id = SPAN("1"),
	    .location = &to,
	    .connection = H1_CONNECTION_CLOSE};
	struct span got = put(&r);

	(void)state;
	assert_int_equal(got.len, sizeof(want) - 1);
	assert_memory_equal(got.ptr, want, got.len);
	r.head_only = true;
	got = put(&r);
	assert_int_equal(got.len, strlen(want) - 37);
	assert_memory_equal(got.ptr, want, got.len);
	r.status = 301;
	assert_true(has(put(&r), "HTTP/1.1 301 Moved Permanently\r\n"));
}

/* Plain HTTP at a port of TLS: where to go, as far as that is known. */
static void
https_only(void **state)
{
	static char host[H1_HOST_NAME_BYTES + 6], id[FORWARDED_ID_BYTES];
	struct reply r = plain;

	(void)state;
	r.status = 400;
	r.why = SPAN("plain HTTP came to a TLS port");
	r.https_only = true;
	assert_true(has(put(&r),
	    "400 Bad Request: plain HTTP came to a TLS port\n"
	    "This port speaks HTTPS: ask for an address that begins with "
	    "https://\nrequest id: 0"));
	r.host = SPAN("[::1]:8443");
	assert_true(has(put(&r),
	    "This port speaks HTTPS: ask for https://[::1]:8443/\nrequest"));
	memset(host, 'h', sizeof(host));
	memset(id, 'i', sizeof(id));
	r.host = span_make(host, sizeof(host));
	r.id = span_make(id, sizeof(id));
	assert_true(has(put(&r), "hhh/\nrequest id: iii"));
}

static void
connection_fields(void **state)
{
	struct reply r = plain;

	(void)state;
	assert_false(has(put(&r), "\r\nConnection:"));
	r.connection = H1_CONNECTION_CLOSE;
	assert_true(has(put(&r), "\r\nConnection: close\r\n"));
	r.connection = H1_CONNECTION_KEEPALIVE;
	assert_true(has(put(&r), "\r\nConnection: keep-alive\r\n"));
}

/* CONNECT and TRACE are what 405 is for: not allowed. */
static void
allowed_methods(void **state)
{
	struct reply r = plain;
	struct span got;

	(void)state;
	r.status = 405;
	got = put(&r);
	assert_true(has(got,
	    "\r\nAllow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n"));
}

/* Every status that evenkeel answers with has its words. */
static void
reasons(void **state)
{
	(void)state;
	for (int e = H1_OK + 1; e < H1_ERRORS; e++)
		assert_string_not_equal(
		    reply_reason(h1_error_status((enum h1_error)e)), "Unknown");
	assert_string_equal(reply_reason(404), "Not Found");
	assert_string_equal(reply_reason(413), "Content Too Large");
	assert_string_equal(reply_reason(504), "Gateway Timeout");
	assert_string_equal(reply_reason(200), "Unknown");
	assert_string_equal(reply_reason(0), "Unknown");
}

/* RFC 9209 2.3: a token for every end and every outcome, and the right one
 * where it matters. */
static void
proxy_status(void **state)
{
	static const struct {
		enum access_end end;
		enum access_outcome last;
		const char *error;
	} cases[] = {
	    {ACCESS_END_CLIENT_BAD, ACCESS_OK, "http_request_error"},
	    {ACCESS_END_CLIENT_SLOW, ACCESS_CANCELLED, "http_request_error"},
	    {ACCESS_END_NO_ROUTE, ACCESS_OK, "destination_not_found"},
	    {ACCESS_END_NO_BACKEND, ACCESS_OK, "destination_unavailable"},
	    {ACCESS_END_BACKEND_FAILED, ACCESS_CONNECT_REFUSED,
		"connection_refused"},
	    {ACCESS_END_BACKEND_FAILED, ACCESS_CONNECT_FAILED,
		"destination_unavailable"},
	    {ACCESS_END_BACKEND_FAILED, ACCESS_TLS_FAILED,
		"tls_protocol_error"},
	    {ACCESS_END_BACKEND_FAILED, ACCESS_STALE, "connection_terminated"},
	    {ACCESS_END_BACKEND_FAILED, ACCESS_RESET, "connection_terminated"},
	    {ACCESS_END_BACKEND_FAILED, ACCESS_BAD_RESPONSE,
		"http_protocol_error"},
	    {ACCESS_END_BACKEND_SLOW, ACCESS_CONNECT_TIMEOUT,
		"connection_timeout"},
	    {ACCESS_END_BACKEND_SLOW, ACCESS_TIMEOUT, "http_response_timeout"},
	    {ACCESS_END_SHUTDOWN, ACCESS_CANCELLED, "proxy_internal_error"},
	    {ACCESS_END_INTERNAL, ACCESS_OK, "proxy_internal_error"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(
		    reply_error(cases[i].end, cases[i].last), cases[i].error);
	for (int e = 0; e < ACCESS_ENDS; e++)
		for (int o = 0; o < ACCESS_OUTCOMES; o++)
			assert_true(strlen(reply_error((enum access_end)e,
					(enum access_outcome)o)) > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(to_the_letter),
	    cmocka_unit_test(the_length_is_right),
	    cmocka_unit_test(redirects),
	    cmocka_unit_test(https_only),
	    cmocka_unit_test(connection_fields),
	    cmocka_unit_test(allowed_methods),
	    cmocka_unit_test(reasons),
	    cmocka_unit_test(proxy_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
