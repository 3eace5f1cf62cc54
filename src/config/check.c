/* What only the whole file can tell. */
#include "evenkeel/config/check.h"

#include "evenkeel/config/check_tls.h"
#include "evenkeel/config/value.h"
#include "evenkeel/config/problem.h"
#include "evenkeel/config/items.h"
#include "evenkeel/config/warn.h"

/* Names that a message lists. */
#define LISTED_MAX 8

static void
missing(struct cfg_build *b, struct draft_section *s, const struct option *o)
{
	struct problem m;

	problem_begin(&m, b, CFG_ERROR, s->line, s);
	textbuf_str(&m.text, o->name);
	textbuf_lit(&m.text, ": the key is required");
	problem_put_allowed(&m, o);
	problem_end(&m);
}

static void
check_required(struct cfg_build *b, struct draft_section *s)
{
	for (size_t i = 0; i < option_count; i++)
		if (option_table[i].section == s->kind &&
		    option_table[i].required && s->seen[i] == 0 && !s->meant[i])
			missing(b, s, &option_table[i]);
}

/* What the file does not say is as the table says; those that are plain
 * began with it. */
static void
preset_items(struct cfg_build *b, struct draft_section *s)
{
	struct cfg_entry e = {.line = s->line};

	/* A second [admin] is an error, and listens nowhere. */
	if (s->kind == OPTION_ADMIN && s != b->admin)
		return;
	for (size_t i = 0; i < option_count; i++) {
		const struct option *o = &option_table[i];

		if (o->section != s->kind || value_is_plain(o) ||
		    o->preset == NULL || s->seen[i] != 0)
			continue;
		e.value = span_of(o->preset);
		items_parse(b, s, o, &e);
	}
}

/* A section of the kind that may be named in a message. */
static bool
is_known(const struct draft_section *s, enum option_section kind)
{
	return s->kind == kind && value_is_name(span_of(s->name));
}

/* "NAME, NAME, ..." of the sections of a kind. */
static void
put_known(struct problem *m, enum option_section kind)
{
	const struct draft_section *s = m->build->sections;
	size_t n = 0;

	for (; s != NULL && n <= LISTED_MAX; s = s->next) {
		if (!is_known(s, kind))
			continue;
		textbuf_str(&m->text, n > 0 ? ", " : "");
		textbuf_str(&m->text, n < LISTED_MAX ? s->name : "...");
		n++;
	}
	if (n > 0)
		return;
	textbuf_lit(&m->text, "none, as there is no [");
	textbuf_str(&m->text, option_section_word(kind));
	textbuf_lit(&m->text, " NAME]");
}

static void
unknown_name(struct cfg_build *b, const struct draft_section *in,
    const struct draft_item *i, enum option_section kind)
{
	struct problem m;
	struct nearest near;

	problem_begin(&m, b, CFG_ERROR, i->line, in);
	problem_put_value(&m, i->option, span_of(i->text));
	textbuf_lit(&m.text, "unknown ");
	textbuf_str(&m.text, option_section_word(kind));
	nearest_init(&near, span_of(i->text));
	for (const struct draft_section *s = b->sections; s; s = s->next)
		if (is_known(s, kind))
			nearest_offer(&near, span_of(s->name));
	if (!problem_put_nearest(&m, &near)) {
		textbuf_lit(&m.text, "; allowed: ");
		put_known(&m, kind);
	}
	problem_end(&m);
}

static void
check_reference(
    struct cfg_build *b, struct draft_section *s, const struct draft_item *i)
{
	enum option_section kind =
	    i->option->type == OPTION_POOL_NAME ? OPTION_POOL : OPTION_LISTENER;
	struct draft_section *to;

	to = names_owner(&b->names, kind, span_of(i->text));
	if (to == NULL)
		unknown_name(b, s, i, kind);
	else
		to->used = true;
}

/* "the same address" or "the same name" for the second time. */
static void
twice(struct cfg_build *b, struct draft_section *s, const struct draft_item *i,
    const struct draft_item *first, const char *what)
{
	struct problem m;

	problem_begin(&m, b, CFG_ERROR, i->line, s);
	problem_put_value(&m, i->option, span_of(i->text));
	textbuf_lit(&m.text, "the same ");
	textbuf_str(&m.text, what);
	textbuf_lit(&m.text, " is already at line ");
	textbuf_u64(&m.text, first->line);
	textbuf_lit(&m.text, "; allowed: once");
	problem_end(&m);
}

/* The address and the name of a backend, once each in its pool. */
static void
check_backend(
    struct cfg_build *b, struct draft_section *s, struct draft_item *i)
{
	const struct cfg_backend *backend = &i->backend;
	const struct draft_item *first;

	first = names_give(&b->names, s->scope + (backend->https ? 2 : 0),
	    span_of(backend->addr.text), i);
	if (first != NULL) {
		twice(b, s, i, first, "address");
		return;
	}
	first = names_give(&b->names, s->scope + 1, span_of(backend->name), i);
	if (first != NULL)
		twice(b, s, i, first, "name");
}

/* One address is listened on once, over listeners and [admin]; port 0 is a
 * different port each time. */
static void
check_bind(struct cfg_build *b, struct draft_section *s, struct draft_item *i)
{
	const struct cfg_addr *addr = &i->backend.addr;
	const struct draft_item *first;

	if (addr->kind != CFG_ADDR_UNIX && addr->port == 0)
		return;
	first =
	    names_give(&b->names, DRAFT_SCOPE_BINDS, span_of(addr->text), i);
	if (first != NULL)
		twice(b, s, i, first, "address");
}

/* Both were said, or are known to be the default. */
static bool
is_sure(const struct draft_section *s, const struct option *o)
{
	size_t i = (size_t)(o - option_table);

	return !s->refused[i] && !s->meant[i];
}

static uint32_t
duration_of(const struct draft_section *s, const struct option *o)
{
	uint32_t ms;

	memcpy(&ms, (const char *)s->object + o->offset, sizeof(ms));
	return ms;
}

/* "retry_cap: 10ms is shorter than retry_base (25ms at line 7)". */
static void
wrong_order(struct cfg_build *b, const struct draft_section *s,
    const struct option *at, const struct option *other)
{
	bool shorter = duration_of(s, at) < duration_of(s, other);
	unsigned line = s->seen[other - option_table];
	struct problem m;

	problem_begin(&m, b, CFG_ERROR, s->seen[at - option_table], s);
	textbuf_str(&m.text, at->name);
	textbuf_lit(&m.text, ": ");
	value_put_duration(&m.text, duration_of(s, at));
	textbuf_str(
	    &m.text, shorter ? " is shorter than " : " is longer than ");
	textbuf_str(&m.text, other->name);
	textbuf_lit(&m.text, " (");
	value_put_duration(&m.text, duration_of(s, other));
	if (line > 0) {
		textbuf_lit(&m.text, " at line ");
		textbuf_u64(&m.text, line);
	} else {
		textbuf_lit(&m.text, ", the default");
	}
	textbuf_lit(&m.text, "); allowed: ");
	textbuf_str(&m.text, shorter ? "at least " : "at most ");
	textbuf_str(&m.text, other->name);
	problem_end(&m);
}

/* A wait and the cap of it.  Said at the later one of those that are in the
 * file. */
static void
check_cap(struct cfg_build *b, const struct draft_section *s, struct span base,
    struct span cap)
{
	const struct option *from = option_find(OPTION_POOL, base);
	const struct option *to = option_find(OPTION_POOL, cap);

	if (!is_sure(s, from) || !is_sure(s, to) ||
	    duration_of(s, from) <= duration_of(s, to))
		return;
	if (s->seen[to - option_table] > s->seen[from - option_table])
		wrong_order(b, s, to, from);
	else
		wrong_order(b, s, from, to);
}

static void
check_caps(struct cfg_build *b, const struct draft_section *s)
{
	if (s->kind != OPTION_POOL)
		return;
	check_cap(b, s, SPAN("retry_base"), SPAN("retry_cap"));
	check_cap(b, s, SPAN("eject_base"), SPAN("eject_cap"));
}

static void
check_items(struct cfg_build *b, struct draft_section *s)
{
	for (struct draft_item *i = s->items; i != NULL; i = i->next)
		switch (i->option->type) {
		case OPTION_ADDRESS:
		case OPTION_BINDS:
			check_bind(b, s, i);
			break;
		case OPTION_BACKENDS:
			check_backend(b, s, i);
			break;
		case OPTION_POOL_NAME:
		case OPTION_LISTENER_NAMES:
			check_reference(b, s, i);
			break;
		default:
			break;
		}
}

static void
no_section(struct cfg_build *b, const char *text)
{
	struct problem m;

	problem_begin(&m, b, CFG_ERROR, 0, NULL);
	textbuf_str(&m.text, text);
	problem_end(&m);
}

/* A route without a listener key, or one whose keys may have been lost. */
static bool
any_route_for_all(const struct cfg_build *b)
{
	const struct option *o = option_find(OPTION_ROUTE, SPAN("listener"));

	for (const struct draft_section *s = b->sections; s; s = s->next)
		if (s->kind == OPTION_ROUTE &&
		    (s->damaged || items_count(s, o) == 0))
			return true;
	return false;
}

static void
no_pool(struct cfg_build *b, struct draft_section *s)
{
	struct problem m;

	problem_begin(&m, b, CFG_ERROR, s->line, s);
	textbuf_lit(&m.text,
	    "pool: required when there are several pools and no route; "
	    "allowed: ");
	put_known(&m, OPTION_POOL);
	problem_end(&m);
}

/* Several pools: a listener that names none and has no route could only say
 * 404.  After check_items, when a listener that a route names is `used`. */
static void
check_pools_of_listeners(struct cfg_build *b)
{
	const struct option *pool = option_find(OPTION_LISTENER, SPAN("pool"));
	bool for_all = any_route_for_all(b);

	for (struct draft_section *s = b->sections; s != NULL; s = s->next)
		if (s->kind == OPTION_LISTENER && !s->damaged && !s->used &&
		    !for_all && s->seen[pool - option_table] == 0 &&
		    !check_tls_redirects(s))
			no_pool(b, s);
}

/* The only pool is that of every listener that names none. */
static void
use_only_pool(struct cfg_build *b)
{
	for (struct draft_section *s = b->sections; s != NULL; s = s->next)
		if (s->kind == OPTION_POOL)
			s->used = true;
}

/* Then nothing ever goes to a pool. */
static bool
all_redirect(const struct cfg_build *b)
{
	for (const struct draft_section *s = b->sections; s != NULL;
	     s = s->next)
		if (s->kind == OPTION_LISTENER && !check_tls_redirects(s))
			return false;
	return b->count[OPTION_LISTENER] > 0;
}

void
check_draft(struct cfg_build *b)
{
	if (b->count[OPTION_LISTENER] == 0 && !b->lost)
		no_section(b,
		    "no [listener NAME] section; at least one is "
		    "required");
	if (b->count[OPTION_POOL] == 0 && !b->lost && !all_redirect(b))
		no_section(b,
		    "no [pool NAME] section; at least one is "
		    "required");
	for (struct draft_section *s = b->sections; s != NULL; s = s->next) {
		preset_items(b, s);
		if (!s->damaged)
			check_required(b, s);
		check_items(b, s);
		check_caps(b, s);
		check_tls(b, s);
	}
	if (b->count[OPTION_POOL] == 1)
		use_only_pool(b);
	else if (b->count[OPTION_POOL] > 1 && !b->lost)
		check_pools_of_listeners(b);
	if (b->n_errors == 0)
		warn_draft(b);
}
