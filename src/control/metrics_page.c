#include "evenkeel/control/metrics_page.h"

#include <string.h>

#include "evenkeel/base/num.h"
#include "evenkeel/control/metrics_health.h"
#include "evenkeel/control/reload_page.h"
#include "evenkeel/control/secure_page.h"
#include "evenkeel/http/metrics.h"
#include "evenkeel/net/system.h"

#define LABELS(...)                                                           \
	((struct metrics_labels){(const struct metrics_label[]){__VA_ARGS__}, \
	    sizeof((const struct metrics_label[]){__VA_ARGS__}) /             \
		sizeof(struct metrics_label)})
#define NO_LABELS ((struct metrics_labels){NULL, 0})

static void
sum_histogram(struct metrics_histogram *to, const struct histogram *h)
{
	for (int i = 0; i <= METRICS_BUCKETS; i++)
		to->counts[i] += counter_get(&h->bucket[i]);
	to->sum_us += counter_get(&h->sum_us);
}

/* ---- requests ---- */

/* What the pool has answered at that listener.  False: nothing ever, which of
 * many pools and listeners is true for most pairs. */
static bool
sum_codes(
    uint64_t sums[STATS_CODES], const struct upstream *u, const struct front *f)
{
	bool any = false;

	for (uint32_t i = 0; i < u->n_lanes; i++) {
		const struct code_counts *c = atomic_load_explicit(
		    &u->lanes[i].codes, memory_order_acquire);

		for (; c != NULL;
		     c = atomic_load_explicit(&c->next, memory_order_acquire)) {
			if (c->front != f)
				continue;
			if (!any)
				memset(sums, 0, STATS_CODES * sizeof(sums[0]));
			any = true;
			for (unsigned code = 100; code < STATS_CODES; code++)
				sums[code] += counter_get(&c->code[code]);
		}
	}
	return any;
}

static void
put_codes(struct textbuf *out, const struct upstream *u, const struct front *f)
{
	uint64_t sums[STATS_CODES];

	if (!sum_codes(sums, u, f))
		return;
	for (unsigned code = 100; code < STATS_CODES; code++) {
		char digits[NUM_U64_DIGITS];

		if (sums[code] == 0)
			continue;
		metrics_put_count(out, "evenkeel_requests_total",
		    LABELS({"listener", f->name_span}, {"pool", u->name_span},
			{"code", span_make(digits, num_put_u64(digits, code))}),
		    sums[code]);
	}
}

static void
put_requests(struct textbuf *out, const struct pages *p)
{
	const struct upstream *no_pool = pages_snapshot(p)->no_pool, *u;
	const struct front *f;
	size_t at_front = 0;

	metrics_put_family(out, "evenkeel_requests_total", METRICS_COUNTER,
	    "Requests answered, by status code (499: the client left before "
	    "an answer).");
	while ((f = registry_next_front(
		    p->registry, &at_front, pages_now_ms())) != NULL) {
		size_t at = 0;

		while ((u = registry_next_upstream(
			    p->registry, &at, pages_now_ms())) != NULL &&
		    !out->full)
			put_codes(out, u, f);
		put_codes(out, no_pool, f);
	}
}

static void
put_duration_of(struct textbuf *out, const struct upstream *u)
{
	struct metrics_histogram h = {0};

	for (uint32_t i = 0; i < u->n_lanes; i++)
		sum_histogram(&h, &u->lanes[i].duration);
	metrics_put_histogram(out, "evenkeel_request_duration_seconds",
	    LABELS({"pool", u->name_span}), &h);
}

static void
put_durations(struct textbuf *out, const struct pages *p)
{
	metrics_put_family(out, "evenkeel_request_duration_seconds",
	    METRICS_HISTOGRAM,
	    "From the first byte of a request to the last of its answer.");
	pages_each_upstream(out, p, put_duration_of);
	put_duration_of(out, pages_snapshot(p)->no_pool);
}

/* ---- backends ---- */

static void
put_attempts_of(struct textbuf *out, struct span pool, const struct backend *b)
{
	for (int o = 0; o < ACCESS_OUTCOMES; o++) {
		uint64_t sum = 0;

		for (uint32_t i = 0; i < b->n_lanes; i++)
			sum += counter_get(&b->lanes[i].attempts[o]);
		if (sum == 0 && o != ACCESS_OK)
			continue;
		metrics_put_count(out, "evenkeel_attempts_total",
		    LABELS({"pool", pool}, {"backend", b->name_span},
			{"outcome",
			    span_of(
				access_outcome_text((enum access_outcome)o))}),
		    sum);
	}
}

static void
put_attempt_time_of(
    struct textbuf *out, struct span pool, const struct backend *b)
{
	struct metrics_histogram h = {0};

	for (uint32_t i = 0; i < b->n_lanes; i++)
		sum_histogram(&h, &b->lanes[i].head_time);
	metrics_put_histogram(out, "evenkeel_attempt_duration_seconds",
	    LABELS({"pool", pool}, {"backend", b->name_span}), &h);
}

static void
put_inflight_of(struct textbuf *out, struct span pool, const struct backend *b)
{
	uint64_t sum = backend_in_flight(b);

	metrics_put_count(out, "evenkeel_backend_inflight",
	    LABELS({"pool", pool}, {"backend", b->name_span}), sum);
}

static void
put_upstream_connections_of(
    struct textbuf *out, struct span pool, const struct backend *b)
{
	uint64_t fresh = 0, reused = 0;

	for (uint32_t i = 0; i < b->n_lanes; i++) {
		fresh += counter_get(&b->lanes[i].fresh);
		reused += counter_get(&b->lanes[i].reused);
	}
	metrics_put_count(out, "evenkeel_upstream_connections_total",
	    LABELS({"pool", pool}, {"backend", b->name_span},
		{"reused", SPAN("no")}),
	    fresh);
	metrics_put_count(out, "evenkeel_upstream_connections_total",
	    LABELS({"pool", pool}, {"backend", b->name_span},
		{"reused", SPAN("yes")}),
	    reused);
}

static void
put_queues(struct textbuf *out, const struct pages *p)
{
	metrics_put_family(out, "evenkeel_queue_length", METRICS_GAUGE,
	    "Requests that wait for a backend.");
	for (size_t i = 0; i < pages_snapshot(p)->n_pools && !out->full; i++) {
		const struct upstream *u = pages_snapshot(p)->pools[i].upstream;

		metrics_put_count(out, "evenkeel_queue_length",
		    LABELS({"pool", u->name_span}), atomic_load(&u->waiting));
	}
}

static void
put_backends(struct textbuf *out, const struct pages *p)
{
	metrics_put_family(out, "evenkeel_attempts_total", METRICS_COUNTER,
	    "Attempts on a backend that have ended, by outcome.");
	pages_each_backend(out, p, put_attempts_of);
	metrics_put_family(out, "evenkeel_attempt_duration_seconds",
	    METRICS_HISTOGRAM,
	    "From the start of an attempt to the response head.");
	pages_each_backend(out, p, put_attempt_time_of);
	metrics_put_family(out, "evenkeel_backend_inflight", METRICS_GAUGE,
	    "Attempts on a backend that are under way.");
	pages_each_backend(out, p, put_inflight_of);
	metrics_put_family(out, "evenkeel_upstream_connections_total",
	    METRICS_COUNTER,
	    "Attempts by whether their connection was reused.");
	pages_each_backend(out, p, put_upstream_connections_of);
}

/* ---- workers ---- */

static uint64_t
sum_of(const struct pages *p, size_t offset)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < p->n_workers; i++)
		sum += counter_get((const struct counter *)(const void
			*)((const char *)&p->workers[i]->stats + offset));
	return sum;
}

#define SUM(p, member) sum_of((p), offsetof(struct worker_stats, member))

static void
put_bytes(struct textbuf *out, const char *side, const char *direction,
    uint64_t bytes)
{
	metrics_put_count(out, "evenkeel_bytes_total",
	    LABELS({"side", span_of(side)}, {"direction", span_of(direction)}),
	    bytes);
}

static void
put_connections(struct textbuf *out, const struct pages *p)
{
	metrics_put_family(out, "evenkeel_connections", METRICS_GAUGE,
	    "Connections that are open.");
	metrics_put_count(out, "evenkeel_connections",
	    LABELS({"side", SPAN("client")}), SUM(p, clients));
	metrics_put_count(out, "evenkeel_connections",
	    LABELS({"side", SPAN("backend")}), SUM(p, backends));
	metrics_put_family(out, "evenkeel_bytes_total", METRICS_COUNTER,
	    "Bytes received (in) and sent (out) by evenkeel.");
	put_bytes(out, "client", "in", SUM(p, client_in));
	put_bytes(out, "client", "out", SUM(p, client_out));
	put_bytes(out, "backend", "in", SUM(p, backend_in));
	put_bytes(out, "backend", "out", SUM(p, backend_out));
}

/* ---- the process ---- */

static void
put_gauge(struct textbuf *out, const char *name, const char *help, uint64_t n)
{
	metrics_put_family(out, name, METRICS_GAUGE, help);
	metrics_put_count(out, name, NO_LABELS, n);
}

static void
put_process(struct textbuf *out)
{
	struct system_usage u;

	system_usage(&u);
	metrics_put_family(out, "process_cpu_seconds_total", METRICS_COUNTER,
	    "Processor time used, user and system.");
	metrics_put_seconds(
	    out, "process_cpu_seconds_total", NO_LABELS, u.cpu_us);
	put_gauge(out, "process_open_fds", "Descriptors in use.", u.open_files);
	put_gauge(out, "process_max_fds", "Limit of descriptors.", u.max_files);
	put_gauge(out, "process_virtual_memory_bytes", "Virtual memory.",
	    u.virtual_bytes);
	put_gauge(out, "process_resident_memory_bytes", "Resident memory.",
	    u.resident_bytes);
	metrics_put_family(out, "process_start_time_seconds", METRICS_GAUGE,
	    "Start of the process since the Unix epoch.");
	metrics_put_seconds(out, "process_start_time_seconds", NO_LABELS,
	    u.start_unix_ms * 1000);
}

void
metrics_page_put(struct textbuf *out, const struct pages *p)
{
	put_requests(out, p);
	put_durations(out, p);
	put_backends(out, p);
	metrics_health_put(out, p);
	put_queues(out, p);
	put_connections(out, p);
	secure_page_put_handshakes(out, p->workers, p->n_workers);
	secure_page_put_expiries(out, pages_secure(p));
	reload_page_put_metrics(out, p->reload);
	metrics_put_family(out, "evenkeel_log_lines_lost_total",
	    METRICS_COUNTER, "Log lines that could not be written.");
	metrics_put_count(out, "evenkeel_log_lines_lost_total", NO_LABELS,
	    log_dropped(p->log));
	metrics_put_family(out, "evenkeel_build_info", METRICS_GAUGE,
	    "Always 1; the version is in the label.");
	metrics_put_count(out, "evenkeel_build_info",
	    LABELS({"version", SPAN(EVENKEEL_VERSION)}), 1);
	put_process(out);
}
