#include "evenkeel/control/lineup.h"

#include <stdlib.h>

#include "evenkeel/base/num.h"

/* In units of 1 / BACKEND_WEIGHT_UNIT: the whole weight, or what the present
 * step of the slow start gives. */
static uint32_t
weight_at(const struct roster_member *m, uint64_t now_ms)
{
	uint64_t all = m->pool->pool->cfg->slow_start_ms, pct, gone;
	uint64_t whole = (uint64_t)m->backend->weight * BACKEND_WEIGHT_UNIT;

	if (m->ramp_ms == ROSTER_NEVER || now_ms - m->ramp_ms >= all)
		return (uint32_t)whole;
	gone = (now_ms - m->ramp_ms) / roster_step_ms(m) * roster_step_ms(m);
	pct = ROSTER_FIRST_PCT + (100 - ROSTER_FIRST_PCT) * gone / all;
	return (uint32_t)num_max_u64(whole * pct / 100, 1);
}

/* Which members a rotation holds. */
struct choice {
	enum roster_state state;
	enum roster_peers peers; /* ROSTER_PEERS: of either kind */
	struct rotation *_Atomic *place;
};

static bool
is_chosen(const struct roster_member *m, const struct choice *c)
{
	return m->state == c->state &&
	    (c->peers == ROSTER_PEERS || m->peers == c->peers);
}

static uint32_t
count_chosen(const struct roster_pool *p, const struct choice *c)
{
	if (c->peers != ROSTER_PEERS)
		return p->in_state[c->peers][c->state];
	return p->in_state[ROSTER_MAIN][c->state] +
	    p->in_state[ROSTER_BACKUP][c->state];
}

static bool
publish_choice(struct roster *r, struct roster_pool *p, const struct choice *c,
    uint64_t now_ms)
{
	uint32_t n = count_chosen(p, c), k = 0;
	struct backend **list = calloc(n + 1, sizeof(*list));
	uint32_t *weights = calloc(n + 1, sizeof(*weights));
	struct rotation *new = NULL;

	for (size_t i = 0; list && weights && k < n && i < p->n_members; i++) {
		struct roster_member *m = p->members[i];

		if (!is_chosen(m, c))
			continue;
		weights[k] = weight_at(m, now_ms);
		atomic_store_explicit(
		    &m->backend->weight_now, weights[k], memory_order_relaxed);
		list[k++] = m->backend;
	}
	if (k > 0)
		new = rotation_create(list, weights, k,
		    p->pool->cfg->balance == CFG_BALANCE_HASH);
	if (k == n && (new != NULL || n == 0))
		publish_swap(r->publish, c->place, new);
	free(list);
	free(weights);
	return k == n && (new != NULL || n == 0);
}

static bool
publish_pool(struct roster *r, struct roster_pool *p, uint64_t now_ms)
{
	struct upstream *u = p->pool->upstream;
	const struct choice choices[] = {{ROSTER_UP, ROSTER_MAIN, &u->rotation},
	    {ROSTER_UP, ROSTER_BACKUP, &u->backup},
	    {ROSTER_EJECTED, ROSTER_PEERS, &u->resort}};
	bool all = true;

	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		all &= publish_choice(r, p, &choices[i], now_ms);
	return all;
}

/* Who is left, told when that changes. */
static void
say_left(struct roster *r, struct roster_pool *p)
{
	const char *name = p->pool->cfg->name;
	bool up = roster_usable(p) > 0;
	bool backup = up && p->in_state[ROSTER_MAIN][ROSTER_UP] == 0;
	uint32_t n[ROSTER_STATES];

	for (int s = 0; s < ROSTER_STATES; s++)
		n[s] =
		    p->in_state[ROSTER_MAIN][s] + p->in_state[ROSTER_BACKUP][s];
	if (!up && p->told_up)
		roster_say(r, LOG_LEVEL_ERROR,
		    "pool %s: no backend is usable any more: %u down, "
		    "%u ejected, %u draining",
		    name, n[ROSTER_DOWN], n[ROSTER_EJECTED],
		    n[ROSTER_DRAINING]);
	if (up && !p->told_up)
		roster_say(r, LOG_LEVEL_INFO,
		    "pool %s: a backend is usable again", name);
	if (backup && !p->told_backup)
		roster_say(r, LOG_LEVEL_WARN,
		    "pool %s: only backups are usable: they get the requests",
		    name);
	if (up && !backup && p->told_backup)
		roster_say(r, LOG_LEVEL_INFO,
		    "pool %s: the backups are not needed any more", name);
	p->told_up = up;
	p->told_backup = backup;
}

bool
lineup_wanted(const struct roster *r)
{
	for (size_t i = 0; i < r->n_pools; i++)
		if (r->pools[i].marked)
			return true;
	return false;
}

bool
lineup_publish(struct roster *r, uint64_t now_ms)
{
	bool all = true;

	for (size_t i = 0; i < r->n_pools; i++) {
		struct roster_pool *p = &r->pools[i];

		if (!p->marked)
			continue;
		p->marked = !publish_pool(r, p, now_ms);
		/* What publish_tell makes of it below. */
		if (!p->marked)
			p->generation = r->publish->generation + 1;
		all &= !p->marked;
		say_left(r, p);
	}
	publish_tell(r->publish);
	return all;
}
