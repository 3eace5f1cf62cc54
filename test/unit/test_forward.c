/* layer: http */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "evenkeel/http/forward.h"
#include "h1_samples.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct h1_limits limits = {.head_bytes = 65536, .fields = 100};

struct message {
	struct h1_head h;
	struct h1_field fields[100];
	struct h1_framing f;
	char out[16384];
	struct textbuf text;
};

static bool
read_request(struct message *m, const char *text, size_t len)
{
	h1_head_init(&m->h, H1_REQUEST, &limits, m->fields);
	m->text = textbuf_make(m->out, sizeof(m->out));
	return h1_head_parse(&m->h, text, len) == H1_DONE &&
	    h1_framing_request(&m->h, text, &m->f) == H1_OK;
}

static bool
read_response(
    struct message *m, const char *text, size_t len, enum h1_method method)
{
	h1_head_init(&m->h, H1_RESPONSE, &limits, m->fields);
	m->text = textbuf_make(m->out, sizeof(m->out));
	return h1_head_parse(&m->h, text, len) == H1_DONE &&
	    h1_framing_response(&m->h, text, method, &m->f) == H1_OK;
}

static void
assert_output(const struct message *m, const char *text, const char *want)
{
	assert_false(m->text.full);
	if (!span_equal(textbuf_span(&m->text), span_of(want)))
		fail_msg("from %s\ngot %.*s\nwant %s", text, (int)m->text.len,
		    m->text.ptr, want);
}

struct pair {
	const char *in, *out;
};

#define VIA "Via: 1.1 evenkeel\r\n"

/* ---- requests ---- */

static const struct h1_forward_request bare;

static void
check_request(
    const char *in, const struct h1_forward_request *how, const char *want)
{
	static struct message m;

	assert_true(read_request(&m, in, strlen(in)));
	h1_forward_request(&m.text, &m.h, in, &m.f, how);
	assert_output(&m, in, want);
}

static void
test_default_host(void **state)
{
	const struct h1_forward_request how = {
	    .default_host = SPAN("10.0.0.1:81")};

	(void)state;
	check_request("GET / HTTP/1.0\r\n\r\n", &how,
	    "GET / HTTP/1.1\r\nHost: 10.0.0.1:81\r\n" VIA "\r\n");
	check_request("GET / HTTP/1.0\r\nHost: h\r\n\r\n", &how,
	    "GET / HTTP/1.1\r\nHost: h\r\n" VIA "\r\n");
}

static void
test_upgrade(void **state)
{
	static const struct h1_forward_request how = {.upgrade = true};

	(void)state;
	check_request("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n"
		      "Upgrade: h2c, a/1\r\nA: b\r\nUpgrade: b\r\n\r\n",
	    &how,
	    "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n" VIA
	    "Connection: Upgrade\r\nUpgrade: a/1, b\r\n\r\n");
	check_request("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\n\r\n", &how,
	    "GET / HTTP/1.1\r\nHost: h\r\n" VIA "\r\n");
	check_request("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: a\r\n\r\n", &bare,
	    "GET / HTTP/1.1\r\nHost: h\r\n" VIA "\r\n");
}

static void
test_request_lines(void **state)
{
	static const struct pair pairs[] = {
	    {"GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /a?b HTTP/1.1\r\nHost: h\r\n" VIA "\r\n"},
	    {"\r\nGET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n" VIA "\r\n"},
	    {"GET / HTTP/1.1\r\nA: b\r\nHost: h\r\nC: d\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\nC: d\r\n" VIA "\r\n"},
	    {"GET / HTTP/1.1\r\nhost:   h \r\nA: b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n" VIA "\r\n"},
	    {"GET / HTTP/1.0\r\nHost: h\r\nA: b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n" VIA "\r\n"},
	    {"GET / HTTP/1.3\r\nHost: h\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\n" VIA "\r\n"},
	    {"GET / HTTP/1.0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: \r\n" VIA "\r\n"},
	    {"GET / HTTP/1.0\r\nA: b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: \r\nA: b\r\n" VIA "\r\n"},
	    {"GET http://t.test:1/p?q HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /p?q HTTP/1.1\r\nHost: t.test:1\r\n" VIA "\r\n"},
	    {"GET http://t.test HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: t.test\r\n" VIA "\r\n"},
	    {"GET http://t.test?q HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /?q HTTP/1.1\r\nHost: t.test\r\n" VIA "\r\n"},
	    {"OPTIONS http://t.test HTTP/1.1\r\nHost: h\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: t.test\r\n" VIA "\r\n"},
	    {"OPTIONS http://t.test?q HTTP/1.1\r\nHost: h\r\n\r\n",
		"OPTIONS /?q HTTP/1.1\r\nHost: t.test\r\n" VIA "\r\n"},
	    {"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: h\r\n" VIA "\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++)
		check_request(pairs[i].in, &bare, pairs[i].out);
}

#define GET   "GET / HTTP/1.1\r\nHost: h\r\n"
#define POST  "POST / HTTP/1.1\r\nHost: h\r\n"
#define AFTER VIA "\r\n"

static void
test_request_fields(void **state)
{
	static const struct pair pairs[] = {
	    /* white space is tidied, nothing else is */
	    {GET "A:b\r\nC:  d\r\nE: f \r\ng: h\r\nI:\r\nJ: \t\r\n\r\n",
		GET "A:b\r\nC: d\r\nE: f\r\ng: h\r\nI:\r\nJ: \r\n" AFTER},
	    {GET "X-A: 1\r\nx-a: 2\r\nCookie: a\r\nCookie: b\r\n\r\n",
		GET "X-A: 1\r\nx-a: 2\r\nCookie: a\r\nCookie: b\r\n" AFTER},
	    /* hop by hop */
	    {GET "Keep-Alive: 5\r\nA: b\r\nProxy-Connection: x\r\nTE: trailers"
		 "\r\nTrailer: X\r\nUpgrade: y\r\nHTTP2-Settings: z\r\n\r\n",
		GET "A: b\r\n" AFTER},
	    {GET "Proxy-Authorization: x\r\nAuthorization: y\r\n\r\n",
		GET "Proxy-Authorization: x\r\nAuthorization: y\r\n" AFTER},
	    /* nominated */
	    {GET "X-Hop: 1\r\nConnection: close, x-hop\r\nA: b\r\nX-HOP: 2\r\n"
		 "X-Hop-2: c\r\n\r\n",
		GET "A: b\r\nX-Hop-2: c\r\n" AFTER},
	    {GET "Connection: a\r\nConnection: ,,b ,\r\nA: 1\r\nB: 2\r\nC: 3"
		 "\r\n\r\n",
		GET "C: 3\r\n" AFTER},
	    {GET "Connection: Host, Via\r\nVia: 1.0 x\r\n\r\n",
		GET "Via: 1.0 x\r\n" AFTER},
	    {GET "A: 1\r\nConnection: a b\r\n\r\n", GET "A: 1\r\n" AFTER},
	    /* ours alone */
	    {GET "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-anything: 1\r\n"
		 "Forwarded: for=6.6.6.6\r\nX-Request-Id: 1\r\n\r\n",
		GET AFTER},
	    {GET "Via: 1.0 a, 1.1 b\r\n\r\n",
		GET "Via: 1.0 a, 1.1 b\r\n" AFTER},
	    {GET "X-Client-Cert-Subject: CN=a\r\nx-client-cert-subject:CN=b\r\n"
		 "X-Client_Cert-Subject: CN=c\r\nX_CLIENT_CERT_SUBJECT: d\r\n"
		 "X-Client-Cert: e\r\nX-Client-Cert-Subjects: f\r\n\r\n",
		GET "X-Client-Cert: e\r\nX-Client-Cert-Subjects: f\r\n" AFTER},
	    /* underscores: those that could be taken for ours or framing */
	    {GET
		"Host_: x\r\nContent_Length: 5\r\nTransfer_Encoding: chunked"
		"\r\nX_Forwarded_For: 1\r\nX_Request-Id: 2\r\nKeep_Alive: 3"
		"\r\nUser_Agent: 4\r\nX_Other: 5\r\nIdempotency_Key: 6\r\n\r\n",
		GET "Host_: x\r\nUser_Agent: 4\r\nX_Other: 5\r\n"
		    "Idempotency_Key: 6\r\n" AFTER},
	    {GET "Connection_: A\r\nA: 1\r\n\r\n",
		GET "Connection_: A\r\nA: 1\r\n" AFTER},
	    /* framing */
	    {POST "Content-Length: 005\r\n\r\nhello",
		POST VIA "Content-Length: 5\r\n\r\n"},
	    {POST "Content-Length: 0\r\n\r\n",
		POST VIA "Content-Length: 0\r\n\r\n"},
	    {POST "\r\n", POST AFTER},
	    {POST "Transfer-Encoding: Chunked\r\nTrailer: X\r\nA: b\r\n\r\n",
		POST "A: b\r\n" VIA "Transfer-Encoding: chunked\r\n\r\n"},
	    {POST "Connection: Content-Length\r\nContent-Length: 5\r\n\r\n",
		POST VIA "Content-Length: 5\r\n\r\n"},
	    {POST "Connection: Transfer-Encoding\r\n"
		  "Transfer-Encoding: chunked\r\n\r\n",
		POST VIA "Transfer-Encoding: chunked\r\n\r\n"},
	    {POST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
		POST VIA "Content-Length: 5\r\n\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++)
		check_request(pairs[i].in, &bare, pairs[i].out);
}

static void
test_request_options(void **state)
{
	static const char in[] = "POST / HTTP/1.1\r\nHost: h:1\r\n"
				 "Connection: X-Forwarded-For, X-Request-Id\r\n"
				 "X-Forwarded-For: 6.6.6.6\r\n"
				 "Expect: 100-continue\r\n"
				 "Content-Length: 5\r\n\r\n";
	struct h1_forward_request how = {
	    .forwarded = {.mode = FORWARDED_X, .client_ip = SPAN("10.0.0.9")},
	    .request_id = SPAN("id-1"),
	    .expect_continue = true,
	};

	(void)state;
	check_request(in, &how,
	    "POST / HTTP/1.1\r\nHost: h:1\r\n" VIA
	    "X-Forwarded-For: 10.0.0.9\r\nX-Forwarded-Proto: http\r\n"
	    "X-Forwarded-Host: h:1\r\nX-Request-Id: id-1\r\n"
	    "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	how = (struct h1_forward_request){
	    .forwarded = {.mode = FORWARDED_X, .https = true}};
	check_request("GET / HTTP/1.0\r\n\r\n", &how,
	    "GET / HTTP/1.1\r\nHost: \r\n" VIA
	    "X-Forwarded-Proto: https\r\n\r\n");
}

/* Neither what the client says of itself nor what it has Connection say about
 * ours changes it; nor does a trusted peer. */
static void
test_request_subject(void **state)
{
	static const char in[] =
	    GET "Connection: X-Client-Cert-Subject, x_client_cert_subject\r\n"
		"X-Client-Cert-Subject: CN=root\r\n"
		"X_Client_Cert_Subject: CN=root\r\nA: b\r\n\r\n";
	struct h1_forward_request how = {
	    .forwarded = {.subject = SPAN("CN=a\\, b,O=\xc3\xa9")}};

	(void)state;
	for (int trusted = 0; trusted < 2; trusted++) {
		how.forwarded.trusted = trusted;
		check_request(in, &how,
		    GET "A: b\r\n" VIA
			"X-Client-Cert-Subject: CN=a\\, b,O=\xc3\xa9\r\n\r\n");
		check_request("GET / HTTP/1.0\r\nHost: h\r\n\r\n", &how,
		    GET VIA
		    "X-Client-Cert-Subject: CN=a\\, b,O=\xc3\xa9\r\n\r\n");
	}
	how.forwarded = (struct forwarded){.trusted = true};
	check_request(in, &how, GET "A: b\r\n" AFTER);
}

/* What came in these fields goes out through http/forwarded alone, once. */
static void
test_request_forwarded(void **state)
{
	static const char in[] =
	    GET "A: b\r\nX-Forwarded-For: 1.1.1.1\r\nForwarded: for=2.2.2.2"
		"\r\nX-Forwarded-Proto: https\r\nConnection: Forwarded\r\n"
		"X-Request-Id: x\r\n\r\n";
	struct h1_forward_request how = {
	    .forwarded = {.mode = FORWARDED_BOTH,
		.trusted = true,
		.client_ip = SPAN("10.0.0.9")},
	    .request_id = SPAN("x"),
	};

	(void)state;
	check_request(in, &how,
	    GET "A: b\r\n" VIA "X-Forwarded-For: 1.1.1.1, 10.0.0.9\r\n"
		"X-Forwarded-Proto: https\r\nX-Forwarded-Host: h\r\n"
		"Forwarded: for=2.2.2.2, for=10.0.0.9;proto=http;host=h\r\n"
		"X-Request-Id: x\r\n\r\n");
	how.forwarded.trusted = false;
	check_request(in, &how,
	    GET "A: b\r\n" VIA "X-Forwarded-For: 10.0.0.9\r\n"
		"X-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\n"
		"Forwarded: for=10.0.0.9;proto=http;host=h\r\n"
		"X-Request-Id: x\r\n\r\n");
}

/* ---- responses ---- */

static void
check_response(const char *in, enum h1_method method,
    const struct h1_forward_response *how, const char *want)
{
	static struct message m;

	assert_true(read_response(&m, in, strlen(in), method));
	h1_forward_response(&m.text, &m.h, in, &m.f, how);
	assert_output(&m, in, want);
}

#define OK "HTTP/1.1 200 OK\r\n"

static void
test_responses(void **state)
{
	static const struct pair pairs[] = {
	    {OK "Server: x\r\nContent-Length: 05\r\nA: b\r\n\r\n",
		OK "Server: x\r\nA: b\r\nContent-Length: 5\r\n\r\n"},
	    {OK "Content-Length: 0\r\n\r\n", OK "Content-Length: 0\r\n\r\n"},
	    {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nA:  b\r\n\r\n",
		OK "A: b\r\nContent-Length: 5\r\n\r\n"},
	    {"HTTP/1.1 404\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 404 \r\nContent-Length: 5\r\n\r\n"},
	    {"HTTP/1.1 404 \r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 404 \r\nContent-Length: 5\r\n\r\n"},
	    {OK "Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: x\r\n"
		"Proxy-Connection: y\r\nProxy-Authenticate: z\r\n"
		"Upgrade: h2c\r\nVia: 1.1 b\r\n\r\n",
		OK "Proxy-Authenticate: z\r\nVia: 1.1 b\r\n\r\n"},
	    {OK "Content_Length: 5\r\nTransfer_Encoding: x\r\nKeep_Alive: y\r\n"
		"X_Other: z\r\n\r\n",
		OK "X_Other: z\r\n\r\n"},
	    {OK "Trailer: X\r\nTransfer-Encoding: chunked\r\n\r\n", OK "\r\n"},
	    {OK "X-Request-Id: theirs\r\nX-Forwarded-For: x\r\n\r\n",
		OK "X-Request-Id: theirs\r\nX-Forwarded-For: x\r\n\r\n"},
	    {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 5\r\n"
	     "\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"},
	    {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 204 No Content\r\n\r\n"},
	    {"HTTP/1.1 304 x\r\nContent-Length: 5\r\nETag: e\r\n\r\n",
		"HTTP/1.1 304 x\r\nETag: e\r\nContent-Length: 5\r\n\r\n"},
	    {"HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 304 x\r\n\r\n"},
	};
	struct h1_forward_response how = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++)
		check_response(pairs[i].in, H1_METHOD_GET, &how, pairs[i].out);
	check_response(OK "Content-Length: 5\r\n\r\n", H1_METHOD_HEAD, &how,
	    OK "Content-Length: 5\r\n\r\n");
}

static void
test_response_options(void **state)
{
	struct h1_forward_response how = {.chunked = true};

	(void)state;
	check_response(OK "Trailer: X\r\nTransfer-Encoding: chunked\r\n\r\n",
	    H1_METHOD_GET, &how,
	    OK "Trailer: X\r\nTransfer-Encoding: chunked\r\n\r\n");
	check_response(OK "A: b\r\n\r\n", H1_METHOD_GET, &how,
	    OK "A: b\r\nTransfer-Encoding: chunked\r\n\r\n");
	check_response(OK "Trailer: X\r\nContent-Length: 5\r\n\r\n",
	    H1_METHOD_GET, &how, OK "Content-Length: 5\r\n\r\n");
	check_response(OK "Transfer-Encoding: chunked\r\n\r\n", H1_METHOD_HEAD,
	    &how, OK "\r\n");
	check_response("HTTP/1.1 204 x\r\n\r\n", H1_METHOD_GET, &how,
	    "HTTP/1.1 204 x\r\n\r\n");
	how = (struct h1_forward_response){
	    .connection = H1_CONNECTION_CLOSE, .request_id = SPAN("ours")};
	check_response(OK "x-request-id: theirs\r\nContent-Length: 1\r\n\r\n",
	    H1_METHOD_GET, &how,
	    OK "Content-Length: 1\r\nX-Request-Id: ours\r\n"
	       "Connection: close\r\n\r\n");
	how =
	    (struct h1_forward_response){.connection = H1_CONNECTION_KEEPALIVE};
	check_response(OK "Connection: close\r\nContent-Length: 1\r\n\r\n",
	    H1_METHOD_GET, &how,
	    OK "Content-Length: 1\r\nConnection: keep-alive\r\n\r\n");
}

/* ---- room ---- */

/* Every size of memory: whole and not full, or full; never a byte too far. */
static void
test_room(void **state)
{
	static const char in[] = "POST / HTTP/1.1\r\nHost: h\r\nA:  b\r\n"
				 "Content-Length: 5\r\n\r\n";
	struct h1_forward_request how = {.forwarded = {.mode = FORWARDED_X,
					     .client_ip = SPAN("::1"),
					     .subject = SPAN("CN=a")},
	    .request_id = SPAN("x")};
	static struct message m;
	size_t need;

	(void)state;
	assert_true(read_request(&m, in, sizeof(in) - 1));
	h1_forward_request(&m.text, &m.h, in, &m.f, &how);
	need = m.text.len;
	for (size_t room = 0; room < need + 2; room++) {
		char *exact = malloc(room + 1);
		struct textbuf t = textbuf_make(exact, room);

		assert_non_null(exact);
		h1_forward_request(&t, &m.h, in, &m.f, &how);
		assert_int_equal(t.full, room < need);
		if (!t.full)
			assert_memory_equal(exact, m.out, need);
		free(exact);
	}
}

/* What H1_FORWARD_EXTRA_BYTES promises, with all that can be added. */
static void
test_extra_bytes(void **state)
{
	static struct message m;
	static char in[2048];
	static const char more[] =
	    ":65535\r\nContent-Length:1\r\nX-Forwarded-For:1\r\n"
	    "X-Forwarded-For:1\r\nX-Forwarded-:1\r\nX-Forwarded-A:1\r\n"
	    "Forwarded:a=b\r\nForwarded:a=b\r\n\r\n";
	struct h1_forward_request how = {
	    .forwarded = {.mode = FORWARDED_BOTH,
		.https = true,
		.client_ip = SPAN("1111:2222:3333:4444:5555:6666:7777:8888"),
		.subject = SPAN("CN=a")},
	    .expect_continue = true,
	    .request_id = SPAN("0123456789abcdef")};
	size_t n;

	(void)state;
	n = (size_t)sprintf(in, "GET / HTTP/1.1\r\nHost: ");
	memset(in + n, 'h', H1_HOST_NAME_BYTES);
	n += H1_HOST_NAME_BYTES;
	memcpy(in + n, more, sizeof(more));
	n += sizeof(more) - 1;
	for (int trusted = 0; trusted < 2; trusted++) {
		how.forwarded.trusted = trusted;
		assert_true(read_request(&m, in, n));
		h1_forward_request(&m.text, &m.h, in, &m.f, &how);
		assert_true(m.text.len <= m.h.len +
			how.forwarded.client_ip.len +
			how.forwarded.subject.len + how.request_id.len +
			H1_FORWARD_EXTRA_BYTES);
	}
}

/* ---- trailers ---- */

static void
test_trailers(void **state)
{
	static const struct pair pairs[] = {
	    {"", ""},
	    {"X-Sum: abc\r\n", "X-Sum: abc\r\n"},
	    {"X:1\r\nContent-Length: 5\r\nY:  2 \r\n", "X:1\r\nY:  2 \r\n"},
	    {"Host: x\r\ntransfer-encoding: chunked\r\nConnection: close\r\n"
	     "Trailer: y\r\nAuthorization: z\r\nContent_Length: 1\r\n"
	     "X-Forwarded-For: 1\r\n",
		""},
	    {"not a field\r\nA: b\r\n", "A: b\r\n"},
	    {"A: b\r\nC: d", "A: b\r\n"},
	};
	char out[256];

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct textbuf t = textbuf_make(out, sizeof(out));

		h1_forward_trailer(&t, span_of(pairs[i].in));
		assert_true(
		    span_equal(textbuf_span(&t), span_of(pairs[i].out)));
	}
}

/* ---- all samples: what goes out reads as what came in ---- */

static void
test_samples_read_back(void **state)
{
	static struct message m, again;
	struct h1_forward_request how = {
	    .forwarded = {.mode = FORWARDED_X, .client_ip = SPAN("10.0.0.9")}};

	(void)state;
	for (size_t i = 0; i < H1_REQUESTS; i++) {
		const char *text = h1_requests[i].text;

		if (!read_request(&m, text, h1_requests[i].len))
			continue;
		h1_forward_request(&m.text, &m.h, text, &m.f, &how);
		assert_false(m.text.full);
		if (m.f.host.len == 0)
			continue;
		assert_true(read_request(&again, m.out, m.text.len));
		assert_int_equal(again.h.len, m.text.len);
		assert_int_equal(again.h.minor, 1);
		assert_int_equal(again.f.body, m.f.body);
		assert_int_equal(again.f.length, m.f.length);
		assert_int_equal(again.f.has_length, m.f.has_length);
		assert_int_not_equal(again.f.form, H1_ABSOLUTE_FORM);
		assert_true(again.f.keep_alive);
		assert_true(span_equal(
		    h1_span(again.f.host, m.out), h1_span(m.f.host, text)));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_default_host),
	    cmocka_unit_test(test_upgrade),
	    cmocka_unit_test(test_request_lines),
	    cmocka_unit_test(test_request_fields),
	    cmocka_unit_test(test_request_options),
	    cmocka_unit_test(test_request_subject),
	    cmocka_unit_test(test_request_forwarded),
	    cmocka_unit_test(test_responses),
	    cmocka_unit_test(test_response_options),
	    cmocka_unit_test(test_room),
	    cmocka_unit_test(test_extra_bytes),
	    cmocka_unit_test(test_trailers),
	    cmocka_unit_test(test_samples_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
