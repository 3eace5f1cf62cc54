/*
 * option - the one table in which every option is declared.
 *
 * Parsing, ranges, defaults, help, `evenkeel config`, docs/config.md and
 * did-you-mean all read it; there is no second place.
 *
 * Layer: config.  Pure.
 */
#ifndef EVENKEEL_CONFIG_OPTION_H
#define EVENKEEL_CONFIG_OPTION_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/config/config.h"

enum option_section {
	OPTION_GLOBAL,
	OPTION_ADMIN,
	OPTION_LISTENER,
	OPTION_ROUTE,
	OPTION_POOL,
	OPTION_SECTIONS
};

enum option_type {
	OPTION_DURATION, /* uint32_t ms */
	OPTION_SIZE,     /* uint32_t bytes */
	OPTION_SIZE64,   /* uint64_t bytes */
	OPTION_COUNT,    /* uint32_t */
	OPTION_ENUM,     /* int; `words` separated by '|' give 0, 1, ... */
	OPTION_TEXT,     /* const char * */
	OPTION_SPECIAL   /* bind, backend, listen, references: parsed by name */
};

struct option {
	enum option_section section;
	const char *name;
	enum option_type type;
	bool repeats;
	bool required;
	bool reloadable;       /* else it needs a restart */
	uint64_t min, max;     /* of numbers, in the unit of the type */
	const char *auto_word; /* a word that means CFG_AUTO, or NULL */
	const char *words;     /* OPTION_ENUM */
	const char *preset;    /* the default as text, through the same parser;
				  NULL: required or none */
	const char *allowed;   /* what a value may be, for messages and docs */
	const char *help;      /* one sentence */
	size_t offset;         /* of the value in its struct */
};

extern const struct option option_table[];
extern const size_t option_count;

/* "global", "listener", ...; whether a section of that kind bears a name. */
const char *option_section_word(enum option_section s);
bool option_section_named(enum option_section s);

/* The option, or NULL. */
const struct option *option_find(enum option_section s, struct span name);

/* The nearest known name for a typo (edit distance at most 2, or a third of
 * the name), or NULL. */
const char *option_nearest(enum option_section s, struct span name);

/* docs/config.md: the whole reference, in Markdown. */
void option_put_markdown(struct textbuf *out);

/* `evenkeel config`: the effective configuration as INI, which reads back as
 * the same; with `defaults` also the keys that have their default. */
void option_put_ini(struct textbuf *out, const struct cfg *cfg, bool defaults);

#endif
