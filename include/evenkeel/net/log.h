/*
 * log - the writer thread: every log file is written by it alone.
 *
 * A thread that wants to log appends whole lines to a ring of its own (one
 * producer, one consumer, no lock); the writer empties the rings.  Logging so
 * costs a copy, never a system call, and a full disk or a blocked pipe costs
 * lines (counted), never a request.  The writer sleeps while the rings are
 * empty, is woken by the first line, and then gathers lines for
 * LOG_GATHER_MS, so that one write carries many.
 *
 * What the options say can change while it runs, in two steps of which only
 * the first can fail.
 *
 * Layer: net.  log_create, log_start, log_free and the change: the main thread.
 * The rest as said.
 */
#ifndef EVENKEEL_NET_LOG_H
#define EVENKEEL_NET_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "evenkeel/base/check.h"
#include "evenkeel/base/span.h"
#include "evenkeel/base/textbuf.h"

/* A line is in its file this long after its producer's turn, at the latest
 * twice this (access records: within 50 ms). */
#define LOG_GATHER_MS 20
/* One log message; a longer one is cut. */
#define LOG_LINE_BYTES 2048

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };
/* Which file a line goes to. */
enum log_stream { LOG_STREAM_LOG, LOG_STREAM_ACCESS, LOG_STREAMS };

struct log_options {
	const char *log;    /* "stderr", "syslog" or a path */
	const char *access; /* "off", "stdout" or a path */
	enum log_level level;
	enum log_format format;
};

struct log;        /* the writer and its files */
struct log_ring;   /* what one producing thread writes to */
struct log_change; /* other options, prepared */

/*
 * Opens the files (append, mode 0640).  NULL: `why` says which one could not
 * be opened and the system's reason.  The options' strings are copied.
 */
struct log *
log_create(const struct log_options *o, struct textbuf *why) WARN_UNUSED;

/*
 * A ring for one more producing thread; before log_start only.  NULL: no
 * memory.  Owned by the log.  `name` appears in messages ("worker 1").
 */
struct log_ring *log_ring_create(struct log *l, const char *name) WARN_UNUSED;

/* Starts the writer thread.  False: no thread.  Lines put before wait. */
bool log_start(struct log *l) WARN_UNUSED;

/* Writes what is in the rings, ends the thread, closes the files, frees. */
void log_free(struct log *l);

/*
 * Opens the files of `o` (append, mode 0640) beside the old ones, of which a
 * path that stays the same keeps its own: it need not be possible to open it
 * again.  NULL: `why` says which one could not be opened and the system's
 * reason, and nothing has changed, but that a file made for the other stream
 * may be there and empty.  After log_start; one change at a time, each ended by
 * log_commit or log_rollback.  The options' strings are copied.
 */
struct log_change *log_prepare(struct log *l, const struct log_options *o,
    struct textbuf *why) WARN_UNUSED;

/*
 * Puts the change in force and frees it in time.  What any thread puts from
 * now on goes to the new files, what was put before to the old ones; they are
 * written and closed by the writer, which waits a few seconds for one whose
 * reader or disk takes nothing.  A message that is just being made elsewhere
 * may still have the old format.  Cannot fail.
 */
void log_commit(struct log *l, struct log_change *c);

/* As if log_prepare had not been called; frees.  Cannot fail. */
void log_rollback(struct log_change *c);

/* Any thread: has the writer open its files anew, after they were renamed or
 * removed; those of the change that was committed last.  No line is lost; a
 * file that can't be opened stays as it was, and the log says so. */
void log_reopen(struct log *l);

/*
 * From the ring's own thread: appends a whole line ('\n' included).  False
 * when the ring is full: the line is dropped and counted.  Makes no system
 * call; log_flush wakes the writer.
 */
bool log_put(struct log_ring *r, enum log_stream to, struct span line);

/* From the ring's own thread, at the end of a turn: wakes the writer when it
 * sleeps and lines were put.  At most one system call. */
void log_flush(struct log_ring *r);

/* Lines dropped so far: ring full, or the file could not take them.  Any
 * thread. */
uint64_t log_dropped(const struct log *l);

/* Whether a message of that level would be written: ask before making a
 * costly one. */
bool log_wants(const struct log_ring *r, enum log_level level);
/* Whether there is an access log at all. */
bool log_has_access(const struct log_ring *r);

/*
 * Formats and puts one message in the log's format: text is
 * "2026-11-22T15:30:37.123Z info  message", json {"time","level","message"}.
 * The message is cut to LOG_LINE_BYTES; control bytes in it are escaped.
 * `errno` is kept.
 */
void log_message(struct log_ring *r, enum log_level level, const char *format,
    ...) __attribute__((format(printf, 3, 4)));

#endif
