#include "evenkeel/control/compile.h"

#include <stdlib.h>

#include "evenkeel/config/policies.h"
#include "evenkeel/net/buf.h"

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

static void
compile_pool(
    struct snapshot_pool *p, const struct cfg_pool *cfg, uint32_t workers)
{
	p->cfg = cfg;
	set_hash(p, span_of(cfg->hash_on));
	set_host(p, span_of(cfg->host_header));
	p->terms = (struct snapshot_terms){
	    .keepalive_share = share_of(cfg->keepalive, workers),
	    .keepalive_timeout_ms = cfg->keepalive_timeout_ms,
	    .eject_failures = cfg->eject_failures,
	    .one_request = cfg->proxy_protocol != CFG_PROXY_PROTOCOL_OFF,
	    .retries = cfg->retry_attempts > 0};
	p->retry = policies_retry(cfg);
	p->budget_limited = cfg->retry_attempts > 0 &&
	    cfg->retry_budget_pct < BUDGET_NO_LIMIT_PCT;
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
compile_trusted(struct snapshot_listener *l)
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
compile_listener(struct snapshot *s, struct snapshot_listener *l,
    const struct cfg_listener *cfg)
{
	l->cfg = cfg;
	l->pool = pool_of(s, cfg->pool);
	l->routes = calloc(s->cfg->n_routes + 1, sizeof(*l->routes));
	if (l->routes == NULL || !compile_trusted(l))
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

bool
compile_snapshot(struct snapshot *s, const struct cfg *cfg, uint32_t workers)
{
	s->cfg = cfg;
	s->access_json = cfg->global.access_log_format == CFG_ACCESS_JSON;
	s->pools = calloc(cfg->n_pools, sizeof(*s->pools));
	s->listeners = calloc(cfg->n_listeners, sizeof(*s->listeners));
	if (s->pools == NULL || s->listeners == NULL)
		return false;
	for (size_t i = 0; i < cfg->n_pools; i++)
		compile_pool(&s->pools[s->n_pools++], &cfg->pools[i], workers);
	for (size_t i = 0; i < cfg->n_listeners; i++) {
		s->n_listeners++;
		if (!compile_listener(s, &s->listeners[i], &cfg->listeners[i]))
			return false;
	}
	measure(s);
	return true;
}

void
compile_secure(struct snapshot *s, const struct secure *secure)
{
	if (secure == NULL)
		return;
	for (size_t i = 0; i < s->n_listeners; i++)
		s->listeners[i].tls = secure->servers[i];
	for (size_t i = 0; i < s->n_pools; i++) {
		struct snapshot_pool *p = &s->pools[i];

		p->tls = secure->clients[i];
		if (p->tls != NULL)
			p->terms.tls = tls_client_identity(
			    p->tls[0], span_of(p->cfg->tls_server_name));
	}
}

void
compile_free(struct snapshot *s)
{
	for (size_t i = 0; i < s->n_pools; i++) {
		free(s->pools[i].backends);
		free(s->pools[i].places);
	}
	for (size_t i = 0; i < s->n_listeners; i++) {
		free(s->listeners[i].routes);
		free(s->listeners[i].trusted);
	}
	free(s->pools);
	free(s->listeners);
}
