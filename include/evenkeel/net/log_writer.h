/*
 * log_writer - the thread that empties the rings into the files.
 *
 * A round takes from every ring what is there and writes each file once.
 * After a round that found lines it gathers for LOG_GATHER_MS; after one that
 * found none it sleeps until a producer calls.  What a file can't take is kept
 * in its buffer, then dropped and counted, and told in the log once the file
 * works again.  Only this thread touches the files, so that whatever is to be
 * done with them later is a request to it.
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
#include "evenkeel/net/log_file.h"
#include "evenkeel/net/log_ring.h"

/*
 * What the writer thread is doing; a producer needs to call it only when it
 * sleeps, or when it gathers while a ring runs full.
 */
enum writer_state { WRITER_BUSY, WRITER_GATHERING, WRITER_ASLEEP };

struct log {
	/* constant after log_create */
	enum log_level level;
	enum log_format format;
	struct log_file *files[LOG_STREAMS]; /* opened; NULL: none */
	struct log_file *to[LOG_STREAMS];    /* where a stream goes */
	struct log_ring *rings;              /* constant after log_start */
	pthread_t thread;
	int wake_fd; /* eventfd */
	bool to_syslog, has_access, started;
	/* the writer's */
	bool patient;     /* lines for a blocked file stay in their rings */
	uint64_t told_us; /* when losses were told last, monotonic */
	/* shared; written a few times in LOG_GATHER_MS, so not worth a cache
	 * line of its own */
	_Atomic uint64_t lost; /* by files */
	_Atomic int state;     /* enum writer_state */
	_Atomic bool stopping;
	_Atomic bool reopen; /* asked for and not done */
};

/* The thread's function; `arg` is the log. */
void *log_writer_main(void *arg);

/* Writes all there is, and waits a while for readers that are slow.  The
 * producers and the thread have ended, or it is the thread that calls. */
void log_writer_finish(struct log *l);

/* Ends a sleep or a gathering.  Any thread. */
void log_writer_call(struct log *l);

#endif
