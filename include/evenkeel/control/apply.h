/*
 * apply - puts a configuration in force, the first one and every other.
 *
 * All that it needs is made beside what is there; if one thing fails all is
 * undone, and every reason is told, not just the first.  What follows then
 * cannot fail: rotations, checks, budgets and listeners change here, and each
 * worker is mailed its update.  It is in force when all workers have it.
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_APPLY_H
#define EVENKEEL_CONTROL_APPLY_H

#include "evenkeel/control/admin.h"
#include "evenkeel/control/binds.h"
#include "evenkeel/control/guard.h"
#include "evenkeel/control/registry.h"

struct apply {
	/* The parts; whoever made them frees them, after apply_close. */
	struct loop *loop;
	const char *file; /* as messages name it */
	struct registry *registry;
	struct guard *guard;
	struct worker_shared *shared;
	struct log *log;
	struct binds *binds;
	struct admin *admin;
	/* All workers have the configuration; may be NULL. */
	void (*on_done)(void *arg);
	void *arg;
	/* its own */
	struct worker_update *updates; /* [worker] */
	uint32_t pending;              /* workers that do not have it yet */
	size_t scratch_bytes;          /* of each worker */
	uint64_t swap_us; /* processor time that the change took on a worker,
			     at most */
	struct alarm collect;
};

/* After its parts are set.  False: no memory. */
bool apply_init(struct apply *a) WARN_UNUSED;

/*
 * True: it is in force as soon as all workers have it.  False: nothing has
 * changed; `why` says all that is wrong, line by line.  Not while
 * apply_pending.  A hold on `from` is taken.
 */
bool apply_config(
    struct apply *a, struct loaded *from, struct textbuf *why) WARN_UNUSED;

/* Whether some worker does not have the last one yet. */
static inline bool
apply_pending(const struct apply *a)
{
	return a->pending > 0;
}

/* Mail from workers: shared->on_updated and shared->on_released. */
void apply_updated(struct apply *a, struct worker_update *u);
void apply_released(struct apply *a, struct snapshot_hold *hold);

/* After the workers have ended, and before their parts are freed. */
void apply_close(struct apply *a);

#endif
