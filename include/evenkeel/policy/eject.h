/*
 * eject - taking a backend out because real requests fail on it (passive
 * checks, outlier detection).
 *
 * After so many failed attempts in a row it is out for a time that doubles
 * with each ejection in a row up to a cap.  Ejections are in a row until the
 * backend has stayed in for as long as it was out.
 *
 * Layer: policy.  Pure.
 *
 * Sources: Envoy's outlier detection (consecutive failures, maximal percent).
 */
#ifndef EVENKEEL_POLICY_EJECT_H
#define EVENKEEL_POLICY_EJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "evenkeel/http/access.h"
#include "evenkeel/policy/backoff.h"

/* A Retry-After keeps it out at most this much longer than it would be. */
#define EJECT_ASKED_MS    30000U
#define EJECT_TIME_MAX_MS 86400000U
/* Ejections in a row that are told apart: from a millisecond to any cap it
 * takes 27. */
#define EJECT_ROW_MAX 1000U

struct eject_rules {
	uint32_t failures; /* in a row; 0: never */
	uint32_t base_ms;  /* of the first ejection; 1..cap_ms */
	uint32_t cap_ms;   /* ..EJECT_TIME_MAX_MS */
	uint32_t max_pct;  /* of the pool; 0..100 */
};

struct eject {
	bool out;
	uint32_t in_a_row;   /* ejections, the present one included */
	uint64_t since_ms;   /* of `out` */
	uint64_t until_ms;   /* of `out` */
	uint64_t settled_ms; /* from then on a new ejection is the first */
};

/*@ predicate eject_rules_valid(struct eject_rules *r) =
      1 <= r->base_ms <= r->cap_ms <= EJECT_TIME_MAX_MS && r->max_pct <= 100;

    predicate eject_valid(struct eject *e) =
      e->in_a_row <= EJECT_ROW_MAX &&
      (e->out != 0 ==> e->in_a_row >= 1 && e->since_ms <= e->until_ms);

    // Ejections that a new one at `now` would follow.
    logic integer eject_row{L}(struct eject *e, integer now) =
      e->out != 0 || now < e->settled_ms ? e->in_a_row : 0;
*/

/*@ requires \valid_read(r);
    assigns \nothing;
    ensures \result <==> eject_rules_valid(r);
*/
bool eject_rules_ok(const struct eject_rules *r);
/*@ requires \valid_read(e);
    assigns \nothing;
    ensures \result <==> eject_valid(e);
*/
bool eject_ok(const struct eject *e);
/*@ requires \valid(e);
    assigns *e;
    ensures eject_valid(e) && e->out == 0 && e->in_a_row == 0;
*/
void eject_init(struct eject *e);

/* Whether an attempt's outcome counts as failed (any but ok, stale, cancelled;
 * `status` is what the response had, for a 429 is about the client). */
/*@ assigns \nothing;
    ensures o \in {ACCESS_OK, ACCESS_STALE, ACCESS_CANCELLED} ==> !\result;
    ensures o == ACCESS_STATUS ==> (\result <==> status != 429);
    ensures o \in {ACCESS_CONNECT_REFUSED, ACCESS_CONNECT_TIMEOUT,
      ACCESS_CONNECT_FAILED, ACCESS_TLS_FAILED, ACCESS_RESET,
      ACCESS_BAD_RESPONSE, ACCESS_TIMEOUT} ==> \result;
*/
bool eject_counts(enum access_outcome o, unsigned status);

/*
 * How many of a pool's `n` backends may be ejected at a time: max_pct of them
 * rounded down, at least one of two or more, never all; 0 of one.
 */
/*@ requires \valid_read(r) && eject_rules_valid(r);
    assigns \nothing;
    ensures n < 2 ==> \result == 0;
    ensures n >= 2 ==> 1 <= \result < n;
    ensures \result > 1 ==> \result * 100 <= n * r->max_pct;
*/
uint32_t eject_limit(const struct eject_rules *r, uint32_t n);

/* How long the next ejection takes, in ms: base doubled for each in a row
 * before, at most cap. */
/*@ requires \valid_read(r) && \valid_read(e);
    requires eject_rules_valid(r) && eject_valid(e);
    assigns \nothing;
    ensures \result ==
      backoff_at(r->base_ms, r->cap_ms, eject_row(e, now_ms) + 1);
    ensures r->base_ms <= \result <= r->cap_ms;
*/
uint32_t eject_time_ms(
    const struct eject_rules *r, const struct eject *e, uint64_t now_ms);

/*
 * It is out from now on.  `asked_ms`: how long its last answer asked to be left
 * alone (Retry-After; 0: not); it stays out at least that long, but at most
 * EJECT_ASKED_MS longer than otherwise.  Nothing happens to one that is out.
 */
/*@ requires \valid(e) && \valid_read(r) && \separated(e, r);
    requires eject_rules_valid(r) && eject_valid(e);
    assigns e->out, e->in_a_row, e->since_ms, e->until_ms;
    ensures eject_valid(e) && e->out != 0;
    behavior already:
      assumes e->out != 0;
      ensures e->in_a_row == \old(e->in_a_row);
      ensures e->until_ms == \old(e->until_ms);
    behavior goes:
      assumes e->out == 0;
      ensures e->in_a_row ==
	\min(\old(eject_row(e, now_ms)) + 1, EJECT_ROW_MAX);
      ensures e->until_ms >= \min(UINT64_MAX, now_ms + \old(backoff_at(
	r->base_ms, r->cap_ms, eject_row(e, now_ms) + 1)));
      ensures e->until_ms >=
	\min(UINT64_MAX, now_ms + \min(asked_ms, EJECT_ASKED_MS));
      ensures e->until_ms <= now_ms + r->cap_ms + EJECT_ASKED_MS;
    complete behaviors;
    disjoint behaviors;
*/
void eject_out(struct eject *e, const struct eject_rules *r, uint64_t now_ms,
    uint64_t asked_ms);

/* Its time is over. */
/*@ requires \valid_read(e);
    assigns \nothing;
    ensures \result <==> e->out != 0 && now_ms >= e->until_ms;
*/
bool eject_due(const struct eject *e, uint64_t now_ms);

/* It is back: because its time is over, or because active checks brought it
 * from down to up.  Nothing happens to one that is in. */
/*@ requires \valid(e) && eject_valid(e);
    assigns e->out, e->settled_ms;
    ensures eject_valid(e) && e->out == 0;
    ensures \old(e->out) != 0 && now_ms >= e->since_ms ==> e->settled_ms ==
      \min(UINT64_MAX, now_ms + (now_ms - e->since_ms));
    ensures \old(e->out) == 0 ==> e->settled_ms == \old(e->settled_ms);
*/
void eject_back(struct eject *e, uint64_t now_ms);

#endif
