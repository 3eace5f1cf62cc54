/*
 * log_file - one file of the log, with the lines that wait for it.
 *
 * Lines are appended to a buffer and written from it, many at a time.  A file
 * that takes no bytes now (a pipe whose reader is slow, a full disk) keeps
 * them; when the buffer is full, new lines are dropped whole and counted.
 * What has been written of a line is always followed by its rest.
 *
 * No write ever blocks on a reader.  O_NONBLOCK belongs to the open file, and
 * standard output and error are shared with whoever started us: setting it
 * there would make the shell's or the supervisor's own writes fail.  So:
 *   - a pipe or terminal is opened anew through /proc/self/fd, which gives an
 *     open file of our own that is non-blocking from the start;
 *   - where that is refused (no /proc, a pipe of another user), poll(2) is
 *     asked before each write, and no write is longer than PIPE_BUF: a pipe
 *     that is ready takes that much at once (only another process that fills
 *     it in between can then make us wait for the reader);
 *   - a socket (the journal) is written by send(2), which can say "do not
 *     wait" for each call.
 * All but regular files get pieces of at most PIPE_BUF, ended at a line end
 * when there is one, so that lines of several processes on one pipe do not mix.
 *
 * Layer: net, for `log` alone.  One thread at a time.
 *
 * Sources: pipe(7) (PIPE_BUF, O_NONBLOCK), write(2), proc(5).
 */
#ifndef EVENKEEL_NET_LOG_FILE_H
#define EVENKEEL_NET_LOG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "evenkeel/base/check.h"
#include "evenkeel/base/span.h"

/* What waits for one file at most: some 1,000 lines. */
#define LOG_FILE_BYTES (256U * 1024)

enum log_file_kind {
	LOG_FILE_REGULAR,  /* write(2), as much as there is */
	LOG_FILE_NONBLOCK, /* write(2) in pieces; the open file is our own */
	LOG_FILE_POLLED,   /* poll(2), then write(2) in pieces */
	LOG_FILE_SOCKET    /* send(2) without waiting, in pieces */
};

struct log_file {
	int fd;
	enum log_file_kind kind;
	char *name;   /* for messages; the path */
	bool by_path; /* opened by it, not inherited */
	char *bytes;
	size_t from, to; /* what waits: bytes[from..to) */
	int error;       /* errno of the last write; 0: it worked */
	int lost_error;  /* errno when lines were lost last */
	uint64_t lost;   /* lines */
	uint64_t told;   /* of them, said in the log already */
	/* of a file that is not in use any more and still has lines */
	struct log_file *next;
	uint64_t give_up_us; /* monotonic */
};

/*
 * Opens `path` to append, or a copy of the descriptor `inherited` when that is
 * not negative (`path` then only names it).  NULL: errno says why.
 */
struct log_file *log_file_open(const char *path, int inherited) WARN_UNUSED;
/* Closes and frees; what waits is gone.  NULL does nothing. */
void log_file_free(struct log_file *f);

/*
 * Opens the path anew and lets go of the old file: after it was renamed or
 * removed.  What waits goes to the new one, but for the rest of a line that
 * is half written.  True also for what was inherited, where there is nothing
 * to do.  False: errno says why; the old one stays in use.
 */
bool log_file_reopen(struct log_file *f) WARN_UNUSED;

/* Both go to the same place, so that they must share one log_file. */
bool log_file_same(const struct log_file *a, const struct log_file *b);

/*
 * What waits for `from`, and what is untold of it, goes to `f` instead, if both
 * go to the same place and nothing waits for `f` yet; else nothing is done.
 */
void log_file_take_over(struct log_file *f, struct log_file *from);

/* Counts the lines as lost that wait, begun ones too, and lets go of them.
 * Returns how many. */
uint64_t log_file_give_up(struct log_file *f);

/* Whether a line of that many bytes can be appended now; writes what waits
 * when that is needed and the last write worked. */
bool log_file_room(struct log_file *f, size_t len);

/* Appends a line in up to two pieces; there must be room. */
void log_file_append(struct log_file *f, struct span a, struct span b);

/* One line is lost, for the reason of the last write's failure. */
void log_file_lose(struct log_file *f);

/* Writes until nothing waits or the file takes no more; sets `error`. */
void log_file_write(struct log_file *f);

/* Waits for its reader: poll(2) for POLLOUT will tell. */
bool log_file_blocked(const struct log_file *f);
/* Could not be written for another reason: only trying again will tell. */
bool log_file_failed(const struct log_file *f);

#endif
