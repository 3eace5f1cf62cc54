/*
 * stats - what is counted, by the one worker that counts it.
 *
 * Every object that metrics speak of has one block per worker; the worker adds
 * to its own without a lock, the control thread adds the blocks up.
 *
 * Layer: proxy.
 */
#ifndef EVENKEEL_PROXY_STATS_H
#define EVENKEEL_PROXY_STATS_H

#include "evenkeel/http/access.h"
#include "evenkeel/http/metrics.h"
#include "evenkeel/net/counter.h"

/* The size of a cache line: blocks of different workers never share one. */
#define STATS_LINE 64

/* Status codes that are counted one by one; an answer has 100..599. */
#define STATS_CODES 600

struct histogram {
	struct counter bucket[METRICS_BUCKETS + 1]; /* the last: +Inf */
	struct counter sum_us;
};

static inline void
histogram_add(struct histogram *h, uint64_t us)
{
	counter_add(&h->bucket[metrics_bucket(us)], 1);
	counter_add(&h->sum_us, us);
}

/* Answers of one listener for one pool; appended to a list, never removed. */
struct code_counts {
	struct code_counts *_Atomic next;
	const void *front; /* the listener */
	struct counter code[STATS_CODES];
};

enum stats_side { STATS_CLIENT, STATS_BACKEND, STATS_SIDES };

/* How a TLS handshake ended; one that a peer left is a failed one. */
enum stats_handshake {
	STATS_FULL,
	STATS_RESUMED,
	STATS_FAILED,
	STATS_HANDSHAKES
};

/* Of one worker as a whole. */
struct worker_stats {
	struct counter clients;  /* open now */
	struct counter backends; /* connections to backends, open now */
	struct counter client_in, client_out, backend_in, backend_out; /* B */
	struct counter requests; /* under way now */
	struct counter tls_handshakes[STATS_SIDES][STATS_HANDSHAKES];
};

#endif
