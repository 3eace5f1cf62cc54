/*
 * sim_tally - what a simulation has counted.
 *
 * Latencies are kept in buckets of less than 1 % width, so that memory does
 * not depend on the number of requests; the longest is exact.
 *
 * Layer: control.  Plain numbers.
 */
#ifndef EVENKEEL_CONTROL_SIM_TALLY_H
#define EVENKEEL_CONTROL_SIM_TALLY_H

#include "evenkeel/control/roster.h"
#include "evenkeel/control/sim_script.h"

/* 2^7 buckets for each doubling. */
#define SIM_LATENCY_BITS    7
#define SIM_LATENCY_BUCKETS ((64 - SIM_LATENCY_BITS + 1) << SIM_LATENCY_BITS)
#define SIM_MOMENTS_MAX     64
#define SIM_MOMENT_BYTES    200
#define SIM_CHANGES_MAX     1000
#define SIM_STATUSES        600

struct sim_latency {
	uint64_t bucket[SIM_LATENCY_BUCKETS];
	uint64_t n, max_us;
};

void sim_latency_add(struct sim_latency *l, uint64_t us);

/* The latency that `pct` % of them do not exceed; 0 of none. */
uint64_t sim_latency_at(const struct sim_latency *l, unsigned pct);

/* Why a request that failed was not tried again, or not at all. */
enum sim_loss {
	SIM_LOSS_NOT_ASKED, /* the cause is not in retry_on */
	SIM_LOSS_NOT_IDEMPOTENT,
	SIM_LOSS_ATTEMPTS, /* none left */
	SIM_LOSS_OFF,      /* retry_attempts is 0 */
	SIM_LOSS_WAIT,     /* the next wait would have been too long */
	SIM_LOSS_BUDGET,
	SIM_LOSS_TIME,    /* request_timeout */
	SIM_LOSS_QUEUE,   /* queue_timeout, or the queue was full */
	SIM_LOSS_CLIENTS, /* too many clients at a time */
	SIM_LOSSES
};

/* The word of JSON: "budget", "not_idempotent", ... */
const char *sim_loss_text(enum sim_loss l);

struct sim_backend_tally {
	uint64_t attempts;
	uint64_t outcomes[ACCESS_OUTCOMES];
	uint64_t second, in_second, busiest; /* attempts in a second */
};

/* A backend's state has changed. */
struct sim_change {
	uint64_t at_us;
	uint32_t backend;
	enum roster_state state;
};

/* When a backend was out because of a fault. */
struct sim_absence {
	bool out, back;
	uint64_t out_us;  /* the first time since the fault began */
	uint64_t back_us; /* when it came to stay, as far as is known */
};

/* What the log would say. */
struct sim_moment {
	uint64_t at_us;
	char text[SIM_MOMENT_BYTES];
};

struct sim_tally {
	uint64_t requests, succeeded;
	uint64_t failed[SIM_LOSSES][SIM_STATUSES];
	uint64_t lost[SIM_LOSSES]; /* sums of the former */
	struct sim_latency ok, bad;
	uint64_t attempts, outcomes[ACCESS_OUTCOMES];
	uint64_t retries[RETRY_CAUSES];
	uint64_t denied[RETRY_VERDICTS];
	uint64_t retried, retried_well; /* requests, and those that succeeded */
	uint64_t queued;                /* requests that waited for a backend */
	uint64_t broke_ticks; /* budget steps with a retry denied by it */
	uint64_t broke_last;
	uint64_t most_at_once;
	uint64_t end_us;                    /* the last request was over */
	struct sim_backend_tally *backends; /* [backend] */
	size_t n_backends;
	struct sim_change changes[SIM_CHANGES_MAX];
	size_t n_changes;
	struct sim_moment moments[SIM_MOMENTS_MAX];
	size_t n_moments, more_moments;
};

/* NULL: no memory. */
struct sim_tally *sim_tally_create(size_t backends) WARN_UNUSED;
void sim_tally_free(struct sim_tally *t);

/* A request is over.  `status` 2xx or 3xx: it has succeeded. */
void sim_tally_request(
    struct sim_tally *t, unsigned status, enum sim_loss loss, uint64_t us);

/* An attempt begins. */
void sim_tally_attempt(struct sim_tally *t, uint32_t backend, uint64_t now_us);
/* ...and has ended. */
void sim_tally_outcome(
    struct sim_tally *t, uint32_t backend, enum access_outcome outcome);

struct sim_absence sim_absence_of(
    const struct sim_tally *t, const struct sim_fault *f, uint32_t backend);

/* The budget has denied a retry. */
void sim_tally_broke(struct sim_tally *t, uint64_t now_us);

#endif
