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
	OPTION_DURATION,    /* uint32_t ms */
	OPTION_SIZE,        /* uint32_t bytes */
	OPTION_SIZE64,      /* uint64_t bytes */
	OPTION_COUNT,       /* uint32_t */
	OPTION_PERCENT,     /* uint32_t; "20%" */
	OPTION_PORT,        /* uint16_t; 0: not set */
	OPTION_REDIRECT,    /* uint16_t, where https is; 0: not set */
	OPTION_ENUM,        /* int; `words` separated by '|' give 0, 1, ... */
	OPTION_HASH_ON,     /* const char *, see cfg_pool.hash_on */
	OPTION_HOST,        /* const char *, one of `words` or an authority */
	OPTION_TARGET,      /* const char *, a path and maybe a query */
	OPTION_SERVER_NAME, /* const char *, a host name or IP address */
	OPTION_TEXT,        /* const char *, at most `max` bytes, never empty */
	OPTION_ADDRESS,     /* struct cfg_addr */
	OPTION_FILE,        /* struct cfg_file */
	OPTION_FILES,       /* struct cfg_file *, and their number; a word of
			       `words` holds a place without a file */
	OPTION_BINDS,       /* struct cfg_addr *, and their number */
	OPTION_BACKENDS,    /* struct cfg_backend *, and their number */
	OPTION_HOSTS,       /* const char **, and their number */
	OPTION_PATHS,       /* const char **, and their number */
	OPTION_CIDRS,       /* const char **, and their number */
	OPTION_CAUSES,      /* const char **, and their number */
	OPTION_STATUSES,    /* struct cfg_statuses *, and their number */
	OPTION_POOL_NAME,   /* const struct cfg_pool * */
	OPTION_LISTENER_NAMES /* const struct cfg_listener **, and their number
			       */
};

struct option {
	enum option_section section;
	const char *name;
	enum option_type type;
	bool repeats;
	bool required;
	bool reloadable;       /* else it needs a restart */
	bool of_tls;           /* means nothing without TLS: option_has_tls */
	uint64_t min, max;     /* of numbers, in the unit of the type; max of
				  texts in bytes */
	const char *auto_word; /* a word that means CFG_AUTO, or NULL */
	const char *words;     /* OPTION_ENUM; OPTION_TEXT: words with a meaning
				  of their own, or NULL */
	const char *preset;    /* the default as text, through the same parser;
				  NULL: required or none */
	const char *without;   /* what holds when there is no preset and no
				  value, in words; NULL: required */
	const char *allowed;   /* what a value may be, where the type, its
				  range and its words do not say it; else NULL */
	const char *help;      /* one sentence */
	size_t offset;         /* of the value in its struct */
	size_t offset_count;   /* of the number of values; 0: it is one */
};

/* The options of a section stand together, in the order of enum
 * option_section. */
extern const struct option option_table[];
extern const size_t option_count;

/* At least option_count. */
#define OPTION_TABLE_MAX 128

/* "global", "listener", ...; whether a section of that kind bears a name. */
const char *option_section_word(enum option_section s);
bool option_section_named(enum option_section s);

/* A listener with certificates, or a pool with an https backend; `object` as in
 * config/sections.  Other sections have no TLS. */
bool option_has_tls(enum option_section s, const void *object);

/* Several values may stand in one line, with commas. */
static inline bool
option_is_list(const struct option *o)
{
	return o->offset_count > 0;
}

/* The option, or NULL. */
const struct option *option_find(enum option_section s, struct span name);

/* The line in the file of a key of [global]; 0: it is not there. */
unsigned option_global_line(const struct cfg *cfg, struct span name);

/* The nearest known name for a typo (see config/nearest), or NULL. */
const char *option_nearest(enum option_section s, struct span name);

/* What a value may be: "1ms..24h", "text|json", ...  The names of all options
 * of a section: "bind, pool, ...". */
void option_put_allowed(struct textbuf *out, const struct option *o);
void option_put_names(struct textbuf *out, enum option_section s);

#endif
