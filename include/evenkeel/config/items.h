/*
 * items - the values of keys that may repeat, or that name other sections.
 *
 * Layer: config.  Pure.  Internal to the layer.
 */
#ifndef EVENKEEL_CONFIG_ITEMS_H
#define EVENKEEL_CONFIG_ITEMS_H

#include "evenkeel/config/draft.h"

/* Adds the item at the end of the section's; NULL: no memory. */
struct draft_item *items_add(struct cfg_build *b, struct draft_section *s,
    const struct option *o, unsigned line);
/* How many items of the section belong to the option. */
size_t items_count(const struct draft_section *s, const struct option *o);

/* Parses a value of an option that is not plain (value.h). */
void items_parse(struct cfg_build *b, struct draft_section *s,
    const struct option *o, const struct cfg_entry *e);

#endif
