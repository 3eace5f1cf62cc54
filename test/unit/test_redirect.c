/* layer: http */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "evenkeel/http/redirect.h"
#include "h1_samples.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct h1_limits limits = {.head_bytes = 65536, .fields = 100};

static struct h1_head head;
static struct h1_field fields[100];
static struct h1_framing framing;
static char room[32768];

static bool
read_request(const char *text, size_t len)
{
	h1_head_init(&head, H1_REQUEST, &limits, fields);
	return h1_head_parse(&head, text, len) == H1_DONE &&
	    h1_framing_request(&head, text, &framing) == H1_OK;
}

static struct span
address_of(const char *text, uint16_t port)
{
	struct redirect r = redirect_make(&head, text, &framing, port);
	struct textbuf out = textbuf_make(room, sizeof(room));

	redirect_put(&out, &r);
	assert_false(out.full);
	assert_true(out.len <= r.host.len + r.path.len + REDIRECT_EXTRA_BYTES);
	return textbuf_span(&out);
}

static void
check(const char *text, uint16_t port, const char *want)
{
	struct span got;

	if (!read_request(text, strlen(text)))
		fail_msg("no request: %s", text);
	got = address_of(text, port);
	if (!span_equal(got, span_of(want)))
		fail_msg("from %s\ngot %.*s, not %s", text, (int)got.len,
		    got.ptr, want);
}

#define FROM(target, host) target " HTTP/1.1\r\nHost: " host "\r\n\r\n"

static void
addresses(void **state)
{
	static const struct {
		const char *request, *address;
	} cases[] = {
	    {FROM("GET /", "a.test"), "https://a.test/"},
	    {FROM("GET /p/q?r=s&t", "a.test:80"), "https://a.test/p/q?r=s&t"},
	    {FROM("GET /", "a.test:"), "https://a.test/"},
	    {FROM("GET /", "a.test."), "https://a.test./"},
	    {FROM("GET /", "a.test.:8080"), "https://a.test./"},
	    {FROM("GET /", "A.Test"), "https://A.Test/"},
	    {FROM("GET /", "10.0.0.1:81"), "https://10.0.0.1/"},
	    {FROM("GET /", "[2001:db8::1]"), "https://[2001:db8::1]/"},
	    {FROM("GET /a", "[::1]:8080"), "https://[::1]/a"},
	    {FROM("GET /", "xn--e1afmkfd.test"), "https://xn--e1afmkfd.test/"},
	    {FROM("GET /", "%61;(b)=c"), "https://%61;(b)=c/"},
	    /* another host stands behind ours, or in the query: both stay */
	    {FROM("GET //evil.test/", "a.test"), "https://a.test//evil.test/"},
	    {FROM("GET /\\evil.test", "a.test"), "https://a.test/\\evil.test"},
	    {FROM("GET /@evil.test", "a.test"), "https://a.test/@evil.test"},
	    {FROM("GET /?u=http://b.test/", "a.test"),
		"https://a.test/?u=http://b.test/"},
	    {FROM("GET /%0d%0aX:%20y", "a.test"),
		"https://a.test/%0d%0aX:%20y"},
	    {FROM("GET /\"<>^`{|}", "a.test"), "https://a.test/\"<>^`{|}"},
	    /* absolute-form: its authority, not that of Host */
	    {FROM("GET http://t.test:81/p?q", "h.test"), "https://t.test/p?q"},
	    {FROM("GET HTTPS://t.test/p", "h.test"), "https://t.test/p"},
	    {FROM("GET http://t.test", "h.test"), "https://t.test/"},
	    {FROM("GET http://t.test?q", "h.test"), "https://t.test/?q"},
	    {FROM("GET http://[::1]:80?q", "h.test"), "https://[::1]/?q"},
	    /* the server as a whole */
	    {FROM("OPTIONS *", "a.test:80"), "https://a.test"},
	    {FROM("OPTIONS http://t.test:80", "h.test"), "https://t.test"},
	    {FROM("OPTIONS http://t.test?q", "h.test"), "https://t.test/?q"},
	    {FROM("OPTIONS /", "a.test"), "https://a.test/"},
	    {"GET /a HTTP/1.0\r\nHost: a.test:80\r\n\r\n", "https://a.test/a"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		check(cases[i].request, REDIRECT_PORT, cases[i].address);
}

static void
ports(void **state)
{
	(void)state;
	check(FROM("GET /a", "h:80"), 8443, "https://h:8443/a");
	check(FROM("GET /a", "h"), 65535, "https://h:65535/a");
	check(FROM("GET /a", "[::1]:80"), 1, "https://[::1]:1/a");
	check(FROM("OPTIONS *", "h."), 8443, "https://h.:8443");
	check(FROM("GET http://t?q", "h"), 80, "https://t:80/?q");
}

static void
statuses(void **state)
{
	(void)state;
	for (int m = H1_METHOD_OTHER; m <= H1_METHOD_TRACE; m++)
		assert_int_equal(redirect_status((enum h1_method)m),
		    m == H1_METHOD_GET || m == H1_METHOD_HEAD ? 301 : 308);
}

/* Who puts a byte into Host or target that could end the line, or that no
 * address may have, gets no redirect: it is no request. */
static void
no_injection(void **state)
{
	static const char *const forms[] = {
	    "GET /a%cb HTTP/1.1\r\nHost: h\r\n\r\n",
	    "GET http://a%cb/ HTTP/1.1\r\nHost: h\r\n\r\n",
	    "GET http://a/%c HTTP/1.1\r\nHost: h\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: a%cb\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: a:8%c\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: [::1%c]\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(forms); i++)
		for (int c = 0; c < 256; c++) {
			char text[128];
			int n = snprintf(text, sizeof(text), forms[i], c);
			struct span got;

			if (!read_request(text, (size_t)n))
				continue;
			assert_true(c != '\0' && c != '\r' && c != '\n');
			got = address_of(text, 8443);
			for (size_t k = 0; k < got.len; k++)
				assert_true(
				    got.ptr[k] > ' ' && got.ptr[k] < 0x7f);
			assert_true(span_starts_with(got, SPAN("https://")));
		}
}

/* The same for all the requests that there are samples of. */
static void
samples(void **state)
{
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < H1_REQUESTS; i++) {
		const char *text = h1_requests[i].text;
		struct span got;

		if (!read_request(text, h1_requests[i].len) ||
		    framing.host.len == 0)
			continue;
		got = address_of(text, 443);
		for (size_t k = 0; k < got.len; k++)
			assert_true(got.ptr[k] > ' ' && got.ptr[k] < 0x7f);
		n++;
	}
	assert_true(n > 20);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(addresses),
	    cmocka_unit_test(ports),
	    cmocka_unit_test(statuses),
	    cmocka_unit_test(no_injection),
	    cmocka_unit_test(samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
