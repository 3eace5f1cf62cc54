/* The effective configuration as INI. */
#include "evenkeel/config/print.h"

#include "evenkeel/config/value.h"
#include "evenkeel/config/option.h"

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
	textbuf_lit(p->out, " = ");
}

static void
put_line(struct printer *p, const struct option *o, const char *value)
{
	put_key(p, o);
	textbuf_str(p->out, value);
	textbuf_byte(p->out, '\n');
}

/* A key that is not set, as a comment. */
static void
put_without(struct printer *p, const struct option *o)
{
	if (!p->defaults || o->without == NULL)
		return;
	put_header(p);
	textbuf_lit(p->out, "; ");
	put_key(p, o);
	textbuf_lit(p->out, "(");
	textbuf_str(p->out, o->without);
	textbuf_lit(p->out, ")\n");
}

static void
put_backend(
    struct printer *p, const struct option *o, const struct cfg_backend *b)
{
	put_key(p, o);
	textbuf_str(p->out, b->addr.text);
	if (b->weight != 1) {
		textbuf_lit(p->out, " weight=");
		textbuf_u64(p->out, b->weight);
	}
	if (b->max != 0) {
		textbuf_lit(p->out, " max=");
		textbuf_u64(p->out, b->max);
	}
	if (b->backup)
		textbuf_lit(p->out, " backup");
	if (strcmp(b->name, b->addr.text) != 0) {
		textbuf_lit(p->out, " name=");
		textbuf_str(p->out, b->name);
	}
	textbuf_byte(p->out, '\n');
}

/* All elements in one line, as far as they are not the default. */
static void
put_list(struct printer *p, const struct option *o, const void *array, size_t n)
{
	char room[VALUE_TEXT_MAX];
	struct textbuf t = textbuf_make(room, sizeof(room));
	const struct cfg_statuses *statuses = array;
	const char *const *texts = array;

	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			textbuf_byte(&t, ',');
		if (o->type == OPTION_CAUSES) {
			textbuf_str(&t, texts[i]);
			continue;
		}
		textbuf_u64(&t, statuses[i].from);
		if (statuses[i].to == statuses[i].from)
			continue;
		textbuf_byte(&t, '-');
		textbuf_u64(&t, statuses[i].to);
	}
	CHECK(!t.full);
	if (!p->defaults && span_equal(textbuf_span(&t), span_of(o->preset)))
		return;
	put_key(p, o);
	textbuf_put(p->out, textbuf_span(&t));
	textbuf_byte(p->out, '\n');
}

/* One line for element i of a repeating option. */
static void
put_element(
    struct printer *p, const struct option *o, const void *array, size_t i)
{
	const struct cfg_listener *const *listeners = array;
	const struct cfg_backend *backends = array;
	const struct cfg_addr *binds = array;
	const char *const *texts = array;

	if (o->type == OPTION_BACKENDS)
		put_backend(p, o, &backends[i]);
	else if (o->type == OPTION_BINDS)
		put_line(p, o, binds[i].text);
	else if (o->type == OPTION_LISTENER_NAMES)
		put_line(p, o, listeners[i]->name);
	else
		put_line(p, o, texts[i]);
}

static void
put_array(struct printer *p, const struct option *o, const void *object)
{
	const void *array;
	size_t n;

	memcpy(&array, (const char *)object + o->offset, sizeof(array));
	memcpy(&n, (const char *)object + o->offset_count, sizeof(n));
	if (!o->repeats) {
		put_list(p, o, array, n);
		return;
	}
	if (n == 0)
		put_without(p, o);
	for (size_t i = 0; i < n; i++)
		put_element(p, o, array, i);
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
		put_line(p, o, pool->name);
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
put_plain(struct printer *p, const struct option *o, const void *object)
{
	char room[VALUE_TEXT_MAX];
	struct textbuf t = textbuf_make(room, sizeof(room));
	bool preset;

	value_put(&t, o, object);
	CHECK(!t.full);
	preset = is_preset(o, textbuf_span(&t));
	if (t.len == 0) {
		put_without(p, o);
	} else if (!preset || p->defaults) {
		put_key(p, o);
		/* "60s", as it is documented, rather than "1m". */
		textbuf_put(
		    p->out, preset ? span_of(o->preset) : textbuf_span(&t));
		textbuf_byte(p->out, '\n');
	}
}

static void
put_address(struct printer *p, const struct option *o, const void *object)
{
	const struct cfg_addr *addr =
	    (const void *)((const char *)object + o->offset);

	if (p->defaults || strcmp(addr->text, o->preset) != 0)
		put_line(p, o, addr->text);
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
		if (option_is_list(o))
			put_array(p, o, object);
		else if (o->type == OPTION_POOL_NAME)
			put_pool(p, o, object);
		else if (o->type == OPTION_ADDRESS)
			put_address(p, o, object);
		else
			put_plain(p, o, object);
	}
}

void
print_ini(struct textbuf *out, const struct cfg *cfg, bool defaults)
{
	struct printer p = {.out = out, .cfg = cfg, .defaults = defaults};

	put_section(&p, OPTION_GLOBAL, "", &cfg->global);
	if (cfg->admin.present)
		put_section(&p, OPTION_ADMIN, "", &cfg->admin);
	for (size_t i = 0; i < cfg->n_listeners; i++)
		put_section(&p, OPTION_LISTENER, cfg->listeners[i].name,
		    &cfg->listeners[i]);
	for (size_t i = 0; i < cfg->n_routes; i++)
		put_section(
		    &p, OPTION_ROUTE, cfg->routes[i].name, &cfg->routes[i]);
	for (size_t i = 0; i < cfg->n_pools; i++)
		put_section(
		    &p, OPTION_POOL, cfg->pools[i].name, &cfg->pools[i]);
}
