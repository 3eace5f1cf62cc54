/*
 * log_change - where the lines go and which are wanted: what of the log can
 * change while it runs.
 *
 * The control thread makes one with its files open and links it behind the one
 * in force; that is the commit, and it can't fail.  The writer walks along the
 * links: it writes what was put before the commit to the old files, which is
 * what lies before the marks in the rings, and lets go of those files that the
 * new change has not kept.  A path that stays the same keeps its log_file, so
 * nothing is opened, lost or torn there.
 *
 * Layer: net, for `log` alone.  Which thread may call is said at each function.
 */
#ifndef EVENKEEL_NET_LOG_CHANGE_H
#define EVENKEEL_NET_LOG_CHANGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "evenkeel/base/check.h"
#include "evenkeel/base/textbuf.h"
#include "evenkeel/net/log.h"
#include "evenkeel/net/log_file.h"

struct log_change {
	/* constant after log_change_open */
	enum log_level level;
	enum log_format format;
	bool to_syslog, has_access;
	bool kept[LOG_STREAMS];              /* the file is the one before's */
	struct log_file *files[LOG_STREAMS]; /* NULL: none */
	struct log *log; /* of which it is a change; set by log_prepare */
	/* set by the commit: where the rings ended, in the list's order */
	uint64_t *marks;
	_Atomic(struct log_change *) next; /* the one committed after this */
};

/*
 * Control.  Opens the files of `o` but those whose path is the same in
 * `before` (NULL: there is none), with room for `n_rings` marks.  NULL: `why`
 * says which file could not be opened and the system's reason.
 */
struct log_change *
log_change_open(const struct log_change *before, const struct log_options *o,
    size_t n_rings, struct textbuf *why) WARN_UNUSED;

/* Control: of a change that is not committed.  Closes the files it opened
 * itself, and frees.  NULL does nothing. */
void log_change_undo(struct log_change *c);

/* Writer: of the change in force.  Closes all its files, and frees. */
void log_change_free(struct log_change *c);

#endif
