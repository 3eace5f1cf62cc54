#include "evenkeel/config/pairs.h"

/* An element of the old list.  Those of the same key (binds with port 0) make
 * a chain, whose first one knows which is the next to find a partner. */
struct place {
	size_t at;
	struct place *next;
	struct place *last, *untaken; /* of the first one */
};

void
pairs_init(struct pairs *p, struct arena *a)
{
	*p = (struct pairs){.scope = 0};
	names_init(&p->names, a);
}

bool
pairs_side_init(struct pairs_side *s, struct arena *a, size_t n)
{
	s->n = n;
	s->keys = arena_get(a, n, sizeof(*s->keys));
	s->partner = arena_get(a, n, sizeof(*s->partner));
	if (s->keys == NULL || s->partner == NULL)
		return false;
	for (size_t i = 0; i < n; i++)
		s->partner[i] = PAIRS_NONE;
	return true;
}

static bool
enter_places(struct pairs *p, const struct pairs_side *old, uint64_t scope)
{
	struct arena *a = p->names.arena;
	struct place *places = arena_get(a, old->n, sizeof(*places));

	for (size_t i = 0; places != NULL && i < old->n; i++) {
		struct place *here = &places[i], *first;

		*here = (struct place){.at = i, .last = here, .untaken = here};
		first = names_give(&p->names, scope, old->keys[i], here);
		if (first != NULL) {
			first->last->next = here;
			first->last = here;
		}
	}
	return !a->failed;
}

bool
pairs_join(struct pairs *p, struct pairs_side *old, struct pairs_side *new)
{
	uint64_t scope = p->scope++;

	if (!enter_places(p, old, scope))
		return false;
	for (size_t i = 0; i < new->n; i++) {
		struct place *first =
		    names_owner(&p->names, scope, new->keys[i]);

		if (first == NULL || first->untaken == NULL)
			continue;
		new->partner[i] = first->untaken->at;
		old->partner[first->untaken->at] = i;
		first->untaken = first->untaken->next;
	}
	return true;
}

bool
pairs_reordered(const struct pairs_side *s)
{
	size_t last = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (s->partner[i] == PAIRS_NONE)
			continue;
		if (s->partner[i] < last)
			return true;
		last = s->partner[i];
	}
	return false;
}

bool
pairs_kept(struct pairs_side *kept, struct arena *a, const struct pairs_side *s)
{
	if (!pairs_side_init(kept, a, s->n))
		return false;
	kept->n = 0;
	for (size_t i = 0; i < s->n; i++)
		if (s->partner[i] != PAIRS_NONE)
			kept->keys[kept->n++] = s->keys[i];
	return true;
}
