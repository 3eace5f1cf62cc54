/*
 * registry - makes snapshots, and owns the backends, pools and listeners that
 * they refer to.
 *
 * A snapshot is prepared beside the one in force and either committed or rolled
 * back.  What both have is the same object: a listener of the same name, a pool
 * of the same name, a backend of the same pool, name, address and scheme.  So
 * counters, idle connections, queues and the place in the rotation go on.
 *
 * How things end.  A snapshot is freed when each worker has mailed it back.  A
 * backend that the snapshot in force does not have is *gone*: it drains, is
 * told of by metrics for REGISTRY_GONE_MS, and is freed when no worker can know
 * it any more (registry_collect).  Pools and listeners stay: they are as many
 * as names were ever used.
 *
 * Layer: control.  The control thread; time comes from the caller.
 */
#ifndef EVENKEEL_CONTROL_REGISTRY_H
#define EVENKEEL_CONTROL_REGISTRY_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/control/loader.h"
#include "evenkeel/control/names.h"
#include "evenkeel/control/publish.h"
#include "evenkeel/proxy/snapshot.h"

/* So long after it went, metrics forget a backend. */
#define REGISTRY_GONE_MS 600000U

struct registry;

/* For these workers, whose array may be filled until the first commit.  `names`
 * knows the addresses of backends by name.  NULL: no memory. */
struct registry *registry_create(uint32_t n_workers,
    struct worker *const *workers, const struct names *names) WARN_UNUSED;

/* No worker may run any more. */
void registry_free(struct registry *r);

/*
 * The snapshot of a configuration, which it holds.  A backend by name becomes
 * as many as it is known to have addresses, named NAME@ADDRESS.  NULL: no
 * memory, or `why` says what is wrong; nothing has changed then.  One at a
 * time.
 */
struct snapshot *registry_prepare(
    struct registry *r, struct loaded *from, struct textbuf *why) WARN_UNUSED;

/* Instead of registry_commit: nobody has seen it. */
void registry_rollback(struct registry *r, struct snapshot *s);

/* It is in force: backends are as it has them, and those it has not are gone.
 * Each worker is to be given its hold.  Cannot fail. */
void registry_commit(struct registry *r, struct snapshot *s, uint64_t now_ms);

/* Before registry_commit: whether a pool compares what is in flight that did
 * not before. */
bool registry_recounts(const struct snapshot *s);

struct snapshot_hold *registry_hold(struct snapshot *s, uint32_t worker);

/* A worker has mailed it back. */
void registry_released(struct registry *r, struct snapshot_hold *hold);

/* In force; NULL: none yet.  The configuration of it. */
const struct snapshot *registry_snapshot(const struct registry *r);
struct loaded *registry_loaded(const struct registry *r);

/* How many are not freed, the one in force included. */
uint32_t registry_alive(const struct registry *r);

/* The pools, or listeners, that metrics tell of: those in force, and those gone
 * for less than REGISTRY_GONE_MS.  `*at` begins as 0; NULL: no more.  (What no
 * pool took is counted by the snapshot's no_pool.) */
const struct upstream *
registry_next_upstream(const struct registry *r, size_t *at, uint64_t now_ms);
const struct front *
registry_next_front(const struct registry *r, size_t *at, uint64_t now_ms);

/* Gone backends, in the order they went: the links of their life.gone. */
const struct list *registry_gone(const struct registry *r);

/* Frees what it can; to be called now and then while there is something.  The
 * rotations in `p` that are in force hold nobody who is gone: no pool of the
 * roster is marked.  True: something is left. */
bool registry_collect(struct registry *r, struct publish *p, uint64_t now_ms);

#endif
