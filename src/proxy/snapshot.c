#include "evenkeel/proxy/snapshot.h"

const struct snapshot_listener *
snapshot_listener_of(const struct snapshot *s, const struct front *front)
{
	for (size_t i = 0; i < s->n_listeners; i++)
		if (s->listeners[i].front == front)
			return &s->listeners[i];
	return NULL;
}

/* The name alone: without port and final dot. */
static struct span
bare_host(struct span host)
{
	size_t end = span_find(host, ']');

	/* A colon inside [v6] is not that of the port. */
	if (end == host.len)
		end = 0;
	end += span_find(span_make(host.ptr + end, host.len - end), ':');
	if (end > 0 && host.ptr[end - 1] == '.')
		end--;
	return span_make(host.ptr, end);
}

static bool
host_fits(struct span pattern, struct span host)
{
	if (pattern.len > 1 && pattern.ptr[0] == '*') {
		pattern = span_make(pattern.ptr + 1, pattern.len - 1);
		return host.len > pattern.len &&
		    span_ends_with_nocase(host, pattern);
	}
	return span_equal_nocase(pattern, host);
}

static bool
path_fits(struct span prefix, struct span path)
{
	char next;

	if (!span_starts_with(path, prefix))
		return false;
	if (path.len == prefix.len || prefix.len == 0 ||
	    prefix.ptr[prefix.len - 1] == '/')
		return true;
	next = path.ptr[prefix.len];
	return next == '/' || next == '?';
}

static bool
any_host_fits(const struct cfg_route *r, struct span host)
{
	for (size_t i = 0; i < r->n_hosts; i++)
		if (host_fits(span_of(r->hosts[i]), host))
			return true;
	return r->n_hosts == 0;
}

static bool
any_path_fits(const struct cfg_route *r, struct span path)
{
	for (size_t i = 0; i < r->n_paths; i++)
		if (path_fits(span_of(r->paths[i]), path))
			return true;
	return r->n_paths == 0;
}

const struct snapshot_pool *
snapshot_route(
    const struct snapshot_listener *l, struct span host, struct span path)
{
	if (l->n_routes > 0)
		host = bare_host(host);
	/* RFC 9110 4.2.3: an absolute-form without a path means "/". */
	if (path.len == 0 || path.ptr[0] == '?')
		path = SPAN("/");
	for (size_t i = 0; i < l->n_routes; i++)
		if (any_host_fits(l->routes[i].cfg, host) &&
		    any_path_fits(l->routes[i].cfg, path))
			return l->routes[i].pool;
	return l->pool;
}
