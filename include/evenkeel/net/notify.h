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

#include <stdint.h>

#include "evenkeel/base/span.h"

/* How long a manager that does not read may hold the process up. */
#define NOTIFY_WAIT_MS 1000

/* The start is over.  `status` is one line for people.  Cannot fail. */
void notify_ready(struct span status);

/* A reload has begun; it ends with notify_ready.  The manager is told the time
 * of the monotonic clock, too (sd_notify(3), "RELOADING").  Cannot fail. */
void notify_reloading(void);

/* From now on the process `pid`, a child of this one, is the service; nothing
 * more may be told by this one.  Cannot fail. */
void notify_successor(uint64_t pid, struct span status);

/* The stop has begun; it may take `limit_ms`, and the manager shall not lose
 * patience before.  Cannot fail. */
void notify_stopping(uint64_t limit_ms, struct span status);

#endif
