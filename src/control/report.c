#include "evenkeel/control/report.h"

#include "evenkeel/base/num.h"
#include "evenkeel/config/address.h"
#include "evenkeel/config/worst.h"

/* Thousandths, without zeros at the end: "7.6". */
static void
put_thousandths(struct textbuf *out, uint64_t n)
{
	unsigned width = 3;
	uint64_t rest = n % 1000;

	textbuf_u64(out, n / 1000);
	if (rest == 0)
		return;
	for (; rest % 10 == 0; rest /= 10)
		width--;
	textbuf_byte(out, '.');
	textbuf_u64_padded(out, rest, width);
}

static void
put_ms(struct textbuf *out, uint64_t ms)
{
	put_thousandths(out, ms);
	textbuf_lit(out, " s");
}

/* "1 retry", "2 retries". */
static void
put_count(struct textbuf *out, uint64_t n, const char *one, const char *many)
{
	textbuf_u64(out, n);
	textbuf_byte(out, ' ');
	textbuf_str(out, n == 1 ? one : many);
}

static void
put_listener(struct textbuf *out, const struct cfg_listener *l)
{
	textbuf_lit(out, "listener ");
	textbuf_str(out, l->name);
	textbuf_lit(out, ":");
	for (size_t i = 0; i < l->n_binds; i++) {
		textbuf_byte(out, ' ');
		textbuf_str(out, l->binds[i].text);
	}
	if (l->n_tls_certificates > 0)
		textbuf_lit(out, ", tls");
	if (l->redirect_port != 0) {
		textbuf_lit(out, " -> redirected to https, port ");
		textbuf_u64(out, l->redirect_port);
	} else if (l->pool != NULL) {
		textbuf_lit(out, " -> pool ");
		textbuf_str(out, l->pool->name);
	}
	textbuf_byte(out, '\n');
}

/* What the longest wait consists of. */
static void
put_parts(struct textbuf *out, const struct cfg_pool *p)
{
	put_ms(out, worst_queue_ms(p));
	textbuf_lit(out, " in the queue, ");
	put_count(out, p->retry_attempts + 1, "attempt of ", "attempts of ");
	put_ms(out, worst_attempt_ms(p));
	if (p->retry_attempts > 0) {
		textbuf_lit(out, ", ");
		put_ms(out, worst_waits_ms(p));
		textbuf_lit(out, " between them");
	}
	if (p->keepalive > 0) {
		textbuf_lit(out, ", ");
		put_ms(out, WORST_STALE_MS);
		textbuf_lit(out, " for a stale connection");
	}
}

static void
put_wait(struct textbuf *out, const struct cfg_pool *p)
{
	uint64_t ms = worst_request_ms(p);

	textbuf_lit(out, "  longest wait of a client, its upload apart: ");
	put_ms(out, num_min_u64(ms, p->request_timeout_ms));
	if (ms <= p->request_timeout_ms) {
		textbuf_lit(out, " (");
		put_parts(out, p);
		textbuf_lit(out, "); request_timeout is ");
		put_ms(out, p->request_timeout_ms);
	} else {
		textbuf_lit(out, ", then request_timeout ends it (");
		put_parts(out, p);
		textbuf_lit(out, " would be ");
		put_ms(out, ms);
		textbuf_byte(out, ')');
	}
	textbuf_byte(out, '\n');
}

static void
put_attempts(struct textbuf *out, const struct cfg_pool *p)
{
	textbuf_lit(out, "  most attempts of a request: ");
	textbuf_u64(out, p->retry_attempts + 1);
	if (p->retry_attempts > 0) {
		textbuf_lit(out, ", the first and ");
		put_count(out, p->retry_attempts, "retry", "retries");
	}
	if (p->keepalive > 0)
		textbuf_lit(out, "; one more when a kept connection was stale");
	textbuf_byte(out, '\n');
}

/* "1.2 times the requests" */
static void
put_times(struct textbuf *out, uint32_t pct, const char *what)
{
	if (pct == 100) {
		textbuf_lit(out, "no more ");
		textbuf_str(out, what);
		textbuf_lit(out, " than without retries");
		return;
	}
	put_thousandths(out, (uint64_t)pct * 10);
	textbuf_lit(out, " times the ");
	textbuf_str(out, what);
}

static void
put_load(struct textbuf *out, const struct cfg_pool *p)
{
	textbuf_lit(out, "  load when every backend fails: ");
	put_times(out, worst_requests_pct(p), "requests");
	if (worst_has_floor(p)) {
		textbuf_lit(out, " and ");
		put_count(out, p->retry_budget_min, "retry", "retries");
		textbuf_lit(out, " a second besides");
	}
	textbuf_lit(out, "; when none can be reached, ");
	put_times(out, worst_connects_pct(p), "connects");
	textbuf_byte(out, '\n');
}

/* "10 s to 120 s" */
static void
put_ejection(struct textbuf *out, const struct cfg_pool *p)
{
	put_ms(out, p->eject_base_ms);
	if (p->eject_base_ms == p->eject_cap_ms)
		return;
	textbuf_lit(out, " to ");
	put_ms(out, p->eject_cap_ms);
}

static size_t
count_names(const struct cfg_pool *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_backends; i++)
		n += address_is_name(&p->backends[i].addr);
	return n;
}

/* How many may be ejected at a time; with names, of as many as there are at
 * least when it matters: a name may have any number of addresses. */
static uint32_t
count_ejected(const struct cfg_pool *p)
{
	struct cfg_pool most = *p;

	most.n_backends += count_names(p);
	return worst_ejected(&most);
}

static void
put_share(struct textbuf *out, const struct cfg_pool *p)
{
	if (count_names(p) > 0) {
		textbuf_u64(out, p->eject_max_pct);
		textbuf_lit(out, " % of the addresses");
		return;
	}
	textbuf_u64(out, count_ejected(p));
	textbuf_lit(out, " of ");
	textbuf_u64(out, p->n_backends);
}

static void
put_out(struct textbuf *out, const struct cfg_pool *p)
{
	bool checks = p->health != CFG_HEALTH_OFF;
	uint32_t most = count_ejected(p);

	textbuf_lit(out, "  a dead backend is out: ");
	if (!checks && most == 0)
		textbuf_lit(out, "never");
	if (checks) {
		textbuf_lit(out, "after ");
		put_ms(out, worst_down_ms(p));
		textbuf_lit(out, " at the latest, by checks");
	}
	if (most > 0) {
		textbuf_str(out, checks ? "; sooner after " : "after ");
		put_count(out, p->eject_failures, "failed attempt",
		    "failed attempts in a row");
		textbuf_str(out,
		    p->eject_failures == 1 ? ", which takes out at most "
					   : ", which take out at most ");
		put_share(out, p);
		textbuf_lit(out, " at a time");
	}
	textbuf_byte(out, '\n');
}

static void
put_back(struct textbuf *out, const struct cfg_pool *p)
{
	bool checks = p->health != CFG_HEALTH_OFF;

	if (!checks && count_ejected(p) == 0)
		return;
	textbuf_lit(out, "  one that works again is back: after ");
	if (checks) {
		put_ms(out, worst_up_ms(p));
		textbuf_lit(out, " at the latest, by checks");
	}
	if (count_ejected(p) > 0) {
		textbuf_str(out, checks ? "; after " : "");
		put_ejection(out, p);
		textbuf_lit(out, ", when failed attempts took it out");
	}
	if (p->slow_start_ms > 0) {
		textbuf_lit(out, "; with its full share ");
		put_ms(out, p->slow_start_ms);
		textbuf_lit(out, " later");
	}
	textbuf_byte(out, '\n');
}

static void
put_pool(struct textbuf *out, const struct cfg_pool *p)
{
	textbuf_lit(out, "pool ");
	textbuf_str(out, p->name);
	textbuf_lit(out, ": ");
	put_count(out, p->n_backends, "backend", "backends");
	if (count_names(p) > 0) {
		textbuf_lit(out, ", ");
		put_count(out, count_names(p),
		    "of them a name: all its addresses",
		    "of them names: all their addresses");
	}
	textbuf_byte(out, '\n');
	put_wait(out, p);
	put_attempts(out, p);
	put_load(out, p);
	put_out(out, p);
	put_back(out, p);
}

void
report_put(struct textbuf *out, const char *file, const struct cfg *cfg)
{
	textbuf_str(out, file);
	textbuf_lit(out, ": valid\n");
	for (size_t i = 0; i < cfg->n_listeners; i++)
		put_listener(out, &cfg->listeners[i]);
	for (size_t i = 0; i < cfg->n_pools; i++)
		put_pool(out, &cfg->pools[i]);
}
