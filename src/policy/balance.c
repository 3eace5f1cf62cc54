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

/* Backends with the same number of turns share it out among themselves, or
 * their turns would all fall together. */
struct peers {
	uint32_t count[BALANCE_CLASSES]; /* with so many turns */
	uint32_t seen[BALANCE_CLASSES];  /* of them, so far */
};

/* Class 0 is of those with more turns than there are classes. */
static uint32_t
class_of(uint32_t turns)
{
	return turns < BALANCE_CLASSES ? turns : 0;
}

/* Which slot of the round the k-th turn belongs to, of the j-th of m backends
 * with `turns` turns: floor((k + (j + 1/2) / m) / turns * entries). */
static size_t
slot_of(uint64_t k, uint32_t turns, uint64_t j, uint64_t m, size_t entries)
{
	/* Below 2 * turns * m * entries, so below 2^63 with a million backends
	 * and the largest table they may have. */
	return (size_t)((2 * (k * m + j) + 1) * entries / (2 * m * turns));
}

/* Calls for each turn in the order of the backends: counts the turns of each
 * slot (place false), or places them. */
static void
each_turn(const uint32_t *turns, size_t n, uint32_t *table, size_t entries,
    uint32_t *work, bool place)
{
	struct peers p = {.count = {0}};

	for (size_t i = 0; i < n; i++)
		p.count[class_of(turns[i])]++;
	for (size_t i = 0; i < n; i++) {
		uint32_t class = class_of(turns[i]);
		uint32_t j = p.seen[class]++;

		for (uint32_t k = 0; k < turns[i]; k++) {
			size_t slot =
			    slot_of(k, turns[i], j, p.count[class], entries);

			if (place)
				table[work[slot]++] = (uint32_t)i;
			else
				work[slot + 1]++;
		}
	}
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
	each_turn(turns, n, table, entries, work, false);
	for (size_t s = 1; s <= entries; s++)
		work[s] += work[s - 1];
	CHECK(work[entries] == entries);
	each_turn(turns, n, table, entries, work, true);
}
