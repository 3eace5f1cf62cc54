#include "evenkeel/control/sim_world.h"

#include <stdlib.h>

#include "evenkeel/base/num.h"
#include "evenkeel/config/policies.h"
#include "evenkeel/control/enroll.h"
#include "evenkeel/control/guard.h"
#include "evenkeel/control/sim_request.h"

/* Streams of lots of one seed. */
#define OF_ARRIVALS 0x61727269U
#define OF_CHECKS   0x63686563U

/* Arrivals, the roster, budgets, the queue. */
#define TIMERS_BESIDES 4

/* ---- the roster ---- */

static void
world_tell(uint64_t generation, void *arg)
{
	(void)generation;
	(void)arg;
}

static uint64_t
world_passed(void *arg)
{
	(void)arg;
	return UINT64_MAX;
}

static const struct publish_ops world_publish_ops = {
    .tell = world_tell, .passed = world_passed};

static void
world_on_change(void *arg)
{
	struct sim_world *w = arg;

	sim_clock_arm(&w->clock, &w->settle, w->clock.now_us);
}

static void
world_say(enum log_level level, const char *text, void *arg)
{
	struct sim_world *w = arg;
	struct sim_moment *m = &w->tally->moments[w->tally->n_moments];
	size_t len = num_min_size(strlen(text), SIM_MOMENT_BYTES - 1);

	(void)level;
	if (w->tally->n_moments == SIM_MOMENTS_MAX) {
		w->tally->more_moments++;
		return;
	}
	m->at_us = w->clock.now_us;
	memcpy(m->text, text, len);
	m->text[len] = '\0';
	w->tally->n_moments++;
}

static const struct roster_ops world_roster_ops = {
    .on_change = world_on_change, .say = world_say};

static void
note_changes(struct sim_world *w)
{
	struct sim_tally *t = w->tally;

	for (uint32_t i = 0; i < w->cfg->n_backends; i++) {
		enum roster_state now = w->roster->pools[0].members[i]->state;

		if (now == w->states[i])
			continue;
		w->states[i] = now;
		if (t->n_changes < SIM_CHANGES_MAX)
			t->changes[t->n_changes++] =
			    (struct sim_change){.at_us = w->clock.now_us,
				.backend = i,
				.state = now};
	}
}

static void
world_on_settle(struct sim_timer *timer, void *arg)
{
	struct sim_world *w = arg;
	uint64_t now_ms = sim_world_ms(w), next_ms;
	uint64_t free_ms = w->published_ms + GUARD_GAP_MS;

	roster_tick(w->roster, now_ms);
	next_ms = roster_next_ms(w->roster);
	if (lineup_wanted(w->roster) && now_ms < free_ms) {
		next_ms = num_min_u64(next_ms, free_ms);
	} else if (lineup_wanted(w->roster)) {
		w->no_memory |= !lineup_publish(w->roster, now_ms);
		w->published_ms = now_ms;
		note_changes(w);
		sim_world_wake(w);
	}
	if (next_ms != ROSTER_NEVER)
		sim_clock_arm(
		    &w->clock, timer, (next_ms - SIM_EPOCH_MS) * 1000);
}

void
sim_world_wake(struct sim_world *w)
{
	if (w->n_queue > 0 && w->wake.place == 0)
		sim_clock_arm(&w->clock, &w->wake, w->clock.now_us);
}

static void
world_on_wake(struct sim_timer *timer, void *arg)
{
	(void)timer;
	sim_request_run_queue(arg);
}

static void
world_on_step(struct sim_timer *timer, void *arg)
{
	struct sim_world *w = arg;
	uint64_t next_ms = budgets_step(w->budgets, sim_world_ms(w));

	if (next_ms != UINT64_MAX)
		sim_clock_arm(
		    &w->clock, timer, (next_ms - SIM_EPOCH_MS) * 1000);
}

/* ---- checks ---- */

static struct roster_member *
member_of(struct sim_world *w, const struct sim_check *k)
{
	return w->roster->pools[0].members[k - w->checks];
}

/* A request, when the check is one. */
static struct sim_meeting
ask(struct sim_world *w, uint32_t backend, struct sim_check *k)
{
	struct sim_meeting m =
	    sim_fault_connect(w->script, backend, w->clock.now_us, &w->lots);

	k->result = HEALTH_OK;
	k->why = "";
	if (m.kind == SIM_MEETS_CONNECTION && w->cfg->health == CFG_HEALTH_HTTP)
		m = sim_fault_request(w->script, backend, m.at_us, &w->lots);
	if (m.kind == SIM_MEETS_REFUSAL)
		k->why = "connection refused";
	if (m.kind == SIM_MEETS_RESET)
		k->why = "reset";
	if (m.kind == SIM_MEETS_ANSWER &&
	    !policies_health_status(w->cfg, m.status))
		k->why = "status not in health_status";
	if (k->why[0] != '\0')
		k->result = HEALTH_FAILED;
	return m;
}

static void
begin_check(struct sim_world *w, struct sim_check *k)
{
	uint64_t limit_us =
	    w->clock.now_us + w->cfg->health_timeout_ms * 1000ULL;
	struct sim_meeting m = ask(w, (uint32_t)(k - w->checks), k);

	k->running = true;
	if (m.at_us >= limit_us) {
		k->result = HEALTH_TIMEOUT;
		k->why = "timed out";
		m.at_us = limit_us;
	}
	sim_clock_arm(&w->clock, &k->timer, m.at_us);
}

/* An interval after this one began, in a place of its own. */
static void
plan_check(struct sim_world *w, struct sim_check *k)
{
	uint32_t interval_ms = w->cfg->health_interval_ms;
	uint64_t wait_us, now_us = w->clock.now_us;

	if (member_of(w, k)->state == ROSTER_DOWN &&
	    w->cfg->health_interval_down_ms > 0)
		interval_ms = w->cfg->health_interval_down_ms;
	wait_us = health_next_ms(interval_ms, rng_next(&w->lots)) * 1000ULL;
	k->due_us += wait_us;
	if (k->due_us < now_us &&
	    w->cfg->health_timeout_ms * 1000ULL >= wait_us)
		k->due_us = now_us;
	else if (k->due_us < now_us)
		k->due_us += ((now_us - k->due_us) / wait_us + 1) * wait_us;
	sim_clock_arm(&w->clock, &k->timer, k->due_us);
}

static void
world_on_check(struct sim_timer *timer, void *arg)
{
	struct sim_world *w = arg;
	struct sim_check *k = LIST_OWNER(timer, struct sim_check, timer);

	if (!k->running) {
		begin_check(w, k);
		return;
	}
	k->running = false;
	roster_checked(
	    w->roster, member_of(w, k), k->result, k->why, sim_world_ms(w));
	plan_check(w, k);
}

static void
start_checks(struct sim_world *w)
{
	for (size_t i = 0; i < w->cfg->n_backends; i++) {
		struct sim_check *k = &w->checks[i];

		sim_timer_init(&k->timer, world_on_check);
		if (w->cfg->health == CFG_HEALTH_OFF)
			continue;
		k->due_us = health_first_ms(w->cfg->health_interval_ms, i,
				w->cfg->n_backends) *
		    1000ULL;
		sim_clock_arm(&w->clock, &k->timer, k->due_us);
	}
}

/* ---- arrivals ---- */

/* An exponential variate of mean 1 by comparisons alone: in a run of uniform
 * numbers that fall, the first is one when the run has an odd length; each run
 * that does not count adds 1 (von Neumann, 1951). */
static double
exponential(struct rng *lots)
{
	/* Ends: each run counts with more than one half. */
	for (double whole = 0;; whole++) {
		uint64_t first = rng_next(lots), last = first, next;
		bool odd = true;

		while ((next = rng_next(lots)) < last) {
			last = next;
			odd = !odd;
		}
		if (odd)
			return whole + (double)(first >> 11) * 0x1p-53;
	}
}

/* The next one, or the end. */
static void
plan_arrival(struct sim_world *w)
{
	double mean_ns = 1e12 / (double)w->script->rate_milli;
	uint64_t at_us;

	w->next_ns +=
	    w->script->even ? mean_ns : mean_ns * exponential(&w->arrivals);
	at_us = w->next_ns < 1e18 ? (uint64_t)(w->next_ns / 1000) : SIM_NEVER;
	sim_clock_arm(
	    &w->clock, &w->arrive, num_min_u64(at_us, w->script->duration_us));
}

static void
world_on_arrival(struct sim_timer *timer, void *arg)
{
	struct sim_world *w = arg;

	(void)timer;
	w->over = w->clock.now_us >= w->script->duration_us;
	if (w->over)
		return;
	sim_request_begin(w);
	plan_arrival(w);
}

/* ---- begin and end ---- */

/* Nobody connects anywhere: an address is only a place in the structure. */
static bool
make_backends(struct sim_world *w)
{
	const struct address nowhere = {.len = 0};

	for (size_t i = 0; i < w->cfg->n_backends; i++) {
		const struct cfg_backend *c = &w->cfg->backends[i];
		struct backend *b = backend_create(
		    c->name, SPAN_NONE, &nowhere, NULL, c->weight, 1);

		if (b == NULL)
			return false;
		b->max = c->max;
		b->backup = c->backup;
		b->compared = true;
		b->upstream = w->pool.upstream;
		w->pool.backends[w->pool.n_backends++] = b;
	}
	return true;
}

static bool
make_pool(struct sim_world *w)
{
	const struct cfg_pool *cfg = w->cfg;

	w->pool = (struct snapshot_pool){.cfg = cfg,
	    .retry = policies_retry(cfg),
	    .terms = {.eject_failures = cfg->eject_failures},
	    .budget_limited = cfg->retry_attempts > 0 &&
		cfg->retry_budget_pct < BUDGET_NO_LIMIT_PCT,
	    .upstream = upstream_create(cfg->name, 1),
	    .backends = calloc(cfg->n_backends, sizeof(struct backend *))};
	w->snapshot = (struct snapshot){.pools = &w->pool, .n_pools = 1};
	publish_init(&w->publish, &world_publish_ops, w);
	if (w->pool.upstream == NULL || w->pool.backends == NULL ||
	    !make_backends(w))
		return false;
	w->roster = enroll_roster(
	    &w->snapshot, &w->publish, &world_roster_ops, w, sim_world_ms(w));
	w->budgets = budgets_create(&w->snapshot, NULL, sim_world_ms(w));
	return w->roster != NULL && w->budgets != NULL &&
	    lineup_publish(w->roster, sim_world_ms(w));
}

/* The room for requests: as many as come, or may be there at a time. */
static bool
make_requests(struct sim_world *w)
{
	double come = (double)w->script->duration_us / 1e9 *
	    (double)w->script->rate_milli;

	w->room = SIM_AT_ONCE_MAX;
	if (come * 2 + 100 < SIM_AT_ONCE_MAX)
		w->room = (uint32_t)(come * 2) + 100;
	w->requests = calloc(w->room, sizeof(*w->requests));
	if (w->requests == NULL)
		return false;
	for (uint32_t i = w->room; i > 0; i--) {
		w->requests[i - 1].next = w->unused;
		w->unused = &w->requests[i - 1];
	}
	return true;
}

static bool
make(struct sim_world *w)
{
	size_t n = w->cfg->n_backends;

	list_init(&w->queue);
	rng_init(&w->arrivals, w->script->seed ^ OF_ARRIVALS);
	rng_init(&w->lots, w->script->seed ^ OF_CHECKS);
	sim_timer_init(&w->arrive, world_on_arrival);
	sim_timer_init(&w->settle, world_on_settle);
	sim_timer_init(&w->step, world_on_step);
	sim_timer_init(&w->wake, world_on_wake);
	w->states = calloc(n, sizeof(*w->states));
	w->checks = calloc(n, sizeof(*w->checks));
	w->kept = calloc(n, sizeof(*w->kept));
	if (w->states == NULL || w->checks == NULL || w->kept == NULL ||
	    !make_requests(w) ||
	    !sim_clock_init(&w->clock, w->room + n + TIMERS_BESIDES, w) ||
	    !make_pool(w))
		return false;
	for (size_t i = 0; i < n; i++)
		w->states[i] = w->roster->pools[0].members[i]->state;
	return true;
}

static void
end(struct sim_world *w)
{
	enroll_free(w->roster);
	budgets_free(w->budgets);
	publish_close(&w->publish);
	if (w->pool.upstream != NULL)
		upstream_free(w->pool.upstream);
	for (size_t i = 0; i < w->pool.n_backends; i++)
		backend_free(w->pool.backends[i]);
	free(w->pool.backends);
	for (size_t i = 0; w->kept != NULL && i < w->cfg->n_backends; i++)
		free(w->kept[i].since_us);
	free(w->states);
	free(w->checks);
	free(w->kept);
	free(w->requests);
	sim_clock_free(&w->clock);
}

bool
sim_world_play(const struct sim_script *s, struct sim_tally *t)
{
	struct sim_world w = {.script = s, .cfg = s->pool, .tally = t};
	bool made = make(&w);

	if (made) {
		start_checks(&w);
		world_on_step(&w.step, &w);
		plan_arrival(&w);
	}
	/* Ends: each request has a deadline. */
	while (made && !w.no_memory && !(w.over && w.at_once == 0))
		made = sim_clock_step(&w.clock);
	made &= !w.no_memory;
	end(&w);
	return made;
}
