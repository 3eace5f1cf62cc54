#include "evenkeel/proxy/exchange.h"

#include <stdlib.h>

#include "evenkeel/proxy/deadline.h"
#include "evenkeel/proxy/record.h"
#include "evenkeel/proxy/reply.h"
#include "evenkeel/proxy/worker.h"

#define EXCHANGE_MAGIC 0x45786368U

static void exchange_run(struct exchange *x);

bool
exchange_ok(const struct exchange *x)
{
	return x->magic == EXCHANGE_MAGIC && flow_ok(&x->flow) &&
	    x->n_notes <= ACCESS_ATTEMPTS_MAX;
}

struct worker *
exchange_worker(const struct exchange *x)
{
	return x->from.w;
}

bool
exchange_begun(const struct exchange *x)
{
	return h1_head_begun(&x->head);
}

/* ---- what happened, told to the flow ---- */

static struct flow_input
event(enum flow_event e)
{
	return (struct flow_input){.event = e};
}

static struct flow_input
client_bad(struct exchange *x, enum h1_error e)
{
	x->why = h1_error_text(e);
	return (struct flow_input){
	    .event = FLOW_EV_CLIENT_BAD, .status = h1_error_status(e)};
}

/* RFC 9110 9.2.2; an Idempotency-Key is the client's word for it. */
static bool
idempotent(const struct exchange *x)
{
	return h1_method_idempotent((enum h1_method)x->head.method) ||
	    h1_head_find(&x->head, H1_FIELD_IDEMPOTENCY_KEY) != NULL;
}

static struct flow_input
failed(struct exchange *x)
{
	struct attempt *a = &x->attempt;

	if (a->why[0] != '\0')
		x->why = a->why;
	return (struct flow_input){.event = FLOW_EV_FAILED,
	    .outcome = a->outcome,
	    .resendable = pump_can_rewind(&x->upload, x->from.conn) &&
		(idempotent(x) || !attempt_sent_any(a))};
}

/* ---- the request's head ---- */

static struct flow_input
routed(struct exchange *x, const char *base)
{
	const struct snapshot_pool *pool = snapshot_route(x->listener,
	    h1_span(x->framing.host, base), h1_span(x->framing.path, base));

	if (pool == NULL)
		return event(FLOW_EV_NO_ROUTE);
	x->pool = pool;
	x->upstream = pool->upstream;
	x->stream_timeout_ms = pool->cfg->stream_timeout_ms;
	x->request_deadline_ms =
	    loop_now_ms(x->from.w->loop) + pool->cfg->request_timeout_ms;
	return event(FLOW_EV_ROUTED);
}

static struct flow_input
head_complete(struct exchange *x)
{
	const struct cfg_listener *cfg = x->listener->cfg;
	struct buf *in = x->from.conn->in;
	const char *base = buf_raw(in);
	enum h1_error e = h1_framing_request(&x->head, base, &x->framing);

	x->head_off = in->raw;
	if (e != H1_OK)
		return client_bad(x, e);
	x->head_done = true;
	in->raw += x->head.len;
	in->base = in->start = in->mid = in->raw;
	pump_init(
	    &x->upload, &x->framing, x->framing.body == H1_BODY_CHUNKED, false);
	x->upload.limit = cfg->max_body_size;
	if (cfg->max_body_size != 0 && x->framing.length > cfg->max_body_size) {
		x->why = "request body is larger than max_body_size";
		return (struct flow_input){
		    .event = FLOW_EV_CLIENT_BAD, .status = 413};
	}
	return routed(x, base);
}

/* The client ended while its head was incomplete. */
static bool
head_cut(struct exchange *x, struct flow_input *in)
{
	if (!exchange_begun(x)) {
		exchange_drop(x);
		return false;
	}
	*in = event(FLOW_EV_CLIENT_GONE);
	return true;
}

/* Reads on in the head.  True: `in` has an event. */
static bool
read_head(struct exchange *x, struct flow_input *in)
{
	struct conn *c = x->from.conn;

	for (;;) {
		enum h1_result result = H1_MORE;

		if (c->in != NULL && buf_raw_len(c->in) > x->head.pos)
			result = h1_head_parse(
			    &x->head, buf_raw(c->in), buf_raw_len(c->in));
		if (result == H1_DONE) {
			*in = head_complete(x);
			return true;
		}
		if (result == H1_BAD) {
			x->head_off = c->in->raw;
			*in = client_bad(x, (enum h1_error)x->head.error);
			return true;
		}
		if (c->in != NULL && buf_room(c->in) == 0)
			buf_compact(c->in);
		switch (conn_fill(c)) {
		case CONN_OK:
			break;
		case CONN_AGAIN:
			return false;
		case CONN_EOF:
		case CONN_ERROR:
			return head_cut(x, in);
		}
	}
}

/* ---- orders: the way to a backend ---- */

static struct flow_input
order_pick(struct exchange *x)
{
	struct backend *b = upstream_pick(x->upstream);
	uint64_t max_idle_ms = idempotent(x) ? WHEEL_NEVER : POOL_FRESH_MS;

	if (b == NULL)
		return event(FLOW_EV_NONE_USABLE);
	attempt_init(
	    &x->attempt, x, x->pool->cfg, x->fields + x->n_request_fields);
	x->picked = b;
	if (attempt_lease(&x->attempt, b, max_idle_ms))
		return event(FLOW_EV_LEASED);
	return event(FLOW_EV_PICKED);
}

/* True: `in` has an event. */
static bool
order_connect(struct exchange *x, bool fresh, struct flow_input *in)
{
	if (fresh) {
		attempt_init(&x->attempt, x, x->pool->cfg,
		    x->fields + x->n_request_fields);
		pump_rewind(&x->upload, x->from.conn);
		x->upload_over = x->upload_failed = false;
	}
	switch (attempt_connect(&x->attempt, x->picked)) {
	case CONN_OK:
		*in = event(FLOW_EV_CONNECTED);
		return true;
	case CONN_AGAIN:
		return false;
	default:
		*in = failed(x);
		return true;
	}
}

static void
put_request_head(struct exchange *x, struct textbuf *out)
{
	const struct cfg_listener *cfg = x->listener->cfg;
	const struct h1_forward_request how = {
	    .client_ip = x->from.client_ip,
	    .x_forwarded = cfg->forwarded == CFG_FORWARDED_X,
	    .https = x->from.front->https,
	    .request_id = cfg->request_id == CFG_REQUEST_ID_OFF
		? SPAN_NONE
		: span_make(x->id, EXCHANGE_ID_BYTES),
	    .expect_continue = x->framing.expect_continue,
	};

	h1_forward_request(out, &x->head, x->from.conn->in->data + x->head_off,
	    &x->framing, &how);
	CHECK(!out->full);
}

/* Bytes from a backend that was asked nothing yet are nobody's. */
static bool
spoke_first(struct exchange *x, struct flow_input *in)
{
	struct attempt *a = &x->attempt;

	if (a->reused || !a->back->conn.readable)
		return false;
	switch (conn_fill(&a->back->conn)) {
	case CONN_AGAIN:
		return false;
	case CONN_OK:
		a->outcome = ACCESS_BAD_RESPONSE;
		a->why = "backend spoke before it was asked";
		break;
	default:
		attempt_send_failed(a);
		break;
	}
	*in = failed(x);
	return true;
}

/* ---- the request's body ---- */

static void
upload_ends(struct exchange *x, bool failed_to_send)
{
	x->upload_over = true;
	x->upload_failed = failed_to_send;
	x->attempt.sent_us = loop_now_us(x->from.w->loop);
	deadline_upload_ends(x);
}

/* True: `in` has an event. */
static bool
upload_stopped(struct exchange *x, struct flow_input *in)
{
	switch (x->upload_state) {
	case PUMP_MALFORMED:
		*in = client_bad(x, (enum h1_error)x->upload.body.error);
		return true;
	case PUMP_TOO_LARGE:
		x->why = "request body is larger than max_body_size";
		*in = (struct flow_input){
		    .event = FLOW_EV_CLIENT_BAD, .status = 413};
		return true;
	case PUMP_TRUNCATED:
		x->why = "client ended inside the request body";
		*in = event(FLOW_EV_CLIENT_GONE);
		return true;
	case PUMP_SOURCE_ERROR:
		*in = event(FLOW_EV_CLIENT_GONE);
		return true;
	case PUMP_NO_MEMORY:
		*in = event(FLOW_EV_NO_MEMORY);
		return true;
	default:
		return false;
	}
}

static bool
run_upload(struct exchange *x, struct textbuf *head, struct flow_input *in)
{
	struct attempt *a = &x->attempt;

	x->upload_state =
	    pump_run(&x->upload, x->from.conn, &a->back->conn, head);
	switch (x->upload_state) {
	case PUMP_DONE:
		upload_ends(x, false);
		return false;
	case PUMP_SINK_ERROR:
		/* The backend may have answered before it closed: look for
		 * that first, unless it never got a byte. */
		upload_ends(x, true);
		if (attempt_sent_any(a) || x->flow.state != FLOW_AWAITING)
			return false;
		attempt_send_failed(a);
		*in = failed(x);
		return true;
	case PUMP_YIELD:
		conn_again(x->from.conn);
		return false;
	default:
		if (!x->upload.ended)
			deadline_upload_begins(x);
		else
			deadline_upload_ends(x);
		return upload_stopped(x, in);
	}
}

static bool
order_send(struct exchange *x, struct flow_input *in)
{
	struct textbuf head = worker_scratch(x->from.w);

	if (spoke_first(x, in))
		return true;
	x->progress_ms = loop_now_ms(x->from.w->loop);
	put_request_head(x, &head);
	return run_upload(x, &head, in);
}

/* ---- the response ---- */

static enum h1_connection
connection_field(const struct exchange *x)
{
	if (!x->keep)
		return H1_CONNECTION_CLOSE;
	return x->head.minor == 0 ? H1_CONNECTION_KEEPALIVE
				  : H1_CONNECTION_DEFAULT;
}

/* Passes a 1xx on.  True: `in` has an event. */
static bool
pass_interim(struct exchange *x, struct flow_input *in)
{
	struct attempt *a = &x->attempt;
	struct textbuf head = worker_scratch(x->from.w);
	const struct h1_forward_response how = {
	    .connection = H1_CONNECTION_DEFAULT};
	enum conn_io io = CONN_OK;

	/* RFC 9110 15.2: an HTTP/1.0 client must not be sent a 1xx. */
	if (x->head.minor > 0) {
		h1_forward_response(
		    &head, &a->head, attempt_head_base(a), &a->framing, &how);
		/* One that a slow client has no room for is left out. */
		io = conn_write(x->from.conn, textbuf_span(&head));
	}
	attempt_interim_done(a);
	*in = event(FLOW_EV_CLIENT_GONE);
	return io == CONN_ERROR;
}

static bool
read_response(struct exchange *x, struct flow_input *in)
{
	struct attempt *a = &x->attempt;

	for (;;) {
		switch (attempt_read_head(a, (enum h1_method)x->head.method)) {
		case ATTEMPT_HEAD_MORE:
			/* Nothing more can be sent, and no answer came. */
			if (!x->upload_failed)
				return false;
			attempt_send_failed(a);
			*in = failed(x);
			return true;
		case ATTEMPT_HEAD_INTERIM:
			if (pass_interim(x, in))
				return true;
			break;
		case ATTEMPT_HEAD_FINAL:
			*in = (struct flow_input){
			    .event = FLOW_EV_HEAD, .status = a->head.status};
			return true;
		case ATTEMPT_HEAD_FAILED:
			*in = failed(x);
			return true;
		}
	}
}

static bool
download_stopped(struct exchange *x, struct flow_input *in)
{
	switch (x->download_state) {
	case PUMP_DONE:
		*in = event(FLOW_EV_RELAYED);
		return true;
	case PUMP_MALFORMED:
		x->why = h1_error_text((enum h1_error)x->download.body.error);
		*in = event(FLOW_EV_BROKE_OFF);
		return true;
	case PUMP_TRUNCATED:
	case PUMP_SOURCE_ERROR:
	case PUMP_TOO_LARGE:
		*in = event(FLOW_EV_BROKE_OFF);
		return true;
	case PUMP_SINK_ERROR:
		*in = event(FLOW_EV_CLIENT_GONE);
		return true;
	case PUMP_NO_MEMORY:
		*in = event(FLOW_EV_NO_MEMORY);
		return true;
	case PUMP_YIELD:
		conn_again(x->from.conn);
		return false;
	case PUMP_WANT_SOURCE:
	case PUMP_WANT_SINK:
		return false;
	}
	return false;
}

static bool
run_download(struct exchange *x, struct textbuf *head, struct flow_input *in)
{
	x->download_state =
	    pump_run(&x->download, &x->attempt.back->conn, x->from.conn, head);
	return download_stopped(x, in);
}

static bool
order_commit(struct exchange *x, struct flow_input *in)
{
	struct attempt *a = &x->attempt;
	struct textbuf head = worker_scratch(x->from.w);
	enum h1_body_kind body = a->framing.body;
	bool framed = body == H1_BODY_NONE || body == H1_BODY_LENGTH;
	struct h1_forward_response how = {0};

	/* An HTTP/1.0 client knows no chunks: it sees the end by the close. */
	how.chunked = !framed && x->head.minor > 0;
	x->close_delimited = !framed && !how.chunked;
	/* A body that is not read to its end leaves the connection unusable. */
	x->keep = x->framing.keep_alive && !x->from.w->draining &&
	    !x->close_delimited && x->upload.ended;
	how.connection = connection_field(x);
	if (x->listener->cfg->request_id == CFG_REQUEST_ID_BOTH)
		how.request_id = span_make(x->id, EXCHANGE_ID_BYTES);
	x->status = a->head.status;
	h1_forward_response(
	    &head, &a->head, attempt_head_base(a), &a->framing, &how);
	CHECK(!head.full);
	attempt_head_done(a);
	pump_init(&x->download, &a->framing, how.chunked, how.chunked);
	x->progress_ms = loop_now_ms(x->from.w->loop);
	return run_download(x, &head, in);
}

/* ---- answers of our own ---- */

static bool
flush_reply(struct exchange *x, struct flow_input *in)
{
	switch (conn_flush(x->from.conn)) {
	case CONN_OK:
		*in = event(FLOW_EV_REPLIED);
		return true;
	case CONN_ERROR:
		*in = event(FLOW_EV_CLIENT_GONE);
		return true;
	default:
		return false;
	}
}

/* How the last attempt ended; ACCESS_OK when there was none. */
static enum access_outcome
last_outcome(const struct exchange *x)
{
	return x->n_notes == 0
	    ? ACCESS_OK
	    : (enum access_outcome)x->notes[x->n_notes - 1].outcome;
}

static bool
order_reply(struct exchange *x, unsigned status, struct flow_input *in)
{
	char bytes[REPLY_BYTES];
	struct textbuf out = textbuf_make(bytes, sizeof(bytes));
	enum conn_io io;

	x->keep = x->head_done && x->framing.keep_alive && x->upload.ended &&
	    !x->from.w->draining && x->flow.end != ACCESS_END_CLIENT_BAD;
	x->status = status;
	x->progress_ms = loop_now_ms(x->from.w->loop);
	reply_put(&out,
	    &(struct reply){.status = status,
		.id = span_make(x->id, EXCHANGE_ID_BYTES),
		.why = span_of(x->why),
		.error = reply_error(x->flow.end, last_outcome(x)),
		.connection = connection_field(x),
		.head_only = x->head.method == H1_METHOD_HEAD});
	io = conn_write(x->from.conn, textbuf_span(&out));
	if (io == CONN_OK)
		return flush_reply(x, in);
	*in = event(io == CONN_ERROR ? FLOW_EV_CLIENT_GONE : FLOW_EV_NO_MEMORY);
	return true;
}

/* ---- the end ---- */

static void
order_report(struct exchange *x, enum access_outcome outcome)
{
	struct attempt *a = &x->attempt;
	bool reusable = outcome == ACCESS_OK && a->framing.keep_alive &&
	    a->framing.body != H1_BODY_UNTIL_CLOSE && x->upload_over &&
	    !x->upload_failed;

	record_attempt(x, outcome);
	attempt_end(a, reusable, x->pool);
}

static void
exchange_free(struct loop_task *t)
{
	struct exchange *x = LOOP_TASK_OWNER(t, struct exchange, grave);
	struct worker *w = x->from.w;

	if (w->n_free_exchanges >= WORKER_KEEP_EXCHANGES) {
		wheel_remove(&w->loop->wheel, &x->timer);
		free(x);
		return;
	}
	x->next_free = w->free_exchanges;
	w->free_exchanges = x;
	w->n_free_exchanges++;
}

static void
leave(struct exchange *x, enum exchange_after after)
{
	struct buf *in = x->from.conn->in;

	CHECK(x->attempt.back == NULL);
	x->flow.state = FLOW_DONE;
	x->timer.deadline_ms = WHEEL_NEVER;
	pump_close(&x->upload, &x->from.w->loop->bufs);
	pump_close(&x->download, &x->from.w->loop->bufs);
	if (in != NULL) {
		in->base = 0;
		in->start = in->mid = in->raw;
		buf_settle(in);
	}
	counter_add(&x->from.w->stats.requests, (uint64_t)-1);
	loop_bury(x->from.w->loop, &x->grave);
	x->from.ops->on_done(x->from.arg, after);
}

void
exchange_drop(struct exchange *x)
{
	leave(x, EXCHANGE_GONE);
}

static void
order_finish(struct exchange *x, bool aborted)
{
	enum exchange_after after = x->keep ? EXCHANGE_KEEP : EXCHANGE_CLOSE;

	if (aborted)
		after = x->flow.end == ACCESS_END_CLIENT_GONE ? EXCHANGE_GONE
							      : EXCHANGE_ABORT;
	record_request(x);
	leave(x, after);
}

/* Carries one step's orders out.  True: `in` has the event that came of it. */
static bool
carry_out(
    struct exchange *x, const struct flow_orders *o, struct flow_input *in)
{
	if (o->set & FLOW_REPORT)
		order_report(x, o->outcome);
	if (o->set & FLOW_PICK) {
		*in = order_pick(x);
		return true;
	}
	if (o->set & (FLOW_CONNECT | FLOW_CONNECT_FRESH))
		return order_connect(x, o->set & FLOW_CONNECT_FRESH, in);
	if (o->set & FLOW_SEND)
		return order_send(x, in);
	if (o->set & FLOW_COMMIT)
		return order_commit(x, in);
	if (o->set & FLOW_REPLY)
		return order_reply(x, o->status, in);
	if (o->set & FLOW_FINISH)
		order_finish(x, o->set & FLOW_ABORT_CLIENT);
	return false;
}

/* Tells the flow and does what it says, until nothing more follows at once.
 * Bounded: every event that an order gives moves the flow towards its end. */
static void
feed(struct exchange *x, struct flow_input in)
{
	struct flow_orders o;

	do {
		o = flow_step(&x->flow, &in);
	} while (carry_out(x, &o, &in));
}

/* ---- what happens on the connections ---- */

/* While the client is not asked for anything: it may be gone, or send its next
 * request already.  A client that only ended its side still gets its answer.
 * True: `in` has an event. */
static bool
watch_client(struct exchange *x, struct flow_input *in)
{
	if (!x->from.conn->readable || !x->upload.ended)
		return false;
	if (conn_fill(x->from.conn) != CONN_ERROR)
		return false;
	*in = event(FLOW_EV_CLIENT_GONE);
	return true;
}

static bool
run_connecting(struct exchange *x, struct flow_input *in)
{
	switch (attempt_connected(&x->attempt)) {
	case CONN_OK:
		*in = event(FLOW_EV_CONNECTED);
		return true;
	case CONN_ERROR:
		*in = failed(x);
		return true;
	default:
		return watch_client(x, in);
	}
}

static bool
run_awaiting(struct exchange *x, struct flow_input *in)
{
	struct textbuf none = worker_scratch(x->from.w);

	if (!x->upload_over && run_upload(x, &none, in))
		return true;
	if (!conn_out_empty(x->from.conn) &&
	    conn_flush(x->from.conn) == CONN_ERROR) {
		*in = event(FLOW_EV_CLIENT_GONE);
		return true;
	}
	return watch_client(x, in) || read_response(x, in);
}

static bool
run_relaying(struct exchange *x, struct flow_input *in)
{
	struct textbuf none = worker_scratch(x->from.w);

	if (run_download(x, &none, in))
		return true;
	none = worker_scratch(x->from.w);
	if (!x->upload_over)
		return run_upload(x, &none, in);
	return watch_client(x, in);
}

static bool
happened(struct exchange *x, struct flow_input *in)
{
	switch (x->flow.state) {
	case FLOW_START:
		return read_head(x, in);
	case FLOW_CONNECTING:
		return run_connecting(x, in);
	case FLOW_AWAITING:
		return run_awaiting(x, in);
	case FLOW_RELAYING:
		return run_relaying(x, in);
	case FLOW_REPLYING:
		return flush_reply(x, in);
	case FLOW_PICKING:
	case FLOW_DONE:
	case FLOW_STATES:
		break;
	}
	return false;
}

static uint64_t
bytes_moved(const struct exchange *x)
{
	uint64_t sum = x->from.conn->bytes_in + x->from.conn->bytes_out;

	if (x->attempt.back != NULL)
		sum += x->attempt.back->conn.bytes_in +
		    x->attempt.back->conn.bytes_out;
	return sum;
}

static void
exchange_run(struct exchange *x)
{
	uint64_t before = bytes_moved(x);
	struct flow_input in;

	CHECK(exchange_ok(x));
	if (happened(x, &in))
		feed(x, in);
	if (x->flow.state == FLOW_DONE)
		return;
	if (bytes_moved(x) != before)
		x->progress_ms = loop_now_ms(x->from.w->loop);
	deadline_arm(x);
}

void
exchange_on_front(struct exchange *x)
{
	exchange_run(x);
}

void
exchange_on_back(struct exchange *x)
{
	exchange_run(x);
}

void
exchange_shut_down(struct exchange *x)
{
	feed(x, event(FLOW_EV_SHUTDOWN));
}

static void
exchange_on_timer(struct wheel_timer *t, uint64_t now_ms)
{
	struct exchange *x = (struct exchange *)(void *)((char *)t -
	    offsetof(struct exchange, timer));
	struct flow_input in;

	CHECK(exchange_ok(x));
	if (x->flow.state == FLOW_START && !exchange_begun(x) &&
	    now_ms >= x->head_deadline_ms) {
		exchange_drop(x);
		return;
	}
	if (!deadline_expired(x, now_ms, &in))
		return;
	feed(x, in);
	if (x->flow.state != FLOW_DONE)
		deadline_arm(x);
}

/* ---- the beginning ---- */

static struct exchange *
take_exchange(struct worker *w)
{
	uint32_t request = w->snapshot->request_fields;
	uint32_t response = w->snapshot->response_fields;
	struct exchange *x = w->free_exchanges;

	if (x != NULL) {
		w->free_exchanges = x->next_free;
		w->n_free_exchanges--;
		if (x->n_request_fields >= request &&
		    x->n_response_fields >= response)
			return x;
		wheel_remove(&w->loop->wheel, &x->timer);
		free(x);
	}
	x = calloc(
	    1, sizeof(*x) + (request + response) * sizeof(struct h1_field));
	if (x == NULL)
		return NULL;
	x->n_request_fields = request;
	x->n_response_fields = response;
	wheel_timer_init(&x->timer, exchange_on_timer);
	loop_task_init(&x->grave, exchange_free);
	return x;
}

static void
make_id(struct exchange *x)
{
	static const char digits[] = "0123456789abcdef";
	struct worker *w = x->from.w;
	uint64_t r = rng_next(&w->rng);

	memcpy(x->id, w->id_prefix, sizeof(w->id_prefix));
	for (size_t i = sizeof(w->id_prefix); i < EXCHANGE_ID_BYTES; i++) {
		x->id[i] = digits[r & 15];
		r >>= 4;
	}
}

static void
reset(struct exchange *x, const struct exchange_from *from)
{
	const struct cfg_listener *cfg = x->listener->cfg;
	const struct h1_limits limits = {
	    .head_bytes = cfg->max_header_size, .fields = cfg->max_headers};

	x->magic = EXCHANGE_MAGIC;
	x->from = *from;
	flow_init(&x->flow);
	x->pool = NULL;
	x->upstream = NULL;
	x->picked = NULL;
	x->head_off = 0;
	x->head_done = x->uploading = x->upload_over = x->upload_failed = false;
	x->keep = x->close_delimited = false;
	x->status = 0;
	x->why = "";
	x->n_notes = 0;
	x->framing = (struct h1_framing){0};
	pump_init(&x->upload, &x->framing, false, false);
	pump_init(&x->download, &x->framing, false, false);
	x->upload.ended = false;
	x->upload_state = x->download_state = PUMP_WANT_SOURCE;
	x->attempt.back = NULL;
	x->body_timeout_ms = cfg->body_timeout_ms;
	x->send_timeout_ms = cfg->send_timeout_ms;
	h1_head_init(&x->head, H1_REQUEST, &limits, x->fields);
}

struct exchange *
exchange_create(const struct exchange_from *from)
{
	struct worker *w = from->w;
	struct exchange *x = take_exchange(w);

	if (x == NULL)
		return NULL;
	x->snapshot = w->snapshot;
	x->listener = snapshot_listener_of(w->snapshot, from->front);
	CHECK(x->listener != NULL);
	reset(x, from);
	make_id(x);
	x->start_us = loop_now_us(w->loop);
	x->progress_ms = x->start_us / 1000;
	x->head_deadline_ms =
	    x->progress_ms + x->listener->cfg->header_timeout_ms;
	x->bytes_in_before = record_bytes_in(from->conn);
	x->bytes_out_before = from->conn->bytes_out;
	counter_add(&w->stats.requests, 1);
	return x;
}
