#include "evenkeel/config/policies.h"

#include "evenkeel/base/num.h"

/* cfg.h cannot name the policies' enums; both count alike. */
_Static_assert((int)CFG_JITTER_FULL == (int)BACKOFF_FULL &&
	(int)CFG_JITTER_EQUAL == (int)BACKOFF_EQUAL &&
	(int)CFG_JITTER_NONE == (int)BACKOFF_NONE,
    "the values of enum backoff_jitter");

static void
add_cause(struct retry_policy *r, struct span cause)
{
	uint64_t status;

	if (span_equal(cause, SPAN("connect"))) {
		r->causes |= 1U << RETRY_CONNECT;
	} else if (span_equal(cause, SPAN("reset"))) {
		r->causes |= 1U << RETRY_RESET;
	} else if (span_equal(cause, SPAN("timeout"))) {
		r->causes |= 1U << RETRY_TIMEOUT;
	} else {
		CHECK(num_parse_u64(cause, RETRY_STATUS_MAX, &status) &&
		    status >= RETRY_STATUS_MIN);
		r->causes |= 1U << RETRY_STATUS;
		retry_add_status(r, (unsigned)status);
	}
}

struct retry_policy
policies_retry(const struct cfg_pool *p)
{
	struct retry_policy r = {
	    .attempts = p->retry_attempts,
	    .first_wait = p->retry_first_wait == CFG_ON,
	    .non_idempotent = p->retry_non_idempotent == CFG_ON,
	    .backoff = {.base_ms = p->retry_base_ms,
		.cap_ms = p->retry_cap_ms,
		.jitter = (enum backoff_jitter)p->retry_jitter},
	};

	for (size_t i = 0; i < p->n_retry_on; i++)
		add_cause(&r, span_of(p->retry_on[i]));
	return r;
}

struct budget_policy
policies_budget(const struct cfg_pool *p)
{
	return (struct budget_policy){
	    .share_pct = p->retry_budget_pct, .floor = p->retry_budget_min};
}

struct health_rules
policies_health(const struct cfg_pool *p)
{
	return (struct health_rules){
	    .rise = p->health_rise, .fall = p->health_fall};
}

struct eject_rules
policies_eject(const struct cfg_pool *p)
{
	return (struct eject_rules){.failures = p->eject_failures,
	    .base_ms = p->eject_base_ms,
	    .cap_ms = p->eject_cap_ms,
	    .max_pct = p->eject_max_pct};
}

bool
policies_health_status(const struct cfg_pool *p, unsigned status)
{
	for (size_t i = 0; i < p->n_health_statuses; i++)
		if (status >= p->health_statuses[i].from &&
		    status <= p->health_statuses[i].to)
			return true;
	return false;
}
