/*
 * sizes - how many of what: from the configuration, or from what the machine
 * has to offer where that says auto.
 *
 * Layer: control.  The control thread, at the start.
 */
#ifndef EVENKEEL_CONTROL_SIZES_H
#define EVENKEEL_CONTROL_SIZES_H

#include "evenkeel/config/config.h"

/* Worker threads; 1..CFG_WORKERS_MAX. */
uint32_t sizes_workers(const struct cfg *cfg);

/*
 * Shares the descriptors out: how many connections of clients at a time, each
 * of which may need another one to a backend, and how many pipes for large
 * bodies in each worker; the process keeps some for itself and for checks.
 * Raises the limit of descriptors as far as it may.  `binds`: listening
 * sockets of each worker.
 */
void sizes_share(const struct cfg *cfg, uint32_t workers, size_t binds,
    uint32_t *connections, uint32_t *pipes);

#endif
