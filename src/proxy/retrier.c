#include "evenkeel/proxy/retrier.h"

#include "evenkeel/http/date.h"
#include "evenkeel/net/clock.h"
#include "evenkeel/policy/eject.h"
#include "evenkeel/proxy/deadline.h"
#include "evenkeel/proxy/picker.h"
#include "evenkeel/proxy/request.h"
#include "evenkeel/proxy/worker.h"

static uint64_t
retry_after_ms(const struct attempt *a)
{
	const struct h1_field *f;

	if (a->head_us == 0)
		return 0;
	f = h1_head_find(&a->head, H1_FIELD_RETRY_AFTER);
	if (f == NULL)
		return 0;
	return date_retry_after_ms(
	    h1_span(f->value, attempt_head_base(a)), clock_unix_ms());
}

bool
retrier_replayable(const struct exchange *x)
{
	if (!pump_can_rewind(&x->upload, x->from.conn))
		return false;
	/* What has not been sent is not sent again. */
	return !attempt_sent_any(&x->attempt) ||
	    x->upload.bytes <= x->pool->cfg->retry_body_limit;
}

const struct retry_facts *
retrier_facts(struct exchange *x)
{
	/* The clock that stands still for an upload goes on in a wait. */
	uint64_t clock_ms =
	    x->uploading ? x->upload_since_ms : loop_now_ms(x->from.w->loop);
	uint64_t left_ms = x->request_deadline_ms > clock_ms
	    ? x->request_deadline_ms - clock_ms
	    : 0;

	x->facts = (struct retry_facts){.idempotent = request_idempotent(x),
	    .status = x->attempt.head_us != 0 ? x->attempt.head.status : 0,
	    .replayable = retrier_replayable(x),
	    .other_usable = picker_has_other(x),
	    .retry_after_ms = retry_after_ms(&x->attempt),
	    .left_ms = left_ms,
	    .random = rng_next(&x->from.w->rng)};
	return &x->facts;
}

/* One less, unless there is none. */
static bool
take_one(_Atomic uint32_t *left)
{
	uint32_t n = atomic_load_explicit(left, memory_order_relaxed);

	do {
		if (n == 0)
			return false;
	} while (!atomic_compare_exchange_weak(left, &n, n - 1));
	return true;
}

bool
retrier_draw(struct exchange *x)
{
	struct worker_shared *shared = x->from.w->shared;
	struct upstream *u = x->upstream;

	if (!x->pool->budget_limited)
		return true;
	if (take_one(&u->share_left) || take_one(&u->floor_left))
		return true;
	/* It may be spent by what is known of a while ago. */
	if (!atomic_load_explicit(&shared->short_sent, memory_order_relaxed) &&
	    !atomic_exchange(&shared->short_sent, true))
		shared->on_short(shared->arg);
	return false;
}

static void
count_retry(struct upstream_lane *lane, const struct exchange *x,
    const struct flow_orders *o)
{
	if (o->cause == RETRY_STATUS)
		counter_add(
		    &lane->retried_status[x->facts.status - RETRY_STATUS_MIN],
		    1);
	else
		counter_add(&lane->retries[o->cause], 1);
	histogram_add(&lane->backoff, (uint64_t)o->wait_ms * 1000);
}

/* Why a response that retry_on has was passed on. */
static const char *
why_passed_on(enum retry_verdict v)
{
	static const char *const why[RETRY_VERDICTS] = {
	    [RETRY_NOT_IDEMPOTENT] =
		"passed on: the request may not be repeated",
	    [RETRY_BODY] = "passed on: the request body was not kept",
	    [RETRY_ATTEMPTS] = "passed on: no retry was left",
	    [RETRY_DEADLINE] =
		"passed on: the next wait would have been too long",
	    [RETRY_BUDGET] = "passed on: the retry budget was used up"};

	return why[v] != NULL ? why[v] : "";
}

void
retrier_count(struct exchange *x, const struct flow_orders *o)
{
	struct upstream_lane *lane = &x->upstream->lanes[x->from.w->index];

	if (o->verdict == RETRY_YES) {
		count_retry(lane, x, o);
		return;
	}
	/* Without retries there is nothing to deny. */
	if (!x->terms.retries)
		return;
	counter_add(&lane->denied[o->verdict], 1);
	if (o->set & FLOW_COMMIT)
		x->why = why_passed_on(o->verdict);
}

/* "reset" is clear enough; "tls_failed" may be an expired certificate. */
static bool
says_little(enum access_outcome outcome)
{
	return outcome == ACCESS_CONNECT_FAILED ||
	    outcome == ACCESS_TLS_FAILED || outcome == ACCESS_BAD_RESPONSE;
}

/* Its last word before it is ejected may say for how long.  The facts are
 * those of this attempt when its status was judged. */
static void
note_failure(
    const struct exchange *x, struct backend *b, enum access_outcome outcome)
{
	uint64_t asked_ms =
	    outcome == ACCESS_STATUS && x->attempt.head.status == 503
	    ? x->facts.retry_after_ms
	    : 0;

	atomic_store_explicit(
	    &b->last_failure, (uint32_t)outcome, memory_order_relaxed);
	atomic_store_explicit(&b->last_why,
	    says_little(outcome) ? x->attempt.why : NULL, memory_order_relaxed);
	atomic_store_explicit(&b->asked_until_ms,
	    asked_ms == 0 ? 0 : loop_now_ms(x->from.w->loop) + asked_ms,
	    memory_order_relaxed);
}

void
retrier_mark(struct exchange *x, enum access_outcome outcome)
{
	struct backend *b = x->attempt.backend;
	uint32_t limit = x->terms.eject_failures;
	unsigned status = x->attempt.head_us != 0 ? x->attempt.head.status : 0;

	if (outcome == ACCESS_OK) {
		/* Nearly always 0 already: the line stays shared. */
		if (atomic_load_explicit(&b->failures, memory_order_relaxed) !=
		    0)
			atomic_store(&b->failures, 0);
		return;
	}
	if (limit == 0 || !eject_counts(outcome, status))
		return;
	note_failure(x, b, outcome);
	if (atomic_fetch_add(&b->failures, 1) + 1 >= limit)
		x->from.w->shared->on_failing(b, x->from.w->shared->arg);
}

void
retrier_rewind(struct exchange *x)
{
	pump_rewind(&x->upload, x->from.conn);
	x->upload_over = x->upload_failed = false;
	deadline_upload_ends(x);
}
