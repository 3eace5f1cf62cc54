/* layer: http */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "evenkeel/http/forwarded.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct h1_limits limits = {.head_bytes = 65536, .fields = 100};

struct message {
	struct h1_head h;
	struct h1_field fields[100];
	char text[32768];
};

/* A request with these field lines. */
static void
read_head(struct message *m, struct span lines)
{
	struct textbuf t = textbuf_make(m->text, sizeof(m->text));

	textbuf_lit(&t, "GET / HTTP/1.1\r\nHost: h\r\n");
	textbuf_put(&t, lines);
	textbuf_lit(&t, "\r\n");
	assert_false(t.full);
	h1_head_init(&m->h, H1_REQUEST, &limits, m->fields);
	if (h1_head_parse(&m->h, m->text, t.len) != H1_DONE)
		fail_msg("no head: %.*s", (int)lines.len, lines.ptr);
}

static void
check_put(const struct forwarded *f, const char *host, const char *lines,
    const char *want)
{
	static struct message m;
	char room[8192];
	struct textbuf t = textbuf_make(room, sizeof(room));

	read_head(&m, span_of(lines));
	forwarded_put(&t, f, &m.h, m.text, span_of(host));
	assert_false(t.full);
	if (!span_equal(textbuf_span(&t), span_of(want)))
		fail_msg("from %s\ngot %.*s\nwant %s", lines, (int)t.len, t.ptr,
		    want);
}

/* ---- what goes out: an untrusted peer ---- */

#define LIES                                                     \
	"X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n" \
	"X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n" \
	"X-Forwarded-Port: 1\r\nConnection: X-Forwarded-For, Forwarded\r\n"

struct put {
	struct forwarded f;
	const char *host, *want;
};

#define PEER4 SPAN("10.0.0.9")
#define PEER6 SPAN("2001:db8::1")

static const struct put untrusted[] = {
    {{FORWARDED_OFF, false, false, PEER4, SPAN_NONE}, "h", ""},
    {{FORWARDED_X, false, false, PEER4, SPAN_NONE}, "h:1",
	"X-Forwarded-For: 10.0.0.9\r\nX-Forwarded-Proto: http\r\n"
	"X-Forwarded-Host: h:1\r\n"},
    {{FORWARDED_X, false, true, {NULL, 0}, SPAN_NONE}, "",
	"X-Forwarded-Proto: https\r\n"},
    {{FORWARDED_RFC7239, false, false, PEER4, SPAN_NONE}, "h",
	"Forwarded: for=10.0.0.9;proto=http;host=h\r\n"},
    {{FORWARDED_RFC7239, false, true, PEER6, SPAN_NONE}, "h:81",
	"Forwarded: for=\"[2001:db8::1]\";proto=https;host=\"h:81\"\r\n"},
    {{FORWARDED_RFC7239, false, false, {NULL, 0}, SPAN_NONE}, "[::1]",
	"Forwarded: for=unknown;proto=http;host=\"[::1]\"\r\n"},
    {{FORWARDED_RFC7239, false, false, PEER4, SPAN_NONE}, "",
	"Forwarded: for=10.0.0.9;proto=http\r\n"},
    {{FORWARDED_RFC7239, false, false, PEER4, SPAN_NONE}, "a;b=(c)",
	"Forwarded: for=10.0.0.9;proto=http;host=\"a;b=(c)\"\r\n"},
    {{FORWARDED_RFC7239, false, false, PEER4, SPAN_NONE}, "a\"b",
	"Forwarded: for=10.0.0.9;proto=http\r\n"},
    {{FORWARDED_RFC7239, false, false, PEER4, SPAN_NONE}, "ab\\",
	"Forwarded: for=10.0.0.9;proto=http\r\n"},
    {{FORWARDED_BOTH, false, false, PEER6, SPAN_NONE}, "h",
	"X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Proto: http\r\n"
	"X-Forwarded-Host: h\r\n"
	"Forwarded: for=\"[2001:db8::1]\";proto=http;host=h\r\n"},
};

static void
test_untrusted(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(untrusted); i++) {
		const struct put *p = &untrusted[i];

		check_put(&p->f, p->host, "", p->want);
		check_put(&p->f, p->host, LIES, p->want);
	}
}

/* ---- what goes out: a trusted peer ---- */

struct pair {
	const char *in, *out;
};

#define X_REST "X-Forwarded-Proto: http\r\nX-Forwarded-Host: h:1\r\n"

static const struct pair x_pairs[] = {
    {"", "X-Forwarded-For: 10.0.0.9\r\n" X_REST},
    {"X-Forwarded-For: 1.1.1.1\r\n",
	"X-Forwarded-For: 1.1.1.1, 10.0.0.9\r\n" X_REST},
    {"x-forwarded-for:1.1.1.1, x\r\nA: b\r\nX-FORWARDED-FOR:  2.2.2.2 \r\n",
	"X-Forwarded-For: 1.1.1.1, x, 2.2.2.2, 10.0.0.9\r\n" X_REST},
    {"X-Forwarded-For:\r\nX-Forwarded-For: ,\r\nX-Forwarded-For: \r\n",
	"X-Forwarded-For: ,, 10.0.0.9\r\n" X_REST},
    {"X-Forwarded-For: 1.1.1.1\r\nConnection: X-Forwarded-For\r\n",
	"X-Forwarded-For: 1.1.1.1, 10.0.0.9\r\n" X_REST},
    {"X_Forwarded-For: 1.1.1.1\r\nX-Forwarded_Proto: a\r\n",
	"X-Forwarded-For: 10.0.0.9\r\n" X_REST},
    {"X-Forwarded-Fort: 1\r\n",
	"X-Forwarded-For: 10.0.0.9\r\nX-Forwarded-Fort: 1\r\n" X_REST},
    {"X-Forwarded-Proto: https\r\n",
	"X-Forwarded-For: 10.0.0.9\r\nX-Forwarded-Proto: https\r\n"
	"X-Forwarded-Host: h:1\r\n"},
    {"X-Forwarded-Host:\t a.test \r\nx-forwarded-proto:https\r\n"
     "X-Forwarded-Port: 443\r\nX-Forwarded-For: ::1\r\n",
	"X-Forwarded-For: ::1, 10.0.0.9\r\nX-Forwarded-Host: a.test\r\n"
	"x-forwarded-proto:https\r\nX-Forwarded-Port: 443\r\n"},
    {"X-Forwarded-Host:\r\nX-Forwarded-Proto: \r\n",
	"X-Forwarded-For: 10.0.0.9\r\n" X_REST},
    {"Forwarded: for=1.1.1.1\r\n", "X-Forwarded-For: 10.0.0.9\r\n" X_REST},
};

#define HOP "for=10.0.0.9;proto=http;host=\"h:1\"\r\n"

static const struct pair rfc_pairs[] = {
    {"", "Forwarded: " HOP},
    {"Forwarded: for=1.1.1.1\r\n", "Forwarded: for=1.1.1.1, " HOP},
    {"Forwarded: for=1.1.1.1\r\nforwarded:For=\"[::1]:80\"; by=_x ;\r\n",
	"Forwarded: for=1.1.1.1, For=\"[::1]:80\"; by=_x ;, " HOP},
    {"Forwarded: for=unknown;a=\"b,\\\"c;\",,proto=http\r\nForwarded:\r\n",
	"Forwarded: for=unknown;a=\"b,\\\"c;\",,proto=http, " HOP},
    {"Connection: Forwarded\r\nForwarded: for=1.1.1.1\r\n",
	"Forwarded: for=1.1.1.1, " HOP},
    {"X-Forwarded-For: 1.1.1.1\r\n", "Forwarded: " HOP},
    /* malformed: goes, and what is before it */
    {"Forwarded: for=\"1.1.1.1\r\n", "Forwarded: " HOP},
    {"Forwarded: for=\"1.1.1.1\\\"\r\n", "Forwarded: " HOP},
    {"Forwarded: for=\"1.1.1.1\\\r\n", "Forwarded: " HOP},
    {"Forwarded: for=1.1.1.1\r\nForwarded: x\r\nForwarded: for=2.2.2.2\r\n"
     "Forwarded: for=3.3.3.3\r\n",
	"Forwarded: for=2.2.2.2, for=3.3.3.3, " HOP},
    {"Forwarded: for=2.2.2.2\r\nForwarded: for=1.1.1.1 \"\r\n",
	"Forwarded: " HOP},
    {"Forwarded: for=1.1.1.1:80\r\n", "Forwarded: " HOP},
    {"Forwarded: for=[::1]\r\n", "Forwarded: " HOP},
    {"Forwarded: for =1.1.1.1\r\n", "Forwarded: " HOP},
    {"Forwarded: for= 1.1.1.1\r\n", "Forwarded: " HOP},
    {"Forwarded: for=\r\n", "Forwarded: " HOP},
    {"Forwarded: =1.1.1.1\r\n", "Forwarded: " HOP},
    {"Forwarded: \"for\"=1.1.1.1\r\n", "Forwarded: " HOP},
    {"Forwarded: for\r\n", "Forwarded: " HOP},
    {"Forwarded: for=a;for=b\r\n", "Forwarded: " HOP},
    {"Forwarded: for=\"\";For=b\r\n", "Forwarded: " HOP},
    {"Forwarded: for=\"a\"b\r\n", "Forwarded: " HOP},
    {"Forwarded: 1.1.1.1\r\n", "Forwarded: " HOP},
};

static void
test_trusted(void **state)
{
	struct forwarded f = {FORWARDED_X, true, false, PEER4, SPAN_NONE};

	(void)state;
	for (size_t i = 0; i < COUNT(x_pairs); i++)
		check_put(&f, "h:1", x_pairs[i].in, x_pairs[i].out);
	f.mode = FORWARDED_RFC7239;
	for (size_t i = 0; i < COUNT(rfc_pairs); i++)
		check_put(&f, "h:1", rfc_pairs[i].in, rfc_pairs[i].out);
	f.mode = FORWARDED_OFF;
	check_put(&f, "h", LIES, "");
	f.mode = FORWARDED_BOTH;
	check_put(&f, "h:1",
	    "Forwarded: for=1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n",
	    "X-Forwarded-For: 2.2.2.2, 10.0.0.9\r\n" X_REST
	    "Forwarded: for=1.1.1.1, " HOP);
}

/* In every mode, behind the others; never with what could end its line. */
static void
test_subject(void **state)
{
	static const struct span bad[] = {SPAN("CN=a\rX"), SPAN("CN=a\nX: y"),
	    SPAN("CN=a\r\nX: y"), SPAN("CN=\0"), SPAN("\n"), SPAN("CN=\x7f"),
	    SPAN("CN=0123456789012345678901234567890\r")};
	struct forwarded f = {
	    .mode = FORWARDED_OFF, .subject = SPAN("CN=a,O=b")};
	const char *line = "X-Client-Cert-Subject: CN=a,O=b\r\n";

	(void)state;
	for (int trusted = 0; trusted < 2; trusted++) {
		f.trusted = trusted;
		f.mode = FORWARDED_OFF;
		check_put(&f, "h", "X-Client-Cert-Subject: CN=c\r\n", line);
		f.mode = FORWARDED_X;
		check_put(&f, "", "",
		    "X-Forwarded-Proto: http\r\n"
		    "X-Client-Cert-Subject: CN=a,O=b\r\n");
		f.mode = FORWARDED_RFC7239;
		check_put(&f, "", "",
		    "Forwarded: for=unknown;proto=http\r\n"
		    "X-Client-Cert-Subject: CN=a,O=b\r\n");
	}
	f.mode = FORWARDED_OFF;
	for (size_t i = 0; i < COUNT(bad); i++) {
		f.subject = bad[i];
		check_put(&f, "h", "", "");
	}
	f.subject = SPAN("\xc3\xa9\xff");
	check_put(&f, "", "", "X-Client-Cert-Subject: \xc3\xa9\xff\r\n");
}

/* A peer on a unix socket has no address. */
static void
test_trusted_unix(void **state)
{
	struct forwarded f = {.mode = FORWARDED_X, .trusted = true};

	(void)state;
	check_put(&f, "", "X-Forwarded-For: 1.1.1.1\r\n",
	    "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: http\r\n");
	check_put(&f, "", "", "X-Forwarded-Proto: http\r\n");
	f.mode = FORWARDED_RFC7239;
	check_put(&f, "", "Forwarded: for=1.1.1.1\r\n",
	    "Forwarded: for=1.1.1.1, for=unknown;proto=http\r\n");
}

/* Never a byte too far, and `full` when it does not fit. */
static void
test_room(void **state)
{
	static const struct forwarded f = {
	    FORWARDED_BOTH, true, true, PEER6, SPAN("CN=a")};
	static struct message m;
	char room[1024];
	struct textbuf t = textbuf_make(room, sizeof(room));
	size_t need;

	(void)state;
	read_head(&m, SPAN(LIES));
	forwarded_put(&t, &f, &m.h, m.text, SPAN("h:1"));
	need = t.len;
	for (size_t cap = 0; cap <= need; cap++) {
		char *exact = malloc(cap + 1);

		assert_non_null(exact);
		t = textbuf_make(exact, cap);
		forwarded_put(&t, &f, &m.h, m.text, SPAN("h:1"));
		assert_int_equal(t.full, cap < need);
		free(exact);
	}
}

/* ---- the client behind proxies ---- */

/* 10.0.0.0/8 and fd00::/8 are ours; so is the peer, 10.0.0.9. */
static const struct cidr ours[] = {
    {.base = {IP_V4, {10}}, .bits = 8},
    {.base = {IP_V6, {0xfd}}, .bits = 8},
};

static void
check_client(enum forwarded_mode mode, const char *lines, const char *want)
{
	static struct message m;
	struct forwarded_walk w = {mode, {IP_V4, {10, 0, 0, 9}}, ours, 2};
	char room[IP_TEXT_BYTES];
	struct textbuf t = textbuf_make(room, sizeof(room));
	struct ip ip;

	read_head(&m, span_of(lines));
	ip = forwarded_client(&m.h, m.text, &w);
	ip_put(&t, &ip);
	if (!span_equal(textbuf_span(&t), span_of(want)))
		fail_msg("from %s\ngot %.*s, not %s", lines, (int)t.len, t.ptr,
		    want);
}

#define XFF "X-Forwarded-For: "

static const struct pair x_clients[] = {
    {"", "10.0.0.9"},
    {XFF "1.1.1.1\r\n", "1.1.1.1"},
    {XFF "6.6.6.6, 1.1.1.1\r\n", "1.1.1.1"},
    {XFF "6.6.6.6, 1.1.1.1, 10.1.1.1,fd00::1\r\n", "1.1.1.1"},
    {XFF "6.6.6.6\r\nA: b\r\n" XFF "1.1.1.1,10.1.1.1\r\n" XFF "10.2.2.2\r\n",
	"1.1.1.1"},
    {XFF "6.6.6.6,1.1.1.1\r\n" XFF "10.2.2.2\r\n", "1.1.1.1"},
    {XFF "10.1.1.1, 10.2.2.2\r\n", "10.1.1.1"},
    {XFF "10.1.1.1\r\n" XFF "10.2.2.2\r\n", "10.1.1.1"},
    /* forms */
    {XFF "2001:DB8::1\r\n", "2001:db8::1"},
    {XFF "[2001:db8::1]\r\n", "2001:db8::1"},
    {XFF "[2001:db8::1]:443\r\n", "2001:db8::1"},
    {XFF "1.1.1.1:443\r\n", "1.1.1.1"},
    {XFF "::ffff:1.1.1.1\r\n", "1.1.1.1"},
    {XFF "1.1.1.1, ::ffff:10.1.1.1\r\n", "1.1.1.1"},
    {XFF "1.1.1.1,,10.1.1.1 , \r\n", "1.1.1.1"},
    {"x-forwarded-for:1.1.1.1\r\n", "1.1.1.1"},
    /* what is no address ends the walk */
    {XFF "1.1.1.1, unknown\r\n", "10.0.0.9"},
    {XFF "1.1.1.1, unknown, 10.1.1.1\r\n", "10.1.1.1"},
    {XFF "1.1.1.1\r\n" XFF "x\r\n" XFF "10.1.1.1\r\n", "10.1.1.1"},
    {XFF "1.1.1.1 10.1.1.1\r\n", "10.0.0.9"},
    {XFF "\"1.1.1.1\"\r\n", "10.0.0.9"},
    {XFF "1.1.1.1:\r\n", "10.0.0.9"},
    {XFF "1.1.1.1:65536\r\n", "10.0.0.9"},
    {XFF "1.1.1.1:000080\r\n", "10.0.0.9"},
    {XFF "1.1.1.1:http\r\n", "10.0.0.9"},
    {XFF "[1.1.1.1]\r\n", "10.0.0.9"},
    {XFF "[::1\r\n", "10.0.0.9"},
    {XFF "[::1]x\r\n", "10.0.0.9"},
    {XFF "[::1]x80\r\n", "10.0.0.9"},
    {XFF "[\r\n", "10.0.0.9"},
    {XFF "[]\r\n", "10.0.0.9"},
    {XFF "]\r\n", "10.0.0.9"},
    {XFF ":\r\n", "10.0.0.9"},
    {XFF "01.1.1.1\r\n", "10.0.0.9"},
    {XFF "\xff\xfe\r\n", "10.0.0.9"},
    /* what is not looked at */
    {"X_Forwarded-For: 1.1.1.1\r\n", "10.0.0.9"},
    {"X-Forwarded-Fo: 1.1.1.1\r\nX-Forwarded-For2: 1.1.1.1\r\n", "10.0.0.9"},
    {"Forwarded: for=1.1.1.1\r\n", "10.0.0.9"},
};

#define FWD "Forwarded: "

static const struct pair rfc_clients[] = {
    {"", "10.0.0.9"},
    {FWD "for=1.1.1.1\r\n", "1.1.1.1"},
    {FWD "for=6.6.6.6, FOR=\"1.1.1.1:80\";proto=http\r\n", "1.1.1.1"},
    {FWD "for=6.6.6.6\r\n" FWD "by=x;for=\"[2001:db8::1]:9\" ,for=10.1.1.1"
	 "\r\n" FWD "for=\"[fd00::1]\"\r\n",
	"2001:db8::1"},
    {FWD "for=10.1.1.1, for=10.2.2.2\r\n", "10.1.1.1"},
    {FWD "for=1.1.1.1,, ,for=10.2.2.2,\r\n", "1.1.1.1"},
    {FWD "for=\"::1\"\r\n", "10.0.0.9"},
    {FWD "for=1.1.1.1, for=unknown, for=10.1.1.1\r\n", "10.1.1.1"},
    {FWD "for=1.1.1.1, for=_hidden\r\n", "10.0.0.9"},
    {FWD "for=1.1.1.1, for=\"10.1.1.1:_x\"\r\n", "10.0.0.9"},
    {FWD "for=1.1.1.1, proto=http, for=10.1.1.1\r\n", "10.1.1.1"},
    {FWD "for=1.1.1.1, ;, for=10.1.1.1\r\n", "10.1.1.1"},
    {FWD "for=\"1.1.1.\\1\"\r\n", "10.0.0.9"},
    {FWD "for=\"6.6.6.6, for=1.1.1.1\r\n", "10.0.0.9"},
    {FWD "for=\"6.6.6.6\r\n" FWD "for=1.1.1.1\r\n", "1.1.1.1"},
    {FWD "for=1.1.1.1\r\n" FWD "x\r\n" FWD "for=10.1.1.1\r\n", "10.1.1.1"},
    {FWD "for=1.1.1.1\r\n" FWD "for=10.1.1.1, x\r\n", "10.0.0.9"},
    {XFF "1.1.1.1\r\n", "10.0.0.9"},
};

static void
test_client(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(x_clients); i++) {
		check_client(FORWARDED_X, x_clients[i].in, x_clients[i].out);
		check_client(FORWARDED_OFF, x_clients[i].in, x_clients[i].out);
	}
	for (size_t i = 0; i < COUNT(rfc_clients); i++)
		check_client(
		    FORWARDED_RFC7239, rfc_clients[i].in, rfc_clients[i].out);
	check_client(FORWARDED_BOTH, FWD "for=1.1.1.1\r\n", "1.1.1.1");
	check_client(
	    FORWARDED_BOTH, FWD "for=1.1.1.1\r\n" XFF "2.2.2.2\r\n", "2.2.2.2");
	check_client(
	    FORWARDED_BOTH, FWD "for=1.1.1.1\r\n" XFF "x\r\n", "10.0.0.9");
}

/* 1.1.1.1 and `n` of our own proxies, 10.0.0.0 and so on: the walk goes back
 * behind FORWARDED_HOPS_MAX addresses and no more. */
static void
check_far(const char *start, const char *comma, unsigned n)
{
	char lines[2048], want[IP_TEXT_BYTES + 1];
	struct textbuf t = textbuf_make(lines, sizeof(lines));
	struct textbuf w = textbuf_make(want, sizeof(want));

	textbuf_str(&t, start);
	textbuf_lit(&t, "1.1.1.1");
	for (unsigned i = 0; i < n; i++) {
		textbuf_str(&t, comma);
		textbuf_lit(&t, "10.0.0.");
		textbuf_u64(&t, i);
	}
	textbuf_str(&t, "\r\n");
	textbuf_byte(&t, '\0');
	if (n < FORWARDED_HOPS_MAX) {
		textbuf_lit(&w, "1.1.1.1");
	} else {
		textbuf_lit(&w, "10.0.0.");
		textbuf_u64(&w, n - FORWARDED_HOPS_MAX);
	}
	textbuf_byte(&w, '\0');
	assert_false(t.full || w.full);
	check_client(FORWARDED_BOTH, lines, want);
}

static void
test_client_far(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 70; n++) {
		check_far(XFF, ", ", n);
		check_far(FWD "for=", ", for=", n);
	}
}

/* What is sent on says to the next hop what we know: the peer is the last one
 * in it, whatever came, and whether it was trusted. */
static void
check_next_hop(const char *lines, bool trusted, enum forwarded_mode mode)
{
	static struct message m, next;
	char room[4096];
	struct textbuf t = textbuf_make(room, sizeof(room));
	struct forwarded f = {mode, trusted, false, SPAN("9.9.9.9"), SPAN_NONE};
	struct forwarded_walk w = {mode, {IP_V4, {10, 0, 0, 1}}, ours, 2};
	struct ip ip, peer = {IP_V4, {9, 9, 9, 9}};

	read_head(&m, span_of(lines));
	forwarded_put(&t, &f, &m.h, m.text, SPAN("h:1"));
	read_head(&next, textbuf_span(&t));
	ip = forwarded_client(&next.h, next.text, &w);
	if (!ip_equal(&ip, &peer))
		fail_msg("from %s: %.*s", lines, (int)t.len, t.ptr);
}

static void
check_next_hops(const char *lines)
{
	static const enum forwarded_mode modes[] = {
	    FORWARDED_X, FORWARDED_RFC7239, FORWARDED_BOTH};

	for (size_t i = 0; i < COUNT(modes); i++) {
		check_next_hop(lines, false, modes[i]);
		check_next_hop(lines, true, modes[i]);
	}
}

static void
test_next_hop(void **state)
{
	(void)state;
	check_next_hops(LIES);
	for (size_t i = 0; i < COUNT(x_pairs); i++)
		check_next_hops(x_pairs[i].in);
	for (size_t i = 0; i < COUNT(rfc_pairs); i++)
		check_next_hops(rfc_pairs[i].in);
	for (size_t i = 0; i < COUNT(x_clients); i++)
		check_next_hops(x_clients[i].in);
	for (size_t i = 0; i < COUNT(rfc_clients); i++)
		check_next_hops(rfc_clients[i].in);
}

/* ---- X-Request-Id ---- */

#define ID16  "0123456789abcdef"
#define ID128 ID16 ID16 ID16 ID16 ID16 ID16 ID16 ID16

static const struct pair ids[] = {
    {"", ""},
    {"X-Request-Id: a\r\n", "a"},
    {"x-request-id:  4bf9-2f35.77b3_4d~ \r\n", "4bf9-2f35.77b3_4d~"},
    {"X-Request-Id: " ID128 "\r\n", ID128},
    {"X-Request-Id: " ID128 "0\r\n", ""},
    {"X-Request-Id:\r\n", ""},
    {"X-Request-Id: a b\r\n", ""},
    {"X-Request-Id: a,b\r\n", ""},
    {"X-Request-Id: a\"b\r\n", ""},
    {"X-Request-Id: a\xc3\xa4\r\n", ""},
    {"X-Request-Id: a\r\nX-Request-Id: a\r\n", ""},
    {"X-Request_Id: a\r\n", ""},
    {"X-Request_Id: a\r\nX-Request-Id: b\r\n", "b"},
};

static void
test_request_id(void **state)
{
	static struct message m;

	(void)state;
	for (size_t i = 0; i < COUNT(ids); i++) {
		read_head(&m, span_of(ids[i].in));
		if (!span_equal(forwarded_request_id(&m.h, m.text),
			span_of(ids[i].out)))
			fail_msg("%s", ids[i].in);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_untrusted),
	    cmocka_unit_test(test_trusted),
	    cmocka_unit_test(test_subject),
	    cmocka_unit_test(test_trusted_unix),
	    cmocka_unit_test(test_room),
	    cmocka_unit_test(test_client),
	    cmocka_unit_test(test_client_far),
	    cmocka_unit_test(test_next_hop),
	    cmocka_unit_test(test_request_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
