#include "evenkeel/control/guard.h"

#include <stdlib.h>

#include "evenkeel/base/num.h"
#include "evenkeel/control/budgets.h"
#include "evenkeel/control/enroll.h"
#include "evenkeel/control/lineup.h"
#include "evenkeel/proxy/picker.h"

struct guard {
	struct loop *loop;
	struct worker_shared *shared;
	struct log_ring *log;
	struct publish publish;
	struct roster *roster;
	struct checker *checker;
	struct budgets *budgets;
	struct loop_task task; /* publish in this turn */
	uint64_t published_ms;
	struct alarm later;   /* publish then; or roster_tick */
	struct alarm collect; /* replaced rotations */
	struct alarm step;    /* of the budgets */
	uint64_t stepped_ms;  /* the last one */
	bool short_read;      /* a worker's mail that one is spent */
};

/* ---- workers ---- */

static void
guard_tell(uint64_t generation, void *arg)
{
	struct guard *g = arg;

	atomic_store(&g->shared->generation, generation);
	for (uint32_t i = 0; i < g->shared->workers; i++)
		worker_pass(g->shared->all[i]);
}

static uint64_t
guard_passed(void *arg)
{
	struct guard *g = arg;
	uint64_t lowest = UINT64_MAX;

	for (uint32_t i = 0; i < g->shared->workers; i++)
		lowest = num_min_u64(
		    lowest, atomic_load(&g->shared->all[i]->passed));
	return lowest;
}

static const struct publish_ops guard_publish_ops = {
    .tell = guard_tell, .passed = guard_passed};

/* ---- the roster ---- */

static void
guard_on_change(void *arg)
{
	struct guard *g = arg;

	loop_ready(g->loop, &g->task);
}

static void
guard_say(enum log_level level, const char *text, void *arg)
{
	struct guard *g = arg;

	log_message(g->log, level, "%s", text);
}

static const struct roster_ops guard_roster_ops = {
    .on_change = guard_on_change, .say = guard_say};

static uint64_t
gap_ms(const struct guard *g)
{
	return publish_crowded(&g->publish) ? GUARD_CROWDED_MS : GUARD_GAP_MS;
}

/* Publishes now, or notes when; and when the roster wants to be looked at. */
static void
settle(struct guard *g)
{
	uint64_t now_ms = loop_now_ms(g->loop);
	uint64_t free_ms = g->published_ms + gap_ms(g);
	uint64_t next_ms;

	roster_tick(g->roster, now_ms);
	/* What the tick has marked is published here. */
	loop_task_cancel(&g->task);
	next_ms = roster_next_ms(g->roster);
	if (!lineup_wanted(g->roster)) {
		/* Nothing but time has changed. */
	} else if (now_ms < free_ms) {
		next_ms = num_min_u64(next_ms, free_ms);
	} else {
		g->published_ms = now_ms;
		if (!lineup_publish(g->roster, now_ms)) {
			log_message(g->log, LOG_LEVEL_ERROR,
			    "no memory for a rotation: the one before stays");
			next_ms =
			    num_min_u64(next_ms, now_ms + GUARD_CROWDED_MS);
		}
	}
	if (g->publish.retired != NULL && !g->collect.pending)
		alarm_arm(
		    g->loop, &g->collect, (now_ms + GUARD_COLLECT_MS) * 1000);
	if (next_ms != ROSTER_NEVER)
		alarm_arm(g->loop, &g->later, next_ms * 1000);
}

static void
guard_on_task(struct loop_task *t)
{
	settle(LOOP_TASK_OWNER(t, struct guard, task));
}

static void
guard_on_later(struct alarm *a)
{
	settle(ALARM_OWNER(a, struct guard, later));
}

static void
guard_on_collect(struct alarm *a)
{
	struct guard *g = ALARM_OWNER(a, struct guard, collect);

	if (publish_collect(&g->publish))
		alarm_arm(
		    g->loop, a, loop_now_us(g->loop) + GUARD_COLLECT_MS * 1000);
}

static void
guard_on_step(struct alarm *a)
{
	struct guard *g = ALARM_OWNER(a, struct guard, step);
	uint64_t next_ms;

	g->stepped_ms = loop_now_ms(g->loop);
	/* The flag goes first: who finds nothing left from now on says so.  It
	 * stays while the mail that was posted with it is still on its way. */
	if (g->short_read)
		atomic_store(&g->shared->short_sent, false);
	g->short_read = false;
	next_ms = budgets_step(g->budgets, g->stepped_ms);
	if (next_ms != UINT64_MAX)
		alarm_arm(g->loop, a, next_ms * 1000);
}

void
guard_short(struct guard *g)
{
	g->short_read = true;
	alarm_arm(g->loop, &g->step, (g->stepped_ms + GUARD_SHORT_MS) * 1000);
}

void
guard_failing(struct guard *g, struct backend *b)
{
	/* The flag goes first: failures from now on are told anew. */
	atomic_store(&b->failing_sent, false);
	roster_failing(g->roster, b, loop_now_ms(g->loop));
}

static void
evict(struct guard *g, struct backend *b)
{
	for (uint32_t i = 0; i < g->shared->workers; i++)
		worker_evict(g->shared->all[i], b);
}

void
guard_drain(
    struct guard *g, struct roster_member *m, bool draining, const char *who)
{
	roster_drain(g->roster, m, draining, who, loop_now_ms(g->loop));
	if (draining)
		evict(g, m->backend);
}

const struct roster *
guard_roster(const struct guard *g)
{
	return g->roster;
}

uint32_t
guard_retired(const struct guard *g)
{
	return g->publish.n_retired;
}

uint64_t
guard_late_us(const struct guard *g)
{
	return checker_late_us(g->checker);
}

struct publish *
guard_publish(struct guard *g)
{
	return lineup_wanted(g->roster) ? NULL : &g->publish;
}

/* ---- another snapshot ---- */

bool
guard_prepare(struct guard *g, struct guard_plan *p, const struct snapshot *s)
{
	p->budgets = budgets_create(s, g->budgets, loop_now_ms(g->loop));
	if (p->budgets == NULL || !enroll_prepare(&p->enroll, s)) {
		budgets_free(p->budgets);
		return false;
	}
	if (checker_prepare(g->checker, &p->enroll))
		return true;
	guard_rollback(g, p);
	return false;
}

void
guard_rollback(struct guard *g, struct guard_plan *p)
{
	checker_rollback(g->checker, &p->enroll);
	enroll_rollback(&p->enroll);
	budgets_free(p->budgets);
}

static void
guard_on_gone(struct roster_member *m, void *arg)
{
	checker_drop(m);
	evict(arg, m->backend);
}

/* A lower `max` has come: idle connections are to be no reason to wait. */
static void
evict_crowded(struct guard *g)
{
	for (size_t i = 0; i < g->roster->n_pools; i++) {
		const struct roster_pool *p = &g->roster->pools[i];

		for (size_t k = 0; k < p->n_members; k++)
			if (picker_over_max(p->members[k]->backend))
				evict(g, p->members[k]->backend);
	}
}

void
guard_commit(struct guard *g, struct guard_plan *p)
{
	uint64_t now_ms = loop_now_ms(g->loop);

	enroll_commit(&p->enroll, g->roster, now_ms, guard_on_gone, g);
	checker_commit(g->checker);
	evict_crowded(g);
	budgets_free(g->budgets);
	g->budgets = p->budgets;
	guard_on_step(&g->step);
	/* At once, however short ago the last time was. */
	g->published_ms = 0;
	settle(g);
}

/* ---- begin and end ---- */

struct guard *
guard_create(struct loop *l, struct worker_shared *shared, struct log_ring *log)
{
	struct guard *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	g->loop = l;
	g->shared = shared;
	g->log = log;
	loop_task_init(&g->task, guard_on_task);
	alarm_init(&g->later, guard_on_later);
	alarm_init(&g->collect, guard_on_collect);
	alarm_init(&g->step, guard_on_step);
	publish_init(&g->publish, &guard_publish_ops, g);
	g->roster = enroll_create(&g->publish, &guard_roster_ops, g);
	if (g->roster != NULL)
		g->checker = checker_create(l, g->roster, shared->seed);
	if (g->checker != NULL)
		return g;
	guard_free(g);
	return NULL;
}

void
guard_free(struct guard *g)
{
	if (g == NULL)
		return;
	checker_free(g->checker);
	loop_task_cancel(&g->task);
	alarm_cancel(g->loop, &g->later);
	alarm_cancel(g->loop, &g->collect);
	alarm_cancel(g->loop, &g->step);
	publish_close(&g->publish);
	enroll_free(g->roster);
	budgets_free(g->budgets);
	free(g);
}
