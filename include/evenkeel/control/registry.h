/*
 * registry - makes snapshots, and owns the backends, pools and listeners that
 * they refer to.
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_REGISTRY_H
#define EVENKEEL_CONTROL_REGISTRY_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/proxy/snapshot.h"

struct registry;

/* For that many workers.  NULL: no memory. */
struct registry *registry_create(uint32_t workers) WARN_UNUSED;

/* No worker may run any more. */
void registry_free(struct registry *r);

/*
 * The snapshot of a configuration, which must outlive it: resolves names (may
 * block), makes the objects; there are no rotations yet.  NULL: `why` says
 * what is wrong.  Owned by the registry.
 */
const struct snapshot *registry_build(
    struct registry *r, const struct cfg *cfg, struct textbuf *why) WARN_UNUSED;

#endif
