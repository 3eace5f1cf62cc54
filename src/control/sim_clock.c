#include "evenkeel/control/sim_clock.h"

#include <stdlib.h>

bool
sim_clock_init(struct sim_clock *c, size_t room, void *arg)
{
	*c = (struct sim_clock){.room = room, .arg = arg};
	c->heap = malloc((room + 1) * sizeof(struct sim_timer *));
	return c->heap != NULL;
}

void
sim_clock_free(struct sim_clock *c)
{
	free(c->heap);
	c->heap = NULL;
}

static bool
before(const struct sim_timer *a, const struct sim_timer *b)
{
	return a->due_us != b->due_us ? a->due_us < b->due_us
				      : a->turn < b->turn;
}

static void
put(struct sim_clock *c, struct sim_timer *t, size_t place)
{
	c->heap[place] = t;
	t->place = place;
}

static void
rise(struct sim_clock *c, struct sim_timer *t, size_t place)
{
	while (place > 1 && before(t, c->heap[place / 2])) {
		put(c, c->heap[place / 2], place);
		place /= 2;
	}
	put(c, t, place);
}

static void
sink(struct sim_clock *c, struct sim_timer *t, size_t place)
{
	while (2 * place <= c->n) {
		size_t child = 2 * place;

		if (child < c->n && before(c->heap[child + 1], c->heap[child]))
			child++;
		if (!before(c->heap[child], t))
			break;
		put(c, c->heap[child], place);
		place = child;
	}
	put(c, t, place);
}

void
sim_clock_cancel(struct sim_clock *c, struct sim_timer *t)
{
	size_t place = t->place;
	struct sim_timer *last;

	if (place == 0)
		return;
	t->place = 0;
	last = c->heap[c->n--];
	if (last == t)
		return;
	if (place > 1 && before(last, c->heap[place / 2]))
		rise(c, last, place);
	else
		sink(c, last, place);
}

void
sim_clock_arm(struct sim_clock *c, struct sim_timer *t, uint64_t due_us)
{
	sim_clock_cancel(c, t);
	CHECK(c->n < c->room);
	t->due_us = due_us > c->now_us ? due_us : c->now_us;
	t->turn = c->turns++;
	rise(c, t, ++c->n);
}

bool
sim_clock_step(struct sim_clock *c)
{
	struct sim_timer *t;

	if (c->n == 0)
		return false;
	t = c->heap[1];
	CHECK(t->due_us >= c->now_us);
	c->now_us = t->due_us;
	sim_clock_cancel(c, t);
	t->on_due(t, c->arg);
	return true;
}
