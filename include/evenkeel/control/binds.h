/*
 * binds - the listening sockets of all listeners, one for each worker, from
 * when they are bound until the workers take them over.
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_BINDS_H
#define EVENKEEL_CONTROL_BINDS_H

#include "evenkeel/net/log.h"
#include "evenkeel/proxy/worker.h"

struct binds {
	struct worker_bind *list; /* [worker * n + bind]; fd -1: none */
	size_t n;                 /* of each worker */
	size_t n_bound;           /* of n, in the order of the file */
	uint32_t workers;
	struct log_ring *log;
};

/* Binds all, and logs each.  False: `why` says which one could not be; what was
 * bound is for binds_close. */
bool binds_open(struct binds *b, const struct snapshot *s, uint32_t workers,
    struct log_ring *log, struct textbuf *why) WARN_UNUSED;

/* Those of one worker, to be taken over by it. */
static inline struct worker_bind *
binds_of(const struct binds *b, uint32_t worker)
{
	return &b->list[worker * b->n];
}

/* The worker has them now, or has closed them. */
void binds_taken(struct binds *b, uint32_t worker);

/* Removes the files of unix sockets that were bound here. */
void binds_unlink(const struct binds *b, const struct cfg *cfg);

/* Closes what nobody took. */
void binds_close(struct binds *b);

#endif
