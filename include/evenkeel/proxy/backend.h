/*
 * backend - the things that outlive a configuration: backends, the pools they
 * form, the listeners that lead to them.
 *
 * They are made and freed by the control thread and known by stable
 * addresses; snapshots only refer to them.  What a worker keeps about one of
 * them (idle connections, counters) lies in a lane of its own.
 *
 * Layer: proxy.  Lanes: their worker.  Rotation: published by the control
 * thread, read by all.
 */
#ifndef EVENKEEL_PROXY_BACKEND_H
#define EVENKEEL_PROXY_BACKEND_H

#include <stdalign.h>

#include "evenkeel/base/list.h"
#include "evenkeel/net/address.h"
#include "evenkeel/proxy/stats.h"

/* One worker's part of a backend. */
struct lane {
	alignas(STATS_LINE) struct list idle; /* of struct back; newest first */
	uint32_t n_idle;
	struct counter inflight;
	struct counter attempts[ACCESS_OUTCOMES];
	struct counter fresh, reused; /* attempts on such a connection */
	struct histogram head_time;   /* from the start of an attempt to the
					  final head */
};

struct backend {
	const char *name;
	struct span name_span;
	struct span host; /* its address as a Host; for requests without one */
	struct address address;
	uint32_t weight;
	uint32_t n_lanes;
	struct lane *lanes; /* [worker] */
};

/* An order of turns; immutable once published. */
struct rotation {
	size_t entries;
	struct backend *turn[];
};

/* One worker's part of a pool. */
struct upstream_lane {
	alignas(STATS_LINE) struct code_counts *_Atomic codes;
	struct histogram duration;
};

struct upstream {
	const char *name;
	struct span name_span;
	uint32_t n_lanes;
	struct upstream_lane *lanes;       /* [worker] */
	struct rotation *_Atomic rotation; /* NULL: nothing usable */
	/* Shared by all workers, on a line of its own: strict rotation. */
	alignas(STATS_LINE) _Atomic uint64_t cursor;
};

struct front {
	const char *name;
	struct span name_span;
	bool https;
};

/* NULL: no memory. */
struct backend *backend_create(const char *name, const struct address *a,
    uint32_t weight, uint32_t workers) WARN_UNUSED;
/* Its idle connections must have been closed. */
void backend_free(struct backend *b);

struct upstream *
upstream_create(const char *name, uint32_t workers) WARN_UNUSED;
void upstream_free(struct upstream *u);

struct front *front_create(const char *name) WARN_UNUSED;
void front_free(struct front *f);

/* The order of turns of `n` usable backends by their weights.  NULL: no
 * memory, or n is 0. */
struct rotation *
rotation_create(struct backend *const *usable, size_t n) WARN_UNUSED;

/* The backend whose turn it is, or NULL when none is usable. */
static inline struct backend *
upstream_pick(struct upstream *u)
{
	const struct rotation *r =
	    atomic_load_explicit(&u->rotation, memory_order_acquire);
	uint64_t turn;

	if (r == NULL)
		return NULL;
	turn = atomic_fetch_add_explicit(&u->cursor, 1, memory_order_relaxed);
	return r->turn[turn % r->entries];
}

/* Counts an answer of `front` with `code` in the worker's lane. */
void upstream_count(struct upstream *u, uint32_t worker,
    const struct front *front, unsigned code);

#endif
