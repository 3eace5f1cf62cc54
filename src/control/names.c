#include "evenkeel/control/names.h"

#include <stdlib.h>
#include <string.h>

#include "evenkeel/base/rng.h"
#include "evenkeel/config/address.h"
#include "evenkeel/net/system.h"
#include "evenkeel/policy/backoff.h"

/* A power of two; with more names than this the lists grow. */
#define BUCKETS 1024
/* Of a look-up that is due this part may be left to chance, earlier. */
#define EARLY_PART 10
/* Pools that a message lists, and room for what it says. */
#define POOLS_LISTED 4
#define LIST_BYTES   800

struct entry {
	struct list link; /* in names.buckets */
	struct names *names;
	struct cfg_addr addr; /* its texts are behind the entry */
	bool used;            /* by the configuration in force */
	bool wanted;          /* by the prepared one */
	bool answered;        /* well or badly */
	bool failing;         /* the last answer was bad */
	bool told;            /* ... and the log says so */
	bool loaded; /* looked up since the configuration in force came */
	/* names_known was asked for what it is now. */
	bool known;
	uint32_t failures; /* in a row */
	uint64_t told_ms;  /* the last warning; 0: none */
	uint32_t resolve_ms;
	uint64_t asked_us;            /* the last time */
	struct resolver_query *query; /* NULL: none is under way */
	struct alarm alarm;           /* the next one; pending when !query */
	struct names_found *found;
	size_t n_found;
	char bytes[];
};

struct names {
	struct loop *loop;
	struct log_ring *log;
	struct names_source source;
	struct resolver *own; /* NULL: the source is somebody else's */
	const struct names_ops *ops;
	void *arg;
	struct rng rng;
	const struct cfg *cfg;  /* in force; NULL: none yet */
	const struct cfg *next; /* prepared; NULL: none */
	size_t n_open;          /* wanted, and not answered */
	struct alarm changed;   /* pending: on_change is due */
	struct loop_task settled;
	struct list buckets[BUCKETS];
};

/* ---- entries ---- */

/* FNV-1a. */
static size_t
bucket_of(const struct cfg_addr *addr)
{
	uint64_t hash = 14695981039346656037U;

	for (const char *c = addr->text; *c != '\0'; c++)
		hash = (hash ^ (unsigned char)*c) * 1099511628211U;
	return (size_t)(hash ^ hash >> 32) & (BUCKETS - 1);
}

/* The text has the kind, the host and the port. */
static struct entry *
find(const struct names *n, const struct cfg_addr *addr)
{
	LIST_EACH(link, &n->buckets[bucket_of(addr)])
	{
		struct entry *e = LIST_OWNER(link, struct entry, link);

		if (strcmp(e->addr.text, addr->text) == 0)
			return e;
	}
	return NULL;
}

static void entry_on_alarm(struct alarm *a);

static struct entry *
entry_create(struct names *n, const struct cfg_addr *addr)
{
	size_t host = strlen(addr->host) + 1, text = strlen(addr->text) + 1;
	struct entry *e = calloc(1, sizeof(*e) + host + text);

	if (e == NULL)
		return NULL;
	e->names = n;
	e->addr = *addr;
	e->addr.host = memcpy(e->bytes, addr->host, host);
	e->addr.text = memcpy(e->bytes + host, addr->text, text);
	alarm_init(&e->alarm, entry_on_alarm);
	list_push_back(&n->buckets[bucket_of(addr)], &e->link);
	return e;
}

static void
entry_free(struct entry *e)
{
	if (e->query != NULL)
		e->names->source.abandon(e->names->source.resolver, e->query);
	alarm_cancel(e->names->loop, &e->alarm);
	list_remove(&e->link);
	free(e->found);
	free(e);
}

/* Calls `each` for every entry, which may free it. */
static void
each_entry(struct names *n, void (*each)(struct entry *e))
{
	for (size_t i = 0; i < BUCKETS; i++) {
		struct list *link = n->buckets[i].next;

		while (link != &n->buckets[i]) {
			struct entry *e = LIST_OWNER(link, struct entry, link);

			link = link->next;
			each(e);
		}
	}
}

/* ---- words ---- */

static bool
pool_has(const struct cfg_pool *p, const struct entry *e)
{
	for (size_t i = 0; i < p->n_backends; i++)
		if (strcmp(p->backends[i].addr.text, e->addr.text) == 0)
			return true;
	return false;
}

/* "pool web", "pools web, api". */
static void
put_pools(struct textbuf *out, const struct entry *e)
{
	const struct cfg *cfg = e->used ? e->names->cfg : e->names->next;
	size_t start = out->len, n = 0;

	for (size_t i = 0; i < cfg->n_pools && n <= POOLS_LISTED; i++) {
		if (!pool_has(&cfg->pools[i], e))
			continue;
		textbuf_str(out, n == 0 ? "pool " : ", ");
		textbuf_str(out, n < POOLS_LISTED ? cfg->pools[i].name : "...");
		/* "pool" before one name, "pools" before two. */
		if (n == 1 && !out->full && out->len < out->cap) {
			memmove(out->ptr + start + 5, out->ptr + start + 4,
			    out->len - start - 4);
			out->ptr[start + 4] = 's';
			out->len++;
		}
		n++;
	}
}

struct words {
	char bytes[LIST_BYTES];
	struct textbuf text;
};

static const char *
pools_of(struct words *w, const struct entry *e)
{
	w->text = textbuf_make(w->bytes, sizeof(w->bytes) - 1);
	put_pools(&w->text, e);
	w->bytes[w->text.len] = '\0';
	return w->bytes;
}

static const char *
found_of(struct words *w, const struct names_found *found, size_t n)
{
	w->text = textbuf_make(w->bytes, sizeof(w->bytes) - 1);
	names_found_put(&w->text, found, n);
	w->bytes[w->text.len] = '\0';
	return w->bytes;
}

static void
tell_change(const struct entry *e, const struct names_found *found, size_t n)
{
	struct words pools, now, was;

	if (e->n_found == 0)
		log_message(e->names->log, LOG_LEVEL_INFO, "%s: %s is %s",
		    pools_of(&pools, e), e->addr.text,
		    found_of(&now, found, n));
	else
		log_message(e->names->log, LOG_LEVEL_INFO,
		    "%s: %s is now %s (was %s)", pools_of(&pools, e),
		    e->addr.text, found_of(&now, found, n),
		    found_of(&was, e->found, e->n_found));
}

static void
tell_failure(struct entry *e, const char *why)
{
	uint64_t now_ms = loop_now_ms(e->names->loop);
	struct words pools;

	if (e->told_ms != 0 && now_ms - e->told_ms < NAMES_TELL_MS)
		return;
	e->told_ms = now_ms;
	e->told = true;
	log_message(e->names->log, LOG_LEVEL_WARN,
	    "%s: %s could not be looked up: %s; %s", pools_of(&pools, e),
	    e->addr.text, why,
	    e->n_found > 0 ? "its last addresses stay"
			   : "it has no address yet, and is tried again");
}

static void
tell_recovery(struct entry *e)
{
	struct words pools;

	if (e->told)
		log_message(e->names->log, LOG_LEVEL_INFO,
		    "%s: %s is found again", pools_of(&pools, e), e->addr.text);
	e->told = false;
}

/* ---- what is known ---- */

static void
plan_change(struct names *n)
{
	if (!n->changed.pending)
		alarm_arm(n->loop, &n->changed,
		    loop_now_us(n->loop) + NAMES_GATHER_MS * 1000);
}

/* False: no memory. */
static bool
take(struct entry *e, const struct lookup_result *r)
{
	size_t n;
	struct names_found *found =
	    names_found_merge(r, e->found, e->n_found, &n);

	if (found == NULL)
		return false;
	if (names_found_same(e->found, e->n_found, found, n)) {
		free(found);
		return true;
	}
	tell_change(e, found, n);
	free(e->found);
	e->found = found;
	e->n_found = n;
	e->known = false;
	if (e->used)
		plan_change(e->names);
	return true;
}

/* ---- looking up ---- */

/* A bit early, so that not all names are looked up at once for ever. */
static uint64_t
again_us(struct entry *e)
{
	uint64_t us = (uint64_t)e->resolve_ms * 1000;

	return us - rng_upto(&e->names->rng, us / EARLY_PART);
}

static uint64_t
retry_us(struct entry *e)
{
	uint32_t cap_ms = NAMES_RETRY_CAP_MS;
	struct backoff_policy p = {.jitter = BACKOFF_EQUAL};

	if (e->resolve_ms > 0 && e->resolve_ms < cap_ms)
		cap_ms = e->resolve_ms;
	p.cap_ms = cap_ms;
	p.base_ms = cap_ms < NAMES_RETRY_MS ? cap_ms : NAMES_RETRY_MS;
	return (uint64_t)backoff_wait_ms(
		   &p, e->failures, rng_next(&e->names->rng)) *
	    1000;
}

/* With no query under way: when the next one is to begin, if ever. */
static void
plan(struct entry *e)
{
	struct loop *l = e->names->loop;

	if (e->failing)
		alarm_arm(l, &e->alarm, loop_now_us(l) + retry_us(e));
	else if (e->resolve_ms > 0)
		alarm_arm(l, &e->alarm, e->asked_us + again_us(e));
	else
		alarm_cancel(l, &e->alarm);
}

static void
note_answered(struct entry *e)
{
	struct names *n = e->names;

	if (!e->answered && e->wanted && --n->n_open == 0)
		loop_ready(n->loop, &n->settled);
	e->answered = true;
}

static void
fail(struct entry *e, const char *why)
{
	e->failing = true;
	if (e->failures < UINT32_MAX)
		e->failures++;
	tell_failure(e, why);
	note_answered(e);
	plan(e);
}

static void
entry_on_answer(const struct lookup_result *r, void *arg)
{
	struct entry *e = arg;

	e->query = NULL;
	if (r->n > 0 && !take(e, r)) {
		fail(e, "out of memory");
		return;
	}
	if (r->end != LOOKUP_ALL) {
		fail(e, r->why);
		return;
	}
	tell_recovery(e);
	e->failing = false;
	e->failures = 0;
	note_answered(e);
	plan(e);
}

static void
ask(struct entry *e)
{
	const struct names_source *s = &e->names->source;

	CHECK(e->query == NULL);
	alarm_cancel(e->names->loop, &e->alarm);
	e->asked_us = loop_now_us(e->names->loop);
	e->query = s->ask(s->resolver,
	    e->addr.kind == CFG_ADDR_SRV ? LOOKUP_SRV : LOOKUP_HOST,
	    e->addr.host, e->addr.port, entry_on_answer, e);
	if (e->query == NULL)
		fail(e, "out of memory or threads");
}

static void
entry_on_alarm(struct alarm *a)
{
	ask(ALARM_OWNER(a, struct entry, alarm));
}

/* ---- a new configuration ---- */

/* Calls `each` for every backend by name, until it says false. */
static bool
each_name(struct names *n, const struct cfg *cfg,
    bool (*each)(
	struct names *n, const struct cfg_pool *p, const struct cfg_addr *addr))
{
	for (size_t i = 0; i < cfg->n_pools; i++)
		for (size_t b = 0; b < cfg->pools[i].n_backends; b++) {
			const struct cfg_addr *addr =
			    &cfg->pools[i].backends[b].addr;

			if (address_is_name(addr) &&
			    !each(n, &cfg->pools[i], addr))
				return false;
		}
	return true;
}

static bool
want(struct names *n, const struct cfg_pool *p, const struct cfg_addr *addr)
{
	struct entry *e = find(n, addr);

	(void)p;
	if (e == NULL)
		e = entry_create(n, addr);
	if (e == NULL)
		return false;
	e->wanted = true;
	return true;
}

/* The shortest of all pools that have it; 0 is the longest. */
static void
shorten(struct entry *e, const struct cfg_pool *p)
{
	if (e->resolve_ms == 0 ||
	    (p->resolve_ms > 0 && p->resolve_ms < e->resolve_ms))
		e->resolve_ms = p->resolve_ms;
}

static bool
shorten_new(
    struct names *n, const struct cfg_pool *p, const struct cfg_addr *addr)
{
	struct entry *e = find(n, addr);

	CHECK(e != NULL);
	if (!e->used)
		shorten(e, p);
	return true;
}

static bool
shorten_all(
    struct names *n, const struct cfg_pool *p, const struct cfg_addr *addr)
{
	struct entry *e = find(n, addr);

	CHECK(e != NULL);
	shorten(e, p);
	return true;
}

static void
unwant(struct entry *e)
{
	e->wanted = false;
	if (!e->used)
		entry_free(e);
}

void
names_rollback(struct names *n)
{
	each_entry(n, unwant);
	n->next = NULL;
	n->n_open = 0;
	loop_task_cancel(&n->settled);
}

static void
count_open(struct entry *e)
{
	e->names->n_open += e->wanted && !e->answered;
}

/* What fails is tried at once: that may be why the configuration comes. */
static void
begin(struct entry *e)
{
	if (e->wanted && e->query == NULL && (!e->answered || e->failing))
		ask(e);
}

bool
names_prepare(struct names *n, const struct cfg *cfg)
{
	names_rollback(n);
	if (!each_name(n, cfg, want)) {
		names_rollback(n);
		return false;
	}
	n->next = cfg;
	each_name(n, cfg, shorten_new);
	each_entry(n, count_open);
	each_entry(n, begin);
	return true;
}

bool
names_settled(const struct names *n)
{
	return n->n_open == 0;
}

static void
enforce(struct entry *e)
{
	if (!e->wanted) {
		entry_free(e);
		return;
	}
	e->loaded = !e->used;
	e->used = true;
	e->wanted = false;
	e->resolve_ms = 0;
	if (e->n_found > 0 && !e->known)
		plan_change(e->names);
}

static void
go_on(struct entry *e)
{
	if (e->query != NULL)
		return;
	/* `resolve = 0` is once for each configuration. */
	if (e->resolve_ms == 0 && !e->loaded)
		ask(e);
	else
		plan(e);
}

void
names_commit(struct names *n, const struct cfg *cfg)
{
	CHECK(n->next == cfg);
	each_entry(n, enforce);
	n->cfg = cfg;
	n->next = NULL;
	n->n_open = 0;
	loop_task_cancel(&n->settled);
	each_name(n, cfg, shorten_all);
	each_entry(n, go_on);
}

size_t
names_known(const struct names *n, const struct cfg_backend *b,
    const struct names_found **found)
{
	struct entry *e = find(n, &b->addr);

	*found = NULL;
	if (e == NULL)
		return 0;
	e->known = true;
	*found = e->found;
	return e->n_found;
}

/* ---- life ---- */

static void
names_on_changed(struct alarm *a)
{
	struct names *n = ALARM_OWNER(a, struct names, changed);

	n->ops->on_change(n->arg);
}

static void
names_on_settled(struct loop_task *t)
{
	struct names *n = LOOP_TASK_OWNER(t, struct names, settled);

	n->ops->on_settled(n->arg);
}

struct names *
names_create_with(struct loop *l, struct log_ring *log,
    const struct names_source *source, const struct names_ops *ops, void *arg)
{
	struct names *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	n->loop = l;
	n->log = log;
	n->source = *source;
	n->ops = ops;
	n->arg = arg;
	rng_init(&n->rng, system_seed());
	alarm_init(&n->changed, names_on_changed);
	loop_task_init(&n->settled, names_on_settled);
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&n->buckets[i]);
	return n;
}

struct names *
names_create(struct loop *l, struct log_ring *log, const struct names_ops *ops,
    void *arg)
{
	struct names_source source = {
	    .ask = resolver_ask, .abandon = resolver_abandon};
	struct names *n;

	source.resolver = resolver_create(l);
	if (source.resolver == NULL)
		return NULL;
	n = names_create_with(l, log, &source, ops, arg);
	if (n == NULL)
		resolver_free(source.resolver);
	else
		n->own = source.resolver;
	return n;
}

void
names_free(struct names *n)
{
	if (n == NULL)
		return;
	each_entry(n, entry_free);
	alarm_cancel(n->loop, &n->changed);
	loop_task_cancel(&n->settled);
	resolver_free(n->own);
	free(n);
}
