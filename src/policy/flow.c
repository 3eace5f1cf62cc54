#include "evenkeel/policy/flow.h"

#include "evenkeel/base/check.h"

#define NOTHING ((struct flow_orders){.set = 0})

bool
flow_ok(const struct flow *f)
{
	return f->state < FLOW_STATES && f->end < ACCESS_ENDS;
}

void
flow_init(struct flow *f)
{
	*f = (struct flow){.state = FLOW_START, .end = ACCESS_END_OK};
}

static struct flow_orders
go(struct flow *f, enum flow_state next, unsigned set)
{
	f->state = next;
	return (struct flow_orders){
	    .set = set, .outcome = ACCESS_OK, .end = f->end};
}

/* Answer with `status` ourselves. */
static struct flow_orders
reply(struct flow *f, unsigned status, enum access_end end, unsigned more)
{
	struct flow_orders o;

	f->end = end;
	o = go(f, FLOW_REPLYING, more | FLOW_REPLY);
	o.status = status;
	return o;
}

/* The client is beyond an answer. */
static struct flow_orders
finish(struct flow *f, enum access_end end, unsigned more)
{
	f->end = end;
	return go(f, FLOW_DONE, more | FLOW_FINISH);
}

static struct flow_orders
reported(struct flow_orders o, enum access_outcome outcome)
{
	o.set |= FLOW_REPORT;
	o.outcome = outcome;
	return o;
}

/* What the client gets when the last attempt ended without a response. */
static unsigned
status_of(enum access_outcome outcome)
{
	/* RFC 9110 15.6.5: 504 for a backend that did not answer in time. */
	return outcome == ACCESS_CONNECT_TIMEOUT || outcome == ACCESS_TIMEOUT
	    ? 504
	    : 502;
}

static enum access_end
end_of(enum access_outcome outcome)
{
	return status_of(outcome) == 504 ? ACCESS_END_BACKEND_SLOW
					 : ACCESS_END_BACKEND_FAILED;
}

static struct flow_orders
on_failed(struct flow *f, const struct flow_input *in)
{
	enum access_outcome outcome = in->outcome;

	if (outcome == ACCESS_STALE && f->stale_replaced)
		outcome = ACCESS_RESET;
	/* RFC 9112 9.3.1: a connection may be closed by the backend just when
	 * it is used again; that says nothing about the backend. */
	if (outcome == ACCESS_STALE && in->resendable) {
		f->stale_replaced = true;
		return reported(go(f, FLOW_PICKING, FLOW_PICK_FRESH), outcome);
	}
	return reported(
	    reply(f, status_of(outcome), end_of(outcome), 0), outcome);
}

/* Events that end a request in any state before the commit. */
static struct flow_orders
ended_early(struct flow *f, const struct flow_input *in)
{
	switch (in->event) {
	case FLOW_EV_CLIENT_BAD:
		return reply(f, in->status, ACCESS_END_CLIENT_BAD, 0);
	case FLOW_EV_CLIENT_SLOW:
		return reply(f, 408, ACCESS_END_CLIENT_SLOW, 0);
	case FLOW_EV_CLIENT_GONE:
		return finish(f, ACCESS_END_CLIENT_GONE, FLOW_ABORT_CLIENT);
	case FLOW_EV_DEADLINE:
		return reply(f, 504, ACCESS_END_BACKEND_SLOW, 0);
	case FLOW_EV_SHUTDOWN:
		return reply(f, 503, ACCESS_END_SHUTDOWN, 0);
	case FLOW_EV_NO_MEMORY:
		return reply(f, 503, ACCESS_END_INTERNAL, 0);
	default:
		return NOTHING;
	}
}

static struct flow_orders
in_start(struct flow *f, const struct flow_input *in)
{
	switch (in->event) {
	case FLOW_EV_ROUTED:
		return go(f, FLOW_PICKING, FLOW_PICK);
	case FLOW_EV_NO_ROUTE:
		return reply(f, 404, ACCESS_END_NO_ROUTE, 0);
	default:
		return ended_early(f, in);
	}
}

static struct flow_orders
in_picking(struct flow *f, const struct flow_input *in)
{
	switch (in->event) {
	case FLOW_EV_PICKED:
		return go(f, FLOW_CONNECTING, FLOW_CONNECT);
	case FLOW_EV_LEASED:
		return go(f, FLOW_AWAITING, FLOW_SEND);
	case FLOW_EV_NONE_USABLE:
		return go(f, FLOW_WAITING, FLOW_QUEUE);
	default:
		return ended_early(f, in);
	}
}

static struct flow_orders
in_waiting(struct flow *f, const struct flow_input *in)
{
	switch (in->event) {
	case FLOW_EV_WOKEN:
		return go(f, FLOW_PICKING, FLOW_PICK);
	case FLOW_EV_QUEUE_FULL:
	case FLOW_EV_QUEUE_TIMEOUT:
		return reply(f, 503, ACCESS_END_NO_BACKEND, 0);
	default:
		return ended_early(f, in);
	}
}

/* While an attempt is under way, its end is reported with the request's. */
static struct flow_orders
attempt_ended(struct flow *f, const struct flow_input *in)
{
	struct flow_orders o = ended_early(f, in);

	if (o.set == 0)
		return o;
	return reported(o,
	    in->event == FLOW_EV_DEADLINE ? ACCESS_TIMEOUT : ACCESS_CANCELLED);
}

static struct flow_orders
in_connecting(struct flow *f, const struct flow_input *in)
{
	switch (in->event) {
	case FLOW_EV_CONNECTED:
		return go(f, FLOW_AWAITING, FLOW_SEND);
	case FLOW_EV_FAILED:
		return on_failed(f, in);
	case FLOW_EV_DEADLINE:
		return reported(reply(f, 504, ACCESS_END_BACKEND_SLOW, 0),
		    ACCESS_CONNECT_TIMEOUT);
	default:
		return attempt_ended(f, in);
	}
}

static struct flow_orders
in_awaiting(struct flow *f, const struct flow_input *in)
{
	switch (in->event) {
	case FLOW_EV_HEAD:
		f->end = ACCESS_END_OK;
		return go(f, FLOW_RELAYING, FLOW_COMMIT);
	case FLOW_EV_SWITCHED:
		f->end = ACCESS_END_OK;
		return go(f, FLOW_TUNNELLING, FLOW_TUNNEL);
	case FLOW_EV_FAILED:
		return on_failed(f, in);
	default:
		return attempt_ended(f, in);
	}
}

/* Committed: the only way out of trouble is to break the client off, so that
 * a truncated response never looks complete (RFC 9112 8). */
static struct flow_orders
break_off(struct flow *f, enum access_end end, enum access_outcome outcome)
{
	return reported(finish(f, end, FLOW_ABORT_CLIENT), outcome);
}

static struct flow_orders
in_relaying(struct flow *f, const struct flow_input *in)
{
	switch (in->event) {
	case FLOW_EV_RELAYED:
		return reported(go(f, FLOW_DONE, FLOW_FINISH), ACCESS_OK);
	case FLOW_EV_BROKE_OFF:
		return break_off(f, ACCESS_END_BACKEND_BROKE_OFF, ACCESS_RESET);
	case FLOW_EV_STALLED:
		return break_off(f, ACCESS_END_BACKEND_SLOW, ACCESS_TIMEOUT);
	case FLOW_EV_CLIENT_BAD:
		return break_off(f, ACCESS_END_CLIENT_BAD, ACCESS_CANCELLED);
	case FLOW_EV_CLIENT_SLOW:
		return break_off(f, ACCESS_END_CLIENT_SLOW, ACCESS_CANCELLED);
	case FLOW_EV_CLIENT_GONE:
		return break_off(f, ACCESS_END_CLIENT_GONE, ACCESS_CANCELLED);
	case FLOW_EV_SHUTDOWN:
		return break_off(f, ACCESS_END_SHUTDOWN, ACCESS_CANCELLED);
	case FLOW_EV_NO_MEMORY:
		return break_off(f, ACCESS_END_INTERNAL, ACCESS_CANCELLED);
	default:
		return NOTHING;
	}
}

/* A tunnel has no end of its own: one that has been silent for long enough is
 * closed, and that is no failure of anybody. */
static struct flow_orders
in_tunnelling(struct flow *f, const struct flow_input *in)
{
	if (in->event == FLOW_EV_STALLED)
		return reported(finish(f, ACCESS_END_OK, 0), ACCESS_OK);
	return in_relaying(f, in);
}

static struct flow_orders
in_replying(struct flow *f, const struct flow_input *in)
{
	switch (in->event) {
	case FLOW_EV_REPLIED:
		return go(f, FLOW_DONE, FLOW_FINISH);
	/* The answer cannot be delivered; how the request ended stays. */
	case FLOW_EV_CLIENT_GONE:
	case FLOW_EV_CLIENT_SLOW:
	case FLOW_EV_SHUTDOWN:
	case FLOW_EV_NO_MEMORY:
		return go(f, FLOW_DONE, FLOW_ABORT_CLIENT | FLOW_FINISH);
	default:
		return NOTHING;
	}
}

struct flow_orders
flow_step(struct flow *f, const struct flow_input *in)
{
	CHECK(flow_ok(f) && in->event < FLOW_EVENTS);
	switch (f->state) {
	case FLOW_START:
		return in_start(f, in);
	case FLOW_PICKING:
		return in_picking(f, in);
	case FLOW_WAITING:
		return in_waiting(f, in);
	case FLOW_CONNECTING:
		return in_connecting(f, in);
	case FLOW_AWAITING:
		return in_awaiting(f, in);
	case FLOW_RELAYING:
		return in_relaying(f, in);
	case FLOW_TUNNELLING:
		return in_tunnelling(f, in);
	case FLOW_REPLYING:
		return in_replying(f, in);
	case FLOW_DONE:
	case FLOW_STATES:
		break;
	}
	return NOTHING;
}
