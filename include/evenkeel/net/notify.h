/*
 * notify - tells the service manager that started the process how it is.
 *
 * A datagram of lines goes to the unix socket that NOTIFY_SOCKET names.
 * Without a manager there is no such variable and nothing happens; a manager
 * that cannot be reached changes nothing either.
 *
 * Layer: net.  The main thread; waits at most NOTIFY_WAIT_MS.
 *
 * Sources: sd_notify(3), "Notes": the protocol is stable and may be
 * implemented without libsystemd; unix(7) (abstract names).
 */
#ifndef EVENKEEL_NET_NOTIFY_H
#define EVENKEEL_NET_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "evenkeel/base/check.h"
#include "evenkeel/base/span.h"

/* How long a manager that does not read may hold the process up. */
#define NOTIFY_WAIT_MS 1000

/* The start is over.  `status` is one line for people here and below.  Cannot
 * fail. */
void notify_ready(struct span status);

/*
 * A reload has begun, and it has ended, well or badly.  The manager is told the
 * time of the monotonic clock, too (sd_notify(3), "RELOADING").  Nothing waits,
 * for there are reloads while the process serves.  False: the manager is busy
 * and was not told.  One that was told of the beginning waits for the end.
 */
bool notify_reloading(void) WARN_UNUSED;
bool notify_reloaded(struct span status) WARN_UNUSED;

/* From now on the process `pid`, a child of this one, is the service; nothing
 * more may be told by this one.  Cannot fail. */
void notify_successor(uint64_t pid, struct span status);

/* The stop has begun; it may take `limit_ms`, and the manager shall not lose
 * patience before.  Cannot fail. */
void notify_stopping(uint64_t limit_ms, struct span status);

#endif
