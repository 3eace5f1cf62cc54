/*
 * snapshot - a configuration in the form the request path uses.
 *
 * Immutable.  Built by the control thread, published to the workers; a request
 * keeps the one it began with until it has committed.
 *
 * Layer: proxy.
 */
#ifndef EVENKEEL_PROXY_SNAPSHOT_H
#define EVENKEEL_PROXY_SNAPSHOT_H

#include "evenkeel/config/config.h"
#include "evenkeel/http/cidr.h"
#include "evenkeel/proxy/backend.h"

enum snapshot_hash {
	SNAPSHOT_HASH_CLIENT_IP,
	SNAPSHOT_HASH_PATH,
	SNAPSHOT_HASH_HEADER,
	SNAPSHOT_HASH_COOKIE
};

/* What a request needs of its pool beyond its commit, and therefore copies. */
struct snapshot_terms {
	uint32_t keepalive_share; /* idle connections a worker keeps per
				     backend */
	uint32_t keepalive_timeout_ms;
	uint32_t eject_failures; /* 0: never told */
	bool one_request;        /* a connection serves no second one */
	bool retries;            /* there are some at all */
	uint64_t tls; /* tls_client_identity; connections of another one are
			 not used again; 0: no https backends */
};

/* How a configuration has a backend. */
struct snapshot_place {
	uint32_t weight, max;
	bool backup;
};

struct snapshot_pool {
	const struct cfg_pool *cfg;
	struct upstream *upstream;
	struct backend **backends;
	struct snapshot_place *places; /* [backend] */
	size_t n_backends;
	/* [worker], and one more: control's; NULL: no https backends */
	struct tls_client *const *tls;
	struct snapshot_terms terms;
	bool host_of_backend;    /* host_header = backend */
	struct span host;        /* ...or this one; empty: the client's */
	enum snapshot_hash hash; /* of balance = hash */
	struct span hash_name;   /* of the header or cookie */
	struct retry_policy retry;
	bool budget_limited; /* retries take from the upstream's budget */
};

struct snapshot_route {
	const struct cfg_route *cfg;
	const struct snapshot_pool *pool;
};

struct snapshot_listener {
	const struct cfg_listener *cfg;
	struct front *front;
	const struct snapshot_pool *pool; /* what no route takes; or NULL */
	struct snapshot_route *routes;    /* of this listener, in order */
	size_t n_routes;
	struct cidr *trusted; /* proxies in front */
	size_t n_trusted;
	struct tls_server *const *tls; /* [worker]; NULL: plain */
};

struct snapshot {
	const struct cfg *cfg;
	struct snapshot_listener *listeners;
	size_t n_listeners;
	struct snapshot_pool *pools;
	size_t n_pools;
	struct upstream *no_pool; /* counts what no pool took */
	/* The largest of all listeners and pools: sizes what workers lend. */
	uint32_t head_bytes, request_fields, response_fields;
	bool access_json;
	uint64_t serial; /* 1, 2, ...: the order in which they were made */
};

/*
 * One worker's use of a snapshot.  Made by the control thread and mailed to the
 * worker, who mails it back when it has another one and no request needs this
 * one any more.
 */
struct snapshot_hold {
	const struct snapshot *snapshot;
	uint32_t users; /* requests that have not committed; the worker's */
	struct mail mail;
};

/* The listener that `front` stands for, or NULL when it has none. */
const struct snapshot_listener *
snapshot_listener_of(const struct snapshot *s, const struct front *front);

/*
 * The pool for a request: the first route in the order of the file whose host
 * and path fit, else the listener's pool, else NULL.  A route's host is exact
 * or "*.domain" (any depth below it), without case, port or final dot; its
 * path is a prefix that ends on a segment boundary.  A `path` that is empty but
 * for a query stands for "/".
 */
const struct snapshot_pool *snapshot_route(
    const struct snapshot_listener *l, struct span host, struct span path);

#endif
