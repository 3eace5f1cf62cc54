/*
 * guard - keeps an eye on backends while evenkeel runs: brings the checks, the
 * requests that fail, the roster, rotations and retry budgets together on the
 * control thread's loop.
 *
 * A change is published in the turn it comes in, together with all others of
 * that turn; when changes come thick, GUARD_GAP_MS after the last time.
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_GUARD_H
#define EVENKEEL_CONTROL_GUARD_H

#include "evenkeel/control/budgets.h"
#include "evenkeel/control/checker.h"
#include "evenkeel/control/roster.h"
#include "evenkeel/net/log.h"
#include "evenkeel/proxy/worker.h"

/* Between two publications; while too many replaced rotations wait for a
 * worker that is stuck, GUARD_CROWDED_MS. */
#define GUARD_GAP_MS     5U
#define GUARD_CROWDED_MS 1000U
/* Looks for replaced rotations that can be freed. */
#define GUARD_COLLECT_MS 250U
/* From one step of the budgets to the next, when one is spent. */
#define GUARD_SHORT_MS 20U

struct guard;

/* Nobody is guarded yet.  The workers of shared->all are there, and their
 * threads do not run yet.  NULL: no memory. */
struct guard *guard_create(struct loop *l, struct worker_shared *shared,
    struct log_ring *log) WARN_UNUSED;

/* After the workers' threads have ended. */
void guard_free(struct guard *g);

/* What guard_commit needs to guard the backends of another snapshot. */
struct guard_plan {
	struct enroll enroll;
	struct budgets *budgets;
};

/* False: no memory; nothing has changed. */
bool guard_prepare(struct guard *g, struct guard_plan *p,
    const struct snapshot *s) WARN_UNUSED;

/* Instead of guard_commit. */
void guard_rollback(struct guard *g, struct guard_plan *p);

/*
 * After registry_commit of the snapshot: guards its backends, and publishes
 * their rotations.  Who is in both keeps what is known about him; workers close
 * the idle connections to those that are gone.  Cannot fail.
 */
void guard_commit(struct guard *g, struct guard_plan *p);

/* Where rotations are published, for registry_collect; NULL while pools are
 * marked. */
struct publish *guard_publish(struct guard *g);

/* A worker has mailed that `b` is failing (worker_shared.on_failing). */
void guard_failing(struct guard *g, struct backend *b);

/* Somebody, said by `who`, wants it drained or no longer; workers close the
 * idle connections to one that drains. */
void guard_drain(
    struct guard *g, struct roster_member *m, bool draining, const char *who);
/* A worker has mailed that a retry budget is spent (worker_shared.on_short). */
void guard_short(struct guard *g);

const struct roster *guard_roster(const struct guard *g);
/* Replaced rotations that some worker may still be looking at. */
uint32_t guard_retired(const struct guard *g);

/* How much later than planned a check has begun lately, at worst. */
uint64_t guard_late_us(const struct guard *g);

#endif
