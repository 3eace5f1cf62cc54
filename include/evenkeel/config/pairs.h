/*
 * pairs - which elements of two lists are the same, by their keys.
 *
 * Layer: config.  Pure: a hash of the old keys, in memory of an arena.
 */
#ifndef EVENKEEL_CONFIG_PAIRS_H
#define EVENKEEL_CONFIG_PAIRS_H

#include <stdbool.h>
#include <stdint.h>

#include "evenkeel/config/arena.h"
#include "evenkeel/config/names.h"

/* No partner. */
#define PAIRS_NONE SIZE_MAX

/* One of two lists. */
struct pairs_side {
	size_t n;
	struct span *keys;
	size_t *partner; /* index in the other list, or PAIRS_NONE */
};

/* Joins one after the other. */
struct pairs {
	struct names names;
	uint64_t scope; /* of the next join */
};

void pairs_init(struct pairs *p, struct arena *a);

/* A side of `n` elements without partners, whose keys the caller fills in.
 * False: no memory. */
bool
pairs_side_init(struct pairs_side *s, struct arena *a, size_t n) WARN_UNUSED;

/* Gives elements of the same key to each other; of several with the same key,
 * the first to the first, and so on.  The keys are to last as long as `p`.
 * False: no memory. */
bool pairs_join(struct pairs *p, struct pairs_side *old,
    struct pairs_side *new) WARN_UNUSED;

/* After a join: those that have a partner do not stand in the order of their
 * partners. */
bool pairs_reordered(const struct pairs_side *s);

/* After a join: *kept are the keys of those that have a partner, in their
 * order.  False: no memory. */
bool pairs_kept(struct pairs_side *kept, struct arena *a,
    const struct pairs_side *s) WARN_UNUSED;

#endif
