#include "evenkeel/control/sim_tally.h"

#include <stdlib.h>

#include "evenkeel/base/num.h"
#include "evenkeel/control/budgets.h"

#define PER_DOUBLING ((uint64_t)1 << SIM_LATENCY_BITS)

/* Up to 2 * PER_DOUBLING each value has its own. */
static size_t
bucket_of(uint64_t us)
{
	unsigned shift = 0;

	while (us >> shift >= 2 * PER_DOUBLING)
		shift++;
	return (size_t)((us >> shift) + shift * PER_DOUBLING);
}

/* The largest value of a bucket. */
static uint64_t
bucket_end(size_t bucket)
{
	size_t shift =
	    bucket < 2 * PER_DOUBLING ? 0 : bucket / PER_DOUBLING - 1;

	return ((bucket - shift * PER_DOUBLING + 1) << shift) - 1;
}

void
sim_latency_add(struct sim_latency *l, uint64_t us)
{
	l->bucket[bucket_of(us)]++;
	l->n++;
	l->max_us = num_max_u64(l->max_us, us);
}

uint64_t
sim_latency_at(const struct sim_latency *l, unsigned pct)
{
	uint64_t wanted = (l->n * pct + 99) / 100, seen = 0;

	for (size_t i = 0; i < SIM_LATENCY_BUCKETS && l->n > 0; i++) {
		seen += l->bucket[i];
		if (seen >= wanted && seen > 0)
			return num_min_u64(bucket_end(i), l->max_us);
	}
	return 0;
}

const char *
sim_loss_text(enum sim_loss l)
{
	static const char *const words[SIM_LOSSES] = {
	    [SIM_LOSS_NOT_ASKED] = "not_asked",
	    [SIM_LOSS_NOT_IDEMPOTENT] = "not_idempotent",
	    [SIM_LOSS_ATTEMPTS] = "attempts",
	    [SIM_LOSS_OFF] = "retries_off",
	    [SIM_LOSS_WAIT] = "deadline",
	    [SIM_LOSS_BUDGET] = "budget",
	    [SIM_LOSS_TIME] = "request_timeout",
	    [SIM_LOSS_QUEUE] = "no_backend",
	    [SIM_LOSS_CLIENTS] = "too_many"};

	CHECK(l < SIM_LOSSES);
	return words[l];
}

struct sim_tally *
sim_tally_create(size_t backends)
{
	struct sim_tally *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->n_backends = backends;
	t->broke_last = UINT64_MAX;
	t->backends = calloc(backends, sizeof(*t->backends));
	if (t->backends != NULL)
		return t;
	free(t);
	return NULL;
}

void
sim_tally_free(struct sim_tally *t)
{
	if (t == NULL)
		return;
	free(t->backends);
	free(t);
}

void
sim_tally_request(
    struct sim_tally *t, unsigned status, enum sim_loss loss, uint64_t us)
{
	CHECK(status < SIM_STATUSES && loss < SIM_LOSSES);
	t->requests++;
	if (status >= 200 && status < 400) {
		t->succeeded++;
		sim_latency_add(&t->ok, us);
		return;
	}
	t->failed[loss][status]++;
	t->lost[loss]++;
	sim_latency_add(&t->bad, us);
}

void
sim_tally_attempt(struct sim_tally *t, uint32_t backend, uint64_t now_us)
{
	struct sim_backend_tally *b = &t->backends[backend];
	uint64_t second = now_us / 1000000;

	t->attempts++;
	b->attempts++;
	if (second != b->second) {
		b->second = second;
		b->in_second = 0;
	}
	b->in_second++;
	b->busiest = num_max_u64(b->busiest, b->in_second);
}

void
sim_tally_outcome(
    struct sim_tally *t, uint32_t backend, enum access_outcome outcome)
{
	t->outcomes[outcome]++;
	t->backends[backend].outcomes[outcome]++;
}

void
sim_tally_broke(struct sim_tally *t, uint64_t now_us)
{
	uint64_t tick = now_us / 1000 / BUDGETS_STEP_MS;

	if (tick == t->broke_last)
		return;
	t->broke_last = tick;
	t->broke_ticks++;
}

struct sim_absence
sim_absence_of(
    const struct sim_tally *t, const struct sim_fault *f, uint32_t backend)
{
	struct sim_absence a = {.out = false};

	for (size_t i = 0; i < t->n_changes; i++) {
		const struct sim_change *c = &t->changes[i];

		if (c->backend != backend || c->at_us < f->from_us)
			continue;
		if (c->state != ROSTER_UP && !a.out && c->at_us < f->until_us) {
			a.out = true;
			a.out_us = c->at_us;
		}
		/* What comes after its return is another story. */
		if (a.out && !(a.back && a.back_us >= f->until_us)) {
			a.back = c->state == ROSTER_UP;
			a.back_us = c->at_us;
		}
	}
	return a;
}
