#include "evenkeel/control/enroll.h"

#include <stdio.h>
#include <stdlib.h>

#include "evenkeel/config/policies.h"

/* ---- members ---- */

/* What the configuration says about it. */
static void
place(struct roster_pool *p, struct roster_member *m, size_t i)
{
	m->pool = p;
	m->index = i;
	m->peers = m->backend->backup ? ROSTER_BACKUP : ROSTER_MAIN;
	m->checked = p->pool->cfg->health != CFG_HEALTH_OFF;
}

/* Nothing is known about it. */
static void
begin(struct roster_member *m, uint64_t now_ms)
{
	const struct roster_pool *p = m->pool;

	health_init(&m->health, &p->health,
	    !m->checked || p->pool->cfg->health_initial == CFG_HEALTH_UP);
	eject_init(&m->eject);
	m->ramp_ms = ROSTER_NEVER;
	m->draining = atomic_load(&m->backend->draining);
	m->state = roster_state_of(m);
	m->since_ms = m->down_since_ms = now_ms;
	m->been_up = m->state == ROSTER_UP;
	if (m->draining)
		snprintf(m->why, sizeof(m->why), "asked for");
	else if (!m->been_up)
		snprintf(m->why, sizeof(m->why), "not checked yet");
	m->backend->keeper = m;
}

/* It is known: what changes by the new rules. */
static void
carry_over(
    struct roster_member *m, const struct health_rules *old, bool was_checked)
{
	const struct roster_pool *p = m->pool;

	if (was_checked && m->checked)
		health_adapt(&m->health, old, &p->health);
	else
		/* Who is not checked is up, and was. */
		health_init(&m->health, &p->health, true);
	if (p->pool->cfg->slow_start_ms == 0)
		m->ramp_ms = ROSTER_NEVER;
}

/* Its state may follow from the rules alone: no message. */
static void
restate(struct roster *r, struct roster_member *m, uint64_t now_ms)
{
	enum roster_state state = roster_state_of(m);

	if (state != m->state) {
		m->state = state;
		m->since_ms = now_ms;
		m->ramp_ms = ROSTER_NEVER;
		m->been_up |= state == ROSTER_UP;
		snprintf(m->why, sizeof(m->why), "by the new configuration");
	}
	m->pool->n[m->peers]++;
	m->pool->in_state[m->peers][state]++;
	m->pool->n_ejected[m->peers] += m->eject.out;
	roster_note_busy(r, m, now_ms);
}

/* ---- preparing ---- */

static struct roster_member *
make_member(struct backend *b)
{
	struct roster_member *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->backend = b;
	list_init(&m->busy);
	return m;
}

static bool
prepare_pool(struct roster_pool *p, const struct snapshot_pool *pool)
{
	p->pool = pool;
	p->health = policies_health(pool->cfg);
	p->eject = policies_eject(pool->cfg);
	p->marked = true;
	p->members =
	    calloc(pool->n_backends + 1, sizeof(struct roster_member *));
	if (p->members == NULL)
		return false;
	for (size_t i = 0; i < pool->n_backends; i++) {
		struct backend *b = pool->backends[i];

		p->members[i] = roster_member_of(b);
		if (p->members[i] == NULL)
			p->members[i] = make_member(b);
		if (p->members[i] == NULL)
			return false;
		p->n_members++;
	}
	return true;
}

bool
enroll_prepare(struct enroll *e, const struct snapshot *s)
{
	bool all = true;

	*e =
	    (struct enroll){.pools = calloc(s->n_pools + 1, sizeof(*e->pools))};
	for (size_t i = 0; all && e->pools != NULL && i < s->n_pools; i++)
		all = prepare_pool(&e->pools[e->n_pools++], &s->pools[i]);
	if (all && e->pools != NULL)
		return true;
	enroll_rollback(e);
	return false;
}

static bool
is_new(const struct roster_member *m)
{
	return m->backend->keeper != m;
}

void
enroll_rollback(struct enroll *e)
{
	for (size_t i = 0; i < e->n_pools; i++) {
		struct roster_pool *p = &e->pools[i];

		for (size_t k = 0; k < p->n_members; k++)
			if (is_new(p->members[k]))
				free(p->members[k]);
		free(p->members);
	}
	free(e->pools);
	*e = (struct enroll){.pools = NULL};
}

/* ---- in force ---- */

static void
commit_member(
    struct roster *r, struct roster_pool *p, size_t i, uint64_t now_ms)
{
	struct roster_member *m = p->members[i];
	struct health_rules old;
	bool was_checked;

	if (is_new(m)) {
		place(p, m, i);
		begin(m, now_ms);
	} else {
		old = m->pool->health;
		was_checked = m->checked;
		place(p, m, i);
		carry_over(m, &old, was_checked);
	}
	restate(r, m, now_ms);
}

/* The pool of the same name, as it was. */
static const struct roster_pool *
find_pool(const struct roster *r, const struct upstream *u)
{
	for (size_t i = 0; i < r->n_pools; i++)
		if (r->pools[i].pool->upstream == u)
			return &r->pools[i];
	return NULL;
}

static void
commit_pool(struct roster *r, struct roster_pool *p, uint64_t now_ms)
{
	const struct roster_pool *old = find_pool(r, p->pool->upstream);

	for (size_t i = 0; i < p->n_members; i++)
		commit_member(r, p, i, now_ms);
	p->told_up = old != NULL ? old->told_up : roster_usable(p) > 0;
	p->told_backup = old != NULL && old->told_backup;
}

/* Members that no pool has any more. */
static void
drop_gone(struct roster *r, void (*on_gone)(struct roster_member *m, void *arg),
    void *arg)
{
	for (size_t i = 0; i < r->n_pools; i++) {
		const struct roster_pool *p = &r->pools[i];

		for (size_t k = 0; k < p->n_members; k++) {
			struct roster_member *m = p->members[k];

			/* Those that stay have another pool by now. */
			if (m->pool != p)
				continue;
			on_gone(m, arg);
			roster_forget(m);
			free(m);
		}
	}
}

static void
free_pools(struct roster *r)
{
	for (size_t i = 0; i < r->n_pools; i++)
		free(r->pools[i].members);
	free(r->pools);
}

/* Who was ejected while the pool did that, or had others that were usable. */
static void
pardon(struct roster *r, uint64_t now_ms)
{
	for (size_t i = 0; i < r->n_pools; i++) {
		struct roster_pool *p = &r->pools[i];

		for (size_t k = 0; p->eject.failures == 0 && k < p->n_members;
		     k++)
			if (p->members[k]->eject.out)
				roster_pardon(r, p->members[k], now_ms);
		roster_recall(r, p, now_ms);
	}
}

void
enroll_commit(struct enroll *e, struct roster *r, uint64_t now_ms,
    void (*on_gone)(struct roster_member *m, void *arg), void *arg)
{
	for (size_t i = 0; i < e->n_pools; i++)
		commit_pool(r, &e->pools[i], now_ms);
	drop_gone(r, on_gone, arg);
	free_pools(r);
	r->pools = e->pools;
	r->n_pools = e->n_pools;
	*e = (struct enroll){.pools = NULL};
	pardon(r, now_ms);
}

/* ---- begin and end ---- */

struct roster *
enroll_create(struct publish *p, const struct roster_ops *ops, void *arg)
{
	struct roster *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->ops = ops;
	r->arg = arg;
	r->publish = p;
	list_init(&r->busy);
	return r;
}

static void
nobody(struct roster_member *m, void *arg)
{
	(void)m;
	(void)arg;
}

struct roster *
enroll_roster(const struct snapshot *s, struct publish *p,
    const struct roster_ops *ops, void *arg, uint64_t now_ms)
{
	struct roster *r = enroll_create(p, ops, arg);
	struct enroll e;

	if (r == NULL)
		return NULL;
	if (!enroll_prepare(&e, s)) {
		enroll_free(r);
		return NULL;
	}
	enroll_commit(&e, r, now_ms, nobody, NULL);
	return r;
}

void
enroll_free(struct roster *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->n_pools; i++)
		for (size_t k = 0; k < r->pools[i].n_members; k++) {
			roster_forget(r->pools[i].members[k]);
			free(r->pools[i].members[k]);
		}
	free_pools(r);
	free(r);
}
