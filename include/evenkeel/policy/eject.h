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

/* A Retry-After keeps it out at most this much longer than it would be. */
#define EJECT_ASKED_MS    30000U
#define EJECT_TIME_MAX_MS 86400000U

struct eject_rules {
	uint32_t failures; /* in a row; 0: never */
	uint32_t base_ms;  /* of the first ejection; 1..cap_ms */
	uint32_t cap_ms;   /* ..EJECT_TIME_MAX_MS */
	uint32_t max_pct;  /* of the pool; 0..100 */
};

struct eject {
	bool out;
	uint32_t in_a_row;   /* ejections, the present one included */
	uint64_t until_ms;   /* of `out` */
	uint64_t settled_ms; /* from then on a new ejection is the first */
};

bool eject_ok(const struct eject *e);
void eject_init(struct eject *e);

/* Whether an attempt's outcome counts as failed (any but ok, stale, cancelled;
 * `status` is what the response had, for a 429 is about the client). */
bool eject_counts(enum access_outcome o, unsigned status);

/*
 * How many of a pool's `n` backends may be ejected at a time: max_pct of them
 * rounded down, at least one of two or more, never all; 0 of one.
 */
uint32_t eject_limit(const struct eject_rules *r, uint32_t n);

/* How long the next ejection takes, in ms: base doubled for each in a row
 * before, at most cap. */
uint32_t eject_time_ms(
    const struct eject_rules *r, const struct eject *e, uint64_t now_ms);

/*
 * It is out from now on.  `asked_ms`: how long its last answer asked to be left
 * alone (Retry-After; 0: not); it stays out at least that long, but at most
 * EJECT_ASKED_MS longer than otherwise.
 */
void eject_out(struct eject *e, const struct eject_rules *r, uint64_t now_ms,
    uint64_t asked_ms);

/* Its time is over. */
bool eject_due(const struct eject *e, uint64_t now_ms);

/* It is back: because its time is over, or because active checks brought it
 * from down to up. */
void eject_back(struct eject *e, uint64_t now_ms);

#endif
