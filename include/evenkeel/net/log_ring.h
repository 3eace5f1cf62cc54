/*
 * log_ring - lines on their way from one thread to the writer.
 *
 * One producer and one consumer, no lock: the producer alone moves `tail`, the
 * consumer alone moves `head`, and the producer keeps a copy of `head` that it
 * renews only when the copy says "full", so that the two rarely touch the same
 * cache line.  Positions count bytes and never wrap
 * back; their low bits are the place in the ring.  A record is a head of 8
 * bytes and the line, padded to 8, so only a line can lie in two pieces.
 *
 * Layer: net, for `log` alone.  Which thread may call is said at each function.
 *
 * Sources: Lamport, "Specifying Concurrent Program Modules", 1983 (the ring);
 * C11 7.17.3 (memory order).
 */
#ifndef EVENKEEL_NET_LOG_RING_H
#define EVENKEEL_NET_LOG_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "evenkeel/base/check.h"
#include "evenkeel/base/span.h"
#include "evenkeel/net/log.h"

/* A power of two.  Records of 300 bytes at 100,000 requests a second fill 30
 * MB a second: 1 MiB holds 35 ms of them, more than one gathering, and the
 * producer calls the writer early when half of it is used. */
#define LOG_RING_BYTES (1U << 20)
/* A longer line is refused; above any access record. */
#define LOG_RING_LINE_BYTES 32768
#define LOG_CACHE_LINE      64

struct log_ring {
	/* the producer's */
	_Alignas(LOG_CACHE_LINE) _Atomic uint64_t tail;
	uint64_t head_seen;
	_Atomic uint64_t dropped; /* read by anybody */
	bool flushed;             /* nothing was put since log_flush */
	/* the consumer's */
	_Alignas(LOG_CACHE_LINE) _Atomic uint64_t head;
	uint64_t told; /* of `dropped`, said in the log already */
	uint64_t mark; /* a round takes the lines before it */
	/* constant after creation */
	_Alignas(LOG_CACHE_LINE) char *bytes;
	char *name;
	struct log *log;
	struct log_ring *next;
};

/* A line in the ring; `second` is empty unless the line lies around the end. */
struct log_line {
	enum log_stream to;
	enum log_level level;
	uint8_t stamp_bytes; /* at its front, not for syslog */
	struct span first, second;
};

/* Zero, an own copy of `name`, and memory for the lines.  NULL: no memory. */
struct log_ring *log_ring_new(struct log *l, const char *name) WARN_UNUSED;
void log_ring_free(struct log_ring *r);

/* Producer.  False: no room, or the line is too long; it is counted. */
bool log_ring_put(struct log_ring *r, enum log_stream to, enum log_level level,
    uint8_t stamp_bytes, struct span line);

/* Producer.  More than half of the ring is in use. */
bool log_ring_crowded(struct log_ring *r);

/*
 * Producer.  Puts what was put before into the single total order of
 * sequentially consistent operations, so that the caller's next such load is
 * ordered behind it; see log_flush.
 */
void log_ring_publish(struct log_ring *r);

/* Consumer.  Sequentially consistent: see writer_sleep in log.c. */
bool log_ring_empty(struct log_ring *r);

/* Consumer, or log_commit.  Where the lines end that are there now. */
uint64_t log_ring_mark(struct log_ring *r);

/* Consumer.  The oldest line before `mark`, which may be one that was passed
 * already; false when there is none.  The
 * spans are good until log_ring_pop. */
bool log_ring_peek(
    struct log_ring *r, uint64_t mark, struct log_line *line) WARN_UNUSED;

/* Consumer.  Takes off the line that log_ring_peek has just shown. */
void log_ring_pop(struct log_ring *r, const struct log_line *line);

#endif
