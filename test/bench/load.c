/*
 * The generator of the benchmarks: GET requests over N keep-alive connections,
 * at a constant rate (open loop) or one after the other on each (closed loop).
 *
 * In the open loop request k is due at start + k / rate, whatever became of
 * those before it; when all connections are busy it waits, and its latency
 * counts from when it was due.  So a stall of the server is seen in full.
 *
 * usage: load PORT PATH [-c CONNECTIONS] [-r RATE] [-w WARMUP_MS] [-d MS] [-H]
 *
 * Without -r: closed loop.  -H: one request on each connection, then "idle" is
 * printed and the connections are held until the standard input ends; for each
 * line that comes before, once more.
 * Otherwise "warm" is printed when the warm-up is over, then one line of JSON.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "latency.h"
#include "response.h"

#define BATCH    256
#define MS       UINT64_C(1000000)
#define NEVER    UINT64_MAX
#define GRACE_MS 3000 /* for what is under way at the end */
#define HOLD_MS  5000

struct conn {
	int fd;
	bool idle;
	uint64_t due_ns;
	struct response response;
};

static struct {
	unsigned port, connections;
	const char *path;
	uint64_t rate, warmup_ns, run_ns;
	bool hold;
} opt = {.connections = 64, .path = "/", .run_ns = 3000 * MS};

static struct conn *conns;
static unsigned *idle; /* ring of indexes, oldest first */
static unsigned idle_first, idle_n;
static char request[512];
static size_t request_len;
static uint64_t start_ns, warm_ns, end_ns, due_k;
static uint64_t done, errors, bytes, unsent;
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
	struct sockaddr_in addr = {.sin_family = AF_INET,
	    .sin_port = htons((unsigned short)opt.port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
	int one = 1;
	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (c->fd < 0)
		fail("socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(c->fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		fail("connect");
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0)
		fail("epoll_ctl");
}

static void
put_idle(struct conn *c)
{
	c->idle = true;
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
ask(struct conn *c, uint64_t due_ns)
{
	c->idle = false;
	response_start(&c->response);
	c->due_ns = due_ns;
	if (send(c->fd, request, request_len, MSG_NOSIGNAL) !=
	    (ssize_t)request_len)
		fail("send");
}

/* --- responses ----------------------------------------------------------- */

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
	if (warm) {
		latency_add(t - c->due_ns);
		done++;
	}
	if (opt.rate == 0 && !opt.hold && t < end_ns)
		ask(c, t);
	else
		put_idle(c);
}

static void
count_error(struct conn *c)
{
	errors++;
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
	close(c->fd);
	open_conn(c);
	put_idle(c);
}

static void
readable(struct conn *c)
{
	if (c->idle)
		fail("bytes, or an end, on an idle connection");
	switch (response_read(&c->response, c->fd, &bytes)) {
	case RESPONSE_DONE:
		finished(c);
		break;
	case RESPONSE_BAD:
		count_error(c);
		break;
	case RESPONSE_MORE:
		break;
	}
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

static void
run(void)
{
	uint64_t stop;
	start_ns = now();
	warm_ns = start_ns + opt.warmup_ns;
	end_ns = warm_ns + opt.run_ns;
	stop = end_ns + GRACE_MS * MS;
	if (opt.rate == 0) {
		while (idle_n > 0)
			ask(take_idle(), now());
	}
	for (;;) {
		uint64_t t = now(), due = next_due();
		if (t >= stop ||
		    (t >= end_ns && due == NEVER && idle_n == opt.connections))
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
	printf("{\"done\": %llu, \"errors\": %llu, \"unsent\": %llu, "
	       "\"bytes\": %llu, \"seconds\": %.6f, \"p50_us\": %.1f, "
	       "\"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
	       "\"max_us\": %.1f}\n",
	    (unsigned long long)done, (unsigned long long)errors,
	    (unsigned long long)unsent, (unsigned long long)bytes,
	    (double)opt.run_ns / 1e9, latency_percentile_us(0.5),
	    latency_percentile_us(0.9), latency_percentile_us(0.99),
	    latency_percentile_us(0.999), latency_percentile_us(1));
}

static void
wait_progress(void)
{
	uint64_t before = done;

	wait_events(now() + HOLD_MS * MS);
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
			open_conn(&conns[i]);
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
options(int argc, char **argv)
{
	int o;
	while ((o = getopt(argc, argv, "c:r:w:d:H")) != -1) {
		uint64_t n = o != 'H' ? strtoull(optarg, NULL, 10) : 0;
		if (o == 'c')
			opt.connections = (unsigned)n;
		else if (o == 'r')
			opt.rate = n;
		else if (o == 'w')
			opt.warmup_ns = n * MS;
		else if (o == 'd')
			opt.run_ns = n * MS;
		else if (o == 'H')
			opt.hold = true;
		else
			return false;
	}
	if (optind + 2 != argc || opt.connections == 0)
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
	if (epoll_fd < 0 || conns == NULL || idle == NULL || !latency_start())
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
		    "[-w WARMUP_MS] [-d MS] [-H]\n");
		return 2;
	}
	prepare();
	if (opt.hold) {
		hold();
		return 0;
	}
	for (unsigned i = 0; i < opt.connections; i++) {
		open_conn(&conns[i]);
		put_idle(&conns[i]);
	}
	run();
	report();
	return 0;
}
