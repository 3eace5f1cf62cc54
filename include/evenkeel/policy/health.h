/*
 * health - from the results of checks to up or down, without flapping.
 *
 * One integer: from 0 (down for long) to rise + fall - 1 (up for long), up
 * from `rise` on.  A good check while up, or a bad one while down, goes to the
 * end of its range, so only results in a row count.
 *
 * Layer: policy.  Pure.
 *
 * Sources: HAProxy's configuration manual on `rise` and `fall` (the model).
 */
#ifndef EVENKEEL_POLICY_HEALTH_H
#define EVENKEEL_POLICY_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#define HEALTH_ROW_MAX 1000U /* of rise and fall */

struct health_rules {
	uint32_t rise; /* good checks in a row until up; 1..ROW_MAX */
	uint32_t fall; /* bad checks in a row until down; 1..ROW_MAX */
};

enum health_result {
	HEALTH_OK,
	HEALTH_FAILED,  /* refused, wrong status, ... */
	HEALTH_TIMEOUT, /* it only timed out */
	HEALTH_RESULTS
};

enum health_change { HEALTH_SAME, HEALTH_WENT_UP, HEALTH_WENT_DOWN };

struct health {
	uint32_t level; /* 0..rise + fall - 1 */
};

bool health_ok(const struct health *h, const struct health_rules *r);

/* At the end of its range: before the first check. */
void health_init(struct health *h, const struct health_rules *r, bool up);

bool health_is_up(const struct health *h, const struct health_rules *r);

/* Rules have changed (reload): up stays up, down stays down. */
void health_adapt(struct health *h, const struct health_rules *old,
    const struct health_rules *now);

/*
 * Takes the result of a check.  `answered`: the backend has answered real
 * requests since the check before; then a timeout does not count: it is slow,
 * not down.
 */
enum health_change health_report(struct health *h, const struct health_rules *r,
    enum health_result result, bool answered)
    __attribute__((warn_unused_result));

/* Until the next check: `interval_ms` (1..2^30) with 10 % jitter either way,
 * never 0.  `random`: 64 uniform bits. */
uint32_t health_next_ms(uint32_t interval_ms, uint64_t random);

/* Until the very first check of backend `index` of `n`, so that many do not
 * start as one herd: within the interval, and at once for a few. */
uint32_t health_first_ms(uint32_t interval_ms, uint64_t index, uint64_t n);

#endif
