/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/un.h>

#include "socket_pair.h"
#include "evenkeel/net/conn.h"
#include "loop_until.h"

static struct conn conn;
static unsigned ready;
static char bytes[1 << 20];

static void
on_ready(struct conn *c, void *arg)
{
	assert_ptr_equal(c, &conn);
	assert_ptr_equal(arg, bytes);
	ready++;
}

static const struct conn_ops ops = {.on_ready = on_ready};

/* A unix stream: `conn` and the descriptor of its peer. */
static int
open_pair(void)
{
	int fds[2];

	socket_pair(fds);
	ready = 0;
	assert_true(conn_open(&conn, loop, fds[0], &ops, bytes));
	return fds[1];
}

static int
listen_tcp(struct sockaddr_in *at)
{
	socklen_t len = sizeof(*at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*at = (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)at, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)at, &len), 0);
	return fd;
}

static enum conn_io
connect_to(const struct sockaddr_in *at)
{
	ready = 0;
	return conn_connect(
	    &conn, loop, (const struct sockaddr *)at, sizeof(*at), &ops, bytes);
}

/* A TCP connection that stands: `conn` made it. */
static int
open_tcp(void)
{
	struct sockaddr_in at;
	int listener = listen_tcp(&at), peer;

	assert_int_equal(connect_to(&at), CONN_AGAIN);
	assert_int_equal(conn_connected(&conn), CONN_AGAIN);
	peer = accept(listener, NULL, NULL);
	assert_true(peer >= 0);
	close(listener);
	TURN_UNTIL(conn_connected(&conn) == CONN_OK);
	assert_true(conn.writable && !conn.connecting);
	return peer;
}

static void
say(int fd, const char *text)
{
	assert_int_equal(
	    send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void
end(int peer)
{
	conn_close(&conn);
	if (peer >= 0)
		close(peer);
	assert_false(conn_is_open(&conn));
	conn_close(&conn);
	assert_int_equal(loop->bufs.n_lent, 0);
}

static enum conn_io
take(size_t len, size_t *got)
{
	assert_true(len <= sizeof(bytes));
	return conn_recv(&conn, bytes, len, got);
}

/* ---- reading ---- */

static void
nothing_is_read_unasked(void **state)
{
	int peer = open_pair();
	size_t got;

	(void)state;
	assert_true(conn_ok(&conn));
	say(peer, "hello");
	assert_int_equal(take(10, &got), CONN_AGAIN);
	assert_int_equal(got, 0);
	TURN_UNTIL(conn.readable);
	assert_true(ready > 0);
	end(peer);
}

/* A full read leaves the flag: there may be more.  A short one clears it, and
 * what comes later is reported again. */
static void
short_reads(void **state)
{
	int peer = open_pair();
	size_t got;

	(void)state;
	say(peer, "0123456789");
	TURN_UNTIL(conn.readable);
	assert_int_equal(take(4, &got), CONN_OK);
	assert_int_equal(got, 4);
	assert_true(conn.readable);
	assert_int_equal(take(100, &got), CONN_OK);
	assert_int_equal(got, 6);
	assert_false(conn.readable);
	assert_true(conn.unsure);
	assert_int_equal(take(100, &got), CONN_AGAIN);
	assert_false(conn.unsure);
	say(peer, "more");
	TURN_UNTIL(conn.readable);
	assert_int_equal(take(4, &got), CONN_OK);
	assert_memory_equal(bytes, "more", 4);
	/* exactly all of it: only the next call tells */
	assert_true(conn.readable);
	assert_int_equal(take(4, &got), CONN_AGAIN);
	assert_false(conn.readable);
	assert_true(conn.bytes_in == 14);
	end(peer);
}

/* FIN is reported with or behind the bytes, and found behind them. */
static void
end_behind_bytes(void **state)
{
	(void)state;
	for (int together = 0; together < 2; together++) {
		int peer = open_pair();
		size_t got;

		say(peer, "last words");
		if (together == 0)
			TURN_UNTIL(conn.readable);
		shutdown(peer, SHUT_WR);
		TURN_UNTIL(conn.eof);
		assert_true(conn.readable);
		assert_false(conn.eof_read);
		assert_int_equal(take(100, &got), CONN_OK);
		assert_int_equal(got, 10);
		assert_true(conn.readable);
		assert_int_equal(take(100, &got), CONN_EOF);
		assert_true(conn.eof_read);
		assert_false(conn.readable);
		assert_int_equal(take(100, &got), CONN_EOF);
		end(peer);
	}
}

/* A reset that came together with the last bytes, whose edge is used up: who
 * goes on waiting is told. */
static void
reset_behind_bytes(void **state)
{
	int peer = open_tcp();
	struct linger now = {.l_onoff = 1, .l_linger = 0};
	struct pollfd both = {.fd = conn.fd, .events = POLLIN};
	size_t got;

	(void)state;
	say(peer, "last words");
	assert_int_equal(poll(&both, 1, 20000), 1);
	TURN_UNTIL(conn.readable);
	assert_int_equal(take(100, &got), CONN_OK);
	assert_int_equal(got, 10);
	/* The reset may come between: then its edge says nothing new. */
	conn.readable = false;
	setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(peer);
	TURN_UNTIL(poll(&both, 1, 0) == 1 && both.revents & POLLHUP);
	conn.readable = conn.eof = false;
	assert_true(conn.unsure);
	assert_int_equal(take(100, &got), CONN_ERROR);
	assert_int_equal(conn.error, ECONNRESET);
	end(-1);
}

static void
fill_and_release(void **state)
{
	int peer = open_pair();
	size_t sent;

	(void)state;
	assert_int_equal(conn_fill(&conn), CONN_AGAIN);
	assert_null(conn.in);
	say(peer, "abc");
	TURN_UNTIL(conn.readable);
	assert_int_equal(conn_fill(&conn), CONN_OK);
	assert_int_equal(buf_raw_len(conn.in), 3);
	assert_memory_equal(buf_raw(conn.in), "abc", 3);
	conn_release_in(&conn);
	assert_non_null(conn.in);
	/* Full: AGAIN, but the flag stays for whoever makes room. */
	memset(bytes, 'x', sizeof(bytes));
	for (sent = 3; sent < BUF_BYTES + 1000;)
		sent += (size_t)send(peer, bytes, 1000, MSG_NOSIGNAL);
	TURN_UNTIL(conn.readable);
	while (buf_room(conn.in) > 0)
		assert_int_equal(conn_fill(&conn), CONN_OK);
	assert_true(conn.readable);
	assert_int_equal(conn_fill(&conn), CONN_AGAIN);
	assert_true(conn.readable);
	/* Used up: the whole room is there again. */
	conn.in->raw = conn.in->end;
	assert_int_equal(conn_fill(&conn), CONN_OK);
	assert_int_equal(buf_raw_len(conn.in), sent - BUF_BYTES);
	conn.in->raw = conn.in->end;
	conn.in->start = conn.in->mid = conn.in->end;
	conn_release_in(&conn);
	assert_null(conn.in);
	assert_int_equal(loop->bufs.n_lent, 0);
	end(peer);
}

/* A kept head keeps its buffer. */
static void
a_kept_head_is_not_released(void **state)
{
	int peer = open_pair();

	(void)state;
	say(peer, "head");
	TURN_UNTIL(conn.readable);
	assert_int_equal(conn_fill(&conn), CONN_OK);
	conn.in->raw = conn.in->end;
	conn.in->base = conn.in->start = conn.in->mid = conn.in->end;
	conn_release_in(&conn);
	assert_non_null(conn.in);
	end(peer);
}

/* ---- writing ---- */

/* A send that is cut short has filled the socket. */
static void
fill_socket(void)
{
	struct iovec piece = {bytes, sizeof(bytes)};
	size_t sent;

	while (conn.writable) {
		assert_int_not_equal(
		    conn_send(&conn, &piece, 1, &sent), CONN_ERROR);
		assert_true(conn.writable == (sent == sizeof(bytes)));
	}
}

/* Reads from the peer until `len` bytes are there. */
static void
drain(int peer, char *to, size_t len)
{
	size_t got = 0;
	char sink[65536];

	TURN_UNTIL(({
		ssize_t n = recv(peer, to != NULL ? to + got : sink,
		    len - got < sizeof(sink) ? len - got : sizeof(sink),
		    MSG_DONTWAIT);
		got += n > 0 ? (size_t)n : 0;
		got == len;
	}));
}

static void
pieces_go_in_order(void **state)
{
	struct iovec pieces[3] = {{(char[]){"one "}, 4}, {(char[]){"two "}, 4},
	    {(char[]){"three"}, 5}};
	int peer = open_pair();
	char got[13];
	size_t sent;

	(void)state;
	assert_true(conn.writable);
	assert_int_equal(conn_send(&conn, pieces, 3, &sent), CONN_OK);
	assert_int_equal(sent, 13);
	assert_true(conn.bytes_out == 13);
	drain(peer, got, sizeof(got));
	assert_memory_equal(got, "one two three", 13);
	end(peer);
}

/* A full socket clears the flag; its draining brings it back. */
static void
full_socket(void **state)
{
	struct iovec piece = {bytes, 1};
	int peer = open_pair();
	size_t sent;

	(void)state;
	fill_socket();
	assert_int_equal(conn_send(&conn, &piece, 1, &sent), CONN_AGAIN);
	assert_int_equal(sent, 0);
	turn_once();
	assert_false(conn.writable);
	drain(peer, NULL, conn.bytes_out);
	TURN_UNTIL(conn.writable);
	assert_int_equal(conn_send(&conn, &piece, 1, &sent), CONN_OK);
	end(peer);
}

/* What the socket does not take is kept, goes first, and in order. */
static void
keep_and_flush(void **state)
{
	int peer = open_pair();
	uint64_t before;
	char got[26];

	(void)state;
	fill_socket();
	before = conn.bytes_out;
	assert_int_equal(conn_write(&conn, SPAN("abcdefgh")), CONN_OK);
	assert_false(conn_out_empty(&conn));
	assert_int_equal(conn_flush(&conn), CONN_AGAIN);
	assert_true(conn_keep(&conn, SPAN("ijklmnop")));
	drain(peer, NULL, before);
	TURN_UNTIL(conn.writable);
	/* Never past what waits, though the socket has room. */
	assert_int_equal(conn_write(&conn, SPAN("qrstuvwxyz")), CONN_OK);
	assert_true(conn.bytes_out == before);
	assert_int_equal(conn_flush(&conn), CONN_OK);
	assert_true(conn_out_empty(&conn));
	assert_int_equal(conn_flush(&conn), CONN_OK);
	drain(peer, got, sizeof(got));
	assert_memory_equal(got, "abcdefghijklmnopqrstuvwxyz", 26);
	end(peer);
}

static void
keeping_has_an_end(void **state)
{
	int peer = open_pair();

	(void)state;
	fill_socket();
	assert_true(conn_keep(&conn, span_make(bytes, BUF_BYTES - 10)));
	assert_int_equal(conn_write(&conn, span_make(bytes, 11)), CONN_AGAIN);
	assert_int_equal(buf_raw_len(conn.out), BUF_BYTES - 10);
	assert_int_equal(conn_write(&conn, span_make(bytes, 10)), CONN_OK);
	assert_false(conn_keep(&conn, span_make(bytes, 1)));
	assert_true(conn_keep(&conn, SPAN_NONE));
	/* Room that was sent is used again. */
	conn.out->raw += 100;
	assert_true(conn_keep(&conn, span_make(bytes, 100)));
	assert_false(conn_keep(&conn, span_make(bytes, 1)));
	end(peer);
}

static void
broken_pipe(void **state)
{
	int peer = open_pair();
	struct iovec piece = {bytes, 1};
	size_t sent;

	(void)state;
	close(peer);
	assert_int_equal(conn_send(&conn, &piece, 1, &sent), CONN_ERROR);
	assert_int_equal(conn.error, EPIPE);
	end(-1);
}

/* ---- connecting, ending ---- */

static void
connects(void **state)
{
	int peer = open_tcp();
	char got[2];

	(void)state;
	assert_int_equal(conn_connected(&conn), CONN_OK);
	assert_int_equal(conn_write(&conn, SPAN("hi")), CONN_OK);
	drain(peer, got, 2);
	end(peer);
}

static void
refused(void **state)
{
	struct sockaddr_in at;
	enum conn_io io;

	(void)state;
	close(listen_tcp(&at));
	io = connect_to(&at);
	if (io == CONN_AGAIN) {
		TURN_UNTIL((io = conn_connected(&conn)) != CONN_AGAIN);
		assert_true(ready > 0);
	}
	assert_int_equal(io, CONN_ERROR);
	assert_int_equal(conn.error, ECONNREFUSED);
	end(-1);
}

static void
refused_at_once(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	(void)state;
	(void)snprintf(
	    at.sun_path, sizeof(at.sun_path), "/nonexistent/evenkeel");
	assert_int_equal(conn_connect(&conn, loop, (struct sockaddr *)&at,
			     sizeof(at), &ops, bytes),
	    CONN_ERROR);
	assert_int_equal(conn.error, ENOENT);
	assert_false(conn_is_open(&conn));
	conn_close(&conn);
}

/* Each side ends by itself: who has said all still hears. */
static void
half_close(void **state)
{
	int peer = open_tcp();
	char got[8];
	size_t n;

	(void)state;
	assert_int_equal(conn_write(&conn, SPAN("request")), CONN_OK);
	conn_shutdown(&conn);
	drain(peer, got, 7);
	TURN_UNTIL(recv(peer, got, 1, MSG_DONTWAIT) == 0);
	say(peer, "answer");
	TURN_UNTIL(conn.readable);
	assert_false(conn.eof);
	assert_int_equal(take(100, &n), CONN_OK);
	assert_int_equal(n, 6);
	shutdown(peer, SHUT_WR);
	TURN_UNTIL(conn.eof);
	assert_int_equal(take(100, &n), CONN_EOF);
	end(peer);
}

static void
resets(void **state)
{
	int peer = open_tcp();
	char got[8];
	ssize_t n = 0;

	(void)state;
	conn_reset(&conn);
	conn_reset(&conn);
	TURN_UNTIL(
	    (n = recv(peer, got, 1, MSG_DONTWAIT)) >= 0 || errno != EAGAIN);
	assert_int_equal(n, -1);
	assert_int_equal(errno, ECONNRESET);
	end(peer);
}

/* Called again before the next poll; not after the end. */
static void
once_more(void **state)
{
	int peer = open_pair();

	(void)state;
	turn_once();
	turn_once();
	ready = 0;
	conn_again(&conn);
	conn_again(&conn);
	turn_once();
	assert_int_equal(ready, 1);
	conn_again(&conn);
	end(peer);
	turn_once();
	assert_int_equal(ready, 1);
}

#define LOOPED(test) \
	cmocka_unit_test_setup_teardown(test, open_loop, close_loop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    LOOPED(nothing_is_read_unasked),
	    LOOPED(short_reads),
	    LOOPED(end_behind_bytes),
	    LOOPED(reset_behind_bytes),
	    LOOPED(fill_and_release),
	    LOOPED(a_kept_head_is_not_released),
	    LOOPED(pieces_go_in_order),
	    LOOPED(full_socket),
	    LOOPED(keep_and_flush),
	    LOOPED(keeping_has_an_end),
	    LOOPED(broken_pipe),
	    LOOPED(connects),
	    LOOPED(refused),
	    LOOPED(refused_at_once),
	    LOOPED(half_close),
	    LOOPED(resets),
	    LOOPED(once_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
