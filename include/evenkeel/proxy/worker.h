/*
 * worker - one thread that serves clients: its loop, its listening sockets,
 * its connections, its counters.
 *
 * A request never leaves its worker, and workers share nothing that changes
 * but the cursors of the pools.
 *
 * Layer: proxy.  worker_create, worker_free and worker_post: the control
 * thread; everything else: the worker's own.
 */
#ifndef EVENKEEL_PROXY_WORKER_H
#define EVENKEEL_PROXY_WORKER_H

#include <stdatomic.h>

#include "evenkeel/base/rng.h"
#include "evenkeel/net/listener.h"
#include "evenkeel/net/log.h"
#include "evenkeel/net/loop.h"
#include "evenkeel/net/mailbox.h"
#include "evenkeel/proxy/client.h"
#include "evenkeel/proxy/exchange.h"
#include "evenkeel/proxy/snapshot.h"

/* Exchanges a worker keeps for reuse. */
#define WORKER_KEEP_EXCHANGES 256
/* Time for TLS handshakes in one turn: one more is begun while less has been
 * used. */
#define WORKER_SHAKE_US 2000

struct worker_update;

/* What all workers share. */
struct worker_shared {
	uint32_t workers;
	_Atomic uint32_t max_connections;
	uint32_t max_pipes; /* of each worker */
	uint64_t seed;      /* of identifiers; different at each start */
	_Atomic uint32_t connections;
	_Atomic uint32_t paused; /* workers that do not accept */
	/* Counts the times that control has published rotations. */
	_Atomic uint64_t generation;
	struct worker **all; /* [workers]; complete before a thread starts */
	/* A worker has no client left after worker_drain.  Its thread. */
	void (*on_drained)(struct worker *w, void *arg);
	/* It has done as worker_update says, which is the control thread's
	 * again.  Its thread. */
	void (*on_updated)(struct worker_update *u, void *arg);
	/* It has another snapshot, and no request needs this one any more.
	 * Its thread. */
	void (*on_released)(struct snapshot_hold *hold, void *arg);
	/* As many attempts on `b` as eject_failures says have failed in a row;
	 * told again by each further one.  The worker's thread. */
	void (*on_failing)(struct backend *b, void *arg);
	/* A retry found its pool's budget spent, for the first time since
	 * `short_sent` was taken back.  The worker's thread. */
	void (*on_short)(void *arg);
	_Atomic bool short_sent;
	struct mail short_mail; /* for whoever on_short tells */
	void *arg;
};

/* A listening socket of one worker.  Which listener it leads to may change. */
struct worker_bind {
	uint64_t id;   /* of this one socket */
	uint64_t bind; /* all sockets of a bind have it; see client_accept */
	struct front *front;
	struct acceptor *acceptor;
};

/*
 * The next snapshot of one worker, with all it takes to begin with it: nothing
 * about it can fail.  Mailed to the worker and, when that has it, back with
 * what it has replaced.
 */
struct worker_update {
	struct mail mail;
	struct snapshot_hold *hold;
	/* All sockets there are to be.  Those the worker has not yet come with
	 * an acceptor that has not begun.  Comes back with the list before. */
	struct worker_bind *binds;
	size_t n_binds;    /* when it comes back: of that list */
	bool fronts_moved; /* a listener is not in the snapshot any more, or
			      has a bind that was another's */
	bool recount;      /* a pool compares backends that did not before */
	/* A larger one, or NULL.  Comes back with the one before. */
	char *scratch;
	size_t scratch_bytes;
	uint32_t buf_bytes; /* of the worker's buffers, at least */
	uint64_t cpu_us;    /* when it comes back: processor time it took */
};

enum worker_order {
	WORKER_LEAVE, /* accept nothing, end each client with its next answer */
	WORKER_DRAIN, /* accept nothing, end idle clients, finish the others */
	WORKER_STOP,  /* end everything now; worker_run returns */
	WORKER_ORDERS,
	/* from other workers, and WORKER_EVICT from control too */
	WORKER_ACCEPT = WORKER_ORDERS, /* there is room */
	WORKER_WAKE,  /* body: the struct upstream to look at */
	WORKER_EVICT, /* body: the struct backend to close idle ones of */
	/* from control, by worker_pass: rotations are new */
	WORKER_PASS,
	/* from control, by worker_renew */
	WORKER_UPDATE
};

struct worker {
	uint32_t index;
	struct worker_shared *shared;
	struct loop *loop;
	struct mailbox *mail;
	struct log_ring *log;
	const struct snapshot *snapshot; /* of `hold` */
	struct snapshot_hold *hold;
	struct worker_bind *binds;
	size_t n_binds;
	struct list clients; /* of struct client */
	uint32_t n_clients;
	bool draining, drained;
	bool hurrying; /* draining, and nobody idle is waited for any more */
	uint64_t told_pause_ms; /* when the log was told last; 0: never */
	_Atomic bool paused;    /* does not accept: no room */
	struct mail room_mail;  /* from whoever made room */
	_Atomic bool room_sent;
	struct mail drained_mail; /* for whoever on_drained tells */
	struct mail pass_mail;
	_Atomic bool pass_sent;
	_Atomic uint64_t passed; /* generation of which it uses no older one */
	struct mail orders[WORKER_ORDERS];
	bool given[WORKER_ORDERS]; /* the control thread's */
	struct exchange *free_exchanges;
	uint32_t n_free_exchanges;
	struct rng rng;
	char id_prefix[EXCHANGE_ID_BYTES / 2];
	uint64_t shake_turn, shake_us; /* of TLS handshakes in that turn */
	char *scratch;                 /* heads are built here, and sent */
	size_t scratch_bytes;
	struct worker_stats stats;
};

/* It serves nothing until its first update has come, which is to be posted
 * before anything else.  NULL: no memory or descriptors. */
struct worker *worker_create(struct worker_shared *shared, uint32_t index,
    struct log_ring *log) WARN_UNUSED;

/* The listener that a bind leads to now; NULL: the bind is gone. */
const struct front *worker_front(const struct worker *w, uint64_t bind);

/* An acceptor for worker_bind.  NULL: no memory; `fd` stays the caller's. */
struct acceptor *
worker_acceptor(struct worker *w, int fd, uint64_t bind) WARN_UNUSED;

/* What a worker needs for the heads of that snapshot. */
size_t worker_scratch_bytes(const struct snapshot *s);
uint32_t worker_buf_bytes(const struct snapshot *s);

/* The thread's body: serves until worker_order STOP. */
void worker_run(struct worker *w);

/* After its thread has ended: closes and frees everything. */
void worker_free(struct worker *w);

/* The control thread: gives an order; giving it again does nothing.  Cannot
 * fail. */
void worker_post(struct worker *w, enum worker_order order);

/*
 * The control thread, after it has published rotations and counted
 * shared->generation up: has the worker look at its queues, where something
 * may have become usable, and say in w->passed that it uses no older one.
 * Cannot fail.
 */
void worker_pass(struct worker *w);

/* The control thread: mails the update. */
void worker_renew(struct worker *w, struct worker_update *u);

/* One request less uses `hold`. */
static inline void
worker_hold_used(struct worker *w, struct snapshot_hold *hold)
{
	if (hold->users == 0 && hold != w->hold)
		w->shared->on_released(hold, w->shared->arg);
}

/* Any thread: has the worker close its idle connections to `b`, soon.  Cannot
 * fail. */
void worker_evict(struct worker *w, struct backend *b);

/* One of its clients has ended (from client): it may be drained now. */
void worker_client_ended(struct worker *w);

/* Whether there is time for a step of a TLS handshake in this turn. */
static inline bool
worker_may_shake(struct worker *w)
{
	if (w->shake_turn != w->loop->turn) {
		w->shake_turn = w->loop->turn;
		w->shake_us = 0;
	}
	return w->shake_us < WORKER_SHAKE_US;
}

/* Closes all its idle connections to backends. */
void worker_close_idle(struct worker *w);

/* An empty text buffer over the scratch; one user at a time. */
static inline struct textbuf
worker_scratch(struct worker *w)
{
	return textbuf_make(w->scratch, w->scratch_bytes);
}

#endif
