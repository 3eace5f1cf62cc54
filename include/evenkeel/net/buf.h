/*
 * buf - the buffers bytes pass through, lent from a per-thread free list.
 *
 * A buffer is taken when bytes arrive and goes back when it is empty, so an
 * idle connection owns none.  The list is last-in-first-out: the next taker
 * gets memory that is still in the cache.  Large buffers, for large bodies,
 * are a second list with few places.
 *
 *	| kept head | sent | decoded | gap | raw | free |
 *	0         base    start     mid   raw   end    cap
 *
 * [start, mid) is data ready to be sent on, [raw, end) came from the peer and
 * is not looked at yet; bytes below `base` are a head that may be needed again.
 *
 * Layer: net.  One thread per pool.
 */
#ifndef EVENKEEL_NET_BUF_H
#define EVENKEEL_NET_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "evenkeel/base/check.h"
#include "evenkeel/base/span.h"

/* Smallest size of a buffer: a response head by default (max_header_size 32k)
 * and a fair piece of a body. */
#define BUF_BYTES 32768U
/* Empty buffers a pool keeps; more are given back to the system. */
#define BUF_POOL_KEEP 512U
/* A large buffer: per byte the cheapest that was measured. */
#define BUF_LARGE_BYTES 262144U
/* Large ones of a pool, lent and free (16 MB), and those it keeps. */
#define BUF_LARGE_MAX  64U
#define BUF_LARGE_KEEP 4U

struct buf {
	struct buf *next; /* in the free list */
	uint32_t base, start, mid, raw, end;
	uint32_t cap;
	bool large;
	char data[];
};

struct buf_pool {
	struct buf *free;
	uint32_t n_free;
	uint32_t n_lent; /* large ones, too */
	uint32_t size;
	struct buf *free_large;
	uint32_t n_free_large, n_lent_large;
};

void buf_pool_init(struct buf_pool *p, uint32_t size);

/* Frees the empty ones; lent ones must have come back. */
void buf_pool_close(struct buf_pool *p);

/* From now on buffers have at least `size` bytes. */
void buf_pool_grow(struct buf_pool *p, uint32_t size);

struct buf *buf_new(struct buf_pool *p) WARN_UNUSED;

/* An empty buffer, or NULL when there is no memory. */
static inline struct buf *
buf_get(struct buf_pool *p)
{
	struct buf *b = p->free;

	if (__builtin_expect(b == NULL, 0))
		return buf_new(p);
	p->free = b->next;
	p->n_free--;
	p->n_lent++;
	b->base = b->start = b->mid = b->raw = b->end = 0;
	return b;
}

/* An empty large buffer, or NULL: BUF_LARGE_MAX are lent, or no memory. */
struct buf *buf_get_large(struct buf_pool *p) WARN_UNUSED;

/* Exchanges `b` for one with at least `cap` bytes (not one of the large ones)
 * and the same content.  False: no memory; `*b` stays as it is. */
bool buf_extend(struct buf_pool *p, struct buf **b, uint32_t cap) WARN_UNUSED;

/* Gives `b` back; NULL is allowed. */
void buf_put(struct buf_pool *p, struct buf *b);

/* Bytes not looked at yet. */
static inline uint32_t
buf_raw_len(const struct buf *b)
{
	return b->end - b->raw;
}

static inline char *
buf_raw(struct buf *b)
{
	return b->data + b->raw;
}

/* Bytes ready to be sent on. */
static inline uint32_t
buf_ready_len(const struct buf *b)
{
	return b->mid - b->start;
}

static inline uint32_t
buf_room(const struct buf *b)
{
	return b->cap - b->end;
}

/* Wins back room: moves the bounds (not the bytes) to `base` when nothing is
 * left, and closes the gap when all raw bytes are used. */
static inline void
buf_settle(struct buf *b)
{
	if (b->raw == b->end)
		b->raw = b->end = b->mid;
	if (b->start == b->end)
		b->start = b->mid = b->raw = b->end = b->base;
}

/* Moves raw bytes down behind the ready ones, over the gap. */
void buf_close_gap(struct buf *b);

/* Moves raw bytes down to `base` so that a head has the whole buffer.  Only
 * when nothing is ready. */
void buf_compact(struct buf *b);

bool buf_ok(const struct buf *b);

#endif
