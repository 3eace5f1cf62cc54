/* layer: http */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "evenkeel/http/proxyproto.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SIGN         "\r\n\r\n\0\r\nQUIT\n"
#define FULL6                                      \
	"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff " \
	"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
#define X10 "xxxxxxxxxx"
#define X80 X10 X10 X10 X10 X10 X10 X10 X10

struct row {
	struct span in;
	int result; /* enum proxyproto_result, or the error negated */
	size_t len;
	const char *text; /* of DONE: the header written as version 1 */
};

#define MORE(bytes)                                   \
	{                                             \
		SPAN(bytes), PROXYPROTO_MORE, 0, NULL \
	}
#define BAD(bytes, e)                                   \
	{                                               \
		SPAN(bytes), -PROXYPROTO_E_##e, 0, NULL \
	}
#define DONE(bytes, rest, text)                                            \
	{                                                                  \
		SPAN(bytes rest), PROXYPROTO_DONE, sizeof(bytes) - 1, text \
	}

#define UNKNOWN "PROXY UNKNOWN\r\n"

static const struct row v1_rows[] = {
    DONE("PROXY TCP4 1.2.3.4 5.6.7.8 1 65535\r\n", "GET /",
	"PROXY TCP4 1.2.3.4 5.6.7.8 1 65535\r\n"),
    DONE("PROXY TCP4 0.0.0.0 255.255.255.255 0 0\r\n", "\r\n",
	"PROXY TCP4 0.0.0.0 255.255.255.255 0 0\r\n"),
    DONE("PROXY TCP6 ::1 2001:DB8::2 80 8080\r\n", "",
	"PROXY TCP6 ::1 2001:db8::2 80 8080\r\n"),
    DONE("PROXY TCP6 ::ffff:1.2.3.4 :: 1 2\r\n", "",
	"PROXY TCP6 ::ffff:1.2.3.4 :: 1 2\r\n"),
    DONE("PROXY TCP6 " FULL6 " 65535 65535\r\n", "",
	"PROXY TCP6 " FULL6 " 65535 65535\r\n"),
    DONE("PROXY UNKNOWN\r\n", "\r\n", UNKNOWN),
    DONE("PROXY UNKNOWN \r\n", "x", UNKNOWN),
    DONE("PROXY UNKNOWN any\0thing  at all\r\n", "", UNKNOWN),
    DONE("PROXY UNKNOWN " FULL6 " 65535 65535\r\n", "", UNKNOWN),
    MORE(""),
    MORE("P"),
    MORE("PROXY"),
    MORE("PROXY "),
    MORE("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r"),
    MORE("PROXY TCP4 garbage that has no end yet"),
    MORE("PROXY UNKNOWN" X80 X10 "xx\r"),
    BAD("GET / HTTP/1.1\r\n", SIGNATURE),
    BAD("proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n", SIGNATURE),
    BAD(" PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", SIGNATURE),
    BAD("PROXY\tTCP4 1.2.3.4 5.6.7.8 1 2\r\n", SIGNATURE),
    BAD("PROXY\r\n", SIGNATURE),
    BAD("\0", SIGNATURE),
    BAD("PROXY \n", LINE),
    BAD("PROXY UNKNOWN\n", LINE),
    BAD("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n\r\n", LINE),
    BAD("PROXY UNKNOWN\rx\r\n", LINE),
    BAD("PROXY UNKNOWN\r\r\n", LINE),
    BAD("PROXY UNKNOWN " X80 X10 "xxx\r", LINE),
    BAD("PROXY UNKNOWN " X80 X10 "xx\r\n", LINE),
    BAD("PROXY UNKNOWN " X80 X80 "\r\n", LINE),
    BAD("PROXY \r\n", WORDS),
    BAD("PROXY  UNKNOWN\r\n", WORDS),
    BAD("PROXY UNKNOWNX\r\n", WORDS),
    BAD("PROXY unknown\r\n", WORDS),
    BAD("PROXY TCP\r\n", WORDS),
    BAD("PROXY TCP4\r\n", WORDS),
    BAD("PROXY TCP4 \r\n", WORDS),
    BAD("PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n", WORDS),
    BAD("PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n", WORDS),
    BAD("PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", WORDS),
    BAD("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n", WORDS),
    BAD("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", WORDS),
    BAD("PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n", WORDS),
    BAD("PROXY TCP4  1.2.3.4 5.6.7.8 1\r\n", ADDRESS),
    BAD("PROXY TCP4 1.2.3.4\t5.6.7.8 1 2 3\r\n", ADDRESS),
    BAD("PROXY TCP4 1.2.3.4 ::1 1 2\r\n", ADDRESS),
    BAD("PROXY TCP4 ::1 ::1 1 2\r\n", ADDRESS),
    BAD("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", ADDRESS),
    BAD("PROXY TCP6 [::1] ::1 1 2\r\n", ADDRESS),
    BAD("PROXY TCP4 1.2.3.4\0 5.6.7.8 1 2\r\n", ADDRESS),
    BAD("PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n", ADDRESS),
    BAD("PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n", ADDRESS),
    BAD("PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n", ADDRESS),
    BAD("PROXY TCP4 1.2.3.4 5.6.7.8 1 00\r\n", ADDRESS),
    BAD("PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n", ADDRESS),
    BAD("PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n", ADDRESS),
    BAD("PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n", ADDRESS),
    BAD("PROXY TCP4 1.2.3.4 5.6.7.8 1 2x\r\n", ADDRESS),
};

#define V4_12 "\1\2\3\4\5\6\7\10\0\120\377\377"
#define V4    "PROXY TCP4 1.2.3.4 5.6.7.8 80 65535\r\n"
#define V6_36                                  \
	"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"     \
	"\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\2" \
	"\0\1\0\2"
#define N10  "\0\0\0\0\0\0\0\0\0\0"
#define N100 N10 N10 N10 N10 N10 N10 N10 N10 N10 N10

static const struct row v2_rows[] = {
    DONE(SIGN "\x21\x11\0\14" V4_12, "GET", V4),
    DONE(SIGN "\x21\x21\0\44" V6_36, "", "PROXY TCP6 ::1 2001:db8::2 1 2\r\n"),
    DONE(SIGN "\x21\x31\0\330/a" N100 "\0\0\0\0\0\0/b" N100 "\0\0\0\0\0\0", "",
	UNKNOWN),
    /* TLVs */
    DONE(SIGN "\x21\x11\0\17" V4_12 "\4\0\0", "x", V4),
    DONE(SIGN "\x21\x11\0\26" V4_12 "\1\0\2h2\2\0\2xx", "x", V4),
    DONE(SIGN "\x21\x21\0\47" V6_36 "\356\0\0", "",
	"PROXY TCP6 ::1 2001:db8::2 1 2\r\n"),
    BAD(SIGN "\x21\x11\0\15" V4_12 "\4", TLV),
    BAD(SIGN "\x21\x11\0\16" V4_12 "\4\0", TLV),
    BAD(SIGN "\x21\x11\0\17" V4_12 "\4\0\1x", TLV),
    BAD(SIGN "\x21\x11\0\23" V4_12 "\4\0\0\4\1\0\0", TLV),
    BAD(SIGN "\x21\x11\0\21" V4_12 "\4\377\377xx", TLV),
    /* the socket's own */
    DONE(SIGN "\x20\0\0\0", "x", UNKNOWN),
    DONE(SIGN "\x20\x11\0\14" V4_12, "x", UNKNOWN),
    DONE(SIGN "\x20\xff\0\1x", "", UNKNOWN),
    DONE(SIGN "\x21\0\0\0", "x", UNKNOWN),
    DONE(SIGN "\x21\0\0\5abcde", "x", UNKNOWN),
    DONE(SIGN "\x21\x12\0\14" V4_12, "", UNKNOWN),
    DONE(SIGN "\x21\x22\0\0", "", UNKNOWN),
    DONE(SIGN "\x21\x32\0\0", "", UNKNOWN),
    /* incomplete */
    MORE("\r"),
    MORE("\r\n\r\n\0\r\nQUIT"),
    MORE(SIGN),
    MORE(SIGN "\x21"),
    MORE(SIGN "\x21\x11\0"),
    MORE(SIGN "\x21\x11\0\14"),
    MORE(SIGN "\x21\x11\0\14\1\2\3\4\5\6\7\10\0\120\377"),
    MORE(SIGN "\x21\x11\20\0" V4_12),
    MORE(SIGN "\x20\0\0\1"),
    /* refused */
    BAD("\r\n\r\nGET", SIGNATURE),
    BAD("\r\n\r\n\0\r\nQUIT\r", SIGNATURE),
    BAD(SIGN "\x11", VERSION),
    BAD(SIGN "\x31\x11\0\14" V4_12, VERSION),
    BAD(SIGN "\x22\x11\0\14" V4_12, VERSION),
    BAD(SIGN "\x21\x10", FAMILY),
    BAD(SIGN "\x21\x01\0\0", FAMILY),
    BAD(SIGN "\x21\x13\0\14" V4_12, FAMILY),
    BAD(SIGN "\x21\x41\0\14" V4_12, FAMILY),
    BAD(SIGN "\x21\x11\0\13", LENGTH),
    BAD(SIGN "\x21\x21\0\43", LENGTH),
    BAD(SIGN "\x21\x31\0\327", LENGTH),
    BAD(SIGN "\x21\x11\20\1", LENGTH),
    BAD(SIGN "\x20\0\377\377", LENGTH),
};

/* In memory of just that size, so that a look behind it is seen. */
static enum proxyproto_result
parse(struct span in, size_t len, struct proxyproto_parsed *out, char **copy)
{
	*copy = malloc(len > 0 ? len : 1);
	assert_non_null(*copy);
	memcpy(*copy, in.ptr, len);
	return proxyproto_parse(span_make(*copy, len), out);
}

static void
check_row(const struct row *row)
{
	struct proxyproto_parsed out;
	char room[PROXYPROTO_WRITE_BYTES], *copy;
	struct textbuf t = textbuf_make(room, sizeof(room));
	enum proxyproto_result r = parse(row->in, row->in.len, &out, &copy);
	int got = r == PROXYPROTO_BAD ? -(int)out.error : (int)r;

	if (got != row->result)
		fail_msg("%.*s: %d, not %d", (int)row->in.len, row->in.ptr, got,
		    row->result);
	assert_int_equal(out.len, row->len);
	assert_int_equal(out.error != PROXYPROTO_OK, r == PROXYPROTO_BAD);
	assert_int_equal(
	    strlen(proxyproto_error_text(out.error)) > 0, r == PROXYPROTO_BAD);
	if (r == PROXYPROTO_DONE) {
		assert_true(proxyproto_ok(&out.header));
		proxyproto_put_v1(&t, &out.header);
		assert_true(span_equal(textbuf_span(&t), span_of(row->text)));
	}
	free(copy);
}

/* Every beginning is MORE until one is not, and from there all say the same. */
static void
check_cuts(const struct row *row)
{
	struct proxyproto_parsed out, whole;
	char *copy;
	enum proxyproto_result r, last = PROXYPROTO_MORE;
	enum proxyproto_result want = proxyproto_parse(row->in, &whole);

	for (size_t n = 0; n <= row->in.len; n++) {
		r = parse(row->in, n, &out, &copy);
		free(copy);
		if (r == PROXYPROTO_MORE) {
			assert_int_equal(last, PROXYPROTO_MORE);
		} else {
			assert_int_equal(r, want);
			assert_int_equal(out.len, whole.len);
			assert_int_equal(out.error, whole.error);
			assert_true(r == PROXYPROTO_BAD || n >= out.len);
		}
		last = r;
	}
	assert_int_equal(last, want);
}

static void
test_v1(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(v1_rows); i++)
		check_row(&v1_rows[i]);
}

static void
test_v2(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(v2_rows); i++)
		check_row(&v2_rows[i]);
}

static void
test_cuts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(v1_rows); i++)
		check_cuts(&v1_rows[i]);
	for (size_t i = 0; i < COUNT(v2_rows); i++)
		check_cuts(&v2_rows[i]);
}

/* The longest that is read, and not a byte more is looked at. */
static void
test_limit(void **state)
{
	static char bytes[PROXYPROTO_READ_BYTES];
	struct proxyproto_parsed out;

	(void)state;
	memcpy(bytes, SIGN "\x21\x11\20\0" V4_12 "\4\17\361", 31);
	assert_int_equal(
	    proxyproto_parse(span_make(bytes, sizeof(bytes) - 1), &out),
	    PROXYPROTO_MORE);
	assert_int_equal(
	    proxyproto_parse(span_make(bytes, sizeof(bytes)), &out),
	    PROXYPROTO_DONE);
	assert_int_equal(out.len, PROXYPROTO_READ_BYTES);
	bytes[30]++;
	assert_int_equal(
	    proxyproto_parse(span_make(bytes, sizeof(bytes)), &out),
	    PROXYPROTO_BAD);
	assert_int_equal(out.error, PROXYPROTO_E_TLV);
}

static bool
same_addr(const struct proxyproto_addr *a, const struct proxyproto_addr *b)
{
	return ip_equal(&a->ip, &b->ip) && a->port == b->port &&
	    span_equal(a->path, b->path);
}

#define PATH_108 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10 "yyyyyyyy"

static const struct proxyproto headers[] = {
    {.family = PROXYPROTO_UNKNOWN},
    {.family = PROXYPROTO_INET4,
	.source = {.ip = {IP_V4, {1, 2, 3, 4}}, .port = 65535},
	.destination = {.ip = {IP_V4, {255, 0, 0, 1}}, .port = 1}},
    {.family = PROXYPROTO_INET6,
	.source = {.ip = {IP_V6, {0x20, 1, [15] = 9}}, .port = 256},
	.destination = {.ip = {IP_V6, {[10] = 255, 255, 1}}, .port = 0}},
    {.family = PROXYPROTO_UNIX,
	.source = {.path = {"", 0}},
	.destination = {.path = {"/run/x.sock", 11}}},
    {.family = PROXYPROTO_UNIX,
	.source = {.path = {PATH_108, 108}},
	.destination = {.path = {"\0abstract", 9}}},
};

static void
check_round_trip(const struct proxyproto *p, bool v2)
{
	char room[PROXYPROTO_WRITE_BYTES];
	struct textbuf t = textbuf_make(room, sizeof(room));
	struct proxyproto_parsed out;
	bool lost = !v2 && p->family == PROXYPROTO_UNIX;

	(v2 ? proxyproto_put_v2 : proxyproto_put_v1)(&t, p);
	assert_false(t.full);
	assert_int_equal(
	    proxyproto_parse(textbuf_span(&t), &out), PROXYPROTO_DONE);
	assert_int_equal(out.len, t.len);
	assert_int_equal(
	    out.header.family, lost ? PROXYPROTO_UNKNOWN : p->family);
	if (lost)
		return;
	assert_true(same_addr(&out.header.source, &p->source));
	assert_true(same_addr(&out.header.destination, &p->destination));
	for (size_t cap = 0; cap < out.len; cap++) {
		t = textbuf_make(room, cap);
		(v2 ? proxyproto_put_v2 : proxyproto_put_v1)(&t, p);
		assert_true(t.full);
	}
}

static void
test_round_trip(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(headers); i++) {
		assert_true(proxyproto_ok(&headers[i]));
		check_round_trip(&headers[i], false);
		check_round_trip(&headers[i], true);
	}
}

static void
test_written(void **state)
{
	char room[PROXYPROTO_WRITE_BYTES];
	struct textbuf t = textbuf_make(room, sizeof(room));

	(void)state;
	proxyproto_put_v2(&t, &headers[1]);
	assert_true(span_equal(textbuf_span(&t),
	    SPAN(SIGN "\x21\x11\0\14\1\2\3\4\377\0\0\1\377\377\0\1")));
	t.len = 0;
	proxyproto_put_v2(&t, &headers[0]);
	assert_true(span_equal(textbuf_span(&t), SPAN(SIGN "\x20\0\0\0")));
	t.len = 0;
	proxyproto_put_v2(&t, &headers[4]);
	assert_int_equal(t.len, PROXYPROTO_WRITE_BYTES);
}

static void
test_ok(void **state)
{
	struct proxyproto p = headers[1];

	(void)state;
	p.family = PROXYPROTO_INET6;
	assert_false(proxyproto_ok(&p));
	p = headers[1];
	p.destination.ip.family = IP_NONE;
	assert_false(proxyproto_ok(&p));
	p = headers[4];
	p.source.path.len++;
	assert_false(proxyproto_ok(&p));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_v1),
	    cmocka_unit_test(test_v2),
	    cmocka_unit_test(test_cuts),
	    cmocka_unit_test(test_limit),
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_written),
	    cmocka_unit_test(test_ok),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
