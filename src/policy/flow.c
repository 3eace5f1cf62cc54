#include "evenkeel/policy/flow.h"

#include "evenkeel/base/check.h"

#define NOTHING ((struct flow_orders){.set = 0, .verdict = RETRY_NOT_ASKED})

bool
flow_ok(const struct flow *f)
{
	return f->state < FLOW_STATES && f->end < ACCESS_ENDS &&
	    f->outcome < ACCESS_OUTCOMES && f->retries <= RETRY_ATTEMPTS_MAX;
}

void
flow_init(struct flow *f)
{
	*f = (struct flow){.state = FLOW_START, .end = ACCESS_END_OK};
}

void
flow_set_policy(struct flow *f, const struct retry_policy *p)
{
	f->policy = p;
}

static struct flow_orders
go(struct flow *f, enum flow_state next, unsigned set)
{
	f->state = next;
	return (struct flow_orders){.set = set,
	    .outcome = ACCESS_OK,
	    .end = f->end,
	    .verdict = RETRY_NOT_ASKED};
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

/* The attempt was the last: its response is passed on, or ours stands for
 * it. */
static struct flow_orders
give_up(struct flow *f, enum retry_verdict verdict)
{
	struct flow_orders o;

	if (f->outcome == ACCESS_STATUS) {
		f->end = ACCESS_END_OK;
		o = go(f, FLOW_RELAYING, FLOW_COMMIT);
	} else {
		o = reported(
		    reply(f, status_of(f->outcome), end_of(f->outcome), 0),
		    f->outcome);
	}
	o.verdict = verdict;
	return o;
}

static struct flow_orders
try_again(struct flow *f)
{
	struct flow_orders o = f->wait_ms > 0
	    ? go(f, FLOW_BACKING_OFF, FLOW_WAIT)
	    : go(f, FLOW_PICKING, FLOW_PICK);

	f->retries++;
	o = reported(o, f->outcome);
	o.wait_ms = f->wait_ms;
	o.verdict = RETRY_YES;
	o.cause = f->cause;
	return o;
}

/* An attempt has failed with f->outcome: again, or not? */
static struct flow_orders
judge(struct flow *f, const struct flow_input *in)
{
	struct retry_facts facts;
	struct retry_decision d;

	if (f->policy == NULL)
		return give_up(f, RETRY_NOT_ASKED);
	facts = *in->facts;
	facts.outcome = f->outcome;
	facts.status = in->status;
	facts.retries = f->retries;
	d = retry_decide(f->policy, &facts);
	if (d.verdict != RETRY_YES)
		return give_up(f, d.verdict);
	f->cause = d.cause;
	f->wait_ms = d.wait_ms;
	return d.free ? try_again(f) : go(f, FLOW_JUDGING, FLOW_ASK);
}

static struct flow_orders
on_failed(struct flow *f, const struct flow_input *in)
{
	f->outcome = in->outcome;
	if (f->outcome != ACCESS_STALE)
		return judge(f, in);
	if (f->stale_replaced) {
		f->outcome = ACCESS_RESET;
		return judge(f, in);
	}
	if (!in->resendable && f->policy == NULL)
		return give_up(f, RETRY_NOT_ASKED);
	if (!in->resendable)
		return give_up(f,
		    in->facts->replayable ? RETRY_NOT_IDEMPOTENT : RETRY_BODY);
	/* RFC 9112 9.3.1: a connection may be closed by the backend just when
	 * it is used again; that says nothing about the backend. */
	f->stale_replaced = true;
	return reported(go(f, FLOW_PICKING, FLOW_PICK_FRESH), ACCESS_STALE);
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
	case FLOW_EV_REDIRECTED:
		return reply(f, in->status, ACCESS_END_OK, 0);
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
		f->outcome = ACCESS_OK;
		return go(f, FLOW_RELAYING, FLOW_COMMIT);
	case FLOW_EV_BAD_HEAD:
		f->outcome = ACCESS_STATUS;
		return judge(f, in);
	case FLOW_EV_SWITCHED:
		f->end = ACCESS_END_OK;
		f->outcome = ACCESS_OK;
		return go(f, FLOW_TUNNELLING, FLOW_TUNNEL);
	case FLOW_EV_FAILED:
		return on_failed(f, in);
	default:
		return attempt_ended(f, in);
	}
}

static struct flow_orders
in_judging(struct flow *f, const struct flow_input *in)
{
	switch (in->event) {
	case FLOW_EV_GRANTED:
		return try_again(f);
	case FLOW_EV_DENIED:
		return give_up(f, RETRY_BUDGET);
	default:
		return attempt_ended(f, in);
	}
}

static struct flow_orders
in_backing_off(struct flow *f, const struct flow_input *in)
{
	if (in->event == FLOW_EV_WAITED)
		return go(f, FLOW_PICKING, FLOW_PICK);
	return ended_early(f, in);
}

/* Committed: the only way out of trouble is to break the client off, so that
 * a truncated response never looks complete (RFC 9112 8). */
static struct flow_orders
break_off(struct flow *f, enum access_end end, enum access_outcome outcome)
{
	return reported(finish(f, end, FLOW_ABORT_CLIENT), outcome);
}

/* The backend's fault, and too late to try another. */
static struct flow_orders
backend_broke_off(
    struct flow *f, enum access_end end, enum access_outcome outcome)
{
	struct flow_orders o = break_off(f, end, outcome);

	o.verdict = RETRY_COMMITTED;
	return o;
}

static struct flow_orders
in_relaying(struct flow *f, const struct flow_input *in)
{
	switch (in->event) {
	case FLOW_EV_RELAYED:
		return reported(go(f, FLOW_DONE, FLOW_FINISH), f->outcome);
	case FLOW_EV_BROKE_OFF:
		return backend_broke_off(
		    f, ACCESS_END_BACKEND_BROKE_OFF, ACCESS_RESET);
	case FLOW_EV_STALLED:
		return backend_broke_off(
		    f, ACCESS_END_BACKEND_SLOW, ACCESS_TIMEOUT);
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
	case FLOW_JUDGING:
		return in_judging(f, in);
	case FLOW_BACKING_OFF:
		return in_backing_off(f, in);
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
