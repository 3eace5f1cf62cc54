/*
 * budget - how many retries a pool may make, so that retries never become the
 * load that keeps it down.
 *
 * Retries may be a share of the requests of the last BUDGET_WINDOW_MS, and
 * besides that a floor of some retries in any BUDGET_FLOOR_MS, for pools with
 * little traffic.  A ledger keeps both in slots of BUDGET_SLOT_MS: whoever owns
 * it tells it now and then how many requests and retries there have been so
 * far, and gets what may still be spent.  Many threads may spend from one
 * published allowance; what they spent comes back as totals at the next step.
 *
 * Layer: policy.  Pure: totals and `now_ms` come from the caller.
 *
 * Sources: Finagle's RetryBudget and gRPC A6 (retry throttling) for the idea.
 */
#ifndef EVENKEEL_POLICY_BUDGET_H
#define EVENKEEL_POLICY_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_SLOT_MS   100U
#define BUDGET_WINDOW_MS 10000U
#define BUDGET_FLOOR_MS  1000U
/* One more than the window is long: the oldest is partly inside it. */
#define BUDGET_SLOTS (BUDGET_WINDOW_MS / BUDGET_SLOT_MS + 1)
/* Of share_pct: retries are not limited. */
#define BUDGET_NO_LIMIT_PCT 100U
#define BUDGET_FLOOR_MAX    1000000U

struct budget_policy {
	uint32_t share_pct; /* 0: no retries at all, whatever the floor is;
			       100: no limit */
	uint32_t floor;     /* retries in any second besides; 0..FLOOR_MAX */
};

/* Running totals since the start; they never fall. */
struct budget_totals {
	uint64_t requests;   /* of clients, begun */
	uint64_t from_share; /* retries spent from allowance.share */
	uint64_t from_floor; /* ...from allowance.floor */
};

/* What may be spent until the next step. */
struct budget_allowance {
	uint32_t share, floor;
};

struct budget {
	uint64_t slot;                   /* number of the one that is filling */
	struct budget_totals last;       /* at the last step */
	uint32_t requests[BUDGET_SLOTS]; /* by slot number, round */
	uint32_t from_share[BUDGET_SLOTS];
	uint32_t from_floor[BUDGET_SLOTS];
};

/*@ // What the latest `count` slots of a ring hold.
    logic integer budget_sum{L}(uint32_t *ring, integer slot, integer count) =
      count <= 0 ? 0 : budget_sum(ring, slot, count - 1) +
      ring[(slot % BUDGET_SLOTS + BUDGET_SLOTS - (count - 1)) % BUDGET_SLOTS];

    predicate budget_valid{L}(struct budget *b) =
      budget_sum(&b->requests[0], b->slot, BUDGET_SLOTS) <= b->last.requests &&
      budget_sum(&b->from_share[0], b->slot, BUDGET_SLOTS) <=
	b->last.from_share &&
      budget_sum(&b->from_floor[0], b->slot, BUDGET_SLOTS) <=
	b->last.from_floor;

    // The window: requests of full slots alone, retries of all that it touches.
    logic integer budget_requests{L}(struct budget *b) =
      budget_sum(&b->requests[0], b->slot, BUDGET_SLOTS - 1);
    logic integer budget_shared{L}(struct budget *b) =
      budget_sum(&b->from_share[0], b->slot, BUDGET_SLOTS);
    logic integer budget_floored{L}(struct budget *b) =
      budget_sum(&b->from_floor[0], b->slot,
	BUDGET_FLOOR_MS / BUDGET_SLOT_MS + 1);
*/

/*@ requires \valid_read(b);
    assigns \nothing;
    ensures \result <==> budget_valid(b);
*/
bool budget_ok(const struct budget *b);

/* An empty window that begins at `now_ms`. */
/*@ requires \valid(b);
    assigns *b;
    ensures b->slot == now_ms / BUDGET_SLOT_MS;
    ensures \forall integer k; 0 <= k < BUDGET_SLOTS ==>
      b->requests[k] == 0 && b->from_share[k] == 0 && b->from_floor[k] == 0;
*/
void budget_init(struct budget *b, uint64_t now_ms);

/*
 * Takes the totals of `now_ms` (which does not fall) into the window and
 * returns what may be spent until the next step:
 *   share = share_pct % of the window's requests, less its share retries;
 *   floor = policy floor, less the floor retries of the last second;
 * neither below 0, both 0 with share_pct 0, both UINT32_MAX with 100.
 *
 * A slot that is only partly inside a window counts when it holds retries and
 * does not when it holds requests.  So, as long as nobody spends more than he
 * was allowed, the share retries of any BUDGET_WINDOW_MS never exceed the share
 * of the requests that were in the window at the step that allowed the last of
 * them, and the floor retries of any BUDGET_FLOOR_MS never exceed the floor.
 * To publish the sums of totals and allowance, limits that the totals may not
 * pass, leaves no gap between reading totals and publishing.
 */
/*@ requires \valid(b) && \valid_read(p) && \valid_read(totals);
    requires \separated(b, p) && \separated(b, totals);
    requires budget_valid(b);
    requires p->share_pct <= 100 && p->floor <= BUDGET_FLOOR_MAX;
    requires b->last.requests <= totals->requests;
    requires b->last.from_share <= totals->from_share;
    requires b->last.from_floor <= totals->from_floor;
    assigns *b;
    ensures b->slot == \max(\old(b->slot), now_ms / BUDGET_SLOT_MS);
    ensures b->last == \old(*totals);
    behavior none:
      assumes p->share_pct == 0;
      ensures \result.share == 0 && \result.floor == 0;
    behavior no_limit:
      assumes p->share_pct == BUDGET_NO_LIMIT_PCT;
      ensures \result.share == UINT32_MAX && \result.floor == UINT32_MAX;
    behavior limited:
      assumes 0 < p->share_pct < BUDGET_NO_LIMIT_PCT;
      ensures \result.share > 0 ==>
	\result.share + budget_shared(b) <=
	budget_requests(b) * p->share_pct / 100;
      ensures \result.floor > 0 ==>
	\result.floor + budget_floored(b) <= p->floor;
      ensures \result.floor == \max(0, p->floor - budget_floored(b));
      ensures \result.share == \max(0, \min(UINT32_MAX,
	budget_requests(b) * p->share_pct / 100) - budget_shared(b));
    complete behaviors;
    disjoint behaviors;
*/
struct budget_allowance
budget_step(struct budget *b, const struct budget_policy *p, uint64_t now_ms,
    const struct budget_totals *totals) __attribute__((warn_unused_result));

#endif
