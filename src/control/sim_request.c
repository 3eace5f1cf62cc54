#include "evenkeel/control/sim_request.h"

#include "evenkeel/base/num.h"
#include "evenkeel/control/sim_pick.h"
#include "evenkeel/proxy/attempt.h"

/* Lots that a seed and a number give; odd, so that numbers stay apart. */
#define SPREAD 0x9e3779b97f4a7c15ULL

static void
feed(struct sim_world *w, struct sim_request *r, struct flow_input in);

static struct flow_input
event(enum flow_event e)
{
	return (struct flow_input){.event = e};
}

static struct flow_input
failed(enum access_outcome outcome)
{
	return (struct flow_input){.event = FLOW_EV_FAILED, .outcome = outcome};
}

/* ---- the budget, and marks on backends ---- */

static bool
take_one(_Atomic uint32_t *left)
{
	uint32_t n = atomic_load(left);

	if (n == 0)
		return false;
	atomic_store(left, n - 1);
	return true;
}

static bool
draw(struct sim_world *w)
{
	struct upstream *u = w->pool.upstream;

	if (!w->pool.budget_limited || take_one(&u->share_left) ||
	    take_one(&u->floor_left))
		return true;
	sim_tally_broke(w->tally, w->clock.now_us);
	return false;
}

static void
mark(struct sim_world *w, struct sim_request *r, enum access_outcome outcome)
{
	struct backend *b = r->picked;

	if (outcome == ACCESS_OK)
		atomic_store(&b->failures, 0);
	if (w->pool.terms.eject_failures == 0 ||
	    !eject_counts(outcome, r->head_status))
		return;
	atomic_store(&b->asked_until_ms,
	    outcome == ACCESS_STATUS && r->head_status == 503 &&
		    r->retry_after_ms > 0
		? sim_world_ms(w) + r->retry_after_ms
		: 0);
	atomic_store(&b->last_failure, outcome);
	if (atomic_fetch_add(&b->failures, 1) + 1 >=
	    w->pool.terms.eject_failures)
		roster_failing(w->roster, b, sim_world_ms(w));
}

static const struct retry_facts *
facts(struct sim_world *w, struct sim_request *r)
{
	uint64_t now_us = w->clock.now_us;

	r->facts = (struct retry_facts){.idempotent = r->safe,
	    .status = r->head_status,
	    .replayable = true,
	    .other_usable = sim_pick_has_other(w, r),
	    .retry_after_ms = r->retry_after_ms,
	    .left_ms =
		r->deadline_us > now_us ? (r->deadline_us - now_us) / 1000 : 0,
	    .random = rng_next(&r->lots)};
	return &r->facts;
}

/* ---- orders ---- */

static void
arm(struct sim_world *w, struct sim_request *r, uint64_t due_us,
    struct flow_input in)
{
	/* request_timeout is looked at first when both are due. */
	if (r->deadline_us <= due_us) {
		due_us = r->deadline_us;
		in = event(FLOW_EV_DEADLINE);
	}
	r->at_timer = in;
	sim_clock_arm(&w->clock, &r->timer, due_us);
}

static uint64_t
whole_deadline(const struct sim_world *w, const struct sim_request *r)
{
	return w->cfg->attempt_timeout_ms == 0
	    ? SIM_NEVER
	    : r->attempt_us + w->cfg->attempt_timeout_ms * 1000ULL;
}

static struct flow_input
order_pick(struct sim_world *w, struct sim_request *r)
{
	enum picker_result result = PICKER_NONE;

	/* Nobody overtakes those that wait. */
	if (r->queued || list_empty(&w->queue))
		result = sim_pick(w, r);
	if (result == PICKER_NONE)
		return event(FLOW_EV_NONE_USABLE);
	if (r->queued) {
		r->queued = false;
		list_remove(&r->waiting);
		w->n_queue--;
	}
	r->attempt_us = w->clock.now_us;
	r->head_status = r->retry_after_ms = 0;
	sim_tally_attempt(
	    w->tally, sim_world_index(w, r->picked), w->clock.now_us);
	return event(result == PICKER_LEASED ? FLOW_EV_LEASED : FLOW_EV_PICKED);
}

static struct flow_input
order_pick_fresh(struct sim_world *w, struct sim_request *r)
{
	r->head_status = r->retry_after_ms = 0;
	if (!sim_pick_again(r))
		return event(FLOW_EV_NONE_USABLE);
	r->attempt_us = w->clock.now_us;
	sim_tally_attempt(
	    w->tally, sim_world_index(w, r->picked), w->clock.now_us);
	return event(FLOW_EV_PICKED);
}

/* True: `in` has an event. */
static bool
order_queue(struct sim_world *w, struct sim_request *r, struct flow_input *in)
{
	if (r->queued) {
		list_push_front(&w->queue, &r->waiting);
	} else if (w->n_queue >= w->cfg->queue_size) {
		r->loss = SIM_LOSS_QUEUE;
		*in = event(FLOW_EV_QUEUE_FULL);
		return true;
	} else {
		r->queued = true;
		r->queued_us = w->clock.now_us;
		list_push_back(&w->queue, &r->waiting);
		w->n_queue++;
		w->tally->queued++;
	}
	arm(w, r, r->queued_us + w->cfg->queue_timeout_ms * 1000ULL,
	    event(FLOW_EV_QUEUE_TIMEOUT));
	return false;
}

static void
order_connect(struct sim_world *w, struct sim_request *r)
{
	struct sim_meeting m = sim_fault_connect(w->script,
	    sim_world_index(w, r->picked), w->clock.now_us, &r->lots);
	uint64_t limit_us = num_min_u64(whole_deadline(w, r),
	    r->attempt_us + w->cfg->connect_timeout_ms * 1000ULL);

	if (m.at_us >= limit_us)
		arm(w, r, limit_us, failed(ACCESS_CONNECT_TIMEOUT));
	else if (m.kind == SIM_MEETS_REFUSAL)
		arm(w, r, m.at_us, failed(ACCESS_CONNECT_REFUSED));
	else
		arm(w, r, m.at_us, event(FLOW_EV_CONNECTED));
}

static void
order_send(struct sim_world *w, struct sim_request *r)
{
	struct sim_meeting m = sim_fault_request(w->script,
	    sim_world_index(w, r->picked), w->clock.now_us, &r->lots);
	uint64_t limit_us = num_min_u64(whole_deadline(w, r),
	    w->clock.now_us + w->cfg->response_timeout_ms * 1000ULL);

	r->sent_us = w->clock.now_us;
	if (m.at_us >= limit_us) {
		arm(w, r, limit_us, failed(ACCESS_TIMEOUT));
	} else if (m.kind == SIM_MEETS_RESET) {
		/* As proxy/attempt tells it: on a connection that was kept it
		 * may just have been closed. */
		bool stale = r->reused &&
		    m.at_us - r->sent_us <= ATTEMPT_STALE_MS * 1000;

		arm(w, r, m.at_us, failed(stale ? ACCESS_STALE : ACCESS_RESET));
	} else {
		bool bad = retry_on_status(&w->pool.retry, m.status);
		struct flow_input in =
		    event(bad ? FLOW_EV_BAD_HEAD : FLOW_EV_HEAD);

		in.status = m.status;
		r->coming_after_ms = m.retry_after_ms;
		arm(w, r, m.at_us, in);
	}
}

static void
order_report(
    struct sim_world *w, struct sim_request *r, const struct flow_orders *o)
{
	uint32_t index = sim_world_index(w, r->picked);
	bool whole = o->outcome == ACCESS_OK || o->outcome == ACCESS_STATUS;

	mark(w, r, o->outcome);
	counter_add(&r->picked->lanes[0].attempts[o->outcome], 1);
	sim_tally_outcome(w->tally, index, o->outcome);
	if (r->n_notes < ACCESS_ATTEMPTS_MAX)
		r->notes[r->n_notes++] = (struct sim_note){.backend = r->picked,
		    .outcome = o->outcome,
		    .asked_until_us =
			w->clock.now_us + r->retry_after_ms * 1000ULL};
	sim_pick_done(
	    w, r, whole && w->cfg->proxy_protocol == CFG_PROXY_PROTOCOL_OFF);
}

static enum sim_loss
loss_of(const struct sim_world *w, enum retry_verdict verdict)
{
	switch (verdict) {
	case RETRY_NOT_IDEMPOTENT:
		return SIM_LOSS_NOT_IDEMPOTENT;
	case RETRY_ATTEMPTS:
		return w->pool.retry.attempts == 0 ? SIM_LOSS_OFF
						   : SIM_LOSS_ATTEMPTS;
	case RETRY_DEADLINE:
		return SIM_LOSS_WAIT;
	case RETRY_BUDGET:
		return SIM_LOSS_BUDGET;
	default:
		return SIM_LOSS_NOT_ASKED;
	}
}

static void
count(struct sim_world *w, struct sim_request *r, const struct flow_orders *o)
{
	if (o->verdict == RETRY_YES) {
		w->tally->retries[o->cause]++;
		return;
	}
	r->loss = loss_of(w, o->verdict);
	if (w->pool.retry.attempts > 0)
		w->tally->denied[o->verdict]++;
}

static void
order_finish(struct sim_world *w, struct sim_request *r)
{
	sim_clock_cancel(&w->clock, &r->timer);
	if (r->queued) {
		list_remove(&r->waiting);
		w->n_queue--;
	}
	sim_tally_request(
	    w->tally, r->status, r->loss, w->clock.now_us - r->start_us);
	if (r->flow.retries > 0) {
		w->tally->retried++;
		w->tally->retried_well += r->status >= 200 && r->status < 400;
	}
	w->tally->end_us = w->clock.now_us;
	r->next = w->unused;
	w->unused = r;
	w->at_once--;
}

/* Carries one step's orders out.  True: `in` has the event that came of it. */
static bool
carry_out(struct sim_world *w, struct sim_request *r,
    const struct flow_orders *o, struct flow_input *in)
{
	if (o->verdict != RETRY_NOT_ASKED)
		count(w, r, o);
	if (o->set & FLOW_REPORT)
		order_report(w, r, o);
	if (o->set & FLOW_ASK) {
		*in = event(draw(w) ? FLOW_EV_GRANTED : FLOW_EV_DENIED);
		return true;
	}
	if (o->set & FLOW_WAIT)
		arm(w, r, w->clock.now_us + o->wait_ms * 1000ULL,
		    event(FLOW_EV_WAITED));
	if (o->set & (FLOW_PICK | FLOW_PICK_FRESH)) {
		*in = o->set & FLOW_PICK ? order_pick(w, r)
					 : order_pick_fresh(w, r);
		return true;
	}
	if (o->set & FLOW_QUEUE)
		return order_queue(w, r, in);
	if (o->set & FLOW_CONNECT)
		order_connect(w, r);
	if (o->set & FLOW_SEND)
		order_send(w, r);
	if (o->set & FLOW_COMMIT) {
		r->status = r->head_status;
		*in = event(FLOW_EV_RELAYED);
		return true;
	}
	if (o->set & FLOW_REPLY) {
		r->status = o->status;
		*in = event(FLOW_EV_REPLIED);
		return true;
	}
	if (o->set & FLOW_FINISH)
		order_finish(w, r);
	return false;
}

/* Bounded: every event that an order gives moves the flow towards its end. */
static void
feed(struct sim_world *w, struct sim_request *r, struct flow_input in)
{
	struct flow_orders o;

	do {
		o = flow_step(&r->flow, &in);
	} while (carry_out(w, r, &o, &in));
}

static void
request_on_timer(struct sim_timer *t, void *arg)
{
	struct sim_world *w = arg;
	struct sim_request *r = LIST_OWNER(t, struct sim_request, timer);
	struct flow_input in = r->at_timer;

	if (in.event == FLOW_EV_DEADLINE)
		r->loss = SIM_LOSS_TIME;
	if (in.event == FLOW_EV_QUEUE_TIMEOUT)
		r->loss = SIM_LOSS_QUEUE;
	if (in.event == FLOW_EV_HEAD || in.event == FLOW_EV_BAD_HEAD) {
		r->head_status = in.status;
		r->retry_after_ms = r->coming_after_ms;
	}
	/* Whoever is woken is off the queue's list; this one goes himself. */
	if (r->flow.state == FLOW_WAITING) {
		list_remove(&r->waiting);
		r->queued = false;
		w->n_queue--;
	}
	if (in.event == FLOW_EV_FAILED || in.event == FLOW_EV_BAD_HEAD)
		in.facts = facts(w, r);
	in.resendable = r->safe || w->pool.retry.non_idempotent;
	feed(w, r, in);
}

void
sim_request_run_queue(struct sim_world *w)
{
	/* Ends: each round takes one out for good, or stops. */
	while (!list_empty(&w->queue)) {
		struct sim_request *r =
		    LIST_OWNER(w->queue.next, struct sim_request, waiting);

		list_remove(&r->waiting);
		feed(w, r, event(FLOW_EV_WOKEN));
		if (r->queued)
			return;
	}
}

/* ---- the beginning ---- */

static bool
is_safe(const struct sim_world *w, struct rng *lots)
{
	return rng_upto(lots, SIM_WHOLE - 1) < w->script->safe_share;
}

static void
turn_away(struct sim_world *w)
{
	sim_tally_request(w->tally, 0, SIM_LOSS_CLIENTS, 0);
	w->tally->end_us = w->clock.now_us;
}

void
sim_request_begin(struct sim_world *w)
{
	struct sim_request *r = w->unused;
	uint64_t number = w->begun++;

	if (r == NULL) {
		turn_away(w);
		return;
	}
	w->unused = r->next;
	*r = (struct sim_request){.start_us = w->clock.now_us,
	    .deadline_us =
		w->clock.now_us + w->cfg->request_timeout_ms * 1000ULL};
	w->at_once++;
	w->tally->most_at_once =
	    num_max_u64(w->tally->most_at_once, w->at_once);
	sim_timer_init(&r->timer, request_on_timer);
	list_init(&r->waiting);
	rng_init(&r->lots, (w->script->seed + number * SPREAD) ^ SPREAD);
	r->safe = is_safe(w, &r->lots);
	r->hash = rng_next(&r->lots);
	flow_init(&r->flow);
	flow_set_policy(&r->flow, &w->pool.retry);
	counter_add(&w->pool.upstream->lanes[0].requests, 1);
	feed(w, r, event(FLOW_EV_ROUTED));
}
