/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "evenkeel/base/num.h"
#include "evenkeel/net/clock.h"
#include "evenkeel/net/log_file.h"
#include "evenkeel/net/log_ring.h"
#include "evenkeel/net/log_writer.h"

#define DEADLINE_US 20000000ULL
#define PRODUCERS   4
#define CHANGES     100
#define LINES       20000U /* of each producer */
#define NOBODY      65534

static char dir[64];

static int
make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/test_log_change.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int
remove_dir(void **state)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[400];

	(void)state;
	while (d && (e = readdir(d)) != NULL) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (e->d_name[0] != '.' && unlink(path) < 0)
			(void)rmdir(path);
	}
	(void)closedir(d);
	return rmdir(dir);
}

/* A path in the directory; eight live at a time. */
static const char *
at(const char *name, int n)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % 8];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s%d", dir, name, n);
	return path;
}

/* ---- the log ---- */

static struct log *
start(const char *to_log, const char *to_access, struct log_ring **r)
{
	struct log_options o = {
	    to_log, to_access, LOG_LEVEL_INFO, LOG_FORMAT_TEXT};
	char why[256];
	struct textbuf t = textbuf_make(why, sizeof(why));
	struct log *l = log_create(&o, &t);

	if (!l)
		fail_msg("%.*s", (int)t.len, t.ptr);
	*r = log_ring_create(l, "main");
	assert_non_null(*r);
	assert_true(log_start(l));
	return l;
}

static struct log_change *
prepare(struct log *l, const char *to_log, const char *to_access,
    enum log_level level, enum log_format format)
{
	struct log_options o = {to_log, to_access, level, format};
	char why[256];
	struct textbuf t = textbuf_make(why, sizeof(why));
	struct log_change *c = log_prepare(l, &o, &t);

	if (!c)
		fail_msg("%.*s", (int)t.len, t.ptr);
	return c;
}

static void
change(struct log *l, const char *to_log, const char *to_access)
{
	log_commit(
	    l, prepare(l, to_log, to_access, LOG_LEVEL_INFO, LOG_FORMAT_TEXT));
}

static void
refused(struct log *l, const char *to_log, const char *to_access,
    enum log_stream bad, const char *reason)
{
	struct log_options o = {
	    to_log, to_access, LOG_LEVEL_DEBUG, LOG_FORMAT_JSON};
	char why[256], want[256];
	struct textbuf t = textbuf_make(why, sizeof(why) - 1);

	assert_null(log_prepare(l, &o, &t));
	why[t.len] = '\0';
	(void)snprintf(want, sizeof(want), "%s: %s: %s",
	    bad == LOG_STREAM_LOG ? "log" : "access_log",
	    bad == LOG_STREAM_LOG ? to_log : to_access, reason);
	assert_string_equal(why, want);
}

static void
record(struct log_ring *r, const char *line)
{
	assert_true(
	    log_put(r, LOG_STREAM_ACCESS, span_make(line, strlen(line))));
	log_flush(r);
}

static void
message(struct log_ring *r, const char *text)
{
	log_message(r, LOG_LEVEL_INFO, "%s", text);
	log_flush(r);
}

/* ---- what came of it ---- */

/* The whole file, terminated; the caller frees. */
static char *
slurp(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	size_t n = 0;
	char *text;

	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	assert_int_equal(fstat(fd, &st), 0);
	text = malloc((size_t)st.st_size + 1);
	assert_non_null(text);
	while (n < (size_t)st.st_size) {
		ssize_t got = read(fd, text + n, (size_t)st.st_size - n);

		assert_true(got > 0);
		n += (size_t)got;
	}
	text[n] = '\0';
	(void)close(fd);
	*len = n;
	return text;
}

static void
assert_file(const char *path, const char *want)
{
	size_t len;
	char *text = slurp(path, &len);

	assert_string_equal(text, want);
	free(text);
}

/* Messages without their time. */
static void
assert_messages(const char *path, const char *want)
{
	size_t len;
	char *text = slurp(path, &len), *out = text;

	for (char *line = text, *end; *line; line = end) {
		size_t skip = line[0] == '2' ? 25 : 0;

		end = strchr(line, '\n');
		assert_non_null(end);
		end++;
		memmove(out, line + skip, (size_t)(end - line) - skip);
		out += (size_t)(end - line) - skip;
	}
	*out = '\0';
	assert_string_equal(text, want);
	free(text);
}

static bool
is_late(uint64_t begun)
{
	struct timespec pause = {0, 200000};

	(void)nanosleep(&pause, NULL);
	return clock_monotonic_us() - begun > DEADLINE_US;
}

static void
wait_for_bytes(const char *path, off_t bytes)
{
	uint64_t begun = clock_monotonic_us();
	struct stat st;

	while (stat(path, &st) < 0 || st.st_size < bytes)
		if (is_late(begun))
			fail_msg("%s does not get %lld bytes", path,
			    (long long)bytes);
}

static size_t
open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

/* ---- under load ---- */

struct producer {
	struct log_ring *ring;
	unsigned id;
	_Atomic unsigned done;
};

/* "ID NUMBER xxx...\n" */
static struct span
numbered(char *out, unsigned id, unsigned n)
{
	size_t len = n % 997 == 0 ? 16384 : 20 + n * 7 % 100;
	int head = snprintf(out, 40, "%u %u ", id, n);

	memset(out + head, 'x', len - (size_t)head);
	out[len - 1] = '\n';
	return span_make(out, len);
}

static void *
produce(void *arg)
{
	struct producer *p = arg;
	static _Thread_local char line[16384];

	for (unsigned n = 0; n < LINES; n++) {
		struct span s = numbered(line, p->id, n);

		while (!log_put(p->ring, (enum log_stream)(n % 2), s)) {
			log_flush(p->ring);
			(void)sched_yield();
		}
		if (n % 16 == 15)
			log_flush(p->ring);
		atomic_store(&p->done, n + 1);
	}
	log_flush(p->ring);
	return NULL;
}

static unsigned
number(struct span *rest)
{
	size_t len = span_find(*rest, ' ');
	uint64_t value = 0;

	assert_true(
	    num_parse_u64(span_make(rest->ptr, len), 1000000000, &value));
	rest->ptr += len + 1;
	rest->len -= len + 1;
	return (unsigned)value;
}

/* The lines go on, of each producer, where those of the file before stopped;
 * each is whole. */
static void
assert_goes_on(const char *path, unsigned next[PRODUCERS])
{
	static char want[16384];
	size_t len;
	char *text = slurp(path, &len);

	for (struct span rest = {text, len}; rest.len > 0;) {
		struct span line = {rest.ptr, span_find(rest, '\n') + 1};
		struct span s = line;
		unsigned id, n;

		assert_true(line.len <= rest.len);
		rest.ptr += line.len;
		rest.len -= line.len;
		/* Such as "2026-11-22T... 7 lines lost" after a full ring. */
		if (span_find(line, '-') < line.len)
			continue;
		id = number(&s);
		n = number(&s);
		assert_in_range(id, 0, PRODUCERS - 1);
		assert_int_equal(n, next[id]);
		next[id] = n + 2;
		assert_true(span_equal(line, numbered(want, id, n)));
	}
	free(text);
}

/* Every fourth change leaves the path of the access log as it was. */
static int
access_of(int n)
{
	return n % 4 == 3 ? n - 1 : n;
}

static void
wait_for_lines(struct producer *p, unsigned lines)
{
	uint64_t begun = clock_monotonic_us();

	for (unsigned i = 0; i < PRODUCERS; i++)
		while (atomic_load(&p[i].done) < lines)
			if (is_late(begun))
				fail_msg("the producers do not get on");
}

/*
 * No line is lost, and each is in the file that was in force when it was put:
 * so those of a producer are in their order, one file after the other.
 */
static void
changes_under_load(void **state)
{
	struct log_options o = {
	    at("log", 0), at("access", 0), LOG_LEVEL_INFO, LOG_FORMAT_TEXT};
	char why[256];
	struct textbuf t = textbuf_make(why, sizeof(why));
	struct log *l = log_create(&o, &t);
	unsigned logs[PRODUCERS] = {0}, records[PRODUCERS] = {1, 1, 1, 1};
	struct producer p[PRODUCERS];
	pthread_t threads[PRODUCERS];

	(void)state;
	assert_non_null(l);
	for (unsigned i = 0; i < PRODUCERS; i++) {
		p[i] = (struct producer){
		    .ring = log_ring_create(l, "producer"), .id = i};
		assert_non_null(p[i].ring);
	}
	assert_true(log_start(l));
	for (unsigned i = 0; i < PRODUCERS; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, produce, &p[i]), 0);
	for (int n = 1; n <= CHANGES; n++) {
		wait_for_lines(p, (unsigned)n * (LINES / (CHANGES + 10)));
		change(l, at("log", n), at("access", access_of(n)));
	}
	for (unsigned i = 0; i < PRODUCERS; i++)
		(void)pthread_join(threads[i], NULL);
	log_free(l);
	for (int n = 0; n <= CHANGES; n++) {
		assert_goes_on(at("log", n), logs);
		if (access_of(n) == n)
			assert_goes_on(at("access", n), records);
	}
	for (unsigned i = 0; i < PRODUCERS; i++) {
		assert_int_equal(logs[i], LINES);
		assert_int_equal(records[i], LINES + 1);
	}
}

/* ---- one thread: each line is where it belongs ---- */

static void
before_and_after(void **state)
{
	size_t open_before = open_files();
	struct log_ring *r;
	struct log *l = start(at("log", 0), at("access", 0), &r);

	(void)state;
	for (int n = 0; n < 3; n++) {
		if (n > 0)
			change(l, at("log", n), at("access", n));
		for (int i = 0; i < 2; i++) {
			log_message(r, LOG_LEVEL_INFO, "message %d", n);
			assert_true(
			    log_put(r, LOG_STREAM_ACCESS, SPAN("record\n")));
		}
	}
	log_free(l);
	for (int n = 0; n < 3; n++) {
		char want[80];

		(void)snprintf(want, sizeof(want),
		    "info  message %d\ninfo  message %d\n", n, n);
		assert_messages(at("log", n), want);
		assert_file(at("access", n), "record\nrecord\n");
	}
	assert_int_equal(open_files(), open_before);
}

/* Without any line: the writer is woken, and lets go of the files. */
static void
idle_writer_changes(void **state)
{
	uint64_t begun = clock_monotonic_us();
	struct log_ring *r;
	struct log *l;
	int reader;
	char byte;

	(void)state;
	assert_int_equal(mkfifo(at("access", 0), 0600), 0);
	reader = open(at("access", 0), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	l = start(at("log", 0), at("access", 0), &r);
	while (atomic_load(&l->state) != WRITER_ASLEEP)
		assert_false(is_late(begun));
	change(l, at("log", 0), "off");
	/* The end: nobody has it open to write. */
	while (read(reader, &byte, 1) != 0)
		assert_false(is_late(begun));
	log_free(l);
	(void)close(reader);
}

static void
wants_change_at_once(void **state)
{
	struct log_ring *r;
	struct log *l = start(at("log", 0), "off", &r);

	(void)state;
	record(r, "nobody\n");
	log_commit(l,
	    prepare(l, at("log", 0), at("access", 0), LOG_LEVEL_DEBUG,
		LOG_FORMAT_JSON));
	assert_true(log_has_access(r));
	assert_true(log_wants(r, LOG_LEVEL_DEBUG));
	log_message(r, LOG_LEVEL_DEBUG, "in json");
	record(r, "record\n");
	log_commit(l,
	    prepare(l, at("log", 0), "off", LOG_LEVEL_WARN, LOG_FORMAT_TEXT));
	assert_false(log_has_access(r));
	assert_false(log_wants(r, LOG_LEVEL_INFO));
	record(r, "nobody\n");
	log_message(r, LOG_LEVEL_WARN, "in text");
	log_free(l);
	assert_file(at("access", 0), "record\n");
	{
		size_t len;
		char *text = slurp(at("log", 0), &len);

		assert_int_equal(text[0], '{');
		assert_non_null(strstr(text, "\"in json\"}\n2"));
		assert_non_null(strstr(text, " warn  in text\n"));
		free(text);
	}
}

/* ---- refused and taken back ---- */

static void
as_before(struct log *l, struct log_ring *r, size_t files)
{
	assert_int_equal(open_files(), files);
	assert_false(log_wants(r, LOG_LEVEL_DEBUG));
	assert_false(log_has_access(r));
	message(r, "still here");
	log_free(l);
	assert_messages(at("log", 0), "info  still here\n");
}

static void
refused_changes_nothing(void **state)
{
	struct log_ring *r;
	struct log *l = start(at("log", 0), "off", &r);
	size_t files = open_files();
	struct rlimit before, none;

	(void)state;
	refused(l, at("new", 0), "/nonexistent/access", LOG_STREAM_ACCESS,
	    "No such file or directory");
	refused(l, dir, at("access", 0), LOG_STREAM_LOG, "Is a directory");
	refused(l, at("log", 0), dir, LOG_STREAM_ACCESS, "Is a directory");
	refused(l, at("log0/x", 0), "off", LOG_STREAM_LOG, "Not a directory");
	assert_int_equal(mkfifo(at("fifo", 0), 0600), 0);
	refused(l, at("fifo", 0), "off", LOG_STREAM_LOG,
	    "No such device or address"
	    " (a socket, or a FIFO that nobody reads)");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	refused(l, at("log", 0), at("access", 0), LOG_STREAM_ACCESS,
	    "Too many open files");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	as_before(l, r, files);
}

/* As the user that evenkeel has become; root may everything. */
static void
no_permission(void **state)
{
	struct log_ring *r;
	struct log *l = start(at("log", 0), "off", &r);
	size_t files = open_files();
	uid_t user = geteuid();

	(void)state;
	assert_int_equal(chmod(dir, 0500), 0);
	if (user == 0)
		assert_int_equal(seteuid(NOBODY), 0);
	refused(l, at("log", 0), at("access", 0), LOG_STREAM_ACCESS,
	    "Permission denied");
	/* What is open stays, though it could not be opened now. */
	log_rollback(
	    prepare(l, at("log", 0), "off", LOG_LEVEL_DEBUG, LOG_FORMAT_JSON));
	if (user == 0)
		assert_int_equal(seteuid(user), 0);
	assert_int_equal(chmod(dir, 0700), 0);
	as_before(l, r, files);
}

static void
rolled_back_changes_nothing(void **state)
{
	struct log_ring *r;
	struct log *l = start(at("log", 0), "off", &r);
	size_t files = open_files();

	(void)state;
	for (int n = 0; n < 3; n++) {
		struct log_change *c = prepare(l, at("log", n), at("access", n),
		    LOG_LEVEL_DEBUG, LOG_FORMAT_JSON);

		assert_false(log_has_access(r));
		log_rollback(c);
	}
	as_before(l, r, files);
	assert_file(at("log", 1), "");
	assert_file(at("access", 1), "");
}

/* ---- paths ---- */

/* Not opened again: the file goes on under whatever name it has now. */
static void
same_path_stays_open(void **state)
{
	struct log_ring *r;
	struct log *l = start(at("log", 0), at("access", 0), &r);

	(void)state;
	record(r, "one\n");
	assert_int_equal(rename(at("access", 0), at("kept", 0)), 0);
	assert_int_equal(mkdir(at("access", 0), 0700), 0);
	change(l, at("log", 1), at("access", 0));
	record(r, "two\n");
	change(l, at("log", 0), at("access", 0));
	record(r, "three\n");
	log_free(l);
	assert_file(at("kept", 0), "one\ntwo\nthree\n");
}

static void
reopen_takes_the_new_path(void **state)
{
	struct log_ring *r;
	struct log *l = start(at("log", 0), at("access", 0), &r);

	(void)state;
	change(l, at("log", 1), at("access", 1));
	record(r, "one\n");
	wait_for_bytes(at("access", 1), 4);
	assert_int_equal(rename(at("access", 1), at("rotated", 1)), 0);
	change(l, at("log", 2), at("access", 1));
	log_reopen(l);
	wait_for_bytes(at("access", 1), 0);
	record(r, "two\n");
	log_free(l);
	assert_file(at("rotated", 1), "one\n");
	assert_file(at("access", 1), "two\n");
	assert_file(at("access", 0), "");
}

static void
paths_swapped(void **state)
{
	struct log_ring *r;
	struct log *l = start(at("a", 0), at("b", 0), &r);

	(void)state;
	message(r, "one");
	record(r, "one\n");
	change(l, at("b", 0), at("a", 0));
	message(r, "two");
	record(r, "two\n");
	/* Both in one, then apart again. */
	change(l, at("a", 0), at("a", 0));
	message(r, "three");
	record(r, "three\n");
	change(l, at("b", 0), at("a", 0));
	message(r, "four");
	record(r, "four\n");
	log_free(l);
	assert_messages(
	    at("a", 0), "info  one\ntwo\ninfo  three\nthree\nfour\n");
	assert_messages(at("b", 0), "one\ninfo  two\ninfo  four\n");
}

/* ---- syslog and the standard files ---- */

static char sent[4096]; /* by the writer; read when it has ended */
static size_t sent_len;

static void
keep_sent(int priority, const char *format, va_list args)
{
	int n = snprintf(
	    sent + sent_len, sizeof(sent) - sent_len, "<%d>", priority);

	sent_len += (size_t)n;
	n = vsnprintf(sent + sent_len, sizeof(sent) - sent_len, format, args);
	sent_len += (size_t)n;
	assert_in_range(sent_len, 1, sizeof(sent) - 1);
}

/* In the place of the C library's, for there may be no syslog here. */
void syslog_sent(int priority, const char *format, ...) __asm__("syslog")
    __attribute__((format(printf, 2, 3)));
void syslog_checked_sent(int priority, int flag, const char *format,
    ...) __asm__("__syslog_chk") __attribute__((format(printf, 3, 4)));

void
syslog_sent(int priority, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	keep_sent(priority, format, args);
	va_end(args);
}

void
syslog_checked_sent(int priority, int flag, const char *format, ...)
{
	va_list args;

	(void)flag;
	va_start(args, format);
	keep_sent(priority, format, args);
	va_end(args);
}

/* There and back; syslog brings time and level itself, json is one text. */
static void
syslog_both_ways(void **state)
{
	struct log_ring *r;
	struct log *l = start(at("log", 0), at("access", 0), &r);
	size_t len;
	char *text;

	(void)state;
	sent_len = 0;
	message(r, "to file");
	change(l, "syslog", at("access", 0));
	log_message(r, LOG_LEVEL_WARN, "to syslog");
	record(r, "one\n");
	change(l, at("log", 0), "off");
	message(r, "to file again");
	log_commit(l,
	    prepare(
		l, "syslog", at("access", 0), LOG_LEVEL_INFO, LOG_FORMAT_JSON));
	message(r, "in json");
	record(r, "two\n");
	log_free(l);
	assert_messages(at("log", 0), "info  to file\ninfo  to file again\n");
	assert_file(at("access", 0), "one\ntwo\n");
	sent[sent_len] = '\0';
	text = strstr(sent, "<6>{\"time\":\"");
	assert_non_null(text);
	len = (size_t)(text - sent);
	assert_int_equal(len, strlen("<4>to syslog"));
	assert_memory_equal(sent, "<4>to syslog", len);
	assert_non_null(strstr(text, "\"message\":\"in json\"}"));
	assert_null(strchr(sent, '\n'));
}

static void
wait_for_empty(struct log_ring *r)
{
	uint64_t begun = clock_monotonic_us();

	while (atomic_load(&r->head) != atomic_load(&r->tail))
		if (is_late(begun))
			fail_msg("the ring is not emptied");
}

/* The stamp that syslog does not get may lie around the ring's end. */
static void
syslog_around_the_ring(void **state)
{
	struct log_ring *r;
	struct log *l = start("syslog", at("access", 0), &r);

	(void)state;
	for (uint64_t split = 0; split <= 32; split += 8) {
		uint64_t fill = LOG_RING_BYTES - 8 - split;
		uint64_t tail = atomic_load(&r->tail);

		sent_len = 0;
		/* Records until the next one's line begins `split` bytes
		 * before the end; there is room for them. */
		while ((tail & (LOG_RING_BYTES - 1)) != fill) {
			static char line[4096];
			uint64_t gap = (fill - tail) & (LOG_RING_BYTES - 1);
			size_t len = gap > 4096 + 16 ? 4088
			    : gap % 16 == 8          ? 16
						     : 8;

			memset(line, 'x', len);
			line[len - 1] = '\n';
			assert_true(log_put(
			    r, LOG_STREAM_ACCESS, span_make(line, len)));
			tail = atomic_load(&r->tail);
		}
		log_flush(r);
		wait_for_empty(r);
		message(r, "whole");
		wait_for_empty(r);
		assert_int_equal(sent_len, strlen("<6>whole"));
		assert_memory_equal(sent, "<6>whole", sent_len);
	}
	log_free(l);
}

static void
redirected(int fd, const char *path, int *saved)
{
	int to = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	(void)fflush(NULL);
	*saved = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	assert_true(to >= 0 && *saved >= 0);
	assert_int_equal(dup2(to, fd), fd);
	(void)close(to);
}

static void
restored(int fd, int saved)
{
	(void)dup2(saved, fd);
	(void)close(saved);
}

static void
standard_files_both_ways(void **state)
{
	struct log_ring *r;
	int out, err;
	struct log *l;

	(void)state;
	redirected(STDOUT_FILENO, at("out", 0), &out);
	redirected(STDERR_FILENO, at("err", 0), &err);
	l = start("stderr", "stdout", &r);
	message(r, "one");
	record(r, "one\n");
	change(l, at("log", 0), at("access", 0));
	message(r, "two");
	record(r, "two\n");
	change(l, "stderr", "stdout");
	message(r, "three");
	record(r, "three\n");
	/* The same file by its name. */
	change(l, at("err", 0), "stdout");
	message(r, "four");
	log_free(l);
	restored(STDOUT_FILENO, out);
	restored(STDERR_FILENO, err);
	assert_messages(at("err", 0), "info  one\ninfo  three\ninfo  four\n");
	assert_file(at("out", 0), "one\nthree\n");
	assert_messages(at("log", 0), "info  two\n");
	assert_file(at("access", 0), "two\n");
}

/* ---- files that take nothing when they go ---- */

static int
make_fifo(int n)
{
	int reader;

	assert_int_equal(mkfifo(at("fifo", n), 0600), 0);
	reader = open(at("fifo", n), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(reader >= 0);
	return reader;
}

/* More than a pipe takes, less than a log_file keeps besides.  Returns how
 * many bytes. */
static size_t
put_much(struct log_ring *r, unsigned lines)
{
	static char line[16384];
	size_t bytes = 0;

	for (unsigned n = 0; n < lines; n++) {
		struct span s = numbered(line, 0, n * 2);

		assert_true(log_put(r, LOG_STREAM_ACCESS, s));
		bytes += s.len;
	}
	log_flush(r);
	return bytes;
}

/* Nobody waits for the old reader; he gets all there is, then the end. */
static void
slow_reader_gets_all(void **state)
{
	uint64_t begun = clock_monotonic_us();
	int reader = make_fifo(0), copy;
	unsigned next[PRODUCERS] = {0};
	struct log_ring *r;
	struct log *l = start(at("log", 0), at("fifo", 0), &r);
	size_t bytes = put_much(r, 2400), got = 0;
	char chunk[4096];
	ssize_t n;

	(void)state;
	change(l, at("log", 0), at("access", 0));
	record(r, "after\n");
	wait_for_bytes(at("access", 0), 6);
	copy = open(at("copy", 0), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while ((n = read(reader, chunk, sizeof(chunk))) != 0) {
		if (n < 0)
			assert_false(is_late(begun));
		else
			got += (size_t)write(copy, chunk, (size_t)n);
	}
	assert_int_equal(got, bytes);
	assert_goes_on(at("copy", 0), next);
	assert_int_equal(next[0], 4800);
	assert_int_equal(log_dropped(l), 0);
	log_free(l);
	(void)close(copy);
	(void)close(reader);
}

#define STUCK 12

/* Readers that never read: not kept for ever, and what is lost is said. */
static void
stuck_readers_are_given_up(void **state)
{
	struct log_ring *r;
	int readers[STUCK];
	struct log *l = NULL;
	uint64_t begun = clock_monotonic_us();
	size_t files = 0, len;
	char *text;

	(void)state;
	for (int n = 0; n < STUCK; n++) {
		readers[n] = make_fifo(n);
		if (l)
			change(l, at("log", 0), at("fifo", n));
		else
			l = start(at("log", 0), at("fifo", n), &r);
		if (n == 0)
			files = open_files();
		(void)put_much(r, 2400);
		message(r, "done");
		wait_for_bytes(at("log", 0), (n + 1) * 36);
	}
	/* One in use, eight that wait. */
	while (open_files() != files + 8 + STUCK - 1)
		if (is_late(begun))
			fail_msg("%zu files are open", open_files() - files);
	assert_in_range(log_dropped(l), 3, 3 * 2400);
	change(l, at("log", 0), "off");
	log_free(l);
	/* Without its log, its pipe and the eventfd. */
	assert_int_equal(open_files(), files + STUCK - 1 - 3);
	text = slurp(at("log", 0), &len);
	assert_non_null(strstr(text, "/fifo0: "));
	assert_non_null(strstr(text, " lines lost: its reader is too slow\n"));
	assert_non_null(strstr(text, "/fifo11: "));
	free(text);
	for (int n = 0; n < STUCK; n++)
		(void)close(readers[n]);
}

/*
 * Half a line is in the file when its path changes to another name of the same
 * file: its rest comes before any other line.
 */
static void
half_line_goes_on(void **state)
{
	struct rlimit before, limit;
	unsigned next[PRODUCERS] = {0};
	struct log_ring *r;
	struct log *l = start(at("log", 0), at("access", 0), &r);
	uint64_t begun = clock_monotonic_us();
	static char line[16384];

	(void)state;
	assert_int_equal(symlink(at("access", 0), at("name", 0)), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 40001;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	(void)put_much(r, 1000);
	wait_for_bytes(at("access", 0), 40001);
	change(l, at("log", 0), at("name", 0));
	while (atomic_load(&l->state) != WRITER_ASLEEP)
		assert_false(is_late(begun));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_true(log_put(r, LOG_STREAM_ACCESS, numbered(line, 0, 2000)));
	log_free(l);
	assert_goes_on(at("access", 0), next);
	assert_int_equal(next[0], 2002);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_DIR(changes_under_load),
	    IN_DIR(before_and_after),
	    IN_DIR(idle_writer_changes),
	    IN_DIR(wants_change_at_once),
	    IN_DIR(refused_changes_nothing),
	    IN_DIR(no_permission),
	    IN_DIR(rolled_back_changes_nothing),
	    IN_DIR(same_path_stays_open),
	    IN_DIR(reopen_takes_the_new_path),
	    IN_DIR(paths_swapped),
	    IN_DIR(syslog_both_ways),
	    IN_DIR(syslog_around_the_ring),
	    IN_DIR(standard_files_both_ways),
	    IN_DIR(slow_reader_gets_all),
	    IN_DIR(stuck_readers_are_given_up),
	    IN_DIR(half_line_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
