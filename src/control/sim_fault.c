#include "evenkeel/control/sim_fault.h"

uint64_t
sim_fault_draw(struct sim_range range, struct rng *lots)
{
	return range.from_us + rng_upto(lots, range.to_us - range.from_us);
}

static bool
about(const struct sim_fault *f, uint32_t backend)
{
	return f->backend == SIM_ALL || f->backend == backend;
}

static bool
holds(const struct sim_fault *f, uint64_t now_us)
{
	return now_us >= f->from_us && now_us < f->until_us;
}

static bool
hits(const struct sim_fault *f, struct rng *lots)
{
	return f->share == SIM_WHOLE ||
	    rng_upto(lots, SIM_WHOLE - 1) < f->share;
}

bool
sim_fault_closed(const struct sim_script *s, uint32_t backend,
    uint64_t since_us, uint64_t now_us)
{
	for (size_t i = 0; i < s->n_faults; i++)
		if (s->faults[i].kind == SIM_DOWN &&
		    s->faults[i].share == SIM_WHOLE &&
		    about(&s->faults[i], backend) &&
		    s->faults[i].from_us >= since_us &&
		    s->faults[i].from_us <= now_us)
			return true;
	return false;
}

struct sim_meeting
sim_fault_connect(const struct sim_script *s, uint32_t backend, uint64_t now_us,
    struct rng *lots)
{
	struct sim_meeting m = {.kind = SIM_MEETS_CONNECTION,
	    .at_us = now_us + sim_fault_draw(s->connect, lots)};

	for (size_t i = 0; i < s->n_faults; i++) {
		const struct sim_fault *f = &s->faults[i];

		if ((f->kind != SIM_DOWN && f->kind != SIM_BLACKHOLE) ||
		    !about(f, backend) || !holds(f, now_us) || !hits(f, lots))
			continue;
		if (f->kind == SIM_DOWN)
			m.kind = SIM_MEETS_REFUSAL;
		else
			m = (struct sim_meeting){
			    .kind = SIM_MEETS_SILENCE, .at_us = SIM_NEVER};
		break;
	}
	return m;
}

/* What keeps a request that is sent now from its answer. */
static void
interfere(struct sim_meeting *m, const struct sim_fault *f, uint64_t now_us)
{
	if (f->kind == SIM_BLACKHOLE) {
		*m = (struct sim_meeting){
		    .kind = SIM_MEETS_SILENCE, .at_us = SIM_NEVER};
		return;
	}
	m->kind = SIM_MEETS_RESET;
	if (f->kind == SIM_DOWN)
		m->at_us = f->from_us > now_us ? f->from_us : now_us;
}

struct sim_meeting
sim_fault_request(const struct sim_script *s, uint32_t backend, uint64_t now_us,
    struct rng *lots)
{
	struct sim_meeting m = {.kind = SIM_MEETS_ANSWER,
	    .at_us = now_us + sim_fault_draw(s->latency, lots),
	    .status = 200};

	for (size_t i = 0; i < s->n_faults; i++) {
		const struct sim_fault *f = &s->faults[i];

		if (!about(f, backend) || !holds(f, now_us))
			continue;
		if (f->kind == SIM_SLOW && hits(f, lots)) {
			m.at_us = now_us + sim_fault_draw(f->slow, lots);
		} else if (f->kind == SIM_STATUS && m.status == 200 &&
		    hits(f, lots)) {
			m.status = f->status;
			m.retry_after_ms = f->retry_after_ms;
		}
	}
	/* One that goes down meanwhile breaks off what it has. */
	for (size_t i = 0; i < s->n_faults; i++) {
		const struct sim_fault *f = &s->faults[i];
		bool soon = f->kind == SIM_RESET
		    ? holds(f, now_us)
		    : f->from_us <= m.at_us && now_us < f->until_us;

		if (m.kind == SIM_MEETS_ANSWER && about(f, backend) && soon &&
		    (f->kind == SIM_DOWN || f->kind == SIM_BLACKHOLE ||
			f->kind == SIM_RESET) &&
		    hits(f, lots))
			interfere(&m, f, now_us);
	}
	return m;
}
