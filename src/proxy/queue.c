#include "evenkeel/proxy/queue.h"

#include "evenkeel/proxy/worker.h"

static struct upstream_lane *
lane_of(const struct exchange *x)
{
	return &x->upstream->lanes[x->from.w->index];
}

static struct exchange *
first_of(const struct upstream_lane *lane)
{
	return LIST_OWNER(lane->queue.next, struct exchange, waiting);
}

/* Until when: the first of the times that backends have asked it to wait for;
 * 0: it may go to each. */
static uint64_t
held_until_ms(const struct exchange *x)
{
	uint64_t now_ms = loop_now_ms(x->from.w->loop), until_ms = 0;

	for (size_t i = 0; i < x->n_notes; i++) {
		uint64_t asked_ms = x->notes[i].asked_until_ms;

		if (asked_ms > now_ms && (until_ms == 0 || asked_ms < until_ms))
			until_ms = asked_ms;
	}
	return until_ms;
}

/* The first that is not held; NULL: there is none. */
static struct exchange *
first_free(const struct upstream_lane *lane)
{
	LIST_EACH(link, &lane->queue)
	{
		struct exchange *x = LIST_OWNER(link, struct exchange, waiting);

		if (held_until_ms(x) == 0)
			return x;
	}
	return NULL;
}

/* Tells the other workers how long this one's oldest has waited. */
static void
publish_oldest(struct upstream_lane *lane)
{
	uint64_t oldest = UPSTREAM_NOBODY;
	const struct exchange *x;

	if (!list_empty(&lane->queue)) {
		x = first_free(lane);
		oldest = x == NULL ? UPSTREAM_HELD : x->queued_us;
	}
	atomic_store(&lane->oldest_us, oldest);
}

/* Joins for the first time. */
static void
begin_to_wait(struct exchange *x, struct upstream_lane *lane)
{
	struct loop *l = x->from.w->loop;
	uint64_t until_ms = held_until_ms(x);

	x->queued_us = loop_now_us(l);
	list_push_back(&lane->queue, &x->waiting);
	publish_oldest(lane);
	if (until_ms != 0)
		alarm_arm(l, &x->backoff, until_ms * 1000);
	/* A slot may have been freed just before the count went up. */
	if (first_of(lane) == x || first_free(lane) == x)
		loop_ready(l, &lane->task);
}

bool
queue_join(struct exchange *x)
{
	struct upstream_lane *lane = lane_of(x);
	uint32_t limit = x->pool->cfg->queue_size;

	if (x->queued_us != 0) {
		list_push_front(&lane->queue, &x->waiting);
		publish_oldest(lane);
		return true;
	}
	if (atomic_fetch_add(&x->upstream->waiting, 1) >= limit) {
		atomic_fetch_sub(&x->upstream->waiting, 1);
		return false;
	}
	begin_to_wait(x, lane);
	return true;
}

void
queue_look_again(struct exchange *x)
{
	loop_ready(x->from.w->loop, &lane_of(x)->task);
}

void
queue_leave(struct exchange *x)
{
	if (x->queued_us == 0)
		return;
	x->queued_us = 0;
	list_remove(&x->waiting);
	publish_oldest(lane_of(x));
	atomic_fetch_sub(&x->upstream->waiting, 1);
}

bool
queue_before(const struct exchange *x)
{
	const struct upstream_lane *lane = lane_of(x);

	/* Nearly always empty. */
	return !list_empty(&lane->queue) && x->queued_us == 0 &&
	    first_free(lane) != NULL;
}

/* Wakes the worker whose oldest has waited longest, if there is one `below`. */
static void
wake(struct worker *w, struct upstream *u, uint64_t below)
{
	uint64_t oldest = below;
	uint32_t who = u->n_lanes;

	for (uint32_t i = 0; i < u->n_lanes; i++) {
		uint64_t since = atomic_load(&u->lanes[i].oldest_us);

		if (since < oldest) {
			oldest = since;
			who = i;
		}
	}
	/* Who is counted and not seen here looks once more by himself. */
	if (who == u->n_lanes)
		return;
	if (who == w->index) {
		loop_ready(w->loop, &u->lanes[who].task);
		return;
	}
	if (atomic_exchange(&u->lanes[who].wake_sent, true))
		return;
	u->lanes[who].wake.kind = WORKER_WAKE;
	u->lanes[who].wake.body = u;
	mailbox_post(w->shared->all[who]->mail, &u->lanes[who].wake);
}

void
queue_wake(struct worker *w, struct upstream *u)
{
	if (atomic_load(&u->waiting) > 0)
		wake(w, u, UPSTREAM_NOBODY);
}

/* Starts who can be started.  False: the next one finds none. */
static bool
start_all(struct upstream_lane *lane, struct list *held)
{
	/* Ends: each round takes one out, or is the last. */
	while (!list_empty(&lane->queue)) {
		struct exchange *x = first_of(lane);

		list_remove(&x->waiting);
		exchange_woken(x);
		if (x->queued_us == 0)
			continue;
		if (held_until_ms(x) == 0)
			return false;
		list_remove(&x->waiting);
		list_push_back(held, &x->waiting);
	}
	return true;
}

void
queue_run(struct worker *w, struct upstream *u)
{
	struct upstream_lane *lane = &u->lanes[w->index];
	struct list held;
	bool all;

	list_init(&held);
	all = start_all(lane, &held);
	/* In front of the others, as they were. */
	list_splice_back(&held, &lane->queue);
	list_splice_back(&lane->queue, &held);
	publish_oldest(lane);
	/* All of ours found one: there may be more for others. */
	if (all && atomic_load(&u->waiting) > 0)
		wake(w, u, UPSTREAM_HELD);
}

static void
lane_on_task(struct loop_task *t)
{
	struct upstream_lane *lane =
	    LOOP_TASK_OWNER(t, struct upstream_lane, task);

	queue_run(lane->worker, lane->upstream);
}

void
queue_adopt(struct upstream *u, struct worker *const *workers)
{
	for (uint32_t i = 0; i < u->n_lanes; i++) {
		u->lanes[i].worker = workers[i];
		u->lanes[i].upstream = u;
		loop_task_init(&u->lanes[i].task, lane_on_task);
	}
}

void
queue_run_all(struct worker *w)
{
	for (size_t i = 0; w->snapshot != NULL && i < w->snapshot->n_pools;
	     i++) {
		struct upstream *u = w->snapshot->pools[i].upstream;

		if (!list_empty(&u->lanes[w->index].queue))
			queue_run(w, u);
	}
}
