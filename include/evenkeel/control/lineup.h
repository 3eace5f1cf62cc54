/*
 * lineup - from the roster to the rotations that workers pick from: who is
 * usable, with the weight that a slow start leaves him.
 *
 * A pool has three rotations: of its backups, of the others, and of those that
 * are ejected, for retries that have tried all usable ones.  Those of
 * all marked pools are made and published together, so that many changes at a
 * time cost one.
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_LINEUP_H
#define EVENKEEL_CONTROL_LINEUP_H

#include "evenkeel/control/roster.h"

/* Whether some pool is marked. */
bool lineup_wanted(const struct roster *r);

/*
 * Makes and publishes the rotations of marked pools, and says when the last
 * usable backend has gone, or the first has come.  False: no memory; the pools
 * concerned keep what they have, and their marks.
 */
bool lineup_publish(struct roster *r, uint64_t now_ms) WARN_UNUSED;

#endif
