/*
 * sections - the sections of a configuration, whatever their kind.
 *
 * For those who go over the option table instead of over fields: which
 * sections of a kind there are, and what an option that is a list has in one.
 *
 * Layer: config.  Pure.
 */
#ifndef EVENKEEL_CONFIG_SECTIONS_H
#define EVENKEEL_CONFIG_SECTIONS_H

#include "evenkeel/config/option.h"

/* How many there are: [global] always once, [admin] at most once. */
size_t sections_count(const struct cfg *cfg, enum option_section s);

/* The i-th in the order of the file, i below the count: the struct cfg_global,
 * cfg_admin, ... that the offsets of its options are in; and its name, empty
 * for those without. */
const void *
sections_object(const struct cfg *cfg, enum option_section s, size_t i);
const char *
sections_name(const struct cfg *cfg, enum option_section s, size_t i);

/* The array of a list option (option_is_list); its length is in *n. */
const void *
sections_list(const struct option *o, const void *object, size_t *n);

#endif
