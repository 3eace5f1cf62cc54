/*
 * checker - when backends are checked: each at its own times, spread over the
 * interval, never twice at once.
 *
 * The first checks begin at once, those of many backends spread over the
 * interval.  After that a check begins an interval (10 % more or less) after
 * the beginning of the one before, or when that one ends if it takes longer.
 * A check has health_timeout; when this thread itself looks late, it has that
 * much more time, so that a busy evenkeel takes nobody for down.
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_CHECKER_H
#define EVENKEEL_CONTROL_CHECKER_H

#include "evenkeel/base/rng.h"
#include "evenkeel/control/enroll.h"
#include "evenkeel/control/probe.h"
#include "evenkeel/control/roster.h"

/* What is told of lateness is of this and the present such time. */
#define CHECKER_LATE_MS 5000U
/* Between two complaints that checks cannot be made. */
#define CHECKER_TELL_MS 10000U

struct checker {
	struct loop *loop;
	struct roster *roster;
	struct rng rng;
	uint64_t told_ms; /* that some cannot be made; 0: never */
	/* How late checks began at worst, now and in the time before. */
	uint64_t late_us, late_before_us;
	uint64_t late_from_ms; /* when `late_us` began */
};

/* Of that roster, whose members have no checks yet.  NULL: no memory. */
struct checker *
checker_create(struct loop *l, struct roster *r, uint64_t seed) WARN_UNUSED;

/* Makes a check for each member of these pools that is to have one and has
 * none.  False: no memory; undo it with checker_rollback. */
bool checker_prepare(struct checker *c, const struct enroll *e) WARN_UNUSED;
void checker_rollback(struct checker *c, const struct enroll *e);

/* A member is about to be freed: ends its check. */
void checker_drop(struct roster_member *m);

/* After enroll_commit: new checks begin, those of members that are not checked
 * any more end, and what is under way goes on if it means the same. */
void checker_commit(struct checker *c);

/* How much later than planned a check has begun lately, at worst. */
uint64_t checker_late_us(const struct checker *c);

/* Ends all. */
void checker_free(struct checker *c);

#endif
