/*
 * pipe - pipes that large bodies pass through without being copied, lent from
 * a per-thread free list.
 *
 * splice(2) moves references to the kernel's pages: from a socket into a pipe,
 * from there into another socket.  A pipe costs two descriptors and, while
 * bytes lie in it, the memory of these, so there are few: whoever gets none
 * copies.  One that is not empty when it comes back is closed.
 *
 * Layer: net.  One thread per pool.
 *
 * Sources: splice(2), pipe(7) on F_SETPIPE_SZ and pipe-user-pages-soft.
 */
#ifndef EVENKEEL_NET_PIPE_H
#define EVENKEEL_NET_PIPE_H

#include <stdbool.h>
#include <stdint.h>

#include "evenkeel/base/check.h"
#include "evenkeel/base/span.h"

/* Asked for: measured, docs/benchmarks.md.  This is also what a slow reader
 * keeps at most. */
#define PIPE_BYTES 262144U
/* With less than that, copying through a large buffer is cheaper. */
#define PIPE_MIN_BYTES 65536U
/* Of one pool, lent and free; all of them full are 16 MB. */
#define PIPE_POOL_MAX 64U
/* Free ones a pool keeps. */
#define PIPE_POOL_KEEP 16U
/* When the system gave none, so many are refused without asking it. */
#define PIPE_POOL_PAUSE 256U

struct pipe {
	struct pipe *next; /* in the free list */
	int in, out;       /* write to `in`, read from `out` */
	uint32_t len;      /* bytes that lie in it */
	uint32_t cap;
};

struct pipe_pool {
	struct pipe *free;
	uint32_t n_free, n_lent;
	uint32_t max;
	uint32_t pause; /* so many are refused before the system is asked */
};

void pipe_pool_init(struct pipe_pool *p, uint32_t max);

/* Closes the free ones; lent ones must have come back. */
void pipe_pool_close(struct pipe_pool *p);

/* An empty pipe, or NULL: `max` are lent, or the system gives none. */
struct pipe *pipe_get(struct pipe_pool *p) WARN_UNUSED;

/* Gives `pipe` back, with what is in it; NULL is allowed. */
void pipe_put(struct pipe_pool *p, struct pipe *pipe);

#endif
