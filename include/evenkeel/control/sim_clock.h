/*
 * sim_clock - virtual time: timers in a heap, and a time that jumps from one
 * to the next.
 *
 * Timers of the same time come in the order in which they were armed, so that
 * a simulation is the same each time.
 *
 * Layer: control.  One thread; no clock.
 */
#ifndef EVENKEEL_CONTROL_SIM_CLOCK_H
#define EVENKEEL_CONTROL_SIM_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "evenkeel/base/check.h"

struct sim_timer {
	uint64_t due_us;
	uint64_t turn; /* among those of the same time */
	size_t place;  /* in the heap, from 1; 0: not armed */
	void (*on_due)(struct sim_timer *t, void *arg);
};

struct sim_clock {
	uint64_t now_us;
	uint64_t turns;
	struct sim_timer **heap; /* [1..n] */
	size_t n, room;
	void *arg; /* of on_due */
};

/* Time 0, with room for `room` armed timers.  False: no memory. */
bool sim_clock_init(struct sim_clock *c, size_t room, void *arg) WARN_UNUSED;
void sim_clock_free(struct sim_clock *c);

/* A timer that is not armed. */
static inline void
sim_timer_init(
    struct sim_timer *t, void (*on_due)(struct sim_timer *t, void *arg))
{
	*t = (struct sim_timer){.on_due = on_due};
}

/* Armed anew when it was armed; a time in the past is now. */
void sim_clock_arm(struct sim_clock *c, struct sim_timer *t, uint64_t due_us);
void sim_clock_cancel(struct sim_clock *c, struct sim_timer *t);

/* Goes on to the next timer and calls it.  False: none is armed. */
bool sim_clock_step(struct sim_clock *c);

static inline uint64_t
sim_clock_ms(const struct sim_clock *c)
{
	return c->now_us / 1000;
}

#endif
