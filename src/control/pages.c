#include "evenkeel/control/pages.h"

#include <unistd.h>

#include "evenkeel/base/num.h"
#include "evenkeel/control/metrics_page.h"
#include "evenkeel/control/reload_page.h"
#include "evenkeel/control/secure_page.h"
#include "evenkeel/net/clock.h"

#define NAME_COLUMN 28U

static uint64_t
attempts(const struct backend *b, enum access_outcome outcome)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < b->n_lanes; i++)
		sum += counter_get(&b->lanes[i].attempts[outcome]);
	return sum;
}

static uint64_t
failures(const struct backend *b)
{
	uint64_t sum = 0;

	for (int o = 0; o < ACCESS_OUTCOMES; o++)
		if (o != ACCESS_OK && o != ACCESS_STALE &&
		    o != ACCESS_CANCELLED)
			sum += attempts(b, (enum access_outcome)o);
	return sum;
}

uint64_t
pages_now_ms(void)
{
	return clock_monotonic_us() / 1000;
}

void
pages_each_backend(struct textbuf *out, const struct pages *p,
    void (*put)(struct textbuf *out, struct span pool, const struct backend *b))
{
	for (size_t i = 0; i < pages_snapshot(p)->n_pools; i++) {
		const struct snapshot_pool *pool = &pages_snapshot(p)->pools[i];

		for (size_t k = 0; k < pool->n_backends && !out->full; k++)
			put(out, pool->upstream->name_span, pool->backends[k]);
	}
	LIST_EACH(link, registry_gone(p->registry))
	{
		const struct backend *b =
		    LIST_OWNER(link, struct backend, life.gone);

		if (!b->life.shadowed && !out->full)
			put(out, b->upstream->name_span, b);
	}
}

void
pages_each_upstream(struct textbuf *out, const struct pages *p,
    void (*put)(struct textbuf *out, const struct upstream *u))
{
	const struct upstream *u;
	size_t at = 0;

	while ((u = registry_next_upstream(p->registry, &at, pages_now_ms())) !=
		NULL &&
	    !out->full)
		put(out, u);
}

static uint64_t
clients(const struct pages *p)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < p->n_workers; i++)
		sum += counter_get(&p->workers[i]->stats.clients);
	return sum;
}

static uint64_t
uptime_s(const struct pages *p)
{
	return (clock_monotonic_us() - p->start_us) / 1000000;
}

/* For how long it has been in its state. */
static uint64_t
since_s(const struct roster_member *m)
{
	return (clock_monotonic_us() / 1000 - m->since_ms) / 1000;
}

/* How much of its weight counts now: less than all in a slow start. */
static uint32_t
weight_pct(const struct backend *b)
{
	return atomic_load(&b->weight_now) * 100 /
	    (b->weight * BACKEND_WEIGHT_UNIT);
}

static const char *
state_word(const struct pages *p)
{
	return p->draining ? "stopping" : "running";
}

/* ---- JSON ---- */

static void
put_key(struct textbuf *out, const char *key, struct span value)
{
	textbuf_byte(out, '"');
	textbuf_str(out, key);
	textbuf_lit(out, "\":\"");
	textbuf_json(out, value);
	textbuf_byte(out, '"');
}

static void
put_number(struct textbuf *out, const char *key, uint64_t value)
{
	textbuf_lit(out, ",\"");
	textbuf_str(out, key);
	textbuf_lit(out, "\":");
	textbuf_u64(out, value);
}

static void
put_checks_json(struct textbuf *out, const struct roster_member *m)
{
	textbuf_lit(out, ",\"checks\":{");
	for (int c = 0; c < HEALTH_RESULTS; c++) {
		if (c > 0)
			textbuf_byte(out, ',');
		textbuf_byte(out, '"');
		textbuf_str(out, roster_check_text((enum health_result)c));
		textbuf_lit(out, "\":");
		textbuf_u64(out, m->backend->checks[c]);
	}
	textbuf_lit(out, "},");
	put_key(out, "last_check_failed", span_of(m->last_why));
}

static void
put_backend_json(struct textbuf *out, const struct backend *b)
{
	const struct roster_member *m = roster_member_of(b);
	char text[ADDRESS_TEXT_BYTES];
	struct textbuf address = textbuf_make(text, sizeof(text));

	address_put(&address, &b->address);
	textbuf_byte(out, '{');
	put_key(out, "name", b->name_span);
	textbuf_byte(out, ',');
	put_key(out, "address", textbuf_span(&address));
	textbuf_byte(out, ',');
	put_key(out, "state", span_of(roster_state_text(m->state)));
	textbuf_byte(out, ',');
	put_key(out, "reason", span_of(m->why));
	put_number(out, "since_s", since_s(m));
	put_number(out, "weight", b->weight);
	put_number(out, "weight_pct", weight_pct(b));
	put_number(out, "in_flight", backend_in_flight(b));
	put_checks_json(out, m);
	textbuf_lit(out, ",\"attempts\":{");
	for (int o = 0; o < ACCESS_OUTCOMES; o++) {
		if (o > 0)
			textbuf_byte(out, ',');
		textbuf_byte(out, '"');
		textbuf_str(out, access_outcome_text((enum access_outcome)o));
		textbuf_lit(out, "\":");
		textbuf_u64(out, attempts(b, (enum access_outcome)o));
	}
	textbuf_lit(out, "}}");
}

static void
put_pool_json(struct textbuf *out, const struct pages *p, size_t at)
{
	const struct snapshot_pool *pool = &pages_snapshot(p)->pools[at];

	textbuf_byte(out, '{');
	put_key(out, "name", pool->upstream->name_span);
	put_number(out, "waiting", atomic_load(&pool->upstream->waiting));
	put_number(
	    out, "usable", roster_usable(&guard_roster(p->guard)->pools[at]));
	textbuf_lit(out, ",\"backends\":[");
	for (size_t i = 0; i < pool->n_backends && !out->full; i++) {
		if (i > 0)
			textbuf_byte(out, ',');
		put_backend_json(out, pool->backends[i]);
	}
	textbuf_lit(out, "]}");
}

void
pages_put_status_json(struct textbuf *out, const struct pages *p)
{
	textbuf_byte(out, '{');
	put_key(out, "version", SPAN(EVENKEEL_VERSION));
	put_number(out, "pid", (uint64_t)getpid());
	textbuf_byte(out, ',');
	put_key(out, "state", span_of(state_word(p)));
	put_number(out, "uptime_s", uptime_s(p));
	textbuf_byte(out, ',');
	put_key(out, "config", span_of(p->file));
	put_number(out, "workers", p->n_workers);
	put_number(out, "connections", clients(p));
	put_number(out, "log_lines_lost", log_dropped(p->log));
	put_number(out, "checks_late_ms", guard_late_us(p->guard) / 1000);
	put_number(out, "rotations_retired", guard_retired(p->guard));
	put_number(out, "snapshots", registry_alive(p->registry));
	reload_page_put_json(out, p->reload);
	secure_page_put_json(out, pages_snapshot(p), pages_secure(p));
	textbuf_lit(out, ",\"pools\":[");
	for (size_t i = 0; i < pages_snapshot(p)->n_pools && !out->full; i++) {
		if (i > 0)
			textbuf_byte(out, ',');
		put_pool_json(out, p, i);
	}
	textbuf_lit(out, "]}\n");
}

/* ---- a table for people ---- */

static void
put_column(struct textbuf *out, struct span text, size_t width)
{
	textbuf_put(out, text);
	for (size_t i = text.len; i < width; i++)
		textbuf_byte(out, ' ');
	textbuf_byte(out, ' ');
}

static void
put_number_column(struct textbuf *out, uint64_t value, size_t width)
{
	char digits[NUM_U64_DIGITS];
	size_t n = num_put_u64(digits, value);

	for (size_t i = n; i < width; i++)
		textbuf_byte(out, ' ');
	textbuf_put(out, span_make(digits, n));
	textbuf_byte(out, ' ');
}

/* Since when it is in its state, and why, where there is something to say. */
static void
put_condition(struct textbuf *out, const struct roster_member *m)
{
	if (m->why[0] != '\0') {
		textbuf_lit(out, " for ");
		textbuf_u64(out, since_s(m));
		textbuf_lit(out, " s: ");
		textbuf_str(out, m->why);
	} else {
		out->len--;
	}
	if (m->state == ROSTER_UP && weight_pct(m->backend) < 100) {
		textbuf_lit(out, ", weight at ");
		textbuf_u64(out, weight_pct(m->backend));
		textbuf_lit(out, "%");
	}
	textbuf_byte(out, '\n');
}

static void
put_pool_text(struct textbuf *out, const struct snapshot_pool *pool)
{
	textbuf_lit(out, "\npool ");
	textbuf_put(out, pool->upstream->name_span);
	textbuf_lit(out, ", ");
	textbuf_u64(out, atomic_load(&pool->upstream->waiting));
	textbuf_lit(out, " waiting\n  ");
	put_column(out, SPAN("backend"), NAME_COLUMN);
	textbuf_lit(
	    out, "state    weight  in flight           ok       failed\n");
	for (size_t i = 0; i < pool->n_backends && !out->full; i++) {
		const struct backend *b = pool->backends[i];
		const struct roster_member *m = roster_member_of(b);

		textbuf_lit(out, "  ");
		put_column(out, b->name_span, NAME_COLUMN);
		put_column(out, span_of(roster_state_text(m->state)), 8);
		put_number_column(out, b->weight, 6);
		put_number_column(out, backend_in_flight(b), 10);
		put_number_column(out, attempts(b, ACCESS_OK), 12);
		put_number_column(out, failures(b), 12);
		put_condition(out, m);
	}
}

void
pages_put_status_text(struct textbuf *out, const struct pages *p)
{
	textbuf_lit(out, "evenkeel " EVENKEEL_VERSION ", pid ");
	textbuf_u64(out, (uint64_t)getpid());
	textbuf_lit(out, ", ");
	textbuf_str(out, state_word(p));
	textbuf_lit(out, " for ");
	textbuf_u64(out, uptime_s(p));
	textbuf_lit(out, " s with ");
	textbuf_str(out, p->file[0] != '\0' ? p->file : "the command line");
	textbuf_lit(out, "; ");
	textbuf_u64(out, p->n_workers);
	textbuf_str(out, p->n_workers == 1 ? " worker, " : " workers, ");
	textbuf_u64(out, clients(p));
	textbuf_lit(out, " client connections\n");
	reload_page_put_text(out, p->reload, clock_unix_ms());
	secure_page_put_text(out, pages_snapshot(p), pages_secure(p),
	    (int64_t)(clock_unix_ms() / 1000));
	for (size_t i = 0; i < pages_snapshot(p)->n_pools && !out->full; i++)
		put_pool_text(out, &pages_snapshot(p)->pools[i]);
}

/* ---- which page ---- */

static struct span
path_of(const struct httpd_request *r)
{
	return span_make(r->target.ptr, span_find(r->target, '?'));
}

static bool
refuse_other_methods(const struct httpd_request *r, struct httpd_answer *a)
{
	if (r->method == H1_METHOD_GET || r->method == H1_METHOD_HEAD)
		return false;
	a->status = 405;
	textbuf_lit(a->body, "405: these pages are for reading only\n");
	return true;
}

static void
not_found(struct httpd_answer *a)
{
	a->status = 404;
	textbuf_lit(
	    a->body, "404: there are /healthz /readyz /status /metrics\n");
}

static bool
any_usable(const struct pages *p)
{
	const struct roster *r = guard_roster(p->guard);

	for (size_t i = 0; i < r->n_pools; i++)
		if (roster_usable(&r->pools[i]) > 0)
			return true;
	return false;
}

/* Whoever spreads over several of us should leave this one alone when it ends,
 * or when no pool of it can answer; with one pool of many down the others still
 * want their requests. */
static void
put_ready(struct httpd_answer *a, const struct pages *p)
{
	if (!p->draining && any_usable(p)) {
		textbuf_lit(a->body, "ready\n");
		return;
	}
	a->status = 503;
	textbuf_str(a->body,
	    p->draining ? "stopping\n" : "no pool has a usable backend\n");
}

void
pages_on_admin(const struct httpd_request *r, struct httpd_answer *a, void *arg)
{
	const struct pages *p = arg;
	struct span path = path_of(r);

	if (refuse_other_methods(r, a))
		return;
	if (span_equal(path, SPAN("/healthz"))) {
		textbuf_lit(a->body, "ok\n");
	} else if (span_equal(path, SPAN("/readyz"))) {
		put_ready(a, p);
	} else if (span_equal(path, SPAN("/status"))) {
		a->type = "application/json";
		pages_put_status_json(a->body, p);
	} else if (span_equal(path, SPAN("/metrics"))) {
		a->type = METRICS_CONTENT_TYPE;
		metrics_page_put(a->body, p);
	} else {
		not_found(a);
	}
}

void
pages_on_control(
    const struct httpd_request *r, struct httpd_answer *a, void *arg)
{
	const struct pages *p = arg;
	struct span path = path_of(r);

	if (refuse_other_methods(r, a))
		return;
	if (span_equal(path, SPAN("/pid")))
		textbuf_u64(a->body, (uint64_t)getpid());
	else if (span_equal(path, SPAN("/status")))
		pages_put_status_text(a->body, p);
	else if (span_equal(path, SPAN("/status.json")))
		pages_put_status_json(a->body, p);
	else
		a->status = 404;
}
