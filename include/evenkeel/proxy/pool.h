/*
 * pool - connections to backends: made, lent to one attempt at a time, kept
 * while they are idle.
 *
 * Each worker keeps its own, newest first, so that the warmest is used and the
 * others may age.  A byte or an end on an idle connection closes it: what came
 * belongs to nobody.
 *
 * Layer: proxy.  One worker.
 *
 * Sources: RFC 9112 9.3 (persistence), 9.3.2, 9.5 (a connection may close at
 * any time).
 */
#ifndef EVENKEEL_PROXY_POOL_H
#define EVENKEEL_PROXY_POOL_H

#include "evenkeel/net/conn.h"
#include "evenkeel/proxy/backend.h"

/* Until a backend's keep-alive time is known, a request that must not be sent
 * twice takes only connections idle for less than this. */
#define POOL_FRESH_MS 1000

struct worker;
struct attempt;

/* A connection to a backend. */
struct back {
	uint32_t magic;
	bool idle;
	struct conn conn;
	struct worker *w;
	struct backend *backend;
	struct lane *lane;
	uint64_t tls;         /* snapshot_terms.tls it was made by */
	struct attempt *user; /* NULL: idle, or ended */
	struct list link;     /* in lane->idle */
	struct wheel_timer age;
	uint64_t idle_since_ms;
	uint64_t idle_limit_ms; /* the shorter of keepalive_timeout and what
				   the backend said */
	struct loop_task grave;
};

/*
 * An idle connection to `b` that has been idle for less than `max_idle_ms`,
 * now the attempt's; or NULL.  Stale ones met on the way are closed, and those
 * that were made by other terms of TLS than `tls`.
 */
struct back *pool_lease(struct worker *w, struct backend *b,
    uint64_t max_idle_ms, uint64_t tls, struct attempt *user) WARN_UNUSED;

/*
 * Opens a connection.  CONN_AGAIN: under way; CONN_OK: it stands; CONN_ERROR:
 * *error says why and *back is NULL.
 */
enum conn_io pool_connect(struct worker *w, struct backend *b,
    struct attempt *user, struct back **back, int *error) WARN_UNUSED;

/* The attempt is done with it: kept as idle when `share` leaves room and it is
 * quiet, else closed.  `said_s`: Keep-Alive: timeout=N of the backend, or 0. */
void pool_return(
    struct back *b, uint32_t share, uint64_t timeout_ms, uint32_t said_s);

/* For how long an idle connection is safe from being closed by the backend
 * just now: half the time that the backend keeps them, by its own word or by
 * the last close that was seen, and POOL_FRESH_MS while neither is known. */
uint64_t pool_sure_ms(const struct lane *lane);

/* Closes it, whoever has it; freed at the end of the turn. */
void pool_close(struct back *b);

/* Closes all idle connections to a backend. */
void pool_drain(struct lane *lane);

bool back_ok(const struct back *b);

#endif
