#include "evenkeel/proxy/picker.h"

#include "evenkeel/proxy/queue.h"
#include "evenkeel/proxy/request.h"
#include "evenkeel/proxy/worker.h"

/* Draws of random_two before it settles for any usable one. */
#define DRAWS 4

static uint32_t
limit_of(const struct backend *b)
{
	return atomic_load_explicit(&b->max, memory_order_relaxed);
}

bool
picker_over_max(const struct backend *b)
{
	uint32_t max = limit_of(b);

	return max != 0 &&
	    atomic_load_explicit(&b->slots, memory_order_relaxed) > max;
}

/* A place for one more connection.  All are counted, also without a limit: one
 * may come with a reload. */
static bool
take_slot(struct backend *b)
{
	uint32_t n = atomic_load_explicit(&b->slots, memory_order_relaxed);
	uint32_t max = limit_of(b);

	do {
		if (max != 0 && n >= max)
			return false;
	} while (!atomic_compare_exchange_weak(&b->slots, &n, n + 1));
	return true;
}

void
picker_slot_freed(struct worker *w, struct backend *b)
{
	/* Sequentially consistent, as is the count of the waiting: either
	 * they see the slot or this thread sees them. */
	atomic_fetch_sub(&b->slots, 1);
	if (limit_of(b) != 0)
		queue_wake(w, b->upstream);
}

/* From now on in flight, where its pool compares that; whether it does may
 * change before the end. */
static void
count_taken(struct exchange *x)
{
	struct backend *b = x->picked;

	if (!atomic_load_explicit(&b->compared, memory_order_relaxed))
		return;
	x->attempt.counted = true;
	atomic_fetch_add_explicit(&b->taken, 1, memory_order_relaxed);
}

void
picker_recount(struct attempt *a)
{
	struct backend *b = a->backend;

	if (b == NULL || a->counted ||
	    !atomic_load_explicit(&b->compared, memory_order_relaxed))
		return;
	a->counted = true;
	atomic_fetch_add_explicit(&b->taken, 1, memory_order_relaxed);
}

bool
picker_again(struct exchange *x)
{
	if (!take_slot(x->picked))
		return false;
	count_taken(x);
	return true;
}

void
picker_done(struct attempt *a)
{
	if (!a->counted)
		return;
	atomic_fetch_sub_explicit(&a->backend->taken, 1, memory_order_relaxed);
	a->counted = false;
}

/* An idle connection that this request does not take (it might be stale) gives
 * its place to a fresh one. */
static bool
take_place_of_idle(struct worker *w, struct backend *b)
{
	struct list *idle = &b->lanes[w->index].idle;

	if (list_empty(idle))
		return false;
	pool_close(LIST_OWNER(idle->prev, struct back, link));
	return take_slot(b);
}

/* Idle connections of other workers hold slots: they are asked to go. */
static void
evict(struct exchange *x, struct backend *b)
{
	struct worker *w = x->from.w;

	for (uint32_t i = 0; i < b->n_lanes; i++)
		if (i != w->index)
			worker_evict(w->shared->all[i], b);
}

/* Stale connections say nothing about a backend. */
static const struct exchange_attempt_note *
tried(const struct exchange *x, const struct backend *b)
{
	for (size_t i = x->n_notes; i > 0; i--)
		if (x->notes[i - 1].backend == b &&
		    x->notes[i - 1].outcome != ACCESS_STALE)
			return &x->notes[i - 1];
	return NULL;
}

/* Whether this look is for others than this one. */
static bool
passes(const struct exchange *x, const struct backend *b)
{
	const struct exchange_attempt_note *note;

	if (x->n_notes == 0)
		return false;
	note = tried(x, b);
	if (note == NULL)
		return x->picking_again;
	return !x->picking_again ||
	    note->asked_until_ms > loop_now_ms(x->from.w->loop);
}

static enum picker_result
try(struct exchange *x, struct backend *b)
{
	uint64_t max_idle_ms = request_repeatable(x)
	    ? WHEEL_NEVER
	    : pool_sure_ms(&b->lanes[x->from.w->index]);
	enum picker_result result = PICKER_NONE;

	if (passes(x, b))
		return PICKER_NONE;
	if (!x->terms.one_request && !picker_over_max(b) &&
	    attempt_lease(&x->attempt, b, max_idle_ms))
		result = PICKER_LEASED;
	else if (take_slot(b) || take_place_of_idle(x->from.w, b))
		result = PICKER_CONNECT;
	if (result == PICKER_NONE) {
		evict(x, b);
		return result;
	}
	x->picked = b;
	count_taken(x);
	return result;
}

static enum picker_result
in_turn(struct exchange *x, const struct rotation *r)
{
	uint64_t turn = upstream_turn(x->upstream);
	enum picker_result result = PICKER_NONE;

	for (size_t i = 0; i < r->entries && result == PICKER_NONE; i++)
		result = try(x, rotation_at(r, turn + i));
	return result;
}

/* Fewer requests in flight for its weight: a/wa < b/wb. */
static bool
lighter(const struct backend *a, const struct backend *b)
{
	return (uint64_t)atomic_load_explicit(&a->taken, memory_order_relaxed) *
	    atomic_load_explicit(&b->weight_now, memory_order_relaxed) <
	    (uint64_t)atomic_load_explicit(&b->taken, memory_order_relaxed) *
	    atomic_load_explicit(&a->weight_now, memory_order_relaxed);
}

/* The lightest; among equals the next in turn, so that an idle pool rotates.
 * When it has no slot left, whoever is next in turn and has one. */
static enum picker_result
lightest(struct exchange *x, const struct rotation *r)
{
	uint64_t turn = upstream_turn(x->upstream);
	struct backend *best = r->all[turn % r->n];
	enum picker_result result;

	for (size_t i = 1; i < r->n; i++) {
		struct backend *b = r->all[(turn + i) % r->n];

		if (passes(x, best) || (!passes(x, b) && lighter(b, best)))
			best = b;
	}
	result = try(x, best);
	return result == PICKER_NONE ? in_turn(x, r) : result;
}

static enum picker_result
better_of_two(struct exchange *x, const struct rotation *r)
{
	struct rng *rng = &x->from.w->rng;
	enum picker_result result = PICKER_NONE;

	for (int i = 0; i < DRAWS && result == PICKER_NONE; i++) {
		struct backend *a = r->turn[rng_upto(rng, r->entries - 1)];
		struct backend *b = r->turn[rng_upto(rng, r->entries - 1)];

		result = try(x, lighter(b, a) ? b : a);
	}
	return result == PICKER_NONE ? in_turn(x, r) : result;
}

/* The owner of the key, or the next on the ring that is usable. */
static enum picker_result
by_hash(struct exchange *x, const struct rotation *r)
{
	size_t at = ring_find(r->points, r->n_points, request_hash(x));
	struct backend *last = NULL;
	enum picker_result result = PICKER_NONE;

	for (size_t i = 0; i < r->n_points && result == PICKER_NONE; i++) {
		struct backend *b =
		    r->all[r->points[(at + i) % r->n_points].owner];

		if (b != last)
			result = try(x, b);
		last = b;
	}
	return result;
}

static enum picker_result
look(struct exchange *x, const struct rotation *r)
{
	if (r == NULL)
		return PICKER_NONE;
	switch (x->pool->cfg->balance) {
	case CFG_BALANCE_LEAST_CONNECTIONS:
		return lightest(x, r);
	case CFG_BALANCE_RANDOM_TWO:
		return better_of_two(x, r);
	case CFG_BALANCE_HASH:
		/* Without a ring while a reload changes `balance`. */
		if (r->n_points > 0)
			return by_hash(x, r);
		break;
	case CFG_BALANCE_ROUND_ROBIN:
		break;
	}
	return in_turn(x, r);
}

static enum picker_result
look_at_both(struct exchange *x)
{
	struct upstream *u = x->upstream;
	enum picker_result result =
	    look(x, atomic_load_explicit(&u->rotation, memory_order_acquire));

	if (result != PICKER_NONE)
		return result;
	return look(x, atomic_load_explicit(&u->backup, memory_order_acquire));
}

enum picker_result
picker_pick(struct exchange *x)
{
	enum picker_result result;

	x->picking_again = false;
	result = look_at_both(x);
	if (result != PICKER_NONE || x->n_notes == 0)
		return result;
	/* One that was ejected rather than one that has just failed. */
	result = look(x,
	    atomic_load_explicit(&x->upstream->resort, memory_order_acquire));
	if (result != PICKER_NONE)
		return result;
	x->picking_again = true;
	return look_at_both(x);
}

/* Below `max`: a place that an idle connection holds is to be had. */
static bool
has_place(const struct backend *b)
{
	uint64_t inflight = 0;

	uint32_t max = limit_of(b);

	if (max == 0 ||
	    atomic_load_explicit(&b->slots, memory_order_relaxed) < max)
		return true;
	for (uint32_t i = 0; i < b->n_lanes; i++)
		inflight += counter_get(&b->lanes[i].inflight);
	return inflight < max;
}

static bool
has_other(const struct exchange *x, const struct rotation *r)
{
	for (size_t i = 0; r != NULL && i < r->n; i++)
		if (r->all[i] != x->picked && tried(x, r->all[i]) == NULL &&
		    has_place(r->all[i]))
			return true;
	return false;
}

bool
picker_has_other(const struct exchange *x)
{
	struct upstream *u = x->upstream;

	return has_other(x,
		   atomic_load_explicit(&u->rotation, memory_order_acquire)) ||
	    has_other(
		x, atomic_load_explicit(&u->backup, memory_order_acquire));
}
