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
#define BUDGET_SLOTS     (BUDGET_WINDOW_MS / BUDGET_SLOT_MS)
#define BUDGET_FLOOR_MS  1000U
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

bool budget_ok(const struct budget *b);

/* An empty window that begins at `now_ms`. */
void budget_init(struct budget *b, uint64_t now_ms);

/*
 * Takes the totals of `now_ms` (which does not fall) into the window and
 * returns what may be spent until the next step:
 *   share = share_pct % of the window's requests, less its share retries;
 *   floor = policy floor, less the floor retries of the last second;
 * neither below 0, both 0 with share_pct 0, both UINT32_MAX with 100.  As long
 * as nobody spends more than he was allowed, the share retries of a window
 * never exceed the share of requests at the step that allowed them.
 */
struct budget_allowance
budget_step(struct budget *b, const struct budget_policy *p, uint64_t now_ms,
    const struct budget_totals *totals) __attribute__((warn_unused_result));

#endif
