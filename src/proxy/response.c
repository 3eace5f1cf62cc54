#include "evenkeel/proxy/response.h"

#include "evenkeel/proxy/reply.h"
#include "evenkeel/proxy/request.h"
#include "evenkeel/proxy/retrier.h"
#include "evenkeel/proxy/worker.h"

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
		x->continued |= a->head.status == 100;
	}
	attempt_interim_done(a);
	*in = exchange_event(FLOW_EV_CLIENT_GONE);
	return io == CONN_ERROR;
}

static struct flow_input
final_head(struct exchange *x)
{
	unsigned status = x->attempt.head.status;

	if (!retry_on_status(&x->pool->retry, status))
		return (struct flow_input){
		    .event = FLOW_EV_HEAD, .status = status};
	return (struct flow_input){.event = FLOW_EV_BAD_HEAD,
	    .status = status,
	    .facts = retrier_facts(x)};
}

bool
response_read(struct exchange *x, struct flow_input *in)
{
	struct attempt *a = &x->attempt;

	for (;;) {
		switch (attempt_read_head(a, (enum h1_method)x->head.method)) {
		case ATTEMPT_HEAD_MORE:
			/* Nothing more can be sent, and no answer came. */
			if (!x->upload_failed)
				return false;
			attempt_send_failed(a);
			*in = exchange_failed(x);
			return true;
		case ATTEMPT_HEAD_INTERIM:
			if (pass_interim(x, in))
				return true;
			if (!conn_out_empty(x->from.conn))
				return false;
			break;
		case ATTEMPT_HEAD_FINAL:
			*in = final_head(x);
			return true;
		case ATTEMPT_HEAD_SWITCHED:
			*in = exchange_event(FLOW_EV_SWITCHED);
			return true;
		case ATTEMPT_HEAD_FAILED:
			*in = exchange_failed(x);
			return true;
		}
	}
}

static bool
download_stopped(struct exchange *x, struct flow_input *in)
{
	switch (x->download_state) {
	case PUMP_DONE:
		*in = exchange_event(FLOW_EV_RELAYED);
		return true;
	case PUMP_MALFORMED:
		x->why = h1_error_text((enum h1_error)x->download.body.error);
		*in = exchange_event(FLOW_EV_BROKE_OFF);
		return true;
	case PUMP_TRUNCATED:
	case PUMP_SOURCE_ERROR:
	case PUMP_TOO_LARGE:
		*in = exchange_event(FLOW_EV_BROKE_OFF);
		return true;
	case PUMP_SINK_ERROR:
		*in = exchange_event(FLOW_EV_CLIENT_GONE);
		return true;
	case PUMP_NO_MEMORY:
		*in = exchange_event(FLOW_EV_NO_MEMORY);
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

bool
response_pump(struct exchange *x, struct textbuf *head, struct flow_input *in)
{
	x->download_state =
	    pump_run(&x->download, &x->attempt.back->conn, x->from.conn, head);
	return download_stopped(x, in);
}

bool
response_commit(struct exchange *x, struct flow_input *in)
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
	x->keep = x->framing.keep_alive && !exchange_closes(x) &&
	    !x->close_delimited && x->upload.ended;
	how.connection = connection_field(x);
	if (x->listener->cfg->request_id == CFG_REQUEST_ID_BOTH)
		how.request_id = exchange_id(x);
	exchange_let_go(x);
	x->status = a->head.status;
	h1_forward_response(
	    &head, &a->head, attempt_head_base(a), &a->framing, &how);
	CHECK(!head.full);
	attempt_head_done(a);
	pump_init(&x->download, &a->framing, how.chunked, how.chunked);
	x->progress_ms = loop_now_ms(x->from.w->loop);
	return response_pump(x, &head, in);
}

bool
response_flush(struct exchange *x, struct flow_input *in)
{
	switch (conn_flush(x->from.conn)) {
	case CONN_OK:
		*in = exchange_event(FLOW_EV_REPLIED);
		return true;
	case CONN_ERROR:
		*in = exchange_event(FLOW_EV_CLIENT_GONE);
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

/* Appends an answer; returns the bytes of its body. */
static size_t
put_reply(const struct exchange *x, struct textbuf *out)
{
	struct reply r = {.status = x->status,
	    .id = exchange_id(x),
	    .why = span_of(x->why),
	    .error = reply_error(x->flow.end, last_outcome(x)),
	    .connection = connection_field(x),
	    .head_only = x->head.method == H1_METHOD_HEAD};

	if (x->from.peer->misplaced && x->head_done) {
		r.https_only = true;
		r.host = h1_span(x->framing.host, request_base(x));
	}
	return reply_put(out, &r);
}

/* The same for one whose only fault is that it came over plain HTTP. */
static size_t
put_redirect(const struct exchange *x, uint16_t port, struct textbuf *out)
{
	const struct redirect location =
	    redirect_make(&x->head, request_base(x), &x->framing, port);

	return reply_put(out,
	    &(struct reply){.status = x->status,
		.id = exchange_id(x),
		.why = SPAN("see Location, over https"),
		.location = &location,
		.connection = connection_field(x),
		.head_only = x->head.method == H1_METHOD_HEAD});
}

bool
response_reply(struct exchange *x, unsigned status, struct flow_input *in)
{
	struct textbuf out = worker_scratch(x->from.w);
	bool redirected = x->flow.end == ACCESS_END_OK;
	uint16_t port = redirected ? x->listener->cfg->redirect_port : 0;
	enum conn_io io;

	x->keep = x->head_done && x->framing.keep_alive && x->upload.ended &&
	    !exchange_closes(x) && x->flow.end != ACCESS_END_CLIENT_BAD;
	if (x->hold != NULL)
		exchange_let_go(x);
	x->status = status;
	x->progress_ms = loop_now_ms(x->from.w->loop);
	x->reply_bytes =
	    redirected ? put_redirect(x, port, &out) : put_reply(x, &out);
	CHECK(!out.full);
	io = conn_write(x->from.conn, textbuf_span(&out));
	if (io == CONN_OK)
		return response_flush(x, in);
	*in = exchange_event(
	    io == CONN_ERROR ? FLOW_EV_CLIENT_GONE : FLOW_EV_NO_MEMORY);
	return true;
}
