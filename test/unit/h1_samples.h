/*
 * h1_samples - requests and responses with the verdict each must get.
 *
 * Shared by the tests of head, framing, forward and by the comparison with
 * llhttp, so that all of them speak of the same messages.
 */
#ifndef EVENKEEL_TEST_H1_SAMPLES_H
#define EVENKEEL_TEST_H1_SAMPLES_H

#include "evenkeel/http/head.h"

struct h1_sample {
	const char *text;
	size_t len;
	enum h1_error error; /* of head or framing; H1_OK: accepted */
};

#define SAMPLE(error, text)                   \
	{                                     \
		text, sizeof(text) - 1, error \
	}
#define H    "Host: lb.test\r\n"
#define GET  "GET / HTTP/1.1\r\n"
#define POST "POST /t HTTP/1.1\r\n" H
#define E    "\r\n"

static const struct h1_sample h1_requests[] = {
    /* what every client sends */
    SAMPLE(H1_OK, GET H E),
    SAMPLE(H1_OK, "\r\n" GET H E),
    SAMPLE(H1_OK, "GET / HTTP/1.0\r\n\r\n"),
    SAMPLE(H1_OK, "GET / HTTP/1.0\r\n" H "Connection: keep-alive\r\n\r\n"),
    SAMPLE(H1_OK, "GET / HTTP/1.2\r\n" H E),
    SAMPLE(H1_OK, "HEAD /a?b=c&d HTTP/1.1\r\n" H E),
    SAMPLE(H1_OK, "OPTIONS * HTTP/1.1\r\n" H E),
    SAMPLE(H1_OK, "PROPFIND / HTTP/1.1\r\n" H E),
    SAMPLE(H1_OK, "get / HTTP/1.1\r\n" H E),
    SAMPLE(H1_OK, "GET /\"<>[]^`{|}~%zz HTTP/1.1\r\n" H E),
    SAMPLE(H1_OK, "GET http://lb.test/p?q HTTP/1.1\r\n" H E),
    SAMPLE(H1_OK, "GET HTTPS://other.test HTTP/1.1\r\n" H E),
    SAMPLE(H1_OK, "GET http://other.test?q HTTP/1.0\r\n\r\n"),
    SAMPLE(H1_OK, "OPTIONS http://lb.test HTTP/1.1\r\n" H E),
    SAMPLE(H1_OK, GET "hOsT:lb.test \t \r\n\r\n"),
    SAMPLE(H1_OK, GET H "X-Empty:\r\nX-Blank: \t \r\nY: a\tb  c \r\n\r\n"),
    SAMPLE(H1_OK, GET H "X: caf\xc3\xa9 \xff\x80\r\n\r\n"),
    SAMPLE(H1_OK, GET H "!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n"),
    SAMPLE(H1_OK,
	GET H "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
	      "Accept: text/html,*/*;q=0.8\r\n"
	      "Cookie: a=0123456789abcdef; b=fedcba9876543210\r\n\r\n"),
    SAMPLE(H1_OK, GET "Host: [::1]:80\r\n\r\n"),
    SAMPLE(H1_OK, POST "Content-Length: 5\r\n\r\nhello"),
    SAMPLE(H1_OK, POST "Content-Length: 0\r\n\r\n"),
    SAMPLE(H1_OK, POST "content-length:010\r\n\r\n0123456789"),
    SAMPLE(H1_OK, POST "Content-Length: 9223372036854775807\r\n\r\n"),
    SAMPLE(H1_OK, POST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    SAMPLE(H1_OK,
	POST "Transfer-Encoding: CHUNKED\r\n\r\n"
	     "5;a=b\r\nhello\r\n0\r\nT: v\r\n\r\n"),
    SAMPLE(H1_OK, POST "Content_Length: 5\r\n\r\n"),
    SAMPLE(H1_OK, POST "Transfer_Encoding: x\r\n\r\n"),
    SAMPLE(H1_OK, GET H "Connection: ,, close , X-A,\r\nX-A: 1\r\n\r\n"),
    SAMPLE(H1_OK, GET H "Connection: a b\r\n\r\n"),
    SAMPLE(H1_OK, GET H "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
    SAMPLE(H1_OK,
	GET H "Connection: Upgrade, HTTP2-Settings\r\n"
	      "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"),
    SAMPLE(H1_OK, POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx"),
    SAMPLE(H1_OK, "POST / HTTP/1.0\r\nExpect: magic\r\n\r\n"),
    SAMPLE(H1_OK,
	GET H "Upgrade-Insecure-Requests: 1\r\n"
	      "X-Forwarded-For: 1.2.3.4\r\nForwarded: for=x\r\n\r\n"),
    /* request line */
    SAMPLE(H1_E_METHOD, " GET / HTTP/1.1\r\n" H E),
    SAMPLE(H1_E_METHOD, "\r\n\r\n" GET H E),
    SAMPLE(H1_E_METHOD, "G(T / HTTP/1.1\r\n" H E),
    SAMPLE(H1_E_METHOD, "G\0T / HTTP/1.1\r\n" H E),
    SAMPLE(H1_E_METHOD, "GET\t/ HTTP/1.1\r\n" H E),
    SAMPLE(H1_E_TLS, "\x16\x03\x01\x02"),
    SAMPLE(H1_E_METHOD, "\x15\x03\x01\x02"),
    SAMPLE(H1_E_METHOD, "GET\r\n\r\n"),
    SAMPLE(H1_E_TARGET, "GET  / HTTP/1.1\r\n" H E),
    SAMPLE(H1_E_TARGET, "GET /\r\n" H E),
    SAMPLE(H1_E_TARGET, "GET /#a HTTP/1.1\r\n" H E),
    SAMPLE(H1_E_TARGET, "GET /a\tb HTTP/1.1\r\n" H E),
    SAMPLE(H1_E_TARGET,
	"GET /a\x01"
	"b HTTP/1.1\r\n" H E),
    SAMPLE(H1_E_TARGET, "GET /a\x7f HTTP/1.1\r\n" H E),
    SAMPLE(H1_E_TARGET, "GET /caf\xc3\xa9 HTTP/1.1\r\n" H E),
    SAMPLE(H1_E_TARGET, "GET index.html HTTP/1.1\r\n" H E),
    SAMPLE(H1_E_TARGET, "GET * HTTP/1.1\r\n" H E),
    SAMPLE(H1_E_TARGET, "OPTIONS */x HTTP/1.1\r\n" H E),
    SAMPLE(H1_E_TARGET, "GET lb.test:80 HTTP/1.1\r\n" H E),
    SAMPLE(H1_E_TARGET, "GET ftp://lb.test/ HTTP/1.1\r\n" H E),
    SAMPLE(H1_E_TARGET, "GET http:///p HTTP/1.1\r\n" H E),
    SAMPLE(H1_E_TARGET, "GET http://user@lb.test/ HTTP/1.1\r\n" H E),
    SAMPLE(H1_E_TARGET, "GET http://lb.test:99999/ HTTP/1.1\r\n" H E),
    SAMPLE(H1_E_VERSION, "GET / http/1.1\r\n" H E),
    SAMPLE(H1_E_VERSION, "GET / HTTP/1\r\n" H E),
    SAMPLE(H1_E_VERSION, "GET / HTTP/1.\r\n" H E),
    SAMPLE(H1_E_VERSION, "GET / HTTP/1,1\r\n" H E),
    SAMPLE(H1_E_VERSION, "GET / HTTP/1.10\r\n" H E),
    SAMPLE(H1_E_VERSION, "GET / HTTP/1.1 \r\n" H E),
    SAMPLE(H1_E_VERSION, "GET /a b HTTP/1.1\r\n" H E),
    SAMPLE(H1_E_VERSION, "GET / HTTP/x.1\r\n" H E),
    SAMPLE(H1_E_VERSION_HIGH, "GET / HTTP/2.0\r\n" H E),
    SAMPLE(H1_E_VERSION_HIGH, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    SAMPLE(H1_E_VERSION_HIGH, "GET / HTTP/0.9\r\n" H E),
    SAMPLE(H1_E_LINE_END, "\nGET / HTTP/1.1\r\n" H E),
    SAMPLE(H1_E_LINE_END, "\r" GET H E),
    SAMPLE(H1_E_LINE_END, "GET / HTTP/1.1\nHost: lb.test\r\n\r\n"),
    SAMPLE(H1_E_LINE_END, "GET / HTTP/1.1\rHost: lb.test\r\n\r\n"),
    /* fields */
    SAMPLE(H1_E_LINE_END, GET H "X: y\nZ: w\r\n\r\n"),
    SAMPLE(H1_E_LINE_END, GET H "X: y\rZ: w\r\n\r\n"),
    SAMPLE(H1_E_LINE_END, GET H "\n"),
    SAMPLE(H1_E_LINE_END, GET H "\rX"),
    SAMPLE(H1_E_FIELD_NAME, GET H "X : v\r\n\r\n"),
    SAMPLE(H1_E_FIELD_NAME, GET H "X Y: v\r\n\r\n"),
    SAMPLE(H1_E_FIELD_NAME, GET H ": v\r\n\r\n"),
    SAMPLE(H1_E_FIELD_NAME, GET H "XYZ\r\n\r\n"),
    SAMPLE(H1_E_FIELD_NAME, GET H "X\x80: v\r\n\r\n"),
    SAMPLE(H1_E_FIELD_NAME, GET H "X\"Y: v\r\n\r\n"),
    SAMPLE(H1_E_FIELD_NAME, GET H "a-rather-long-name-with/slash: v\r\n\r\n"),
    SAMPLE(H1_E_FIELD_VALUE, GET H "X: a\0b\r\n\r\n"),
    SAMPLE(H1_E_FIELD_VALUE, GET H "X: a\x01\r\n\r\n"),
    SAMPLE(H1_E_FIELD_VALUE,
	GET H "X: a\x7f"
	      "bcdefghijklmnopqrst\r\n\r\n"),
    SAMPLE(H1_E_FIELD_VALUE, GET H "X: \t\x0b\r\n\r\n"),
    SAMPLE(H1_E_FOLD, GET " X: y\r\n" H E),
    SAMPLE(H1_E_FOLD, GET H "X: y\r\n z\r\n\r\n"),
    SAMPLE(H1_E_FOLD, GET H "X: y\r\n\tz\r\n\r\n"),
    /* Host */
    SAMPLE(H1_E_HOST, GET E),
    SAMPLE(H1_E_HOST, GET "Host:\r\n\r\n"),
    SAMPLE(H1_E_HOST, GET H H E),
    SAMPLE(H1_E_HOST, "GET / HTTP/1.0\r\n" H H E),
    SAMPLE(H1_E_HOST, GET "Host: a/b\r\n\r\n"),
    SAMPLE(H1_E_HOST, GET "Host: a@b\r\n\r\n"),
    SAMPLE(H1_E_HOST, GET "Host: a,b\r\n\r\n"),
    SAMPLE(H1_E_HOST, GET "Host_: lb.test\r\n\r\n"),
    SAMPLE(H1_E_HOST, "GET http://lb.test/ HTTP/1.1\r\n\r\n"),
    SAMPLE(H1_E_HOST, "GET http://lb.test/ HTTP/1.1\r\nHost: a b\r\n\r\n"),
    /* framing */
    SAMPLE(H1_E_LENGTH, POST "Content-Length:\r\n\r\n"),
    SAMPLE(H1_E_LENGTH, POST "Content-Length: +5\r\n\r\nhello"),
    SAMPLE(H1_E_LENGTH, POST "Content-Length: -5\r\n\r\nhello"),
    SAMPLE(H1_E_LENGTH, POST "Content-Length: 5 5\r\n\r\nhello"),
    SAMPLE(H1_E_LENGTH, POST "Content-Length: 0x5\r\n\r\nhello"),
    SAMPLE(H1_E_LENGTH, POST "Content-Length: 9223372036854775808\r\n\r\n"),
    SAMPLE(H1_E_LENGTH, POST "Content-Length: 18446744073709551621\r\n\r\n"),
    SAMPLE(H1_E_LENGTH_REPEATED,
	POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    SAMPLE(H1_E_LENGTH_REPEATED, POST "Content-Length: 5, 5\r\n\r\nhello"),
    SAMPLE(H1_E_LENGTH_AND_CODING,
	POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello"),
    SAMPLE(H1_E_LENGTH_AND_CODING,
	POST "Transfer-Encoding: x\r\nContent-Length: 5\r\n\r\nhello"),
    SAMPLE(H1_E_CODING, POST "Transfer-Encoding:\r\n\r\n"),
    SAMPLE(H1_E_CODING, POST "Transfer-Encoding: ,chunked\r\n\r\n"),
    SAMPLE(H1_E_CODING, POST "Transfer-Encoding: \"chunked\"\r\n\r\n"),
    SAMPLE(H1_E_CODING, POST "Transfer-Encoding: chunked foo\r\n\r\n"),
    SAMPLE(H1_E_CODING,
	"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    SAMPLE(H1_E_CODING_UNKNOWN, POST "Transfer-Encoding: gzip\r\n\r\n"),
    SAMPLE(
	H1_E_CODING_UNKNOWN, POST "Transfer-Encoding: gzip, chunked\r\n\r\n"),
    SAMPLE(H1_E_CODING_UNKNOWN, POST "Transfer-Encoding: xchunked\r\n\r\n"),
    SAMPLE(H1_E_CODING_UNKNOWN, POST "Transfer-Encoding: chunked;q=1\r\n\r\n"),
    SAMPLE(H1_E_CODING_UNKNOWN,
	POST
	"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
    SAMPLE(H1_E_METHOD_REFUSED, "CONNECT lb.test:443 HTTP/1.1\r\n" H E),
    SAMPLE(H1_E_METHOD_REFUSED, "TRACE / HTTP/1.1\r\n" H E),
    SAMPLE(H1_E_EXPECT, POST "Expect: 200-ok\r\nContent-Length: 1\r\n\r\nx"),
    SAMPLE(H1_E_EXPECT, POST "Expect:\r\nContent-Length: 1\r\n\r\nx"),
};

#define OK_LINE "HTTP/1.1 200 OK\r\n"

/* Framed as answers to GET. */
static const struct h1_sample h1_responses[] = {
    SAMPLE(H1_OK, OK_LINE "Content-Length: 5\r\n\r\nhello"),
    SAMPLE(H1_OK, OK_LINE "Content-Length: 0\r\n\r\n"),
    SAMPLE(H1_OK, OK_LINE "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    SAMPLE(H1_OK, OK_LINE E),
    SAMPLE(H1_OK, "HTTP/1.0 200 OK\r\n\r\n"),
    SAMPLE(H1_OK, "HTTP/1.2 200 OK\r\n\r\n"),
    SAMPLE(H1_OK, "HTTP/1.1 200 \r\n\r\n"),
    SAMPLE(H1_OK, "HTTP/1.1 200\r\n\r\n"),
    SAMPLE(H1_OK, "HTTP/1.1 599 x\r\n\r\n"),
    SAMPLE(H1_OK, "HTTP/1.1 100 Continue\r\n\r\n"),
    SAMPLE(H1_OK,
	"HTTP/1.1 101 Switching Protocols\r\n"
	"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
    SAMPLE(H1_OK, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
    SAMPLE(H1_OK, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"),
    SAMPLE(H1_OK,
	"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n"
	"Transfer-Encoding: chunked\r\n\r\n"),
    SAMPLE(H1_OK, "HTTP/1.1 404 caf\xe9 \tau lait\r\nX: y\r\n\r\n"),
    SAMPLE(H1_OK,
	OK_LINE "Keep-Alive: timeout=5, max=100\r\n"
		"Connection: keep-alive\r\n\r\n"),
    SAMPLE(H1_OK, OK_LINE "Connection: close\r\nX-Empty:\r\n\r\n"),
    SAMPLE(H1_OK, OK_LINE "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n"),
    SAMPLE(H1_E_VERSION, "hello\r\n\r\n"),
    SAMPLE(H1_E_VERSION, "ICY 200 OK\r\n\r\n"),
    SAMPLE(H1_E_VERSION, " HTTP/1.1 200 OK\r\n\r\n"),
    SAMPLE(H1_E_VERSION, "\r\nHTTP/1.1 200 OK\r\n\r\n"),
    SAMPLE(H1_E_VERSION, "\x15\x03\x01\x00\x02"),
    SAMPLE(H1_E_VERSION_HIGH, "HTTP/2.0 200 OK\r\n\r\n"),
    SAMPLE(H1_E_STATUS, "HTTP/1.1\t200 OK\r\n\r\n"),
    SAMPLE(H1_E_STATUS, "HTTP/1.1  200 OK\r\n\r\n"),
    SAMPLE(H1_E_STATUS, "HTTP/1.1 20 OK\r\n\r\n"),
    SAMPLE(H1_E_STATUS, "HTTP/1.1 2000 OK\r\n\r\n"),
    SAMPLE(H1_E_STATUS, "HTTP/1.1 099 OK\r\n\r\n"),
    SAMPLE(H1_E_STATUS, "HTTP/1.1 600 OK\r\n\r\n"),
    SAMPLE(H1_E_STATUS, "HTTP/1.1 abc OK\r\n\r\n"),
    SAMPLE(H1_E_STATUS, "HTTP/1.1 200 O\0K\r\n\r\n"),
    SAMPLE(H1_E_STATUS, "HTTP/1.1 200 O\x7fK\r\n\r\n"),
    SAMPLE(H1_E_LINE_END, "HTTP/1.1 200 O\rK\r\n\r\n"),
    SAMPLE(H1_E_LINE_END, "HTTP/1.1 200 OK\nX: y\r\n\r\n"),
    SAMPLE(H1_E_LINE_END, "HTTP/1.1 200\n\r\n"),
    SAMPLE(H1_E_LINE_END, "HTTP/1.1 200\rX"),
    SAMPLE(H1_E_FIELD_NAME, OK_LINE "X : v\r\n\r\n"),
    SAMPLE(H1_E_FIELD_VALUE, OK_LINE "X: \x02\r\n\r\n"),
    SAMPLE(H1_E_FOLD, OK_LINE " X: v\r\n\r\n"),
    SAMPLE(H1_E_LENGTH, OK_LINE "Content-Length: 5a\r\n\r\n"),
    SAMPLE(H1_E_LENGTH, "HTTP/1.1 304 x\r\nContent-Length: a\r\n\r\n"),
    SAMPLE(H1_E_LENGTH_REPEATED,
	OK_LINE "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"),
    SAMPLE(
	H1_E_LENGTH_REPEATED, "HTTP/1.1 204 x\r\nContent-Length: 1, 1\r\n\r\n"),
    SAMPLE(H1_E_LENGTH_AND_CODING,
	OK_LINE "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
    SAMPLE(
	H1_E_CODING, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    SAMPLE(H1_E_CODING, OK_LINE "Transfer-Encoding: chunked,\r\n\r\n"),
    SAMPLE(H1_E_CODING_UNKNOWN, OK_LINE "Transfer-Encoding: br\r\n\r\n"),
};

#undef SAMPLE
#undef H
#undef GET
#undef POST
#undef E
#undef OK_LINE

#define H1_REQUESTS  (sizeof(h1_requests) / sizeof(h1_requests[0]))
#define H1_RESPONSES (sizeof(h1_responses) / sizeof(h1_responses[0]))

#endif
