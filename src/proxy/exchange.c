#include "evenkeel/proxy/exchange.h"

#include <stdlib.h>

#include "evenkeel/base/num.h"
#include "evenkeel/proxy/deadline.h"
#include "evenkeel/proxy/picker.h"
#include "evenkeel/proxy/queue.h"
#include "evenkeel/proxy/record.h"
#include "evenkeel/proxy/request.h"
#include "evenkeel/proxy/response.h"
#include "evenkeel/proxy/retrier.h"
#include "evenkeel/proxy/tunnel.h"
#include "evenkeel/proxy/worker.h"

#define EXCHANGE_MAGIC 0x45786368U

static void exchange_run(struct exchange *x);
static void feed(struct exchange *x, struct flow_input in);

bool
exchange_ok(const struct exchange *x)
{
	return x->magic == EXCHANGE_MAGIC && flow_ok(&x->flow) &&
	    x->n_notes <= ACCESS_ATTEMPTS_MAX;
}

struct span
exchange_id(const struct exchange *x)
{
	return span_make(x->id, x->id_len);
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

struct flow_input
exchange_event(enum flow_event e)
{
	return (struct flow_input){.event = e};
}

struct flow_input
exchange_refused(struct exchange *x, enum h1_error e)
{
	x->why = h1_error_text(e);
	return (struct flow_input){
	    .event = FLOW_EV_CLIENT_BAD, .status = h1_error_status(e)};
}

struct flow_input
exchange_failed(struct exchange *x)
{
	struct attempt *a = &x->attempt;

	if (a->why[0] != '\0')
		x->why = a->why;
	if (a->starved)
		return exchange_event(FLOW_EV_NO_MEMORY);
	return (struct flow_input){.event = FLOW_EV_FAILED,
	    .outcome = a->outcome,
	    .resendable = retrier_replayable(x) &&
		(request_repeatable(x) || !attempt_sent_any(a)),
	    .facts = retrier_facts(x)};
}

/* ---- orders: the way to a backend ---- */

static struct flow_input
order_pick(struct exchange *x)
{
	enum picker_result result = PICKER_NONE;

	attempt_init(
	    &x->attempt, x, x->pool->cfg, x->fields + x->n_request_fields);
	x->paused_ms = 0;
	if (!queue_before(x))
		result = picker_pick(x);
	if (result == PICKER_NONE)
		return exchange_event(FLOW_EV_NONE_USABLE);
	queue_leave(x);
	return exchange_event(
	    result == PICKER_LEASED ? FLOW_EV_LEASED : FLOW_EV_PICKED);
}

static bool
order_queue(struct exchange *x, struct flow_input *in)
{
	if (queue_join(x))
		return false;
	x->why = "no backend is usable, and the queue is full";
	*in = exchange_event(FLOW_EV_QUEUE_FULL);
	return true;
}

/* After a stale connection: everything as it was before it was sent. */
static struct flow_input
order_pick_fresh(struct exchange *x)
{
	/* One that drains gets nothing new, not even this. */
	if (atomic_load(&x->picked->draining))
		return order_pick(x);
	attempt_init(
	    &x->attempt, x, x->pool->cfg, x->fields + x->n_request_fields);
	x->paused_ms = 0;
	return exchange_event(
	    picker_again(x) ? FLOW_EV_PICKED : FLOW_EV_NONE_USABLE);
}

/* True: `in` has an event. */
static bool
order_connect(struct exchange *x, struct flow_input *in)
{
	switch (attempt_connect(&x->attempt, x->picked)) {
	case CONN_OK:
		*in = exchange_event(FLOW_EV_CONNECTED);
		return true;
	case CONN_AGAIN:
		return false;
	default:
		*in = exchange_failed(x);
		return true;
	}
}

static void
exchange_on_backoff(struct alarm *a)
{
	struct exchange *x = ALARM_OWNER(a, struct exchange, backoff);

	CHECK(exchange_ok(x));
	if (x->flow.state == FLOW_WAITING) {
		queue_look_again(x);
		return;
	}
	/* Means nothing when the deadline was first and the answer waits for a
	 * client that does not read. */
	feed(x, exchange_event(FLOW_EV_WAITED));
	if (x->flow.state != FLOW_DONE)
		deadline_arm(x);
}

static void
order_wait(struct exchange *x, uint32_t wait_ms)
{
	struct loop *l = x->from.w->loop;

	/* From when the attempt ended, not from when this turn began. */
	alarm_arm(l, &x->backoff, loop_clock(l) + wait_ms * 1000ULL);
}

/* ---- the end ---- */

/* Beyond this callback: backends that the record will name must stay.  Most
 * requests end in the callback that reports their only attempt. */
static void
hold_named(struct exchange *x)
{
	for (; x->n_named < x->n_notes; x->n_named++)
		counter_add(&x->notes[x->n_named]
				 .backend->lanes[x->from.w->index]
				 .named,
		    1);
}

static void
order_report(struct exchange *x, const struct flow_orders *o)
{
	struct attempt *a = &x->attempt;
	bool again = o->set & (FLOW_WAIT | FLOW_PICK | FLOW_PICK_FRESH);
	bool whole = o->outcome == ACCESS_OK ||
	    (o->outcome == ACCESS_STATUS && (!again || attempt_skip_body(a)));
	bool reusable = whole && a->framing.keep_alive &&
	    a->head.status != 101 && !x->terms.one_request &&
	    a->framing.body != H1_BODY_UNTIL_CLOSE && x->upload_over &&
	    !x->upload_failed;

	retrier_mark(x, o->outcome);
	record_attempt(x, o->outcome);
	attempt_end(a, reusable, &x->terms);
	if (!(o->set & FLOW_FINISH))
		hold_named(x);
	if (!again)
		return;
	retrier_rewind(x);
	if (x->facts.retry_after_ms > 0)
		x->notes[x->n_notes - 1].asked_until_ms =
		    loop_now_ms(x->from.w->loop) + x->facts.retry_after_ms;
	x->wait_since_us = loop_now_us(x->from.w->loop);
	x->why = "";
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

bool
exchange_closes(const struct exchange *x)
{
	return x->from.w->draining || x->leaving;
}

void
exchange_leave(struct exchange *x)
{
	x->leaving = true;
	/* Maybe too late for its head to say so: it sees the end then. */
	x->keep = false;
	if (x->flow.state == FLOW_START && !exchange_begun(x))
		exchange_drop(x);
}

void
exchange_let_go(struct exchange *x)
{
	struct snapshot_hold *hold = x->hold;

	CHECK(hold != NULL);
	x->hold = NULL;
	x->listener = NULL;
	x->pool = NULL;
	hold->users--;
	worker_hold_used(x->from.w, hold);
}

static void
forget_named(struct exchange *x)
{
	for (; x->n_named > 0; x->n_named--)
		counter_add(&x->notes[x->n_named - 1]
				 .backend->lanes[x->from.w->index]
				 .named,
		    (uint64_t)-1);
}

static void
leave(struct exchange *x, enum exchange_after after)
{
	struct buf *in = x->from.conn->in;

	CHECK(x->attempt.back == NULL);
	queue_leave(x);
	if (x->n_named > 0)
		forget_named(x);
	if (x->hold != NULL)
		exchange_let_go(x);
	alarm_cancel(x->from.w->loop, &x->backoff);
	x->flow.state = FLOW_DONE;
	x->timer.deadline_ms = WHEEL_NEVER;
	pump_close(&x->upload, x->from.w->loop);
	pump_close(&x->download, x->from.w->loop);
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

	if (!x->keep && x->head_done && !x->framing.keep_alive &&
	    x->upload.ended && x->flow.end != ACCESS_END_CLIENT_BAD)
		after = EXCHANGE_CLOSE_AGREED;
	/* Once anything was answered, its end must not look like the end. */
	if (aborted)
		after = x->status == 0 ? EXCHANGE_GONE : EXCHANGE_ABORT;
	record_request(x);
	leave(x, after);
}

/* Carries one step's orders out.  True: `in` has the event that came of it. */
static bool
carry_out(
    struct exchange *x, const struct flow_orders *o, struct flow_input *in)
{
	if (o->verdict != RETRY_NOT_ASKED)
		retrier_count(x, o);
	if (o->set & FLOW_REPORT)
		order_report(x, o);
	if (o->set & FLOW_ASK) {
		*in = exchange_event(
		    retrier_draw(x) ? FLOW_EV_GRANTED : FLOW_EV_DENIED);
		return true;
	}
	if (o->set & FLOW_WAIT)
		order_wait(x, o->wait_ms);
	if (o->set & FLOW_PICK) {
		*in = order_pick(x);
		return true;
	}
	if (o->set & FLOW_PICK_FRESH) {
		*in = order_pick_fresh(x);
		return true;
	}
	if (o->set & FLOW_QUEUE)
		return order_queue(x, in);
	if (o->set & FLOW_CONNECT)
		return order_connect(x, in);
	if (o->set & FLOW_SEND)
		return request_send(x, in);
	if (o->set & FLOW_COMMIT)
		return response_commit(x, in);
	if (o->set & FLOW_TUNNEL)
		return tunnel_open(x, in);
	if (o->set & FLOW_REPLY)
		return response_reply(x, o->status, in);
	if (o->set & FLOW_FINISH)
		order_finish(x, o->set & FLOW_ABORT_CLIENT);
	return false;
}

/* Tells the flow and does what it says, until nothing more follows at once.
 * Bounded: every event that an order gives moves the flow towards its end.
 * One copy, so that the orders are inlined into it (3 % of a request's
 * instructions). */
static void __attribute__((noinline))
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
	enum conn_io io;

	if (!x->from.conn->readable || !x->upload.ended)
		return false;
	/* Bounded by the room that is left in the buffer. */
	do
		io = conn_watch(x->from.conn);
	while (io == CONN_OK);
	if (io != CONN_ERROR)
		return false;
	*in = exchange_event(FLOW_EV_CLIENT_GONE);
	return true;
}

static bool
run_connecting(struct exchange *x, struct flow_input *in)
{
	switch (attempt_connected(&x->attempt)) {
	case CONN_OK:
		*in = exchange_event(FLOW_EV_CONNECTED);
		return true;
	case CONN_ERROR:
		*in = exchange_failed(x);
		return true;
	default:
		return watch_client(x, in);
	}
}

static bool
run_awaiting(struct exchange *x, struct flow_input *in)
{
	struct textbuf none = worker_scratch(x->from.w);

	/* A backend that has broken off is found out before more is taken for
	 * it than can be sent again. */
	if (!x->upload_over && x->attempt.back->conn.readable &&
	    conn_out_empty(x->from.conn) && response_read(x, in))
		return true;
	if (!x->upload_over && request_pump(x, &none, in))
		return true;
	if (conn_flush(x->from.conn) == CONN_ERROR) {
		*in = exchange_event(FLOW_EV_CLIENT_GONE);
		return true;
	}
	request_discard(x);
	/* A 1xx that the client has not taken: the rest waits behind it. */
	if (!conn_out_empty(x->from.conn))
		return watch_client(x, in);
	return watch_client(x, in) || response_read(x, in);
}

static bool
run_relaying(struct exchange *x, struct flow_input *in)
{
	struct textbuf none = worker_scratch(x->from.w);

	if (response_pump(x, &none, in))
		return true;
	none = worker_scratch(x->from.w);
	if (!x->upload_over)
		return request_pump(x, &none, in);
	request_discard(x);
	return watch_client(x, in);
}

static bool
happened(struct exchange *x, struct flow_input *in)
{
	switch (x->flow.state) {
	case FLOW_START:
		return request_read_head(x, in);
	case FLOW_WAITING:
	case FLOW_BACKING_OFF:
		return watch_client(x, in);
	case FLOW_CONNECTING:
		return run_connecting(x, in);
	case FLOW_AWAITING:
		return run_awaiting(x, in);
	case FLOW_RELAYING:
		return run_relaying(x, in);
	case FLOW_TUNNELLING:
		return tunnel_run(x, in);
	case FLOW_REPLYING:
		return response_flush(x, in);
	case FLOW_PICKING:
	case FLOW_JUDGING:
	case FLOW_DONE:
	case FLOW_STATES:
		break;
	}
	return false;
}

static void
exchange_run(struct exchange *x)
{
	struct flow_input in;

	CHECK(exchange_ok(x));
	if (happened(x, &in))
		feed(x, in);
	if (x->flow.state != FLOW_DONE)
		deadline_progress(x);
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
exchange_hurry(struct exchange *x)
{
	if (x->flow.state != FLOW_START)
		return;
	if (exchange_begun(x))
		exchange_shut_down(x);
	else
		exchange_drop(x);
}

void
exchange_woken(struct exchange *x)
{
	CHECK(exchange_ok(x) && x->flow.state == FLOW_WAITING);
	feed(x, exchange_event(FLOW_EV_WOKEN));
	if (x->flow.state != FLOW_DONE)
		deadline_arm(x);
}

void
exchange_shut_down(struct exchange *x)
{
	feed(x, exchange_event(FLOW_EV_SHUTDOWN));
}

static void
exchange_on_timer(struct wheel_timer *t, uint64_t now_ms)
{
	struct exchange *x = (struct exchange *)(void *)((char *)t -
	    offsetof(struct exchange, timer));
	struct flow_input in;

	CHECK(exchange_ok(x));
	if (!deadline_expired(x, now_ms, &in))
		return;
	/* Empty lines and no request: the connection was idle. */
	if (x->flow.state == FLOW_START && !exchange_begun(x)) {
		exchange_drop(x);
		return;
	}
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
	alarm_init(&x->backoff, exchange_on_backoff);
	loop_task_init(&x->grave, exchange_free);
	return x;
}

_Static_assert(EXCHANGE_ID_BYTES == 2 * NUM_HEX_DIGITS,
    "a request id is the worker's half and one of its own");

static void
make_id(struct exchange *x)
{
	struct worker *w = x->from.w;

	x->id_len = EXCHANGE_ID_BYTES;
	x->client = span_make(x->from.peer->text, x->from.peer->text_len);
	memcpy(x->id, w->id_prefix, sizeof(w->id_prefix));
	num_put_hex_padded(x->id + sizeof(w->id_prefix), rng_next(&w->rng));
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
	list_init(&x->waiting);
	x->queued_us = 0;
	x->head_off = 0;
	x->head_done = x->continued = x->uploading = false;
	x->upload_over = x->upload_failed = x->leaving = false;
	x->keep = x->close_delimited = false;
	x->status = 0;
	x->reply_bytes = 0;
	x->why = "";
	x->n_notes = x->n_named = 0;
	x->framing = (struct h1_framing){0};
	x->upload = x->download = (struct pump){0};
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
	x->hold = w->hold;
	x->hold->users++;
	x->listener = snapshot_listener_of(w->snapshot, from->front);
	CHECK(x->listener != NULL);
	reset(x, from);
	make_id(x);
	x->start_us = loop_now_us(w->loop);
	x->progress_ms = x->start_us / 1000;
	x->head_deadline_ms = 0;
	x->mark = (struct exchange_mark){.bytes = from->conn->bytes_in};
	x->bytes_in_before = record_bytes_in(from->conn);
	x->bytes_out_before = from->conn->bytes_out;
	counter_add(&w->stats.requests, 1);
	return x;
}
