#include "evenkeel/control/registry.h"

#include <stdlib.h>

#include "evenkeel/config/policies.h"
#include "evenkeel/net/buf.h"

struct registry {
	uint32_t workers;
	struct snapshot snapshot;
};

struct registry *
registry_create(uint32_t workers)
{
	struct registry *r = calloc(1, sizeof(*r));

	if (r != NULL)
		r->workers = workers;
	return r;
}

static void
free_pool(struct snapshot_pool *p)
{
	for (size_t i = 0; i < p->n_backends; i++)
		backend_free(p->backends[i]);
	free(p->backends);
	upstream_free(p->upstream);
}

void
registry_free(struct registry *r)
{
	struct snapshot *s;

	if (r == NULL)
		return;
	s = &r->snapshot;
	for (size_t i = 0; i < s->n_pools; i++)
		free_pool(&s->pools[i]);
	for (size_t i = 0; i < s->n_listeners; i++) {
		front_free(s->listeners[i].front);
		free(s->listeners[i].routes);
		free(s->listeners[i].trusted);
	}
	upstream_free(s->no_pool);
	free(s->pools);
	free(s->listeners);
	free(r);
}

static bool
no_memory(struct textbuf *why)
{
	textbuf_lit(why, "out of memory");
	return false;
}

static bool
build_backends(struct registry *r, struct snapshot_pool *p, struct textbuf *why)
{
	const struct cfg_pool *cfg = p->cfg;

	for (size_t i = 0; i < cfg->n_backends; i++) {
		const struct cfg_backend *b = &cfg->backends[i];
		struct address a;

		if (!address_resolve(&a, &b->addr, why))
			return false;
		p->backends[i] =
		    backend_create(b->name, &a, b->weight, r->workers);
		if (p->backends[i] == NULL)
			return no_memory(why);
		p->n_backends++;
		p->backends[i]->upstream = p->upstream;
		p->backends[i]->max = b->max;
		p->backends[i]->compared =
		    cfg->balance == CFG_BALANCE_LEAST_CONNECTIONS ||
		    cfg->balance == CFG_BALANCE_RANDOM_TWO;
	}
	return true;
}

static uint32_t
share_of(uint32_t keepalive, uint32_t workers)
{
	if (keepalive == 0)
		return 0;
	return keepalive / workers > 0 ? keepalive / workers : 1;
}

/* "header:NAME" and its like; config has checked it. */
static void
set_hash(struct snapshot_pool *p, struct span text)
{
	size_t colon = span_find(text, ':');

	if (colon < text.len) {
		p->hash_name =
		    span_make(text.ptr + colon + 1, text.len - colon - 1);
		p->hash = text.ptr[0] == 'h' ? SNAPSHOT_HASH_HEADER
					     : SNAPSHOT_HASH_COOKIE;
		return;
	}
	p->hash = span_equal(text, SPAN("path")) ? SNAPSHOT_HASH_PATH
						 : SNAPSHOT_HASH_CLIENT_IP;
}

static void
set_host(struct snapshot_pool *p, struct span text)
{
	p->host_of_backend = span_equal(text, SPAN("backend"));
	if (!p->host_of_backend && !span_equal(text, SPAN("keep")))
		p->host = text;
}

static bool
build_pool(struct registry *r, struct snapshot_pool *p,
    const struct cfg_pool *cfg, struct textbuf *why)
{
	p->cfg = cfg;
	set_hash(p, span_of(cfg->hash_on));
	set_host(p, span_of(cfg->host_header));
	p->keepalive_share = share_of(cfg->keepalive, r->workers);
	p->retry = policies_retry(cfg);
	p->eject_failures = cfg->eject_failures;
	p->budget_limited = cfg->retry_attempts > 0 &&
	    cfg->retry_budget_pct < BUDGET_NO_LIMIT_PCT;
	p->upstream = upstream_create(cfg->name, r->workers);
	p->backends = calloc(cfg->n_backends, sizeof(struct backend *));
	if (p->upstream == NULL || p->backends == NULL)
		return no_memory(why);
	return build_backends(r, p, why);
}

static const struct snapshot_pool *
pool_of(const struct snapshot *s, const struct cfg_pool *cfg)
{
	return cfg == NULL ? NULL : &s->pools[cfg->index];
}

static bool
route_serves(const struct cfg_route *r, const struct cfg_listener *l)
{
	for (size_t i = 0; i < r->n_listeners; i++)
		if (r->listeners[i] == l)
			return true;
	return r->n_listeners == 0;
}

/* The blocks of trusted_proxies; config has checked them. */
static bool
build_trusted(struct snapshot_listener *l)
{
	l->trusted = calloc(l->cfg->n_trusted + 1, sizeof(*l->trusted));
	if (l->trusted == NULL)
		return false;
	for (size_t i = 0; i < l->cfg->n_trusted; i++)
		if (cidr_parse(span_of(l->cfg->trusted[i]), &l->trusted[i]) ==
		    CIDR_OK)
			l->n_trusted++;
	return l->n_trusted == l->cfg->n_trusted;
}

static bool
build_listener(struct snapshot *s, struct snapshot_listener *l,
    const struct cfg_listener *cfg)
{
	l->cfg = cfg;
	l->front = front_create(cfg->name);
	l->pool = pool_of(s, cfg->pool);
	l->routes = calloc(s->cfg->n_routes + 1, sizeof(*l->routes));
	if (l->front == NULL || l->routes == NULL || !build_trusted(l))
		return false;
	for (size_t i = 0; i < s->cfg->n_routes; i++) {
		const struct cfg_route *route = &s->cfg->routes[i];

		if (route_serves(route, cfg))
			l->routes[l->n_routes++] = (struct snapshot_route){
			    .cfg = route, .pool = pool_of(s, route->pool)};
	}
	return true;
}

static uint32_t
larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static void
measure(struct snapshot *s)
{
	s->head_bytes = BUF_BYTES;
	for (size_t i = 0; i < s->n_listeners; i++) {
		const struct cfg_listener *l = s->listeners[i].cfg;

		s->head_bytes = larger(s->head_bytes, l->max_header_size);
		s->request_fields = larger(s->request_fields, l->max_headers);
	}
	for (size_t i = 0; i < s->n_pools; i++) {
		const struct cfg_pool *p = s->pools[i].cfg;

		s->head_bytes = larger(s->head_bytes, p->max_header_size);
		s->response_fields = larger(s->response_fields, p->max_headers);
	}
}

const struct snapshot *
registry_build(struct registry *r, const struct cfg *cfg, struct textbuf *why)
{
	struct snapshot *s = &r->snapshot;

	s->cfg = cfg;
	s->pools = calloc(cfg->n_pools, sizeof(*s->pools));
	s->listeners = calloc(cfg->n_listeners, sizeof(*s->listeners));
	s->no_pool = upstream_create("", r->workers);
	if (s->pools == NULL || s->listeners == NULL || s->no_pool == NULL) {
		(void)no_memory(why);
		return NULL;
	}
	for (size_t i = 0; i < cfg->n_pools; i++) {
		s->n_pools++;
		if (!build_pool(r, &s->pools[i], &cfg->pools[i], why))
			return NULL;
	}
	for (size_t i = 0; i < cfg->n_listeners; i++) {
		s->n_listeners++;
		if (!build_listener(s, &s->listeners[i], &cfg->listeners[i])) {
			(void)no_memory(why);
			return NULL;
		}
	}
	measure(s);
	return s;
}
