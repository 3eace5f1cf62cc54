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

/*
 * Of the snapshot in `shared`; publishes the first rotations.  NULL: no memory.
 */
struct guard *guard_create(struct loop *l, struct worker_shared *shared,
    struct log_ring *log) WARN_UNUSED;

/* Before the threads of shared->all start: from now on they read what is
 * published.  Begins the checks.  False: no memory. */
bool guard_start(struct guard *g) WARN_UNUSED;

/* After these threads have ended. */
void guard_free(struct guard *g);

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
