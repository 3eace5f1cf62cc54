/*
 * print - a configuration as INI text, whole or value by value.
 *
 * Layer: config.  Pure.
 */
#ifndef EVENKEEL_CONFIG_PRINT_H
#define EVENKEEL_CONFIG_PRINT_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/config/config.h"
#include "evenkeel/config/option.h"

/* `evenkeel config`: the effective configuration as INI, which reads back as
 * the same; with `defaults` also the keys that have their default. */
void print_ini(struct textbuf *out, const struct cfg *cfg, bool defaults);

/* The value of an option in `object` (see config/sections) in one line, with
 * commas between those of a list; nothing when it is not set.  At most
 * VALUE_TEXT_MAX bytes, unless the option repeats. */
void
print_value(struct textbuf *out, const struct option *o, const void *object);

/* Value i of a list option; i is below the length of the list.  At most
 * VALUE_TEXT_MAX bytes. */
void print_element(
    struct textbuf *out, const struct option *o, const void *object, size_t i);

/* What a backend has besides its address, in the order in which it is
 * printed. */
enum print_extra {
	PRINT_EXTRA_WEIGHT,
	PRINT_EXTRA_MAX,
	PRINT_EXTRA_BACKUP,
	PRINT_EXTRA_NAME,
	PRINT_EXTRAS
};

/* "weight", "max", ...; and its value, also when it is the default: "1",
 * "(no limit)", "no", the address. */
const char *print_extra_word(enum print_extra e);
void print_extra_value(
    struct textbuf *out, const struct cfg_backend *b, enum print_extra e);

#endif
