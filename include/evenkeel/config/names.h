/*
 * names - a map from names to what they were given to first.
 *
 * Layer: config.  Pure: open addressing in memory of an arena, doubled when
 * half full.  Names are not copied.
 */
#ifndef EVENKEEL_CONFIG_NAMES_H
#define EVENKEEL_CONFIG_NAMES_H

#include <stdint.h>

#include "evenkeel/base/span.h"
#include "evenkeel/config/arena.h"

struct names_slot {
	uint64_t hash;
	uint64_t scope;
	struct span name;
	void *owner; /* NULL: the slot is empty */
};

struct names {
	struct arena *arena;
	struct names_slot *slots;
	size_t n_slots; /* 0 or a power of two */
	size_t used;    /* <= n_slots / 2 */
};

void names_init(struct names *n, struct arena *a);

/* Gives `name` within `scope` to `owner` (not NULL), unless it has an owner:
 * then that one is returned and nothing changed.  NULL: given, or there is no
 * memory (the arena has failed). */
void *
names_give(struct names *n, uint64_t scope, struct span name, void *owner);

/* The owner, or NULL. */
void *names_owner(const struct names *n, uint64_t scope, struct span name);

#endif
