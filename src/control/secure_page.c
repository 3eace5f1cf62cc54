#include "evenkeel/control/secure_page.h"

#include "evenkeel/http/metrics.h"

#define HOUR_S 3600
#define DAY_S  (24 * HOUR_S)

/* Nothing was issued before 1970. */
static uint64_t
seconds_of(int64_t unix_s)
{
	return unix_s > 0 ? (uint64_t)unix_s : 0;
}

/* ---- JSON ---- */

static void
put_listener_json(struct textbuf *out, const struct snapshot_listener *l,
    const struct secure *secure)
{
	int64_t expires_s = secure_next_expiry(secure, l->cfg->name);

	textbuf_lit(out, "{\"name\":\"");
	textbuf_json(out, span_of(l->cfg->name));
	textbuf_lit(out, "\",\"tls\":");
	textbuf_str(out, l->tls != NULL ? "true" : "false");
	if (l->tls != NULL) {
		textbuf_lit(out, ",\"certificate_expires\":\"");
		access_put_time(out, seconds_of(expires_s) * 1000);
		textbuf_byte(out, '"');
	}
	textbuf_byte(out, '}');
}

void
secure_page_put_json(
    struct textbuf *out, const struct snapshot *s, const struct secure *secure)
{
	textbuf_lit(out, ",\"listeners\":[");
	for (size_t i = 0; i < s->n_listeners && !out->full; i++) {
		if (i > 0)
			textbuf_byte(out, ',');
		put_listener_json(out, &s->listeners[i], secure);
	}
	textbuf_byte(out, ']');
}

/* ---- for people ---- */

/* "54 days"; "7 hours" of what is less than two days. */
static void
put_time_left(struct textbuf *out, uint64_t left_s)
{
	uint64_t n = left_s >= 2 * DAY_S ? left_s / DAY_S : left_s / HOUR_S;

	textbuf_u64(out, n);
	textbuf_str(out, left_s >= 2 * DAY_S ? " day" : " hour");
	textbuf_str(out, n == 1 ? "" : "s");
}

static void
put_listener_text(struct textbuf *out, const struct snapshot_listener *l,
    const struct secure *secure, int64_t now_unix_s)
{
	uint64_t expires_s =
	    seconds_of(secure_next_expiry(secure, l->cfg->name));
	uint64_t now_s = seconds_of(now_unix_s);

	textbuf_lit(out, "listener ");
	textbuf_str(out, l->cfg->name);
	if (expires_s > now_s) {
		textbuf_lit(out, ", tls, certificate valid for ");
		put_time_left(out, expires_s - now_s);
	} else {
		textbuf_lit(out, ", tls, certificate EXPIRED ");
		put_time_left(out, now_s - expires_s);
		textbuf_lit(out, " ago");
	}
	textbuf_lit(out, " (");
	access_put_time(out, expires_s * 1000);
	textbuf_lit(out, ")\n");
}

void
secure_page_put_text(struct textbuf *out, const struct snapshot *s,
    const struct secure *secure, int64_t now_unix_s)
{
	for (size_t i = 0; i < s->n_listeners && !out->full; i++)
		if (s->listeners[i].tls != NULL)
			put_listener_text(
			    out, &s->listeners[i], secure, now_unix_s);
}

/* ---- metrics ---- */

void
secure_page_put_expiries(struct textbuf *out, const struct secure *secure)
{
	static const char name[] =
	    "evenkeel_tls_certificate_expiry_timestamp_seconds";

	metrics_put_family(out, name, METRICS_GAUGE,
	    "When a certificate of the configuration in force expires, since "
	    "the Unix epoch.");
	for (size_t i = 0;
	     secure != NULL && i < secure->n_certificates && !out->full; i++) {
		const struct secure_certificate *c = &secure->certificates[i];
		const struct metrics_label labels[] = {
		    {"section", span_of(c->section)},
		    {"name", span_of(c->name)}, {"file", span_of(c->file)}};

		metrics_put_count(out, name, (struct metrics_labels){labels, 3},
		    seconds_of(c->expires_s));
	}
}

void
secure_page_put_handshakes(
    struct textbuf *out, struct worker *const *workers, uint32_t n)
{
	static const char name[] = "evenkeel_tls_handshakes_total";
	static const char *const sides[] = {"client", "backend"};
	static const char *const results[] = {"full", "resumed", "failed"};

	metrics_put_family(out, name, METRICS_COUNTER,
	    "TLS handshakes that have ended, with clients and with backends.");
	for (int side = 0; side < STATS_SIDES; side++)
		for (int result = 0; result < STATS_HANDSHAKES; result++) {
			const struct metrics_label labels[] = {
			    {"side", span_of(sides[side])},
			    {"result", span_of(results[result])}};
			uint64_t sum = 0;

			for (uint32_t i = 0; i < n; i++)
				sum += counter_get(
				    &workers[i]
					 ->stats.tls_handshakes[side][result]);
			metrics_put_count(
			    out, name, (struct metrics_labels){labels, 2}, sum);
		}
}
