/*
 * counter - numbers that one thread writes and any may read.
 *
 * Not a locked instruction: the only writer loads, adds and stores; readers
 * see some value that was true.
 *
 * Layer: net.
 */
#ifndef EVENKEEL_NET_COUNTER_H
#define EVENKEEL_NET_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

struct counter {
	_Atomic uint64_t n;
};

static inline uint64_t
counter_get(const struct counter *c)
{
	return atomic_load_explicit(&c->n, memory_order_relaxed);
}

/* The owning thread only; wraps for negative amounts given as 2^64 - n. */
static inline void
counter_add(struct counter *c, uint64_t amount)
{
	atomic_store_explicit(
	    &c->n, counter_get(c) + amount, memory_order_relaxed);
}

#endif
