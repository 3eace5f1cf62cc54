/* layer: proxy */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

#include "evenkeel/base/num.h"
#include "evenkeel/proxy/pump.h"
#include "loop_until.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define LARGE 2000000
#define ROOM  (2 * LARGE)

/* ---- a pump between two socket pairs ---- */

static struct conn source, sink;
static int from = -1, to = -1; /* their peers: the test's */
static struct pump pump;
static char scratch[2 * BUF_BYTES];
static struct textbuf head;

static char wire[ROOM]; /* what the source's peer sends */
static size_t wire_len;
static char got[ROOM]; /* what the sink's peer has received */
static size_t got_len;
static char decoded[ROOM]; /* its body */
static char body[LARGE];

static void
on_ready(struct conn *c, void *arg)
{
	(void)c;
	(void)arg;
}

static const struct conn_ops ops = {.on_ready = on_ready};

static int
open_one(struct conn *c)
{
	int fds[2];

	assert_int_equal(
	    socketpair(
		AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
	    0);
	assert_true(conn_open(c, loop, fds[0], &ops, NULL));
	return fds[1];
}

static int
open_both(void **state)
{
	if (open_loop(state) != 0)
		return -1;
	/* splice(2) knows no MSG_NOSIGNAL. */
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (char)(i * 31 + (i >> 7));
	return 0;
}

static void
begin(enum h1_body_kind kind, uint64_t length, bool chunked, bool trailer)
{
	const struct h1_framing f = {.body = kind, .length = length};

	from = open_one(&source);
	to = open_one(&sink);
	pump_init(&pump, &f, chunked, trailer);
	head = textbuf_make(scratch, sizeof(scratch));
	got_len = 0;
}

/* The sink's socket takes this little at once. */
static void
narrow(int bytes)
{
	assert_int_equal(
	    setsockopt(sink.fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)),
	    0);
}

static void
finish(void)
{
	pump_close(&pump, loop);
	conn_close(&source);
	conn_close(&sink);
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	from = to = -1;
	assert_int_equal(loop->bufs.n_lent, 0);
}

static void
say(const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = send(from, p, len, MSG_NOSIGNAL);

		assert_true(n > 0 || errno == EAGAIN);
		if (n < 0)
			return;
		p += n;
		len -= (size_t)n;
	}
}

static void
hang_up(void)
{
	close(from);
	from = -1;
}

static bool
hear(size_t at_most)
{
	ssize_t n = recv(
	    to, got + got_len, num_min_size(at_most, sizeof(got) - got_len), 0);

	if (n <= 0)
		return false;
	got_len += (size_t)n;
	return true;
}

/* Whether somebody will be called for this: a pump that waits for what is
 * there already would wait for ever. */
static bool
may_wait(enum pump_result r)
{
	if (r == PUMP_WANT_SOURCE)
		return !source.readable;
	return r == PUMP_WANT_SINK && !sink.writable;
}

/* Runs until it can do nothing more; memory stays bounded meanwhile. */
static enum pump_result
run(void)
{
	enum pump_result r;

	for (int i = 0; i < 100; i++) {
		turn_once();
		r = pump_run(&pump, &source, &sink, &head);
		assert_true(loop->bufs.n_lent <= 3);
		assert_int_equal(head.len, 0);
		if (r != PUMP_YIELD)
			break;
	}
	if (r == PUMP_WANT_SOURCE || r == PUMP_WANT_SINK)
		assert_true(may_wait(r));
	return r;
}

/* Runs, hears `at_most` bytes at a time, until the pump's state is final or
 * it wants more of the source. */
static enum pump_result
run_and_hear(size_t at_most)
{
	uint64_t since_us = clock_monotonic_us();
	enum pump_result r;

	for (;;) {
		assert_true(clock_monotonic_us() - since_us < UNTIL_US);
		r = run();
		if (r != PUMP_WANT_SINK)
			break;
		hear(at_most);
	}
	while (hear(sizeof(got)))
		;
	return r;
}

/* ---- bodies on the wire ---- */

static void
put_chunk(struct textbuf *t, const char *p, size_t len)
{
	textbuf_hex(t, len);
	textbuf_lit(t, "\r\n");
	textbuf_put(t, span_make(p, len));
	textbuf_lit(t, "\r\n");
}

/* `len` bytes of the body as `kind` has it, in chunks of `piece`. */
static void
encode(enum h1_body_kind kind, size_t len, size_t piece, const char *trailer)
{
	struct textbuf t = textbuf_make(wire, sizeof(wire));

	if (kind != H1_BODY_CHUNKED) {
		textbuf_put(&t, span_make(body, len));
	} else {
		for (size_t at = 0; at < len; at += piece)
			put_chunk(&t, body + at, num_min_size(piece, len - at));
		textbuf_lit(&t, "0\r\n");
		textbuf_str(&t, trailer);
		textbuf_lit(&t, "\r\n");
	}
	assert_false(t.full);
	wire_len = t.len;
}

/* Undoes chunks, in the most literal way; returns where the rest begins (the
 * trailer section) and the length of the data, or fails. */
static struct span
unchunk(size_t *len)
{
	struct span rest = span_make(got, got_len);

	*len = 0;
	for (;;) {
		uint64_t size = 0;
		size_t line = 0;

		while (line < rest.len && num_hex_digit(rest.ptr[line]) >= 0)
			size = size << 4 |
			    (uint64_t)num_hex_digit(rest.ptr[line++]);
		assert_true(line > 0 && line + 2 <= rest.len);
		assert_memory_equal(rest.ptr + line, "\r\n", 2);
		rest = span_make(rest.ptr + line + 2, rest.len - line - 2);
		if (size == 0)
			return rest;
		assert_true(size + 2 <= rest.len);
		memcpy(decoded + *len, rest.ptr, size);
		*len += size;
		assert_memory_equal(rest.ptr + size, "\r\n", 2);
		rest = span_make(rest.ptr + size + 2, rest.len - size - 2);
	}
}

/* The sink got the first `len` bytes of the body, whole and framed well. */
static void
assert_got(size_t len, bool chunked, const char *trailer)
{
	struct span rest;
	size_t n = got_len;

	if (!chunked) {
		assert_int_equal(got_len, len);
		assert_memory_equal(got, body, len);
		return;
	}
	rest = unchunk(&n);
	assert_int_equal(n, len);
	assert_memory_equal(decoded, body, len);
	assert_int_equal(rest.len, strlen(trailer) + 2);
	assert_memory_equal(rest.ptr, trailer, rest.len - 2);
	assert_memory_equal(rest.ptr + rest.len - 2, "\r\n", 2);
}

/* ---- every way in, every way out, cut everywhere ---- */

static const enum h1_body_kind kinds[] = {
    H1_BODY_LENGTH, H1_BODY_CHUNKED, H1_BODY_UNTIL_CLOSE};

static void
one_cut(enum h1_body_kind kind, bool chunked, size_t len, size_t cut)
{
	enum pump_result r;

	begin(kind, len, chunked, true);
	textbuf_lit(&head, "HEAD");
	say(wire, cut);
	r = run_and_hear(ROOM);
	assert_int_equal(r,
	    cut == wire_len && kind != H1_BODY_UNTIL_CLOSE ? PUMP_DONE
							   : PUMP_WANT_SOURCE);
	/* What waits, waits without a buffer. */
	if (r == PUMP_WANT_SOURCE)
		assert_int_equal(loop->bufs.n_lent, pump.trailer != NULL);
	say(wire + cut, wire_len - cut);
	if (kind == H1_BODY_UNTIL_CLOSE)
		hang_up();
	assert_int_equal(run_and_hear(ROOM), PUMP_DONE);
	assert_true(pump.ended);
	assert_true(pump.bytes == len);
	assert_true(got_len > 4);
	assert_memory_equal(got, "HEAD", 4);
	got_len -= 4;
	memmove(got, got + 4, got_len);
	assert_got(len, chunked, "");
	finish();
}

static void
cut_at_every_byte(void **state)
{
	(void)state;
	for (size_t k = 0; k < COUNT(kinds); k++)
		for (int chunked = 0; chunked < 2; chunked++) {
			encode(kinds[k], 60, 17, "");
			for (size_t cut = 0; cut <= wire_len; cut++)
				one_cut(kinds[k], chunked != 0, 60, cut);
		}
}

/* The source ends there instead: the sink must never see a whole body. */
static void
one_truncation(enum h1_body_kind kind, bool chunked, size_t len, size_t cut)
{
	begin(kind, len, chunked, false);
	say(wire, cut);
	hang_up();
	assert_int_equal(run_and_hear(ROOM), PUMP_TRUNCATED);
	assert_false(pump.ended);
	if (!chunked)
		assert_true(got_len <= len);
	else
		assert_true(got_len < 5 ||
		    memcmp(got + got_len - 5, "0\r\n\r\n", 5) != 0);
	finish();
}

static void
truncated_at_every_byte(void **state)
{
	(void)state;
	for (size_t k = 0; k < 2; k++)
		for (int chunked = 0; chunked < 2; chunked++) {
			encode(kinds[k], 60, 17, "");
			for (size_t cut = 0; cut < wire_len; cut++)
				one_truncation(kinds[k], chunked != 0, 60, cut);
		}
}

/* A large body through a sink that takes little at a time. */
static void
slow_sink(enum h1_body_kind kind, bool chunked, size_t piece, size_t sip)
{
	enum pump_result r = PUMP_WANT_SOURCE;
	uint64_t since_us = clock_monotonic_us();
	size_t at = 0, least = LARGE, most = 0;

	encode(kind, LARGE, piece, "");
	begin(kind, LARGE, chunked, false);
	narrow(1);
	while (r != PUMP_DONE) {
		ssize_t n = 0;

		assert_true(clock_monotonic_us() - since_us < UNTIL_US);
		if (at < wire_len)
			n = send(from, wire + at, wire_len - at, MSG_NOSIGNAL);
		at += n > 0 ? (size_t)n : 0;
		if (at == wire_len && kind == H1_BODY_UNTIL_CLOSE && from >= 0)
			hang_up();
		r = run();
		assert_true(r == PUMP_WANT_SOURCE || r == PUMP_WANT_SINK ||
		    r == PUMP_DONE);
		/* Read ahead of the reader by no more than its buffers. */
		assert_true(source.bytes_in <=
		    sink.bytes_out + BUF_LARGE_BYTES + wire_len - LARGE);
		least = num_min_size(least, sink.bytes_out);
		most = sink.bytes_out;
		hear(sip);
	}
	while (hear(ROOM))
		;
	/* It was not taken in one piece. */
	assert_true(least < most);
	assert_got(LARGE, chunked, "");
	finish();
}

static void
slow_sinks(void **state)
{
	static const size_t pieces[] = {1000, 4096, 70000};
	static const size_t sips[] = {777, 5000, ROOM};

	(void)state;
	for (size_t k = 0; k < COUNT(kinds); k++)
		for (int chunked = 0; chunked < 2; chunked++)
			for (size_t p = 0; p < COUNT(pieces); p++) {
				if (kinds[k] != H1_BODY_CHUNKED && p > 0)
					continue;
				for (size_t s = 0; s < COUNT(sips); s++)
					slow_sink(kinds[k], chunked != 0,
					    pieces[p], sips[s]);
			}
}

/* One-byte chunks are not passed on one by one. */
static void
small_chunks_are_joined(void **state)
{
	(void)state;
	encode(H1_BODY_CHUNKED, 2000, 1, "");
	begin(H1_BODY_CHUNKED, 0, true, false);
	say(wire, wire_len);
	assert_int_equal(run_and_hear(ROOM), PUMP_DONE);
	assert_got(2000, true, "");
	assert_true(got_len < 2100);
	finish();
}

/* ---- a sink that is full from the start ---- */

static size_t
stuff_sink(void)
{
	static char stuff[65536];
	size_t sum = 0;
	ssize_t n;

	/* Behind the conn's back: it still believes that there is room. */
	while ((n = send(sink.fd, stuff, sizeof(stuff), MSG_NOSIGNAL)) > 0)
		sum += (size_t)n;
	while ((n = send(sink.fd, stuff, 1, MSG_NOSIGNAL)) > 0)
		sum += (size_t)n;
	turn_once();
	sink.writable = true;
	return sum;
}

/* The head, a full buffer and the frames are kept, whatever their lengths. */
static void
nothing_taken_at_first(void **state)
{
	static const size_t heads[] = {0, 1, 300, 5000, 16000, 30000};

	(void)state;
	for (size_t k = 0; k < COUNT(kinds); k++)
		for (int chunked = 0; chunked < 2; chunked++)
			for (size_t h = 0; h < COUNT(heads); h++) {
				size_t stuffed, len = 2 * BUF_BYTES;

				encode(kinds[k], len, 9000, "");
				begin(kinds[k], len, chunked != 0, false);
				textbuf_put(&head, span_make(body, heads[h]));
				say(wire, wire_len);
				if (kinds[k] == H1_BODY_UNTIL_CLOSE)
					hang_up();
				turn_once();
				/* As it is when a head has been read. */
				assert_int_equal(conn_fill(&source), CONN_OK);
				stuffed = stuff_sink();
				assert_int_equal(run(), PUMP_WANT_SINK);
				while (got_len < stuffed)
					assert_true(hear(stuffed - got_len));
				got_len = 0;
				assert_int_equal(run_and_hear(ROOM), PUMP_DONE);
				assert_true(got_len > heads[h]);
				assert_memory_equal(got, body, heads[h]);
				got_len -= heads[h];
				memmove(got, got + heads[h], got_len);
				assert_got(len, chunked != 0, "");
				finish();
			}
}

/* A sink that is known to be full is left alone: the data waits where it is
 * and is not copied. */
static void
a_full_sink_is_not_asked(void **state)
{
	(void)state;
	for (int chunked = 0; chunked < 2; chunked++) {
		encode(H1_BODY_LENGTH, 5000, 1, "");
		begin(H1_BODY_LENGTH, 5000, chunked != 0, false);
		say(wire, wire_len);
		turn_once();
		sink.writable = false;
		assert_int_equal(
		    pump_run(&pump, &source, &sink, &head), PUMP_WANT_SINK);
		assert_true(conn_out_empty(&sink));
		assert_int_equal(buf_ready_len(source.in), 5000);
		sink.writable = true;
		assert_int_equal(run_and_hear(ROOM), PUMP_DONE);
		assert_got(5000, chunked != 0, "");
		finish();
	}
}

/* ---- ends ---- */

static void
no_body(void **state)
{
	(void)state;
	begin(H1_BODY_NONE, 0, false, false);
	textbuf_lit(&head, "only a head");
	say("next", 4);
	assert_int_equal(run_and_hear(ROOM), PUMP_DONE);
	assert_int_equal(got_len, 11);
	finish();
}

/* What follows the body stays with the source. */
static void
the_next_message_is_left(void **state)
{
	static const char next[] = "GET / HTTP/1.1\r\n";

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		encode(kinds[k], 500, 100, "");
		begin(kinds[k], 500, false, false);
		say(wire, wire_len);
		say(next, sizeof(next) - 1);
		assert_int_equal(run_and_hear(ROOM), PUMP_DONE);
		assert_got(500, false, "");
		assert_int_equal(buf_raw_len(source.in), sizeof(next) - 1);
		assert_memory_equal(buf_raw(source.in), next, sizeof(next) - 1);
		finish();
	}
}

static void
trailers(void **state)
{
	static const char trailer[] = "X-Sum: 42\r\nX-More: a b\r\n";

	(void)state;
	encode(H1_BODY_CHUNKED, 60, 17, trailer);
	for (size_t cut = 0; cut <= wire_len; cut++) {
		begin(H1_BODY_CHUNKED, 0, true, true);
		say(wire, cut);
		(void)run_and_hear(ROOM);
		say(wire + cut, wire_len - cut);
		assert_int_equal(run_and_hear(ROOM), PUMP_DONE);
		assert_got(60, true, trailer);
		finish();
	}
	/* Dropped where they are not wanted, and where there is no place. */
	for (int chunked = 0; chunked < 2; chunked++) {
		begin(H1_BODY_CHUNKED, 0, chunked != 0, false);
		say(wire, wire_len);
		assert_int_equal(run_and_hear(ROOM), PUMP_DONE);
		assert_got(60, chunked != 0, "");
		finish();
	}
}

static void
malformed(void **state)
{
	static const char *const bad[] = {"zz\r\n", "5\r\nhelloXX", "-1\r\n",
	    "5\nhello", "0\r\nno colon\r\n\r\n", "0\r\n\n"};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		begin(H1_BODY_CHUNKED, 0, true, true);
		say("3\r\nabc\r\n", 8);
		assert_int_equal(run_and_hear(ROOM), PUMP_WANT_SOURCE);
		say(bad[i], strlen(bad[i]));
		assert_int_equal(run_and_hear(ROOM), PUMP_MALFORMED);
		assert_int_not_equal(pump.body.error, H1_OK);
		assert_false(pump.ended);
		assert_true(got_len < 5 ||
		    memcmp(got + got_len - 5, "0\r\n\r\n", 5) != 0);
		finish();
	}
}

static void
limits(void **state)
{
	(void)state;
	for (size_t k = 0; k < COUNT(kinds); k++)
		for (size_t len = 99; len <= 101; len++) {
			encode(kinds[k], len, 7, "");
			begin(kinds[k], len, false, false);
			pump.limit = 100;
			say(wire, wire_len);
			hang_up();
			assert_int_equal(run_and_hear(ROOM),
			    len <= 100 ? PUMP_DONE : PUMP_TOO_LARGE);
			assert_true(got_len <= 100);
			finish();
		}
}

static void
the_sink_breaks(void **state)
{
	(void)state;
	encode(H1_BODY_LENGTH, LARGE, 1, "");
	begin(H1_BODY_LENGTH, LARGE, false, false);
	say(wire, 5000);
	assert_int_equal(run(), PUMP_WANT_SOURCE);
	close(to);
	to = -1;
	say(wire + 5000, 5000);
	assert_int_equal(run(), PUMP_SINK_ERROR);
	finish();
}

/* Without a sink the rest is read, checked and counted. */
static void
discarded(void **state)
{
	(void)state;
	encode(H1_BODY_CHUNKED, LARGE, 5000, "");
	begin(H1_BODY_CHUNKED, 0, true, false);
	pump.discard = true;
	for (size_t at = 0; at < wire_len; at += 50000) {
		say(wire + at, num_min_size(50000, wire_len - at));
		assert_int_equal(run(),
		    wire_len - at <= 50000 ? PUMP_DONE : PUMP_WANT_SOURCE);
	}
	assert_true(pump.bytes == LARGE);
	assert_true(sink.bytes_out == 0);
	finish();
}

/* Says the wire from `at` on, and hears. */
static enum pump_result
say_the_rest(size_t at)
{
	uint64_t since_us = clock_monotonic_us();
	enum pump_result r = PUMP_WANT_SOURCE;

	while (r == PUMP_WANT_SOURCE || r == PUMP_WANT_SINK) {
		ssize_t n = 0;

		assert_true(clock_monotonic_us() - since_us < UNTIL_US);
		if (at < wire_len)
			n = send(from, wire + at, wire_len - at, MSG_NOSIGNAL);
		at += n > 0 ? (size_t)n : 0;
		r = run();
		hear(ROOM);
	}
	while (to >= 0 && hear(ROOM))
		;
	return r;
}

/* What was ready when the sink broke is in nobody's way. */
static void
discarded_with_something_ready(void **state)
{
	static const size_t lengths[] = {20000, BUF_BYTES, 150000};

	(void)state;
	for (size_t k = 0; k < 2; k++)
		for (size_t l = 0; l < COUNT(lengths); l++) {
			encode(kinds[k], LARGE, 9000, "");
			begin(kinds[k], LARGE, k == 1, false);
			say(wire, lengths[l]);
			turn_once();
			/* As it is when a head has been read. */
			assert_int_equal(conn_fill(&source), CONN_OK);
			(void)stuff_sink();
			assert_int_equal(run(), PUMP_WANT_SINK);
			assert_true(pump.bytes > sink.bytes_out);
			close(to);
			to = -1;
			turn_once();
			assert_int_equal(run(), PUMP_SINK_ERROR);
			pump.discard = true;
			assert_int_equal(say_the_rest(lengths[l]), PUMP_DONE);
			assert_true(pump.bytes == LARGE);
			finish();
		}
}

/* The kernel takes no pipe for a descriptor that appends: what lies in one
 * already is copied, as is all that follows. */
static void
copied_when_the_sink_takes_no_pipe(void **state)
{
	(void)state;
	for (int late = 0; late < 2; late++) {
		encode(H1_BODY_LENGTH, LARGE, 1, "");
		begin(H1_BODY_LENGTH, LARGE, false, false);
		say(wire, 200000);
		if (late)
			assert_int_equal(run_and_hear(ROOM), PUMP_WANT_SOURCE);
		assert_false(pump.unpiped);
		assert_int_equal(
		    fcntl(sink.fd, F_SETFL, O_NONBLOCK | O_APPEND), 0);
		assert_int_equal(say_the_rest(200000), PUMP_DONE);
		assert_true(pump.unpiped);
		assert_got(LARGE, false, "");
		finish();
	}
}

/* ---- a second sink ---- */

static void
second_sink(void)
{
	conn_close(&sink);
	close(to);
	to = open_one(&sink);
	got_len = 0;
}

/* A head of four bytes was read, and is kept. */
static void
keep_head(void)
{
	assert_int_equal(conn_fill(&source), CONN_OK);
	source.in->base = source.in->start = source.in->mid = source.in->raw =
	    4;
}

/* After `cut` bytes it is sent again from the start if that can be; then the
 * second sink gets all of it. */
static bool
rewound_at(enum h1_body_kind kind, bool chunked, size_t cut)
{
	bool can;

	begin(kind, 60, chunked, false);
	say("head", 4);
	say(wire, cut);
	turn_once();
	keep_head();
	(void)run_and_hear(ROOM);
	can = pump_can_rewind(&pump, &source);
	if (can) {
		second_sink();
		pump_rewind(&pump, &source);
		say(wire + cut, wire_len - cut);
		assert_int_equal(run_and_hear(ROOM), PUMP_DONE);
		assert_got(60, chunked, "");
	}
	finish();
	return can;
}

static void
rewound(void **state)
{
	(void)state;
	for (size_t k = 0; k < 2; k++)
		for (int chunked = 0; chunked < 2; chunked++) {
			encode(kinds[k], 60, 17, "");
			for (size_t cut = 0; cut < wire_len; cut++)
				(void)rewound_at(kinds[k], chunked != 0, cut);
			/* A body that came whole always can. */
			assert_true(
			    rewound_at(kinds[k], chunked != 0, wire_len));
		}
}

static void
not_rewound_once_bytes_are_gone(void **state)
{
	(void)state;
	encode(H1_BODY_LENGTH, LARGE, 1, "");
	begin(H1_BODY_LENGTH, LARGE, false, false);
	assert_true(pump_can_rewind(&pump, &source));
	say(wire, 1000);
	assert_int_equal(run_and_hear(ROOM), PUMP_WANT_SOURCE);
	assert_false(pump_can_rewind(&pump, &source));
	say(wire + 1000, 1000);
	turn_once();
	assert_int_equal(run_and_hear(ROOM), PUMP_WANT_SOURCE);
	assert_false(pump_can_rewind(&pump, &source));
	finish();
}

#define LOOPED(test) \
	cmocka_unit_test_setup_teardown(test, open_both, close_loop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    LOOPED(cut_at_every_byte),
	    LOOPED(truncated_at_every_byte),
	    LOOPED(slow_sinks),
	    LOOPED(small_chunks_are_joined),
	    LOOPED(nothing_taken_at_first),
	    LOOPED(a_full_sink_is_not_asked),
	    LOOPED(no_body),
	    LOOPED(the_next_message_is_left),
	    LOOPED(trailers),
	    LOOPED(malformed),
	    LOOPED(limits),
	    LOOPED(the_sink_breaks),
	    LOOPED(discarded),
	    LOOPED(discarded_with_something_ready),
	    LOOPED(copied_when_the_sink_takes_no_pipe),
	    LOOPED(rewound),
	    LOOPED(not_rewound_once_bytes_are_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
