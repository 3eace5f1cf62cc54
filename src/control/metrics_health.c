#include "evenkeel/control/metrics_health.h"

#include "evenkeel/base/num.h"
#include "evenkeel/http/metrics.h"

#define LABELS(...)                                                           \
	((struct metrics_labels){(const struct metrics_label[]){__VA_ARGS__}, \
	    sizeof((const struct metrics_label[]){__VA_ARGS__}) /             \
		sizeof(struct metrics_label)})

/* ---- backends ---- */

static void
each_member(struct textbuf *out, const struct pages *p,
    void (*put)(struct textbuf *out, struct span pool, struct span backend,
	const struct roster_member *m))
{
	const struct roster *r = guard_roster(p->guard);

	for (size_t i = 0; i < r->n_pools; i++) {
		const struct roster_pool *pool = &r->pools[i];

		for (size_t k = 0; k < pool->n_members && !out->full; k++)
			put(out, pool->pool->upstream->name_span,
			    pool->members[k]->backend->name_span,
			    pool->members[k]);
	}
}

static void
put_up(struct textbuf *out, struct span pool, struct span backend,
    const struct roster_member *m)
{
	metrics_put_count(out, "evenkeel_backend_up",
	    LABELS({"pool", pool}, {"backend", backend}),
	    m->state == ROSTER_UP);
}

static void
put_state(struct textbuf *out, struct span pool, struct span backend,
    const struct roster_member *m)
{
	for (int s = 0; s < ROSTER_STATES; s++)
		metrics_put_count(out, "evenkeel_backend_state",
		    LABELS({"pool", pool}, {"backend", backend},
			{"state",
			    span_of(roster_state_text((enum roster_state)s))}),
		    (int)m->state == s);
}

/* Also of one that is not checked any more. */
static void
put_checks(struct textbuf *out, struct span pool, const struct backend *b)
{
	const struct roster_member *m = roster_member_of(b);
	uint64_t all = 0;

	for (int h = 0; h < HEALTH_RESULTS; h++)
		all += b->checks[h];
	for (int h = 0;
	     (all > 0 || (m != NULL && m->checked)) && h < HEALTH_RESULTS; h++)
		metrics_put_count(out, "evenkeel_health_checks_total",
		    LABELS({"pool", pool}, {"backend", b->name_span},
			{"result",
			    span_of(roster_check_text((enum health_result)h))}),
		    b->checks[h]);
}

/* ---- retries ---- */

#define SUM(u, member)                                               \
	({                                                           \
		uint64_t sum_ = 0;                                   \
		for (uint32_t l_ = 0; l_ < (u)->n_lanes; l_++)       \
			sum_ += counter_get(&(u)->lanes[l_].member); \
		sum_;                                                \
	})

static void
put_retries_of(struct textbuf *out, const struct upstream *u)
{
	for (int c = 0; c < RETRY_STATUS; c++)
		metrics_put_count(out, "evenkeel_retries_total",
		    LABELS({"pool", u->name_span},
			{"cause",
			    span_of(retry_cause_text((enum retry_cause)c))}),
		    SUM(u, retries[c]));
	for (unsigned s = RETRY_STATUS_MIN; s <= RETRY_STATUS_MAX; s++) {
		uint64_t sum = SUM(u, retried_status[s - RETRY_STATUS_MIN]);
		char digits[NUM_U64_DIGITS];

		if (sum == 0)
			continue;
		metrics_put_count(out, "evenkeel_retries_total",
		    LABELS({"pool", u->name_span},
			{"cause", span_make(digits, num_put_u64(digits, s))}),
		    sum);
	}
}

/* Of a verdict that was YES, or was never asked for, there is nothing to
 * say. */
static void
put_denied_of(struct textbuf *out, const struct upstream *u)
{
	for (int v = RETRY_COMMITTED; v < RETRY_VERDICTS; v++)
		metrics_put_count(out, "evenkeel_retries_denied_total",
		    LABELS({"pool", u->name_span},
			{"reason",
			    span_of(
				retry_verdict_text((enum retry_verdict)v))}),
		    SUM(u, denied[v]));
}

static void
put_backoff_of(struct textbuf *out, const struct upstream *u)
{
	struct metrics_histogram h = {.sum_us = SUM(u, backoff.sum_us)};

	for (int i = 0; i <= METRICS_BUCKETS; i++)
		h.counts[i] = SUM(u, backoff.bucket[i]);
	metrics_put_histogram(out, "evenkeel_backoff_seconds",
	    LABELS({"pool", u->name_span}), &h);
}

void
metrics_health_put(struct textbuf *out, const struct pages *p)
{
	metrics_put_family(out, "evenkeel_backend_up", METRICS_GAUGE,
	    "1 when a backend may get requests: up, not ejected, not "
	    "draining.");
	each_member(out, p, put_up);
	metrics_put_family(out, "evenkeel_backend_state", METRICS_GAUGE,
	    "1 for the state that a backend is in, 0 for the others.");
	each_member(out, p, put_state);
	metrics_put_family(out, "evenkeel_health_checks_total", METRICS_COUNTER,
	    "Active checks of a backend, by result.");
	pages_each_backend(out, p, put_checks);
	metrics_put_family(out, "evenkeel_retries_total", METRICS_COUNTER,
	    "Attempts after a failed one, by what made it fail.");
	pages_each_upstream(out, p, put_retries_of);
	metrics_put_family(out, "evenkeel_retries_denied_total",
	    METRICS_COUNTER,
	    "Failed attempts that no other one followed, by the reason.");
	pages_each_upstream(out, p, put_denied_of);
	metrics_put_family(out, "evenkeel_backoff_seconds", METRICS_HISTOGRAM,
	    "Waits before retries.");
	pages_each_upstream(out, p, put_backoff_of);
}
