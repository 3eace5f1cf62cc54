#include "evenkeel/proxy/backend.h"

#include <stdlib.h>
#include <string.h>

#include "evenkeel/base/check.h"
#include "evenkeel/policy/balance.h"

/* Zeroed memory that begins and ends with a cache line. */
static void *
lines(size_t n, size_t size)
{
	void *p = NULL;

	if (posix_memalign(&p, STATS_LINE, n * size) != 0)
		return NULL;
	memset(p, 0, n * size);
	return p;
}

/* A copy of `host`, or of "10.0.0.1:8080"; a unix socket has no host but this
 * one. */
static struct span
host_of(struct span host, const struct address *a)
{
	char text[ADDRESS_TEXT_BYTES] = "localhost";
	struct textbuf out = textbuf_make(text, sizeof(text) - 1);

	if (host.len > 0)
		return span_of(strndup(host.ptr, host.len));
	if (a->u.any.sa_family != AF_UNIX) {
		address_put(&out, a);
		text[out.len] = '\0';
	}
	return span_of(strdup(text));
}

struct backend *
backend_create(const char *name, struct span host, const struct address *a,
    const char *server_name, uint32_t weight, uint32_t workers)
{
	struct backend *b = lines(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->name = strdup(name);
	b->host = host_of(host, a);
	if (server_name != NULL)
		b->server_name = strdup(server_name);
	b->lanes = lines(workers, sizeof(*b->lanes));
	if (b->name == NULL || b->host.ptr == NULL || b->lanes == NULL ||
	    (server_name != NULL && b->server_name == NULL)) {
		backend_free(b);
		return NULL;
	}
	b->name_span = span_of(b->name);
	b->address = *a;
	b->weight = weight;
	atomic_init(&b->weight_now, weight * BACKEND_WEIGHT_UNIT);
	b->n_lanes = workers;
	list_init(&b->life.gone);
	for (uint32_t i = 0; i < workers; i++)
		list_init(&b->lanes[i].idle);
	return b;
}

void
backend_free(struct backend *b)
{
	if (b == NULL)
		return;
	for (uint32_t i = 0; i < b->n_lanes; i++) {
		CHECK(list_empty(&b->lanes[i].idle));
		tls_slot_clear(&b->lanes[i].session);
	}
	free(b->lanes);
	free((void *)(uintptr_t)b->name);
	free((void *)(uintptr_t)b->server_name);
	free((void *)(uintptr_t)b->host.ptr);
	free(b);
}

uint64_t
backend_in_flight(const struct backend *b)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < b->n_lanes; i++)
		sum += counter_get(&b->lanes[i].inflight);
	return sum;
}

bool
backend_in_use(const struct backend *b)
{
	uint64_t named = 0;

	/* Mail about it that is under way counts, too. */
	for (uint32_t i = 0; i < b->n_lanes; i++)
		named += counter_get(&b->lanes[i].named) +
		    atomic_load(&b->lanes[i].evict_sent);
	return named > 0 || backend_in_flight(b) > 0 ||
	    atomic_load(&b->slots) > 0 || atomic_load(&b->failing_sent);
}

struct upstream *
upstream_create(const char *name, uint32_t workers)
{
	struct upstream *u = lines(1, sizeof(*u));

	if (u == NULL)
		return NULL;
	u->name = strdup(name);
	u->lanes = lines(workers, sizeof(*u->lanes));
	if (u->name == NULL || u->lanes == NULL) {
		upstream_free(u);
		return NULL;
	}
	u->name_span = span_of(u->name);
	u->n_lanes = workers;
	for (uint32_t i = 0; i < workers; i++) {
		list_init(&u->lanes[i].queue);
		atomic_init(&u->lanes[i].oldest_us, UPSTREAM_NOBODY);
	}
	return u;
}

static void
free_codes(struct code_counts *c)
{
	while (c != NULL) {
		struct code_counts *next =
		    atomic_load_explicit(&c->next, memory_order_relaxed);

		free(c);
		c = next;
	}
}

void
upstream_free(struct upstream *u)
{
	if (u == NULL)
		return;
	for (uint32_t i = 0; i < u->n_lanes; i++)
		free_codes(atomic_load(&u->lanes[i].codes));
	free(u->lanes);
	rotation_free(atomic_load(&u->rotation));
	rotation_free(atomic_load(&u->backup));
	rotation_free(atomic_load(&u->resort));
	free((void *)(uintptr_t)u->name);
	free(u);
}

struct front *
front_create(const char *name)
{
	struct front *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->name = strdup(name);
	if (f->name == NULL) {
		free(f);
		return NULL;
	}
	f->name_span = span_of(f->name);
	return f;
}

void
front_free(struct front *f)
{
	if (f == NULL)
		return;
	free((void *)(uintptr_t)f->name);
	free(f);
}

void
rotation_free(struct rotation *r)
{
	if (r == NULL)
		return;
	free(r->all);
	free(r->points);
	free(r);
}

/* The backends themselves, once each; work memory is freed by the caller. */
static bool
fill_turns(struct rotation *r, struct backend *const *usable,
    const uint32_t *turns, uint32_t *order)
{
	r->all = malloc(r->n * sizeof(struct backend *));
	if (r->all == NULL || order == NULL)
		return false;
	memcpy(r->all, usable, r->n * sizeof(struct backend *));
	balance_order(turns, r->n, order, r->entries, order + r->entries);
	for (size_t i = 0; i < r->entries; i++)
		r->turn[i] = usable[order[i]];
	return true;
}

static bool
fill_ring(struct rotation *r, const uint32_t *turns)
{
	uint32_t per_turn = ring_points_per_turn(turns, r->n);
	uint64_t *names = malloc(r->n * sizeof(*names));

	r->n_points = r->entries * per_turn;
	r->points = malloc(r->n_points * sizeof(*r->points));
	if (names != NULL && r->points != NULL) {
		for (size_t i = 0; i < r->n; i++)
			names[i] = ring_hash(r->all[i]->name_span);
		ring_build(r->points, names, turns, r->n, per_turn);
	}
	free(names);
	return names != NULL && r->points != NULL;
}

static struct rotation *
make_rotation(struct backend *const *usable, size_t n, const uint32_t *turns,
    size_t entries, bool hashed)
{
	struct rotation *r =
	    calloc(1, sizeof(*r) + entries * sizeof(r->turn[0]));
	uint32_t *order = calloc(2 * entries + 1, sizeof(*order));
	bool filled = false;

	if (r != NULL) {
		r->entries = entries;
		r->n = n;
		filled = fill_turns(r, usable, turns, order) &&
		    (!hashed || fill_ring(r, turns));
	}
	free(order);
	if (filled)
		return r;
	rotation_free(r);
	return NULL;
}

struct rotation *
rotation_create(struct backend *const *usable, const uint32_t *weights,
    size_t n, bool hashed)
{
	struct rotation *r = NULL;
	uint32_t *turns;
	size_t entries;

	if (n == 0)
		return NULL;
	turns = calloc(n, sizeof(*turns));
	if (turns == NULL)
		return NULL;
	entries = balance_turns(weights, n, turns);
	r = make_rotation(usable, n, turns, entries, hashed);
	free(turns);
	return r;
}

static struct code_counts *
append_codes(struct code_counts *_Atomic *at, const struct front *front)
{
	struct code_counts *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->front = front;
	atomic_store_explicit(at, c, memory_order_release);
	return c;
}

void
upstream_count(struct upstream *u, uint32_t worker, const struct front *front,
    unsigned code)
{
	struct code_counts *_Atomic *at = &u->lanes[worker].codes;
	struct code_counts *c;

	CHECK(code < STATS_CODES);
	for (;;) {
		c = atomic_load_explicit(at, memory_order_relaxed);
		if (c == NULL || c->front == front)
			break;
		at = &c->next;
	}
	if (c == NULL)
		c = append_codes(at, front);
	/* Without memory a count is lost, never a request. */
	if (c != NULL)
		counter_add(&c->code[code], 1);
}
