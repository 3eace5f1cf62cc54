/* What is odd in a file without errors. */
#include "evenkeel/config/warn.h"

#include "evenkeel/config/address.h"
#include "evenkeel/config/check_tls.h"
#include "evenkeel/config/items.h"
#include "evenkeel/config/problem.h"
#include "evenkeel/config/value.h"
#include "evenkeel/config/worst.h"

/* nginx closes an idle connection after this by default, and few do later. */
#define KEEPALIVE_USUAL_MS 75000U

/* Of a pool: the line of a key, or 0. */
static unsigned
line_of(const struct draft_section *s, const char *key)
{
	const struct option *o = option_find(OPTION_POOL, span_of(key));

	CHECK(o != NULL);
	return s->seen[o - option_table];
}

/* "KEY: TEXT", at the line of the key or else of the section. */
static void
begin(struct problem *m, struct cfg_build *b, const struct draft_section *s,
    const char *key)
{
	unsigned line = line_of(s, key);

	problem_begin(m, b, CFG_WARNING, line > 0 ? line : s->line, s);
	textbuf_str(&m->text, key);
	textbuf_lit(&m->text, ": ");
}

static void
warn(struct cfg_build *b, const struct draft_section *s, const char *key,
    const char *text)
{
	struct problem m;

	begin(&m, b, s, key);
	textbuf_str(&m.text, text);
	problem_end(&m);
}

/* "NAME (2s)" */
static void
put_named(struct textbuf *out, const char *key, uint64_t ms)
{
	textbuf_str(out, key);
	textbuf_lit(out, " (");
	value_put_duration(out, ms);
	textbuf_byte(out, ')');
}

/* The backends of the section; a name counts as two, for it may have many
 * addresses. */
static size_t
count_backends(const struct draft_section *s)
{
	const struct option *o = option_find(OPTION_POOL, SPAN("backend"));
	size_t n = items_count(s, o);

	for (const struct draft_item *i = s->items; i != NULL; i = i->next)
		n += i->option == o && address_is_name(&i->backend.addr);
	return n;
}

static void
warn_use(struct cfg_build *b, struct draft_section *s)
{
	struct problem m;

	if (!s->used) {
		problem_begin(&m, b, CFG_WARNING, s->line, s);
		textbuf_lit(&m.text, "no listener and no route uses this pool");
		problem_end(&m);
	}
	if (count_backends(s) != 1)
		return;
	problem_begin(&m, b, CFG_WARNING, s->line, s);
	textbuf_lit(&m.text,
	    "backend: there is one; when it fails there is no other backend "
	    "to turn to");
	problem_end(&m);
}

/* What one attempt may take, in the words of its keys. */
static void
put_attempt(struct textbuf *out, const struct cfg_pool *p)
{
	uint64_t ms = worst_attempt_ms(p);

	if (p->attempt_timeout_ms > 0 && ms == p->attempt_timeout_ms) {
		put_named(out, "attempt_timeout", ms);
		return;
	}
	put_named(out, "connect_timeout", p->connect_timeout_ms);
	textbuf_lit(out, " and ");
	put_named(out, "response_timeout", p->response_timeout_ms);
}

static void
warn_request_timeout(struct cfg_build *b, const struct draft_section *s)
{
	const struct cfg_pool *p = s->object;
	struct problem m;

	if (p->request_timeout_ms >= worst_attempt_ms(p))
		return;
	begin(&m, b, s, "request_timeout");
	value_put_duration(&m.text, p->request_timeout_ms);
	textbuf_lit(&m.text, " is shorter than one attempt may take: ");
	put_attempt(&m.text, p);
	textbuf_str(&m.text,
	    p->retry_attempts > 0
		? "; a request to a backend that hangs ends without a retry"
		: "; it ends the attempt");
	problem_end(&m);
}

static void
warn_attempt_timeout(struct cfg_build *b, const struct draft_section *s)
{
	const struct cfg_pool *p = s->object;
	struct cfg_pool without = *p;
	struct problem m;

	if (p->attempt_timeout_ms <= p->response_timeout_ms)
		return;
	without.attempt_timeout_ms = 0;
	begin(&m, b, s, "attempt_timeout");
	value_put_duration(&m.text, p->attempt_timeout_ms);
	textbuf_lit(&m.text, " is longer than ");
	put_named(&m.text, "response_timeout", p->response_timeout_ms);
	textbuf_str(&m.text,
	    p->attempt_timeout_ms < worst_attempt_ms(&without)
		? ", which ends nearly every attempt before it does"
		: ", which ends every attempt before it does: it has no "
		  "effect");
	problem_end(&m);
}

static void
warn_retries(struct cfg_build *b, const struct draft_section *s)
{
	const struct cfg_pool *p = s->object;
	uint64_t waits_ms = worst_waits_ms(p);
	struct problem m;

	if (p->retry_attempts == 0)
		return;
	if (p->retry_non_idempotent == CFG_ON)
		warn(b, s, "retry_non_idempotent",
		    "POST and PATCH are sent again although a backend may "
		    "have carried them out: an order can be placed twice");
	if (waits_ms < p->request_timeout_ms)
		return;
	begin(&m, b, s, "retry_attempts");
	textbuf_lit(&m.text, "the waits before ");
	textbuf_u64(&m.text, p->retry_attempts);
	textbuf_str(&m.text,
	    p->retry_attempts == 1 ? " retry may take " : " retries may take ");
	value_put_duration(&m.text, waits_ms);
	textbuf_lit(&m.text, ", but the request has ended by then: ");
	put_named(&m.text, "request_timeout", p->request_timeout_ms);
	problem_end(&m);
}

static void
warn_keepalive(struct cfg_build *b, const struct draft_section *s)
{
	const struct cfg_pool *p = s->object;
	struct problem m;

	if (p->keepalive == 0 || p->keepalive_timeout_ms <= KEEPALIVE_USUAL_MS)
		return;
	begin(&m, b, s, "keepalive_timeout");
	value_put_duration(&m.text, p->keepalive_timeout_ms);
	textbuf_lit(&m.text,
	    " is longer than most servers keep an idle connection (by "
	    "default nginx 75s, Apache and Node.js 5s); a request may meet "
	    "one that the backend is just closing");
	problem_end(&m);
}

/* Keys that only `health = http` heeds; who forgot that line has checks that
 * look at nothing of this. */
static void
warn_tcp(struct cfg_build *b, const struct draft_section *s)
{
	static const char *const keys[] = {"health_path", "health_method",
	    "health_host", "health_status", "health_body"};

	if (line_of(s, "health") > 0)
		return;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (line_of(s, keys[i]) > 0) {
			warn(b, s, keys[i],
			    "checks only connect, as health is tcp by "
			    "default, and do not look at this; health = http "
			    "does");
			return;
		}
}

static void
warn_health(struct cfg_build *b, const struct draft_section *s, bool ejects)
{
	const struct cfg_pool *p = s->object;
	struct problem m;

	if (p->health == CFG_HEALTH_OFF) {
		warn(b, s, "health",
		    ejects ? "off, so only requests that fail on a backend "
			     "take it out"
			   : "off, and failing requests take no backend out "
			     "either: one that is down goes on getting its "
			     "share of the requests");
		return;
	}
	if (p->health_timeout_ms > p->health_interval_ms) {
		begin(&m, b, s, "health_timeout");
		value_put_duration(&m.text, p->health_timeout_ms);
		textbuf_lit(&m.text, " is longer than ");
		put_named(&m.text, "health_interval", p->health_interval_ms);
		textbuf_lit(&m.text,
		    "; checks that time out are therefore further apart");
		problem_end(&m);
	}
	warn_tcp(b, s);
}

static void
warn_pool(struct cfg_build *b, struct draft_section *s)
{
	struct cfg_pool p = *(const struct cfg_pool *)s->object;

	/* Not assembled yet. */
	p.n_backends = count_backends(s);
	warn_use(b, s);
	warn_request_timeout(b, s);
	warn_attempt_timeout(b, s);
	warn_retries(b, s);
	warn_keepalive(b, s);
	warn_health(b, s, worst_ejected(&p) > 0);
}

/* A route without host and path takes every request of its listeners. */
static bool
takes_all(const struct draft_section *s)
{
	return s->items != NULL && s->items->next == NULL &&
	    s->items->option->type == OPTION_POOL_NAME;
}

static void
warn_route(struct cfg_build *b, struct draft_section *s,
    const struct draft_section *all)
{
	struct problem m;

	problem_begin(&m, b, CFG_WARNING, s->line, s);
	textbuf_lit(&m.text, "never taken: route ");
	textbuf_str(&m.text, all->name);
	textbuf_lit(&m.text, " at line ");
	textbuf_u64(&m.text, all->line);
	textbuf_lit(&m.text, " takes every request");
	problem_end(&m);
}

void
warn_draft(struct cfg_build *b)
{
	const struct draft_section *all = NULL;

	for (struct draft_section *s = b->sections; s != NULL; s = s->next) {
		check_tls_warn(b, s);
		if (s->kind == OPTION_POOL)
			warn_pool(b, s);
		if (s->kind != OPTION_ROUTE)
			continue;
		if (all != NULL)
			warn_route(b, s, all);
		else if (takes_all(s))
			all = s;
	}
}
