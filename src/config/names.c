#include "evenkeel/config/names.h"

#define NAMES_SLOTS_FIRST 64

void
names_init(struct names *n, struct arena *a)
{
	*n = (struct names){.arena = a};
}

/* FNV-1a, 64 bits. */
static uint64_t
names_hash(uint64_t scope, struct span name)
{
	uint64_t h = 0xcbf29ce484222325u ^ scope;

	h *= 0x100000001b3u;
	for (size_t i = 0; i < name.len; i++) {
		h ^= (unsigned char)name.ptr[i];
		h *= 0x100000001b3u;
	}
	return h ^ (h >> 32);
}

/* The slot of the name, or the empty one where it would go. */
static struct names_slot *
names_slot(
    const struct names *n, uint64_t hash, uint64_t scope, struct span name)
{
	size_t mask = n->n_slots - 1;
	size_t i = (size_t)hash & mask;

	/* At most half of the slots are used, so an empty one comes. */
	for (;; i = (i + 1) & mask) {
		struct names_slot *s = &n->slots[i];

		if (s->owner == NULL ||
		    (s->hash == hash && s->scope == scope &&
			span_equal(s->name, name)))
			return s;
	}
}

static bool
names_grow(struct names *n)
{
	struct names old = *n;

	n->n_slots = old.n_slots ? old.n_slots * 2 : NAMES_SLOTS_FIRST;
	n->slots = arena_get(n->arena, n->n_slots, sizeof(*n->slots));
	if (n->slots == NULL) {
		*n = old;
		return false;
	}
	for (size_t i = 0; i < old.n_slots; i++) {
		const struct names_slot *s = &old.slots[i];

		if (s->owner != NULL)
			*names_slot(n, s->hash, s->scope, s->name) = *s;
	}
	return true;
}

void *
names_give(struct names *n, uint64_t scope, struct span name, void *owner)
{
	uint64_t hash = names_hash(scope, name);
	struct names_slot *s;

	CHECK(owner != NULL);
	if (n->used >= n->n_slots / 2 && !names_grow(n))
		return NULL;
	s = names_slot(n, hash, scope, name);
	if (s->owner != NULL)
		return s->owner;
	*s = (struct names_slot){
	    .hash = hash, .scope = scope, .name = name, .owner = owner};
	n->used++;
	return NULL;
}

void *
names_owner(const struct names *n, uint64_t scope, struct span name)
{
	if (n->n_slots == 0)
		return NULL;
	return names_slot(n, names_hash(scope, name), scope, name)->owner;
}
