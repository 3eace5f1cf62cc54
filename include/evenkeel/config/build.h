/*
 * build - from the lines of a file to a `struct cfg`, or to a list of errors.
 *
 * The caller (net/inifile) hands over one entry per section header and key,
 * with its line number; build looks every key up in the option table, parses
 * and bounds it, then checks what only the whole can tell (references,
 * required keys, a bind that stands twice).  All errors are found in one
 * pass; a configuration with an error yields no `struct cfg`.
 *
 * Layer: config.  Pure: memory comes from the arena.
 */
#ifndef EVENKEEL_CONFIG_BUILD_H
#define EVENKEEL_CONFIG_BUILD_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/config/arena.h"
#include "evenkeel/config/config.h"

enum cfg_severity { CFG_ERROR, CFG_WARNING };

struct cfg_problem {
	enum cfg_severity severity;
	unsigned line;    /* 0: the file as a whole */
	const char *text; /* "[pool web] retry_atempts: unknown key (did you
			     mean retry_attempts?)" */
	struct cfg_problem *next; /* in the order of lines */
};

struct cfg_entry {
	unsigned line;
	struct span section; /* as in the file: "pool web" */
	struct span key;     /* empty: the section header itself */
	struct span value;
};

/* Section and key names in bytes: "listener" and its name together, too. */
#define CFG_NAME_MAX 48
/* Errors and warnings that are listed; one more says that there are more. */
#define CFG_PROBLEMS_MAX 1000

struct cfg_build; /* one build under way */

/* NULL: no memory.  Everything, the result included, lies in `a`. */
struct cfg_build *cfg_build_begin(struct arena *a) WARN_UNUSED;

/* One section header or key, in the order of the file. */
void cfg_build_entry(struct cfg_build *b, const struct cfg_entry *e);

/* A problem the reader found itself (a line too long, no '='): `text` is
 * copied.  After an error the section it stands in is not asked for what may
 * have been lost with the line. */
void cfg_build_problem(struct cfg_build *b, enum cfg_severity severity,
    unsigned line, struct span text);

/*
 * Ends the build.  Returns the configuration, or NULL when there was an error
 * or no memory (a->failed).  *problems is the whole list either way.
 */
const struct cfg *cfg_build_end(
    struct cfg_build *b, const struct cfg_problem **problems) WARN_UNUSED;

/* One line each: "FILE:LINE: TEXT", "FILE:LINE: warning: TEXT", and "FILE: "
 * for line 0. */
void cfg_put_problems(
    struct textbuf *out, const char *file, const struct cfg_problem *problems);

/* Bytes of a configuration as they are shown in a message: in quotes, what is
 * not printable ASCII escaped, and cut short when there are many. */
void cfg_put_quoted(struct textbuf *out, struct span bytes);

#endif
