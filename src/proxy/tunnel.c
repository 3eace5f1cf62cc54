#include "evenkeel/proxy/tunnel.h"

#include "evenkeel/http/forward.h"
#include "evenkeel/proxy/worker.h"

/* One direction.  True: the tunnel has failed, `state` says how. */
static bool
move(struct pump *p, enum pump_result *state, struct conn *from,
    struct conn *to, struct textbuf *head)
{
	/* The word of TLS that it has ended may wait for room. */
	if (p->discard) {
		(void)!conn_flush(to);
		return false;
	}
	*state = pump_run(p, from, to, head);
	switch (*state) {
	case PUMP_DONE:
		/* The end is passed on; the other direction goes on. */
		conn_shutdown(to);
		p->discard = true;
		return false;
	case PUMP_YIELD:
		conn_again(from);
		return false;
	case PUMP_WANT_SOURCE:
	case PUMP_WANT_SINK:
		return false;
	default:
		return true;
	}
}

/* Which side a direction failed on. */
static struct flow_input
failure(enum pump_result state, bool client_sends)
{
	if (state == PUMP_NO_MEMORY)
		return exchange_event(FLOW_EV_NO_MEMORY);
	if ((state == PUMP_SOURCE_ERROR) == client_sends)
		return exchange_event(FLOW_EV_CLIENT_GONE);
	return exchange_event(FLOW_EV_BROKE_OFF);
}

static bool
run(struct exchange *x, struct textbuf *head, struct flow_input *in)
{
	struct conn *front = x->from.conn, *back = &x->attempt.back->conn;
	struct textbuf none;

	if (move(&x->download, &x->download_state, back, front, head)) {
		*in = failure(x->download_state, false);
		return true;
	}
	none = worker_scratch(x->from.w);
	if (move(&x->upload, &x->upload_state, front, back, &none)) {
		*in = failure(x->upload_state, true);
		return true;
	}
	*in = exchange_event(FLOW_EV_RELAYED);
	return x->download.discard && x->upload.discard;
}

bool
tunnel_open(struct exchange *x, struct flow_input *in)
{
	static const struct h1_framing bytes = {.body = H1_BODY_UNTIL_CLOSE};
	struct attempt *a = &x->attempt;
	struct textbuf head = worker_scratch(x->from.w);
	const struct h1_forward_response how = {.upgrade = true};

	x->keep = false;
	exchange_let_go(x);
	x->status = a->head.status;
	h1_forward_response(
	    &head, &a->head, attempt_head_base(a), &a->framing, &how);
	CHECK(!head.full);
	attempt_head_done(a);
	pump_init(&x->download, &bytes, false, false);
	pump_init(&x->upload, &bytes, false, false);
	/* What goes through has its own way to say that it is over. */
	x->download.loose = x->upload.loose = true;
	x->progress_ms = loop_now_ms(x->from.w->loop);
	return run(x, &head, in);
}

bool
tunnel_run(struct exchange *x, struct flow_input *in)
{
	struct textbuf none = worker_scratch(x->from.w);

	return run(x, &none, in);
}
