#include "evenkeel/net/wheel.h"

void
wheel_init(struct wheel *w, uint64_t now_ms)
{
	for (int i = 0; i < WHEEL_BUCKETS; i++)
		list_init(&w->buckets[i]);
	w->tick = now_ms / WHEEL_TICK_MS;
	w->linked = 0;
}

void
wheel_timer_init(struct wheel_timer *t,
    void (*expired)(struct wheel_timer *t, uint64_t now_ms))
{
	list_init(&t->link);
	t->deadline_ms = WHEEL_NEVER;
	t->tick = 0;
	t->expired = expired;
}

static void
unlink_timer(struct wheel *w, struct wheel_timer *t)
{
	if (list_empty(&t->link))
		return;
	list_remove(&t->link);
	w->linked--;
}

void
wheel_file(struct wheel *w, struct wheel_timer *t)
{
	/* Rounded up: never early. */
	uint64_t tick = t->deadline_ms / WHEEL_TICK_MS + 1;

	unlink_timer(w, t);
	if (tick <= w->tick)
		tick = w->tick + 1;
	/* Farther than the wheel reaches: looked at on the way. */
	if (tick > w->tick + WHEEL_BUCKETS - 1)
		tick = w->tick + WHEEL_BUCKETS - 1;
	t->tick = tick;
	list_push_back(&w->buckets[tick % WHEEL_BUCKETS], &t->link);
	w->linked++;
}

void
wheel_remove(struct wheel *w, struct wheel_timer *t)
{
	t->deadline_ms = WHEEL_NEVER;
	unlink_timer(w, t);
}

static void
run_tick(struct wheel *w, uint64_t now_ms)
{
	struct list due;
	struct list *link;

	list_init(&due);
	list_splice_back(&due, &w->buckets[w->tick % WHEEL_BUCKETS]);
	while ((link = list_pop_front(&due)) != NULL) {
		struct wheel_timer *t =
		    LIST_OWNER(link, struct wheel_timer, link);

		w->linked--;
		if (t->deadline_ms == WHEEL_NEVER)
			continue;
		if (t->deadline_ms > now_ms) {
			wheel_file(w, t);
			continue;
		}
		t->deadline_ms = WHEEL_NEVER;
		t->expired(t, now_ms);
	}
}

void
wheel_advance(struct wheel *w, uint64_t now_ms)
{
	uint64_t until = now_ms / WHEEL_TICK_MS;

	/* After a long sleep one round looks at every bucket. */
	if (until > w->tick + WHEEL_BUCKETS)
		w->tick = until - WHEEL_BUCKETS;
	while (w->tick < until) {
		w->tick++;
		run_tick(w, now_ms);
	}
}
