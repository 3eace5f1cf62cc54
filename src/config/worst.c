#include "evenkeel/config/worst.h"

#include "evenkeel/base/num.h"
#include "evenkeel/config/policies.h"

uint64_t
worst_attempt_ms(const struct cfg_pool *p)
{
	uint64_t both =
	    (uint64_t)p->connect_timeout_ms + p->response_timeout_ms;

	if (p->attempt_timeout_ms == 0)
		return both;
	return num_min_u64(both, p->attempt_timeout_ms);
}

uint64_t
worst_waits_ms(const struct cfg_pool *p)
{
	struct backoff_policy backoff = policies_retry(p).backoff;
	uint64_t sum = 0;

	for (uint32_t n = 1; n <= p->retry_attempts; n++)
		sum += backoff_ceiling_ms(&backoff, n);
	return sum;
}

uint64_t
worst_queue_ms(const struct cfg_pool *p)
{
	uint32_t stale = p->keepalive > 0 ? 1 : 0;

	return (uint64_t)p->queue_timeout_ms * (p->retry_attempts + 1 + stale);
}

uint64_t
worst_request_ms(const struct cfg_pool *p)
{
	return worst_queue_ms(p) +
	    (p->retry_attempts + 1) * worst_attempt_ms(p) + worst_waits_ms(p) +
	    (p->keepalive > 0 ? WORST_STALE_MS : 0);
}

/* `n` checks in a row: each begins an interval, or what its jitter makes of
 * it, after the one before, but not before that one has ended. */
static uint64_t
checks_ms(const struct cfg_pool *p, uint32_t interval_ms, uint32_t n)
{
	uint64_t longest = (uint64_t)interval_ms * 11 / 10;

	return num_max_u64(longest, p->health_timeout_ms) * n +
	    p->health_timeout_ms;
}

uint64_t
worst_down_ms(const struct cfg_pool *p)
{
	return checks_ms(p, p->health_interval_ms, p->health_fall);
}

uint64_t
worst_up_ms(const struct cfg_pool *p)
{
	uint32_t interval_ms = p->health_interval_down_ms;

	if (interval_ms == 0)
		interval_ms = p->health_interval_ms;
	return checks_ms(p, interval_ms, p->health_rise);
}

uint32_t
worst_ejected(const struct cfg_pool *p)
{
	struct eject_rules rules = policies_eject(p);

	if (p->eject_failures == 0)
		return 0;
	return eject_limit(&rules, (uint32_t)p->n_backends);
}

static bool
retries(const struct cfg_pool *p, unsigned causes)
{
	return p->retry_attempts > 0 &&
	    (policies_retry(p).causes & causes) != 0;
}

/* What the budget is asked for: it came to a request. */
#define PAID (1U << RETRY_RESET | 1U << RETRY_TIMEOUT | 1U << RETRY_STATUS)

uint32_t
worst_requests_pct(const struct cfg_pool *p)
{
	if (!retries(p, PAID))
		return 100;
	if (p->retry_budget_pct == BUDGET_NO_LIMIT_PCT)
		return 100 * (1 + p->retry_attempts);
	return 100 + p->retry_budget_pct;
}

uint32_t
worst_connects_pct(const struct cfg_pool *p)
{
	return retries(p, 1U << RETRY_CONNECT) ? 100 * (1 + p->retry_attempts)
					       : 100;
}

bool
worst_has_floor(const struct cfg_pool *p)
{
	return retries(p, PAID) && p->retry_budget_min > 0 &&
	    p->retry_budget_pct > 0 &&
	    p->retry_budget_pct < BUDGET_NO_LIMIT_PCT;
}
