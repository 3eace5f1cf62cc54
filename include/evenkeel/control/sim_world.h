/*
 * sim_world - a pool in virtual time, under requests and faults.
 *
 * The roster, its rotations, the budgets and the flow of each request are those
 * that run in earnest; what stands in for sockets, the clock and chance is made
 * up here: arrivals, checks, connections that are kept, and what a backend
 * does, which is what the script says (sim_fault).  The same script, pool and
 * seed give the same numbers.
 *
 * Not modelled: several workers, bodies and their length, clients that leave,
 * the coarseness of deadlines, evenkeel's own time.
 *
 * Layer: control.  One thread; no clock, no socket.
 */
#ifndef EVENKEEL_CONTROL_SIM_WORLD_H
#define EVENKEEL_CONTROL_SIM_WORLD_H

#include "evenkeel/control/budgets.h"
#include "evenkeel/control/lineup.h"
#include "evenkeel/control/sim_clock.h"
#include "evenkeel/control/sim_fault.h"
#include "evenkeel/control/sim_tally.h"

/* Requests at a time; what comes on top is turned away. */
#define SIM_AT_ONCE_MAX 100000U
/* What policies see of virtual time 0. */
#define SIM_EPOCH_MS 1000000U

struct sim_request;

/* A backend's idle connections: since when, the newest last. */
struct sim_kept {
	uint64_t *since_us;
	size_t n, room;
};

struct sim_check {
	struct sim_timer timer; /* the beginning, or the end */
	uint64_t due_us;        /* when it was to begin */
	bool running;
	enum health_result result; /* at the end */
	const char *why;
};

struct sim_world {
	const struct sim_script *script;
	const struct cfg_pool *cfg;
	struct sim_tally *tally;
	struct sim_clock clock;
	struct rng arrivals, lots;
	/* the control half, in earnest */
	struct snapshot_pool pool;
	struct snapshot snapshot;
	struct publish publish;
	struct roster *roster;
	struct budgets *budgets;
	uint64_t published_ms;     /* rotations, the last time */
	enum roster_state *states; /* [backend], as last seen */
	struct sim_check *checks;  /* [backend] */
	struct sim_kept *kept;     /* [backend] */
	struct sim_timer arrive, settle, step, wake;
	/* requests */
	struct sim_request *requests, *unused;
	uint32_t at_once, room;
	struct list queue; /* of struct sim_request, oldest first */
	uint32_t n_queue;
	uint64_t begun;
	double next_ns; /* the next arrival */
	bool over;      /* no more arrive */
	bool no_memory;
};

/* Plays the script; what happens is added to `t`, which was made for its pool's
 * backends.  False: no memory. */
bool
sim_world_play(const struct sim_script *s, struct sim_tally *t) WARN_UNUSED;

static inline uint64_t
sim_world_ms(const struct sim_world *w)
{
	return SIM_EPOCH_MS + sim_clock_ms(&w->clock);
}

static inline uint32_t
sim_world_index(const struct sim_world *w, const struct backend *b)
{
	(void)w;
	return (uint32_t)roster_member_of(b)->index;
}

/* For sim_request: somebody may find a backend now. */
void sim_world_wake(struct sim_world *w);

#endif
