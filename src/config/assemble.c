/* From a draft without errors to the struct cfg. */
#include "evenkeel/config/assemble.h"
#include "evenkeel/config/items.h"
#include "evenkeel/config/value.h"

static void *
field_of(const struct draft_section *s, size_t offset)
{
	return (char *)s->object + offset;
}

static size_t
item_size(enum option_type type)
{
	switch (type) {
	case OPTION_BINDS:
		return sizeof(struct cfg_addr);
	case OPTION_BACKENDS:
		return sizeof(struct cfg_backend);
	case OPTION_STATUSES:
		return sizeof(struct cfg_statuses);
	case OPTION_FILES:
		return sizeof(struct cfg_file);
	default:
		return sizeof(void *);
	}
}

static const void *
target(const struct cfg_build *b, const struct draft_item *i)
{
	bool pool = i->option->type == OPTION_POOL_NAME;
	const struct draft_section *s = names_owner(
	    &b->names, pool ? OPTION_POOL : OPTION_LISTENER, span_of(i->text));

	CHECK(s != NULL);
	return pool ? (const void *)&b->cfg->pools[s->index]
		    : (const void *)&b->cfg->listeners[s->index];
}

/* The value of an item as it stands in the array, or as the field. */
static void
put_item(const struct cfg_build *b, const struct draft_item *i, void *to)
{
	enum option_type type = i->option->type;
	const void *pointer = i->text;
	struct cfg_file file = {i->text, i->line};

	if (type == OPTION_BACKENDS) {
		memcpy(to, &i->backend, sizeof(i->backend));
	} else if (type == OPTION_BINDS || type == OPTION_ADDRESS) {
		memcpy(to, &i->backend.addr, sizeof(i->backend.addr));
	} else if (type == OPTION_STATUSES) {
		memcpy(to, &i->statuses, sizeof(i->statuses));
	} else if (type == OPTION_FILE || type == OPTION_FILES) {
		if (value_is_word(i->option, span_of(file.path)))
			file.path = "";
		memcpy(to, &file, sizeof(file));
	} else {
		if (type == OPTION_POOL_NAME || type == OPTION_LISTENER_NAMES)
			pointer = target(b, i);
		memcpy(to, &pointer, sizeof(pointer));
	}
}

/* The items of one option become an array. */
static void
put_array(struct cfg_build *b, struct draft_section *s, const struct option *o)
{
	size_t n = items_count(s, o), size = item_size(o->type);
	char *array = arena_get(b->arena, n, size);

	if (array == NULL)
		return;
	memcpy(field_of(s, o->offset), &array, sizeof(array));
	memcpy(field_of(s, o->offset_count), &n, sizeof(n));
	for (const struct draft_item *i = s->items; i != NULL; i = i->next) {
		if (i->option != o)
			continue;
		put_item(b, i, array);
		array += size;
	}
}

static void
put_items(struct cfg_build *b, struct draft_section *s)
{
	for (size_t k = 0; k < option_count; k++)
		if (option_table[k].section == s->kind &&
		    option_is_list(&option_table[k]))
			put_array(b, s, &option_table[k]);
	for (const struct draft_item *i = s->items; i != NULL; i = i->next)
		if (!option_is_list(i->option))
			put_item(b, i, field_of(s, i->option->offset));
}

static void
put_section(struct cfg_build *b, struct draft_section *s)
{
	struct cfg *cfg = b->cfg;
	struct cfg_listener *l = s->object;
	struct cfg_route *r = s->object;
	struct cfg_pool *p = s->object;

	switch (s->kind) {
	case OPTION_LISTENER:
		l->name = s->name;
		l->line = s->line;
		if (l->pool == NULL && cfg->n_pools == 1 &&
		    l->redirect_port == 0)
			l->pool = &cfg->pools[0];
		cfg->listeners[s->index] = *l;
		break;
	case OPTION_ROUTE:
		r->name = s->name;
		r->line = s->line;
		cfg->routes[s->index] = *r;
		break;
	case OPTION_POOL:
		p->name = s->name;
		p->line = s->line;
		p->index = s->index;
		cfg->pools[s->index] = *p;
		break;
	case OPTION_ADMIN:
		cfg->admin = *(const struct cfg_admin *)s->object;
		cfg->admin.present = true;
		break;
	case OPTION_GLOBAL:
	case OPTION_SECTIONS:
		cfg->global = *(const struct cfg_global *)s->object;
		cfg->global_lines = s->seen;
		break;
	}
}

void
assemble_draft(struct cfg_build *b)
{
	struct cfg *cfg = b->cfg;
	struct arena *a = b->arena;

	cfg->n_listeners = b->count[OPTION_LISTENER];
	cfg->n_routes = b->count[OPTION_ROUTE];
	cfg->n_pools = b->count[OPTION_POOL];
	cfg->listeners =
	    arena_get(a, cfg->n_listeners, sizeof(*cfg->listeners));
	cfg->routes = arena_get(a, cfg->n_routes, sizeof(*cfg->routes));
	cfg->pools = arena_get(a, cfg->n_pools, sizeof(*cfg->pools));
	for (struct draft_section *s = b->sections; s != NULL && !a->failed;
	     s = s->next) {
		put_items(b, s);
		if (!a->failed)
			put_section(b, s);
	}
}
