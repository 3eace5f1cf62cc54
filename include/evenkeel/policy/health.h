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

#define HEALTH_ROW_MAX         1000U /* of rise and fall */
#define HEALTH_INTERVAL_MAX_MS (1U << 30)
/* The very first checks of that many backends need no spreading. */
#define HEALTH_AT_ONCE 16U

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

/*@ predicate health_rules_valid(struct health_rules *r) =
      1 <= r->rise <= HEALTH_ROW_MAX && 1 <= r->fall <= HEALTH_ROW_MAX;

    predicate health_valid(struct health *h, struct health_rules *r) =
      health_rules_valid(r) && h->level <= r->rise + r->fall - 1;

    predicate health_up{L}(struct health *h, struct health_rules *r) =
      h->level >= r->rise;

    // How many results in a row have spoken against the present state.
    logic integer health_against{L}(struct health *h, struct health_rules *r) =
      h->level >= r->rise ? r->rise + r->fall - 1 - h->level : h->level;

    // How many it takes to change it.
    logic integer health_needed{L}(struct health *h, struct health_rules *r) =
      h->level >= r->rise ? r->fall : r->rise;

    predicate health_counts(integer result, integer answered) =
      !(result == HEALTH_TIMEOUT && answered != 0);
*/

/*@ requires \valid_read(h) && \valid_read(r);
    assigns \nothing;
    ensures \result <==> health_valid(h, r);
*/
bool health_ok(const struct health *h, const struct health_rules *r);

/* At the end of its range: before the first check. */
/*@ requires \valid(h) && \valid_read(r) && \separated(h, r);
    requires health_rules_valid(r);
    assigns h->level;
    ensures health_valid(h, r) && health_against(h, r) == 0;
    ensures health_up(h, r) <==> up;
*/
void health_init(struct health *h, const struct health_rules *r, bool up);

/*@ requires \valid_read(h) && \valid_read(r);
    assigns \nothing;
    ensures \result <==> health_up(h, r);
*/
bool health_is_up(const struct health *h, const struct health_rules *r);

/* Rules have changed (reload): up stays up, down stays down. */
/*@ requires \valid(h) && \valid_read(old) && \valid_read(now);
    requires \separated(h, old) && \separated(h, now);
    requires health_valid(h, old) && health_rules_valid(now);
    assigns h->level;
    ensures health_valid(h, now);
    ensures health_up(h, now) <==> \old(health_up(h, old));
    ensures health_against(h, now) <= \old(health_against(h, old));
*/
void health_adapt(struct health *h, const struct health_rules *old,
    const struct health_rules *now);

/*
 * Takes the result of a check.  `answered`: the backend has answered real
 * requests since the check before; then a timeout does not count: it is slow,
 * not down.
 */
/*@ requires \valid(h) && \valid_read(r) && \separated(h, r);
    requires health_valid(h, r);
    requires result \in {HEALTH_OK, HEALTH_FAILED, HEALTH_TIMEOUT};
    assigns h->level;
    ensures health_valid(h, r);
    behavior ignored:
      assumes !health_counts(result, answered);
      ensures h->level == \old(h->level) && \result == HEALTH_SAME;
    behavior confirms:
      assumes health_counts(result, answered);
      assumes health_up(h, r) <==> result == HEALTH_OK;
      ensures health_up(h, r) <==> \old(health_up(h, r));
      ensures health_against(h, r) == 0 && \result == HEALTH_SAME;
    behavior not_yet:
      assumes health_counts(result, answered);
      assumes !(health_up(h, r) <==> result == HEALTH_OK);
      assumes health_against(h, r) + 1 < health_needed(h, r);
      ensures health_up(h, r) <==> \old(health_up(h, r));
      ensures health_against(h, r) == \old(health_against(h, r)) + 1;
      ensures \result == HEALTH_SAME;
    behavior turns:
      assumes health_counts(result, answered);
      assumes !(health_up(h, r) <==> result == HEALTH_OK);
      assumes health_against(h, r) + 1 >= health_needed(h, r);
      ensures health_up(h, r) <==> result == HEALTH_OK;
      ensures health_against(h, r) == 0;
      ensures \result ==
	(result == HEALTH_OK ? HEALTH_WENT_UP : HEALTH_WENT_DOWN);
    complete behaviors;
    disjoint behaviors;
*/
enum health_change health_report(struct health *h, const struct health_rules *r,
    enum health_result result, bool answered)
    __attribute__((warn_unused_result));

/* Until the next check: `interval_ms` (1..INTERVAL_MAX_MS) with 10 % jitter
 * either way, never 0.  `random`: 64 uniform bits. */
/*@ requires 1 <= interval_ms <= HEALTH_INTERVAL_MAX_MS;
    assigns \nothing;
    ensures \result >= 1;
    ensures interval_ms - interval_ms / 10 <= \result;
    ensures \result <= interval_ms + interval_ms / 10;
*/
uint32_t health_next_ms(uint32_t interval_ms, uint64_t random);

/* Until the very first check of backend `index` of `n` (up to UINT32_MAX), so
 * that many do not start as one herd: at once for the first HEALTH_AT_ONCE, the
 * others evenly within the interval. */
/*@ requires interval_ms <= HEALTH_INTERVAL_MAX_MS;
    requires index < n <= UINT32_MAX;
    assigns \nothing;
    ensures \result <= interval_ms;
    ensures index < HEALTH_AT_ONCE ==> \result == 0;
*/
uint32_t health_first_ms(uint32_t interval_ms, uint64_t index, uint64_t n);

#endif
