#include "evenkeel/control/sim_json.h"

#include "evenkeel/base/num.h"
#include "evenkeel/control/budgets.h"
#include "evenkeel/control/sim_advice.h"
#include "evenkeel/control/sim_text.h"

#define ADVICE_BYTES 1024

/* `"key":`, with a comma unless it is the first of its object. */
static void
key(struct textbuf *out, const char *name)
{
	char before = out->len > 0 ? out->ptr[out->len - 1] : '{';

	if (before != '{' && before != '[')
		textbuf_byte(out, ',');
	textbuf_byte(out, '"');
	textbuf_json(out, span_of(name));
	textbuf_lit(out, "\":");
}

static void
item(struct textbuf *out)
{
	if (out->len > 0 && out->ptr[out->len - 1] != '[')
		textbuf_byte(out, ',');
}

static void
number(struct textbuf *out, const char *name, uint64_t n)
{
	key(out, name);
	textbuf_u64(out, n);
}

static void
text(struct textbuf *out, const char *name, struct span s)
{
	key(out, name);
	textbuf_byte(out, '"');
	textbuf_json(out, s);
	textbuf_byte(out, '"');
}

static void
thousandths(struct textbuf *out, const char *name, uint64_t n, uint64_t unit)
{
	key(out, name);
	if (unit == 0)
		textbuf_lit(out, "null");
	else
		sim_text_put_decimal(out, n, unit, 3);
}

static void
ratio(struct textbuf *out, const char *name, uint64_t part, uint64_t whole)
{
	key(out, name);
	if (whole == 0)
		textbuf_lit(out, "null");
	else
		sim_text_put_decimal(out, part, whole, 6);
}

static void
put_latency(struct textbuf *out, const char *name, const struct sim_latency *l)
{
	key(out, name);
	textbuf_byte(out, '{');
	number(out, "count", l->n);
	thousandths(out, "p50_ms", sim_latency_at(l, 50), 1000);
	thousandths(out, "p90_ms", sim_latency_at(l, 90), 1000);
	thousandths(out, "p99_ms", sim_latency_at(l, 99), 1000);
	thousandths(out, "max_ms", l->max_us, 1000);
	textbuf_byte(out, '}');
}

static void
put_failed(struct textbuf *out, const struct sim_tally *t)
{
	key(out, "failed_by");
	textbuf_byte(out, '[');
	for (unsigned status = 0; status < SIM_STATUSES; status++)
		for (int l = 0; l < SIM_LOSSES; l++) {
			if (t->failed[l][status] == 0)
				continue;
			item(out);
			textbuf_byte(out, '{');
			number(out, "status", status);
			text(out, "why",
			    span_of(sim_loss_text((enum sim_loss)l)));
			number(out, "requests", t->failed[l][status]);
			textbuf_byte(out, '}');
		}
	textbuf_byte(out, ']');
}

static void
put_retries(struct textbuf *out, const struct sim_tally *t)
{
	key(out, "retries");
	textbuf_byte(out, '{');
	for (int c = 0; c < RETRY_CAUSES; c++)
		number(
		    out, retry_cause_text((enum retry_cause)c), t->retries[c]);
	textbuf_byte(out, '}');
	key(out, "denied");
	textbuf_byte(out, '{');
	for (int v = RETRY_YES + 1; v < RETRY_VERDICTS; v++)
		number(out, retry_verdict_text((enum retry_verdict)v),
		    t->denied[v]);
	textbuf_byte(out, '}');
	number(out, "budget_used_up_ms", t->broke_ticks * BUDGETS_STEP_MS);
}

static void
put_backends(struct textbuf *out, const struct sim_report *r)
{
	key(out, "backends");
	textbuf_byte(out, '[');
	for (size_t i = 0; i < r->with->n_backends; i++) {
		const struct sim_backend_tally *b = &r->with->backends[i];
		uint64_t without = r->without->backends[i].attempts;

		item(out);
		textbuf_byte(out, '{');
		text(out, "name", span_of(r->script->pool->backends[i].name));
		number(out, "attempts", b->attempts);
		number(out, "attempts_without", without);
		ratio(out, "amplification", b->attempts, without);
		number(out, "busiest_second", b->busiest);
		key(out, "outcomes");
		textbuf_byte(out, '{');
		for (int o = 0; o < ACCESS_OUTCOMES; o++)
			if (b->outcomes[o] > 0)
				number(out,
				    access_outcome_text((enum access_outcome)o),
				    b->outcomes[o]);
		textbuf_lit(out, "}}");
	}
	textbuf_byte(out, ']');
}

static void
put_absence(struct textbuf *out, const struct sim_report *r,
    const struct sim_fault *f, uint32_t backend)
{
	struct sim_absence a = sim_absence_of(r->with, f, backend);

	item(out);
	textbuf_byte(out, '{');
	number(out, "line", f->line);
	text(out, "backend", span_of(r->script->pool->backends[backend].name));
	thousandths(out, "from_s", f->from_us, 1000000);
	thousandths(out, "until_s",
	    num_min_u64(f->until_us, r->script->duration_us), 1000000);
	thousandths(out, "out_s", a.out_us, a.out ? 1000000 : 0);
	thousandths(out, "back_s", a.back_us, a.out && a.back ? 1000000 : 0);
	textbuf_byte(out, '}');
}

static void
put_absences(struct textbuf *out, const struct sim_report *r)
{
	const struct sim_script *s = r->script;

	key(out, "faults");
	textbuf_byte(out, '[');
	for (size_t i = 0; i < s->n_faults; i++)
		for (uint32_t b = 0; b < s->pool->n_backends; b++)
			if (s->faults[i].backend == SIM_ALL ||
			    s->faults[i].backend == b)
				put_absence(out, r, &s->faults[i], b);
	textbuf_byte(out, ']');
}

static void
put_changes(struct textbuf *out, const struct sim_report *r)
{
	key(out, "changes");
	textbuf_byte(out, '[');
	for (size_t i = 0; i < r->with->n_changes; i++) {
		const struct sim_change *c = &r->with->changes[i];

		item(out);
		textbuf_byte(out, '{');
		thousandths(out, "at_s", c->at_us, 1000000);
		text(out, "backend",
		    span_of(r->script->pool->backends[c->backend].name));
		text(out, "state", span_of(roster_state_text(c->state)));
		textbuf_byte(out, '}');
	}
	textbuf_byte(out, ']');
}

static void
put_advice(struct textbuf *out, const struct sim_report *r)
{
	char bytes[ADVICE_BYTES];
	struct textbuf advice = textbuf_make(bytes, sizeof(bytes));

	sim_advice_put(&advice, r);
	text(out, "advice", textbuf_span(&advice));
}

void
sim_json_put(struct textbuf *out, const struct sim_report *r)
{
	const struct sim_tally *t = r->with;

	textbuf_byte(out, '{');
	text(out, "pool", span_of(r->script->pool->name));
	number(out, "seed", r->script->seed);
	thousandths(out, "duration_s", r->script->duration_us, 1000000);
	thousandths(out, "rate", r->script->rate_milli, 1000);
	number(out, "requests", t->requests);
	number(out, "succeeded", t->succeeded);
	number(out, "failed", t->requests - t->succeeded);
	ratio(out, "success_rate", t->succeeded, t->requests);
	put_failed(out, t);
	key(out, "latency");
	textbuf_byte(out, '{');
	put_latency(out, "without", &r->without->ok);
	put_latency(out, "with", &t->ok);
	put_latency(out, "failed", &t->bad);
	textbuf_byte(out, '}');
	number(out, "attempts", t->attempts);
	number(out, "attempts_without", r->without->attempts);
	ratio(out, "attempts_per_request", t->attempts, t->requests);
	put_retries(out, t);
	number(out, "retried", t->retried);
	number(out, "retried_succeeded", t->retried_well);
	number(out, "queued", t->queued);
	number(out, "most_at_once", t->most_at_once);
	put_backends(out, r);
	put_absences(out, r);
	put_changes(out, r);
	put_advice(out, r);
	textbuf_lit(out, "}\n");
}
