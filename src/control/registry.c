#include "evenkeel/control/registry.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "evenkeel/config/address.h"
#include "evenkeel/control/compile.h"
#include "evenkeel/proxy/queue.h"

/* A host name (253 bytes), its port, '@' and an address. */
#define NAME_BYTES 512
/* A host name and a NUL, or an IP address. */
#define HOST_BYTES 256
#define HTTPS_PORT 443

/* A snapshot and what goes with it. */
struct edition {
	struct snapshot s;
	struct loaded *from;
	struct list link; /* in registry.alive, in the order of `serial` */
	uint32_t held;    /* by so many workers */
	struct snapshot_hold *holds; /* [worker] */
};

struct registry {
	uint32_t n_workers;
	struct worker *const *workers;
	const struct names *resolved;
	uint64_t serial; /* of the last edition that was prepared */
	struct edition *current;
	struct list alive; /* committed and not freed */
	uint32_t n_alive;
	struct front **fronts;
	size_t n_fronts;
	struct upstream **upstreams;
	size_t n_upstreams;
	struct upstream *no_pool;
	void *backends; /* tree of all, gone ones included (tsearch) */
	void *names;    /* tree of the last that bore each name of a pool */
	struct list gone;
};

static struct edition *
edition_of(struct snapshot *s)
{
	return (
	    struct edition *)(void *)((char *)s - offsetof(struct edition, s));
}

/* ---- finding and adding ---- */

static int
compare_names(const void *one, const void *other)
{
	const struct backend *a = one, *b = other;
	int result = strcmp(a->name, b->name);

	return result != 0 ? result
			   : strcmp(a->upstream->name, b->upstream->name);
}

/* Plain before https, and that by name. */
static int
compare_security(const struct backend *a, const struct backend *b)
{
	if (a->server_name == NULL || b->server_name == NULL)
		return (a->server_name != NULL) - (b->server_name != NULL);
	return strcmp(a->server_name, b->server_name);
}

static int
compare(const void *one, const void *other)
{
	const struct backend *a = one, *b = other;
	int result = compare_names(a, b);

	if (result == 0 && a->address.len != b->address.len)
		result = a->address.len < b->address.len ? -1 : 1;
	if (result == 0)
		result = memcmp(&a->address.u, &b->address.u, a->address.len);
	if (result == 0 && a->host.len != b->host.len)
		result = a->host.len < b->host.len ? -1 : 1;
	if (result == 0)
		result = memcmp(a->host.ptr, b->host.ptr, a->host.len);
	return result != 0 ? result : compare_security(a, b);
}

/* What requests without a Host, and checks, call it: its address, or the name
 * that led to it, for one server may answer for many.  The name of an SRV
 * record is no host, and a unix socket has none but this one.  RFC 9110 4.2.3:
 * the port of the scheme is the same as none, and not all who are called by
 * name know that. */
static void
put_host(
    struct textbuf *out, const struct cfg_backend *cfg, const struct address *a)
{
	const struct cfg_addr *addr = &cfg->addr;

	if (addr->kind == CFG_ADDR_UNIX) {
		textbuf_lit(out, "localhost");
	} else if (addr->kind == CFG_ADDR_NAME) {
		textbuf_str(out, addr->host);
		if (cfg->https && addr->port == HTTPS_PORT)
			return;
		textbuf_byte(out, ':');
		textbuf_u64(out, addr->port);
	} else {
		address_put(out, a);
	}
}

/* What the certificate of an https backend is to bear; NULL: it is plain.  RFC
 * 6066 3: a host name is without its final dot.  `bytes` has HOST_BYTES. */
static const char *
server_name_of(const struct cfg_backend *cfg, char *bytes)
{
	struct textbuf name = textbuf_make(bytes, HOST_BYTES - 1);

	if (!cfg->https)
		return NULL;
	textbuf_str(&name, cfg->addr.host);
	CHECK(!name.full);
	if (name.len > 0 && bytes[name.len - 1] == '.')
		name.len--;
	bytes[name.len] = '\0';
	return bytes;
}

/* The one that is there, or a new one, and somebody bears its name then.  NULL:
 * no memory. */
static struct backend *
find_backend(struct registry *r, struct upstream *u, const char *name,
    const struct cfg_backend *cfg, const struct address *a)
{
	char bytes[NAME_BYTES], server_name[HOST_BYTES];
	struct textbuf host = textbuf_make(bytes, sizeof(bytes));
	struct backend key = {.name = name, .upstream = u, .address = *a};
	struct backend *const *found;
	struct backend *b;

	put_host(&host, cfg, a);
	CHECK(!host.full);
	key.host = textbuf_span(&host);
	key.server_name = server_name_of(cfg, server_name);
	found = tfind(&key, &r->backends, compare);
	/* Its name may have gone with one that bore it later. */
	if (found != NULL)
		return tsearch(*found, &r->names, compare_names) == NULL
		    ? NULL
		    : *found;
	b = backend_create(name, key.host, a, key.server_name, 1, r->n_workers);
	if (b == NULL)
		return NULL;
	b->upstream = u;
	if (tsearch(b, &r->backends, compare) != NULL) {
		if (tsearch(b, &r->names, compare_names) != NULL)
			return b;
		tdelete(b, &r->backends, compare);
	}
	backend_free(b);
	return NULL;
}

/* `b` bears its name from now on. */
static void
take_name(struct registry *r, struct backend *b)
{
	struct backend **at = tfind(b, &r->names, compare_names);

	CHECK(at != NULL);
	(*at)->life.shadowed = true;
	b->life.shadowed = false;
	*at = b;
}

/* Nobody bears it, or another one. */
static void
drop_name(struct registry *r, struct backend *b)
{
	struct backend **at = tfind(b, &r->names, compare_names);

	if (at != NULL && *at == b)
		tdelete(b, &r->names, compare_names);
}

static void
drop_backend(struct registry *r, struct backend *b)
{
	drop_name(r, b);
	tdelete(b, &r->backends, compare);
	list_remove(&b->life.gone);
	backend_free(b);
}

/* Room for one more pointer at the end of a list. */
static bool
grow(void *list, size_t n)
{
	void **at = list;
	void *more = realloc(*at, (n + 1) * sizeof(void *));

	if (more == NULL)
		return false;
	*at = more;
	return true;
}

static struct front *
find_front(struct registry *r, const char *name)
{
	for (size_t i = 0; i < r->n_fronts; i++)
		if (strcmp(r->fronts[i]->name, name) == 0)
			return r->fronts[i];
	if (!grow(&r->fronts, r->n_fronts))
		return NULL;
	r->fronts[r->n_fronts] = front_create(name);
	return r->fronts[r->n_fronts] == NULL ? NULL : r->fronts[r->n_fronts++];
}

static struct upstream *
find_upstream(struct registry *r, const char *name)
{
	struct upstream *u;

	for (size_t i = 0; i < r->n_upstreams; i++)
		if (strcmp(r->upstreams[i]->name, name) == 0)
			return r->upstreams[i];
	if (!grow(&r->upstreams, r->n_upstreams))
		return NULL;
	u = upstream_create(name, r->n_workers);
	if (u == NULL)
		return NULL;
	queue_adopt(u, r->workers);
	return r->upstreams[r->n_upstreams++] = u;
}

/* ---- preparing ---- */

static bool
no_memory(struct textbuf *why)
{
	textbuf_lit(why, "out of memory");
	return false;
}

static bool
add_backend(struct snapshot_pool *p, struct backend *b,
    struct snapshot_place place, struct textbuf *why)
{
	if (b == NULL)
		return no_memory(why);
	p->places[p->n_backends] = place;
	p->backends[p->n_backends++] = b;
	return true;
}

/* One of the addresses of a backend by name. */
static bool
prepare_found(struct registry *r, struct snapshot_pool *p,
    const struct cfg_backend *cfg, const struct names_found *found,
    struct textbuf *why)
{
	char bytes[NAME_BYTES];
	struct textbuf name = textbuf_make(bytes, sizeof(bytes) - 1);
	struct snapshot_place place = {.weight = cfg->weight,
	    .max = cfg->max,
	    .backup = cfg->backup || found->backup};

	textbuf_str(&name, cfg->name);
	textbuf_byte(&name, '@');
	address_put(&name, &found->address);
	CHECK(!name.full);
	bytes[name.len] = '\0';
	if (found->weight > 0)
		place.weight = found->weight;
	return add_backend(p,
	    find_backend(r, p->upstream, bytes, cfg, &found->address), place,
	    why);
}

static bool
prepare_backend(struct registry *r, struct snapshot_pool *p,
    const struct cfg_backend *cfg, struct textbuf *why)
{
	const struct snapshot_place place = {
	    .weight = cfg->weight, .max = cfg->max, .backup = cfg->backup};
	const struct names_found *found;
	struct address a;
	size_t n;

	if (address_is_name(&cfg->addr)) {
		n = names_known(r->resolved, cfg, &found);
		for (size_t i = 0; i < n; i++)
			if (!prepare_found(r, p, cfg, &found[i], why))
				return false;
		return true;
	}
	if (!address_resolve(&a, &cfg->addr, why))
		return false;
	return add_backend(
	    p, find_backend(r, p->upstream, cfg->name, cfg, &a), place, why);
}

static size_t
count_places(const struct registry *r, const struct cfg_pool *cfg)
{
	const struct names_found *found;
	size_t n = 0;

	for (size_t i = 0; i < cfg->n_backends; i++)
		n += address_is_name(&cfg->backends[i].addr)
		    ? names_known(r->resolved, &cfg->backends[i], &found)
		    : 1;
	return n;
}

static bool
prepare_pool(struct registry *r, struct snapshot_pool *p, struct textbuf *why)
{
	size_t n = count_places(r, p->cfg);

	p->upstream = find_upstream(r, p->cfg->name);
	p->backends = calloc(n + 1, sizeof(struct backend *));
	p->places = calloc(n + 1, sizeof(*p->places));
	if (p->upstream == NULL || p->backends == NULL || p->places == NULL)
		return no_memory(why);
	for (size_t i = 0; i < p->cfg->n_backends; i++)
		if (!prepare_backend(r, p, &p->cfg->backends[i], why))
			return false;
	return true;
}

static bool
prepare_holds(struct registry *r, struct edition *e)
{
	e->holds = calloc(r->n_workers, sizeof(*e->holds));
	for (uint32_t i = 0; e->holds != NULL && i < r->n_workers; i++)
		e->holds[i].snapshot = &e->s;
	return e->holds != NULL;
}

static void
free_edition(struct edition *e)
{
	list_remove(&e->link);
	compile_free(&e->s);
	loaded_release(e->from);
	free(e->holds);
	free(e);
}

static bool
prepare(struct registry *r, struct edition *e, struct textbuf *why)
{
	const struct cfg *cfg = e->from->cfg;

	if (!compile_snapshot(&e->s, cfg, r->n_workers) || !prepare_holds(r, e))
		return no_memory(why);
	compile_secure(&e->s, e->from->secure);
	e->s.serial = ++r->serial;
	e->s.no_pool = r->no_pool;
	for (size_t i = 0; i < cfg->n_pools; i++)
		if (!prepare_pool(r, &e->s.pools[i], why))
			return false;
	for (size_t i = 0; i < cfg->n_listeners; i++) {
		struct snapshot_listener *l = &e->s.listeners[i];

		l->front = find_front(r, l->cfg->name);
		if (l->front == NULL)
			return no_memory(why);
	}
	return true;
}

struct snapshot *
registry_prepare(struct registry *r, struct loaded *from, struct textbuf *why)
{
	struct edition *e = calloc(1, sizeof(*e));

	if (e == NULL) {
		(void)no_memory(why);
		return NULL;
	}
	list_init(&e->link);
	e->from = loaded_hold(from);
	if (prepare(r, e, why))
		return &e->s;
	registry_rollback(r, &e->s);
	return NULL;
}

void
registry_rollback(struct registry *r, struct snapshot *s)
{
	for (size_t i = 0; s->pools != NULL && i < s->n_pools; i++)
		for (size_t k = 0; k < s->pools[i].n_backends; k++) {
			struct backend *b = s->pools[i].backends[k];

			if (!b->life.kept)
				drop_backend(r, b);
		}
	free_edition(edition_of(s));
}

/* ---- in force ---- */

static bool
compares(const struct cfg_pool *cfg)
{
	return cfg->balance == CFG_BALANCE_LEAST_CONNECTIONS ||
	    cfg->balance == CFG_BALANCE_RANDOM_TWO;
}

/* What the workers see of it changes here, before the rotations do. */
static void
put_in_force(struct registry *r, struct snapshot_pool *p, uint64_t serial)
{
	p->upstream->serial = serial;
	for (size_t i = 0; i < p->n_backends; i++) {
		struct backend *b = p->backends[i];

		/* Who is not in a rotation has it from here alone. */
		if (b->weight != p->places[i].weight)
			atomic_store(&b->weight_now,
			    p->places[i].weight * BACKEND_WEIGHT_UNIT);
		b->weight = p->places[i].weight;
		b->backup = p->places[i].backup;
		atomic_store(&b->max, p->places[i].max);
		atomic_store(&b->compared, compares(p->cfg));
		if (!b->life.kept || !list_empty(&b->life.gone))
			take_name(r, b);
		b->life.kept = true;
		b->life.serial = serial;
		/* It was gone, and comes back as a new one would. */
		if (!list_empty(&b->life.gone)) {
			list_remove(&b->life.gone);
			atomic_store(&b->draining, false);
			atomic_store(&b->failures, 0);
			atomic_store(&b->asked_until_ms, 0);
		}
	}
}

static void
let_go(struct registry *r, struct edition *e, uint64_t serial, uint64_t now_ms)
{
	for (size_t i = 0; i < e->s.n_pools; i++)
		for (size_t k = 0; k < e->s.pools[i].n_backends; k++) {
			struct backend *b = e->s.pools[i].backends[k];

			if (b->life.serial >= serial ||
			    !list_empty(&b->life.gone))
				continue;
			atomic_store(&b->draining, true);
			b->life.gone_ms = now_ms;
			b->life.quiet = 0;
			list_push_back(&r->gone, &b->life.gone);
		}
}

/* When each of those in force was seen last, should it not come again. */
static void
note_gone(struct registry *r, uint64_t now_ms)
{
	const struct snapshot *now = registry_snapshot(r);

	for (size_t i = 0; now != NULL && i < now->n_pools; i++)
		now->pools[i].upstream->gone_ms = now_ms;
	for (size_t i = 0; now != NULL && i < now->n_listeners; i++)
		now->listeners[i].front->gone_ms = now_ms;
}

void
registry_commit(struct registry *r, struct snapshot *s, uint64_t now_ms)
{
	struct edition *e = edition_of(s), *old = r->current;

	note_gone(r, now_ms);
	for (size_t i = 0; i < s->n_pools; i++)
		put_in_force(r, &s->pools[i], s->serial);
	for (size_t i = 0; i < s->n_listeners; i++)
		s->listeners[i].front->serial = s->serial;
	if (old != NULL)
		let_go(r, old, s->serial, now_ms);
	e->held = r->n_workers;
	list_push_back(&r->alive, &e->link);
	r->n_alive++;
	r->current = e;
}

bool
registry_recounts(const struct snapshot *s)
{
	for (size_t i = 0; i < s->n_pools; i++) {
		const struct snapshot_pool *p = &s->pools[i];

		for (size_t k = 0; compares(p->cfg) && k < p->n_backends; k++)
			if (p->backends[k]->life.kept &&
			    !atomic_load(&p->backends[k]->compared))
				return true;
	}
	return false;
}

struct snapshot_hold *
registry_hold(struct snapshot *s, uint32_t worker)
{
	return &edition_of(s)->holds[worker];
}

void
registry_released(struct registry *r, struct snapshot_hold *hold)
{
	/* Only control writes to it, and only here it ends. */
	struct edition *e =
	    edition_of((struct snapshot *)(uintptr_t)hold->snapshot);

	CHECK(e != r->current && e->held > 0);
	if (--e->held > 0)
		return;
	r->n_alive--;
	free_edition(e);
}

const struct snapshot *
registry_snapshot(const struct registry *r)
{
	return r->current == NULL ? NULL : &r->current->s;
}

struct loaded *
registry_loaded(const struct registry *r)
{
	return r->current == NULL ? NULL : r->current->from;
}

uint32_t
registry_alive(const struct registry *r)
{
	return r->n_alive;
}

const struct list *
registry_gone(const struct registry *r)
{
	return &r->gone;
}

/* ---- what has gone ---- */

/* In force, or gone for a short time. */
static bool
is_told(const struct registry *r, uint64_t serial, uint64_t gone_ms,
    uint64_t now_ms)
{
	return serial > 0 &&
	    (serial == r->current->s.serial ||
		now_ms - gone_ms < REGISTRY_GONE_MS);
}

const struct upstream *
registry_next_upstream(const struct registry *r, size_t *at, uint64_t now_ms)
{
	while (*at < r->n_upstreams) {
		const struct upstream *u = r->upstreams[(*at)++];

		if (is_told(r, u->serial, u->gone_ms, now_ms))
			return u;
	}
	return NULL;
}

const struct front *
registry_next_front(const struct registry *r, size_t *at, uint64_t now_ms)
{
	while (*at < r->n_fronts) {
		const struct front *f = r->fronts[(*at)++];

		if (is_told(r, f->serial, f->gone_ms, now_ms))
			return f;
	}
	return NULL;
}

/* Of the oldest that a request may still go by. */
static uint64_t
oldest_serial(const struct registry *r)
{
	return LIST_OWNER(r->alive.next, struct edition, link)->s.serial;
}

/* A pool that nobody goes by any more keeps no rotation. */
static void
clear_pools(struct registry *r, struct publish *p)
{
	for (size_t i = 0; i < r->n_upstreams; i++) {
		struct upstream *u = r->upstreams[i];

		if (u->serial >= oldest_serial(r))
			continue;
		if (atomic_load(&u->rotation) != NULL)
			publish_swap(p, &u->rotation, NULL);
		if (atomic_load(&u->backup) != NULL)
			publish_swap(p, &u->backup, NULL);
		if (atomic_load(&u->resort) != NULL)
			publish_swap(p, &u->resort, NULL);
	}
}

/*
 * Whether `b` may be freed.  No snapshot leads to it, no rotation holds it and
 * each worker has passed that; nobody uses it; and each worker has passed that,
 * too: whoever was the last has returned from the callback he was in, and the
 * mail he may have sent about it was read.
 */
static bool
may_go(const struct registry *r, struct publish *p, struct backend *b,
    uint64_t now_ms)
{
	if (now_ms - b->life.gone_ms < REGISTRY_GONE_MS ||
	    b->life.serial >= oldest_serial(r) || backend_in_use(b)) {
		b->life.quiet = 0;
		return false;
	}
	if (b->life.quiet == 0)
		b->life.quiet = publish_next(p);
	return publish_passed(p, b->life.quiet);
}

bool
registry_collect(struct registry *r, struct publish *p, uint64_t now_ms)
{
	struct list *link, *next;
	bool told;

	if (r->current == NULL)
		return false;
	clear_pools(r, p);
	for (link = r->gone.next; link != &r->gone; link = next) {
		struct backend *b = LIST_OWNER(link, struct backend, life.gone);

		next = link->next;
		if (may_go(r, p, b, now_ms))
			drop_backend(r, b);
	}
	told = p->changed;
	publish_tell(p);
	return told || !list_empty(&r->gone) || r->n_alive > 1;
}

/* ---- begin and end ---- */

struct registry *
registry_create(uint32_t n_workers, struct worker *const *workers,
    const struct names *names)
{
	struct registry *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->n_workers = n_workers;
	r->workers = workers;
	r->resolved = names;
	list_init(&r->alive);
	list_init(&r->gone);
	r->no_pool = upstream_create("", n_workers);
	if (r->no_pool != NULL)
		return r;
	free(r);
	return NULL;
}

static void
free_backend(void *node)
{
	backend_free(node);
}

static void
nothing(void *node)
{
	(void)node;
}

void
registry_free(struct registry *r)
{
	struct list *link, *next;

	if (r == NULL)
		return;
	for (link = r->alive.next; link != &r->alive; link = next) {
		next = link->next;
		free_edition(LIST_OWNER(link, struct edition, link));
	}
	tdestroy(r->names, nothing);
	tdestroy(r->backends, free_backend);
	for (size_t i = 0; i < r->n_upstreams; i++)
		upstream_free(r->upstreams[i]);
	for (size_t i = 0; i < r->n_fronts; i++)
		front_free(r->fronts[i]);
	upstream_free(r->no_pool);
	free(r->upstreams);
	free(r->fronts);
	free(r);
}
