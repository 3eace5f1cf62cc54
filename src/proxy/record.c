#include "evenkeel/proxy/record.h"

#include "evenkeel/base/num.h"
#include "evenkeel/net/clock.h"
#include "evenkeel/proxy/worker.h"

/* RFC 9110 has no code for it; 499 is what nginx made usual. */
#define STATUS_CLIENT_GONE 499

uint64_t
record_bytes_in(const struct conn *front)
{
	return front->bytes_in - (front->in ? buf_raw_len(front->in) : 0);
}

static uint32_t
ms_between(uint64_t from_us, uint64_t to_us)
{
	return from_us == 0 || to_us < from_us
	    ? 0
	    : (uint32_t)((to_us - from_us) / 1000);
}

void
record_attempt(struct exchange *x, enum access_outcome outcome)
{
	struct attempt *a = &x->attempt;
	struct lane *lane = &a->backend->lanes[x->from.w->index];
	struct exchange_attempt_note *note;

	counter_add(&lane->attempts[outcome], 1);
	if (a->head_us != 0)
		histogram_add(&lane->head_time, a->head_us - a->start_us);
	if (x->n_notes == ACCESS_ATTEMPTS_MAX)
		return;
	note = &x->notes[x->n_notes++];
	*note = (struct exchange_attempt_note){.backend = a->backend,
	    .outcome = (uint8_t)outcome,
	    .reused = a->reused,
	    .wait_ms = ms_between(x->wait_since_us, a->start_us),
	    .status = a->head_us != 0 ? a->head.status : 0,
	    .connect_ms =
		a->reused ? 0 : ms_between(a->start_us, a->connected_us),
	    .head_ms = ms_between(a->start_us, a->head_us)};
}

static struct span
why_of(const struct exchange *x)
{
	static const char *const usual[ACCESS_ENDS] = {
	    [ACCESS_END_OK] = "",
	    [ACCESS_END_CLIENT_BAD] = "the request was malformed",
	    [ACCESS_END_CLIENT_SLOW] = "the client was too slow",
	    [ACCESS_END_CLIENT_GONE] = "the client closed the connection",
	    [ACCESS_END_NO_ROUTE] = "no route or pool takes this request",
	    [ACCESS_END_NO_BACKEND] = "no backend is usable",
	    [ACCESS_END_BACKEND_FAILED] = "the backend failed",
	    [ACCESS_END_BACKEND_SLOW] = "the backend was too slow",
	    [ACCESS_END_BACKEND_BROKE_OFF] =
		"the backend broke off inside the response",
	    [ACCESS_END_SHUTDOWN] = "evenkeel was shutting down",
	    [ACCESS_END_INTERNAL] = "out of memory",
	};

	return span_of(x->why[0] != '\0' ? x->why : usual[x->flow.end]);
}

static void
fill_attempts(const struct exchange *x, struct access_attempt *list)
{
	for (size_t i = 0; i < x->n_notes; i++) {
		const struct exchange_attempt_note *n = &x->notes[i];

		list[i] =
		    (struct access_attempt){.backend = n->backend->name_span,
			.outcome = (enum access_outcome)n->outcome,
			.status = n->status,
			.reused = n->reused,
			.wait_ms = n->wait_ms,
			.connect_ms = n->connect_ms,
			.head_ms = n->head_ms};
	}
}

static struct span
field_value(const struct exchange *x, enum h1_field_id id, const char *base)
{
	const struct h1_field *f = h1_head_find(&x->head, id);

	return f == NULL ? SPAN_NONE : h1_span(f->value, base);
}

/* What the head said, as far as it was read. */
static void
fill_request(const struct exchange *x, struct access_record *r)
{
	const struct buf *in = x->from.conn->in;
	const char *base;

	if (in == NULL)
		return;
	base = in->data + (x->head_done ? x->head_off : in->raw);
	r->method = h1_span(x->head.method_text, base);
	r->target = h1_span(x->head.target, base);
	if (!x->head_done)
		return;
	r->protocol = x->head.minor == 0 ? SPAN("HTTP/1.0") : SPAN("HTTP/1.1");
	r->host = h1_span(x->framing.host, base);
	r->referer = field_value(x, H1_FIELD_REFERER, base);
	r->user_agent = field_value(x, H1_FIELD_USER_AGENT, base);
}

static void
write_line(struct exchange *x, uint64_t duration_us)
{
	struct worker *w = x->from.w;
	struct access_attempt attempts[ACCESS_ATTEMPTS_MAX];
	char line[ACCESS_LINE_BYTES];
	struct textbuf out = textbuf_make(line, sizeof(line));
	struct access_record r = {
	    .time_ms = clock_unix_ms() - duration_us / 1000,
	    .id = exchange_id(x),
	    .listener = x->from.front->name_span,
	    .client = x->client,
	    .status = x->status,
	    .bytes_in = record_bytes_in(x->from.conn) - x->bytes_in_before +
		(x->head_done ? 0 : x->head.pos),
	    .bytes_out = x->from.conn->bytes_out - x->bytes_out_before,
	    .body_out = x->download.bytes + x->reply_bytes,
	    .duration_ms = (uint32_t)(duration_us / 1000),
	    .retries = x->flow.retries,
	    .end = x->flow.end,
	    .why = why_of(x),
	    .attempts = attempts,
	    .n_attempts = x->n_notes,
	};

	fill_request(x, &r);
	fill_attempts(x, attempts);
	if (x->upstream != NULL)
		r.pool = x->upstream->name_span;
	if (x->n_notes > 0)
		r.backend = x->notes[x->n_notes - 1].backend->name_span;
	if (w->snapshot->access_json)
		access_put_json(&out, &r);
	else
		access_put_combined(&out, &r);
	log_put(w->log, LOG_STREAM_ACCESS, textbuf_span(&out));
}

void
record_request(struct exchange *x)
{
	struct worker *w = x->from.w;
	uint64_t duration_us = loop_now_us(w->loop) - x->start_us;
	struct upstream *u =
	    x->upstream != NULL ? x->upstream : w->snapshot->no_pool;

	/* Committed, but nothing of it had left when the client did. */
	if (x->status == 0 ||
	    (x->flow.end == ACCESS_END_CLIENT_GONE &&
		x->from.conn->bytes_out == x->bytes_out_before))
		x->status = STATUS_CLIENT_GONE;
	upstream_count(u, w->index, x->from.front, x->status);
	histogram_add(&u->lanes[w->index].duration, duration_us);
	if (log_has_access(w->log))
		write_line(x, duration_us);
}
