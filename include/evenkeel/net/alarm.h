/*
 * alarm - timers that are precise to a millisecond, for waits that somebody
 * feels: between retries, between and during health checks.
 *
 * The alarms of a loop lie in a heap whose links are in the alarms themselves,
 * so arming one needs no memory; one timerfd wakes the loop for the nearest.
 * It is set at most once in a turn, and not at all when the nearest became a
 * later one: the loop then wakes up once for nothing, which is cheaper.  For
 * timeouts that nearly never happen there is the wheel, which is cheaper
 * still.
 *
 * Layer: net.  The thread of the loop.
 *
 * Sources: Fredman et al., "The Pairing Heap: A New Form of Self-Adjusting
 * Heap", 1986; timerfd_create(2).
 */
#ifndef EVENKEEL_NET_ALARM_H
#define EVENKEEL_NET_ALARM_H

#include <stdbool.h>
#include <stdint.h>

/* Alarms that go off in one turn at most; the others do in the next, with no
 * wait between.  So a herd never keeps the loop from everything else. */
#define ALARM_BURST 64
/* alarms.set_us while the timer is set to nothing. */
#define ALARM_UNSET UINT64_MAX

struct event;
struct loop;

struct alarm {
	uint64_t due_us; /* monotonic; only while pending */
	bool pending;
	struct alarm *child, *next, *prev; /* prev: the elder, or the parent of
					      a first child */
	/* May arm and cancel any alarm, and free the object of this one. */
	void (*expired)(struct alarm *a);
};

#define ALARM_OWNER(a, type, member) \
	((type *)(void *)((char *)(a)-offsetof(type, member)))

/* The loop's part. */
struct alarms {
	struct alarm *first; /* the nearest */
	uint64_t set_us;     /* what the timer is set to */
	uint64_t running_us; /* while they go off: up to when; else 0 */
	int fd;
	struct event *event;
};

void alarm_init(struct alarm *a, void (*expired)(struct alarm *a));

/* Goes off once, in the first turn at or after `due_us`; moves the time of one
 * that is pending.  Cannot fail. */
void alarm_arm(struct loop *l, struct alarm *a, uint64_t due_us);

/* Harmless when it is not pending; required before its memory goes. */
void alarm_cancel(struct loop *l, struct alarm *a);

/* ---- the loop's own ---- */

/* False: no memory or descriptors. */
bool alarms_open(struct loop *l) __attribute__((warn_unused_result));
void alarms_close(struct loop *l);

/* Before a poll: sets the timer when a nearer alarm has come.  False: that
 * failed, and should be tried again. */
bool alarms_set(struct loop *l) __attribute__((warn_unused_result));

#endif
