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

/* Tells the other workers how long this one's oldest has waited. */
static void
publish_oldest(struct upstream_lane *lane)
{
	uint64_t oldest = list_empty(&lane->queue) ? UPSTREAM_NOBODY
						   : first_of(lane)->queued_us;

	atomic_store(&lane->oldest_us, oldest);
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
	x->queued_us = loop_now_us(x->from.w->loop);
	list_push_back(&lane->queue, &x->waiting);
	publish_oldest(lane);
	/* A slot may have been freed just before the count went up. */
	if (first_of(lane) == x)
		loop_ready(x->from.w->loop, &lane->task);
	return true;
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
	return x->queued_us == 0 && !list_empty(&lane_of(x)->queue);
}

void
queue_wake(struct worker *w, struct upstream *u)
{
	uint64_t oldest = UPSTREAM_NOBODY;
	uint32_t who = w->index;

	if (atomic_load(&u->waiting) == 0)
		return;
	for (uint32_t i = 0; i < u->n_lanes; i++) {
		uint64_t since = atomic_load(&u->lanes[i].oldest_us);

		if (since < oldest) {
			oldest = since;
			who = i;
		}
	}
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
queue_run(struct worker *w, struct upstream *u)
{
	struct upstream_lane *lane = &u->lanes[w->index];

	/* Ends: each round takes one out for good, or stops. */
	while (!list_empty(&lane->queue)) {
		struct exchange *x = first_of(lane);

		list_remove(&x->waiting);
		exchange_woken(x);
		if (x->queued_us != 0)
			return;
	}
	/* All of ours found one: there may be more for others. */
	queue_wake(w, u);
}

void
queue_run_all(struct worker *w)
{
	for (size_t i = 0; i < w->snapshot->n_pools; i++) {
		struct upstream *u = w->snapshot->pools[i].upstream;

		if (!list_empty(&u->lanes[w->index].queue))
			queue_run(w, u);
	}
}
