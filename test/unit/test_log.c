/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "evenkeel/base/num.h"
#include "evenkeel/base/rng.h"
#include "evenkeel/net/clock.h"
#include "evenkeel/net/log_file.h"
#include "evenkeel/net/log_ring.h"
#include "evenkeel/net/log_writer.h"

#define DEADLINE_US 20000000ULL
#define PRODUCERS   4

static char dir[64];
static char log_path[96], access_path[96];

static int
make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/test_log.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(log_path, sizeof(log_path), "%s/log", dir);
	(void)snprintf(access_path, sizeof(access_path), "%s/access", dir);
	return 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	(void)unlink(log_path);
	(void)unlink(access_path);
	return rmdir(dir);
}

static struct log *
create(const char *to_log, const char *to_access, enum log_format format)
{
	struct log_options o = {to_log, to_access, LOG_LEVEL_INFO, format};
	char why[256];
	struct textbuf t = textbuf_make(why, sizeof(why));
	struct log *l = log_create(&o, &t);

	if (!l)
		fail_msg("%.*s", (int)t.len, t.ptr);
	return l;
}

static struct log_ring *
ring(struct log *l, const char *name)
{
	struct log_ring *r = log_ring_create(l, name);

	assert_non_null(r);
	return r;
}

/* The whole file, terminated; the caller frees. */
static char *
slurp(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	size_t n = 0;
	char *text;

	assert_true(fd >= 0);
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
	if (len)
		*len = n;
	return text;
}

static bool
file_has(const char *path, const char *what)
{
	char *text = slurp(path, NULL);
	bool has = strstr(text, what) != NULL;

	free(text);
	return has;
}

/* ---- facts, waited for with a deadline ---- */

static bool
is_late(uint64_t begun)
{
	struct timespec pause = {0, 200000};

	(void)nanosleep(&pause, NULL);
	return clock_monotonic_us() - begun > DEADLINE_US;
}

static void
wait_for_text(const char *path, const char *what)
{
	uint64_t begun = clock_monotonic_us();

	while (!file_has(path, what))
		if (is_late(begun))
			fail_msg("\"%s\" is not in %s", what, path);
}

static void
wait_for_bytes(const char *path, off_t bytes)
{
	uint64_t begun = clock_monotonic_us();
	struct stat st;

	while (stat(path, &st) == 0 && st.st_size < bytes)
		if (is_late(begun))
			fail_msg("%s has %lld bytes, not %lld", path,
			    (long long)st.st_size, (long long)bytes);
}

static void
wait_for_sleep(struct log *l)
{
	uint64_t begun = clock_monotonic_us();

	while (atomic_load(&l->state) != WRITER_ASLEEP)
		if (is_late(begun))
			fail_msg("the writer does not sleep");
}

/* ---- numbered lines of several producers ---- */

struct producer {
	struct log_ring *ring;
	unsigned id;
	unsigned lines;
	bool again; /* try again when the ring is full */
	unsigned refused;
};

/* "ID NUMBER xxx...\n", sometimes as long as the longest access record. */
static struct span
numbered(char *out, unsigned id, unsigned n)
{
	size_t len = n % 97 == 0 ? 16384 : 20 + n * 7 % 400;
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

	for (unsigned n = 0; n < p->lines; n++) {
		struct span s = numbered(line, p->id, n);

		while (!log_put(p->ring, (enum log_stream)(n % 2), s)) {
			p->refused++;
			if (!p->again)
				break;
			log_flush(p->ring);
			(void)sched_yield();
		}
		if (n % 16 == 15)
			log_flush(p->ring);
	}
	log_flush(p->ring);
	return NULL;
}

static void
produce_all(struct producer *p, pthread_t *threads)
{
	for (unsigned i = 0; i < PRODUCERS; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, produce, &p[i]), 0);
	for (unsigned i = 0; i < PRODUCERS; i++)
		(void)pthread_join(threads[i], NULL);
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

/*
 * Every line of the file is as it was put, those of a producer in their order.
 * Lines with a '-' are the log's own.  Returns how many there are.
 */
static unsigned
check_numbered(const char *path)
{
	static char want[16384];
	unsigned next[PRODUCERS] = {0}, found = 0;
	size_t len;
	char *text = slurp(path, &len);

	for (struct span rest = {text, len}; rest.len > 0;) {
		struct span line = {rest.ptr, span_find(rest, '\n') + 1};
		struct span s = line;
		unsigned id, n;

		assert_true(line.len <= rest.len);
		rest.ptr += line.len;
		rest.len -= line.len;
		if (span_find(line, '-') < line.len)
			continue;
		id = number(&s);
		n = number(&s);
		assert_in_range(id, 0, PRODUCERS - 1);
		assert_true(n >= next[id]);
		next[id] = n + 1;
		assert_true(span_equal(line, numbered(want, id, n)));
		found++;
	}
	free(text);
	return found;
}

static unsigned
run_producers(struct log *l, unsigned lines, bool again)
{
	struct producer p[PRODUCERS];
	pthread_t threads[PRODUCERS];
	unsigned refused = 0;

	for (unsigned i = 0; i < PRODUCERS; i++)
		p[i] = (struct producer){
		    .ring = ring(l, "producer"),
		    .id = i,
		    .lines = lines,
		    .again = again,
		};
	assert_true(log_start(l));
	produce_all(p, threads);
	for (unsigned i = 0; i < PRODUCERS; i++)
		refused += p[i].refused;
	assert_int_equal(log_dropped(l), refused);
	log_free(l);
	return refused;
}

static void
all_arrive_in_order(void **state)
{
	(void)state;
	(void)run_producers(
	    create(log_path, access_path, LOG_FORMAT_TEXT), 6000, true);
	assert_int_equal(check_numbered(log_path), PRODUCERS * 3000);
	assert_int_equal(check_numbered(access_path), PRODUCERS * 3000);
}

/* Arrived and refused together are all; what is lost is said. */
static void
refused_are_counted(void **state)
{
	unsigned refused, found;

	(void)state;
	refused = run_producers(
	    create(log_path, access_path, LOG_FORMAT_TEXT), 40000, false);
	found = check_numbered(log_path) + check_numbered(access_path);
	assert_int_equal(found + refused, PRODUCERS * 40000);
	assert_int_equal(
	    refused > 0, file_has(log_path, " lines lost: too many at once"));
}

/* ---- one producer ---- */

static void
ring_full(void **state)
{
	struct log *l = create(log_path, "off", LOG_FORMAT_TEXT);
	struct log_ring *r = ring(l, "worker 1");
	unsigned n = 0;
	char want[80];

	(void)state;
	while (log_put(r, LOG_STREAM_LOG, SPAN("0 0 line\n")))
		n++;
	assert_false(log_put(r, LOG_STREAM_LOG, SPAN("0 0 line\n")));
	assert_int_equal(log_dropped(l), 2);
	assert_int_equal(n, LOG_RING_BYTES / 24);
	assert_true(log_start(l));
	log_flush(r);
	(void)snprintf(want, sizeof(want),
	    " error worker 1: 2 lines lost: too many at once\n");
	wait_for_text(log_path, want);
	wait_for_bytes(log_path, (off_t)n * 9);
	assert_true(log_put(r, LOG_STREAM_LOG, SPAN("again\n")));
	log_flush(r);
	wait_for_text(log_path, "again\n");
	log_free(l);
}

/*
 * Some lines come when the writer sleeps; the others when it has just stopped
 * gathering and is about to find nothing and to sleep: that is the moment when
 * a wake-up could be lost.  Many idle rings make it longer.
 */
#define IDLE_RINGS 100

static void
no_wake_up_is_lost(void **state)
{
	struct log *l = create(log_path, "off", LOG_FORMAT_TEXT);
	struct log_ring *r = NULL;
	struct rng rng;

	(void)state;
	rng_init(&rng, 3);
	/* Ours is the last, which is the first to be looked at. */
	for (int i = 0; i < IDLE_RINGS; i++)
		r = ring(l, "main");
	assert_true(log_start(l));
	for (int i = 1; i <= 60; i++) {
		uint64_t loads = rng_upto(&rng, 3000);

		if (i % 8 == 0)
			wait_for_sleep(l);
		while (atomic_load(&l->state) == WRITER_GATHERING)
			continue; /* LOG_GATHER_MS at most */
		while (loads-- > 0)
			(void)atomic_load(&l->state);
		assert_true(log_put(r, LOG_STREAM_LOG, SPAN("x\n")));
		log_flush(r);
		wait_for_bytes(log_path, (off_t)i * 2);
	}
	log_free(l);
}

/* Threads that put one line each and stop: the last must still wake. */
static void
no_wake_up_of_many_is_lost(void **state)
{
	struct log *l = create(log_path, access_path, LOG_FORMAT_TEXT);
	struct producer p[PRODUCERS];
	pthread_t threads[PRODUCERS];
	static char line[16384];
	off_t bytes = 0;

	(void)state;
	for (unsigned i = 0; i < PRODUCERS; i++)
		p[i] = (struct producer){
		    .ring = ring(l, "producer"), .id = i, .lines = 1};
	assert_true(log_start(l));
	for (int round = 0; round < 40; round++) {
		if (round % 2 == 0)
			wait_for_sleep(l);
		produce_all(p, threads);
		for (unsigned i = 0; i < PRODUCERS; i++)
			bytes += (off_t)numbered(line, i, 0).len;
		wait_for_bytes(log_path, bytes);
	}
	log_free(l);
}

/* An idle writer does nothing at all. */
static void
idle_writer_sleeps(void **state)
{
	struct log *l = create(log_path, "off", LOG_FORMAT_TEXT);
	struct log_ring *r = ring(l, "main");
	struct timespec before, after;
	clockid_t cpu;

	(void)state;
	assert_true(log_start(l));
	assert_true(log_put(r, LOG_STREAM_LOG, SPAN("x\n")));
	log_flush(r);
	wait_for_bytes(log_path, 2);
	wait_for_sleep(l);
	assert_int_equal(pthread_getcpuclockid(l->thread, &cpu), 0);
	(void)clock_gettime(cpu, &before);
	for (uint64_t begun = clock_monotonic_us();
	     clock_monotonic_us() - begun < 100000;)
		assert_int_equal(atomic_load(&l->state), WRITER_ASLEEP);
	(void)clock_gettime(cpu, &after);
	assert_true((after.tv_sec - before.tv_sec) * 1000000000 +
		after.tv_nsec - before.tv_nsec <
	    10000000);
	log_free(l);
}

static void
free_loses_nothing(void **state)
{
	static char line[16384];

	(void)state;
	for (int started = 0; started < 2; started++) {
		struct log *l = create(log_path, access_path, LOG_FORMAT_TEXT);
		struct log_ring *r = ring(l, "main");

		assert_int_equal(truncate(log_path, 0), 0);
		assert_int_equal(truncate(access_path, 0), 0);
		if (started)
			assert_true(log_start(l));
		/* Never flushed. */
		for (unsigned n = 0; n < 2000; n++)
			assert_true(log_put(
			    r, (enum log_stream)(n % 2), numbered(line, 0, n)));
		log_free(l);
		assert_int_equal(check_numbered(log_path), 1000);
		assert_int_equal(check_numbered(access_path), 1000);
	}
}

/* ---- messages ---- */

static void
text_messages(void **state)
{
	struct log *l = create(log_path, "off", LOG_FORMAT_TEXT);
	struct log_ring *r = ring(l, "main");
	size_t len;
	char *text;

	(void)state;
	assert_true(log_wants(r, LOG_LEVEL_INFO));
	assert_false(log_wants(r, LOG_LEVEL_DEBUG));
	errno = ERANGE;
	log_message(r, LOG_LEVEL_ERROR, "%s %d", "number", 7);
	log_message(r, LOG_LEVEL_WARN, "two\nlines\t\x9b\x7f");
	log_message(r, LOG_LEVEL_INFO, "plain");
	log_message(r, LOG_LEVEL_DEBUG, "not wanted");
	assert_int_equal(errno, ERANGE);
	log_free(l);
	text = slurp(log_path, &len);
	/* 2026-11-22T15:30:37.123Z */
	for (char *at = text; *at; at = strchr(at, '\n') + 1) {
		assert_true(at[4] == '-' && at[7] == '-' && at[10] == 'T');
		assert_true(at[13] == ':' && at[16] == ':' && at[19] == '.');
		assert_int_equal(at[23], 'Z');
		memset(at, '_', 24);
	}
	assert_string_equal(text,
	    "________________________ error number 7\n"
	    "________________________ warn  two\\x0alines\\x09\\x9b\\x7f\n"
	    "________________________ info  plain\n");
	free(text);
}

static void
json_messages(void **state)
{
	struct log *l = create(log_path, "off", LOG_FORMAT_JSON);
	struct log_ring *r = ring(l, "main");
	char *text;

	(void)state;
	log_message(r, LOG_LEVEL_WARN, "a \"quoted\"\nword");
	log_free(l);
	text = slurp(log_path, NULL);
	memset(text + 9, '_', 24);
	assert_string_equal(text,
	    "{\"time\":\"________________________\",\"level\":\"warn\","
	    "\"message\":\"a \\\"quoted\\\"\\u000aword\"}\n");
	free(text);
}

/* Cut, marked, and still whole when every byte is escaped. */
static void
long_messages(void **state)
{
	static const enum log_format formats[] = {
	    LOG_FORMAT_TEXT, LOG_FORMAT_JSON};
	static char bytes[3 * LOG_LINE_BYTES];

	(void)state;
	memset(bytes, 0x1b, sizeof(bytes) - 1);
	for (size_t i = 0; i < 2; i++) {
		struct log *l = create(log_path, "off", formats[i]);
		struct log_ring *r = ring(l, "main");
		size_t len, width = i == 0 ? 4 : 6;
		char *text;

		assert_int_equal(truncate(log_path, 0), 0);
		log_message(r, LOG_LEVEL_INFO, "%s", bytes);
		log_message(
		    r, LOG_LEVEL_INFO, "%.*s", LOG_LINE_BYTES - 1, bytes);
		assert_int_equal(log_dropped(l), 0);
		log_free(l);
		text = slurp(log_path, &len);
		assert_non_null(
		    strstr(text, i == 0 ? "1b...\n" : "1b...\"}\n"));
		assert_in_range(len, (2 * LOG_LINE_BYTES - 5) * width,
		    (2 * LOG_LINE_BYTES - 5) * width + 200);
		free(text);
	}
}

static void
no_access_log(void **state)
{
	struct log *l = create(log_path, "off", LOG_FORMAT_TEXT);
	struct log_ring *r = ring(l, "main");

	(void)state;
	assert_false(log_has_access(r));
	assert_true(log_put(r, LOG_STREAM_ACCESS, SPAN("nobody\n")));
	assert_int_equal(log_dropped(l), 0);
	log_free(l);
	assert_false(file_has(log_path, "nobody"));
}

static void
bad_path_is_named(void **state)
{
	struct log_options o = {
	    log_path, "/nonexistent/access", LOG_LEVEL_INFO, LOG_FORMAT_TEXT};
	char why[256];
	struct textbuf t = textbuf_make(why, sizeof(why) - 1);

	(void)state;
	assert_null(log_create(&o, &t));
	why[t.len] = '\0';
	assert_string_equal(
	    why, "access_log: /nonexistent/access: No such file or directory");
}

/* There may be no syslog here: it must only not harm. */
static void
syslog_is_accepted(void **state)
{
	struct log *l = create("syslog", access_path, LOG_FORMAT_TEXT);
	struct log_ring *r = ring(l, "main");

	(void)state;
	assert_true(log_start(l));
	log_message(r, LOG_LEVEL_DEBUG, "evenkeel unit test");
	log_message(r, LOG_LEVEL_INFO, "evenkeel unit test");
	assert_true(log_put(r, LOG_STREAM_ACCESS, SPAN("record\n")));
	log_free(l);
	assert_true(file_has(access_path, "record\n"));
}

/* ---- trouble ---- */

/* Puts lines until some were lost by the file, not by the ring.  Returns how
 * many were accepted. */
static unsigned
put_until_lost(struct log *l, struct log_ring *r, enum log_stream to)
{
	static char line[16384];
	uint64_t begun = clock_monotonic_us();
	unsigned n = 0;

	while (atomic_load(&l->lost) == 0) {
		for (int i = 0; i < 100; i++)
			if (log_put(r, to, numbered(line, 0, n)))
				n++;
		log_flush(r);
		if (is_late(begun))
			fail_msg("nothing was lost");
	}
	wait_for_sleep(l);
	return n;
}

/* The access log's reader stops: the log goes on; then it reads again. */
static void
blocked_pipe(void **state)
{
	struct log_ring *r;
	struct log *l;
	unsigned accepted;
	int reader, copy;
	FILE *out;
	uint64_t begun = clock_monotonic_us();

	(void)state;
	assert_int_equal(mkfifo(access_path, 0600), 0);
	reader = open(access_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	l = create(log_path, access_path, LOG_FORMAT_TEXT);
	r = ring(l, "main");
	assert_true(log_start(l));
	accepted = put_until_lost(l, r, LOG_STREAM_ACCESS);
	log_message(r, LOG_LEVEL_INFO, "still here");
	log_flush(r);
	wait_for_text(log_path, "info  still here\n");
	assert_false(file_has(log_path, "lost"));

	(void)unlink(access_path);
	copy = open(access_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	out = fdopen(copy, "w");
	assert_non_null(out);
	while (!file_has(log_path, "lines lost: its reader is too slow\n")) {
		char bytes[65536];
		ssize_t n = read(reader, bytes, sizeof(bytes));

		if (n > 0)
			(void)fwrite(bytes, 1, (size_t)n, out);
		else if (is_late(begun))
			fail_msg("no recovery");
	}
	/* It told when all that was kept was written. */
	for (ssize_t n = 1; n > 0;) {
		char bytes[65536];

		n = read(reader, bytes, sizeof(bytes));
		if (n > 0)
			(void)fwrite(bytes, 1, (size_t)n, out);
	}
	(void)fclose(out);
	assert_int_equal(check_numbered(access_path) + log_dropped(l),
	    accepted + atomic_load(&r->dropped));
	log_free(l);
	(void)close(reader);
}

/* Nobody reads: log_free gives up after a while. */
static void
free_does_not_hang(void **state)
{
	struct log_ring *r;
	struct log *l;
	int reader;

	(void)state;
	assert_int_equal(mkfifo(access_path, 0600), 0);
	reader = open(access_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	l = create(log_path, access_path, LOG_FORMAT_TEXT);
	r = ring(l, "main");
	assert_true(log_start(l));
	(void)put_until_lost(l, r, LOG_STREAM_ACCESS);
	log_message(r, LOG_LEVEL_INFO, "last words");
	log_free(l);
	assert_true(file_has(log_path, "last words\n"));
	(void)close(reader);
}

struct reader {
	int fd;
	size_t bytes;
};

static void *
read_all(void *arg)
{
	struct reader *rd = arg;
	char bytes[3000];
	ssize_t n;

	while ((n = read(rd->fd, bytes, sizeof(bytes))) > 0) {
		rd->bytes += (size_t)n;
		(void)sched_yield();
	}
	return NULL;
}

/* A reader that reads: log_free waits for it, and nothing is lost, though the
 * pipe and the file's buffer hold less than the ring. */
static void
free_waits_for_reader(void **state)
{
	struct reader rd = {.bytes = 0};
	pthread_t thread;
	static char line[16384];
	struct log_ring *r;
	struct log *l;
	size_t bytes = 0;

	(void)state;
	assert_int_equal(mkfifo(access_path, 0600), 0);
	rd.fd = open(access_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	l = create(log_path, access_path, LOG_FORMAT_TEXT);
	r = ring(l, "main");
	assert_int_equal(fcntl(rd.fd, F_SETFL, 0), 0);
	for (unsigned n = 0;; n++) {
		struct span s = numbered(line, 0, n);

		if (LOG_RING_BYTES - bytes - n * 16 < 20000)
			break;
		assert_true(log_put(r, LOG_STREAM_ACCESS, s));
		bytes += s.len;
	}
	assert_int_equal(pthread_create(&thread, NULL, read_all, &rd), 0);
	log_free(l);
	(void)pthread_join(thread, NULL);
	assert_int_equal(rd.bytes, bytes);
	(void)close(rd.fd);
}

/* The reader is gone: an error like a full disk, and no SIGPIPE. */
static void
reader_gone(void **state)
{
	struct log_ring *r;
	struct log *l;
	int reader;

	(void)state;
	assert_int_equal(mkfifo(access_path, 0600), 0);
	reader = open(access_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	l = create(log_path, access_path, LOG_FORMAT_TEXT);
	r = ring(l, "main");
	assert_true(log_start(l));
	(void)close(reader);
	(void)put_until_lost(l, r, LOG_STREAM_ACCESS);
	log_message(r, LOG_LEVEL_INFO, "still here");
	log_flush(r);
	wait_for_text(log_path, "info  still here\n");
	log_free(l);
}

static void
dev_full(void **state)
{
	struct log *l = create("/dev/full", access_path, LOG_FORMAT_TEXT);
	struct log_ring *r = ring(l, "main");

	(void)state;
	assert_true(log_start(l));
	(void)put_until_lost(l, r, LOG_STREAM_LOG);
	assert_true(log_put(r, LOG_STREAM_ACCESS, SPAN("record\n")));
	log_flush(r);
	wait_for_text(access_path, "record\n");
	log_free(l);
}

#define FULL_AT 100001 /* in the middle of a line */

/*
 * A file that takes no more (a size limit stands for a full disk: both end a
 * write in the middle of a line), then does again.
 */
static void
full_disk_recovers(void **state)
{
	struct log *l = create(log_path, access_path, LOG_FORMAT_TEXT);
	struct log_ring *r = ring(l, "main");
	struct rlimit before, limit;
	unsigned accepted;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = FULL_AT;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_true(log_start(l));
	accepted = put_until_lost(l, r, LOG_STREAM_ACCESS);
	wait_for_bytes(access_path, FULL_AT);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	/* Without a further line: the writer tries again by itself. */
	wait_for_text(log_path, "lines lost: File too large\n");
	assert_int_equal(check_numbered(access_path) + log_dropped(l),
	    accepted + atomic_load(&r->dropped));
	assert_true(log_put(r, LOG_STREAM_LOG, SPAN("again\n")));
	log_free(l);
	assert_true(file_has(log_path, "again\n"));
}

/* ---- inherited descriptors ---- */

static void
redirected(int fd, const char *path, int *saved)
{
	int to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

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

/* "2>&1 >file": both streams in one file, lines of both whole. */
static void
standard_files(void **state)
{
	int out, err;
	struct log_ring *r;
	struct log *l;
	bool same;

	(void)state;
	redirected(STDOUT_FILENO, log_path, &out);
	redirected(STDERR_FILENO, log_path, &err);
	(void)dup2(STDOUT_FILENO, STDERR_FILENO);
	l = create("stderr", "stdout", LOG_FORMAT_TEXT);
	r = ring(l, "main");
	same = l->to[LOG_STREAM_LOG] == l->to[LOG_STREAM_ACCESS];
	(void)log_put(r, LOG_STREAM_ACCESS, SPAN("record\n"));
	log_message(r, LOG_LEVEL_INFO, "message");
	log_free(l);
	restored(STDOUT_FILENO, out);
	restored(STDERR_FILENO, err);
	assert_true(same);
	assert_true(file_has(log_path, "record\n2"));
	assert_true(file_has(log_path, "info  message\n"));
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_DIR(all_arrive_in_order),
	    IN_DIR(refused_are_counted),
	    IN_DIR(ring_full),
	    IN_DIR(no_wake_up_is_lost),
	    IN_DIR(no_wake_up_of_many_is_lost),
	    IN_DIR(idle_writer_sleeps),
	    IN_DIR(free_loses_nothing),
	    IN_DIR(text_messages),
	    IN_DIR(json_messages),
	    IN_DIR(long_messages),
	    IN_DIR(no_access_log),
	    IN_DIR(bad_path_is_named),
	    IN_DIR(syslog_is_accepted),
	    IN_DIR(blocked_pipe),
	    IN_DIR(free_does_not_hang),
	    IN_DIR(free_waits_for_reader),
	    IN_DIR(reader_gone),
	    IN_DIR(dev_full),
	    IN_DIR(full_disk_recovers),
	    IN_DIR(standard_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
