/*
 * loop - one thread's event loop: polling, time, coarse and precise timers,
 * work that is left over, and the graveyard.
 *
 * libevent polls and calls back; around each of its rounds a turn does what it
 * has no hook for: run the ready list before the next poll, let the owner
 * flush, and free what ended during the turn, so that no callback ever returns
 * into freed memory.
 *
 * Layer: net.  Everything here belongs to the thread that runs the loop.
 */
#ifndef EVENKEEL_NET_LOOP_H
#define EVENKEEL_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "evenkeel/base/check.h"
#include "evenkeel/base/list.h"
#include "evenkeel/net/alarm.h"
#include "evenkeel/net/buf.h"
#include "evenkeel/net/pipe.h"
#include "evenkeel/net/wheel.h"

struct event;
struct event_base;
struct tls_io;

/* Something to be done once; `run` finds its object by LIST_OWNER-like
 * arithmetic.  A task that is queued already stays where it is. */
struct loop_task {
	struct list link;
	void (*run)(struct loop_task *t);
};

#define LOOP_TASK_OWNER(t, type, member) \
	((type *)(void *)((char *)(t)-offsetof(type, member)))

struct loop_ops {
	/* The end of every turn, before the graveyard is emptied. */
	void (*on_turn)(void *arg);
};

struct loop {
	struct event_base *base;
	struct wheel wheel;
	struct event *tick; /* pending while the wheel holds a timer */
	bool tick_pending;
	struct alarms alarms;
	bool stopping;
	uint64_t turn;   /* counts the rounds */
	uint64_t now_us; /* 0: not asked for in this turn */
	struct list ready;
	struct list graveyard;
	struct buf_pool bufs;
	struct pipe_pool pipes;
	struct tls_io *tls; /* NULL: no stream of TLS yet */
	const struct loop_ops *ops;
	void *arg;
};

/* NULL: no memory or descriptors.  `buf_bytes`: size of its buffers. */
struct loop *loop_create(
    uint32_t buf_bytes, const struct loop_ops *ops, void *arg) WARN_UNUSED;

/* After loop_run; runs the graveyard.  Events must have been deleted. */
void loop_free(struct loop *l);

/* Runs the graveyard now: outside of loop_run only. */
void loop_bury_all(struct loop *l);

/* Runs turns until loop_stop. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

uint64_t loop_clock(struct loop *l);

/* Monotonic time of this turn. */
static inline uint64_t
loop_now_us(struct loop *l)
{
	return l->now_us != 0 ? l->now_us : loop_clock(l);
}

static inline uint64_t
loop_now_ms(struct loop *l)
{
	return loop_now_us(l) / 1000;
}

static inline void
loop_task_init(struct loop_task *t, void (*run)(struct loop_task *t))
{
	list_init(&t->link);
	t->run = run;
}

/* Runs `t` before the next poll (in this turn or the next). */
static inline void
loop_ready(struct loop *l, struct loop_task *t)
{
	if (list_empty(&t->link))
		list_push_back(&l->ready, &t->link);
}

/* Takes a queued task back. */
static inline void
loop_task_cancel(struct loop_task *t)
{
	list_remove(&t->link);
}

/* Runs `t` at the end of the turn, to free its object; it must not be on the
 * ready list. */
static inline void
loop_bury(struct loop *l, struct loop_task *t)
{
	CHECK(list_empty(&t->link));
	list_push_back(&l->graveyard, &t->link);
}

void loop_tick_start(struct loop *l);

/* wheel_arm, and starts the tick when it stands still. */
static inline void
loop_arm(struct loop *l, struct wheel_timer *t, uint64_t deadline_ms)
{
	if (__builtin_expect(!l->tick_pending, 0) && deadline_ms != WHEEL_NEVER)
		loop_tick_start(l);
	wheel_arm(&l->wheel, t, deadline_ms);
}

#endif
