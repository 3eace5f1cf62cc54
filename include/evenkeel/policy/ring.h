/*
 * ring - consistent hashing: which backend a key belongs to.
 *
 * Each backend owns many points on a ring of 2^64 places; a key belongs to the
 * owner of the first point at or behind its hash.  A backend that leaves takes
 * only its own points along: of B equal backends about 1/B of the keys move,
 * all of them to somebody else's neighbourhood and none between those that
 * stay.
 *
 * Layer: policy.  Pure: memory is the caller's.
 *
 * Sources: Karger et al., "Consistent Hashing and Random Trees", 1997; FNV-1a
 * (Fowler, Noll, Vo); the finishing mix of splitmix64 (Steele et al., 2014).
 */
#ifndef EVENKEEL_POLICY_RING_H
#define EVENKEEL_POLICY_RING_H

#include <stddef.h>
#include <stdint.h>

#include "evenkeel/base/span.h"

/* Points of a backend of the smallest weight, when there are few; with 160 the
 * shares of equal backends differ by about 8 %. */
#define RING_POINTS 160U
/* With many backends each has fewer, but never under RING_POINTS_MIN. */
#define RING_POINTS_ALL 262144U
#define RING_POINTS_MIN 8U

struct ring_point {
	uint64_t at;
	uint32_t owner;
};

/* The place of a key; also what backends' names are hashed with. */
uint64_t ring_hash(struct span key);

/* How many points `n` backends with those turns (see policy/balance) get per
 * turn. */
uint32_t ring_points_per_turn(const uint32_t *turns, size_t n);

/*
 * Fills `points` (room for the sum of turns times `per_turn`) and sorts them.
 * `names[i]` is ring_hash of backend i's name.
 */
void ring_build(struct ring_point *points, const uint64_t *names,
    const uint32_t *turns, size_t n, uint32_t per_turn);

/* The index in `points` of the one that `hash` belongs to; count >= 1. */
size_t ring_find(const struct ring_point *points, size_t count, uint64_t hash);

#endif
