#include "evenkeel/policy/balance.h"

#include "evenkeel/base/check.h"

static uint32_t
common_divisor(uint32_t a, uint32_t b)
{
	while (b != 0) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

size_t
balance_turns(const uint32_t *weights, size_t n, uint32_t *turns)
{
	uint64_t limit = BALANCE_ENTRIES, sum = 0;
	uint32_t divisor = 0;
	size_t entries = 0;

	if (limit < (uint64_t)n * BALANCE_ENTRIES_PER_BACKEND)
		limit = (uint64_t)n * BALANCE_ENTRIES_PER_BACKEND;
	for (size_t i = 0; i < n; i++)
		divisor = common_divisor(weights[i], divisor);
	for (size_t i = 0; i < n; i++)
		sum += weights[i] / divisor;
	for (size_t i = 0; i < n; i++) {
		uint64_t w = weights[i] / divisor;

		/* The n are for those whose part rounds to 0 but stand in the
		 * table nevertheless. */
		if (sum > limit)
			w = w * (limit - n) / sum;
		turns[i] = w > 0 ? (uint32_t)w : 1;
		entries += turns[i];
	}
	return entries;
}

/* Which slot of the round the k-th of `turns` turns belongs to:
 * floor((k + 1/2) / turns * entries). */
static size_t
slot_of(uint32_t k, uint32_t turns, size_t entries)
{
	return (
	    size_t)((2 * (uint64_t)k + 1) * entries / (2 * (uint64_t)turns));
}

void
balance_order(const uint32_t *turns, size_t n, uint32_t *table, size_t entries,
    uint32_t *work)
{
	/* A counting sort: first how many turns fall into each slot, then
	 * where the turns of each slot begin, then place them.  Ties keep the
	 * order of the backends. */
	for (size_t s = 0; s <= entries; s++)
		work[s] = 0;
	for (size_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < turns[i]; k++)
			work[slot_of(k, turns[i], entries) + 1]++;
	for (size_t s = 1; s <= entries; s++)
		work[s] += work[s - 1];
	CHECK(work[entries] == entries);
	for (size_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < turns[i]; k++)
			table[work[slot_of(k, turns[i], entries)]++] =
			    (uint32_t)i;
}
