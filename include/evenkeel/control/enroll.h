/*
 * enroll - makes the roster of a configuration, and changes it to that of
 * another one.
 *
 * A backend that is new stands in the state it has before anything is known
 * about it.  One that both configurations have keeps what is known: its health,
 * as far as the new rules allow, ejection, drain, checks.
 *
 * Layer: control.  The control thread; time comes from the caller.
 */
#ifndef EVENKEEL_CONTROL_ENROLL_H
#define EVENKEEL_CONTROL_ENROLL_H

#include "evenkeel/control/roster.h"

/* The pools of a snapshot beside those in force. */
struct enroll {
	struct roster_pool *pools;
	size_t n_pools;
};

/* A roster without pools.  NULL: no memory. */
struct roster *enroll_create(
    struct publish *p, const struct roster_ops *ops, void *arg) WARN_UNUSED;
void enroll_free(struct roster *r);

/* Makes all that enroll_commit needs.  False: no memory; nothing is left to be
 * freed. */
bool enroll_prepare(struct enroll *e, const struct snapshot *s) WARN_UNUSED;

/* Instead of enroll_commit. */
void enroll_rollback(struct enroll *e);

/*
 * After registry_commit of the snapshot: the roster is its roster, and all
 * pools are marked.  `on_gone` is called for each member that is about to be
 * freed.  Cannot fail.
 */
void enroll_commit(struct enroll *e, struct roster *r, uint64_t now_ms,
    void (*on_gone)(struct roster_member *m, void *arg), void *arg);

/* The three at once, for a roster that begins (simulate, tests).  The snapshot
 * outlives it.  NULL: no memory. */
struct roster *enroll_roster(const struct snapshot *s, struct publish *p,
    const struct roster_ops *ops, void *arg, uint64_t now_ms) WARN_UNUSED;

#endif
