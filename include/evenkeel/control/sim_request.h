/*
 * sim_request - the life of a simulated request: what proxy/exchange does, in
 * virtual time.
 *
 * policy/flow decides; its orders are carried out in the order in which
 * proxy/exchange does it.
 *
 * Layer: control.  One thread; no clock, no socket.
 */
#ifndef EVENKEEL_CONTROL_SIM_REQUEST_H
#define EVENKEEL_CONTROL_SIM_REQUEST_H

#include "evenkeel/control/sim_world.h"
#include "evenkeel/policy/flow.h"

/* An attempt that is over. */
struct sim_note {
	const struct backend *backend;
	enum access_outcome outcome;
	uint64_t asked_until_us; /* by Retry-After */
};

struct sim_request {
	struct sim_request *next; /* while unused */
	struct sim_timer timer;
	struct flow flow;
	struct flow_input at_timer; /* what happens then */
	struct retry_facts facts;
	struct rng lots; /* the same for the n-th request of each run */
	struct list waiting;
	uint64_t queued_us;
	bool queued;
	bool safe; /* idempotent */
	bool reused, picking_again;
	struct backend *picked;
	uint64_t start_us, deadline_us;
	uint64_t attempt_us; /* this attempt began */
	uint64_t sent_us;
	uint64_t hash;        /* of balance = hash */
	unsigned head_status; /* of this attempt; 0: none came */
	uint32_t retry_after_ms;
	uint32_t coming_after_ms; /* the same, of the answer under way */
	unsigned status;          /* of the answer */
	enum sim_loss loss;
	struct sim_note notes[ACCESS_ATTEMPTS_MAX];
	size_t n_notes;
};

/* One more arrives. */
void sim_request_begin(struct sim_world *w);

/* Those in the queue try again. */
void sim_request_run_queue(struct sim_world *w);

#endif
