/*
 * log_writer - the thread that empties the rings into the files.
 *
 * A round takes from every ring what is there and writes each file once.
 * After a round that found lines it gathers for LOG_GATHER_MS; after one that
 * found none it sleeps until a producer calls.  What a file can't take is kept
 * in its buffer, then dropped and counted, and told in the log once the file
 * works again.  Only this thread touches open files, so that whatever is to be
 * done with them later is a request to it: to open them anew, or to go on to
 * the change that the control thread has linked behind the one in force.
 *
 * Layer: net, for `log` alone.
 */
#ifndef EVENKEEL_NET_LOG_WRITER_H
#define EVENKEEL_NET_LOG_WRITER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "evenkeel/net/log.h"
#include "evenkeel/net/log_change.h"
#include "evenkeel/net/log_file.h"
#include "evenkeel/net/log_ring.h"

/*
 * What the writer thread is doing; a producer needs to call it only when it
 * sleeps, or when it gathers while a ring runs full.
 */
enum writer_state { WRITER_BUSY, WRITER_GATHERING, WRITER_ASLEEP };

struct log {
	/* constant after log_start */
	struct log_ring *rings;
	size_t n_rings;
	pthread_t thread;
	int wake_fd; /* eventfd */
	bool started;
	/* the control thread's */
	struct log_change *latest; /* the one committed last */
	bool changing;             /* one is prepared */
	/* the writer's */
	struct log_change *now;           /* the one its lines obey */
	struct log_file *to[LOG_STREAMS]; /* of its files; NULL: none */
	struct log_file *leaving;         /* not in use, but with lines */
	bool patient;     /* lines for a blocked file stay in their rings */
	uint64_t told_us; /* when losses were told last, monotonic */
	/* shared; written a few times in LOG_GATHER_MS, so not worth a cache
	 * line of its own */
	_Atomic int level;       /* enum log_level */
	_Atomic int format;      /* enum log_format */
	_Atomic bool has_access; /* the stream is not off */
	_Atomic uint64_t lost;   /* by files */
	_Atomic int state;       /* enum writer_state */
	_Atomic bool stopping;
	_Atomic bool reopen; /* asked for and not done */
};

/* The writer, or log_create: `c` is in force from the next line on. */
void log_writer_begin(struct log *l, struct log_change *c);

/* The thread's function; `arg` is the log. */
void *log_writer_main(void *arg);

/* Writes all there is, and waits a while for readers that are slow.  The
 * producers and the thread have ended, or it is the thread that calls. */
void log_writer_finish(struct log *l);

/* Ends a sleep or a gathering.  Any thread. */
void log_writer_call(struct log *l);

#endif
