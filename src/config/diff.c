/* Pairs of sections, then of their values, then of the elements of lists. */
#include "evenkeel/config/diff.h"

#include "evenkeel/config/address.h"
#include "evenkeel/config/pairs.h"
#include "evenkeel/config/print.h"
#include "evenkeel/config/sections.h"
#include "evenkeel/config/teller.h"
#include "evenkeel/config/value.h"

/* A diff under way. */
struct differ {
	struct teller teller;
	const struct diff *diff;
	struct pairs pairs;
};

/* ---- one value ---- */

static size_t
length_of(const struct option *o, const void *object)
{
	size_t n;

	(void)sections_list(o, object, &n);
	return n;
}

static bool
is_same_element(const struct option *o, const void *old, size_t i,
    const void *new, size_t k)
{
	char room[VALUE_TEXT_MAX], room2[VALUE_TEXT_MAX];
	struct textbuf a = textbuf_make(room, sizeof(room));
	struct textbuf b = textbuf_make(room2, sizeof(room2));

	print_element(&a, o, old, i);
	print_element(&b, o, new, k);
	CHECK(!a.full && !b.full);
	return span_equal(textbuf_span(&a), textbuf_span(&b));
}

static bool
is_same_list(const struct option *o, const void *old, const void *new)
{
	size_t n = length_of(o, old);

	if (length_of(o, new) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_same_element(o, old, i, new, i))
			return false;
	return true;
}

static bool
is_same_value(const struct option *o, const void *old, const void *new)
{
	char room[VALUE_TEXT_MAX], room2[VALUE_TEXT_MAX];
	struct textbuf a = textbuf_make(room, sizeof(room));
	struct textbuf b = textbuf_make(room2, sizeof(room2));

	if (o->repeats)
		return is_same_list(o, old, new);
	print_value(&a, o, old);
	print_value(&b, o, new);
	CHECK(!a.full && !b.full);
	return span_equal(textbuf_span(&a), textbuf_span(&b));
}

static void
put_value(struct textbuf *out, const struct option *o, const void *object)
{
	size_t before = out->len;

	print_value(out, o, object);
	if (out->len > before)
		return;
	/* Listeners that name no pool and have none: that is not "the only
	 * pool", as there are several. */
	textbuf_byte(out, '(');
	textbuf_str(out, o->type == OPTION_POOL_NAME ? "none" : o->without);
	textbuf_byte(out, ')');
}

static void
tell_value(
    struct differ *d, const struct option *o, const void *old, const void *new)
{
	teller_part(&d->teller);
	textbuf_str(d->teller.out, o->name);
	textbuf_byte(d->teller.out, ' ');
	put_value(d->teller.out, o, old);
	textbuf_lit(d->teller.out, " -> ");
	put_value(d->teller.out, o, new);
}

/* ---- the elements of a list ---- */

static const struct cfg_backend *
backend_at(const struct option *o, const void *object, size_t i)
{
	size_t n;
	const struct cfg_backend *backends = sections_list(o, object, &n);

	CHECK(o->type == OPTION_BACKENDS && i < n);
	return &backends[i];
}

/* What an element is recognized by. */
static struct span
key_of(struct arena *a, const struct option *o, const void *object, size_t i)
{
	char room[VALUE_TEXT_MAX];
	struct textbuf t = textbuf_make(room, sizeof(room));

	if (o->type != OPTION_BACKENDS)
		print_element(&t, o, object, i);
	else if (!backend_at(o, object, i)->https)
		return span_of(backend_at(o, object, i)->addr.text);
	else
		address_put_backend(&t, backend_at(o, object, i));
	CHECK(!t.full);
	return span_of(arena_text(a, textbuf_span(&t)));
}

static bool
side_of_list(struct pairs_side *s, struct arena *a, const struct option *o,
    const void *object)
{
	if (!pairs_side_init(s, a, length_of(o, object)))
		return false;
	for (size_t i = 0; i < s->n; i++)
		s->keys[i] = key_of(a, o, object, i);
	return !a->failed;
}

static void
put_in_flight(struct textbuf *out, uint64_t n)
{
	textbuf_u64(out, n);
	textbuf_lit(out, " in flight");
}

static bool
knows_in_flight(const struct differ *d)
{
	return d->diff->ops != NULL && d->diff->ops->in_flight != NULL;
}

static uint64_t
in_flight(const struct differ *d, const struct cfg_backend *b)
{
	return d->diff->ops->in_flight(d->teller.name, b, d->diff->arg);
}

static void
tell_additions(struct differ *d, const struct option *o, const void *object,
    const struct pairs_side *new)
{
	struct teller_row row = {0};

	for (size_t i = 0; i < new->n; i++) {
		if (new->partner[i] != PAIRS_NONE || !teller_row_next(&row))
			continue;
		teller_element(&d->teller);
		textbuf_lit(d->teller.out, "+ ");
		print_element(d->teller.out, o, object, i);
	}
	teller_row_end(&row, d->teller.out);
}

static void
put_draining(struct differ *d, const struct cfg_backend *b)
{
	textbuf_lit(d->teller.out, " (draining");
	if (knows_in_flight(d)) {
		textbuf_lit(d->teller.out, ", ");
		put_in_flight(d->teller.out, in_flight(d, b));
	}
	textbuf_byte(d->teller.out, ')');
}

static void
tell_removals(struct differ *d, const struct option *o, const void *object,
    const struct pairs_side *old)
{
	struct teller_row row = {0};

	for (size_t i = 0; i < old->n; i++) {
		if (old->partner[i] != PAIRS_NONE || !teller_row_next(&row))
			continue;
		teller_element(&d->teller);
		textbuf_lit(d->teller.out, "- ");
		textbuf_put(d->teller.out, old->keys[i]);
		if (o->type == OPTION_BACKENDS)
			put_draining(d, backend_at(o, object, i));
	}
	teller_row_end(&row, d->teller.out);
}

/* "weight 1 -> 3 and max 5 -> 6". */
static void
put_extras(struct textbuf *out, const struct cfg_backend *old,
    const struct cfg_backend *new)
{
	bool any = false;

	for (enum print_extra e = 0; e < PRINT_EXTRAS; e++) {
		char room[VALUE_TEXT_MAX], room2[VALUE_TEXT_MAX];
		struct textbuf a = textbuf_make(room, sizeof(room));
		struct textbuf b = textbuf_make(room2, sizeof(room2));

		print_extra_value(&a, old, e);
		print_extra_value(&b, new, e);
		CHECK(!a.full && !b.full);
		if (span_equal(textbuf_span(&a), textbuf_span(&b)))
			continue;
		textbuf_str(out, any ? " and " : " ");
		textbuf_str(out, print_extra_word(e));
		textbuf_byte(out, ' ');
		textbuf_put(out, textbuf_span(&a));
		textbuf_lit(out, " -> ");
		textbuf_put(out, textbuf_span(&b));
		any = true;
	}
}

/* Backends alone can change and still be the same: of all others the key is
 * what there is. */
static void
tell_extras(struct differ *d, const struct option *o, const void *was,
    const void *is, const struct pairs_side *new)
{
	struct teller_row row = {0};

	if (o->type != OPTION_BACKENDS)
		return;
	for (size_t i = 0; i < new->n; i++) {
		size_t k = new->partner[i];

		if (k == PAIRS_NONE || is_same_element(o, was, k, is, i) ||
		    !teller_row_next(&row))
			continue;
		teller_element(&d->teller);
		textbuf_put(d->teller.out, new->keys[i]);
		put_extras(
		    d->teller.out, backend_at(o, was, k), backend_at(o, is, i));
	}
	teller_row_end(&row, d->teller.out);
}

static void
tell_elements(
    struct differ *d, const struct option *o, const void *was, const void *is)
{
	struct arena *a = d->diff->work;
	struct pairs_side old, new;

	if (!side_of_list(&old, a, o, was) || !side_of_list(&new, a, o, is) ||
	    !pairs_join(&d->pairs, &old, &new))
		return;
	d->teller.naming = o->type == OPTION_BACKENDS ? NULL : o;
	tell_additions(d, o, is, &new);
	tell_removals(d, o, was, &old);
	tell_extras(d, o, was, is, &new);
	d->teller.naming = NULL;
	if (!pairs_reordered(&new))
		return;
	teller_part(&d->teller);
	textbuf_str(d->teller.out, o->name);
	textbuf_lit(d->teller.out, " in another order");
}

/* ---- sections ---- */

/* Each element is told by itself. */
static bool
is_told_by_element(const struct option *o, const void *old, const void *new)
{
	if (!o->repeats)
		return false;
	return o->type == OPTION_BACKENDS || o->type == OPTION_BINDS ||
	    length_of(o, old) > DIFF_LISTED_MAX ||
	    length_of(o, new) > DIFF_LISTED_MAX;
}

static void
tell_option(
    struct differ *d, const struct option *o, const void *old, const void *new)
{
	if (is_same_value(o, old, new))
		return;
	if (is_told_by_element(o, old, new))
		tell_elements(d, o, old, new);
	else
		tell_value(d, o, old, new);
	if (!o->reloadable)
		textbuf_lit(d->teller.out, " (needs a restart)");
}

static void
tell_changes(struct differ *d, const void *old, const void *new)
{
	for (size_t i = 0; i < option_count; i++)
		if (option_table[i].section == d->teller.kind)
			tell_option(d, &option_table[i], old, new);
}

/* The option by which a section is somewhere, or NULL: routes are nowhere. */
static const struct option *
place_option(enum option_section s)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option *o = &option_table[i];

		if (o->section == s &&
		    (o->type == OPTION_ADDRESS || o->type == OPTION_BINDS ||
			o->type == OPTION_BACKENDS))
			return o;
	}
	return NULL;
}

static void
put_places(struct textbuf *out, const struct option *o, const void *object)
{
	struct teller_row row = {0};

	if (!option_is_list(o)) {
		print_value(out, o, object);
		return;
	}
	for (size_t i = 0; i < length_of(o, object); i++)
		if (teller_row_comma(&row, out))
			print_element(out, o, object, i);
	teller_row_end(&row, out);
}

static void
tell_added(struct differ *d, const void *object)
{
	const struct option *o = place_option(d->teller.kind);

	teller_part(&d->teller);
	textbuf_lit(d->teller.out, "added");
	if (o == NULL)
		return;
	textbuf_lit(d->teller.out, " (");
	put_places(d->teller.out, o, object);
	textbuf_byte(d->teller.out, ')');
}

static void
tell_removed(struct differ *d, const void *object)
{
	const struct cfg_pool *pool = object;
	uint64_t sum = 0;

	teller_part(&d->teller);
	textbuf_lit(d->teller.out, "removed");
	if (d->teller.kind != OPTION_POOL || !knows_in_flight(d))
		return;
	for (size_t i = 0; i < pool->n_backends; i++)
		sum += in_flight(d, &pool->backends[i]);
	textbuf_lit(d->teller.out, " (");
	put_in_flight(d->teller.out, sum);
	textbuf_byte(d->teller.out, ')');
}

static bool
side_of_sections(struct pairs_side *s, struct arena *a, const struct cfg *cfg,
    enum option_section kind)
{
	if (!pairs_side_init(s, a, sections_count(cfg, kind)))
		return false;
	for (size_t i = 0; i < s->n; i++)
		s->keys[i] = span_of(sections_name(cfg, kind, i));
	return true;
}

static void
put_keys(
    struct textbuf *out, const struct pairs_side *s, size_t from, size_t to)
{
	struct teller_row row = {0};

	for (size_t i = from; i < to; i++)
		if (teller_row_comma(&row, out))
			textbuf_put(out, s->keys[i]);
	teller_row_end(&row, out);
}

/* The first route that fits takes a request, so their order says who. */
static void
tell_order(
    struct differ *d, const struct pairs_side *was, const struct pairs_side *is)
{
	struct arena *a = d->diff->work;
	struct pairs_side old, new;
	size_t from = 0, to;

	if (!pairs_reordered(is) || !pairs_kept(&old, a, was) ||
	    !pairs_kept(&new, a, is))
		return;
	CHECK(old.n == new.n);
	/* As they are not the same, both loops end. */
	while (span_equal(old.keys[from], new.keys[from]))
		from++;
	for (to = old.n; span_equal(old.keys[to - 1], new.keys[to - 1]); to--)
		continue;
	textbuf_lit(d->teller.out, "routes: order ");
	put_keys(d->teller.out, &old, from, to);
	textbuf_lit(d->teller.out, " -> ");
	put_keys(d->teller.out, &new, from, to);
	textbuf_byte(d->teller.out, '\n');
	d->teller.lines++;
}

static void
tell_sections(struct differ *d, enum option_section kind)
{
	const struct cfg *was = d->diff->old, *is = d->diff->new;
	struct arena *a = d->diff->work;
	struct pairs_side old, new;

	if (!side_of_sections(&old, a, was, kind) ||
	    !side_of_sections(&new, a, is, kind) ||
	    !pairs_join(&d->pairs, &old, &new))
		return;
	for (size_t i = 0; i < new.n && !a->failed; i++) {
		const void *object = sections_object(is, kind, i);
		size_t k = new.partner[i];

		teller_begin(&d->teller, kind, sections_name(is, kind, i));
		if (k == PAIRS_NONE)
			tell_added(d, object);
		else
			tell_changes(d, sections_object(was, kind, k), object);
		teller_end(&d->teller);
	}
	for (size_t i = 0; i < old.n; i++) {
		if (old.partner[i] != PAIRS_NONE)
			continue;
		teller_begin(&d->teller, kind, sections_name(was, kind, i));
		tell_removed(d, sections_object(was, kind, i));
		teller_end(&d->teller);
	}
	if (kind == OPTION_ROUTE)
		tell_order(d, &old, &new);
}

/* Returns the number of lines. */
static size_t
tell(struct textbuf *out, const struct diff *diff)
{
	struct differ d = {.teller.out = out, .diff = diff};

	pairs_init(&d.pairs, diff->work);
	for (enum option_section s = 0; s < OPTION_SECTIONS; s++)
		if (!diff->work->failed)
			tell_sections(&d, s);
	return d.teller.lines;
}

bool
diff_put(struct textbuf *out, const struct diff *d)
{
	if (tell(out, d) == 0 && !d->work->failed)
		textbuf_lit(out, "nothing has changed\n");
	return !d->work->failed;
}

bool
diff_any(const struct diff *d)
{
	struct textbuf nowhere = textbuf_make(NULL, 0);
	struct diff quiet = *d;

	quiet.ops = NULL;
	return tell(&nowhere, &quiet) > 0 || d->work->failed;
}

size_t
diff_put_restarts(
    struct textbuf *out, const struct cfg *old, const struct cfg *new)
{
	size_t n = 0;

	/* Sections that come and go by name can be reloaded as a whole. */
	for (size_t i = 0; i < option_count; i++) {
		const struct option *o = &option_table[i];

		if (o->reloadable || o->section != OPTION_GLOBAL ||
		    is_same_value(o, &old->global, &new->global))
			continue;
		textbuf_str(out, n > 0 ? ", " : "");
		textbuf_str(out, o->name);
		n++;
	}
	return n;
}
