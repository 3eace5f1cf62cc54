/*
 * backoff - how long to wait before trying a failed request again.
 *
 * Truncated exponential backoff with jitter: the ceiling doubles with each
 * retry up to a cap and the wait is drawn below it, so that many clients of a
 * recovering backend do not come back in step.
 *
 * Layer: policy.  Pure: the caller brings the retry number and random bits.
 *
 * Sources: "Exponential Backoff and Jitter", AWS Architecture Blog, 2015 (full
 * and equal jitter).
 */
#ifndef EVENKEEL_POLICY_BACKOFF_H
#define EVENKEEL_POLICY_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

/* No wait is longer: a day. */
#define BACKOFF_LIMIT_MS 86400000U

enum backoff_jitter { BACKOFF_FULL, BACKOFF_EQUAL, BACKOFF_NONE };

struct backoff_policy {
	uint32_t base_ms; /* ceiling before the first retry; 1..cap_ms */
	uint32_t cap_ms;  /* never exceeded; base_ms..BACKOFF_LIMIT_MS */
	enum backoff_jitter jitter;
};

/*@ predicate backoff_valid(struct backoff_policy *p) =
      1 <= p->base_ms <= p->cap_ms <= BACKOFF_LIMIT_MS &&
      p->jitter \in {BACKOFF_FULL, BACKOFF_EQUAL, BACKOFF_NONE};

    logic integer backoff_at(integer base, integer cap, integer n) =
      n <= 1 ? base : \min(cap, 2 * backoff_at(base, cap, n - 1));
*/

/*@ requires \valid_read(p);
    assigns \nothing;
    ensures \result <==> backoff_valid(p);
*/
bool backoff_ok(const struct backoff_policy *p);

/*
 * Ceiling in ms before retry `n` (1 is the first; 0 counts as 1).  Never 0,
 * never above p->cap_ms, never falls as n grows.  Cannot fail.
 */
/*@ requires \valid_read(p) && backoff_valid(p);
    assigns \nothing;
    ensures \result == backoff_at(p->base_ms, p->cap_ms, n);
    ensures p->base_ms <= \result <= p->cap_ms;
*/
uint32_t backoff_ceiling_ms(const struct backoff_policy *p, uint32_t n);

/*
 * The wait in ms before retry `n`.  `random`: 64 uniform bits, one draw for
 * each wait.  NONE: the ceiling; EQUAL: in [ceiling/2, ceiling]; FULL: in [0,
 * ceiling], uniform but for a bias below 2^-32.  Cannot fail.
 */
/*@ requires \valid_read(p) && backoff_valid(p);
    assigns \nothing;
    ensures \result <= backoff_at(p->base_ms, p->cap_ms, n);
    ensures \result <= p->cap_ms;
    ensures p->jitter == BACKOFF_EQUAL ==>
      \result >= backoff_at(p->base_ms, p->cap_ms, n) / 2;
    ensures p->jitter == BACKOFF_NONE ==>
      \result == backoff_at(p->base_ms, p->cap_ms, n);
*/
uint32_t
backoff_wait_ms(const struct backoff_policy *p, uint32_t n, uint64_t random);

#endif
