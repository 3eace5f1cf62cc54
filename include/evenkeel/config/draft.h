/*
 * draft - a configuration under way: what build, items and check share.
 *
 * A section of the file becomes a draft section: an object (struct
 * cfg_listener, ...) that begins with the defaults, and a list of items for
 * the keys that may repeat or that name other sections.  Only at the end do
 * items become arrays and pointers.
 *
 * Layer: config.  Pure.  Internal to the layer.
 */
#ifndef EVENKEEL_CONFIG_DRAFT_H
#define EVENKEEL_CONFIG_DRAFT_H

#include "evenkeel/config/build.h"
#include "evenkeel/config/names.h"
#include "evenkeel/config/option.h"

struct draft_item {
	struct draft_item *next; /* in the order of the file */
	const struct option *option;
	unsigned line;
	const char *text; /* hosts, paths, names; of addresses: as written */
	struct cfg_statuses statuses;
	struct cfg_backend backend; /* binds have only its addr */
};

struct draft_section {
	struct draft_section *next; /* in the order of the file */
	enum option_section kind;
	const char *name; /* empty for those without */
	unsigned line;    /* 0: not in the file */
	void *object;     /* struct cfg_global, ..., by kind */
	struct draft_item *items, **last_item;
	size_t index;   /* among its kind */
	bool damaged;   /* a line of it was lost: do not ask for what lacks */
	bool used;      /* a pool: something names it */
	uint64_t scope; /* of the names inside it */
	unsigned seen[OPTION_TABLE_MAX]; /* line of each key, 0: not there */
	bool meant[OPTION_TABLE_MAX];    /* a typo of the key is there */
	bool refused[OPTION_TABLE_MAX];  /* its value was an error */
};

enum draft_where {
	DRAFT_NOWHERE, /* before the first section */
	DRAFT_INSIDE,  /* in `current` */
	DRAFT_SKIPPING /* in a section that nobody knows */
};

struct cfg_build {
	struct arena *arena;
	struct names names;
	struct cfg *cfg;
	struct draft_section *sections, **last_section;
	struct draft_section *global;  /* always there */
	struct draft_section *admin;   /* NULL: no such section */
	struct draft_section *current; /* where keys go, or went last */
	enum draft_where where;
	bool lost; /* a section header or line was not understood */
	size_t count[OPTION_SECTIONS];
	struct cfg_problem *problems, **last_problem;
	size_t n_problems, n_errors;
};

/* Scopes of names: sections by kind, addresses to listen on, and three for each
 * pool: addresses, names, addresses with https://. */
enum draft_scope { DRAFT_SCOPE_BINDS = OPTION_SECTIONS, DRAFT_SCOPE_POOLS };

#endif
