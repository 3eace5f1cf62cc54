/*
 * balance - the order in which backends take their turns.
 *
 * Smooth weighted round-robin, worked out beforehand: a table names one
 * backend per turn, so that a pick is one look at table[cursor % entries],
 * with two backends or 100,000.  A backend of weight w stands in the table w
 * times (after division by the common divisor), as evenly spaced as can be:
 * its k-th turn belongs at position (k + (j + 1/2) / m) / w of the round, where
 * it is the j-th of the m backends with that weight.
 *
 * Layer: policy.  Pure: memory is the caller's.
 *
 * Sources: the spacing is that of smooth weighted round-robin as HAProxy and
 * nginx document it; the table is sorted by buckets in O(entries).
 */
#ifndef EVENKEEL_POLICY_BALANCE_H
#define EVENKEEL_POLICY_BALANCE_H

#include <stddef.h>
#include <stdint.h>

/* Tables are not larger than this, or BALANCE_ENTRIES_PER_BACKEND times the
 * number of backends when that is more: weights are scaled down to fit. */
#define BALANCE_ENTRIES             65536U
#define BALANCE_ENTRIES_PER_BACKEND 4U
/* Turns that are told apart when equals share a round out. */
#define BALANCE_CLASSES 257U

/*
 * How often each of `n` backends stands in the table: `turns[i]` >= 1 is set
 * for every weight >= 1.  Returns the sum, the number of entries; 0 when n is
 * 0.
 */
size_t balance_turns(const uint32_t *weights, size_t n, uint32_t *turns);

/*
 * Fills table[0..entries) with indexes of backends; `entries` is the sum of
 * `turns`.  `work` has room for entries + 1 numbers.  Equal turns give the
 * plain order 0 1 2 ... .
 */
void balance_order(const uint32_t *turns, size_t n, uint32_t *table,
    size_t entries, uint32_t *work);

/* The place in a table of `entries` >= 1 for turn `cursor`. */
static inline size_t
balance_place(uint64_t cursor, size_t entries)
{
	return (size_t)(cursor % entries);
}

#endif
