/*
 * inifile - reads a configuration file with inih and builds it.
 *
 * A reader of our own sees every physical line, so that errors carry line
 * numbers and long lines are whole: it counts, strips indentation, blanks
 * comments and hands inih one short line per logical line
 * (docs/architecture.md, "Config").
 *
 * Layer: net.  Any thread; no state of its own.
 */
#ifndef EVENKEEL_NET_INIFILE_H
#define EVENKEEL_NET_INIFILE_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/config/build.h"
#include "evenkeel/net/blocks.h"

struct inifile {
	const struct cfg *cfg;              /* NULL: errors, or no memory */
	const struct cfg_problem *problems; /* all, in the order of lines */
	bool no_memory;
	struct blocks memory; /* its own */
};

/* Reads and builds `path`.  False: the file could not be read, `why` says so;
 * then there is nothing to free.  Otherwise see f->cfg; end with
 * inifile_free.  A file that cannot be opened is told apart by errno. */
bool inifile_read(
    struct inifile *f, const char *path, struct textbuf *why) WARN_UNUSED;

/* The same for text in memory (the one-liner, tests). */
bool inifile_parse(struct inifile *f, struct span text) WARN_UNUSED;

void inifile_free(struct inifile *f);

/*
 * The value of one key, read tolerantly: whatever else is wrong in the file,
 * the last line that says it counts.  Appends it and a NUL to `out`.  False:
 * no such file, key, or room.
 */
bool inifile_find(const char *path, struct span section, struct span key,
    struct textbuf *out) WARN_UNUSED;

#endif
