/*
 * enroll - makes the roster of a configuration: every backend in the state it
 * has before anything is known about it.
 *
 * Layer: control.  The control thread; time comes from the caller.
 */
#ifndef EVENKEEL_CONTROL_ENROLL_H
#define EVENKEEL_CONTROL_ENROLL_H

#include "evenkeel/control/roster.h"

/*
 * Everybody in its initial state, all pools marked.  The snapshot outlives it.
 * NULL: no memory.
 */
struct roster *enroll_roster(const struct snapshot *s, struct publish *p,
    const struct roster_ops *ops, void *arg, uint64_t now_ms) WARN_UNUSED;
void enroll_free(struct roster *r);

#endif
