/* layer: http */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "evenkeel/base/rng.h"
#include "evenkeel/http/body.h"
#include "evenkeel/http/field.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ROOM         65536

static const struct h1_framing chunked = {.body = H1_BODY_CHUNKED};

/* One decoder, fed piece by piece, and all that it gave. */
struct run {
	struct h1_body b;
	enum h1_body_result result;
	size_t consumed;
	char data[ROOM];
	size_t len;
	char trailer_bytes[H1_TRAILER_BYTES];
	struct textbuf trailer;
	unsigned trailers; /* times H1_BODY_TRAILER was reported */
};

static void
begin(struct run *r, const struct h1_framing *f, bool keep)
{
	h1_body_init(&r->b, f, keep);
	r->result = H1_BODY_MORE;
	r->consumed = r->len = 0;
	r->trailers = 0;
	r->trailer = textbuf_make(r->trailer_bytes, sizeof(r->trailer_bytes));
}

/* Feeds `len` bytes in memory of exactly that size. */
static void
feed(struct run *r, const char *text, size_t len)
{
	struct h1_body_step step;
	char *buf = malloc(len > 0 ? len : 1), *at = buf;

	assert_non_null(buf);
	memcpy(buf, text, len);
	do {
		r->result = h1_body_decode(&r->b, at, len, &step);
		assert_true(step.produced <= step.consumed);
		assert_true(step.consumed <= len);
		assert_true(r->len + step.produced <= sizeof(r->data));
		memcpy(r->data + r->len, at, step.produced);
		r->len += step.produced;
		r->consumed += step.consumed;
		/* What is not used has not been touched. */
		assert_memory_equal(at + step.consumed,
		    text + (at - buf) + step.consumed, len - step.consumed);
		at += step.consumed;
		len -= step.consumed;
		if (r->result == H1_BODY_TRAILER) {
			r->trailers++;
			h1_body_trailer(&r->b, &r->trailer);
		}
	} while (r->result == H1_BODY_TRAILER);
	if (r->result == H1_BODY_MORE)
		assert_int_equal(len, 0);
	free(buf);
}

struct sample {
	struct span text;
	enum h1_error error; /* H1_OK: complete, or see `more` */
	const char *data, *trailer;
	size_t rest; /* bytes behind the body */
	bool more;
};

#define S(text) SPAN(text)

static const struct sample samples[] = {
    {S("0\r\n\r\n"), H1_OK, "", "", 0, false},
    {S("0\r\n\r\nGET / HTTP/1.1"), H1_OK, "", "", 14, false},
    {S("5\r\nhello\r\n0\r\n\r\n"), H1_OK, "hello", "", 0, false},
    {S("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), H1_OK, "hello world", "", 0,
	false},
    {S("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"), H1_OK,
	"01234567890123456789", "", 0, false},
    {S("1\r\na\r\n1\r\nb\r\n1\r\nc\r\n00\r\n\r\n"), H1_OK, "abc", "", 0, false},
    {S("5\r\n\r\n0\r\n\r\n0\r\n\r\n"), H1_OK, "\r\n0\r\n", "", 0, false},
    {S("0000000000000000000000005\r\nhello\r\n0\r\n\r\n"), H1_OK, "hello", "",
	0, false},
    {S("5;a=b\r\nhello\r\n0;last\r\n\r\n"), H1_OK, "hello", "", 0, false},
    {S("5 ;a=b\r\nhello\r\n0\t ; x\r\n\r\n"), H1_OK, "hello", "", 0, false},
    {S("5;n=\"quo\\\"ted; x\";\tb\r\nhello\r\n0\r\n\r\n"), H1_OK, "hello", "",
	0, false},
    {S("5;a=\"b\r\nhello\r\n0\r\n\r\n"), H1_OK, "hello", "", 0, false},
    {S("5;\xff\r\nhello\r\n0\r\n\r\n"), H1_OK, "hello", "", 0, false},
    {S("0\r\nA: b\r\n\r\nX"), H1_OK, "", "A: b\r\n", 1, false},
    {S("1\r\nx\r\n0\r\nA:\r\nB_: \tc d\t\xff\r\n\r\n"), H1_OK, "x",
	"A:\r\nB_: \tc d\t\xff\r\n", 0, false},
    /* incomplete */
    {S(""), H1_OK, "", "", 0, true},
    {S("5"), H1_OK, "", "", 0, true},
    {S("5\r\nhel"), H1_OK, "hel", "", 0, true},
    {S("5\r\nhello\r\n0\r\n"), H1_OK, "hello", "", 0, true},
    {S("5\r\nhello\r\n0\r\n\r"), H1_OK, "hello", "", 0, true},
    {S("0\r\nA: b\r\n"), H1_OK, "", "A: b\r\n", 0, true},
    {S("7fffffffffffffff\r\nab"), H1_OK, "ab", "", 0, true},
    {S("100000005\r\nhello\r\n0\r\n\r\n"), H1_OK, "hello\r\n0\r\n\r\n", "", 0,
	true},
    /* sizes */
    {S("\r\n"), H1_E_CHUNK_SIZE, "", "", 0, false},
    {S("\n"), H1_E_CHUNK_SIZE, "", "", 0, false},
    {S(";a\r\n"), H1_E_CHUNK_SIZE, "", "", 0, false},
    {S("0x5\r\nhello"), H1_E_CHUNK_SIZE, "", "", 0, false},
    {S("+5\r\nhello"), H1_E_CHUNK_SIZE, "", "", 0, false},
    {S("-0\r\n\r\n"), H1_E_CHUNK_SIZE, "", "", 0, false},
    {S(" 5\r\nhello"), H1_E_CHUNK_SIZE, "", "", 0, false},
    {S("5_\r\nhello"), H1_E_CHUNK_SIZE, "", "", 0, false},
    {S("5g\r\nhello"), H1_E_CHUNK_SIZE, "", "", 0, false},
    {S("5.0\r\nhello"), H1_E_CHUNK_SIZE, "", "", 0, false},
    {S("5\0\r\nhello"), H1_E_CHUNK_SIZE, "", "", 0, false},
    {S("5 \r\nhello"), H1_E_CHUNK_SIZE, "", "", 0, false},
    {S("5\t\r\nhello"), H1_E_CHUNK_SIZE, "", "", 0, false},
    {S("5 5\r\nhello"), H1_E_CHUNK_SIZE, "", "", 0, false},
    {S("5 \n"), H1_E_CHUNK_SIZE, "", "", 0, false},
    {S("8000000000000000\r\n"), H1_E_CHUNK_SIZE, "", "", 0, false},
    {S("ffffffffffffffff\r\n"), H1_E_CHUNK_SIZE, "", "", 0, false},
    {S("10000000000000005\r\n"), H1_E_CHUNK_SIZE, "", "", 0, false},
    {S("1\r\nx\r\nZ\r\n"), H1_E_CHUNK_SIZE, "x", "", 0, false},
    /* line ends */
    {S("5\nhello\r\n0\r\n\r\n"), H1_E_LINE_END, "", "", 0, false},
    {S("5\rhello"), H1_E_LINE_END, "", "", 0, false},
    {S("5\r\r\nhello"), H1_E_LINE_END, "", "", 0, false},
    {S("5;\nhello\r\n"), H1_E_LINE_END, "", "", 0, false},
    {S("2;a\rxx\r\n"), H1_E_LINE_END, "", "", 0, false},
    {S("0\n\n"), H1_E_LINE_END, "", "", 0, false},
    {S("0\r\n\rX"), H1_E_LINE_END, "", "", 0, false},
    {S("5;a\0b\r\n"), H1_E_CHUNK_EXTENSION, "", "", 0, false},
    {S("5;a\x7f\r\n"), H1_E_CHUNK_EXTENSION, "", "", 0, false},
    {S("5;\x0b\r\n"), H1_E_CHUNK_EXTENSION, "", "", 0, false},
    {S("5\r\nhello\n"), H1_E_CHUNK_END, "hello", "", 0, false},
    {S("5\r\nhelloX\r\n"), H1_E_CHUNK_END, "hello", "", 0, false},
    {S("3\r\nhello\r\n"), H1_E_CHUNK_END, "hel", "", 0, false},
    {S("5\r\nhello\r\r\n"), H1_E_CHUNK_END, "hello", "", 0, false},
    {S("5\r\nhello\r\n\r\n0\r\n\r\n"), H1_E_CHUNK_SIZE, "hello", "", 0, false},
    /* trailers */
    {S("0\r\n\n"), H1_E_TRAILER, "", "", 0, false},
    {S("0\r\nno colon\r\n\r\n"), H1_E_TRAILER, "", "", 0, false},
    {S("0\r\nX : y\r\n\r\n"), H1_E_TRAILER, "", "", 0, false},
    {S("0\r\n: y\r\n\r\n"), H1_E_TRAILER, "", "", 0, false},
    {S("0\r\nX\r\n\r\n"), H1_E_TRAILER, "", "", 0, false},
    {S("0\r\nX: y\r\n z\r\n\r\n"), H1_E_TRAILER, "", "", 0, false},
    {S("0\r\nX: a\0b\r\n\r\n"), H1_E_TRAILER, "", "", 0, false},
    {S("0\r\nX: a\nY: b\r\n\r\n"), H1_E_TRAILER, "", "", 0, false},
    {S("0\r\nX: a\rY: b\r\n\r\n"), H1_E_TRAILER, "", "", 0, false},
};

static enum h1_body_result
wanted(const struct sample *s)
{
	return s->error != H1_OK ? H1_BODY_BAD
	    : s->more            ? H1_BODY_MORE
				 : H1_BODY_END;
}

static void
assert_run(const struct run *r, const struct sample *s, bool keep)
{
	if (r->result != wanted(s) || r->b.error != s->error)
		fail_msg("%.*s: result %d, %s", (int)s->text.len, s->text.ptr,
		    r->result, h1_error_text((enum h1_error)r->b.error));
	assert_true(span_equal(span_make(r->data, r->len), span_of(s->data)));
	assert_int_equal(
	    h1_body_complete_at_eof(&r->b), s->error == H1_OK && !s->more);
	if (s->error != H1_OK)
		return;
	assert_int_equal(r->consumed, s->text.len - s->rest);
	assert_true(span_equal(
	    textbuf_span(&r->trailer), keep ? span_of(s->trailer) : SPAN_NONE));
	assert_int_equal(r->trailers, keep && s->trailer[0] != '\0');
}

/* Whole, byte by byte, and in two pieces at every place. */
static void
test_cuts(void **state)
{
	static struct run r;

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(samples); i++) {
		const struct sample *s = &samples[i / 2];
		bool keep = i % 2 == 1;
		struct span text = s->text;

		begin(&r, &chunked, keep);
		feed(&r, text.ptr, text.len);
		assert_run(&r, s, keep);
		begin(&r, &chunked, keep);
		for (size_t n = 0; n < text.len && r.result == H1_BODY_MORE;
		     n++)
			feed(&r, text.ptr + n, 1);
		assert_run(&r, s, keep);
		for (size_t n = 0; n <= text.len; n++) {
			begin(&r, &chunked, keep);
			feed(&r, text.ptr, n);
			if (r.result == H1_BODY_MORE)
				feed(&r, text.ptr + n, text.len - n);
			assert_run(&r, s, keep);
		}
	}
}

/* ---- limits ---- */

static enum h1_error
decode(struct run *r, const char *text, size_t len)
{
	begin(r, &chunked, true);
	feed(r, text, len);
	return (enum h1_error)r->b.error;
}

static void
test_chunk_line_limit(void **state)
{
	static struct run r;
	char text[H1_CHUNK_LINE_BYTES + 16];

	(void)state;
	for (size_t over = 0; over < 2; over++) {
		size_t n = H1_CHUNK_LINE_BYTES + over;

		memset(text, '0', n);
		memcpy(text + n, "\r\n\r\n", 4);
		assert_int_equal(
		    decode(&r, text, n + 4), over ? H1_E_CHUNK_SIZE : H1_OK);
		assert_int_equal(r.result, over ? H1_BODY_BAD : H1_BODY_END);
		memset(text + 1, 'x', n - 1);
		text[1] = ';';
		assert_int_equal(decode(&r, text, n + 4),
		    over ? H1_E_CHUNK_EXTENSION : H1_OK);
		memset(text + 1, ' ', n - 2);
		text[n - 1] = ';';
		assert_int_equal(decode(&r, text, n + 4),
		    over ? H1_E_CHUNK_EXTENSION : H1_OK);
	}
}

static void
test_extensions_limit(void **state)
{
	static struct run r;
	static char text[4 * H1_CHUNK_EXTENSIONS_BYTES];

	(void)state;
	for (size_t over = 0; over < 2; over++) {
		size_t n = 0, left = H1_CHUNK_EXTENSIONS_BYTES + over;

		while (left > 0) {
			size_t part = left < 128 ? left : 128;

			text[n++] = '1';
			memset(text + n, ';', part);
			n += part;
			n += (size_t)sprintf(text + n, "\r\nx\r\n");
			left -= part;
		}
		n += (size_t)sprintf(text + n, "0\r\n\r\n");
		assert_int_equal(
		    decode(&r, text, n), over ? H1_E_CHUNK_EXTENSION : H1_OK);
	}
}

static void
test_trailer_limit(void **state)
{
	static struct run r;
	static char text[2 * H1_TRAILER_BYTES];

	(void)state;
	for (size_t over = 0; over < 2; over++) {
		size_t n = (size_t)sprintf(text, "0\r\nA: b\r\nX:");
		size_t pad = H1_TRAILER_BYTES + over - strlen("A: b\r\nX:\r\n");

		memset(text + n, 'y', pad);
		n += pad;
		n += (size_t)sprintf(text + n, "\r\n\r\n");
		assert_int_equal(
		    decode(&r, text, n), over ? H1_E_TRAILER : H1_OK);
		assert_false(r.trailer.full);
		assert_int_equal(r.trailer.len, H1_TRAILER_BYTES);
		begin(&r, &chunked, false);
		feed(&r, text, n);
		assert_int_equal(r.b.error, over ? H1_E_TRAILER : H1_OK);
	}
}

/* ---- the other kinds ---- */

static void
test_none(void **state)
{
	static const struct h1_framing f = {.body = H1_BODY_NONE};
	static struct run r;

	(void)state;
	begin(&r, &f, true);
	assert_true(h1_body_complete_at_eof(&r.b));
	feed(&r, "abc", 3);
	assert_int_equal(r.result, H1_BODY_END);
	assert_int_equal(r.consumed, 0);
	begin(&r, &f, true);
	feed(&r, "", 0);
	assert_int_equal(r.result, H1_BODY_END);
}

static void
test_length(void **state)
{
	static const struct h1_framing f = {
	    .body = H1_BODY_LENGTH, .length = 5};
	static struct run r;

	(void)state;
	for (size_t n = 0; n <= 5; n++) {
		begin(&r, &f, true);
		feed(&r, "hello", n);
		assert_int_equal(r.result, n < 5 ? H1_BODY_MORE : H1_BODY_END);
		assert_int_equal(h1_body_complete_at_eof(&r.b), n == 5);
		if (n == 5)
			continue;
		feed(&r, &"helloGET"[n], 8 - n);
		assert_int_equal(r.result, H1_BODY_END);
		assert_int_equal(r.consumed, 5);
		assert_memory_equal(r.data, "hello", 5);
	}
}

static void
test_until_close(void **state)
{
	static const struct h1_framing f = {.body = H1_BODY_UNTIL_CLOSE};
	static struct run r;

	(void)state;
	begin(&r, &f, true);
	assert_true(h1_body_complete_at_eof(&r.b));
	feed(&r, "", 0);
	assert_int_equal(r.result, H1_BODY_MORE);
	feed(&r, "0\r\n\r\n", 5);
	assert_int_equal(r.result, H1_BODY_MORE);
	assert_int_equal(r.len, 5);
	assert_true(h1_body_complete_at_eof(&r.b));
}

/* ---- against a simple encoder and against h1_field_line ---- */

static void
test_random_bodies(void **state)
{
	static struct run r;
	static char data[ROOM / 2], text[ROOM * 2];
	struct rng rng;

	(void)state;
	rng_init(&rng, 11);
	for (int round = 0; round < 300; round++) {
		size_t n = 0, len = 0, at = 0;

		while (len < 3000 && rng_upto(&rng, 20) > 0) {
			size_t part = 1 + (size_t)rng_upto(&rng, 400);

			n += (size_t)sprintf(text + n, "%zx%s\r\n", part,
			    rng_upto(&rng, 3) ? "" : " ;x=y");
			for (size_t i = 0; i < part; i++)
				data[len + i] = (char)rng_next(&rng);
			memcpy(text + n, data + len, part);
			len += part;
			n += part;
			n += (size_t)sprintf(text + n, "\r\n");
		}
		n += (size_t)sprintf(text + n, "0\r\n\r\n");
		begin(&r, &chunked, false);
		while (at < n) {
			size_t piece = 1 + (size_t)rng_upto(&rng, 700);

			if (piece > n - at)
				piece = n - at;
			feed(&r, text + at, piece);
			at += piece;
		}
		assert_int_equal(r.result, H1_BODY_END);
		assert_int_equal(r.len, len);
		assert_memory_equal(r.data, data, len);
	}
}

static void
test_trailers_are_field_lines(void **state)
{
	static const char bytes[] = "aB:: \t_\"(\x01\x7f\xff";
	static struct run r;
	struct h1_field f;
	struct rng rng;
	char text[64];

	(void)state;
	rng_init(&rng, 5);
	for (int round = 0; round < 20000; round++) {
		size_t len = 1 + (size_t)rng_upto(&rng, 7);
		bool good;

		memcpy(text, "0\r\n", 3);
		for (size_t i = 0; i < len; i++)
			text[3 + i] = bytes[rng_upto(&rng, 11)];
		memcpy(text + 3 + len, "\r\n\r\n", 4);
		good = h1_field_line(span_make(text + 3, len), &f) == H1_OK;
		assert_int_equal(
		    decode(&r, text, len + 7), good ? H1_OK : H1_E_TRAILER);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cuts),
	    cmocka_unit_test(test_chunk_line_limit),
	    cmocka_unit_test(test_extensions_limit),
	    cmocka_unit_test(test_trailer_limit),
	    cmocka_unit_test(test_none),
	    cmocka_unit_test(test_length),
	    cmocka_unit_test(test_until_close),
	    cmocka_unit_test(test_random_bodies),
	    cmocka_unit_test(test_trailers_are_field_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
