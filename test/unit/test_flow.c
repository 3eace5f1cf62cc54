/* layer: policy */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "evenkeel/policy/flow.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Retries of everything, twice; and none at all. */
#define RETRIES 2
static const struct retry_policy twice = {.attempts = RETRIES,
    .causes = 1U << RETRY_CONNECT | 1U << RETRY_RESET | 1U << RETRY_TIMEOUT,
    .statuses = {[1] = ~(uint64_t)0},
    .first_wait = true,
    .backoff = {.base_ms = 10, .cap_ms = 100, .jitter = BACKOFF_NONE}};
static const struct retry_policy never = {
    .backoff = {.base_ms = 10, .cap_ms = 100, .jitter = BACKOFF_NONE}};

static const struct retry_facts may = {
    .idempotent = true, .replayable = true, .left_ms = 1000};
static const struct retry_facts post = {.replayable = true, .left_ms = 1000};
static const struct retry_facts gone_body = {
    .idempotent = true, .left_ms = 1000};
static const struct retry_facts no_time = {
    .idempotent = true, .replayable = true, .left_ms = 5};

/* What an observer of the orders remembers of one request. */
struct path {
	struct flow flow;
	unsigned started;  /* attempts; counted up to 2 + RETRIES */
	unsigned sends;    /* of the request to a backend; the same */
	unsigned reached;  /* ...that a backend's application may have seen */
	unsigned finishes; /* up to 2 */
	unsigned failures; /* attempts reported that had failed */
	bool attempt_open; /* started and not reported yet */
	bool sent;         /* ...and the request is on its way */
	bool committed;
	bool replying;
};

/* ---- every input there is ---- */

#define INPUTS_MAX 128

static struct flow_input inputs[INPUTS_MAX];
static size_t n_inputs;

static void
add_input(enum flow_event event, enum access_outcome outcome, unsigned status,
    const struct retry_facts *facts)
{
	assert_true(n_inputs < INPUTS_MAX);
	/* A stale connection may be replaced as the facts are. */
	inputs[n_inputs++] = (struct flow_input){.event = event,
	    .outcome = outcome,
	    .status = status,
	    .resendable =
		facts != NULL && facts->idempotent && facts->replayable,
	    .facts = facts};
}

/* A failed attempt in every way. */
static void
add_failures(const struct retry_facts *facts)
{
	add_input(FLOW_EV_BAD_HEAD, ACCESS_OK, 503, facts);
	for (int o = ACCESS_CONNECT_REFUSED; o < ACCESS_OUTCOMES; o++)
		add_input(FLOW_EV_FAILED, (enum access_outcome)o, 0, facts);
}

static int
make_inputs(void **state)
{
	(void)state;
	for (int e = 0; e < FLOW_EVENTS; e++) {
		enum flow_event event = (enum flow_event)e;

		if (event == FLOW_EV_CLIENT_BAD) {
			add_input(event, ACCESS_OK, 400, NULL);
			add_input(event, ACCESS_OK, 431, NULL);
		} else if (event == FLOW_EV_REDIRECTED) {
			add_input(event, ACCESS_OK, 301, NULL);
			add_input(event, ACCESS_OK, 308, NULL);
		} else if (event == FLOW_EV_HEAD) {
			add_input(event, ACCESS_OK, 200, NULL);
			add_input(event, ACCESS_OK, 503, NULL);
		} else if (event != FLOW_EV_FAILED &&
		    event != FLOW_EV_BAD_HEAD) {
			add_input(event, ACCESS_OK, 0, NULL);
		}
	}
	add_failures(&may);
	add_failures(&post);
	add_failures(&gone_body);
	add_failures(&no_time);
	return 0;
}

/* ---- what must hold of every step ---- */

static bool
idle(const struct flow_orders *o)
{
	return o->set == 0;
}

static void
check_attempts(
    struct path *p, const struct flow_input *in, const struct flow_orders *o)
{
	/* A lease begins an attempt before the flow hears of it. */
	if (p->flow.state == FLOW_AWAITING && in->event == FLOW_EV_LEASED &&
	    o->set & FLOW_SEND) {
		assert_false(p->attempt_open);
		p->attempt_open = true;
		p->started++;
	}
	if (o->set & FLOW_REPORT) {
		assert_true(p->attempt_open);
		/* The others have not shown it to anybody. */
		p->reached +=
		    p->sent && retry_cause_of(o->outcome) != RETRY_CONNECT;
		p->sent = false;
		p->attempt_open = false;
		p->failures += o->outcome != ACCESS_OK;
		assert_true(o->outcome < ACCESS_OUTCOMES);
	}
	if (o->set & FLOW_CONNECT) {
		assert_false(p->attempt_open);
		p->attempt_open = true;
		p->started++;
	}
	/* One more is the replacement of a stale connection. */
	assert_true(p->started <=
	    1 + p->flow.retries + (p->flow.stale_replaced ? 1 : 0));
	assert_true(p->flow.retries <=
	    (p->flow.policy != NULL ? p->flow.policy->attempts : 0));
}

static void
check_sends(struct path *p, const struct flow_orders *o)
{
	unsigned ways = 0;

	if (o->set & FLOW_SEND) {
		assert_true(p->attempt_open);
		assert_false(p->committed);
		p->sends++;
		p->sent = true;
	}
	if (p->committed)
		assert_false(o->set &
		    (FLOW_ASK | FLOW_WAIT | FLOW_PICK | FLOW_PICK_FRESH |
			FLOW_QUEUE | FLOW_CONNECT | FLOW_SEND | FLOW_COMMIT |
			FLOW_TUNNEL | FLOW_REPLY));
	assert_true(p->sends <= p->started);
	/* One step never goes two ways. */
	for (unsigned bit = FLOW_WAIT; bit <= FLOW_REPLY; bit <<= 1)
		ways += (o->set & bit) != 0;
	ways += (o->set & FLOW_FINISH) != 0;
	ways += (o->set & FLOW_ASK) != 0;
	assert_true(ways <= 1);
}

static void
check_ends(struct path *p, const struct flow_orders *o)
{
	if (o->set & (FLOW_COMMIT | FLOW_TUNNEL)) {
		assert_true(p->attempt_open);
		assert_false(p->replying);
		p->committed = true;
	}
	if (o->set & FLOW_REPLY) {
		assert_false(p->replying);
		/* An answer of our own is an error, or says where to go; that
		 * needs no backend. */
		if (o->end == ACCESS_END_OK) {
			assert_in_range(o->status, 301, 308);
			assert_int_equal(p->started, 0);
		} else {
			assert_in_range(o->status, 400, 599);
		}
		p->replying = true;
	}
	if (o->set & FLOW_ABORT_CLIENT)
		assert_true(o->set & FLOW_FINISH);
	if (o->set & FLOW_FINISH) {
		p->finishes++;
		assert_int_equal(p->flow.state, FLOW_DONE);
	}
	assert_true(p->finishes <= 1);
	assert_true((p->flow.state == FLOW_DONE) == (p->finishes == 1));
	/* Whoever is over or answers by itself has no attempt left. */
	if (p->flow.state == FLOW_DONE || p->flow.state == FLOW_REPLYING)
		assert_false(p->attempt_open);
	assert_true(p->attempt_open ==
	    (p->flow.state == FLOW_CONNECTING ||
		p->flow.state == FLOW_AWAITING ||
		p->flow.state == FLOW_JUDGING ||
		p->flow.state == FLOW_RELAYING ||
		p->flow.state == FLOW_TUNNELLING));
}

/* A wait is ordered with its length, a verdict with what follows from it. */
static void
check_verdicts(const struct path *p, const struct flow_orders *o)
{
	const unsigned last = FLOW_REPLY | FLOW_COMMIT | FLOW_ABORT_CLIENT;

	assert_true(((o->set & FLOW_WAIT) != 0) == (o->wait_ms > 0));
	if (o->verdict == RETRY_YES)
		assert_true(o->set & FLOW_REPORT &&
		    o->set & (FLOW_WAIT | FLOW_PICK) && p->flow.retries > 0 &&
		    o->cause < RETRY_CAUSES);
	else if (o->verdict != RETRY_NOT_ASKED)
		assert_true(o->set & last);
	if (o->verdict == RETRY_COMMITTED)
		assert_true(p->committed && o->set & FLOW_ABORT_CLIENT);
}

static struct flow_orders
step(struct path *p, const struct flow_input *in)
{
	struct flow before = p->flow;
	struct flow_orders o = flow_step(&p->flow, in);

	assert_true(flow_ok(&p->flow));
	if (idle(&o))
		assert_memory_equal(&before, &p->flow, sizeof(before));
	else
		assert_int_equal(o.end, p->flow.end);
	if (before.state == FLOW_DONE)
		assert_true(idle(&o));
	if (before.stale_replaced) {
		assert_true(p->flow.stale_replaced);
		assert_false(o.set & FLOW_PICK_FRESH);
	}
	check_verdicts(p, &o);
	check_attempts(p, in, &o);
	check_sends(p, &o);
	check_ends(p, &o);
	return o;
}

/* ---- all that can be reached ---- */

#define PATHS_MAX 65536

struct reached {
	struct path path;
	unsigned depth; /* steps that gave orders */
};

static struct reached queue[PATHS_MAX];
static size_t n_queue;

static bool
same(const struct path *a, const struct path *b)
{
	return a->flow.state == b->flow.state &&
	    a->flow.retries == b->flow.retries &&
	    a->flow.outcome == b->flow.outcome &&
	    a->flow.cause == b->flow.cause &&
	    a->flow.wait_ms == b->flow.wait_ms &&
	    a->flow.stale_replaced == b->flow.stale_replaced &&
	    a->flow.end == b->flow.end && a->started == b->started &&
	    a->reached == b->reached && a->sent == b->sent &&
	    a->sends == b->sends && a->finishes == b->finishes &&
	    a->failures == b->failures && a->attempt_open == b->attempt_open &&
	    a->committed == b->committed && a->replying == b->replying;
}

static void
enqueue(const struct path *p, unsigned depth)
{
	for (size_t i = 0; i < n_queue; i++)
		if (same(&queue[i].path, p)) {
			if (queue[i].depth < depth)
				queue[i].depth = depth;
			return;
		}
	assert_true(n_queue < PATHS_MAX);
	queue[n_queue++] = (struct reached){*p, depth};
}

static struct path
begin_with(const struct retry_policy *policy)
{
	struct path p;

	memset(&p, 0, sizeof(p));
	flow_init(&p.flow);
	flow_set_policy(&p.flow, policy);
	return p;
}

static struct path
beginning(void)
{
	return begin_with(NULL);
}

/* Breadth first; `repeatable` false: only inputs that forbid a second send. */
static void
explore(const struct retry_policy *policy, bool repeatable)
{
	struct path first = begin_with(policy);

	n_queue = 0;
	enqueue(&first, 0);
	for (size_t at = 0; at < n_queue; at++)
		for (size_t i = 0; i < n_inputs; i++) {
			struct path p = queue[at].path;
			struct flow_orders o;

			if (!repeatable && inputs[i].facts != NULL &&
			    inputs[i].facts->idempotent)
				continue;
			o = step(&p, &inputs[i]);
			if (!idle(&o))
				enqueue(&p, queue[at].depth + 1);
		}
}

static void
everything_reachable_keeps_the_rules(void **state)
{
	bool seen[FLOW_STATES] = {false};
	bool ends[ACCESS_ENDS] = {false};
	bool most = false, replaced = false;

	(void)state;
	explore(&twice, true);
	for (size_t i = 0; i < n_queue; i++) {
		const struct path *p = &queue[i].path;

		seen[p->flow.state] = true;
		most |= p->sends == 2 + RETRIES;
		replaced |= p->flow.stale_replaced;
		if (p->flow.state == FLOW_DONE)
			ends[p->flow.end] = true;
	}
	for (int s = 0; s < FLOW_STATES; s++)
		assert_true(seen[s]);
	for (int e = 0; e < ACCESS_ENDS; e++)
		assert_true(ends[e]);
	assert_true(most && replaced);
}

/* No way back: a step that gives orders leads to a later state, but for the
 * retries, of which there are few, the one replacement of a stale connection,
 * and a request that was woken in vain (which queue_timeout ends); so every
 * path is short. */
static void
check_ways_on(const struct path *from)
{
	bool way_out = from->flow.state == FLOW_DONE;

	for (size_t i = 0; i < n_inputs; i++) {
		struct path p = *from;
		struct flow_orders o = step(&p, &inputs[i]);

		if (idle(&o))
			continue;
		way_out = true;
		if (from->flow.state == FLOW_WAITING &&
		    inputs[i].event == FLOW_EV_WOKEN)
			continue;
		/* Waited: the retry was counted when the wait began. */
		if (from->flow.state == FLOW_BACKING_OFF)
			continue;
		assert_true(p.flow.state > from->flow.state ||
		    p.flow.retries > from->flow.retries ||
		    (p.flow.stale_replaced && !from->flow.stale_replaced));
	}
	assert_true(way_out);
}

static void
every_path_ends(void **state)
{
	(void)state;
	explore(&twice, true);
	for (size_t at = 0; at < n_queue; at++)
		check_ways_on(&queue[at].path);
}

/* A request that must not be repeated may have reached an application once at
 * most, whatever happens: only failed connects are retried. */
static void
not_repeatable_reaches_one(void **state)
{
	bool again = false;

	(void)state;
	explore(&twice, false);
	for (size_t i = 0; i < n_queue; i++) {
		assert_true(queue[i].path.reached <= 1);
		assert_false(queue[i].path.flow.stale_replaced);
		again |= queue[i].path.started > 1;
	}
	assert_true(again);
}

/* Without retries there is one attempt, and the replacement. */
static void
no_retries_means_none(void **state)
{
	(void)state;
	explore(&never, true);
	for (size_t i = 0; i < n_queue; i++)
		assert_true(queue[i].path.started <=
		    1 + (unsigned)queue[i].path.flow.stale_replaced);
	explore(NULL, true);
	for (size_t i = 0; i < n_queue; i++)
		assert_int_equal(queue[i].path.flow.retries, 0);
}

/* ---- the table itself ---- */

static const struct flow_input routed = {.event = FLOW_EV_ROUTED};
static const struct flow_input picked = {.event = FLOW_EV_PICKED};
static const struct flow_input switched = {.event = FLOW_EV_SWITCHED};
static const struct flow_input none = {.event = FLOW_EV_NONE_USABLE};
static const struct flow_input leased = {.event = FLOW_EV_LEASED};
static const struct flow_input connected = {.event = FLOW_EV_CONNECTED};
static const struct flow_input head = {.event = FLOW_EV_HEAD, .status = 200};

/* A path that stands in `at`, with retries where only they lead there. */
static struct path
path_in(enum flow_state at)
{
	static const struct flow_input bad = {
	    .event = FLOW_EV_CLIENT_BAD, .status = 400};
	static const struct flow_input gone = {.event = FLOW_EV_CLIENT_GONE};
	static const struct flow_input reset = {
	    .event = FLOW_EV_FAILED, .outcome = ACCESS_RESET, .facts = &may};
	static const struct flow_input granted = {.event = FLOW_EV_GRANTED};
	/* What leads to each state, from the start. */
	const struct flow_input *way[FLOW_STATES][6] = {
	    [FLOW_PICKING] = {&routed},
	    [FLOW_WAITING] = {&routed, &none},
	    [FLOW_CONNECTING] = {&routed, &picked},
	    [FLOW_AWAITING] = {&routed, &picked, &connected},
	    [FLOW_JUDGING] = {&routed, &picked, &connected, &reset},
	    [FLOW_BACKING_OFF] = {&routed, &picked, &connected, &reset,
		&granted},
	    [FLOW_RELAYING] = {&routed, &picked, &connected, &head},
	    [FLOW_TUNNELLING] = {&routed, &picked, &connected, &switched},
	    [FLOW_REPLYING] = {&bad},
	    [FLOW_DONE] = {&gone}};
	struct path p = begin_with(
	    at == FLOW_JUDGING || at == FLOW_BACKING_OFF ? &twice : NULL);

	for (size_t i = 0; way[at][i] != NULL; i++)
		(void)step(&p, way[at][i]);
	assert_int_equal(p.flow.state, at);
	return p;
}

struct row {
	enum flow_state from;
	struct flow_input in;
	enum flow_state to;
	unsigned set;
	enum access_end end;
	unsigned status;             /* of a reply */
	enum access_outcome outcome; /* of a report */
};

#define EV(name)                                  \
	{                                         \
		FLOW_EV_##name, 0, 0, false, NULL \
	}
#define BAD(code)                                        \
	{                                                \
		FLOW_EV_CLIENT_BAD, 0, code, false, NULL \
	}
#define REDIRECTED(code)                                 \
	{                                                \
		FLOW_EV_REDIRECTED, 0, code, false, NULL \
	}
#define FAILED(how)                                           \
	{                                                     \
		FLOW_EV_FAILED, ACCESS_##how, 0, false, &post \
	}
#define BAD_HEAD                                               \
	{                                                      \
		FLOW_EV_BAD_HEAD, ACCESS_OK, 503, false, &post \
	}
#define END(name)    ACCESS_END_##name
#define HOW(name)    ACCESS_##name
#define BROKEN_OFF   FLOW_DONE, FLOW_REPORT | FLOW_ABORT_CLIENT | FLOW_FINISH
#define REPLY        FLOW_REPLYING, FLOW_REPLY
#define REPORT_REPLY FLOW_REPLYING, FLOW_REPORT | FLOW_REPLY
#define ABORTED      FLOW_DONE, FLOW_ABORT_CLIENT | FLOW_FINISH

/* clang-format off */
static const struct row rows[] = {
    {FLOW_START, EV(ROUTED), FLOW_PICKING, FLOW_PICK, END(OK), 0, 0},
    {FLOW_START, EV(NO_ROUTE), REPLY, END(NO_ROUTE), 404, 0},
    {FLOW_START, REDIRECTED(308), REPLY, END(OK), 308, 0},
    {FLOW_START, BAD(414), REPLY, END(CLIENT_BAD), 414, 0},
    {FLOW_START, EV(CLIENT_SLOW), REPLY, END(CLIENT_SLOW), 408, 0},
    {FLOW_START, EV(CLIENT_GONE), ABORTED, END(CLIENT_GONE), 0, 0},
    {FLOW_START, EV(DEADLINE), REPLY, END(BACKEND_SLOW), 504, 0},
    {FLOW_START, EV(SHUTDOWN), REPLY, END(SHUTDOWN), 503, 0},
    {FLOW_START, EV(NO_MEMORY), REPLY, END(INTERNAL), 503, 0},

    {FLOW_PICKING, EV(PICKED), FLOW_CONNECTING, FLOW_CONNECT, END(OK), 0, 0},
    {FLOW_PICKING, EV(LEASED), FLOW_AWAITING, FLOW_SEND, END(OK), 0, 0},
    {FLOW_PICKING, EV(NONE_USABLE), FLOW_WAITING, FLOW_QUEUE, END(OK), 0, 0},
    {FLOW_PICKING, BAD(400), REPLY, END(CLIENT_BAD), 400, 0},
    {FLOW_PICKING, EV(CLIENT_SLOW), REPLY, END(CLIENT_SLOW), 408, 0},
    {FLOW_PICKING, EV(CLIENT_GONE), ABORTED, END(CLIENT_GONE), 0, 0},
    {FLOW_PICKING, EV(DEADLINE), REPLY, END(BACKEND_SLOW), 504, 0},
    {FLOW_PICKING, EV(SHUTDOWN), REPLY, END(SHUTDOWN), 503, 0},
    {FLOW_PICKING, EV(NO_MEMORY), REPLY, END(INTERNAL), 503, 0},
    {FLOW_WAITING, EV(WOKEN), FLOW_PICKING, FLOW_PICK, END(OK), 0, 0},
    {FLOW_WAITING, EV(QUEUE_FULL), REPLY, END(NO_BACKEND), 503, 0},
    {FLOW_WAITING, EV(QUEUE_TIMEOUT), REPLY, END(NO_BACKEND), 503, 0},
    {FLOW_WAITING, BAD(400), REPLY, END(CLIENT_BAD), 400, 0},
    {FLOW_WAITING, EV(CLIENT_SLOW), REPLY, END(CLIENT_SLOW), 408, 0},
    {FLOW_WAITING, EV(CLIENT_GONE), ABORTED, END(CLIENT_GONE), 0, 0},
    {FLOW_WAITING, EV(DEADLINE), REPLY, END(BACKEND_SLOW), 504, 0},
    {FLOW_WAITING, EV(SHUTDOWN), REPLY, END(SHUTDOWN), 503, 0},
    {FLOW_WAITING, EV(NO_MEMORY), REPLY, END(INTERNAL), 503, 0},

    {FLOW_CONNECTING, EV(CONNECTED), FLOW_AWAITING, FLOW_SEND, END(OK), 0, 0},
    {FLOW_CONNECTING, FAILED(CONNECT_REFUSED), REPORT_REPLY, END(BACKEND_FAILED), 502, HOW(CONNECT_REFUSED)},
    {FLOW_CONNECTING, FAILED(CONNECT_TIMEOUT), REPORT_REPLY, END(BACKEND_SLOW), 504, HOW(CONNECT_TIMEOUT)},
    {FLOW_CONNECTING, FAILED(CONNECT_FAILED), REPORT_REPLY, END(BACKEND_FAILED), 502, HOW(CONNECT_FAILED)},
    {FLOW_CONNECTING, FAILED(TLS_FAILED), REPORT_REPLY, END(BACKEND_FAILED), 502, HOW(TLS_FAILED)},
    {FLOW_CONNECTING, EV(DEADLINE), REPORT_REPLY, END(BACKEND_SLOW), 504, HOW(CONNECT_TIMEOUT)},
    {FLOW_CONNECTING, BAD(400), REPORT_REPLY, END(CLIENT_BAD), 400, HOW(CANCELLED)},
    {FLOW_CONNECTING, EV(CLIENT_SLOW), REPORT_REPLY, END(CLIENT_SLOW), 408, HOW(CANCELLED)},
    {FLOW_CONNECTING, EV(CLIENT_GONE), BROKEN_OFF, END(CLIENT_GONE), 0, HOW(CANCELLED)},
    {FLOW_CONNECTING, EV(SHUTDOWN), REPORT_REPLY, END(SHUTDOWN), 503, HOW(CANCELLED)},
    {FLOW_CONNECTING, EV(NO_MEMORY), REPORT_REPLY, END(INTERNAL), 503, HOW(CANCELLED)},

    {FLOW_AWAITING, EV(HEAD), FLOW_RELAYING, FLOW_COMMIT, END(OK), 0, 0},
    {FLOW_AWAITING, BAD_HEAD, FLOW_RELAYING, FLOW_COMMIT, END(OK), 0, 0},
    {FLOW_AWAITING, FAILED(RESET), REPORT_REPLY, END(BACKEND_FAILED), 502, HOW(RESET)},
    {FLOW_AWAITING, FAILED(BAD_RESPONSE), REPORT_REPLY, END(BACKEND_FAILED), 502, HOW(BAD_RESPONSE)},
    {FLOW_AWAITING, FAILED(TIMEOUT), REPORT_REPLY, END(BACKEND_SLOW), 504, HOW(TIMEOUT)},
    {FLOW_AWAITING, FAILED(STALE), REPORT_REPLY, END(BACKEND_FAILED), 502, HOW(STALE)},
    {FLOW_AWAITING, EV(DEADLINE), REPORT_REPLY, END(BACKEND_SLOW), 504, HOW(TIMEOUT)},
    {FLOW_AWAITING, BAD(413), REPORT_REPLY, END(CLIENT_BAD), 413, HOW(CANCELLED)},
    {FLOW_AWAITING, EV(CLIENT_SLOW), REPORT_REPLY, END(CLIENT_SLOW), 408, HOW(CANCELLED)},
    {FLOW_AWAITING, EV(CLIENT_GONE), BROKEN_OFF, END(CLIENT_GONE), 0, HOW(CANCELLED)},
    {FLOW_AWAITING, EV(SHUTDOWN), REPORT_REPLY, END(SHUTDOWN), 503, HOW(CANCELLED)},
    {FLOW_AWAITING, EV(NO_MEMORY), REPORT_REPLY, END(INTERNAL), 503, HOW(CANCELLED)},

    {FLOW_AWAITING, EV(SWITCHED), FLOW_TUNNELLING, FLOW_TUNNEL, END(OK), 0, 0},
    {FLOW_TUNNELLING, EV(RELAYED), FLOW_DONE, FLOW_REPORT | FLOW_FINISH, END(OK), 0, HOW(OK)},
    {FLOW_TUNNELLING, EV(BROKE_OFF), BROKEN_OFF, END(BACKEND_BROKE_OFF), 0, HOW(RESET)},
    {FLOW_TUNNELLING, EV(STALLED), FLOW_DONE, FLOW_REPORT | FLOW_FINISH, END(OK), 0, HOW(OK)},
    {FLOW_TUNNELLING, BAD(400), BROKEN_OFF, END(CLIENT_BAD), 0, HOW(CANCELLED)},
    {FLOW_TUNNELLING, EV(CLIENT_SLOW), BROKEN_OFF, END(CLIENT_SLOW), 0, HOW(CANCELLED)},
    {FLOW_TUNNELLING, EV(CLIENT_GONE), BROKEN_OFF, END(CLIENT_GONE), 0, HOW(CANCELLED)},
    {FLOW_TUNNELLING, EV(SHUTDOWN), BROKEN_OFF, END(SHUTDOWN), 0, HOW(CANCELLED)},
    {FLOW_TUNNELLING, EV(NO_MEMORY), BROKEN_OFF, END(INTERNAL), 0, HOW(CANCELLED)},
    {FLOW_RELAYING, EV(RELAYED), FLOW_DONE, FLOW_REPORT | FLOW_FINISH, END(OK), 0, HOW(OK)},
    {FLOW_RELAYING, EV(BROKE_OFF), BROKEN_OFF, END(BACKEND_BROKE_OFF), 0, HOW(RESET)},
    {FLOW_RELAYING, EV(STALLED), BROKEN_OFF, END(BACKEND_SLOW), 0, HOW(TIMEOUT)},
    {FLOW_RELAYING, BAD(400), BROKEN_OFF, END(CLIENT_BAD), 0, HOW(CANCELLED)},
    {FLOW_RELAYING, EV(CLIENT_SLOW), BROKEN_OFF, END(CLIENT_SLOW), 0, HOW(CANCELLED)},
    {FLOW_RELAYING, EV(CLIENT_GONE), BROKEN_OFF, END(CLIENT_GONE), 0, HOW(CANCELLED)},
    {FLOW_RELAYING, EV(SHUTDOWN), BROKEN_OFF, END(SHUTDOWN), 0, HOW(CANCELLED)},
    {FLOW_RELAYING, EV(NO_MEMORY), BROKEN_OFF, END(INTERNAL), 0, HOW(CANCELLED)},

    {FLOW_JUDGING, EV(GRANTED), FLOW_BACKING_OFF, FLOW_REPORT | FLOW_WAIT, END(OK), 0, HOW(RESET)},
    {FLOW_JUDGING, EV(DENIED), REPORT_REPLY, END(BACKEND_FAILED), 502, HOW(RESET)},
    {FLOW_JUDGING, EV(DEADLINE), REPORT_REPLY, END(BACKEND_SLOW), 504, HOW(TIMEOUT)},
    {FLOW_JUDGING, BAD(400), REPORT_REPLY, END(CLIENT_BAD), 400, HOW(CANCELLED)},
    {FLOW_JUDGING, EV(CLIENT_SLOW), REPORT_REPLY, END(CLIENT_SLOW), 408, HOW(CANCELLED)},
    {FLOW_JUDGING, EV(CLIENT_GONE), BROKEN_OFF, END(CLIENT_GONE), 0, HOW(CANCELLED)},
    {FLOW_JUDGING, EV(SHUTDOWN), REPORT_REPLY, END(SHUTDOWN), 503, HOW(CANCELLED)},
    {FLOW_JUDGING, EV(NO_MEMORY), REPORT_REPLY, END(INTERNAL), 503, HOW(CANCELLED)},

    {FLOW_BACKING_OFF, EV(WAITED), FLOW_PICKING, FLOW_PICK, END(OK), 0, 0},
    {FLOW_BACKING_OFF, BAD(400), REPLY, END(CLIENT_BAD), 400, 0},
    {FLOW_BACKING_OFF, EV(CLIENT_SLOW), REPLY, END(CLIENT_SLOW), 408, 0},
    {FLOW_BACKING_OFF, EV(CLIENT_GONE), ABORTED, END(CLIENT_GONE), 0, 0},
    {FLOW_BACKING_OFF, EV(DEADLINE), REPLY, END(BACKEND_SLOW), 504, 0},
    {FLOW_BACKING_OFF, EV(SHUTDOWN), REPLY, END(SHUTDOWN), 503, 0},
    {FLOW_BACKING_OFF, EV(NO_MEMORY), REPLY, END(INTERNAL), 503, 0},

    /* How the request ended was decided with the reply: 400 here. */
    {FLOW_REPLYING, EV(REPLIED), FLOW_DONE, FLOW_FINISH, END(CLIENT_BAD), 0, 0},
    {FLOW_REPLYING, EV(CLIENT_GONE), ABORTED, END(CLIENT_BAD), 0, 0},
    {FLOW_REPLYING, EV(CLIENT_SLOW), ABORTED, END(CLIENT_BAD), 0, 0},
    {FLOW_REPLYING, EV(SHUTDOWN), ABORTED, END(CLIENT_BAD), 0, 0},
    {FLOW_REPLYING, EV(NO_MEMORY), ABORTED, END(CLIENT_BAD), 0, 0},
};
/* clang-format on */

static void
each_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct row *r = &rows[i];
		struct path p = path_in(r->from);
		struct flow_orders o = step(&p, &r->in);

		assert_int_equal(p.flow.state, r->to);
		assert_int_equal(o.set, r->set);
		assert_int_equal(o.end, r->end);
		if (o.set & FLOW_REPLY)
			assert_int_equal(o.status, r->status);
		if (o.set & FLOW_REPORT)
			assert_int_equal(o.outcome, r->outcome);
	}
}

/* What has no row means nothing: a late timer, a second answer. */
static void
the_rest_means_nothing(void **state)
{
	bool has_row[FLOW_STATES][FLOW_EVENTS] = {{false}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		has_row[rows[i].from][rows[i].in.event] = true;
	for (int s = 0; s < FLOW_STATES; s++)
		for (size_t i = 0; i < n_inputs; i++) {
			struct path p = path_in((enum flow_state)s);
			struct flow_orders o = step(&p, &inputs[i]);

			assert_true(idle(&o) == !has_row[s][inputs[i].event]);
		}
}

/* A stale connection: replaced by a fresh one to the same backend, without a
 * pick; the second time it counts as a reset. */
static void
stale_is_replaced_once(void **state)
{
	const struct flow_input stale = {.event = FLOW_EV_FAILED,
	    .outcome = ACCESS_STALE,
	    .resendable = true};
	struct path p = beginning();
	struct flow_orders o;

	(void)state;
	(void)step(&p, &routed);
	o = step(&p, &leased);
	assert_int_equal(o.set, FLOW_SEND);
	o = step(&p, &stale);
	assert_int_equal(o.set, FLOW_REPORT | FLOW_PICK_FRESH);
	assert_int_equal(o.outcome, ACCESS_STALE);
	assert_int_equal(p.flow.state, FLOW_PICKING);
	o = step(&p, &picked);
	assert_int_equal(o.set, FLOW_CONNECT);
	o = step(&p, &connected);
	assert_int_equal(o.set, FLOW_SEND);
	o = step(&p, &stale);
	assert_int_equal(o.set, FLOW_REPORT | FLOW_REPLY);
	assert_int_equal(o.outcome, ACCESS_RESET);
	assert_int_equal(o.status, 502);
}

/* The whole life of a GET: refused (free of the budget), then a 503, then
 * another 503, which is the last and is passed on. */
static void
retries_in_full(void **state)
{
	const struct flow_input refused = {.event = FLOW_EV_FAILED,
	    .outcome = ACCESS_CONNECT_REFUSED,
	    .facts = &may};
	const struct flow_input bad = {
	    .event = FLOW_EV_BAD_HEAD, .status = 503, .facts = &may};
	const struct flow_input waited = {.event = FLOW_EV_WAITED};
	const struct flow_input granted = {.event = FLOW_EV_GRANTED};
	const struct flow_input relayed = {.event = FLOW_EV_RELAYED};
	struct path p = begin_with(&twice);
	struct flow_orders o;

	(void)state;
	(void)step(&p, &routed);
	(void)step(&p, &picked);
	o = step(&p, &refused);
	assert_int_equal(o.set, FLOW_REPORT | FLOW_WAIT);
	assert_int_equal(o.wait_ms, 10);
	assert_int_equal(o.cause, RETRY_CONNECT);
	o = step(&p, &waited);
	assert_int_equal(o.set, FLOW_PICK);
	(void)step(&p, &leased);
	o = step(&p, &bad);
	assert_int_equal(o.set, FLOW_ASK);
	o = step(&p, &granted);
	assert_int_equal(o.set, FLOW_REPORT | FLOW_WAIT);
	assert_int_equal(o.outcome, ACCESS_STATUS);
	assert_int_equal(o.wait_ms, 20);
	(void)step(&p, &waited);
	(void)step(&p, &leased);
	o = step(&p, &bad);
	assert_int_equal(o.set, FLOW_COMMIT);
	assert_int_equal(o.verdict, RETRY_ATTEMPTS);
	o = step(&p, &relayed);
	assert_int_equal(o.set, FLOW_REPORT | FLOW_FINISH);
	assert_int_equal(o.outcome, ACCESS_STATUS);
	assert_int_equal(p.flow.retries, 2);
}

/* Only a stale one is: other failures are not, resendable or not. */
static void
other_failures_are_not_replaced(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_inputs; i++) {
		struct path p = path_in(FLOW_AWAITING);
		struct flow_orders o;

		if (inputs[i].event != FLOW_EV_FAILED)
			continue;
		o = step(&p, &inputs[i]);
		assert_true(((o.set & FLOW_PICK_FRESH) != 0) ==
		    (inputs[i].outcome == ACCESS_STALE &&
			inputs[i].resendable));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(everything_reachable_keeps_the_rules),
	    cmocka_unit_test(every_path_ends),
	    cmocka_unit_test(not_repeatable_reaches_one),
	    cmocka_unit_test(no_retries_means_none),
	    cmocka_unit_test(retries_in_full),
	    cmocka_unit_test(each_row),
	    cmocka_unit_test(the_rest_means_nothing),
	    cmocka_unit_test(stale_is_replaced_once),
	    cmocka_unit_test(other_failures_are_not_replaced),
	};

	return cmocka_run_group_tests(tests, make_inputs, NULL);
}
