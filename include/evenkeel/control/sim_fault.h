/*
 * sim_fault - what an attempt or a check meets at a simulated backend: what
 * the script says about the backend at that time, by lot where it gives a
 * share.
 *
 * Layer: control.  Pure: time and lots come from the caller.
 */
#ifndef EVENKEEL_CONTROL_SIM_FAULT_H
#define EVENKEEL_CONTROL_SIM_FAULT_H

#include "evenkeel/base/rng.h"
#include "evenkeel/control/sim_script.h"

#define SIM_NEVER UINT64_MAX

enum sim_meeting_kind {
	SIM_MEETS_CONNECTION, /* of a connect */
	SIM_MEETS_REFUSAL,    /* of a connect */
	SIM_MEETS_ANSWER,     /* of a request: `status` */
	SIM_MEETS_RESET,      /* of a request */
	SIM_MEETS_SILENCE     /* of both */
};

struct sim_meeting {
	enum sim_meeting_kind kind;
	uint64_t at_us; /* when; SIM_NEVER of SILENCE */
	unsigned status;
	uint32_t retry_after_ms;
};

/* A connect that begins at `now_us`. */
struct sim_meeting sim_fault_connect(const struct sim_script *s,
    uint32_t backend, uint64_t now_us, struct rng *lots);

/* A request that is sent at `now_us` on a connection that is there. */
struct sim_meeting sim_fault_request(const struct sim_script *s,
    uint32_t backend, uint64_t now_us, struct rng *lots);

/* Whether the backend went down for everybody in [since_us, now_us], and so
 * closed its connections. */
bool sim_fault_closed(const struct sim_script *s, uint32_t backend,
    uint64_t since_us, uint64_t now_us);

uint64_t sim_fault_draw(struct sim_range range, struct rng *lots);

#endif
