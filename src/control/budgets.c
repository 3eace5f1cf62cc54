#include "evenkeel/control/budgets.h"

#include <stdlib.h>

#include "evenkeel/config/policies.h"

struct pool_budget {
	struct upstream *upstream;
	struct budget_policy policy;
	struct budget budget;
	struct budget_totals totals;
	struct budget_allowance set; /* what was left to spend at the last
					step */
};

struct budgets {
	struct pool_budget *pools;
	size_t n_pools;
	uint64_t busy_ms; /* when something happened last */
};

static uint64_t
requests(const struct upstream *u)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < u->n_lanes; i++)
		sum += counter_get(&u->lanes[i].requests);
	return sum;
}

static uint32_t
spent(uint32_t set, uint32_t left)
{
	return set > left ? set - left : 0;
}

/*
 * From `left`, which the totals know of, to `allowed`; what was taken in
 * between comes off.  Returns what the next step is to compare with.
 */
static uint32_t
set(_Atomic uint32_t *at, uint32_t left, uint32_t allowed)
{
	uint32_t now = left, fresh;

	/* Ends: workers only take what is there. */
	do
		fresh = spent(allowed, spent(left, now));
	while (!atomic_compare_exchange_weak(at, &now, fresh));
	return fresh + spent(left, now);
}

/* True: something has happened since the last step. */
static bool
step(struct pool_budget *p, uint64_t now_ms)
{
	struct upstream *u = p->upstream;
	struct budget_totals before = p->totals;
	uint32_t share = atomic_load(&u->share_left);
	uint32_t floor = atomic_load(&u->floor_left);
	struct budget_allowance allowed;

	p->totals.requests = requests(u);
	p->totals.from_share += spent(p->set.share, share);
	p->totals.from_floor += spent(p->set.floor, floor);
	allowed = budget_step(&p->budget, &p->policy, now_ms, &p->totals);
	p->set.share = set(&u->share_left, share, allowed.share);
	p->set.floor = set(&u->floor_left, floor, allowed.floor);
	return p->totals.requests != before.requests ||
	    p->totals.from_share != before.from_share ||
	    p->totals.from_floor != before.from_floor;
}

uint64_t
budgets_step(struct budgets *b, uint64_t now_ms)
{
	for (size_t i = 0; i < b->n_pools; i++)
		if (step(&b->pools[i], now_ms))
			b->busy_ms = now_ms;
	if (b->n_pools == 0)
		return UINT64_MAX;
	return now_ms +
	    (now_ms - b->busy_ms > BUDGETS_QUIET_MS ? BUDGETS_QUIET_STEP_MS
						    : BUDGETS_STEP_MS);
}

static const struct pool_budget *
find(const struct budgets *b, const struct upstream *u)
{
	for (size_t i = 0; b != NULL && i < b->n_pools; i++)
		if (b->pools[i].upstream == u)
			return &b->pools[i];
	return NULL;
}

static void
begin(struct pool_budget *p, struct upstream *u, uint64_t now_ms)
{
	p->upstream = u;
	budget_init(&p->budget, now_ms);
	/* What came before counts for nothing. */
	p->totals.requests = p->budget.last.requests = requests(u);
}

struct budgets *
budgets_create(
    const struct snapshot *s, const struct budgets *old, uint64_t now_ms)
{
	struct budgets *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->busy_ms = now_ms;
	b->pools = calloc(s->n_pools + 1, sizeof(*b->pools));
	if (b->pools == NULL) {
		free(b);
		return NULL;
	}
	for (size_t i = 0; i < s->n_pools; i++) {
		struct pool_budget *p = &b->pools[b->n_pools];
		const struct pool_budget *was = find(old, s->pools[i].upstream);

		if (!s->pools[i].budget_limited)
			continue;
		b->n_pools++;
		if (was != NULL) {
			*p = *was;
			p->policy = policies_budget(s->pools[i].cfg);
			continue;
		}
		begin(p, s->pools[i].upstream, now_ms);
		p->policy = policies_budget(s->pools[i].cfg);
		(void)step(p, now_ms);
	}
	return b;
}

void
budgets_free(struct budgets *b)
{
	if (b == NULL)
		return;
	free(b->pools);
	free(b);
}
