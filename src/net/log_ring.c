#include "evenkeel/net/log_ring.h"

#include <stdlib.h>
#include <string.h>

#define RING_MASK ((uint64_t)LOG_RING_BYTES - 1)
#define RING_STEP 8U /* records begin at multiples of it */

_Static_assert(
    (LOG_RING_BYTES & (LOG_RING_BYTES - 1)) == 0, "positions are masked");
_Static_assert(
    LOG_RING_LINE_BYTES < LOG_RING_BYTES / 2, "a line fits an empty ring");

struct record_head {
	uint32_t len; /* of the line, without padding */
	uint8_t to, level, stamp_bytes, unused;
};
_Static_assert(sizeof(struct record_head) == RING_STEP,
    "a head never lies around the end");

static uint64_t
record_bytes(size_t len)
{
	return (sizeof(struct record_head) + len + RING_STEP - 1) &
	    ~(uint64_t)(RING_STEP - 1);
}

struct log_ring *
log_ring_new(struct log *l, const char *name)
{
	struct log_ring *r =
	    aligned_alloc(LOG_CACHE_LINE, sizeof(struct log_ring));

	if (!r)
		return NULL;
	memset(r, 0, sizeof(*r));
	r->flushed = true;
	r->log = l;
	r->name = strdup(name);
	/* Pages that are never used cost nothing. */
	r->bytes = calloc(1, LOG_RING_BYTES);
	if (!r->name || !r->bytes) {
		log_ring_free(r);
		return NULL;
	}
	return r;
}

void
log_ring_free(struct log_ring *r)
{
	free(r->name);
	free(r->bytes);
	free(r);
}

static void
copy_in(struct log_ring *r, uint64_t at, struct span s)
{
	size_t place = (size_t)(at & RING_MASK);
	size_t first = LOG_RING_BYTES - place;

	if (first > s.len)
		first = s.len;
	memcpy(r->bytes + place, s.ptr, first);
	memcpy(r->bytes, s.ptr + first, s.len - first);
}

bool
log_ring_put(struct log_ring *r, enum log_stream to, enum log_level level,
    uint8_t stamp_bytes, struct span line)
{
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	uint64_t need = record_bytes(line.len);
	struct record_head head = {
	    (uint32_t)line.len, (uint8_t)to, (uint8_t)level, stamp_bytes, 0};

	/* Acquire: what the consumer read there, it has read. */
	if (LOG_RING_BYTES - (tail - r->head_seen) < need)
		r->head_seen =
		    atomic_load_explicit(&r->head, memory_order_acquire);
	if (line.len > LOG_RING_LINE_BYTES ||
	    LOG_RING_BYTES - (tail - r->head_seen) < need) {
		atomic_fetch_add_explicit(&r->dropped, 1, memory_order_relaxed);
		return false;
	}
	memcpy(r->bytes + (tail & RING_MASK), &head, sizeof(head));
	copy_in(r, tail + sizeof(head), line);
	/* Release: the bytes are there before the position says so. */
	atomic_store_explicit(&r->tail, tail + need, memory_order_release);
	r->flushed = false;
	return true;
}

bool
log_ring_crowded(struct log_ring *r)
{
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (tail - r->head_seen <= LOG_RING_BYTES / 2)
		return false;
	r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
	return tail - r->head_seen > LOG_RING_BYTES / 2;
}

void
log_ring_publish(struct log_ring *r)
{
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	atomic_store_explicit(&r->tail, tail, memory_order_seq_cst);
	r->flushed = true;
}

bool
log_ring_empty(struct log_ring *r)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	return atomic_load_explicit(&r->tail, memory_order_seq_cst) == head;
}

uint64_t
log_ring_mark(struct log_ring *r)
{
	return atomic_load_explicit(&r->tail, memory_order_acquire);
}

bool
log_ring_peek(struct log_ring *r, uint64_t mark, struct log_line *line)
{
	uint64_t at = atomic_load_explicit(&r->head, memory_order_relaxed);
	struct record_head head;
	size_t place, first;

	if (at >= mark)
		return false;
	memcpy(&head, r->bytes + (at & RING_MASK), sizeof(head));
	place = (size_t)((at + sizeof(head)) & RING_MASK);
	first = LOG_RING_BYTES - place;
	if (first > head.len)
		first = head.len;
	line->to = (enum log_stream)head.to;
	line->level = (enum log_level)head.level;
	line->stamp_bytes = head.stamp_bytes;
	line->first = span_make(r->bytes + place, first);
	line->second = span_make(r->bytes, head.len - first);
	return true;
}

void
log_ring_pop(struct log_ring *r, const struct log_line *line)
{
	uint64_t at = atomic_load_explicit(&r->head, memory_order_relaxed);

	/* Release: the line was read before its place is given back. */
	atomic_store_explicit(&r->head,
	    at + record_bytes(line->first.len + line->second.len),
	    memory_order_release);
}
