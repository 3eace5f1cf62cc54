/*
 * wheel - many coarse deadlines for almost nothing.
 *
 * A timer is a number in its owner and a place in one of WHEEL_BUCKETS lists.
 * Moving a deadline later only stores the number: the timer is looked at when
 * its old bucket comes up and is then filed anew.  So a busy connection pays
 * a store for its timeouts.  A deadline fires in the first tick at or after it,
 * up to WHEEL_TICK_MS late, never early.
 *
 * Layer: net.  One thread; time comes from the caller.
 *
 * Sources: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987.
 */
#ifndef EVENKEEL_NET_WHEEL_H
#define EVENKEEL_NET_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "evenkeel/base/list.h"

#define WHEEL_TICK_MS 100
#define WHEEL_BUCKETS 512
/* A deadline that never comes. */
#define WHEEL_NEVER UINT64_MAX

struct wheel_timer {
	struct list link;
	uint64_t deadline_ms; /* WHEEL_NEVER: disarmed */
	uint64_t tick;        /* when its bucket comes up; only while linked */
	/* May arm, disarm or remove any timer, this one included. */
	void (*expired)(struct wheel_timer *t, uint64_t now_ms);
};

struct wheel {
	struct list buckets[WHEEL_BUCKETS];
	uint64_t tick;   /* the last one that was run */
	uint32_t linked; /* timers that are in a bucket */
};

void wheel_init(struct wheel *w, uint64_t now_ms);

void wheel_timer_init(struct wheel_timer *t,
    void (*expired)(struct wheel_timer *t, uint64_t now_ms));

/* Files `t` for `deadline_ms`; the slow half of wheel_arm. */
void wheel_file(struct wheel *w, struct wheel_timer *t);

/* Sets or moves the deadline; WHEEL_NEVER disarms. */
static inline void
wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t deadline_ms)
{
	t->deadline_ms = deadline_ms;
	if (deadline_ms == WHEEL_NEVER)
		return;
	if (list_empty(&t->link) ||
	    deadline_ms + WHEEL_TICK_MS <= t->tick * WHEEL_TICK_MS)
		wheel_file(w, t);
}

/* Disarms and unlinks: required before the timer's memory goes. */
void wheel_remove(struct wheel *w, struct wheel_timer *t);

/* Runs every tick up to now: expired timers are called, moved ones filed
 * anew. */
void wheel_advance(struct wheel *w, uint64_t now_ms);

#endif
