/*
 * The generator of the benchmarks: GET requests over N keep-alive connections,
 * at a constant rate (open loop) or one after the other on each (closed loop).
 *
 * In the open loop request k is due at start + k / rate, whatever became of
 * those before it; when all connections are busy it waits, and its latency
 * counts from when it was due.  So a stall of the server is seen in full.
 *
 * usage: load PORT PATH [-c CONNECTIONS] [-r RATE] [-w WARMUP_MS] [-d MS]
 *             [-n REQUESTS] [-t] [-1] [-R] [-H]
 *
 * Without -r: closed loop; -n: of so many requests.  -t: TLS.  -1: each request
 * on a connection of its own, which ends in order before the next; its latency
 * has the handshake in it.  -R: these resume TLS sessions, with the newest
 * ticket of the connection before.  Another kind of handshake than is asked
 * for is an error.
 * -H: one request on each connection, then "idle" is printed and the
 * connections are held until the standard input ends; for each line that comes
 * before, once more.
 * Otherwise "warm" is printed when the warm-up is over, then one line of JSON.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "latency.h"
#include "response.h"
#include "stream.h"

#define BATCH    256
#define MS       UINT64_C(1000000)
#define NEVER    UINT64_MAX
#define GRACE_MS 3000 /* for what is under way at the end */
#define HOLD_MS  5000
#define TOTAL_MS 300000 /* -n takes no longer */

enum conn_state { CONN_IDLE, CONN_SHAKES, CONN_ASKED, CONN_ENDS };

struct conn {
	struct stream stream;
	enum conn_state state;
	uint64_t due_ns;
	struct response response;
};

static struct {
	unsigned port, connections;
	const char *path;
	uint64_t rate, warmup_ns, run_ns, total;
	bool hold, tls, fresh, resume;
} opt = {.connections = 64, .path = "/", .run_ns = 3000 * MS};

static struct conn *conns;
static unsigned *idle; /* ring of indexes, oldest first */
static unsigned idle_first, idle_n;
static char request[512];
static size_t request_len;
static uint64_t start_ns, warm_ns = NEVER, end_ns, due_k;
static uint64_t asked, done, resumed, errors, bytes, unsent;
static bool warm;
static int epoll_fd;

static uint64_t
now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

static void
fail(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- connections --------------------------------------------------------- */

static void
open_conn(struct conn *c)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
	if (!stream_open(&c->stream, opt.port))
		fail("connect");
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->stream.fd, &event) != 0)
		fail("epoll_ctl");
}

/* One that is kept: ready for its first request. */
static void
open_kept(struct conn *c)
{
	struct pollfd p = {.events = POLLIN};
	enum stream_result result;
	open_conn(c);
	p.fd = c->stream.fd;
	while ((result = stream_shake(&c->stream)) == STREAM_WAIT &&
	    poll(&p, 1, HOLD_MS) == 1)
		;
	if (result != STREAM_DONE)
		fail("handshake");
}

static void
put_idle(struct conn *c)
{
	c->state = CONN_IDLE;
	idle[(idle_first + idle_n++) % opt.connections] = (unsigned)(c - conns);
}

static struct conn *
take_idle(void)
{
	struct conn *c = &conns[idle[idle_first]];
	idle_first = (idle_first + 1) % opt.connections;
	idle_n--;
	return c;
}

static void
count_error(struct conn *c)
{
	errors++;
	stream_close(&c->stream);
	if (!opt.fresh)
		open_kept(c);
	put_idle(c);
}

static void
send_request(struct conn *c)
{
	c->state = CONN_ASKED;
	if (!stream_send(&c->stream, request, request_len))
		fail("send");
}

static void
shake(struct conn *c)
{
	switch (stream_shake(&c->stream)) {
	case STREAM_DONE:
		send_request(c);
		break;
	case STREAM_BAD:
		count_error(c);
		break;
	case STREAM_WAIT:
		break;
	}
}

static void
ask(struct conn *c, uint64_t due_ns)
{
	asked++;
	response_start(&c->response);
	c->due_ns = due_ns;
	if (!opt.fresh) {
		send_request(c);
		return;
	}
	c->state = CONN_SHAKES;
	open_conn(c);
	shake(c);
}

/* --- responses ----------------------------------------------------------- */

/* In the closed loop: is there another one to be sent? */
static bool
more(void)
{
	if (opt.rate > 0 || start_ns == 0)
		return false;
	return opt.total > 0 ? asked < opt.total : now() < end_ns;
}

/* The connection is ready for the next request, or to be opened for it. */
static void
over(struct conn *c)
{
	if (warm)
		done++;
	if (more())
		ask(c, now());
	else
		put_idle(c);
}

static void
finished(struct conn *c)
{
	uint64_t t = now();
	if (!warm && c->due_ns >= warm_ns) {
		warm = true;
		puts("warm");
		fflush(stdout);
		bytes = 0;
	}
	if (warm)
		latency_add(t - c->due_ns);
	if (!opt.fresh) {
		over(c);
		return;
	}
	c->state = CONN_ENDS;
	if (!stream_end(&c->stream))
		fail("end");
}

static void
read_response(struct conn *c)
{
	switch (response_read(&c->response, &c->stream, &bytes)) {
	case RESPONSE_DONE:
		finished(c);
		break;
	case RESPONSE_BAD:
		count_error(c);
		break;
	default:
		break;
	}
}

static void
read_end(struct conn *c)
{
	enum stream_result result = stream_ended(&c->stream);
	if (result == STREAM_BAD) {
		count_error(c);
	} else if (result == STREAM_DONE) {
		if (warm && stream_resumed(&c->stream))
			resumed++;
		stream_close(&c->stream);
		over(c);
	}
}

/* A ticket may come before the first request, but no data and no end. */
static void
read_idle(struct conn *c)
{
	char byte;
	errno = 0;
	if (!opt.tls || stream_recv(&c->stream, &byte, 1) >= 0 ||
	    errno != EAGAIN)
		fail("bytes, or an end, on an idle connection");
}

static void
readable(struct conn *c)
{
	if (c->state == CONN_IDLE)
		read_idle(c);
	else if (c->state == CONN_SHAKES)
		shake(c);
	else if (c->state == CONN_ASKED)
		read_response(c);
	else
		read_end(c);
}

/* --- the run -------------------------------------------------------------- */

static uint64_t
next_due(void)
{
	if (opt.rate == 0)
		return NEVER;
	/* Not k * (1e9 / rate): that would drift. */
	uint64_t due = start_ns + due_k / opt.rate * 1000 * MS +
	    due_k % opt.rate * 1000 * MS / opt.rate;
	return due < end_ns ? due : NEVER;
}

static void
send_due(void)
{
	uint64_t due;
	while (idle_n > 0 && (due = next_due()) <= now()) {
		ask(take_idle(), due);
		due_k++;
	}
}

static void
wait_events(uint64_t until_ns)
{
	struct epoll_event events[BATCH];
	uint64_t t = now(), pause = until_ns > t ? until_ns - t : 0;
	struct timespec limit = {.tv_sec = (time_t)(pause / (1000 * MS)),
	    .tv_nsec = (long)(pause % (1000 * MS))};
	int n = epoll_pwait2(epoll_fd, events, BATCH, &limit, NULL);
	for (int i = 0; i < n; i++)
		readable(events[i].data.ptr);
}

static bool
all_idle(void)
{
	return idle_n == opt.connections;
}

/* Every connection once in full, for its first ticket. */
static void
prime(void)
{
	for (unsigned i = 0; i < opt.connections; i++)
		put_idle(&conns[i]);
	for (unsigned i = 0; i < opt.connections; i++) {
		uint64_t stop = now() + HOLD_MS * MS;
		ask(take_idle(), now());
		while (!all_idle() && now() < stop)
			wait_events(stop);
		if (!all_idle() || errors > 0 ||
		    conns[i].stream.session == NULL)
			fail("no first ticket");
	}
	idle_first = idle_n = 0;
	asked = 0;
}

static void
start(void)
{
	start_ns = now();
	warm_ns = start_ns + opt.warmup_ns;
	end_ns = warm_ns + opt.run_ns;
	while (idle_n > 0 && more())
		ask(take_idle(), now());
}

static void
run(void)
{
	start();
	for (;;) {
		uint64_t t = now(), due = next_due();
		if (t >= end_ns + GRACE_MS * MS ||
		    ((t >= end_ns || opt.total > 0) && due == NEVER &&
			all_idle()))
			break;
		send_due();
		due = idle_n > 0 ? next_due() : NEVER;
		if (due == NEVER)
			due = t < end_ns ? end_ns : t + 20 * MS;
		wait_events(due);
	}
	for (; next_due() != NEVER; due_k++)
		unsent++;
	unsent += opt.connections - idle_n;
}

static void
report(void)
{
	latency_sort();
	printf("{\"done\": %llu, \"resumed\": %llu, \"errors\": %llu, "
	       "\"unsent\": %llu, \"bytes\": %llu, \"seconds\": %.6f, "
	       "\"p50_us\": %.1f, "
	       "\"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
	       "\"max_us\": %.1f}\n",
	    (unsigned long long)done, (unsigned long long)resumed,
	    (unsigned long long)errors, (unsigned long long)unsent,
	    (unsigned long long)bytes, (double)opt.run_ns / 1e9,
	    latency_percentile_us(0.5), latency_percentile_us(0.9),
	    latency_percentile_us(0.99), latency_percentile_us(0.999),
	    latency_percentile_us(1));
}

static void
wait_progress(void)
{
	uint64_t before = done, stop = now() + HOLD_MS * MS;

	while (done + errors == before && now() < stop)
		wait_events(stop);
	if (done + errors == before)
		fail("no answer on a connection to be held");
}

/* One request on each, in groups; opens them in the first round. */
static void
ask_all(bool first)
{
	done = 0;
	for (unsigned i = 0; i < opt.connections; i++) {
		if (first)
			open_kept(&conns[i]);
		ask(&conns[i], now());
		while (i + 1 - done > 31 ||
		    (i + 1 == opt.connections && done <= i))
			wait_progress();
	}
	if (errors > 0)
		fail("an error on a connection to be held");
	idle_first = idle_n = 0;
	puts("idle");
	fflush(stdout);
}

/* Connections that do nothing but what a line of the input asks for. */
static void
hold(void)
{
	char byte;
	warm = true;
	ask_all(true);
	while (read(STDIN_FILENO, &byte, 1) > 0) {
		if (byte == '\n')
			ask_all(false);
	}
}

static bool
option(int o, uint64_t n)
{
	switch (o) {
	case 'c':
		opt.connections = (unsigned)n;
		return true;
	case 'r':
		opt.rate = n;
		return true;
	case 'w':
		opt.warmup_ns = n * MS;
		return true;
	case 'd':
		opt.run_ns = n * MS;
		return true;
	case 'n':
		opt.total = n;
		opt.run_ns = TOTAL_MS * MS;
		return true;
	case 't':
		opt.tls = true;
		return true;
	case 'R':
		opt.resume = true; /* fall through */
	case '1':
		opt.fresh = true;
		return true;
	case 'H':
		opt.hold = true;
		return true;
	default:
		return false;
	}
}

static bool
options(int argc, char **argv)
{
	int o;
	while ((o = getopt(argc, argv, "c:r:w:d:n:t1RH")) != -1) {
		if (!option(o, optarg ? strtoull(optarg, NULL, 10) : 0))
			return false;
	}
	if (optind + 2 != argc || opt.connections == 0 ||
	    (opt.hold && opt.fresh) || (opt.resume && !opt.tls) ||
	    (opt.total > 0 && opt.rate > 0))
		return false;
	opt.port = (unsigned)strtoull(argv[optind], NULL, 10);
	opt.path = argv[optind + 1];
	return opt.port > 0 && opt.port < 65536 && strlen(opt.path) < 256;
}

static void
prepare(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	prctl(PR_SET_TIMERSLACK, 1000UL);
	epoll_fd = epoll_create1(0);
	conns = calloc(opt.connections, sizeof(*conns));
	idle = calloc(opt.connections, sizeof(*idle));
	if (epoll_fd < 0 || conns == NULL || idle == NULL || !latency_start() ||
	    (opt.tls && !stream_use_tls(opt.resume)))
		fail("start");
	request_len = (size_t)snprintf(request, sizeof(request),
	    "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", opt.path,
	    opt.port);
}

int
main(int argc, char **argv)
{
	if (!options(argc, argv)) {
		fprintf(stderr,
		    "usage: load PORT PATH [-c CONNECTIONS] [-r RATE] "
		    "[-w WARMUP_MS] [-d MS] [-n REQUESTS] [-t] [-1] [-R] "
		    "[-H]\n");
		return 2;
	}
	prepare();
	if (opt.hold) {
		hold();
		return 0;
	}
	if (opt.resume)
		prime();
	for (unsigned i = 0; i < opt.connections; i++) {
		if (!opt.fresh)
			open_kept(&conns[i]);
		put_idle(&conns[i]);
	}
	run();
	report();
	return 0;
}
