#include "evenkeel/proxy/deadline.h"

#include "evenkeel/base/num.h"
#include "evenkeel/net/conn_tls.h"
#include "evenkeel/proxy/request.h"
#include "evenkeel/proxy/worker.h"

static uint64_t
request_deadline(const struct exchange *x)
{
	return x->uploading ? WHEEL_NEVER : x->request_deadline_ms;
}

enum wait {
	WAIT_CLIENT_SENDS,
	WAIT_CLIENT_TAKES,
	WAIT_BACKEND_SENDS,
	WAIT_BACKEND_TAKES,
	WAIT_ANYBODY /* a tunnel */
};

static enum wait
awaiting_for(const struct exchange *x)
{
	if (!conn_out_empty(x->from.conn))
		return WAIT_CLIENT_TAKES; /* a 1xx */
	if (x->upload_over || request_awaits_continue(x))
		return WAIT_BACKEND_SENDS;
	return x->upload_state == PUMP_WANT_SOURCE ? WAIT_CLIENT_SENDS
						   : WAIT_BACKEND_TAKES;
}

/* Whose turn it is: only what they do counts as progress. */
static enum wait
waits_for(const struct exchange *x)
{
	switch (x->flow.state) {
	case FLOW_AWAITING:
		return awaiting_for(x);
	case FLOW_RELAYING:
		return x->download_state == PUMP_WANT_SINK ? WAIT_CLIENT_TAKES
							   : WAIT_BACKEND_SENDS;
	case FLOW_TUNNELLING:
		return WAIT_ANYBODY;
	case FLOW_REPLYING:
		return WAIT_CLIENT_TAKES;
	case FLOW_CONNECTING:
		return WAIT_BACKEND_SENDS;
	default:
		return WAIT_CLIENT_SENDS;
	}
}

static uint64_t
came(const struct conn *c)
{
	return conn_is_secure(c) ? conn_wire_in(c) : c->bytes_in;
}

static uint64_t
went(const struct conn *c)
{
	return conn_is_secure(c) ? conn_wire_out(c) : c->bytes_out;
}

static struct exchange_mark
mark_now(const struct exchange *x)
{
	enum wait who = waits_for(x);
	const struct back *back = x->attempt.back;
	struct exchange_mark m = {.who = who};

	if (who == WAIT_ANYBODY)
		m.bytes = came(x->from.conn) + went(x->from.conn);
	else if (who == WAIT_CLIENT_SENDS)
		/* Before a head begins, what carries nothing is none. */
		m.bytes = x->flow.state == FLOW_START ? x->from.conn->bytes_in
						      : came(x->from.conn);
	else if (who == WAIT_CLIENT_TAKES)
		m.bytes = went(x->from.conn);
	else if (back != NULL)
		m.bytes = who == WAIT_BACKEND_SENDS ? came(&back->conn)
						    : went(&back->conn);
	return m;
}

/* Of attempt_timeout. */
static uint64_t
whole_deadline(const struct exchange *x)
{
	uint32_t limit_ms = x->pool->cfg->attempt_timeout_ms;

	return limit_ms == 0 || x->uploading
	    ? WHEEL_NEVER
	    : x->attempt.start_us / 1000 + x->paused_ms + limit_ms;
}

/* Of the limits on single waits. */
static uint64_t
part_deadline(const struct exchange *x)
{
	const struct cfg_pool *cfg = x->pool->cfg;

	if (x->flow.state == FLOW_CONNECTING)
		return x->attempt.start_us / 1000 + cfg->connect_timeout_ms;
	switch (waits_for(x)) {
	case WAIT_CLIENT_SENDS:
		return x->progress_ms + x->body_timeout_ms;
	case WAIT_CLIENT_TAKES:
		return x->progress_ms + x->send_timeout_ms;
	case WAIT_BACKEND_TAKES:
		return x->progress_ms + cfg->response_timeout_ms;
	case WAIT_BACKEND_SENDS:
	case WAIT_ANYBODY:
		break;
	}
	/* In total, from the last byte of the request that was sent. */
	return (x->upload_over ? x->attempt.sent_us : x->attempt.connected_us) /
	    1000 +
	    cfg->response_timeout_ms;
}

/* conn.h: a reset may hide behind the request's last bytes.  Nobody reads on
 * here, so the socket is asked once when the answer takes longer. */
static bool
wants_probe(const struct exchange *x)
{
	return x->from.conn->unsure && x->upload.ended &&
	    x->flow.state != FLOW_START && x->flow.state != FLOW_REPLYING &&
	    x->flow.state != FLOW_TUNNELLING;
}

static uint64_t
queue_deadline(const struct exchange *x)
{
	return x->queued_us / 1000 + x->pool->cfg->queue_timeout_ms;
}

static uint64_t
limit_of(const struct exchange *x)
{
	switch (x->flow.state) {
	case FLOW_START:
		return x->head_deadline_ms != 0
		    ? x->head_deadline_ms
		    : x->progress_ms + x->listener->cfg->idle_timeout_ms;
	case FLOW_WAITING:
		return num_min_u64(queue_deadline(x), request_deadline(x));
	case FLOW_BACKING_OFF:
		return request_deadline(x);
	case FLOW_CONNECTING:
	case FLOW_AWAITING:
		return num_min_u64(
		    num_min_u64(part_deadline(x), whole_deadline(x)),
		    request_deadline(x));
	case FLOW_RELAYING:
		return x->progress_ms +
		    (x->download_state == PUMP_WANT_SINK
			    ? x->send_timeout_ms
			    : x->stream_timeout_ms);
	case FLOW_TUNNELLING:
		return x->progress_ms + x->stream_timeout_ms;
	case FLOW_REPLYING:
		return x->progress_ms + x->send_timeout_ms;
	case FLOW_PICKING:
	case FLOW_JUDGING:
	case FLOW_DONE:
	case FLOW_STATES:
		break;
	}
	return WHEEL_NEVER;
}

static uint64_t
next_deadline(const struct exchange *x)
{
	uint64_t limit = limit_of(x);

	if (!wants_probe(x))
		return limit;
	return num_min_u64(limit, x->progress_ms + WHEEL_TICK_MS);
}

static void
arm(struct exchange *x, struct exchange_mark now)
{
	x->mark = now;
	loop_arm(x->from.w->loop, &x->timer, next_deadline(x));
}

void
deadline_arm(struct exchange *x)
{
	arm(x, mark_now(x));
}

void
deadline_progress(struct exchange *x)
{
	struct exchange_mark now = mark_now(x);

	if (now.who != x->mark.who || now.bytes != x->mark.bytes)
		x->progress_ms = loop_now_ms(x->from.w->loop);
	arm(x, now);
}

void
deadline_upload_begins(struct exchange *x)
{
	if (x->uploading)
		return;
	x->uploading = true;
	x->upload_since_ms = loop_now_ms(x->from.w->loop);
}

void
deadline_upload_ends(struct exchange *x)
{
	uint64_t paused_ms;

	if (!x->uploading)
		return;
	x->uploading = false;
	paused_ms = loop_now_ms(x->from.w->loop) - x->upload_since_ms;
	x->request_deadline_ms += paused_ms;
	x->paused_ms += paused_ms;
}

static void
attempt_failed(struct exchange *x, enum access_outcome outcome, const char *why,
    struct flow_input *in)
{
	x->attempt.outcome = outcome;
	x->attempt.why = why;
	*in = exchange_failed(x);
}

/* `in` is CLIENT_SLOW unless it is said otherwise. */
static void
awaiting_expired(struct exchange *x, uint64_t now_ms, struct flow_input *in)
{
	if (now_ms >= request_deadline(x)) {
		in->event = FLOW_EV_DEADLINE;
		x->why = "no response within request_timeout";
		return;
	}
	if (now_ms >= whole_deadline(x)) {
		attempt_failed(x, ACCESS_TIMEOUT,
		    "no response within attempt_timeout", in);
		return;
	}
	switch (waits_for(x)) {
	case WAIT_CLIENT_SENDS:
		x->why = "no byte of the request body within body_timeout";
		break;
	case WAIT_CLIENT_TAKES:
		x->why = "client took no byte within send_timeout";
		break;
	case WAIT_BACKEND_SENDS:
		attempt_failed(x, ACCESS_TIMEOUT,
		    "backend sent no response head within response_timeout",
		    in);
		break;
	case WAIT_ANYBODY:
	case WAIT_BACKEND_TAKES:
		attempt_failed(x, ACCESS_TIMEOUT,
		    "backend took no byte of the request within "
		    "response_timeout",
		    in);
		break;
	}
}

static void
connecting_expired(struct exchange *x, uint64_t now_ms, struct flow_input *in)
{
	if (now_ms >= request_deadline(x)) {
		in->event = FLOW_EV_DEADLINE;
		x->why = "no connection to a backend within request_timeout";
		return;
	}
	attempt_failed(x, ACCESS_CONNECT_TIMEOUT,
	    now_ms >= whole_deadline(x)
		? "no connection to the backend within attempt_timeout"
		: "no connection to the backend within connect_timeout",
	    in);
}

bool
deadline_expired(struct exchange *x, uint64_t now_ms, struct flow_input *in)
{
	if (wants_probe(x) && conn_watch(x->from.conn) == CONN_ERROR) {
		*in = (struct flow_input){.event = FLOW_EV_CLIENT_GONE};
		return true;
	}
	if (limit_of(x) > now_ms) {
		deadline_arm(x);
		return false;
	}
	*in = (struct flow_input){.event = FLOW_EV_CLIENT_SLOW};
	switch (x->flow.state) {
	case FLOW_START:
		x->why = "request head not complete within header_timeout";
		return true;
	case FLOW_WAITING:
		in->event = now_ms >= request_deadline(x)
		    ? FLOW_EV_DEADLINE
		    : FLOW_EV_QUEUE_TIMEOUT;
		x->why = "no backend became usable in time";
		return true;
	case FLOW_BACKING_OFF:
		in->event = FLOW_EV_DEADLINE;
		x->why = "no response within request_timeout";
		return true;
	case FLOW_CONNECTING:
		connecting_expired(x, now_ms, in);
		return true;
	case FLOW_AWAITING:
		awaiting_expired(x, now_ms, in);
		return true;
	case FLOW_RELAYING:
		x->why = "client took no byte within send_timeout";
		if (x->download_state == PUMP_WANT_SINK)
			return true;
		in->event = FLOW_EV_STALLED;
		x->why = "backend sent no byte of the response within "
			 "stream_timeout";
		return true;
	case FLOW_TUNNELLING:
		in->event = FLOW_EV_STALLED;
		x->why = "the tunnel was silent for stream_timeout";
		return true;
	case FLOW_REPLYING:
		return true;
	case FLOW_PICKING:
	case FLOW_JUDGING:
	case FLOW_DONE:
	case FLOW_STATES:
		break;
	}
	return false;
}
