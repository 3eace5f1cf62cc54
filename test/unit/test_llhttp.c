/* layer: http */
/*
 * A second opinion: every request that evenkeel accepts must be accepted by
 * llhttp (the parser of Node.js), with the same head, the same framing, the
 * same body and the same end.  Where one of the two is stricter, a table says
 * why; a difference that no row explains fails the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <llhttp.h>

#include "evenkeel/base/num.h"
#include "evenkeel/base/rng.h"
#include "evenkeel/http/body.h"
#include "h1_samples.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ROOM         (1U << 18)
#define MUTATIONS    300000

/* What a reader says of some bytes. */
struct opinion {
	int refused; /* enum h1_error or llhttp_errno_t; 0: not refused */
	bool head, complete;
	size_t head_len, end; /* bytes up to the end of head and message */
	char method[64];
	bool chunked;
	uint64_t length;
	size_t body_len;
	char body[ROOM];
};

static struct opinion ours, theirs;

/* ---- evenkeel ---- */

static void
read_body(struct opinion *o, const struct h1_framing *f, size_t len)
{
	struct h1_body_step step;
	struct h1_body b;
	enum h1_body_result result;

	h1_body_init(&b, f, false);
	result = h1_body_decode(&b, o->body, len, &step);
	o->refused = b.error;
	o->complete = result == H1_BODY_END;
	o->end = o->head_len + step.consumed;
	o->body_len = step.produced;
}

static void
ask_evenkeel(struct opinion *o, const char *text, size_t len)
{
	static const struct h1_limits limits = {
	    .head_bytes = ROOM, .fields = H1_FIELDS_MAX};
	static struct h1_field fields[H1_FIELDS_MAX];
	struct h1_framing f;
	struct h1_head h;

	memset(o, 0, offsetof(struct opinion, body));
	h1_head_init(&h, H1_REQUEST, &limits, fields);
	switch (h1_head_parse(&h, text, len)) {
	case H1_MORE:
		return;
	case H1_BAD:
		o->refused = h.error;
		return;
	case H1_DONE:
		break;
	}
	o->refused = (int)h1_framing_request(&h, text, &f);
	if (o->refused != H1_OK)
		return;
	o->head = true;
	o->head_len = h.len;
	snprintf(o->method, sizeof(o->method), "%.*s", (int)h.method_text.len,
	    text + h.method_text.off);
	o->chunked = f.body == H1_BODY_CHUNKED;
	o->length = f.length;
	memcpy(o->body, text + h.len, len - h.len);
	read_body(o, &f, len - h.len);
}

/* ---- llhttp ---- */

static int
on_headers_complete(llhttp_t *parser)
{
	struct opinion *o = parser->data;

	o->head = true;
	snprintf(o->method, sizeof(o->method), "%s",
	    llhttp_method_name((llhttp_method_t)llhttp_get_method(parser)));
	o->chunked = (parser->flags & F_CHUNKED) != 0;
	o->length = o->chunked ? 0 : parser->content_length;
	/* evenkeel frames an upgrade like any other request. */
	parser->upgrade = 0;
	return HPE_PAUSED;
}

static int
on_message_complete(llhttp_t *parser)
{
	struct opinion *o = parser->data;

	o->complete = true;
	return HPE_PAUSED;
}

static int
on_body(llhttp_t *parser, const char *at, size_t len)
{
	struct opinion *o = parser->data;

	memcpy(o->body + o->body_len, at, len);
	o->body_len += len;
	return 0;
}

static void
ask_llhttp(struct opinion *o, const char *text, size_t len)
{
	llhttp_settings_t settings;
	llhttp_errno_t e;
	llhttp_t parser;
	size_t at = 0;

	memset(o, 0, offsetof(struct opinion, body));
	llhttp_settings_init(&settings);
	settings.on_headers_complete = on_headers_complete;
	settings.on_message_complete = on_message_complete;
	settings.on_body = on_body;
	llhttp_init(&parser, HTTP_REQUEST, &settings);
	parser.data = o;
	e = llhttp_execute(&parser, text, len);
	if (e == HPE_PAUSED && o->head) {
		at = (size_t)(llhttp_get_error_pos(&parser) - text);
		o->head_len = at;
		llhttp_resume(&parser);
		e = llhttp_execute(&parser, text + at, len - at);
	}
	if (e == HPE_PAUSED && o->complete)
		o->end = (size_t)(llhttp_get_error_pos(&parser) - text);
	else
		o->refused = (int)e;
}

/* ---- where evenkeel is stricter ---- */

/* By our reason: why refusing what llhttp accepts is right.  A reason without
 * a row is one that llhttp must have for refusing, too. */
static const char *const stricter[H1_ERRORS] = {
    [H1_E_METHOD] = "RFC 9112 2.2: one empty line before a request, not many",
    [H1_E_TARGET] = "forms, authorities; two spaces before it",
    [H1_E_VERSION] = "two spaces before it",
    [H1_E_VERSION_HIGH] = "HTTP/0.9 and HTTP/2.0 are taken there",
    [H1_E_LINE_END] = "a bare LF is a line end there, as RFC 9112 2.2 allows",
    [H1_E_FIELD_NAME] = "a name of no bytes, or CRLF before the colon",
    [H1_E_FOLD] = "RFC 9112 5.2: obs-fold is refused or unfolded",
    [H1_E_HOST] = "Host is not looked at there",
    [H1_E_LENGTH] = "up to 2^63 - 1, so that sums do not wrap",
    [H1_E_LENGTH_AND_CODING] = "Content-Length behind a Transfer-Encoding",
    [H1_E_CODING] = "chunked in HTTP/1.0; empty elements",
    [H1_E_CODING_UNKNOWN] = "lists that end in chunked: not ours to undo",
    [H1_E_METHOD_REFUSED] = "CONNECT and TRACE are not for balancers",
    [H1_E_EXPECT] = "RFC 9110 10.1.1: 417",
    [H1_E_CHUNK_SIZE] = "up to 2^63 - 1, so that sums do not wrap",
    [H1_E_CHUNK_EXTENSION] = "DEL in a quoted string",
    [H1_E_TRAILER] = "as header fields are",
};

/* ---- where llhttp is ---- */

static const struct {
	llhttp_errno_t error;
	bool behind_head;  /* only there is the difference known */
	const char *needs; /* and only where the request has this */
	const char *why;
} stricter_there[] = {
    {HPE_INVALID_METHOD, false, "", "RFC 9110 9.1: any token is a method"},
    {HPE_INVALID_VERSION, false, "HTTP/1.", "RFC 9110 2.5: 1.2 reads as 1.1"},
    {HPE_STRICT, true, ";", "chunk extensions by grammar; we drop them"},
    {HPE_INVALID_CHUNK_SIZE, true, ";", "the same; BWS before them"},
    {HPE_INVALID_TRANSFER_ENCODING, true, "", "a trailer, which we drop"},
    {HPE_INVALID_CONTENT_LENGTH, true, "", "a trailer, which we drop"},
    {HPE_UNEXPECTED_CONTENT_LENGTH, true, "", "a trailer, which we drop"},
    {HPE_INVALID_CONTENT_LENGTH, false, "\t\r", "RFC 9110 5.6.3: OWS"},
};

static bool
explained_there(const char *text, size_t len)
{
	for (size_t i = 0; i < COUNT(stricter_there); i++)
		if ((int)stricter_there[i].error == theirs.refused &&
		    (theirs.head || !stricter_there[i].behind_head) &&
		    memmem(text, len, stricter_there[i].needs,
			strlen(stricter_there[i].needs)) != NULL)
			return true;
	return false;
}

/* ---- comparing ---- */

static struct {
	unsigned both, neither, ours_only, theirs_only;
} tally;

static void
complain(const char *text, size_t len, const char *what)
{
	fprintf(stderr, "---\n%.*s\n---\n", (int)len, text);
	fail_msg("%s: evenkeel %s, head %zu end %zu length %llu chunked %d "
		 "complete %d; llhttp %s, head %zu end %zu length %llu "
		 "chunked %d complete %d",
	    what, h1_error_text((enum h1_error)ours.refused), ours.head_len,
	    ours.end, (unsigned long long)ours.length, ours.chunked,
	    ours.complete, llhttp_errno_name((llhttp_errno_t)theirs.refused),
	    theirs.head_len, theirs.end, (unsigned long long)theirs.length,
	    theirs.chunked, theirs.complete);
}

static void
compare_accepted(const char *text, size_t len)
{
	if (ours.head != theirs.head)
		complain(text, len, "one sees a whole head");
	if (!ours.head)
		return;
	if (ours.head_len != theirs.head_len)
		complain(text, len, "heads of different length");
	if (strcmp(ours.method, theirs.method) != 0)
		complain(text, len, "different methods");
	if (ours.chunked != theirs.chunked || ours.length != theirs.length)
		complain(text, len, "different framing");
	if (ours.complete != theirs.complete)
		complain(text, len, "one sees a whole message");
	if (ours.complete && ours.end != theirs.end)
		complain(text, len, "messages of different length");
	if (ours.body_len != theirs.body_len ||
	    memcmp(ours.body, theirs.body, ours.body_len) != 0)
		complain(text, len, "different bodies");
}

static void
compare(const char *text, size_t len)
{
	assert_true(len <= ROOM);
	ask_evenkeel(&ours, text, len);
	ask_llhttp(&theirs, text, len);
	if ((ours.refused || !ours.head) && (theirs.refused || !theirs.head)) {
		/* Refused, or no whole head yet: neither says yes. */
		tally.neither++;
	} else if (ours.refused) {
		tally.theirs_only++;
		if (stricter[ours.refused] == NULL)
			complain(text, len, "only llhttp accepts");
	} else if (theirs.refused) {
		tally.ours_only++;
		if (!explained_there(text, len))
			complain(text, len, "only evenkeel accepts");
	} else {
		tally.both++;
		compare_accepted(text, len);
	}
}

/* ---- inputs ---- */

static void
test_samples(void **state)
{
	(void)state;
	for (size_t i = 0; i < H1_REQUESTS; i++)
		compare(h1_requests[i].text, h1_requests[i].len);
}

static const char *const bodies[] = {
    "0\r\n\r\n",
    "5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
    "A;n=\"q; x\"\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
    "00000005\r\nhello\r\n000\r\n\r\n",
    "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\nA: b\r\nC: d\r\n\r\n",
    "7fffffffffffffff\r\nabc",
};

static void
test_bodies(void **state)
{
	char text[512];

	(void)state;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		int n = snprintf(text, sizeof(text),
		    "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked"
		    "\r\n\r\n%s",
		    bodies[i]);

		for (size_t len = 0; len <= (size_t)n; len++)
			compare(text, len);
	}
}

static const char *const scraps[] = {"\r\n", "\n", "\r", " ", "\t", ":", ",",
    ";", "#", "0", "5", "f", "x", "\x01", "\x7f", "\xff", "HTTP/1.1", "chunked",
    "Host: a\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n",
    "\r\n\r\n", "0\r\n\r\n", "Connection: close\r\n", "http://a"};

static size_t
mutate(struct rng *r, char *text, size_t len, size_t room)
{
	const char *scrap = scraps[rng_upto(r, COUNT(scraps) - 1)];
	size_t at = (size_t)rng_upto(r, len), n = strlen(scrap);
	size_t cut = num_min_size((size_t)rng_upto(r, 3), len - at);

	switch (rng_upto(r, 3)) {
	case 0: /* insert */
		cut = 0;
		break;
	case 1: /* take out */
		n = 0;
		break;
	case 2: /* one byte for another */
		if (at < len)
			text[at] = scrap[0];
		return len;
	default: /* replace */
		break;
	}
	if (len - cut + n > room)
		return len;
	memmove(text + at + n, text + at + cut, len - at - cut);
	memcpy(text + at, scrap, n);
	return len - cut + n;
}

static size_t
make_seed(struct rng *r, char *text, size_t room)
{
	const struct h1_sample *s;

	if (rng_upto(r, 3) == 0)
		return (size_t)snprintf(text, room,
		    "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked"
		    "\r\n\r\n%s",
		    bodies[rng_upto(r, COUNT(bodies) - 1)]);
	/* Mostly good ones: of the bad, few mutations make good ones. */
	do
		s = &h1_requests[rng_upto(r, H1_REQUESTS - 1)];
	while (s->error != H1_OK && rng_upto(r, 3) > 0);
	memcpy(text, s->text, s->len);
	return s->len;
}

static void
test_mutations(void **state)
{
	static char text[4096];
	struct rng r;

	(void)state;
	rng_init(&r, 20261122);
	for (int i = 0; i < MUTATIONS; i++) {
		size_t len = make_seed(&r, text, sizeof(text));

		for (uint64_t n = rng_upto(&r, 2) + 1; n > 0; n--)
			len = mutate(&r, text, len, sizeof(text));
		compare(text, len);
	}
	print_message("both %u, neither %u, evenkeel alone %u, llhttp alone "
		      "%u\n",
	    tally.both, tally.neither, tally.ours_only, tally.theirs_only);
	assert_true(tally.both > MUTATIONS / 20);
}

/* ---- the protocol cases, when they are there ---- */

static unsigned
hex4(const char *p)
{
	unsigned value = 0;

	for (int i = 0; i < 4; i++)
		value = value * 16 + ((unsigned)num_hex_digit(p[i]) & 15);
	return value;
}

/* The JSON string behind `"request": "`, its characters as octets. */
static size_t
unescape(const char *p, char *out)
{
	size_t n = 0;

	for (; *p != '"' && *p != '\0' && n < ROOM; p++) {
		if (*p != '\\') {
			out[n++] = *p;
			continue;
		}
		p++;
		switch (*p) {
		case 'u':
			out[n++] = (char)hex4(p + 1);
			p += 4;
			break;
		case 'r':
			out[n++] = '\r';
			break;
		case 'n':
			out[n++] = '\n';
			break;
		case 't':
			out[n++] = '\t';
			break;
		case 'b':
			out[n++] = '\b';
			break;
		case 'f':
			out[n++] = '\f';
			break;
		default:
			out[n++] = *p;
			break;
		}
	}
	return n;
}

static void
test_case_file(void **state)
{
	static const char key[] = "\"request\": \"";
	static char text[ROOM];
	FILE *file = fopen("test/cases/requests.jsonl", "r");
	unsigned cases = 0;
	size_t room = 0;
	char *line = NULL, *at;

	(void)state;
	if (file == NULL)
		skip();
	while (getline(&line, &room, file) > 0) {
		at = strstr(line, key);
		if (at == NULL)
			continue;
		compare(text, unescape(at + strlen(key), text));
		cases++;
	}
	free(line);
	fclose(file);
	assert_true(cases > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_samples),
	    cmocka_unit_test(test_bodies),
	    cmocka_unit_test(test_mutations),
	    cmocka_unit_test(test_case_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
