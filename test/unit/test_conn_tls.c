/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "socket_pair.h"
#include "evenkeel/net/conn_tls.h"
#include "evenkeel/net/tls.h"
#include "evenkeel/net/tls_io.h"
#include "loop_until.h"

/* `conn` is the server's side of a unix stream; the peer is OpenSSL alone, on
 * the other end, in the same thread: each step is made when a test says so. */

#define BULK       (3U << 20)
#define TEST(test) cmocka_unit_test_setup_teardown(test, open_loop, end_loop)

static char folder[] = "/tmp/test_conn_tls.XXXXXX";
static char certificate[64], key[64];
static struct tls_space *space;
static struct tls_tickets *tickets;
static struct tls_server *server;
static struct conn conn;
static SSL_CTX *peer_context;
static SSL *peer;
static int peer_fd;
static char bytes[BULK], more[BULK];

static void
on_ready(struct conn *c, void *arg)
{
	(void)c;
	(void)arg;
}

static const struct conn_ops ops = {.on_ready = on_ready};

static void
tell(const char *k, size_t index, const char *reason, void *arg)
{
	(void)arg;
	fail_msg("%s %zu: %s", k, index, reason);
}

static void
make_certificate(void)
{
	EVP_PKEY *pair = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	FILE *f;

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 90 * 24 * 3600L);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
	    (const unsigned char *)"lb.test", -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_set_pubkey(x, pair);
	assert_true(X509_sign(x, pair, EVP_sha256()) > 0);
	f = fopen(certificate, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, x), 1);
	fclose(f);
	umask(077);
	f = fopen(key, "w");
	assert_non_null(f);
	assert_int_equal(
	    PEM_write_PrivateKey(f, pair, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
	X509_free(x);
	EVP_PKEY_free(pair);
}

static int
set_up_all(void **state)
{
	const struct tls_pair pair = {.certificate = certificate, .key = key};
	const struct tls_teller teller = {.error = tell};
	struct tls_server_terms terms = {.name = "main",
	    .pairs = &pair,
	    .n_pairs = 1,
	    .ciphers = "",
	    .ciphersuites = "",
	    .client_ca = "",
	    .ticket_keys = ""};

	(void)state;
	tls_init();
	assert_non_null(mkdtemp(folder));
	snprintf(certificate, sizeof(certificate), "%s/c.pem", folder);
	snprintf(key, sizeof(key), "%s/k.pem", folder);
	make_certificate();
	space = tls_space_create();
	tickets = tls_tickets_create();
	terms.tickets = tickets;
	assert_true(tls_servers_create(&server, &space, 1, &terms, &teller));
	peer_context = SSL_CTX_new(TLS_client_method());
	return peer_context == NULL;
}

static int
tear_down_all(void **state)
{
	(void)state;
	SSL_CTX_free(peer_context);
	tls_server_release(server);
	tls_tickets_free(tickets);
	tls_space_free(space);
	unlink(certificate);
	unlink(key);
	return rmdir(folder);
}

/* The thread's part keeps a buffer. */
static int
end_loop(void **state)
{
	tls_io_free(loop->tls);
	loop->tls = NULL;
	return close_loop(state);
}

/* ---- the two sides ---- */

static void
open_pair(void)
{
	int fds[2];

	socket_pair(fds);
	peer_fd = fds[1];
	assert_true(conn_open(&conn, loop, fds[0], &ops, NULL));
	peer = SSL_new(peer_context);
	SSL_set_fd(peer, peer_fd);
	SSL_set_connect_state(peer);
	SSL_set_mode(peer,
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static void
close_pair(void)
{
	conn_close(&conn);
	SSL_free(peer);
	close(peer_fd);
	loop_bury_all(loop);
}

/* The loop reports what has come; here it is just tried. */
static void
look(void)
{
	conn.readable = conn.writable = true;
}

/* True: both are through. */
static bool
step_handshake(enum conn_io *io)
{
	int done = SSL_do_handshake(peer);

	look();
	*io = conn_handshake(&conn);
	return done == 1 && *io == CONN_OK;
}

static void
open_tls(void)
{
	enum conn_io io;
	int i;

	open_pair();
	assert_true(conn_secure_server(&conn, server));
	for (i = 0; i < 10 && !step_handshake(&io); i++)
		assert_int_not_equal(io, CONN_ERROR);
	assert_true(i < 10);
}

static void
peer_says(const char *text)
{
	int n = (int)strlen(text);

	assert_int_equal(SSL_write(peer, text, n), n);
}

static void
peer_reads(const char *text)
{
	int n = SSL_read(peer, bytes, sizeof(bytes));

	assert_int_equal(n, (int)strlen(text));
	assert_memory_equal(bytes, text, strlen(text));
}

static enum conn_io
reads(size_t *got)
{
	look();
	return conn_recv(&conn, more, sizeof(more), got);
}

static void
sends(const char *text)
{
	const struct iovec piece = {(void *)(uintptr_t)text, strlen(text)};
	size_t sent;

	assert_int_equal(conn_send(&conn, &piece, 1, &sent), CONN_OK);
	assert_int_equal(sent, strlen(text));
}

static void
fill_bytes(void)
{
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 131 + i / 251);
}

/* ---- tests ---- */

static void
test_says_and_hears(void **state)
{
	size_t got;

	(void)state;
	open_tls();
	peer_says("hello");
	assert_int_equal(reads(&got), CONN_OK);
	assert_int_equal(got, 5);
	assert_memory_equal(more, "hello", 5);
	/* All that came is used: nobody asks the socket again, but for a reset
	 * that hides. */
	assert_false(conn.readable);
	assert_true(conn.unsure);
	assert_int_equal(conn.bytes_in, 5);
	assert_int_equal(reads(&got), CONN_AGAIN);
	sends("world");
	peer_reads("world");
	assert_int_equal(conn.bytes_out, 5);
	assert_true(conn_wire_out(&conn) > 5);
	close_pair();
}

static void
test_pieces_become_one_record(void **state)
{
	const struct iovec pieces[] = {{(void *)(uintptr_t) "head ", 5},
	    {(void *)(uintptr_t) "", 0}, {(void *)(uintptr_t) "body ", 5},
	    {(void *)(uintptr_t) "tail", 4}};
	size_t sent;

	(void)state;
	open_tls();
	assert_int_equal(conn_send(&conn, pieces, 4, &sent), CONN_OK);
	assert_int_equal(sent, 14);
	peer_reads("head body tail");
	close_pair();
}

/* The moment is over for which a ticket waits for company. */
static void
ticket_goes(void)
{
	struct alarm *due = loop->alarms.first;

	if (due != NULL)
		due->expired(due);
	assert_null(loop->alarms.first);
}

/* How many records wait for the peer, whole ones all of them. */
static unsigned
records_waiting(void)
{
	ssize_t n = recv(peer_fd, more, sizeof(more), MSG_PEEK | MSG_DONTWAIT);
	ssize_t off = 0;
	unsigned found = 0;

	for (; off < n; found++)
		off += 5 +
		    ((unsigned char)more[off + 3] << 8 |
			(unsigned char)more[off + 4]);
	assert_true(n < 0 || off == n);
	return found;
}

/* What the next records on the wire carry (TLS 1.3: and a type and a tag), up
 * to `max` of them; the peer gets none of it. */
static int
records_of(const struct iovec *pieces, int n, size_t *size, int max)
{
	size_t off = 0, sent = 0, len;
	int found = 0;
	ssize_t got;

	ticket_goes();
	(void)!SSL_read(peer, more, 1);
	assert_int_equal(conn_send(&conn, pieces, n, &sent), CONN_OK);
	got = read(peer_fd, more, sizeof(more));
	for (; found < max && (ssize_t)off < got; off += 5 + len) {
		assert_int_equal(more[off], 23);
		len = (size_t)(unsigned char)more[off + 3] << 8 |
		    (unsigned char)more[off + 4];
		size[found++] = len - 17;
		sent -= len - 17;
	}
	assert_int_equal(off, got);
	assert_int_equal(sent, 0);
	return found;
}

/* Of 100 KB, of which the first are a head. */
static void
assert_records(size_t first_large)
{
	const struct iovec pieces[] = {{bytes, 200}, {bytes + 200, 100000}};
	size_t size[64];
	int n = records_of(pieces, 2, size, 64), i = 0;
	size_t at = 0;

	for (; i < n && at < first_large; at += size[i++])
		assert_int_equal(size[i], 1300);
	assert_int_equal(at, first_large);
	/* The last one has what is left. */
	for (; i < n - 1; i++)
		assert_true(size[i] > 4 * 1300);
}

static void
test_records_are_small_after_silence(void **state)
{
	const size_t some = 12UL * 1300;

	(void)state;
	loop->now_us = 5000000;
	open_tls();
	assert_records(some);
	loop->now_us += 999999;
	assert_records(0);
	loop->now_us += 1000000;
	assert_records(some);
	assert_records(0);
	close_pair();
	loop->now_us = 0;
}

/* As to a backend, which is near. */
static void
test_a_client_begins_with_large_records(void **state)
{
	(void)state;
	open_tls();
	conn.tls->server = false;
	assert_records(0);
	close_pair();
}

/* Someone who reads slowly has not been silent. */
static void
test_what_waits_is_no_silence(void **state)
{
	(void)state;
	loop->now_us = 5000000;
	open_tls();
	assert_records(12UL * 1300);
	assert_true(conn_keep(&conn, SPAN("rest")));
	loop->now_us += 1500000;
	assert_int_equal(conn_flush(&conn), CONN_OK);
	assert_true(read(peer_fd, more, sizeof(more)) > 4);
	loop->now_us += 500000;
	assert_records(0);
	close_pair();
	loop->now_us = 0;
}

/* A slow reader: what the socket does not take waits, sealed, and comes in
 * order. */
static void
test_bulk_out(void **state)
{
	size_t off = 0, seen = 0, sent;
	bool waited = false;

	(void)state;
	fill_bytes();
	open_tls();
	while (seen < BULK) {
		const struct iovec pieces[] = {{bytes + off, (BULK - off) / 3},
		    {bytes + off + (BULK - off) / 3,
			BULK - off - (BULK - off) / 3}};
		int n;

		conn.writable = true;
		if (off < BULK && conn_out_empty(&conn)) {
			assert_int_equal(
			    conn_send(&conn, pieces, 2, &sent), CONN_OK);
			off += sent;
		} else if (!conn_out_empty(&conn)) {
			waited = true;
			assert_int_not_equal(conn_flush(&conn), CONN_ERROR);
		}
		n = SSL_read(peer, more + seen, 30000);
		if (n > 0)
			seen += (size_t)n;
	}
	assert_true(waited);
	assert_int_equal(off, BULK);
	assert_memory_equal(bytes, more, BULK);
	assert_true(conn_out_empty(&conn));
	assert_int_equal(conn.bytes_out, BULK);
	close_pair();
}

static void
test_bulk_in(void **state)
{
	size_t off = 0, seen = 0, got;

	(void)state;
	fill_bytes();
	open_tls();
	while (seen < BULK) {
		int n = off < BULK
		    ? SSL_write(peer, bytes + off, (int)(BULK - off))
		    : 0;

		if (n > 0)
			off += (size_t)n;
		look();
		if (conn_recv(&conn, more + seen,
			BULK - seen < 70000 ? BULK - seen : 70000,
			&got) == CONN_OK)
			seen += got;
	}
	assert_memory_equal(bytes, more, BULK);
	close_pair();
}

/* Flags: a full buffer leaves `readable` set, and what OpenSSL has counts. */
static void
test_what_is_pending_is_readable(void **state)
{
	size_t got;

	(void)state;
	open_tls();
	peer_says("0123456789");
	look();
	assert_int_equal(conn_recv(&conn, more, 4, &got), CONN_OK);
	assert_int_equal(got, 4);
	assert_true(conn.readable);
	assert_int_equal(conn_recv(&conn, more, 4, &got), CONN_OK);
	assert_true(conn.readable);
	assert_int_equal(conn_recv(&conn, more, 4, &got), CONN_OK);
	assert_int_equal(got, 2);
	assert_false(conn.readable);
	close_pair();
}

static void
test_kept_bytes_go_out_in_order(void **state)
{
	(void)state;
	open_tls();
	assert_true(conn_keep(&conn, SPAN("one ")));
	assert_true(conn_keep(&conn, SPAN("two ")));
	assert_false(conn_out_empty(&conn));
	assert_int_equal(conn.bytes_out, 8);
	assert_true(conn_unsent(&conn) > 8);
	assert_int_equal(conn_flush(&conn), CONN_OK);
	sends("three");
	peer_reads("one ");
	peer_reads("two ");
	peer_reads("three");
	close_pair();
}

static void
test_an_orderly_end(void **state)
{
	size_t got;

	(void)state;
	open_tls();
	peer_says("last");
	SSL_shutdown(peer);
	assert_int_equal(reads(&got), CONN_OK);
	assert_int_equal(got, 4);
	assert_int_equal(reads(&got), CONN_EOF);
	assert_false(conn.cut);
	/* It can still be answered. */
	sends("yes");
	peer_reads("yes");
	conn_shutdown(&conn);
	assert_int_equal(SSL_read(peer, bytes, 1), 0);
	assert_int_equal(SSL_get_error(peer, 0), SSL_ERROR_ZERO_RETURN);
	close_pair();
}

static void
test_an_end_that_was_cut(void **state)
{
	size_t got;

	(void)state;
	open_tls();
	peer_says("last");
	shutdown(peer_fd, SHUT_WR);
	assert_int_equal(reads(&got), CONN_OK);
	assert_int_equal(got, 4);
	assert_int_equal(reads(&got), CONN_EOF);
	assert_true(conn.cut);
	sends("yes");
	peer_reads("yes");
	close_pair();
}

static void
test_closing_says_so(void **state)
{
	(void)state;
	open_tls();
	conn_close(&conn);
	assert_int_equal(SSL_read(peer, bytes, 1), 0);
	assert_int_equal(SSL_get_error(peer, 0), SSL_ERROR_ZERO_RETURN);
	close_pair();
}

static void
test_fin_waits_for_what_is_kept(void **state)
{
	(void)state;
	open_tls();
	assert_true(conn_keep(&conn, SPAN("rest")));
	conn_shutdown(&conn);
	assert_true(conn.fin);
	assert_int_equal(conn_flush(&conn), CONN_OK);
	peer_reads("rest");
	assert_int_equal(SSL_read(peer, bytes, 1), 0);
	assert_int_equal(SSL_get_error(peer, 0), SSL_ERROR_ZERO_RETURN);
	assert_int_equal(read(peer_fd, bytes, 1), 0);
	close_pair();
}

static void
test_http_is_told_apart(void **state)
{
	static const char http[] = "GET / HTTP/1.1\r\n\r\n";

	(void)state;
	open_pair();
	assert_true(conn_secure_server(&conn, server));
	look();
	assert_int_equal(conn_handshake(&conn), CONN_AGAIN);
	assert_int_equal(
	    write(peer_fd, http, sizeof(http) - 1), sizeof(http) - 1);
	look();
	assert_int_equal(conn_handshake(&conn), CONN_ERROR);
	assert_false(conn_is_secure(&conn));
	assert_non_null(conn.in);
	assert_int_equal(buf_raw_len(conn.in), sizeof(http) - 1);
	assert_memory_equal(buf_raw(conn.in), http, sizeof(http) - 1);
	assert_int_equal(conn.bytes_in, sizeof(http) - 1);
	sends("HTTP/1.1 400 ");
	assert_int_equal(read(peer_fd, bytes, 100), 13);
	close_pair();
}

static void
test_garbage(void **state)
{
	(void)state;
	open_pair();
	assert_true(conn_secure_server(&conn, server));
	assert_int_equal(write(peer_fd,
			     "\x16\x03\x01\x00\x05"
			     "zzzzz",
			     10),
	    10);
	look();
	assert_int_equal(conn_handshake(&conn), CONN_ERROR);
	assert_int_equal(conn.error, EPROTO);
	assert_true(strlen(conn_why(&conn)) > 0);
	/* An alert tells the peer. */
	assert_int_equal(read(peer_fd, bytes, 100), 7);
	assert_int_equal(bytes[0], 21);
	conn_unsecure(&conn);
	assert_false(conn_is_secure(&conn));
	close_pair();
}

static void
test_a_damaged_record(void **state)
{
	size_t got;

	(void)state;
	open_tls();
	assert_int_equal(write(peer_fd,
			     "\x17\x03\x03\x00\x14"
			     "zzzzzzzzzzzzzzzzzzzz",
			     25),
	    25);
	assert_int_equal(reads(&got), CONN_ERROR);
	assert_int_equal(conn.error, EPROTO);
	assert_int_equal(reads(&got), CONN_ERROR);
	close_pair();
}

/* What was read before TLS began is its beginning. */
static void
test_bytes_that_came_early(void **state)
{
	enum conn_io io = CONN_AGAIN;

	(void)state;
	open_pair();
	SSL_do_handshake(peer);
	look();
	assert_int_equal(conn_fill(&conn), CONN_OK);
	assert_true(buf_raw_len(conn.in) > 100);
	assert_true(conn_secure_server(&conn, server));
	assert_null(conn.in);
	for (int i = 0; i < 10 && !step_handshake(&io); i++)
		assert_int_not_equal(io, CONN_ERROR);
	assert_int_equal(io, CONN_OK);
	close_pair();
}

static void
test_peer_leaves(void **state)
{
	(void)state;
	open_pair();
	assert_true(conn_secure_server(&conn, server));
	SSL_do_handshake(peer);
	look();
	assert_int_equal(conn_handshake(&conn), CONN_AGAIN);
	shutdown(peer_fd, SHUT_RDWR);
	look();
	assert_int_equal(conn_handshake(&conn), CONN_EOF);
	close_pair();
}

/* Whoever has us answer and does not read is cut off. */
static void
test_key_updates_without_end(void **state)
{
	enum conn_io io = CONN_AGAIN;
	size_t got;
	int i;

	(void)state;
	open_tls();
	/* Nearly all that may wait; each round takes a little of the rest. */
	while (conn_keep(&conn, span_make(bytes, 1000)))
		assert_true(buf_raw_len(conn.out) <= TLS_WAITING_BYTES);
	assert_true(buf_raw_len(conn.out) > TLS_WAITING_BYTES / 2);
	for (i = 0; i < 1000 && io != CONN_ERROR; i++) {
		assert_int_equal(
		    SSL_key_update(peer, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(peer), 1);
		look();
		conn.writable = false;
		io = conn_recv(&conn, more, sizeof(more), &got);
		assert_true(buf_raw_len(conn.out) <= TLS_WAITING_BYTES);
	}
	assert_int_equal(io, CONN_ERROR);
	assert_int_equal(conn.error, ENOBUFS);
	assert_true(i > 1);
	close_pair();
}

static void
test_a_ticket_goes_with_what_comes_next(void **state)
{
	(void)state;
	open_tls();
	assert_int_equal(records_waiting(), 0);
	assert_true(conn_out_empty(&conn));
	sends("x");
	assert_int_equal(records_waiting(), 2);
	peer_reads("x");
	ticket_goes();
	assert_int_equal(records_waiting(), 0);
	sends("y");
	assert_int_equal(records_waiting(), 1);
	peer_reads("y");
	close_pair();
}

static void
test_a_ticket_goes_alone(void **state)
{
	(void)state;
	open_tls();
	TURN_UNTIL(records_waiting() == 1);
	assert_null(loop->alarms.first);
	sends("x");
	assert_int_equal(records_waiting(), 2);
	peer_reads("x");
	close_pair();
}

/* It waits where all does that a socket does not take. */
static void
test_a_ticket_for_a_slow_reader(void **state)
{
	(void)state;
	open_tls();
	conn.writable = false;
	ticket_goes();
	assert_false(conn_out_empty(&conn));
	assert_true(conn_keep(&conn, SPAN("x")));
	assert_int_equal(records_waiting(), 0);
	look();
	assert_int_equal(conn_flush(&conn), CONN_OK);
	assert_int_equal(records_waiting(), 2);
	peer_reads("x");
	close_pair();
}

/* What is kept has it in front; there is room for both, or a larger buffer. */
static void
test_a_ticket_and_kept_bytes(void **state)
{
	size_t room;

	(void)state;
	open_tls();
	assert_true(conn_keep(&conn, SPAN("x")));
	room = conn.out->cap;
	close_pair();
	for (size_t len = room - 600; len < room; len += 100) {
		size_t got = 0;

		open_tls();
		assert_true(conn_keep(&conn, span_make(bytes, len)));
		assert_int_equal(conn_flush(&conn), CONN_OK);
		while (got < len) {
			int n = SSL_read(peer, more, sizeof(more));

			assert_true(n > 0);
			got += (size_t)n;
		}
		close_pair();
	}
}

static void
test_a_ticket_before_the_end(void **state)
{
	(void)state;
	open_tls();
	conn_close(&conn);
	assert_int_equal(records_waiting(), 2);
	assert_int_equal(SSL_read(peer, more, 1), 0);
	assert_int_equal(SSL_get_error(peer, 0), SSL_ERROR_ZERO_RETURN);
	close_pair();
}

static void
test_a_ticket_for_nobody(void **state)
{
	const struct iovec piece = {bytes, 1};
	size_t sent;

	(void)state;
	open_tls();
	shutdown(peer_fd, SHUT_RDWR);
	ticket_goes();
	assert_int_equal(conn_send(&conn, &piece, 1, &sent), CONN_ERROR);
	assert_int_equal(conn.error, EPIPE);
	assert_int_equal(sent, 0);
	close_pair();
}

static void
test_nothing_is_spliced(void **state)
{
	struct pipe p = {.cap = 4096};
	size_t got;

	(void)state;
	open_tls();
	assert_int_equal(conn_splice_in(&conn, &p, 1, &got), CONN_ERROR);
	assert_int_equal(conn.error, EINVAL);
	close_pair();
}

static void
test_idle_owns_no_buffer(void **state)
{
	uint32_t lent;
	size_t got;

	(void)state;
	open_tls();
	peer_says("x");
	assert_int_equal(reads(&got), CONN_OK);
	sends("y");
	lent = loop->bufs.n_lent;
	/* The thread's own one, where records gather. */
	assert_true(lent <= 1);
	close_pair();
}

/* What was sealed for one is nothing for those that come after it, however it
 * ends. */
static void
assert_nothing_sealed(void)
{
	const struct buf *stage = loop->tls->stage;

	assert_true(stage == NULL || buf_raw_len(stage) == 0);
}

/* An error of somebody else's call is not one of this connection. */
static void
test_errors_of_others(void **state)
{
	size_t got;

	(void)state;
	open_tls();
	ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
	assert_int_equal(reads(&got), CONN_AGAIN);
	peer_says("x");
	assert_int_equal(reads(&got), CONN_OK);
	close_pair();
}

static void
test_hello_and_end(void **state)
{
	(void)state;
	open_pair();
	assert_true(conn_secure_server(&conn, server));
	SSL_do_handshake(peer);
	shutdown(peer_fd, SHUT_WR);
	look();
	assert_int_equal(conn_handshake(&conn), CONN_EOF);
	assert_nothing_sealed();
	conn_reset(&conn);
	close_pair();
	/* The next one gets what is its own. */
	open_tls();
	sends("hello");
	peer_reads("hello");
	close_pair();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_says_and_hears),
	    TEST(test_pieces_become_one_record),
	    TEST(test_records_are_small_after_silence),
	    TEST(test_a_client_begins_with_large_records),
	    TEST(test_what_waits_is_no_silence),
	    TEST(test_bulk_out),
	    TEST(test_bulk_in),
	    TEST(test_what_is_pending_is_readable),
	    TEST(test_kept_bytes_go_out_in_order),
	    TEST(test_an_orderly_end),
	    TEST(test_an_end_that_was_cut),
	    TEST(test_closing_says_so),
	    TEST(test_fin_waits_for_what_is_kept),
	    TEST(test_http_is_told_apart),
	    TEST(test_garbage),
	    TEST(test_a_damaged_record),
	    TEST(test_bytes_that_came_early),
	    TEST(test_peer_leaves),
	    TEST(test_errors_of_others),
	    TEST(test_hello_and_end),
	    TEST(test_key_updates_without_end),
	    TEST(test_a_ticket_goes_with_what_comes_next),
	    TEST(test_a_ticket_goes_alone),
	    TEST(test_a_ticket_for_a_slow_reader),
	    TEST(test_a_ticket_and_kept_bytes),
	    TEST(test_a_ticket_before_the_end),
	    TEST(test_a_ticket_for_nobody),
	    TEST(test_nothing_is_spliced),
	    TEST(test_idle_owns_no_buffer),
	};

	return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
