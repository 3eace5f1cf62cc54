#include "evenkeel/control/sim_advice.h"

#include "evenkeel/control/budgets.h"
#include "evenkeel/control/sim_text.h"

static void
put_ms(struct textbuf *out, uint64_t ms)
{
	sim_text_put_time(out, ms * 1000);
}

/* "340 requests failed" */
static void
put_failed(struct textbuf *out, uint64_t n)
{
	textbuf_u64(out, n);
	textbuf_str(out, n == 1 ? " request failed" : " requests failed");
}

static void
about_budget(struct textbuf *out, const struct sim_report *r, uint64_t n)
{
	const struct cfg_pool *p = r->script->pool;

	textbuf_lit(out, "The retry budget was used up for ");
	put_ms(out, r->with->broke_ticks * BUDGETS_STEP_MS);
	textbuf_lit(out, ": ");
	put_failed(out, n);
	textbuf_lit(out, " that a larger one (retry_budget is ");
	textbuf_u64(out, p->retry_budget_pct);
	textbuf_lit(out, "%, retry_budget_min ");
	textbuf_u64(out, p->retry_budget_min);
	textbuf_lit(out, "/s) would have tried again; of those that were, ");
	sim_text_put_share(out, r->with->retried_well, r->with->retried);
	textbuf_lit(out, " succeeded.");
}

static void
about_once(struct textbuf *out, const struct sim_report *r, uint64_t n)
{
	(void)r;
	put_failed(out, n);
	textbuf_lit(out,
	    " because a POST or PATCH that a backend may have carried out is "
	    "not repeated; an Idempotency-Key, or retry_non_idempotent where "
	    "twice is harmless, allows it.");
}

static void
about_attempts(struct textbuf *out, const struct sim_report *r, uint64_t n)
{
	put_failed(out, n);
	textbuf_lit(
	    out, " with no retry left: more of them (retry_attempts is ");
	textbuf_u64(out, r->script->pool->retry_attempts);
	textbuf_lit(out, ") or longer waits (retry_base is ");
	put_ms(out, r->script->pool->retry_base_ms);
	textbuf_lit(out, ") bridge a short outage.");
}

static void
about_off(struct textbuf *out, const struct sim_report *r, uint64_t n)
{
	(void)r;
	put_failed(out, n);
	textbuf_lit(out, " and none was tried again: retry_attempts is 0.");
}

static void
about_retry_on(struct textbuf *out, const struct sim_report *r, uint64_t n)
{
	(void)r;
	put_failed(out, n);
	textbuf_lit(out, " for a cause that retry_on does not have.");
}

static void
about_wait(struct textbuf *out, const struct sim_report *r, uint64_t n)
{
	put_failed(out, n);
	textbuf_lit(out,
	    " because the wait before the next attempt would have passed "
	    "request_timeout (");
	put_ms(out, r->script->pool->request_timeout_ms);
	textbuf_lit(out, "), or Retry-After retry_cap (");
	put_ms(out, r->script->pool->retry_cap_ms);
	textbuf_lit(out, ").");
}

static void
about_time(struct textbuf *out, const struct sim_report *r, uint64_t n)
{
	put_failed(out, n);
	textbuf_lit(out, " when request_timeout (");
	put_ms(out, r->script->pool->request_timeout_ms);
	textbuf_lit(out,
	    ") was over: an attempt_timeout leaves time for another "
	    "attempt.");
}

static void
about_queue(struct textbuf *out, const struct sim_report *r, uint64_t n)
{
	put_failed(out, n);
	textbuf_lit(
	    out, " because no backend was usable: a longer queue_timeout (");
	put_ms(out, r->script->pool->queue_timeout_ms);
	textbuf_lit(out, ") or a larger queue_size (");
	textbuf_u64(out, r->script->pool->queue_size);
	textbuf_lit(out, ") bridges a short outage, a backup a long one.");
}

static void
about_clients(struct textbuf *out, const struct sim_report *r, uint64_t n)
{
	put_failed(out, n);
	textbuf_lit(out, " as more than ");
	textbuf_u64(out, r->with->most_at_once);
	textbuf_lit(
	    out, " were under way: shorter timeouts keep them from piling up.");
}

/* Nothing was lost, but somebody waited long. */
static void
about_added(struct textbuf *out, const struct sim_report *r)
{
	const struct cfg_pool *p = r->script->pool;
	uint64_t most = r->with->ok.max_us;

	if (most < r->without->ok.max_us + SIM_ADVICE_ADDED_US)
		return;
	textbuf_lit(out, "No request failed, but the slowest took ");
	sim_text_put_time(out, most);
	if (r->with->outcomes[ACCESS_TIMEOUT] > 0) {
		textbuf_lit(out, ": response_timeout is ");
		put_ms(out, p->response_timeout_ms);
		textbuf_lit(out, ", attempt_timeout ");
		put_ms(out, p->attempt_timeout_ms);
	} else if (r->with->outcomes[ACCESS_CONNECT_TIMEOUT] > 0) {
		textbuf_lit(out, ": connect_timeout is ");
		put_ms(out, p->connect_timeout_ms);
	} else if (r->with->queued > 0) {
		textbuf_lit(out, ": no backend was usable, queue_timeout is ");
		put_ms(out, p->queue_timeout_ms);
	} else if (p->attempt_timeout_ms == 0) {
		textbuf_lit(out,
		    ": an attempt_timeout (it is off) would have tried "
		    "another backend sooner");
	} else {
		textbuf_lit(out, ": attempt_timeout is ");
		put_ms(out, p->attempt_timeout_ms);
	}
	textbuf_byte(out, '.');
}

void
sim_advice_put(struct textbuf *out, const struct sim_report *r)
{
	static void (*const about[SIM_LOSSES])(struct textbuf * out,
	    const struct sim_report *r,
	    uint64_t n) = {[SIM_LOSS_NOT_ASKED] = about_retry_on,
	    [SIM_LOSS_NOT_IDEMPOTENT] = about_once,
	    [SIM_LOSS_ATTEMPTS] = about_attempts,
	    [SIM_LOSS_OFF] = about_off,
	    [SIM_LOSS_WAIT] = about_wait,
	    [SIM_LOSS_BUDGET] = about_budget,
	    [SIM_LOSS_TIME] = about_time,
	    [SIM_LOSS_QUEUE] = about_queue,
	    [SIM_LOSS_CLIENTS] = about_clients};
	int most = 0;

	for (int l = 1; l < SIM_LOSSES; l++)
		if (r->with->lost[l] > r->with->lost[most])
			most = l;
	if (r->with->lost[most] == 0)
		about_added(out, r);
	else
		about[most](out, r, r->with->lost[most]);
}
