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
#include "evenkeel/net/mailbox.h"
#include "evenkeel/net/tls_context.h"
#include "evenkeel/policy/health.h"
#include "evenkeel/policy/retry.h"
#include "evenkeel/policy/ring.h"
#include "evenkeel/proxy/stats.h"

/* One worker's part of a backend. */
struct lane {
	alignas(STATS_LINE) struct list idle; /* of struct back; newest first */
	uint32_t n_idle;
	uint64_t kept_ms; /* how long the backend keeps idle connections; 0:
			     not known */
	struct counter inflight;
	/* Requests that have an attempt on it behind them, and will name it in
	 * their record. */
	struct counter named;
	struct counter attempts[ACCESS_OUTCOMES];
	struct counter fresh, reused; /* attempts on such a connection */
	struct tls_slot session;      /* of https backends; the worker's */
	struct mail evict;            /* to the worker: close what is idle */
	_Atomic bool evict_sent;
	struct histogram head_time; /* from the start of an attempt to the
					final head */
};

/* Of weight_now. */
#define BACKEND_WEIGHT_UNIT 100U

struct upstream;
struct worker;

struct backend {
	const char *name;
	struct span name_span;
	struct span host; /* its address as a Host; for requests without one */
	struct address address;
	/* Of an https backend: what its certificate is to bear, unless
	 * tls_server_name says otherwise; else NULL. */
	const char *server_name;
	/* As the configuration in force has them; the control thread's. */
	uint32_t weight;
	bool backup;
	/* Connections, idle ones included; 0: no limit.  Changed by a reload,
	 * as is `compared`: its pool looks at `taken`. */
	_Atomic uint32_t max;
	_Atomic bool compared;
	/* Written by control before the rotations without it are published:
	 * no connection to it is kept or replaced any more. */
	_Atomic bool draining;
	uint32_t n_lanes;
	struct lane *lanes; /* [worker] */
	struct upstream *upstream;
	/* Failed attempts in a row over all workers: written by failures, and
	 * by the first success after one. */
	_Atomic uint32_t failures;
	_Atomic uint64_t asked_until_ms; /* its last Retry-After; 0: none */
	struct mail failing;             /* to control: failures in a row */
	_Atomic bool failing_sent;
	/* How the last failed attempt ended (enum access_outcome); ACCESS_OK:
	 * nobody said. */
	_Atomic uint32_t last_failure;
	/* A static text that says more about it; NULL: the outcome says all. */
	const char *_Atomic last_why;
	uint64_t checks[HEALTH_RESULTS]; /* the control thread's */
	void *keeper; /* the control thread's: what it knows about it */
	/* Its weight now, in units of 1 / BACKEND_WEIGHT_UNIT (slow start);
	 * least_connections and random_two go by it. */
	_Atomic uint32_t weight_now;
	/* The control thread's: what the registry does with it. */
	struct backend_life {
		uint64_t serial;  /* of the last snapshot in force that refers
				     to it */
		bool kept;        /* some snapshot that was in force did */
		struct list gone; /* when no more */
		uint64_t gone_ms;
		bool shadowed;  /* another one of its pool has its name */
		uint64_t quiet; /* the generation to be passed before it is
				   freed; 0: it is in use */
	} life;
	/* Over all workers: requests in flight, where something asks
	 * (compared), and connections.  On a line of their own. */
	alignas(STATS_LINE) _Atomic uint32_t taken;
	_Atomic uint32_t slots;
};

/*
 * An order of turns; immutable once published.
 *
 * A worker takes the pointer from its pool anew each time it picks, and never
 * keeps it beyond the callback it is in.  The control thread frees a replaced
 * one when each worker has begun a callback after it was replaced; see
 * control/publish.
 */
struct rotation {
	size_t entries;
	size_t n; /* distinct backends */
	struct backend **all;
	size_t n_points;
	struct ring_point *points; /* of pools that hash; else NULL */
	/* control's, once it was replaced: the list of such, and the
	 * generation that says so. */
	struct rotation *next;
	uint64_t generation;
	struct backend *turn[];
};

/* oldest_us of a lane in whose queue nobody waits, or only such as may not go
 * to every backend. */
#define UPSTREAM_NOBODY UINT64_MAX
#define UPSTREAM_HELD   (UINT64_MAX - 1)

/* One worker's part of a pool. */
struct upstream_lane {
	alignas(STATS_LINE) struct code_counts *_Atomic codes;
	struct histogram duration;
	struct counter requests; /* that took this pool */
	struct counter retries[RETRY_CAUSES];
	struct counter retried_status[RETRY_STATUS_MAX - RETRY_STATUS_MIN + 1];
	struct counter denied[RETRY_VERDICTS]; /* retries that were not made */
	struct histogram backoff;              /* waits before retries */
	struct list queue; /* of struct exchange, oldest first; the worker's */
	_Atomic uint64_t oldest_us; /* when its first began to wait; or
				       UPSTREAM_NOBODY, UPSTREAM_HELD */
	struct mail wake;           /* to the worker: try the queue again */
	_Atomic bool wake_sent;
	struct loop_task task; /* the worker's: the same, in this turn */
	struct worker *worker;
	struct upstream *upstream;
};

struct upstream {
	const char *name;
	struct span name_span;
	uint64_t serial;  /* of the last snapshot in force that refers to it;
			     the control thread's */
	uint64_t gone_ms; /* when that was replaced */
	uint32_t n_lanes;
	struct upstream_lane *lanes;       /* [worker] */
	struct rotation *_Atomic rotation; /* NULL: nothing usable */
	struct rotation *_Atomic backup;   /* used when nothing else is */
	struct rotation *_Atomic resort;   /* the ejected: for a retry that has
					      tried all others */
	/* Shared by all workers, on a line of its own: strict rotation. */
	alignas(STATS_LINE) _Atomic uint64_t cursor;
	/* Requests that wait for a backend, over all workers. */
	alignas(STATS_LINE) _Atomic uint32_t waiting;
	/* The retry budget (policy/budget): what may be spent, set by control
	 * and taken from by any worker, one by one and never below 0; control
	 * sees what was taken by what is missing (control/budgets). */
	alignas(STATS_LINE) _Atomic uint32_t share_left;
	_Atomic uint32_t floor_left;
};

struct front {
	uint64_t serial, gone_ms; /* as in struct upstream */
	const char *name;
	struct span name_span;
};

/* `host` stands for it in a Host field; empty: the address.  `server_name` is
 * copied; NULL: plain.  NULL: no memory. */
struct backend *
backend_create(const char *name, struct span host, const struct address *a,
    const char *server_name, uint32_t weight, uint32_t workers) WARN_UNUSED;
/* Its idle connections must have been closed. */
void backend_free(struct backend *b);

/* Requests, tunnels included, over all workers.  Each number was true, if not
 * all at once. */
uint64_t backend_in_flight(const struct backend *b);

/* Whether some worker has a connection to it or a request that names it.  Of
 * use when none can begin with it any more; see control/registry. */
bool backend_in_use(const struct backend *b);

struct upstream *
upstream_create(const char *name, uint32_t workers) WARN_UNUSED;
void upstream_free(struct upstream *u);

struct front *front_create(const char *name) WARN_UNUSED;
void front_free(struct front *f);

/* The order of turns of `n` usable backends, `weights[i]` >= 1 each in whatever
 * unit, with their ring when `hashed`.  NULL: no memory, or n is 0. */
struct rotation *rotation_create(struct backend *const *usable,
    const uint32_t *weights, size_t n, bool hashed) WARN_UNUSED;
void rotation_free(struct rotation *r);

/* The number of the next turn, over all workers. */
static inline uint64_t
upstream_turn(struct upstream *u)
{
	return atomic_fetch_add_explicit(&u->cursor, 1, memory_order_relaxed);
}

/* Whose turn that is. */
static inline struct backend *
rotation_at(const struct rotation *r, uint64_t turn)
{
	return r->turn[turn % r->entries];
}

/* Counts an answer of `front` with `code` in the worker's lane. */
void upstream_count(struct upstream *u, uint32_t worker,
    const struct front *front, unsigned code);

#endif
