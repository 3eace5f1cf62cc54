#include "evenkeel/policy/budget.h"

#include "evenkeel/base/check.h"
#include "evenkeel/base/num.h"

/* Slots that may hold something told less than so many ms ago. */
#define SLOTS_OF(ms) ((ms) / BUDGET_SLOT_MS + 1)

/* What the latest `count` slots hold. */
/*@ requires \valid_read(ring + (0 .. BUDGET_SLOTS - 1));
    requires count <= BUDGET_SLOTS;
    assigns \nothing;
    ensures \result == budget_sum(ring, slot, count);
    ensures \result <= count * UINT32_MAX;
*/
static uint64_t
sum(const uint32_t *ring, uint64_t slot, uint32_t count)
{
	uint32_t at = (uint32_t)(slot % BUDGET_SLOTS);
	uint64_t all = 0;

	/*@ loop invariant 0 <= i <= count;
	    loop invariant at == (slot % BUDGET_SLOTS + BUDGET_SLOTS - i) %
	      BUDGET_SLOTS;
	    loop invariant all == budget_sum(ring, slot, i) <= i * UINT32_MAX;
	    loop assigns i, at, all;
	    loop variant count - i;
	*/
	for (uint32_t i = 0; i < count; i++) {
		all += ring[at];
		at = at == 0 ? BUDGET_SLOTS - 1 : at - 1;
	}
	return all;
}

bool
budget_ok(const struct budget *b)
{
	return sum(b->requests, b->slot, BUDGET_SLOTS) <= b->last.requests &&
	    sum(b->from_share, b->slot, BUDGET_SLOTS) <= b->last.from_share &&
	    sum(b->from_floor, b->slot, BUDGET_SLOTS) <= b->last.from_floor;
}

void
budget_init(struct budget *b, uint64_t now_ms)
{
	b->slot = now_ms / BUDGET_SLOT_MS;
	b->last.requests = 0;
	b->last.from_share = 0;
	b->last.from_floor = 0;
	/*@ loop invariant 0 <= i <= BUDGET_SLOTS;
	    loop invariant \forall integer k; 0 <= k < i ==>
	      b->requests[k] == 0 && b->from_share[k] == 0 &&
	      b->from_floor[k] == 0;
	    loop assigns i, b->requests[0 .. BUDGET_SLOTS - 1],
	      b->from_share[0 .. BUDGET_SLOTS - 1],
	      b->from_floor[0 .. BUDGET_SLOTS - 1];
	    loop variant BUDGET_SLOTS - i;
	*/
	for (uint32_t i = 0; i < BUDGET_SLOTS; i++) {
		b->requests[i] = 0;
		b->from_share[i] = 0;
		b->from_floor[i] = 0;
	}
}

/* The window moves on to `slot`: what it leaves behind is forgotten. */
/*@ requires \valid(b);
    assigns *b;
    ensures b->slot == \max(\old(b->slot), slot);
    ensures b->last == \old(b->last);
    ensures \forall integer s;
      \old(b->slot) < s <= b->slot && b->slot < s + BUDGET_SLOTS ==>
      b->requests[s % BUDGET_SLOTS] == 0 &&
      b->from_share[s % BUDGET_SLOTS] == 0 &&
      b->from_floor[s % BUDGET_SLOTS] == 0;
    ensures \forall integer s;
      0 <= s <= \old(b->slot) && b->slot < s + BUDGET_SLOTS ==>
      b->requests[s % BUDGET_SLOTS] == \old(b->requests[s % BUDGET_SLOTS]) &&
      b->from_share[s % BUDGET_SLOTS] ==
	\old(b->from_share[s % BUDGET_SLOTS]) &&
      b->from_floor[s % BUDGET_SLOTS] ==
	\old(b->from_floor[s % BUDGET_SLOTS]);
*/
static void
advance(struct budget *b, uint64_t slot)
{
	uint64_t s = b->slot;

	if (slot > BUDGET_SLOTS)
		s = num_max_u64(s, slot - BUDGET_SLOTS);
	/*@ loop invariant \at(b->slot, Pre) <= s;
	    loop invariant s <= slot || s == \at(b->slot, Pre);
	    loop invariant slot <= s + BUDGET_SLOTS;
	    loop invariant \forall integer k;
	      \at(b->slot, Pre) < k <= s && slot < k + BUDGET_SLOTS ==>
	      b->requests[k % BUDGET_SLOTS] == 0 &&
	      b->from_share[k % BUDGET_SLOTS] == 0 &&
	      b->from_floor[k % BUDGET_SLOTS] == 0;
	    loop invariant \forall integer k;
	      0 <= k <= \at(b->slot, Pre) && slot < k + BUDGET_SLOTS ==>
	      b->requests[k % BUDGET_SLOTS] ==
		\at(b->requests[k % BUDGET_SLOTS], Pre) &&
	      b->from_share[k % BUDGET_SLOTS] ==
		\at(b->from_share[k % BUDGET_SLOTS], Pre) &&
	      b->from_floor[k % BUDGET_SLOTS] ==
		\at(b->from_floor[k % BUDGET_SLOTS], Pre);
	    loop assigns s, b->requests[0 .. BUDGET_SLOTS - 1],
	      b->from_share[0 .. BUDGET_SLOTS - 1],
	      b->from_floor[0 .. BUDGET_SLOTS - 1];
	    loop variant slot - s;
	*/
	while (s < slot) {
		uint32_t at = (uint32_t)(++s % BUDGET_SLOTS);

		b->requests[at] = 0;
		b->from_share[at] = 0;
		b->from_floor[at] = 0;
	}
	b->slot = num_max_u64(b->slot, slot);
}

/*@ requires \valid(count);
    assigns *count;
    ensures *count == \min(UINT32_MAX, \old(*count) + more);
*/
static void
add(uint32_t *count, uint64_t more)
{
	*count =
	    (uint32_t)num_min_u64(UINT32_MAX, num_add_capped(*count, more));
}

/*@ requires allowed <= UINT32_MAX;
    assigns \nothing;
    ensures \result == \max(0, allowed - spent);
*/
static uint32_t
less(uint64_t allowed, uint64_t spent)
{
	return (uint32_t)(allowed > spent ? allowed - spent : 0);
}

/* What the policy leaves of the window. */
/*@ requires \valid_read(b) && \valid_read(p) && p->share_pct <= 100;
    assigns \nothing;
    ensures \result.floor == \max(0, p->floor - budget_floored(b));
    ensures \result.share == \max(0, \min(UINT32_MAX,
      budget_requests(b) * p->share_pct / 100) - budget_shared(b));
*/
static struct budget_allowance
allowance(const struct budget *b, const struct budget_policy *p)
{
	uint64_t requests = sum(b->requests, b->slot, BUDGET_SLOTS - 1);
	uint64_t shared = sum(b->from_share, b->slot, BUDGET_SLOTS);
	uint64_t floored =
	    sum(b->from_floor, b->slot, SLOTS_OF(BUDGET_FLOOR_MS));
	struct budget_allowance a;
	uint64_t share;

	share = num_mul_capped(requests, p->share_pct) / 100;
	a.share = less(num_min_u64(share, UINT32_MAX), shared);
	a.floor = less(p->floor, floored);
	return a;
}

/* What happened since the last step is put into the window. */
/*@ requires \valid(b) && \valid_read(totals) && \separated(b, totals);
    requires b->last.requests <= totals->requests;
    requires b->last.from_share <= totals->from_share;
    requires b->last.from_floor <= totals->from_floor;
    assigns *b;
    ensures b->slot == \max(\old(b->slot), slot);
    ensures b->last == \old(*totals);
*/
static void
tell(struct budget *b, uint64_t slot, const struct budget_totals *totals)
{
	uint32_t at;

	advance(b, slot);
	at = (uint32_t)(b->slot % BUDGET_SLOTS);
	add(&b->requests[at], totals->requests - b->last.requests);
	add(&b->from_share[at], totals->from_share - b->last.from_share);
	add(&b->from_floor[at], totals->from_floor - b->last.from_floor);
	b->last = *totals;
}

struct budget_allowance
budget_step(struct budget *b, const struct budget_policy *p, uint64_t now_ms,
    const struct budget_totals *totals)
{
	CHECK(budget_ok(b));
	CHECK(p->share_pct <= 100 && p->floor <= BUDGET_FLOOR_MAX);
	CHECK(totals->requests >= b->last.requests &&
	    totals->from_share >= b->last.from_share &&
	    totals->from_floor >= b->last.from_floor);
	tell(b, now_ms / BUDGET_SLOT_MS, totals);
	if (p->share_pct == 0)
		return (struct budget_allowance){0, 0};
	if (p->share_pct >= BUDGET_NO_LIMIT_PCT)
		return (struct budget_allowance){UINT32_MAX, UINT32_MAX};
	return allowance(b, p);
}
