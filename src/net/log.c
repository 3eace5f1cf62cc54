#include "evenkeel/net/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <unistd.h>

#include "evenkeel/net/log_change.h"
#include "evenkeel/net/log_ring.h"
#include "evenkeel/net/log_text.h"
#include "evenkeel/net/log_writer.h"
#include "evenkeel/net/thread.h"

_Static_assert(LOG_TEXT_BYTES <= LOG_RING_LINE_BYTES, "a message fits a ring");

/* ---- creation ---- */

/* What producers ask; after the marks were taken, so that who sees the new
 * answer puts behind them. */
static void
tell_producers(struct log *l, const struct log_change *c)
{
	atomic_store_explicit(&l->level, (int)c->level, memory_order_release);
	atomic_store_explicit(&l->format, (int)c->format, memory_order_release);
	atomic_store_explicit(
	    &l->has_access, c->has_access, memory_order_release);
}

struct log *
log_create(const struct log_options *o, struct textbuf *why)
{
	struct log *l = calloc(1, sizeof(*l));

	if (!l) {
		textbuf_lit(why, "log: no memory");
		return NULL;
	}
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake_fd < 0) {
		textbuf_lit(why, "log: eventfd: ");
		textbuf_str(why, strerror(errno));
		free(l);
		return NULL;
	}
	l->latest = log_change_open(NULL, o, 0, why);
	if (!l->latest) {
		(void)close(l->wake_fd);
		free(l);
		return NULL;
	}
	tell_producers(l, l->latest);
	log_writer_begin(l, l->latest);
	return l;
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
		l->n_rings++;
	}
	return r;
}

/* ---- change ---- */

struct log_change *
log_prepare(struct log *l, const struct log_options *o, struct textbuf *why)
{
	struct log_change *c;

	CHECK(l->started && !l->changing);
	/* The writer frees `latest` after the next commit, not before. */
	c = log_change_open(l->latest, o, l->n_rings, why);
	if (!c)
		return NULL;
	c->log = l;
	l->changing = true;
	return c;
}

void
log_commit(struct log *l, struct log_change *c)
{
	struct log_change *before = l->latest;
	size_t i = 0;

	CHECK(l->changing && c->log == l);
	l->changing = false;
	for (struct log_ring *r = l->rings; r; r = r->next)
		c->marks[i++] = log_ring_mark(r);
	tell_producers(l, c);
	l->latest = c;
	/* From here on the writer may free `before`. */
	atomic_store(&before->next, c);
	log_writer_call(l);
}

void
log_rollback(struct log_change *c)
{
	CHECK(c->log->changing);
	c->log->changing = false;
	log_change_undo(c);
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
	return (int)level <=
	    atomic_load_explicit(&r->log->level, memory_order_relaxed);
}

bool
log_has_access(const struct log_ring *r)
{
	return atomic_load_explicit(&r->log->has_access, memory_order_relaxed);
}

bool
log_put(struct log_ring *r, enum log_stream to, struct span line)
{
	CHECK(line.len > 0 && line.ptr[line.len - 1] == '\n');
	if (to == LOG_STREAM_ACCESS && !log_has_access(r))
		return true;
	return log_ring_put(r, to, LOG_LEVEL_INFO, 0, line);
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

static enum log_format
message_format(const struct log *l)
{
	return (enum log_format)atomic_load_explicit(
	    &l->format, memory_order_relaxed);
}

void
log_message(struct log_ring *r, enum log_level level, const char *format, ...)
{
	char text[LOG_LINE_BYTES], line[LOG_TEXT_BYTES];
	struct textbuf t = textbuf_make(line, sizeof(line));
	int error = errno, len;
	uint8_t stamp;
	va_list args;

	if (!log_wants(r, level))
		return;
	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (len >= 0) {
		stamp = log_text_put(&t, message_format(r->log), level,
		    span_make(text, mark_cut(text, (size_t)len)));
		(void)log_ring_put(
		    r, LOG_STREAM_LOG, level, stamp, textbuf_span(&t));
	}
	errno = error;
}

/* ---- start and end ---- */

bool
log_start(struct log *l)
{
	l->started = thread_start(&l->thread, log_writer_main, l);
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
	if (l->now->to_syslog)
		closelog();
	log_change_free(l->now);
	(void)close(l->wake_fd);
	free(l);
}
