#include "evenkeel/control/sim_pick.h"

#include <stdlib.h>

#include "evenkeel/base/num.h"
#include "evenkeel/proxy/pool.h"

/* As proxy/picker does. */
#define DRAWS 4

#define KEPT_FIRST 16

/* ---- connections ---- */

static bool
has_slot(const struct backend *b)
{
	return b->max == 0 || atomic_load(&b->slots) < b->max;
}

static bool
take_slot(struct backend *b)
{
	if (!has_slot(b))
		return false;
	if (b->max > 0)
		atomic_fetch_add(&b->slots, 1);
	return true;
}

static void
closed(struct sim_world *w, struct backend *b)
{
	if (b->max == 0)
		return;
	atomic_fetch_sub(&b->slots, 1);
	sim_world_wake(w);
}

/* An idle connection that is at most `max_idle_us` old. */
static bool
lease(struct sim_world *w, struct backend *b, uint64_t max_idle_us)
{
	uint32_t index = sim_world_index(w, b);
	struct sim_kept *k = &w->kept[index];
	uint64_t limit_us = w->cfg->keepalive_timeout_ms * 1000ULL;

	while (k->n > 0) {
		uint64_t since_us = k->since_us[k->n - 1];
		uint64_t age_us = w->clock.now_us - since_us;

		if (age_us < limit_us &&
		    !sim_fault_closed(
			w->script, index, since_us, w->clock.now_us)) {
			/* The others are older still. */
			if (age_us >= max_idle_us)
				return false;
			k->n--;
			return true;
		}
		k->n--;
		closed(w, b);
	}
	return false;
}

static bool
grow(struct sim_kept *k)
{
	size_t room = k->room == 0 ? KEPT_FIRST : 2 * k->room;
	uint64_t *since_us = realloc(k->since_us, room * sizeof(*since_us));

	if (since_us == NULL)
		return false;
	k->since_us = since_us;
	k->room = room;
	return true;
}

static bool
keep_it(struct sim_world *w, const struct backend *b)
{
	struct sim_kept *k = &w->kept[sim_world_index(w, b)];

	if (k->n >= w->cfg->keepalive || (k->n == k->room && !grow(k)))
		return false;
	k->since_us[k->n++] = w->clock.now_us;
	return true;
}

/* ---- who ---- */

static const struct sim_note *
tried(const struct sim_request *r, const struct backend *b)
{
	for (size_t i = r->n_notes; i > 0; i--)
		if (r->notes[i - 1].backend == b &&
		    r->notes[i - 1].outcome != ACCESS_STALE)
			return &r->notes[i - 1];
	return NULL;
}

/* Whether this look is for others than this one. */
static bool
passes(const struct sim_world *w, const struct sim_request *r,
    const struct backend *b)
{
	const struct sim_note *note;

	if (r->n_notes == 0)
		return false;
	note = tried(r, b);
	if (note == NULL)
		return r->picking_again;
	return !r->picking_again || note->asked_until_us > w->clock.now_us;
}

static enum picker_result
try(struct sim_world *w, struct sim_request *r, struct backend *b)
{
	bool repeatable = r->safe || w->pool.retry.non_idempotent;

	if (passes(w, r, b))
		return PICKER_NONE;
	r->reused =
	    lease(w, b, repeatable ? UINT64_MAX : POOL_FRESH_MS * 1000ULL);
	if (!r->reused && !take_slot(b))
		return PICKER_NONE;
	r->picked = b;
	atomic_fetch_add(&b->taken, 1);
	return r->reused ? PICKER_LEASED : PICKER_CONNECT;
}

static enum picker_result
in_turn(struct sim_world *w, struct sim_request *r, const struct rotation *ro)
{
	uint64_t turn = upstream_turn(w->pool.upstream);
	enum picker_result result = PICKER_NONE;

	for (size_t i = 0; i < ro->entries && result == PICKER_NONE; i++)
		result = try(w, r, rotation_at(ro, turn + i));
	return result;
}

/* Fewer requests in flight for its weight: a/wa < b/wb. */
static bool
lighter(const struct backend *a, const struct backend *b)
{
	return (uint64_t)atomic_load(&a->taken) * atomic_load(&b->weight_now) <
	    (uint64_t)atomic_load(&b->taken) * atomic_load(&a->weight_now);
}

static enum picker_result
lightest(struct sim_world *w, struct sim_request *r, const struct rotation *ro)
{
	uint64_t turn = upstream_turn(w->pool.upstream);
	struct backend *best = ro->all[turn % ro->n];
	enum picker_result result;

	for (size_t i = 1; i < ro->n; i++) {
		struct backend *b = ro->all[(turn + i) % ro->n];

		if (passes(w, r, best) ||
		    (!passes(w, r, b) && lighter(b, best)))
			best = b;
	}
	result = try(w, r, best);
	return result == PICKER_NONE ? in_turn(w, r, ro) : result;
}

static enum picker_result
better_of_two(
    struct sim_world *w, struct sim_request *r, const struct rotation *ro)
{
	enum picker_result result = PICKER_NONE;

	for (int i = 0; i < DRAWS && result == PICKER_NONE; i++) {
		struct backend *a =
		    ro->turn[rng_upto(&r->lots, ro->entries - 1)];
		struct backend *b =
		    ro->turn[rng_upto(&r->lots, ro->entries - 1)];

		result = try(w, r, lighter(b, a) ? b : a);
	}
	return result == PICKER_NONE ? in_turn(w, r, ro) : result;
}

static enum picker_result
by_hash(struct sim_world *w, struct sim_request *r, const struct rotation *ro)
{
	size_t at = ring_find(ro->points, ro->n_points, r->hash);
	struct backend *last = NULL;
	enum picker_result result = PICKER_NONE;

	for (size_t i = 0; i < ro->n_points && result == PICKER_NONE; i++) {
		struct backend *b =
		    ro->all[ro->points[(at + i) % ro->n_points].owner];

		if (b != last)
			result = try(w, r, b);
		last = b;
	}
	return result;
}

static enum picker_result
look(struct sim_world *w, struct sim_request *r, const struct rotation *ro)
{
	if (ro == NULL)
		return PICKER_NONE;
	switch (w->cfg->balance) {
	case CFG_BALANCE_LEAST_CONNECTIONS:
		return lightest(w, r, ro);
	case CFG_BALANCE_RANDOM_TWO:
		return better_of_two(w, r, ro);
	case CFG_BALANCE_HASH:
		return by_hash(w, r, ro);
	case CFG_BALANCE_ROUND_ROBIN:
		break;
	}
	return in_turn(w, r, ro);
}

static enum picker_result
look_at_both(struct sim_world *w, struct sim_request *r)
{
	struct upstream *u = w->pool.upstream;
	enum picker_result result = look(w, r, atomic_load(&u->rotation));

	return result != PICKER_NONE ? result
				     : look(w, r, atomic_load(&u->backup));
}

enum picker_result
sim_pick(struct sim_world *w, struct sim_request *r)
{
	enum picker_result result;

	r->picking_again = false;
	result = look_at_both(w, r);
	if (result != PICKER_NONE || r->n_notes == 0)
		return result;
	/* One that was ejected rather than one that has just failed. */
	result = look(w, r, atomic_load(&w->pool.upstream->resort));
	if (result != PICKER_NONE)
		return result;
	r->picking_again = true;
	return look_at_both(w, r);
}

bool
sim_pick_again(struct sim_request *r)
{
	if (!take_slot(r->picked))
		return false;
	r->reused = false;
	atomic_fetch_add(&r->picked->taken, 1);
	return true;
}

static bool
has_other(const struct sim_request *r, const struct rotation *ro)
{
	for (size_t i = 0; ro != NULL && i < ro->n; i++)
		if (ro->all[i] != r->picked && tried(r, ro->all[i]) == NULL &&
		    has_slot(ro->all[i]))
			return true;
	return false;
}

bool
sim_pick_has_other(const struct sim_world *w, const struct sim_request *r)
{
	struct upstream *u = w->pool.upstream;

	return has_other(r, atomic_load(&u->rotation)) ||
	    has_other(r, atomic_load(&u->backup));
}

void
sim_pick_done(struct sim_world *w, struct sim_request *r, bool keep)
{
	atomic_fetch_sub(&r->picked->taken, 1);
	if (keep && keep_it(w, r->picked))
		sim_world_wake(w);
	else
		closed(w, r->picked);
}
