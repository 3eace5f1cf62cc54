#include "evenkeel/proxy/attempt.h"

#include <errno.h>

#include "evenkeel/net/conn_tls.h"
#include "evenkeel/proxy/exchange.h"
#include "evenkeel/proxy/picker.h"
#include "evenkeel/proxy/request.h"
#include "evenkeel/proxy/worker.h"

void
attempt_init(struct attempt *a, struct exchange *x, const struct cfg_pool *cfg,
    struct h1_field *fields)
{
	CHECK(a->back == NULL);
	a->x = x;
	a->backend = NULL;
	a->reused = a->unasked = a->upgrade = a->starved = false;
	a->counted = false;
	a->start_us = a->connected_us = a->sent_us = a->head_us = 0;
	a->interim_bytes = 0;
	a->fields = fields;
	a->limits = (struct h1_limits){
	    .head_bytes = cfg->max_header_size, .fields = cfg->max_headers};
	a->outcome = ACCESS_OK;
	a->why = "";
	h1_head_init(&a->head, H1_RESPONSE, &a->limits, fields);
}

static void
begin(struct attempt *a, struct backend *backend)
{
	struct worker *w = exchange_worker(a->x);

	a->backend = backend;
	a->start_us = loop_now_us(w->loop);
	counter_add(&backend->lanes[w->index].inflight, 1);
}

bool
attempt_lease(struct attempt *a, struct backend *backend, uint64_t max_idle_ms)
{
	struct worker *w = exchange_worker(a->x);

	a->back = pool_lease(w, backend, max_idle_ms, a->x->terms.tls, a);
	if (a->back == NULL)
		return false;
	begin(a, backend);
	a->reused = true;
	a->leased_turn = w->loop->turn;
	a->back->conn.unsure = false; /* of what the last response left */
	a->connected_us = a->start_us;
	a->bytes_before_in = a->back->conn.bytes_in;
	a->bytes_before_out = a->back->conn.bytes_out;
	counter_add(&backend->lanes[w->index].reused, 1);
	return true;
}

/* This process or this machine is out of something: no fault of the backend. */
static bool
starves(int error)
{
	return error == ENOMEM || error == ENOBUFS || error == EMFILE ||
	    error == ENFILE;
}

static enum conn_io
connect_failed(struct attempt *a, int error)
{
	a->starved = starves(error);
	switch (error) {
	case ECONNREFUSED:
		a->outcome = ACCESS_CONNECT_REFUSED;
		a->why = "connection refused";
		break;
	case ETIMEDOUT:
		a->outcome = ACCESS_CONNECT_TIMEOUT;
		a->why = "connect timed out";
		break;
	case EHOSTUNREACH:
	case ENETUNREACH:
		a->outcome = ACCESS_CONNECT_FAILED;
		a->why = "backend is unreachable";
		break;
	case EAGAIN:
		a->outcome = ACCESS_CONNECT_FAILED;
		a->why = "the backend's queue of connections is full";
		break;
	case ENOENT:
		a->outcome = ACCESS_CONNECT_FAILED;
		a->why = "no such socket file";
		break;
	case EMFILE:
	case ENFILE:
		a->outcome = ACCESS_CONNECT_FAILED;
		a->why = "out of file descriptors";
		break;
	case ENOMEM:
	case ENOBUFS:
		a->outcome = ACCESS_CONNECT_FAILED;
		a->why = "out of memory";
		break;
	default:
		a->outcome = ACCESS_CONNECT_FAILED;
		a->why = "connect failed";
		break;
	}
	return CONN_ERROR;
}

/* ---- TLS ---- */

static void
count_handshake(const struct attempt *a, enum stats_handshake how)
{
	counter_add(&a->back->w->stats.tls_handshakes[STATS_BACKEND][how], 1);
}

static enum conn_io
tls_failed(struct attempt *a, const char *why)
{
	count_handshake(a, STATS_FAILED);
	a->outcome = ACCESS_TLS_FAILED;
	a->why = why;
	return CONN_ERROR;
}

static enum conn_io
secure_failed(struct attempt *a)
{
	struct conn *c = &a->back->conn;

	/* It may be the session that it does not take. */
	tls_slot_clear(&a->back->lane->session);
	a->starved = starves(c->error);
	if (a->starved)
		return tls_failed(a, "out of memory");
	return tls_failed(a,
	    c->error == EPROTO
		? conn_why(c)
		: "backend reset the connection in the TLS handshake");
}

/* The PROXY header goes before the handshake; a new socket takes it. */
static bool
send_proxy_header(struct attempt *a)
{
	struct textbuf out = worker_scratch(exchange_worker(a->x));
	struct conn *c = &a->back->conn;
	enum conn_io io;

	if (a->x->pool->cfg->proxy_protocol == CFG_PROXY_PROTOCOL_OFF)
		return true;
	request_put_proxy(a->x, &out);
	io = conn_write(c, textbuf_span(&out));
	return io == CONN_OK && conn_out_empty(c);
}

static bool
begin_tls(struct attempt *a)
{
	struct worker *w = exchange_worker(a->x);
	const struct snapshot_pool *pool = a->x->pool;
	const char *name = pool->cfg->tls_server_name[0] != '\0'
	    ? pool->cfg->tls_server_name
	    : a->backend->server_name;

	CHECK(pool->tls != NULL);
	a->back->conn.error = ENOMEM;
	return send_proxy_header(a) &&
	    conn_secure_client(&a->back->conn, pool->tls[w->index], name,
		a->x->terms.tls, &a->back->lane->session);
}

/* The TCP connection stands: what else it takes until it can be asked. */
static enum conn_io
stands(struct attempt *a)
{
	struct conn *c = &a->back->conn;

	if (a->backend->server_name != NULL) {
		if (!conn_is_secure(c) && !begin_tls(a))
			return secure_failed(a);
		switch (conn_handshake(c)) {
		case CONN_OK:
			break;
		case CONN_AGAIN:
			return CONN_AGAIN;
		case CONN_EOF:
			return tls_failed(a,
			    "backend closed the connection in the TLS "
			    "handshake");
		case CONN_ERROR:
			return secure_failed(a);
		}
		count_handshake(
		    a, conn_resumed(c) ? STATS_RESUMED : STATS_FULL);
		a->bytes_before_out = c->bytes_out;
	}
	a->connected_us = loop_now_us(c->loop);
	return CONN_OK;
}

enum conn_io
attempt_connect(struct attempt *a, struct backend *backend)
{
	struct worker *w = exchange_worker(a->x);
	enum conn_io io;
	int error = 0;

	begin(a, backend);
	a->bytes_before_in = a->bytes_before_out = 0;
	counter_add(&backend->lanes[w->index].fresh, 1);
	io = pool_connect(w, backend, a, &a->back, &error);
	if (io == CONN_ERROR)
		return connect_failed(a, error);
	a->back->tls = a->x->terms.tls;
	return io == CONN_OK ? stands(a) : io;
}

enum conn_io
attempt_connected(struct attempt *a)
{
	struct conn *c = &a->back->conn;
	enum conn_io io = conn_connected(c);

	if (io == CONN_ERROR)
		return connect_failed(a, c->error);
	return io == CONN_OK ? stands(a) : io;
}

bool
attempt_sent_any(const struct attempt *a)
{
	return a->back != NULL && a->back->conn.bytes_out > a->bytes_before_out;
}

bool
attempt_got_any(const struct attempt *a)
{
	return a->back != NULL && a->back->conn.bytes_in > a->bytes_before_in;
}

static enum attempt_head
fail(struct attempt *a, enum access_outcome outcome, const char *why)
{
	a->outcome = outcome;
	a->why = why;
	return ATTEMPT_HEAD_FAILED;
}

/* The backend ended the connection and no whole head is there. */
static enum attempt_head
ended(struct attempt *a, const char *why)
{
	uint64_t now_us = loop_now_us(a->back->conn.loop);

	if (attempt_got_any(a))
		return fail(a, ACCESS_RESET,
		    "backend closed the connection inside the response head");
	if (a->reused &&
	    (a->sent_us == 0 || now_us - a->sent_us <= ATTEMPT_STALE_MS * 1000))
		return fail(a, ACCESS_STALE, "idle connection was closed");
	return fail(a, ACCESS_RESET, why);
}

static enum attempt_head
starved(struct attempt *a)
{
	a->starved = true;
	return fail(a, ACCESS_RESET, "out of memory");
}

/* The connection failed in a call: of want here, of TLS, or of the backend. */
static enum attempt_head
broken(struct attempt *a, const char *why)
{
	struct conn *c = &a->back->conn;

	if (starves(c->error))
		return starved(a);
	/* TLS 1.3 lets us send before the backend has judged our certificate:
	 * nothing of it was taken. */
	if (!a->reused && conn_was_refused(c) && !attempt_got_any(a)) {
		a->bytes_before_out = c->bytes_out;
		return fail(a, ACCESS_TLS_FAILED, conn_why(c));
	}
	return ended(a, c->error == EPROTO ? conn_why(c) : why);
}

/* What could not be sent may have been refused before: the alert is there to be
 * read. */
static bool
says_why(struct attempt *a)
{
	struct conn *c = &a->back->conn;

	if (!conn_is_secure(c) || a->reused)
		return false;
	c->readable = true;
	return conn_fill(c) == CONN_ERROR && conn_was_refused(c);
}

void
attempt_send_failed(struct attempt *a)
{
	if (a->back != NULL && starves(a->back->conn.error))
		(void)starved(a);
	else if (a->back != NULL && says_why(a))
		(void)broken(a, "");
	else if (!attempt_sent_any(a) && !a->reused)
		fail(a, ACCESS_CONNECT_FAILED,
		    "connection ended before the request was sent");
	else
		(void)ended(a, "backend reset the connection");
}

const char *
attempt_head_base(const struct attempt *a)
{
	return buf_raw(a->back->conn.in);
}

static enum attempt_head
judge(struct attempt *a, enum h1_method method)
{
	struct buf *in = a->back->conn.in;
	enum h1_error e;

	if (a->head.status < 200) {
		a->interim_bytes += a->head.len;
		if (a->interim_bytes > ATTEMPT_INTERIM_BYTES)
			return fail(a, ACCESS_BAD_RESPONSE,
			    "too many informational responses");
	}
	/* RFC 9110 7.8: nobody was asked to switch protocols. */
	if (a->head.status == 101 && !a->upgrade)
		return fail(a, ACCESS_BAD_RESPONSE,
		    "backend switched protocols unasked");
	e = h1_framing_response(&a->head, buf_raw(in), method, &a->framing);
	if (e != H1_OK)
		return fail(a, ACCESS_BAD_RESPONSE, h1_error_text(e));
	if (a->head.status < 200 && a->head.status != 101)
		return ATTEMPT_HEAD_INTERIM;
	a->head_us = loop_now_us(a->back->conn.loop);
	return a->head.status == 101 ? ATTEMPT_HEAD_SWITCHED
				     : ATTEMPT_HEAD_FINAL;
}

static enum attempt_head
parse(struct attempt *a, enum h1_method method)
{
	struct buf *in = a->back->conn.in;

	switch (h1_head_parse(&a->head, buf_raw(in), buf_raw_len(in))) {
	case H1_DONE:
		return judge(a, method);
	case H1_BAD:
		return fail(a, ACCESS_BAD_RESPONSE,
		    h1_error_text((enum h1_error)a->head.error));
	case H1_MORE:
		break;
	}
	if (buf_room(in) == 0)
		buf_compact(in);
	return ATTEMPT_HEAD_MORE;
}

enum attempt_head
attempt_read_head(struct attempt *a, enum h1_method method)
{
	struct conn *c = &a->back->conn;
	enum attempt_head result = ATTEMPT_HEAD_MORE;

	/* Bounded: each round reads a byte or ends, and a head is bounded. */
	for (;;) {
		if (a->unasked)
			return fail(a, ACCESS_BAD_RESPONSE,
			    "backend sent bytes on an idle connection");
		if (c->in != NULL && buf_raw_len(c->in) > a->head.pos)
			result = parse(a, method);
		if (result != ATTEMPT_HEAD_MORE)
			return result;
		switch (conn_fill(c)) {
		case CONN_OK:
			break;
		case CONN_AGAIN:
			return ATTEMPT_HEAD_MORE;
		case CONN_EOF:
			return ended(a,
			    "backend closed the connection "
			    "before a response");
		case CONN_ERROR:
			return broken(a, "backend reset the connection");
		}
	}
}

void
attempt_head_done(struct attempt *a)
{
	struct buf *in = a->back->conn.in;

	in->raw += a->head.len;
	in->start = in->mid = in->raw;
}

bool
attempt_skip_body(struct attempt *a)
{
	struct buf *in = a->back->conn.in;
	bool none = a->framing.body == H1_BODY_NONE;

	attempt_head_done(a);
	if (!none &&
	    (a->framing.body != H1_BODY_LENGTH ||
		a->framing.length != buf_raw_len(in)))
		return false;
	if (!none)
		in->raw += (uint32_t)a->framing.length;
	in->start = in->mid = in->raw;
	return buf_raw_len(in) == 0;
}

void
attempt_interim_done(struct attempt *a)
{
	attempt_head_done(a);
	h1_head_init(&a->head, H1_RESPONSE, &a->limits, a->fields);
}

void
attempt_end(struct attempt *a, bool reusable, const struct snapshot_terms *t)
{
	struct back *b = a->back;

	a->back = NULL;
	if (a->backend != NULL)
		counter_add(
		    &a->backend->lanes[exchange_worker(a->x)->index].inflight,
		    (uint64_t)-1);
	if (a->backend != NULL)
		picker_done(a);
	a->backend = NULL;
	if (b == NULL)
		return;
	counter_add(
	    &b->w->stats.backend_in, b->conn.bytes_in - a->bytes_before_in);
	counter_add(
	    &b->w->stats.backend_out, b->conn.bytes_out - a->bytes_before_out);
	/* Its time ran out, or its client left. */
	if (conn_is_secure(&b->conn) && a->connected_us == 0 &&
	    a->outcome != ACCESS_TLS_FAILED)
		counter_add(
		    &b->w->stats.tls_handshakes[STATS_BACKEND][STATS_FAILED],
		    1);
	conn_release_in(&b->conn);
	if (reusable)
		pool_return(b, t->keepalive_share, t->keepalive_timeout_ms,
		    a->framing.keep_alive_timeout_s);
	else
		pool_close(b);
}

void
attempt_on_back(struct attempt *a)
{
	struct conn *c = &a->back->conn;

	/* What is reported in the turn of the lease was there before the
	 * request: it belongs to nobody (an end makes the connection stale). */
	if (a->reused && a->leased_turn == c->loop->turn && c->readable &&
	    conn_fill(c) == CONN_OK)
		a->unasked = true;
	exchange_on_back(a->x);
}
