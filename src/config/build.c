/* Entry by entry into the draft; check and assemble end it. */
#include "evenkeel/config/draft.h"

#include "evenkeel/config/value.h"
#include "evenkeel/config/problem.h"
#include "evenkeel/config/items.h"
#include "evenkeel/config/check.h"
#include "evenkeel/config/assemble.h"

#define WHY_MAX 512

static size_t
object_size(enum option_section kind)
{
	switch (kind) {
	case OPTION_LISTENER:
		return sizeof(struct cfg_listener);
	case OPTION_ROUTE:
		return sizeof(struct cfg_route);
	case OPTION_POOL:
		return sizeof(struct cfg_pool);
	case OPTION_ADMIN:
		return sizeof(struct cfg_admin);
	case OPTION_GLOBAL:
	case OPTION_SECTIONS:
		break;
	}
	return sizeof(struct cfg_global);
}

_Static_assert(offsetof(struct cfg_file, path) == 0,
    "no file is an empty text at the offset of the option");

/* Sets the plain options of the section to their defaults. */
static void
preset(struct cfg_build *b, struct draft_section *s)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option *o = &option_table[i];
		struct textbuf why = textbuf_make(NULL, 0);
		const char *none = "";

		if (o->section != s->kind ||
		    (!value_is_plain(o) && o->type != OPTION_FILE))
			continue;
		if (o->preset != NULL)
			CHECK(value_parse(o, b->arena, span_of(o->preset),
				  s->object, &why) != VALUE_BAD);
		else if (value_is_text(o) || o->type == OPTION_FILE)
			memcpy(
			    (char *)s->object + o->offset, &none, sizeof(none));
	}
}

static struct draft_section *
section_add(struct cfg_build *b, enum option_section kind, struct span name,
    unsigned line)
{
	struct draft_section *s = arena_get(b->arena, 1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->kind = kind;
	s->line = line;
	s->last_item = &s->items;
	s->name = arena_text(b->arena, name);
	s->object = arena_get(b->arena, 1, object_size(kind));
	if (s->name == NULL || s->object == NULL)
		return NULL;
	s->index = b->count[kind]++;
	s->scope = DRAFT_SCOPE_POOLS + 3 * s->index;
	preset(b, s);
	*b->last_section = s;
	b->last_section = &s->next;
	return s;
}

struct cfg_build *
cfg_build_begin(struct arena *a)
{
	struct cfg_build *b = arena_get(a, 1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->arena = a;
	b->last_section = &b->sections;
	b->last_problem = &b->problems;
	names_init(&b->names, a);
	b->cfg = arena_get(a, 1, sizeof(*b->cfg));
	b->global = section_add(b, OPTION_GLOBAL, SPAN_NONE, 0);
	return b->cfg != NULL && b->global != NULL ? b : NULL;
}

/* A header that cannot be taken as it is. */
static void
bad_header(
    struct cfg_build *b, unsigned line, struct span section, const char *reason)
{
	struct problem m;

	problem_begin(&m, b, CFG_ERROR, line, NULL);
	textbuf_lit(&m.text, "section ");
	cfg_put_quoted(&m.text, section);
	textbuf_lit(&m.text, ": ");
	textbuf_str(&m.text, reason);
	problem_end(&m);
}

static void
unknown_section(struct cfg_build *b, unsigned line, struct span section,
    const struct nearest *near)
{
	struct problem m;

	problem_begin(&m, b, CFG_ERROR, line, NULL);
	textbuf_lit(&m.text, "section ");
	cfg_put_quoted(&m.text, section);
	textbuf_lit(&m.text, ": unknown section");
	if (!problem_put_nearest(&m, near))
		textbuf_lit(&m.text,
		    "; allowed: [global], [admin], [listener NAME], "
		    "[route NAME], [pool NAME]");
	problem_end(&m);
}

/*
 * Which kind of section `word` is.  A typo is reported, and then read as what
 * was probably meant, so that the errors below it are found in the same pass.
 * OPTION_SECTIONS: nobody knows.
 */
static enum option_section
section_kind(struct cfg_build *b, const struct cfg_entry *e, struct span word)
{
	struct nearest near;
	enum option_section k;

	nearest_init(&near, word);
	for (k = 0; k < OPTION_SECTIONS; k++) {
		struct span known = span_of(option_section_word(k));

		if (span_equal(word, known))
			return k;
		nearest_offer(&near, known);
	}
	unknown_section(b, e->line, e->section, &near);
	for (k = 0; k < OPTION_SECTIONS; k++)
		if (span_equal(near.best, span_of(option_section_word(k))))
			break;
	return k;
}

/* A second [global] or [pool web]: its keys are still looked at, as those of
 * a section of its own. */
static void
note_section(struct cfg_build *b, struct draft_section *s)
{
	struct draft_section *first =
	    names_give(&b->names, s->kind, span_of(s->name), s);
	struct problem m;

	if (first == NULL)
		return;
	b->lost = true;
	problem_begin(&m, b, CFG_ERROR, s->line, s);
	textbuf_lit(&m.text, "the section already began at line ");
	textbuf_u64(&m.text, first->line);
	textbuf_lit(&m.text, "; allowed: once");
	problem_end(&m);
}

static const char *
bad_name(enum option_section kind, struct span name)
{
	if (!option_section_named(kind))
		return name.len > 0
		    ? "this section bears no name; allowed: [global], [admin]"
		    : NULL;
	if (name.len == 0)
		return "the name is missing; allowed: [listener NAME], [route "
		       "NAME], [pool NAME]";
	return value_is_name(name)
	    ? NULL
	    : "not a name; allowed: letters, digits, _ . -";
}

static struct draft_section *
section_open(struct cfg_build *b, enum option_section kind, struct span name,
    unsigned line)
{
	struct draft_section *s;

	if (kind == OPTION_GLOBAL && b->global->line == 0) {
		s = b->global;
		s->line = line;
	} else {
		s = section_add(b, kind, name, line);
		if (s == NULL)
			return NULL;
	}
	if (kind == OPTION_ADMIN && b->admin == NULL)
		b->admin = s;
	return s;
}

static void
take_header(struct cfg_build *b, const struct cfg_entry *e)
{
	struct span word, name;
	enum option_section kind;
	const char *reason;

	word = span_make(e->section.ptr, span_find(e->section, ' '));
	name = span_make(e->section.ptr + word.len, e->section.len - word.len);
	name = span_trim(name);
	b->where = DRAFT_SKIPPING;
	b->current = NULL;
	kind = section_kind(b, e, word);
	if (kind == OPTION_SECTIONS) {
		b->lost = true;
		return;
	}
	reason = bad_name(kind, name);
	if (reason != NULL)
		bad_header(b, e->line, e->section, reason);
	/* A name that is none still tells apart which section it is. */
	b->current = section_open(
	    b, kind, option_section_named(kind) ? name : SPAN_NONE, e->line);
	if (b->current == NULL)
		return;
	b->where = DRAFT_INSIDE;
	if (reason == NULL)
		note_section(b, b->current);
	else
		b->current->damaged = true;
}

static void
unknown_key(struct cfg_build *b, const struct cfg_entry *e)
{
	struct draft_section *s = b->current;
	const char *near = option_nearest(s->kind, e->key);
	struct problem m;

	problem_begin(&m, b, CFG_ERROR, e->line, s);
	problem_put_name(&m, e->key);
	textbuf_lit(&m.text, ": unknown key");
	if (near != NULL) {
		s->meant[option_find(s->kind, span_of(near)) - option_table] =
		    true;
		textbuf_lit(&m.text, " (did you mean ");
		textbuf_str(&m.text, near);
		textbuf_lit(&m.text, "?)");
	} else {
		textbuf_lit(&m.text, "; allowed: ");
		option_put_names(&m.text, s->kind);
	}
	problem_end(&m);
}

static void
bad_value(struct cfg_build *b, const struct option *o,
    const struct cfg_entry *e, struct span why)
{
	struct problem m;

	b->current->refused[o - option_table] = true;
	problem_begin(&m, b, CFG_ERROR, e->line, b->current);
	problem_put_value(&m, o, e->value);
	textbuf_put(&m.text, why);
	problem_put_allowed(&m, o);
	problem_end(&m);
}

static void
repeated_key(struct cfg_build *b, const struct option *o,
    const struct cfg_entry *e, unsigned first)
{
	struct problem m;

	problem_begin(&m, b, CFG_ERROR, e->line, b->current);
	problem_put_value(&m, o, e->value);
	textbuf_lit(&m.text, "the key is already set at line ");
	textbuf_u64(&m.text, first);
	textbuf_lit(&m.text, "; allowed: once in a section");
	problem_end(&m);
}

static void
take_value(
    struct cfg_build *b, const struct option *o, const struct cfg_entry *e)
{
	struct draft_section *s = b->current;
	unsigned *seen = &s->seen[o - option_table];
	char room[WHY_MAX];
	struct textbuf why = textbuf_make(room, sizeof(room));

	if (*seen != 0 && !o->repeats) {
		repeated_key(b, o, e, *seen);
		return;
	}
	*seen = e->line;
	if (e->value.len == 0)
		bad_value(b, o, e, SPAN("the value is missing"));
	else if (!value_is_plain(o))
		items_parse(b, s, o, e);
	else if (value_parse(o, b->arena, e->value, s->object, &why) ==
	    VALUE_BAD)
		bad_value(b, o, e, textbuf_span(&why));
}

static void
key_outside(struct cfg_build *b, const struct cfg_entry *e)
{
	struct problem m;

	problem_begin(&m, b, CFG_ERROR, e->line, NULL);
	problem_put_name(&m, e->key);
	textbuf_lit(&m.text, ": ");
	cfg_put_quoted(&m.text, e->value);
	textbuf_lit(&m.text,
	    ": a key before the first section; allowed: below [global], "
	    "[admin], [listener NAME], [route NAME] or [pool NAME]");
	problem_end(&m);
}

/* Keys and sections come no longer than this from the reader. */
static bool
entry_ok(const struct cfg_entry *e)
{
	return e->line > 0 && e->section.len <= CFG_NAME_MAX &&
	    e->key.len <= CFG_NAME_MAX;
}

void
cfg_build_entry(struct cfg_build *b, const struct cfg_entry *e)
{
	const struct option *o;

	CHECK(entry_ok(e));
	if (b->arena->failed)
		return;
	if (e->key.len == 0) {
		take_header(b, e);
		return;
	}
	if (b->where == DRAFT_SKIPPING)
		return;
	if (b->where == DRAFT_NOWHERE) {
		key_outside(b, e);
		return;
	}
	o = option_find(b->current->kind, e->key);
	if (o == NULL)
		unknown_key(b, e);
	else
		take_value(b, o, e);
}

/* Stable merge of two lists that are in order. */
static struct cfg_problem *
merge(struct cfg_problem *a, struct cfg_problem *b)
{
	struct cfg_problem *first = NULL, **last = &first;

	while (a != NULL && b != NULL) {
		struct cfg_problem **from = b->line < a->line ? &b : &a;

		*last = *from;
		last = &(*from)->next;
		*from = (*from)->next;
	}
	*last = a != NULL ? a : b;
	return first;
}

/* Bottom-up merge sort: runs[i] holds 2^i problems or none. */
static struct cfg_problem *
sort(struct cfg_problem *list)
{
	struct cfg_problem *runs[32] = {NULL}, *sorted = NULL;
	size_t top = 0;

	while (list != NULL) {
		struct cfg_problem *run = list;
		size_t i = 0;

		list = list->next;
		run->next = NULL;
		for (; runs[i] != NULL; runs[i++] = NULL)
			run = merge(runs[i], run);
		runs[i] = run;
		top = i > top ? i : top;
	}
	for (size_t i = 0; i <= top; i++)
		sorted = merge(runs[i], sorted);
	return sorted;
}

const struct cfg *
cfg_build_end(struct cfg_build *b, const struct cfg_problem **problems)
{
	if (!b->arena->failed)
		check_draft(b);
	b->problems = sort(b->problems);
	*problems = b->problems;
	if (!b->arena->failed && b->n_errors == 0)
		assemble_draft(b);
	return !b->arena->failed && b->n_errors == 0 ? b->cfg : NULL;
}
