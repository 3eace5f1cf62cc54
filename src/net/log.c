#include "evenkeel/net/log.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <unistd.h>

#include "evenkeel/net/log_file.h"
#include "evenkeel/net/log_ring.h"
#include "evenkeel/net/log_text.h"
#include "evenkeel/net/log_writer.h"

_Static_assert(LOG_TEXT_BYTES <= LOG_RING_LINE_BYTES, "a message fits a ring");

/* ---- creation ---- */

static bool
open_stream(
    struct log *l, enum log_stream s, const char *path, struct textbuf *why)
{
	int inherited = -1;

	if (s == LOG_STREAM_LOG && strcmp(path, "stderr") == 0)
		inherited = STDERR_FILENO;
	if (s == LOG_STREAM_ACCESS && strcmp(path, "stdout") == 0)
		inherited = STDOUT_FILENO;
	l->files[s] = log_file_open(path, inherited);
	if (!l->files[s]) {
		int error = errno;

		textbuf_str(why, s == LOG_STREAM_LOG ? "log " : "access_log ");
		textbuf_str(why, path);
		textbuf_lit(why, ": ");
		textbuf_str(why, strerror(error));
		return false;
	}
	l->to[s] = l->files[s];
	return true;
}

static bool
open_streams(struct log *l, const struct log_options *o, struct textbuf *why)
{
	l->to_syslog = strcmp(o->log, "syslog") == 0;
	l->has_access = strcmp(o->access, "off") != 0;
	if (l->to_syslog)
		openlog("evenkeel", LOG_PID, LOG_DAEMON);
	else if (!open_stream(l, LOG_STREAM_LOG, o->log, why))
		return false;
	if (!l->has_access)
		return true;
	if (!open_stream(l, LOG_STREAM_ACCESS, o->access, why))
		return false;
	/* One buffer for one place, or half a line of one stream could be
	 * followed by a line of the other. */
	if (l->to[LOG_STREAM_LOG] &&
	    log_file_same(l->to[LOG_STREAM_LOG], l->to[LOG_STREAM_ACCESS]))
		l->to[LOG_STREAM_ACCESS] = l->to[LOG_STREAM_LOG];
	return true;
}

struct log *
log_create(const struct log_options *o, struct textbuf *why)
{
	struct log *l = calloc(1, sizeof(*l));

	if (!l) {
		textbuf_lit(why, "log: no memory");
		return NULL;
	}
	l->level = o->level;
	l->format = o->format;
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake_fd < 0) {
		textbuf_lit(why, "log: eventfd: ");
		textbuf_str(why, strerror(errno));
	} else if (open_streams(l, o, why)) {
		return l;
	}
	log_free(l);
	return NULL;
}

struct log_ring *
log_ring_create(struct log *l, const char *name)
{
	struct log_ring *r;

	CHECK(!l->started);
	r = log_ring_new(l, name);
	if (r) {
		r->next = l->rings;
		l->rings = r;
	}
	return r;
}

void
log_reopen(struct log *l)
{
	atomic_store(&l->reopen, true);
	log_writer_call(l);
}

/* ---- producers ---- */

bool
log_wants(const struct log_ring *r, enum log_level level)
{
	return level <= r->log->level;
}

bool
log_has_access(const struct log_ring *r)
{
	return r->log->has_access;
}

bool
log_put(struct log_ring *r, enum log_stream to, struct span line)
{
	CHECK(line.len > 0 && line.ptr[line.len - 1] == '\n');
	if (to == LOG_STREAM_ACCESS && !r->log->has_access)
		return true;
	return log_ring_put(r, to, LOG_LEVEL_INFO, line);
}

/* Of the producers that see the writer idle, one calls it. */
static void
wake_writer(struct log *l, int seen)
{
	if (atomic_compare_exchange_strong(&l->state, &seen, WRITER_BUSY))
		log_writer_call(l);
}

/*
 * No wake-up is lost: here `tail` is stored and then `state` loaded, in
 * writer_sleep `state` is stored and then `tail` loaded, all four sequentially
 * consistent.  In their single total order one of the two stores comes first,
 * and the load of the other side comes after it: either we see the writer
 * asleep, or it sees our line.  (A fence would say the same; the thread
 * sanitizer does not know fences.)
 */
void
log_flush(struct log_ring *r)
{
	int state;

	if (r->flushed)
		return;
	log_ring_publish(r);
	state = atomic_load(&r->log->state);
	if (state == WRITER_ASLEEP ||
	    (state == WRITER_GATHERING && log_ring_crowded(r)))
		wake_writer(r->log, state);
}

uint64_t
log_dropped(const struct log *l)
{
	uint64_t n = atomic_load_explicit(&l->lost, memory_order_relaxed);

	for (const struct log_ring *r = l->rings; r; r = r->next)
		n += atomic_load_explicit(&r->dropped, memory_order_relaxed);
	return n;
}

/* ---- messages ---- */

/* The end of a message that did not fit says so. */
static size_t
mark_cut(char *text, size_t len)
{
	if (len < LOG_LINE_BYTES)
		return len;
	memset(text + LOG_LINE_BYTES - 4, '.', 3);
	return LOG_LINE_BYTES - 1;
}

void
log_message(struct log_ring *r, enum log_level level, const char *format, ...)
{
	char text[LOG_LINE_BYTES], line[LOG_TEXT_BYTES];
	struct textbuf t = textbuf_make(line, sizeof(line));
	int error = errno, len;
	va_list args;

	if (!log_wants(r, level))
		return;
	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (len >= 0) {
		log_text_put(&t, r->log->format, !r->log->to_syslog, level,
		    span_make(text, mark_cut(text, (size_t)len)));
		(void)log_ring_put(r, LOG_STREAM_LOG, level, textbuf_span(&t));
	}
	errno = error;
}

/* ---- start and end ---- */

bool
log_start(struct log *l)
{
	sigset_t all, before;

	/* Signals are the main thread's; SIGPIPE of a pipe without reader
	 * stays pending here, and write(2) says EPIPE. */
	(void)sigfillset(&all);
	if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
		return false;
	l->started = pthread_create(&l->thread, NULL, log_writer_main, l) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return l->started;
}

static void
stop_writer(struct log *l)
{
	if (!l->started) {
		log_writer_finish(l);
		return;
	}
	atomic_store(&l->stopping, true);
	log_writer_call(l);
	(void)pthread_join(l->thread, NULL);
}

void
log_free(struct log *l)
{
	struct log_ring *r;

	stop_writer(l);
	while ((r = l->rings) != NULL) {
		l->rings = r->next;
		log_ring_free(r);
	}
	for (int i = 0; i < LOG_STREAMS; i++)
		log_file_free(l->files[i]);
	if (l->to_syslog)
		closelog();
	if (l->wake_fd >= 0)
		(void)close(l->wake_fd);
	free(l);
}
