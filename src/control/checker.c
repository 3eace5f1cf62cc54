#include "evenkeel/control/checker.h"

#include <stdlib.h>

#include "evenkeel/base/num.h"

struct check {
	struct checker *checker;
	struct roster_member *member;
	struct probe probe;
	struct alarm alarm; /* the beginning, or the deadline */
	uint64_t due_us;    /* when this or the last one was to begin */
	bool begun;         /* it has its place in the interval */
	bool extended;      /* its deadline was moved */
};

static uint32_t
interval_ms(const struct check *k)
{
	const struct cfg_pool *cfg = k->member->pool->pool->cfg;

	if (k->member->state == ROSTER_DOWN && cfg->health_interval_down_ms > 0)
		return cfg->health_interval_down_ms;
	return cfg->health_interval_ms;
}

static void
note_late(struct checker *c, uint64_t now_us, uint64_t late_us)
{
	if (now_us / 1000 - c->late_from_ms > CHECKER_LATE_MS) {
		c->late_from_ms = now_us / 1000;
		c->late_before_us = c->late_us;
		c->late_us = 0;
	}
	c->late_us = num_max_u64(c->late_us, late_us);
}

uint64_t
checker_late_us(const struct checker *c)
{
	return num_max_u64(c->late_us, c->late_before_us);
}

static void
begin(struct check *k)
{
	struct checker *c = k->checker;
	uint64_t now_us = loop_now_us(c->loop);
	uint64_t timeout_ms = k->member->pool->pool->cfg->health_timeout_ms;

	note_late(c, now_us, now_us - k->due_us);
	k->extended = false;
	alarm_arm(c->loop, &k->alarm, now_us + timeout_ms * 1000);
	probe_start(&k->probe);
}

static void
check_on_alarm(struct alarm *a)
{
	struct check *k = ALARM_OWNER(a, struct check, alarm);
	uint64_t now_us = loop_now_us(k->checker->loop);

	if (k->probe.state == PROBE_IDLE) {
		begin(k);
		return;
	}
	/* Whatever came while this thread was late lies in the socket: it is
	 * looked at before the deadline is. */
	if (!k->extended) {
		k->extended = true;
		alarm_arm(k->checker->loop, a, now_us + (now_us - a->due_us));
		return;
	}
	probe_time_out(&k->probe);
}

/* The next one begins an interval after this one did; those that there was no
 * time for are left out, so that everybody keeps his place in the interval. */
static void
plan_next(struct check *k)
{
	uint64_t now_us = loop_now_us(k->checker->loop);
	uint32_t wait_ms =
	    health_next_ms(interval_ms(k), rng_next(&k->checker->rng));

	k->due_us += wait_ms * 1000ULL;
	if (k->due_us < now_us && k->probe.cfg->health_timeout_ms >= wait_ms)
		k->due_us = now_us;
	else if (k->due_us < now_us)
		k->due_us += (now_us - k->due_us) / (wait_ms * 1000ULL) *
			(wait_ms * 1000ULL) +
		    wait_ms * 1000ULL;
	alarm_arm(k->checker->loop, &k->alarm, k->due_us);
}

static void
check_on_end(struct probe *p, enum probe_end end, const char *why, void *arg)
{
	struct check *k = arg;
	struct roster *r = k->checker->roster;
	uint64_t now_ms = loop_now_ms(k->checker->loop);

	(void)p;
	switch (end) {
	case PROBE_OK:
		roster_checked(r, k->member, HEALTH_OK, "", now_ms);
		break;
	case PROBE_FAILED:
		roster_checked(r, k->member, HEALTH_FAILED, why, now_ms);
		break;
	case PROBE_TIMEOUT:
		roster_checked(r, k->member, HEALTH_TIMEOUT, why, now_ms);
		break;
	case PROBE_SKIPPED:
		if (k->checker->told_ms != 0 &&
		    now_ms - k->checker->told_ms < CHECKER_TELL_MS)
			break;
		k->checker->told_ms = now_ms;
		roster_say(r, LOG_LEVEL_WARN,
		    "pool %s: backend %s could not be checked: %s",
		    k->member->pool->pool->cfg->name, k->member->backend->name,
		    why);
		break;
	}
	plan_next(k);
}

static const struct probe_ops check_ops = {.on_end = check_on_end};

/* ---- with the roster ---- */

static struct check *
make_check(struct checker *c, struct roster_member *m)
{
	struct check *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	k->checker = c;
	k->member = m;
	alarm_init(&k->alarm, check_on_alarm);
	return k;
}

static bool
prepare_pool(struct checker *c, const struct roster_pool *p)
{
	if (p->pool->cfg->health == CFG_HEALTH_OFF)
		return true;
	for (size_t i = 0; i < p->n_members; i++) {
		struct roster_member *m = p->members[i];

		if (m->check == NULL)
			m->check = make_check(c, m);
		if (m->check == NULL)
			return false;
	}
	return true;
}

bool
checker_prepare(struct checker *c, const struct enroll *e)
{
	for (size_t i = 0; i < e->n_pools; i++)
		if (!prepare_pool(c, &e->pools[i]))
			return false;
	return true;
}

void
checker_rollback(struct checker *c, const struct enroll *e)
{
	(void)c;
	for (size_t i = 0; i < e->n_pools; i++)
		for (size_t k = 0; k < e->pools[i].n_members; k++) {
			struct roster_member *m = e->pools[i].members[k];

			if (m->check != NULL && !m->check->begun)
				checker_drop(m);
		}
}

void
checker_drop(struct roster_member *m)
{
	struct check *k = m->check;

	if (k == NULL)
		return;
	m->check = NULL;
	if (k->begun) {
		alarm_cancel(k->checker->loop, &k->alarm);
		probe_stop(&k->probe);
	}
	free(k);
}

/* A place in the interval for each of those that begin, or begin anew. */
struct places {
	size_t at, all;
};

static size_t
count_checked(const struct roster *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_pools; i++)
		for (size_t k = 0; k < r->pools[i].n_members; k++)
			n += r->pools[i].members[k]->checked;
	return n;
}

/* The next place is its. */
static void
plan_first(struct check *k, struct places *p)
{
	struct loop *l = k->checker->loop;
	const struct cfg_pool *cfg = k->member->pool->pool->cfg;

	k->due_us = loop_now_us(l) +
	    health_first_ms(cfg->health_interval_ms, p->at, p->all) * 1000ULL;
	p->at++;
	alarm_arm(l, &k->alarm, k->due_us);
}

static void
begin_check(struct check *k, struct places *p)
{
	probe_init(&k->probe, k->checker->loop, k->member->pool->pool,
	    k->member->backend, &check_ops, k);
	k->begun = true;
	plan_first(k, p);
}

/* The configuration may be another one: a check that is not the same any more
 * is made anew, and a shorter interval counts at once.  All stay spread. */
static void
go_on(struct check *k, struct places *p)
{
	struct loop *l = k->checker->loop;
	uint64_t now_us = loop_now_us(l);
	uint64_t interval_us = interval_ms(k) * 1000ULL;

	if (!probe_follow(
		&k->probe, k->member->pool->pool, k->member->backend)) {
		plan_first(k, p);
		return;
	}
	if (k->probe.state != PROBE_IDLE || k->due_us <= now_us + interval_us)
		return;
	k->due_us = now_us + (k->due_us - now_us) % interval_us;
	alarm_arm(l, &k->alarm, k->due_us);
}

void
checker_commit(struct checker *c)
{
	struct roster *r = c->roster;
	struct places p = {.all = count_checked(r)};

	for (size_t i = 0; i < r->n_pools; i++)
		for (size_t k = 0; k < r->pools[i].n_members; k++) {
			struct roster_member *m = r->pools[i].members[k];

			if (!m->checked)
				checker_drop(m);
			else if (m->check->begun)
				go_on(m->check, &p);
			else
				begin_check(m->check, &p);
		}
}

struct checker *
checker_create(struct loop *l, struct roster *r, uint64_t seed)
{
	struct checker *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->loop = l;
	c->roster = r;
	rng_init(&c->rng, seed);
	return c;
}

void
checker_free(struct checker *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->roster->n_pools; i++)
		for (size_t k = 0; k < c->roster->pools[i].n_members; k++)
			checker_drop(c->roster->pools[i].members[k]);
	free(c);
}
