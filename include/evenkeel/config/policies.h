/*
 * policies - a pool's options in the form in which policy/ decides by them.
 *
 * The one place where the two meet: what the proxy, the checks, `check` and
 * `simulate` go by is the same.
 *
 * Layer: config.  Pure.
 */
#ifndef EVENKEEL_CONFIG_POLICIES_H
#define EVENKEEL_CONFIG_POLICIES_H

#include "evenkeel/config/config.h"
#include "evenkeel/policy/budget.h"
#include "evenkeel/policy/eject.h"
#include "evenkeel/policy/health.h"
#include "evenkeel/policy/retry.h"

/* Each takes a pool that config has accepted.  Cannot fail. */
struct retry_policy policies_retry(const struct cfg_pool *p);
struct budget_policy policies_budget(const struct cfg_pool *p);
struct health_rules policies_health(const struct cfg_pool *p);
struct eject_rules policies_eject(const struct cfg_pool *p);

/* Whether a check that was answered with `status` is a good one. */
bool policies_health_status(const struct cfg_pool *p, unsigned status);

#endif
