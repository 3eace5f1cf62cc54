#include "evenkeel/net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>

#include "evenkeel/base/num.h"
#include "evenkeel/net/tls_io.h"

/* A connection begins with bursts of one record; each that the socket takes
 * whole doubles it. */
#define BURST_MIN TLS_RECORD_BYTES
#define BURST_MAX (4 * TLS_RECORD_BYTES)
/* A peer can use nothing of a record before it has all of it, and TCP's first
 * flight is less than a large one.  So after silence a server begins with
 * records that fit a segment; a response of 1 KB is one of them anyway. */
#define SMALL_RECORD  1300U
#define SMALL_RECORDS 12U
#define SILENCE_US    1000000U
/* Reads of the socket for a call: those its result may need, and some for
 * records that carry nothing. */
#define READS_SPARE 4U

struct tls *
tls_create(struct conn *c, struct ssl_st *ssl)
{
	struct tls *t = calloc(1, sizeof(*t));

	if (t != NULL)
		t->io = tls_io_of(c->loop);
	if (t == NULL || t->io == NULL) {
		SSL_free(ssl);
		free(t);
		return NULL;
	}
	t->ssl = ssl;
	t->conn = c;
	t->why = "";
	t->burst = BURST_MIN;
	t->server = SSL_is_server(ssl);
	BIO_up_ref(t->io->bio);
	SSL_set_bio(ssl, t->io->bio, t->io->bio);
	/* What came early is the beginning of the handshake. */
	if (c->in != NULL && buf_raw_len(c->in) > 0) {
		t->early = c->in;
		c->in = NULL;
	}
	conn_release_in(c);
	return t;
}

void
tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	t->io->now = t;
	tls_io_unpark(t);
	SSL_free(t->ssl);
	buf_put(&t->conn->loop->bufs, t->early);
	free(t);
}

/* Before each call. */
static void
enter(struct tls *t, size_t len)
{
	t->io->now = t;
	t->moved = t->drained = t->lull = false;
	t->held_back = false;
	/* What another one left would be taken for its end. */
	if (ERR_peek_error() != 0)
		ERR_clear_error();
	t->reads = READS_SPARE + (uint32_t)(len / (TLS_RECORD_BYTES / 2));
}

static enum conn_io
failed(struct tls *t, int error)
{
	t->conn->error = error;
	return CONN_ERROR;
}

/* TLS itself has failed; the alert that says so goes out if it can. */
static enum conn_io
broke(struct tls *t)
{
	t->failed = true;
	t->refused = tls_failure_is_refusal();
	t->why = tls_failure_text(t->ssl);
	(void)!tls_io_push(t);
	return failed(t, EPROTO);
}

/* The peer's end, in order or not. */
static enum conn_io
end(struct tls *t)
{
	struct conn *c = t->conn;

	c->cut = t->ended;
	c->eof = c->eof_read = true;
	c->readable = false;
	return CONN_EOF;
}

/* Nothing more for now. */
static enum conn_io
wait(struct tls *t)
{
	struct conn *c = t->conn;
	enum conn_io io = tls_io_push(t);

	if (io != CONN_OK)
		return io;
	/* Somebody keeps us busy with records that carry nothing: the others
	 * come first. */
	c->readable = t->held_back;
	if (t->held_back)
		conn_again(c);
	return CONN_AGAIN;
}

/* What a call that moved nothing means.  It may have sealed something before it
 * failed, and that is nothing for the next one to send. */
static enum conn_io
judge(struct tls *t, int result)
{
	int what = SSL_get_error(t->ssl, result);

	if (what == SSL_ERROR_WANT_READ)
		return wait(t);
	(void)!tls_io_push(t);
	if (what == SSL_ERROR_ZERO_RETURN)
		return end(t);
	if (what == SSL_ERROR_SYSCALL)
		ERR_clear_error();
	if (t->error != 0)
		return failed(t, t->error);
	return what == SSL_ERROR_SYSCALL && t->ended ? end(t) : broke(t);
}

/* ---- handshake ---- */

/* It spoke HTTP: the connection is a plain one. */
static enum conn_io
demote(struct tls *t)
{
	struct conn *c = t->conn;

	ERR_clear_error();
	c->readable = !t->lull;
	c->unsure = t->lull;
	c->bytes_in = t->wire_in;
	c->error = EPROTO;
	if (t->io->stage != NULL)
		t->io->stage->raw = t->io->stage->end = 0;
	c->tls = NULL;
	tls_free(t);
	return CONN_ERROR;
}

/* What TLS 1.3 has left to say is a ticket.  With the first response that is a
 * call and a packet less. */
static bool
only_a_ticket(const struct tls *t)
{
	return t->server && SSL_version(t->ssl) == TLS1_3_VERSION;
}

enum conn_io
tls_handshake(struct conn *c)
{
	struct tls *t = c->tls;
	int result;

	if (t->established)
		return CONN_OK;
	if (t->failed)
		return failed(t, EPROTO);
	if (c->out != NULL && conn_flush(c) == CONN_ERROR)
		return CONN_ERROR;
	enter(t, 0);
	c->unsure = false;
	result = SSL_do_handshake(t->ssl);
	if (result != 1)
		return t->plain ? demote(t) : judge(t, result);
	ERR_clear_error();
	t->established = true;
	c->readable = !t->lull || SSL_has_pending(t->ssl);
	c->unsure = !c->readable;
	return only_a_ticket(t) ? tls_io_park(t) : tls_io_push(t);
}

/* ---- reading ---- */

/* What stopped a call that has moved something.  An end or an error is told by
 * the next one. */
static void
look_ahead(struct tls *t, int result)
{
	struct conn *c = t->conn;

	switch (judge(t, result)) {
	case CONN_AGAIN:
		break;
	case CONN_EOF:
		c->eof_read = false;
		c->readable = true;
		break;
	case CONN_OK:
	case CONN_ERROR:
		c->readable = true;
		break;
	}
}

enum conn_io
tls_recv(struct conn *c, void *p, size_t len, size_t *got)
{
	struct tls *t = c->tls;
	int result = 1;
	size_t n;

	*got = 0;
	if (c->eof_read)
		return CONN_EOF;
	if (t->failed || t->error != 0)
		return failed(t, t->failed ? EPROTO : t->error);
	if (!c->readable && !c->unsure)
		return CONN_AGAIN;
	c->unsure = false;
	enter(t, len);
	while (*got < len) {
		result = SSL_read_ex(t->ssl, (char *)p + *got, len - *got, &n);
		if (result != 1)
			break;
		*got += n;
		t->moved = true;
		/* All that came is used, so nothing is asked for again. */
		if (t->drained && !SSL_has_pending(t->ssl))
			break;
	}
	if (*got == 0)
		return judge(t, result);
	c->bytes_in += *got;
	(void)!tls_io_push(t);
	if (result != 1)
		look_ahead(t, result);
	/* What OpenSSL has is not reported by the socket. */
	else
		c->readable = !t->drained || SSL_has_pending(t->ssl);
	c->unsure = !c->readable;
	return CONN_OK;
}

/* ---- writing ---- */

/* Where it has come to in a list of pieces. */
struct cursor {
	const struct iovec *piece, *end;
	size_t off;
};

static bool
at_end(const struct cursor *at)
{
	return at->piece == at->end;
}

static void
advance(struct cursor *at, size_t n)
{
	at->off += n;
	while (at->piece < at->end && at->off >= at->piece->iov_len) {
		at->off -= at->piece->iov_len;
		at->piece++;
	}
}

/* The next bytes for one or more records: those of a piece as they lie, unless
 * they would make a small record with others behind them. */
static struct span
next_bytes(struct tls_io *io, const struct cursor *from, size_t most)
{
	struct cursor at = *from;
	size_t rest = at.piece->iov_len - at.off, len = 0;
	size_t record = num_min_size(most, TLS_RECORD_BYTES);
	const char *p = (const char *)at.piece->iov_base + at.off;

	if (rest >= record || at.piece + 1 == at.end)
		return span_make(p, num_min_size(rest, most));
	most = record;
	while (!at_end(&at) && len < most) {
		size_t n = num_min_size(at.piece->iov_len - at.off, most - len);

		memcpy(io->record + len,
		    (const char *)at.piece->iov_base + at.off, n);
		len += n;
		advance(&at, n);
	}
	return span_make(io->record, len);
}

/* Whether what goes now is the first for a while. */
static void
note_silence(struct tls *t)
{
	uint64_t now_us = loop_now_us(t->conn->loop);

	if (t->server && now_us - t->sent_us >= SILENCE_US)
		t->small = SMALL_RECORDS;
	t->sent_us = now_us;
}

/* How much may be sealed so that its records fit the stage. */
static size_t
burst_of(const struct tls *t)
{
	uint32_t record = t->small > 0 ? SMALL_RECORD : TLS_RECORD_BYTES;
	uint32_t most = t->small > 0 ? t->small * SMALL_RECORD : t->burst;
	uint32_t whole = record + TLS_RECORD_EXTRA;
	uint32_t room = tls_io_room(t->io, 2 * BURST_MAX);

	if (room < whole)
		return room > TLS_RECORD_EXTRA ? room - TLS_RECORD_EXTRA : 0;
	return num_min_u64(most, room / whole * record);
}

/* Seals up to `most` bytes into the stage, `step` or fewer at a time.  False:
 * TLS has failed. */
static bool
seal(struct tls *t, struct cursor *at, size_t most, size_t step, size_t *sealed)
{
	size_t n;

	*sealed = 0;
	while (!at_end(at) && *sealed < most) {
		struct span bytes =
		    next_bytes(t->io, at, num_min_size(step, most - *sealed));

		if (SSL_write_ex(t->ssl, bytes.ptr, bytes.len, &n) != 1)
			return false;
		*sealed += n;
		advance(at, n);
	}
	return true;
}

/* For want of memory, or TLS's own reasons. */
static enum conn_io
seal_failed(struct tls *t)
{
	if (t->send_error == 0)
		return broke(t);
	(void)!tls_io_push(t); /* drops it */
	return failed(t, t->send_error);
}

enum conn_io
tls_send(struct conn *c, const struct iovec *piece, int n, size_t *sent)
{
	struct tls *t = c->tls;
	struct cursor at = {.piece = piece, .end = piece + n};
	enum conn_io io = CONN_OK;
	size_t sealed;

	*sent = 0;
	if (t->failed || t->send_error != 0)
		return failed(t, t->failed ? EPROTO : t->send_error);
	if (c->out != NULL)
		io = conn_flush(c);
	if (io != CONN_OK || !c->writable)
		return io == CONN_OK ? CONN_AGAIN : io;
	advance(&at, 0);
	enter(t, 0);
	note_silence(t);
	/* Ends: each round seals at least a byte. */
	while (!at_end(&at) && c->writable) {
		size_t most = burst_of(t);
		size_t step = t->small > 0 ? SMALL_RECORD : most;

		if (most == 0)
			return failed(t, ENOMEM);
		if (!seal(t, &at, most, step, &sealed))
			return seal_failed(t);
		if (tls_io_push(t) == CONN_ERROR)
			return CONN_ERROR;
		*sent += sealed;
		c->bytes_out += sealed;
		if (t->small > 0)
			t->small -= (uint32_t)((sealed + SMALL_RECORD - 1) /
			    SMALL_RECORD);
		t->burst = !c->writable    ? BURST_MIN
		    : t->burst < BURST_MAX ? 2 * t->burst
					   : BURST_MAX;
	}
	return CONN_OK;
}

bool
tls_keep(struct conn *c, struct span bytes)
{
	const struct iovec piece = {(void *)(uintptr_t)bytes.ptr, bytes.len};
	struct tls *t = c->tls;
	struct cursor at = {.piece = &piece, .end = &piece + 1};
	size_t extra = (bytes.len / TLS_RECORD_BYTES + 1) * TLS_RECORD_EXTRA;
	size_t parked = t->parked == NULL ? 0 : t->parked->len;
	size_t need = parked + bytes.len + extra, sealed;

	if (t->failed || t->send_error != 0 || need > TLS_WAITING_BYTES)
		return false;
	if (c->out == NULL)
		c->out = buf_get(&c->loop->bufs);
	if (c->out == NULL)
		return false;
	if (buf_room(c->out) < need)
		buf_compact(c->out);
	if (buf_room(c->out) < need &&
	    (c->out->end + need > TLS_WAITING_BYTES ||
		!buf_extend(
		    &c->loop->bufs, &c->out, c->out->end + (uint32_t)need)))
		return false;
	enter(t, 0);
	if (!seal(t, &at, bytes.len, bytes.len, &sealed)) {
		(void)seal_failed(t);
		return false;
	}
	tls_io_leave(t);
	c->bytes_out += sealed;
	return true;
}

enum conn_io
tls_flush(struct conn *c)
{
	struct buf *b = c->out;
	ssize_t n;

	if (!c->writable)
		return CONN_AGAIN;
	do
		n = send(c->fd, buf_raw(b), buf_raw_len(b), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN) {
		c->tls->send_error = errno;
		return failed(c->tls, errno);
	}
	n = n < 0 ? 0 : n;
	b->raw += (uint32_t)n;
	c->tls->wire_out += (size_t)n;
	c->writable = buf_raw_len(b) == 0;
	if (!c->writable)
		return CONN_AGAIN;
	buf_put(&c->loop->bufs, b);
	c->out = NULL;
	c->tls->sent_us = loop_now_us(c->loop);
	if (c->fin)
		shutdown(c->fd, SHUT_WR);
	c->fin = false;
	return CONN_OK;
}

void
tls_say_end(struct conn *c)
{
	struct tls *t = c->tls;

	if (!t->established || t->failed || t->error != 0 ||
	    t->send_error != 0 || t->said_end)
		return;
	t->said_end = true;
	enter(t, 0);
	if (SSL_shutdown(t->ssl) < 0)
		ERR_clear_error();
	(void)!tls_io_push(t);
}
