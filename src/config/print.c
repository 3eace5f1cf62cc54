/* The effective configuration as INI. */
#include "evenkeel/config/print.h"

#include "evenkeel/base/check.h"
#include "evenkeel/config/address.h"
#include "evenkeel/config/sections.h"
#include "evenkeel/config/value.h"

/* ---- values ---- */

const char *
print_extra_word(enum print_extra e)
{
	static const char *const words[PRINT_EXTRAS] = {
	    "weight", "max", "backup", "name"};

	return words[e];
}

void
print_extra_value(
    struct textbuf *out, const struct cfg_backend *b, enum print_extra e)
{
	switch (e) {
	case PRINT_EXTRA_WEIGHT:
		textbuf_u64(out, b->weight);
		break;
	case PRINT_EXTRA_MAX:
		if (b->max > 0)
			textbuf_u64(out, b->max);
		else
			textbuf_lit(out, "(no limit)");
		break;
	case PRINT_EXTRA_BACKUP:
		textbuf_str(out, b->backup ? "yes" : "no");
		break;
	case PRINT_EXTRA_NAME:
	case PRINT_EXTRAS:
		textbuf_str(out, b->name);
		break;
	}
}

static bool
is_address(struct span name, const struct cfg_backend *b)
{
	char room[VALUE_TEXT_MAX];
	struct textbuf t = textbuf_make(room, sizeof(room));

	/* Most have no other name than this very text. */
	if (name.ptr == b->addr.text)
		return !b->https;
	address_put_backend(&t, b);
	CHECK(!t.full);
	return span_equal(name, textbuf_span(&t));
}

static bool
is_default_extra(const struct cfg_backend *b, enum print_extra e)
{
	switch (e) {
	case PRINT_EXTRA_WEIGHT:
		return b->weight == 1;
	case PRINT_EXTRA_MAX:
		return b->max == 0;
	case PRINT_EXTRA_BACKUP:
		return !b->backup;
	case PRINT_EXTRA_NAME:
	case PRINT_EXTRAS:
		break;
	}
	return is_address(span_of(b->name), b);
}

static void
put_backend(struct textbuf *out, const struct cfg_backend *b)
{
	if (b->https)
		address_put_backend(out, b);
	else
		textbuf_str(out, b->addr.text);
	for (enum print_extra e = 0; e < PRINT_EXTRAS; e++) {
		if (is_default_extra(b, e))
			continue;
		textbuf_byte(out, ' ');
		textbuf_str(out, print_extra_word(e));
		/* The one that is a word alone. */
		if (e == PRINT_EXTRA_BACKUP)
			continue;
		textbuf_byte(out, '=');
		print_extra_value(out, b, e);
	}
}

static void
put_statuses(struct textbuf *out, const struct cfg_statuses *s)
{
	textbuf_u64(out, s->from);
	if (s->to == s->from)
		return;
	textbuf_byte(out, '-');
	textbuf_u64(out, s->to);
}

static void
put_element(
    struct textbuf *out, const struct option *o, const void *array, size_t i)
{
	const struct cfg_listener *const *listeners = array;
	const struct cfg_backend *backends = array;
	const struct cfg_statuses *statuses = array;
	const struct cfg_file *files = array;
	const struct cfg_addr *binds = array;
	const char *const *texts = array;

	if (o->type == OPTION_BACKENDS)
		put_backend(out, &backends[i]);
	else if (o->type == OPTION_BINDS)
		textbuf_str(out, binds[i].text);
	else if (o->type == OPTION_LISTENER_NAMES)
		textbuf_str(out, listeners[i]->name);
	else if (o->type == OPTION_STATUSES)
		put_statuses(out, &statuses[i]);
	else if (o->type == OPTION_FILES)
		textbuf_str(
		    out, files[i].path[0] != '\0' ? files[i].path : o->words);
	else
		textbuf_str(out, texts[i]);
}

void
print_element(
    struct textbuf *out, const struct option *o, const void *object, size_t i)
{
	size_t n;
	const void *array = sections_list(o, object, &n);

	CHECK(i < n);
	put_element(out, o, array, i);
}

static void
put_elements(struct textbuf *out, const struct option *o, const void *object)
{
	size_t n;
	const void *array = sections_list(o, object, &n);

	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			textbuf_byte(out, ',');
		put_element(out, o, array, i);
	}
}

/* `text` is what the preset of the option would print. */
static bool
is_preset(const struct option *o, struct span text)
{
	char room[VALUE_TEXT_MAX];
	struct textbuf t = textbuf_make(room, sizeof(room));
	struct textbuf why = textbuf_make(NULL, 0);
	struct option alone = *o;
	uint64_t value = 0;

	if (o->preset == NULL)
		return false;
	if (value_is_text(o))
		return span_equal(text, span_of(o->preset));
	alone.offset = 0;
	CHECK(value_parse(&alone, NULL, span_of(o->preset), &value, &why) ==
	    VALUE_OK);
	value_put(&t, &alone, &value);
	return span_equal(text, textbuf_span(&t));
}

/* A value of a type that value_put knows. */
static void
put_one(struct textbuf *out, const struct option *o, const void *object)
{
	char room[VALUE_TEXT_MAX];
	struct textbuf t = textbuf_make(room, sizeof(room));

	value_put(&t, o, object);
	CHECK(!t.full);
	/* "60s", as it is documented, rather than "1m". */
	textbuf_put(out,
	    is_preset(o, textbuf_span(&t)) ? span_of(o->preset)
					   : textbuf_span(&t));
}

void
print_value(struct textbuf *out, const struct option *o, const void *object)
{
	const char *field = (const char *)object + o->offset;
	const struct cfg_addr *addr = (const void *)field;
	const struct cfg_file *file = (const void *)field;
	const struct cfg_pool *pool;

	if (option_is_list(o)) {
		put_elements(out, o, object);
	} else if (o->type == OPTION_POOL_NAME) {
		memcpy(&pool, field, sizeof(pool));
		textbuf_str(out, pool == NULL ? "" : pool->name);
	} else if (o->type == OPTION_ADDRESS) {
		textbuf_str(out, addr->text);
	} else if (o->type == OPTION_FILE) {
		textbuf_str(out, file->path);
	} else {
		put_one(out, o, object);
	}
}

/* ---- the whole ---- */

struct printer {
	struct textbuf *out;
	const struct cfg *cfg;
	bool defaults; /* also what has its default */
	bool begun;    /* the section has its header */
	enum option_section kind;
	const char *name;
};

static void
put_header(struct printer *p)
{
	if (p->begun)
		return;
	p->begun = true;
	if (p->out->len > 0)
		textbuf_byte(p->out, '\n');
	textbuf_byte(p->out, '[');
	textbuf_str(p->out, option_section_word(p->kind));
	if (option_section_named(p->kind)) {
		textbuf_byte(p->out, ' ');
		textbuf_str(p->out, p->name);
	}
	textbuf_lit(p->out, "]\n");
}

static void
put_key(struct printer *p, const struct option *o)
{
	put_header(p);
	textbuf_str(p->out, o->name);
	textbuf_lit(p->out, " =");
}

static void
put_line(struct printer *p, const struct option *o, struct span value)
{
	put_key(p, o);
	/* Behind white space these two begin a comment. */
	if (value.len == 0 || (value.ptr[0] != ';' && value.ptr[0] != '#'))
		textbuf_byte(p->out, ' ');
	textbuf_put(p->out, value);
	textbuf_byte(p->out, '\n');
}

/* A key that is not set, as a comment. */
static void
put_comment(struct printer *p, const struct option *o, const char *what)
{
	if (!p->defaults || what == NULL)
		return;
	put_header(p);
	textbuf_lit(p->out, "; ");
	put_key(p, o);
	textbuf_lit(p->out, " (");
	textbuf_str(p->out, what);
	textbuf_lit(p->out, ")\n");
}

static void
put_array(struct printer *p, const struct option *o, const void *object)
{
	size_t n;

	(void)sections_list(o, object, &n);
	if (n == 0)
		put_comment(p, o, o->without);
	for (size_t i = 0; i < n; i++) {
		char room[VALUE_TEXT_MAX];
		struct textbuf t = textbuf_make(room, sizeof(room));

		print_element(&t, o, object, i);
		CHECK(!t.full);
		put_line(p, o, textbuf_span(&t));
	}
}

/* A pool that is the default need not be named: it is the only one. */
static void
put_pool(struct printer *p, const struct option *o, const void *object)
{
	const struct cfg_pool *pool;

	memcpy(&pool, (const char *)object + o->offset, sizeof(pool));
	if (pool == NULL)
		return;
	if (o->required || p->defaults || p->cfg->n_pools > 1)
		put_line(p, o, span_of(pool->name));
}

/* With an option that does not, not even the default reads back. */
static bool
applies(const struct option *o, const void *object)
{
	return !o->of_tls || option_has_tls(o->section, object);
}

/* All else: one value, or a list in one line. */
static void
put_plain(struct printer *p, const struct option *o, const void *object)
{
	char room[VALUE_TEXT_MAX];
	struct textbuf t = textbuf_make(room, sizeof(room));

	print_value(&t, o, object);
	CHECK(!t.full);
	if (t.len == 0) {
		put_comment(p, o, o->without);
	} else if (o->preset != NULL &&
	    span_equal(textbuf_span(&t), span_of(o->preset)) &&
	    (!p->defaults || !applies(o, object))) {
		put_comment(p, o, o->preset);
	} else {
		put_line(p, o, textbuf_span(&t));
	}
}

static void
put_section(struct printer *p, enum option_section kind, const char *name,
    const void *object)
{
	p->kind = kind;
	p->name = name;
	p->begun = false;
	/* [global] may be left out; the others say something by being there. */
	if (kind != OPTION_GLOBAL)
		put_header(p);
	for (size_t i = 0; i < option_count; i++) {
		const struct option *o = &option_table[i];

		if (o->section != kind)
			continue;
		if (o->repeats)
			put_array(p, o, object);
		else if (o->type == OPTION_POOL_NAME)
			put_pool(p, o, object);
		else
			put_plain(p, o, object);
	}
}

void
print_ini(struct textbuf *out, const struct cfg *cfg, bool defaults)
{
	struct printer p = {.out = out, .cfg = cfg, .defaults = defaults};

	for (enum option_section s = 0; s < OPTION_SECTIONS; s++)
		for (size_t i = 0; i < sections_count(cfg, s); i++)
			put_section(&p, s, sections_name(cfg, s, i),
			    sections_object(cfg, s, i));
}
