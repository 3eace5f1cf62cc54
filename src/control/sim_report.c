#include "evenkeel/control/sim_report.h"

#include "evenkeel/base/num.h"
#include "evenkeel/control/sim_advice.h"
#include "evenkeel/control/sim_text.h"

#define MOMENTS_SHOWN 24
#define NAME_COLUMN   16

/* Attempts on backends that are shown one by one. */
#define BACKENDS_SHOWN 50

/* ---- the script ---- */

static const char *
backend_name(const struct sim_report *r, uint32_t i)
{
	return r->script->pool->backends[i].name;
}

static void
put_fault(
    struct textbuf *out, const struct sim_report *r, const struct sim_fault *f)
{
	static const char *const words[] = {
	    "down", "blackhole", "reset", "", "slow "};

	textbuf_lit(out, "backend ");
	textbuf_str(
	    out, f->backend == SIM_ALL ? "*" : backend_name(r, f->backend));
	textbuf_byte(out, ' ');
	textbuf_str(out, words[f->kind]);
	if (f->kind == SIM_STATUS)
		textbuf_u64(out, f->status);
	if (f->kind == SIM_SLOW) {
		sim_text_put_time(out, f->slow.from_us);
		if (f->slow.to_us > f->slow.from_us) {
			textbuf_lit(out, " .. ");
			sim_text_put_time(out, f->slow.to_us);
		}
	}
	if (f->share < SIM_WHOLE) {
		textbuf_byte(out, ' ');
		sim_text_put_share(out, f->share, SIM_WHOLE);
	}
	if (f->retry_after_ms > 0) {
		textbuf_lit(out, " retry-after ");
		sim_text_put_time(out, f->retry_after_ms * 1000ULL);
	}
}

static uint64_t
end_of(const struct sim_report *r, const struct sim_fault *f)
{
	return num_min_u64(f->until_us, r->script->duration_us);
}

static void
put_range(struct textbuf *out, struct sim_range range)
{
	sim_text_put_time(out, range.from_us);
	if (range.to_us == range.from_us)
		return;
	textbuf_lit(out, " to ");
	sim_text_put_time(out, range.to_us);
}

static void
put_head(struct textbuf *out, const struct sim_report *r)
{
	const struct sim_script *s = r->script;

	textbuf_lit(out, "pool ");
	textbuf_str(out, s->pool->name);
	textbuf_lit(out, ": ");
	textbuf_u64(out, s->pool->n_backends);
	textbuf_str(
	    out, s->pool->n_backends == 1 ? " backend, " : " backends, ");
	sim_text_put_time(out, s->duration_us);
	textbuf_lit(out, " of ");
	sim_text_put_decimal(
	    out, s->rate_milli, 1000, s->rate_milli % 1000 ? 3 : 0);
	textbuf_str(out, s->even ? " requests/s (even), " : " requests/s, ");
	sim_text_put_share(out, s->safe_share, SIM_WHOLE);
	textbuf_lit(out, " idempotent, answered in ");
	put_range(out, s->latency);
	textbuf_lit(out, ", seed ");
	textbuf_u64(out, s->seed);
	textbuf_byte(out, '\n');
	for (size_t i = 0; i < s->n_faults; i++) {
		const struct sim_fault *f = &s->faults[i];

		textbuf_lit(out, "  ");
		sim_text_put_time(out, f->from_us);
		textbuf_lit(out, " to ");
		sim_text_put_time(out, end_of(r, f));
		textbuf_lit(out, ": ");
		put_fault(out, r, f);
		textbuf_byte(out, '\n');
	}
}

/* ---- requests ---- */

static const char *const loss_texts[SIM_LOSSES] = {
    [SIM_LOSS_NOT_ASKED] = "not in retry_on",
    [SIM_LOSS_NOT_IDEMPOTENT] = "not safe to repeat (POST, PATCH)",
    [SIM_LOSS_ATTEMPTS] = "no retry was left (retry_attempts)",
    [SIM_LOSS_OFF] = "retries are off (retry_attempts = 0)",
    [SIM_LOSS_WAIT] = "the next wait would have been too long",
    [SIM_LOSS_BUDGET] = "the retry budget was used up",
    [SIM_LOSS_TIME] = "request_timeout was over",
    [SIM_LOSS_QUEUE] = "no backend was usable (queue_timeout, queue_size)",
    [SIM_LOSS_CLIENTS] = "turned away: too many at a time"};

static void
put_requests(struct textbuf *out, const struct sim_report *r)
{
	const struct sim_tally *t = r->with;

	textbuf_lit(out, "\nrequests  ");
	sim_text_put_count(out, t->requests, 10);
	textbuf_lit(out, "\nsucceeded ");
	sim_text_put_count(out, t->succeeded, 10);
	textbuf_lit(out, "  ");
	sim_text_put_share(out, t->succeeded, t->requests);
	if (r->without->succeeded < r->without->requests) {
		textbuf_lit(out, " (without the faults ");
		sim_text_put_share(
		    out, r->without->succeeded, r->without->requests);
		textbuf_byte(out, ')');
	}
	textbuf_lit(out, "\nfailed    ");
	sim_text_put_count(out, t->requests - t->succeeded, 10);
	textbuf_byte(out, '\n');
	for (unsigned status = 0; status < SIM_STATUSES; status++)
		for (int l = 0; l < SIM_LOSSES; l++) {
			if (t->failed[l][status] == 0)
				continue;
			textbuf_lit(out, "  ");
			if (status == 0)
				textbuf_lit(out, "---");
			else
				textbuf_u64(out, status);
			textbuf_lit(out, "     ");
			sim_text_put_count(out, t->failed[l][status], 10);
			textbuf_lit(out, "  ");
			textbuf_str(out, loss_texts[l]);
			textbuf_byte(out, '\n');
		}
}

static const unsigned percentiles[] = {50, 90, 99, 100};

#define PERCENTILES (sizeof(percentiles) / sizeof(percentiles[0]))

static void
put_latency(struct textbuf *out, const char *name, const struct sim_latency *l)
{
	sim_text_put_name(out, name, NAME_COLUMN);
	for (size_t i = 0; i < PERCENTILES; i++)
		sim_text_put_time_right(
		    out, "", sim_latency_at(l, percentiles[i]));
	textbuf_byte(out, '\n');
}

static void
put_latencies(struct textbuf *out, const struct sim_report *r)
{
	textbuf_lit(out,
	    "\nlatency                 p50        p90        p99        max\n");
	put_latency(out, "without faults", &r->without->ok);
	if (r->with->succeeded > 0) {
		put_latency(out, "with them", &r->with->ok);
		sim_text_put_name(out, "added", NAME_COLUMN);
		for (size_t i = 0; i < PERCENTILES; i++) {
			uint64_t a =
			    sim_latency_at(&r->without->ok, percentiles[i]);
			uint64_t b =
			    sim_latency_at(&r->with->ok, percentiles[i]);

			sim_text_put_time_right(
			    out, b < a ? "-" : "+", b < a ? a - b : b - a);
		}
		textbuf_byte(out, '\n');
	}
	if (r->with->bad.n > 0)
		put_latency(out, "of the failed", &r->with->bad);
}

/* ---- load ---- */

static size_t
name_width(const struct sim_report *r)
{
	size_t width = NAME_COLUMN;

	for (uint32_t i = 0; i < r->with->n_backends && i < BACKENDS_SHOWN;
	     i++) {
		size_t len = span_of(backend_name(r, i)).len + 1;

		width = len > width ? len : width;
	}
	return width;
}

static void
put_load(struct textbuf *out, const struct sim_report *r)
{
	size_t width = name_width(r), shown;

	textbuf_byte(out, '\n');
	sim_text_put_name(out, "load", width);
	textbuf_lit(out, " attempts   without  amplified  busiest second\n");
	shown = num_min_size(r->with->n_backends, BACKENDS_SHOWN);
	for (uint32_t i = 0; i < shown; i++) {
		const struct sim_backend_tally *a = &r->with->backends[i];
		const struct sim_backend_tally *b = &r->without->backends[i];

		sim_text_put_name(out, backend_name(r, i), width);
		sim_text_put_count(out, a->attempts, 9);
		sim_text_put_count(out, b->attempts, 10);
		sim_text_put_ratio(out, a->attempts, b->attempts, 11);
		sim_text_put_count(out, a->busiest, 16);
		textbuf_byte(out, '\n');
	}
	if (shown < r->with->n_backends)
		textbuf_lit(out, "...\n");
	sim_text_put_name(out, "all", width);
	sim_text_put_count(out, r->with->attempts, 9);
	sim_text_put_count(out, r->without->attempts, 10);
	sim_text_put_ratio(out, r->with->attempts, r->without->attempts, 11);
	textbuf_lit(out, "\nattempts per request: ");
	sim_text_put_ratio(out, r->with->attempts, r->with->requests, 0);
	textbuf_byte(out, '\n');
}

/* "retries made        25: connect 25" */
static void
put_retries(struct textbuf *out, const struct sim_report *r)
{
	uint64_t made = 0, denied = 0;
	bool first = true;

	for (int c = 0; c < RETRY_CAUSES; c++)
		made += r->with->retries[c];
	for (int v = 0; v < RETRY_VERDICTS; v++)
		denied += r->with->denied[v];
	textbuf_lit(out, "\nretries made     ");
	sim_text_put_count(out, made, 10);
	for (int c = 0; c < RETRY_CAUSES; c++) {
		if (r->with->retries[c] == 0)
			continue;
		textbuf_str(out, first ? ": " : ", ");
		textbuf_str(out, retry_cause_text((enum retry_cause)c));
		textbuf_byte(out, ' ');
		textbuf_u64(out, r->with->retries[c]);
		first = false;
	}
	first = true;
	textbuf_lit(out, "\nretries denied   ");
	sim_text_put_count(out, denied, 10);
	for (int v = 0; v < RETRY_VERDICTS; v++) {
		if (r->with->denied[v] == 0)
			continue;
		textbuf_str(out, first ? ": " : ", ");
		textbuf_str(out, retry_verdict_text((enum retry_verdict)v));
		textbuf_byte(out, ' ');
		textbuf_u64(out, r->with->denied[v]);
		first = false;
	}
	textbuf_lit(out, "\nwaited in queue  ");
	sim_text_put_count(out, r->with->queued, 10);
	textbuf_byte(out, '\n');
}

/* ---- who was taken out, and when ---- */

static void
put_absence(struct textbuf *out, const struct sim_report *r,
    const struct sim_fault *f, uint32_t backend)
{
	struct sim_absence a = sim_absence_of(r->with, f, backend);

	textbuf_lit(out, "backend ");
	textbuf_str(out, backend_name(r, backend));
	textbuf_lit(out, ": ");
	if (!a.out) {
		textbuf_lit(out, "never taken out\n");
		return;
	}
	textbuf_lit(out, "taken out after ");
	sim_text_put_time(out, a.out_us - f->from_us);
	if (!a.back) {
		textbuf_lit(out, ", not back before the end\n");
		return;
	}
	textbuf_lit(out, ", back to stay ");
	if (a.back_us < f->until_us) {
		textbuf_lit(out, "while the fault went on, ");
		sim_text_put_time(out, a.back_us - f->from_us);
		textbuf_lit(out, " after its beginning\n");
		return;
	}
	sim_text_put_time(out, a.back_us - f->until_us);
	textbuf_lit(out, " after the fault ended\n");
}

static void
put_absences(struct textbuf *out, const struct sim_report *r)
{
	const struct sim_script *s = r->script;
	size_t n = num_min_size(s->pool->n_backends, BACKENDS_SHOWN);

	for (size_t i = 0; i < s->n_faults; i++) {
		const struct sim_fault *f = &s->faults[i];

		if (i == 0)
			textbuf_byte(out, '\n');
		for (uint32_t b = 0; f->backend == SIM_ALL && b < n; b++)
			put_absence(out, r, f, b);
		if (f->backend != SIM_ALL)
			put_absence(out, r, f, f->backend);
	}
}

static void
put_moments(struct textbuf *out, const struct sim_report *r)
{
	size_t n = num_min_size(r->with->n_moments, MOMENTS_SHOWN);
	uint64_t more = r->with->n_moments - n + r->with->more_moments;

	if (n > 0)
		textbuf_lit(out, "\nwhat the log would say\n");
	for (size_t i = 0; i < n; i++) {
		char bytes[40];
		struct textbuf t = textbuf_make(bytes, sizeof(bytes));

		sim_text_put_decimal(&t, r->with->moments[i].at_us, 1000000, 3);
		sim_text_put_right(out, textbuf_span(&t), 10);
		textbuf_lit(out, "  ");
		textbuf_str(out, r->with->moments[i].text);
		textbuf_byte(out, '\n');
	}
	if (more > 0) {
		textbuf_lit(out, "       ...  and ");
		textbuf_u64(out, more);
		textbuf_lit(out, " more\n");
	}
}

void
sim_report_put(struct textbuf *out, const struct sim_report *r)
{
	size_t before;

	put_head(out, r);
	put_requests(out, r);
	put_latencies(out, r);
	put_load(out, r);
	put_retries(out, r);
	put_absences(out, r);
	put_moments(out, r);
	before = out->len;
	textbuf_byte(out, '\n');
	sim_advice_put(out, r);
	if (out->len == before + 1)
		out->len = before;
	else
		textbuf_byte(out, '\n');
}
