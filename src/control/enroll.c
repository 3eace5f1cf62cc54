#include "evenkeel/control/enroll.h"

#include <stdio.h>
#include <stdlib.h>

#include "evenkeel/config/policies.h"

static void
init_member(struct roster_pool *p, size_t i, uint64_t now_ms)
{
	const struct cfg_pool *cfg = p->pool->cfg;
	struct roster_member *m = &p->members[i];

	m->backend = p->pool->backends[i];
	m->backend->keeper = m;
	m->pool = p;
	m->peers = cfg->backends[i].backup ? ROSTER_BACKUP : ROSTER_MAIN;
	m->checked = cfg->health != CFG_HEALTH_OFF;
	health_init(&m->health, &p->health,
	    !m->checked || cfg->health_initial == CFG_HEALTH_UP);
	eject_init(&m->eject);
	list_init(&m->busy);
	m->ramp_ms = ROSTER_NEVER;
	/* A drain is the backend's: it survives its roster. */
	m->draining = atomic_load(&m->backend->draining);
	m->state = roster_state_of(m);
	m->since_ms = m->down_since_ms = now_ms;
	m->been_up = m->state == ROSTER_UP;
	if (m->draining)
		snprintf(m->why, sizeof(m->why), "asked for");
	else if (!m->been_up)
		snprintf(m->why, sizeof(m->why), "not checked yet");
	p->n[m->peers]++;
	p->in_state[m->peers][m->state]++;
	p->n_members++;
}

static bool
init_pool(
    struct roster_pool *p, const struct snapshot_pool *pool, uint64_t now_ms)
{
	p->pool = pool;
	p->health = policies_health(pool->cfg);
	p->eject = policies_eject(pool->cfg);
	p->marked = true;
	p->members = calloc(pool->n_backends + 1, sizeof(*p->members));
	if (p->members == NULL)
		return false;
	for (size_t i = 0; i < pool->n_backends; i++)
		init_member(p, i, now_ms);
	p->told_up = roster_usable(p) > 0;
	return true;
}

struct roster *
enroll_roster(const struct snapshot *s, struct publish *p,
    const struct roster_ops *ops, void *arg, uint64_t now_ms)
{
	struct roster *r = calloc(1, sizeof(*r));
	bool all = true;

	if (r == NULL)
		return NULL;
	r->ops = ops;
	r->arg = arg;
	r->publish = p;
	list_init(&r->busy);
	r->pools = calloc(s->n_pools + 1, sizeof(*r->pools));
	for (size_t i = 0; all && r->pools != NULL && i < s->n_pools; i++) {
		r->n_pools++;
		all = init_pool(&r->pools[i], &s->pools[i], now_ms);
	}
	if (all && r->pools != NULL)
		return r;
	enroll_free(r);
	return NULL;
}

void
enroll_free(struct roster *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->n_pools; i++)
		free(r->pools[i].members);
	free(r->pools);
	free(r);
}
