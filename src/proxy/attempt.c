#include "evenkeel/proxy/attempt.h"

#include <errno.h>

#include "evenkeel/proxy/exchange.h"
#include "evenkeel/proxy/picker.h"
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

	a->back = pool_lease(w, backend, max_idle_ms, a);
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
	if (io == CONN_OK)
		a->connected_us = loop_now_us(w->loop);
	return io;
}

enum conn_io
attempt_connected(struct attempt *a)
{
	struct conn *c = &a->back->conn;
	enum conn_io io = conn_connected(c);

	if (io == CONN_ERROR)
		return connect_failed(a, c->error);
	if (io == CONN_OK)
		a->connected_us = loop_now_us(c->loop);
	return io;
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

void
attempt_send_failed(struct attempt *a)
{
	if (a->back != NULL && starves(a->back->conn.error))
		(void)starved(a);
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
			if (starves(c->error))
				return starved(a);
			return ended(a, "backend reset the connection");
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
