#include "evenkeel/net/log_writer.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "evenkeel/net/clock.h"
#include "evenkeel/net/log_text.h"

/* A file that failed is tried again after this, if no line comes before. */
#define LOG_RETRY_MS 1000
/* log_free waits so long for readers of pipes that are full. */
#define LOG_FREE_MS 2000
/* Lost lines are told at most so often. */
#define LOG_TELL_MS 1000
/* A file that is not in use any more is given up after this, or when there are
 * so many of them. */
#define LOG_LEAVE_MS    5000
#define LOG_LEAVING_MAX 8U

void
log_writer_call(struct log *l)
{
	uint64_t one = 1;
	ssize_t n;

	/* Fails otherwise only when the counter is at its top: awake already.
	 */
	do
		n = write(l->wake_fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
}

static void
send_syslog(enum log_level level, struct span a, struct span b)
{
	static const int priorities[] = {
	    LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

	/* Without the '\n', which is the last byte of the last piece. */
	if (b.len == 0)
		syslog(priorities[level], "%.*s", (int)a.len - 1, a.ptr);
	else
		syslog(priorities[level], "%.*s%.*s", (int)a.len, a.ptr,
		    (int)b.len - 1, b.ptr);
}

/* A line that has no file. */
static void
writer_take_fileless(const struct log *l, const struct log_line *line)
{
	struct span a = line->first, b = line->second;
	size_t skip = line->stamp_bytes;

	/* An access record that was put just when the access log ended. */
	if (line->to != LOG_STREAM_LOG || !l->now->to_syslog)
		return;
	if (skip >= a.len) {
		a = span_make(b.ptr + (skip - a.len), b.len - (skip - a.len));
		b = SPAN_NONE;
	} else {
		a = span_make(a.ptr + skip, a.len - skip);
	}
	send_syslog(line->level, a, b);
}

/* Brings a line to where it goes; false: it must wait in its ring. */
static bool
writer_take(struct log *l, const struct log_line *line)
{
	struct log_file *f = l->to[line->to];

	if (!f) {
		writer_take_fileless(l, line);
		return true;
	}
	if (log_file_room(f, line->first.len + line->second.len)) {
		log_file_append(f, line->first, line->second);
		return true;
	}
	if (l->patient && log_file_blocked(f))
		return false;
	log_file_lose(f);
	atomic_fetch_add_explicit(&l->lost, 1, memory_order_relaxed);
	return true;
}

/* Takes the lines before the marks, not those that come meanwhile: a fast
 * producer does not hold up the others.  Returns how many. */
static size_t
writer_drain(struct log *l)
{
	struct log_line line;
	size_t n = 0;

	for (struct log_ring *r = l->rings; r; r = r->next)
		while (
		    log_ring_peek(r, r->mark, &line) && writer_take(l, &line)) {
			log_ring_pop(r, &line);
			n++;
		}
	return n;
}

/* One message of the writer itself.  False: the log can't take it now. */
static bool
writer_say(struct log *l, struct span message)
{
	char line[LOG_TEXT_BYTES];
	struct textbuf t = textbuf_make(line, sizeof(line));
	struct log_file *f = l->to[LOG_STREAM_LOG];
	uint8_t skip =
	    log_text_put(&t, l->now->format, LOG_LEVEL_ERROR, message);

	if (!f) {
		send_syslog(LOG_LEVEL_ERROR,
		    span_make(line + skip, t.len - skip), SPAN_NONE);
		return true;
	}
	if (f->error != 0 || !log_file_room(f, t.len))
		return false;
	log_file_append(f, textbuf_span(&t), SPAN_NONE);
	log_file_write(f);
	return true;
}

/* About lines that are lost. */
static bool
writer_tell(struct log *l, const char *who, uint64_t n, const char *why)
{
	char text[LOG_LINE_BYTES];
	struct textbuf m = textbuf_make(text, sizeof(text));

	textbuf_str(&m, who);
	textbuf_lit(&m, ": ");
	textbuf_u64(&m, n);
	textbuf_lit(&m, " lines lost: ");
	textbuf_str(&m, why);
	return writer_say(l, textbuf_span(&m));
}

static void
writer_reopen(struct log *l)
{
	for (int i = 0; i < LOG_STREAMS; i++) {
		char text[LOG_LINE_BYTES];
		struct textbuf m = textbuf_make(text, sizeof(text));
		struct log_file *f = l->now->files[i];

		if (!f || log_file_reopen(f))
			continue;
		textbuf_str(&m, f->name);
		textbuf_lit(&m,
		    ": could not be opened anew, the old file stays"
		    " in use: ");
		textbuf_str(&m, strerror(errno));
		(void)writer_say(l, textbuf_span(&m));
	}
}

static uint64_t
ring_lost(const struct log_ring *r)
{
	return atomic_load_explicit(&r->dropped, memory_order_relaxed);
}

static bool
file_untold(const struct log_file *f)
{
	return f && f->lost != f->told;
}

static const char *
loss_reason(int error)
{
	return error == EAGAIN ? "its reader is too slow" : strerror(error);
}

/* Says what was lost, when the file that lost it works again. */
static void
writer_tell_losses(struct log *l)
{
	uint64_t now = clock_monotonic_us();

	if (now - l->told_us < LOG_TELL_MS * 1000)
		return;
	for (struct log_ring *r = l->rings; r; r = r->next) {
		uint64_t n = ring_lost(r);

		if (n != r->told &&
		    writer_tell(l, r->name, n - r->told, "too many at once")) {
			r->told = n;
			l->told_us = now;
		}
	}
	for (int i = 0; i < LOG_STREAMS; i++) {
		struct log_file *f = l->now->files[i];

		if (!file_untold(f) || f->error != 0)
			continue;
		if (writer_tell(l, f->name, f->lost - f->told,
			loss_reason(f->lost_error))) {
			f->told = f->lost;
			l->told_us = now;
		}
	}
}

/* ---- changes ---- */

void
log_writer_begin(struct log *l, struct log_change *c)
{
	l->now = c;
	for (int i = 0; i < LOG_STREAMS; i++)
		l->to[i] = c->files[i];
	if (c->to_syslog)
		openlog("evenkeel", LOG_PID, LOG_DAEMON);
	/* One buffer for one place, or half a line of one stream could be
	 * followed by a line of the other. */
	if (l->to[LOG_STREAM_LOG] && l->to[LOG_STREAM_ACCESS] &&
	    log_file_same(l->to[LOG_STREAM_LOG], l->to[LOG_STREAM_ACCESS])) {
		log_file_take_over(
		    l->to[LOG_STREAM_LOG], l->to[LOG_STREAM_ACCESS]);
		l->to[LOG_STREAM_ACCESS] = l->to[LOG_STREAM_LOG];
	}
}

static void
writer_write_working(struct log *l)
{
	for (int i = 0; i < LOG_STREAMS; i++)
		if (l->now->files[i] && l->now->files[i]->error == 0)
			log_file_write(l->now->files[i]);
}

/* The files that are not in use give what waits to one that is, where that is
 * the same place under another name. */
static void
writer_hand_over(struct log *l)
{
	for (struct log_file *f = l->leaving; f; f = f->next)
		for (int i = 0; i < LOG_STREAMS; i++)
			if (l->to[i])
				log_file_take_over(l->to[i], f);
}

/* On to the next change: what lies before its marks was put before it. */
static void
writer_change(struct log *l, struct log_change *next)
{
	struct log_change *old = l->now;
	size_t n = 0;

	for (struct log_ring *r = l->rings; r; r = r->next)
		r->mark = next->marks[n++];
	(void)writer_drain(l);
	writer_write_working(l);
	if (old->to_syslog)
		closelog();
	for (int i = 0; i < LOG_STREAMS; i++) {
		struct log_file *f = old->files[i];

		old->files[i] = NULL;
		if (!f || next->kept[i])
			continue;
		f->give_up_us = clock_monotonic_us() + LOG_LEAVE_MS * 1000;
		f->next = l->leaving;
		l->leaving = f;
	}
	log_change_free(old);
	log_writer_begin(l, next);
	writer_hand_over(l);
}

/* Goes on to the change that was committed last, and marks what a round is to
 * take: lines of which none was put after a change that is not seen. */
static void
writer_follow(struct log *l)
{
	struct log_change *next;

	for (;;) {
		for (struct log_ring *r = l->rings; r; r = r->next)
			r->mark = log_ring_mark(r);
		next = atomic_load(&l->now->next);
		if (!next)
			return;
		writer_change(l, next);
	}
}

/* Closes the files that are not in use, once they are written or time is up. */
static void
writer_let_go(struct log *l, uint64_t now)
{
	struct log_file **at = &l->leaving, *f;

	for (size_t n = 0; (f = *at) != NULL;) {
		log_file_write(f);
		if (f->from < f->to && now < f->give_up_us &&
		    n < LOG_LEAVING_MAX) {
			at = &f->next;
			n++;
			continue;
		}
		*at = f->next;
		atomic_fetch_add_explicit(
		    &l->lost, log_file_give_up(f), memory_order_relaxed);
		if (file_untold(f))
			(void)writer_tell(l, f->name, f->lost - f->told,
			    loss_reason(f->lost_error));
		log_file_free(f);
	}
}

/* ---- rounds ---- */

/* Every file is tried once, also those that were stuck.  Returns how many
 * lines were taken from the rings. */
static size_t
writer_round(struct log *l)
{
	/* Asked first: it is for the changes that were committed before. */
	bool reopen = atomic_exchange(&l->reopen, false);
	size_t n;

	writer_follow(l);
	if (reopen)
		writer_reopen(l);
	for (int i = 0; i < LOG_STREAMS; i++)
		if (l->now->files[i])
			log_file_write(l->now->files[i]);
	n = writer_drain(l);
	writer_write_working(l);
	writer_let_go(l, clock_monotonic_us());
	writer_tell_losses(l);
	return n;
}

/* Has poll wait for a blocked file.  Returns how many places it took. */
static nfds_t
await(const struct log_file *f, struct pollfd *p)
{
	if (!f || !log_file_blocked(f))
		return 0;
	*p = (struct pollfd){.fd = f->fd, .events = POLLOUT};
	return 1;
}

/* Until somebody calls, a blocked file takes bytes again, or time is up
 * (negative: never). */
static void
writer_wait(struct log *l, int timeout_ms)
{
	struct pollfd p[1 + LOG_STREAMS + LOG_LEAVING_MAX];
	nfds_t n = 0;
	uint64_t calls;

	p[n++] = (struct pollfd){.fd = l->wake_fd, .events = POLLIN};
	for (int i = 0; i < LOG_STREAMS; i++)
		n += await(l->now->files[i], p + n);
	for (struct log_file *f = l->leaving; f; f = f->next)
		n += await(f, p + n);
	(void)poll(p, n, timeout_ms);
	(void)!read(l->wake_fd, &calls, sizeof(calls));
}

/* Something is to be done though nobody calls. */
static bool
writer_owes(const struct log *l)
{
	for (int i = 0; i < LOG_STREAMS; i++) {
		const struct log_file *f = l->now->files[i];

		if (file_untold(f) || (f && log_file_failed(f)))
			return true;
	}
	for (const struct log_ring *r = l->rings; r; r = r->next)
		if (ring_lost(r) != r->told)
			return true;
	return l->leaving != NULL;
}

/* Sleeps while all rings are empty.  The other half of log_flush. */
static void
writer_sleep(struct log *l)
{
	bool empty = true;

	atomic_store(&l->state, WRITER_ASLEEP);
	for (struct log_ring *r = l->rings; r && empty; r = r->next)
		empty = log_ring_empty(r);
	if (empty && !atomic_load(&l->stopping) && !atomic_load(&l->reopen) &&
	    !atomic_load(&l->now->next))
		writer_wait(l, writer_owes(l) ? LOG_RETRY_MS : -1);
	atomic_store(&l->state, WRITER_BUSY);
}

static void
writer_gather(struct log *l)
{
	atomic_store(&l->state, WRITER_GATHERING);
	if (!atomic_load(&l->stopping))
		writer_wait(l, LOG_GATHER_MS);
	atomic_store(&l->state, WRITER_BUSY);
}

static bool
writer_blocked(const struct log *l)
{
	for (int i = 0; i < LOG_STREAMS; i++)
		if (l->now->files[i] && log_file_blocked(l->now->files[i]))
			return true;
	for (const struct log_file *f = l->leaving; f; f = f->next)
		if (log_file_blocked(f))
			return true;
	return false;
}

void
log_writer_finish(struct log *l)
{
	uint64_t now = clock_monotonic_us();
	uint64_t end = now + LOG_FREE_MS * 1000;

	/* Lines that are put after a change don't wait for the files before. */
	writer_follow(l);
	l->told_us = 0; /* the last chance */
	l->patient = true;
	writer_round(l);
	while (writer_blocked(l) && now < end) {
		writer_wait(l, (int)((end - now + 999) / 1000));
		writer_round(l);
		now = clock_monotonic_us();
	}
	writer_let_go(l, UINT64_MAX);
}

void *
log_writer_main(void *arg)
{
	struct log *l = arg;

	while (!atomic_load(&l->stopping)) {
		if (writer_round(l) == 0)
			writer_sleep(l);
		writer_gather(l);
	}
	log_writer_finish(l);
	return NULL;
}
