/*
 * Requests of every kind through a proxy, in an order that a seed decides,
 * with moody behind it; whatever comes back is compared with what must.
 *
 * usage: storm PORT REQUESTS SEED [THREADS]
 *
 * Prints one line of JSON at the end; exit 1 when an answer was wrong, or did
 * not come within 20 s.
 */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

#define THREADS       48
#define FAILURES_MAX  20
#define PIPELINE_MAX  8
#define PIPELINE_BODY 8192

enum kind {
	KIND_EXCHANGE,
	KIND_PIPELINE,
	KIND_MALFORMED,
	KIND_TOO_LARGE,
	KIND_NO_ROUTE,
	KIND_ABORT_HEAD,
	KIND_ABORT_BODY,
	KIND_ABORT_ANSWER,
	KIND_BAD_BACKEND,
	KIND_TUNNEL,
	KIND_N,
};

/* Of 1000. */
static const struct {
	const char *name;
	unsigned weight;
} kinds[KIND_N] = {
    [KIND_EXCHANGE] = {"exchange", 680},
    [KIND_PIPELINE] = {"pipeline", 60},
    [KIND_MALFORMED] = {"malformed", 50},
    [KIND_TOO_LARGE] = {"too_large", 20},
    [KIND_NO_ROUTE] = {"no_route", 30},
    [KIND_ABORT_HEAD] = {"abort_head", 20},
    [KIND_ABORT_BODY] = {"abort_body", 20},
    [KIND_ABORT_ANSWER] = {"abort_answer", 30},
    [KIND_BAD_BACKEND] = {"bad_backend", 70},
    [KIND_TUNNEL] = {"tunnel", 20},
};

struct client {
	struct wire w;
	uint64_t rng, order;
	unsigned id;
	enum kind kind;
	char what[256]; /* the request, for messages */
	bool failed;
};

/* One request as it will be sent. */
struct plan {
	const char *method;
	char kind;
	uint32_t len, off;
	bool upload, chunked, http10, close, expect;
};

static struct {
	unsigned port, threads;
	uint64_t requests, seed;
} opt = {.threads = THREADS};

static _Atomic int64_t left;
static _Atomic uint64_t counts[KIND_N], failures, opened, bytes;

static uint32_t
draw(struct client *c, uint32_t below)
{
	return wire_random(&c->rng) % below;
}

static bool
chance(struct client *c, unsigned pct)
{
	return draw(c, 100) < pct;
}

__attribute__((format(printf, 2, 3))) static void
fail(struct client *c, const char *format, ...)
{
	char why[256];
	va_list args;
	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	fprintf(stderr,
	    "storm: seed %llu, client %u, request %llu (%s): %s: %s%s\n",
	    (unsigned long long)opt.seed, c->id, (unsigned long long)c->order,
	    kinds[c->kind].name, c->what, why,
	    c->w.lost && errno == EAGAIN ? " (time limit)" : "");
	wire_close(&c->w, true);
	c->failed = true;
	if (atomic_fetch_add(&failures, 1) + 1 >= FAILURES_MAX)
		atomic_store(&left, 0);
}

/* --- connections ------------------------------------------------------------
 */

static bool
connect_client(struct client *c, bool small)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)opt.port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), bytes_small = 8192;
	if (small)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes_small,
		    sizeof(bytes_small));
	wire_open(&c->w, fd);
	if (fd < 0 ||
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
		fail(c, "connect: %s", strerror(errno));
		return false;
	}
	wire_options(fd);
	atomic_fetch_add(&opened, 1);
	return true;
}

static bool
fresh(struct client *c)
{
	wire_close(&c->w, false);
	return connect_client(c, false);
}

/* The connection of the last request, when it still is one. */
static bool
ready(struct client *c)
{
	return c->w.fd >= 0 || connect_client(c, false);
}

/* --- answers ----------------------------------------------------------------
 */

static int
status_of(const struct head *h)
{
	int minor, status;
	/* NOLINTNEXTLINE(cert-err34-c): what is no number gives no match */
	if (sscanf(h->line, "HTTP/1.%d %d", &minor, &status) != 2)
		return 0;
	return status;
}

/* The head of the next final answer; its status, 0 when none came. */
static int
final_head(struct client *c, struct head *h)
{
	int status;
	do {
		if (!wire_head(&c->w, h))
			return 0;
		status = status_of(h);
	} while (status >= 100 && status < 200 && status != 101);
	return status;
}

static enum framing
framing_of(const struct head *h, bool head_only)
{
	return head_only    ? FRAMING_NONE
	    : h->chunked    ? FRAMING_CHUNKED
	    : h->has_length ? FRAMING_LENGTH
			    : FRAMING_CLOSE;
}

/* A body nobody looks at: that of an error made by the proxy. */
static bool
skip_body(struct client *c, const struct head *h)
{
	char buf[4096];
	uint64_t n = h->length;
	if (!h->has_length || n > sizeof(buf))
		return false;
	while (n > 0) {
		size_t have = c->w.len - c->w.at;
		ssize_t got;
		if (have > 0) {
			size_t take = have < n ? have : (size_t)n;
			c->w.at += take;
			n -= take;
			continue;
		}
		got = recv(c->w.fd, buf, (size_t)n, 0);
		if (got <= 0)
			return false;
		n -= (size_t)got;
	}
	return true;
}

/*
 * After an answer: goes on with the connection, or ends it as announced or,
 * in HTTP/1.0, as is the rule.
 */
static void
go_on(struct client *c, const struct head *h, const struct plan *p,
    enum framing framing)
{
	bool closes = h->close || framing == FRAMING_CLOSE;
	if (p->close && !p->http10 && !closes)
		fail(c, "no close announced");
	else if (closes || p->close || p->http10) {
		if (!wire_at_end(&c->w))
			fail(c, "no end in order after \"%s\"", h->line);
		wire_close(&c->w, false);
	}
}

/* An answer that the proxy makes itself, and then closes when `closes`. */
static void
expect_error(struct client *c, int from, int to, bool closes)
{
	struct head h;
	int status = final_head(c, &h);
	if (status < from || status > to)
		fail(c, "status %d, not %d to %d", status, from, to);
	else if (strncmp(c->what, "HEAD", 4) != 0 && !skip_body(c, &h))
		fail(c, "no whole body of the %d", status);
	else if (closes && !h.close)
		fail(c, "the %d does not announce the close", status);
	else if (closes || h.close) {
		if (!wire_at_end(&c->w))
			fail(c, "no end in order after the %d", status);
		wire_close(&c->w, false);
	}
}

/* --- the usual exchange -----------------------------------------------------
 */

static uint32_t
draw_length(struct client *c)
{
	uint32_t n = draw(c, 1000);
	if (n < 50)
		return 0;
	if (n < 600)
		return draw(c, 2048);
	if (n < 900)
		return draw(c, 32768);
	if (n < 990)
		return draw(c, 262144);
	return n == 990 ? BODY_MAX : draw(c, BODY_MAX);
}

static void
plan_draw(struct client *c, struct plan *p)
{
	static const char downloads[] = "dddddccceis";
	memset(p, 0, sizeof(*p));
	p->upload = chance(c, 30);
	p->len = draw_length(c);
	p->off = draw(c, BODY_OFF);
	p->close = chance(c, 15);
	p->http10 = chance(c, 10);
	if (p->upload) {
		p->method = chance(c, 50) ? "POST" : "PUT";
		p->kind = chance(c, 5) ? 'r' : 'u';
		p->chunked = !p->http10 && chance(c, 50);
		/* Without a body there is nothing to wait for. */
		p->expect = !p->http10 && p->len > 0 && chance(c, 20);
		return;
	}
	p->method = chance(c, 10) ? "HEAD" : "GET";
	p->kind = downloads[draw(c, sizeof(downloads) - 1)];
	if (p->kind == 's')
		p->len = draw(c, 20);
}

/* The head of a request; `more`: fields, each with CRLF. */
static bool
send_head(struct client *c, const struct plan *p, const char *more)
{
	char text[512], length[64] = "";
	int n;
	snprintf(c->what, sizeof(c->what), "%s /%c/%u/%u HTTP/1.%d%s%s%s",
	    p->method, p->kind, p->len, p->off, !p->http10,
	    p->chunked ? " chunked" : "", p->close ? " close" : "",
	    p->expect ? " expect" : "");
	if (p->upload && p->chunked)
		snprintf(
		    length, sizeof(length), "Transfer-Encoding: chunked\r\n");
	else if (p->upload)
		snprintf(
		    length, sizeof(length), "Content-Length: %u\r\n", p->len);
	n = snprintf(text, sizeof(text),
	    "%s /%c/%u/%u HTTP/1.%d\r\nHost: storm\r\n%s%s%s%s\r\n", p->method,
	    p->kind, p->len, p->off, !p->http10, length, more,
	    p->close ? "Connection: close\r\n" : "",
	    p->expect ? "Expect: 100-continue\r\n" : "");
	return wire_send(&c->w, text, (size_t)n);
}

/* Waits for the 100; false: something else came. */
static bool
await_continue(struct client *c)
{
	struct head h;
	if (wire_head(&c->w, &h) && status_of(&h) == 100)
		return true;
	fail(c, "no 100 but \"%s\"", h.line);
	return false;
}

static void
check_upload(struct client *c, const struct head *h)
{
	char text[8] = "";
	size_t n = 0;
	while (n < 4 && h->has_length && h->length == 4) {
		if (c->w.at < c->w.len) {
			text[n++] = c->w.buf[c->w.at++];
			continue;
		}
		if (recv(c->w.fd, text + n, 1, 0) != 1)
			break;
		n++;
	}
	if (strcmp(text, "same") != 0)
		fail(c, "the backend got another body (%llu bytes of answer)",
		    (unsigned long long)h->length);
}

static void
check_answer(struct client *c, const struct plan *p)
{
	struct head h;
	enum framing framing;
	bool whole, wrong, head_only = strcmp(p->method, "HEAD") == 0;
	uint64_t got, want = p->kind == 's' ? 8 : p->len;
	int status = final_head(c, &h);
	if (status != 200) {
		fail(c, "status %d \"%s\"", status, status == 0 ? "" : h.line);
		return;
	}
	framing = framing_of(&h, head_only);
	if (p->upload) {
		check_upload(c, &h);
	} else {
		got = wire_read_body(
		    &c->w, framing, h.length, p->off, &whole, &wrong);
		if (wrong || !whole || got != (head_only ? 0 : want))
			fail(c, "%llu bytes%s%s", (unsigned long long)got,
			    wrong ? ", a wrong one" : "",
			    whole ? "" : ", not whole");
	}
	atomic_fetch_add(&bytes, want);
	c->w.slow = false;
	if (c->w.fd >= 0)
		go_on(c, &h, p, framing);
}

static unsigned
do_exchange(struct client *c)
{
	struct plan p;
	plan_draw(c, &p);
	if (!p.upload && p.len < 65536 * 4 && chance(c, 3)) {
		wire_close(&c->w, false);
		if (!connect_client(c, true))
			return 1;
		c->w.slow = true;
	} else if (!ready(c)) {
		return 1;
	}
	if (!send_head(c, &p, "")) {
		fail(c, "the head could not be sent");
		return 1;
	}
	if (p.expect && !await_continue(c))
		return 1;
	if (p.upload &&
	    !wire_send_body(&c->w, p.off, p.len,
		p.chunked ? FRAMING_CHUNKED : FRAMING_LENGTH, c->rng)) {
		fail(c, "the body could not be sent");
		return 1;
	}
	check_answer(c, &p);
	return 1;
}

static unsigned
do_pipeline(struct client *c)
{
	struct plan plans[PIPELINE_MAX];
	unsigned n = 2 + draw(c, PIPELINE_MAX - 1);
	if (!ready(c))
		return 1;
	for (unsigned i = 0; i < n; i++) {
		plan_draw(c, &plans[i]);
		plans[i].len %= PIPELINE_BODY;
		plans[i].close = plans[i].http10 = plans[i].expect = false;
		if (!send_head(c, &plans[i], "") ||
		    (plans[i].upload &&
			!wire_send_body(&c->w, plans[i].off, plans[i].len,
			    plans[i].chunked ? FRAMING_CHUNKED : FRAMING_LENGTH,
			    c->rng))) {
			fail(c, "pipelined request %u not sent", i);
			return n;
		}
	}
	for (unsigned i = 0; i < n && !c->failed; i++) {
		snprintf(c->what, sizeof(c->what), "%u of %u: %s /%c/%u/%u", i,
		    n, plans[i].method, plans[i].kind, plans[i].len,
		    plans[i].off);
		check_answer(c, &plans[i]);
		if (c->w.fd < 0 && i + 1 < n && !c->failed) {
			fail(c, "closed before the last answer");
		}
	}
	return n;
}

/* --- what is refused ---------------------------------------------------------
 */

static unsigned
do_malformed(struct client *c)
{
	static const char *const requests[] = {
	    "GET /d/1/1 HTTP/1.1\r\n\r\n",
	    "GET /d/1/1 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
	    "GET /d/1/1 HTTP/1.1\nHost: a\n\n",
	    "GET /d/1/1 HTTP/1.1\r\nHost : a\r\n\r\n",
	    "GET /d/1/1 HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
	    "GET  /d/1/1 HTTP/1.1\r\nHost: a\r\n\r\n",
	    "G@T /d/1/1 HTTP/1.1\r\nHost: a\r\n\r\n",
	    "GET /d/1/1\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
	    "GET /d/1/1 HTTP/1.1\r\nHost: a\r\nX: a\x01z\r\n\r\n",
	    "GET /d/1/1 HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n",
	    "POST /u/5/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	    "POST /u/5/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
	    "Content-Length: 6\r\n\r\n",
	    "POST /u/5/1 HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
	    "POST /u/5/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5,5\r\n\r\n",
	    "POST /u/5/1 HTTP/1.1\r\nHost: a\r\n"
	    "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
	    "POST /u/5/1 HTTP/1.1\r\nHost: a\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n",
	};
	const char *text =
	    requests[draw(c, sizeof(requests) / sizeof(*requests))];
	snprintf(c->what, sizeof(c->what), "%.80s...", text);
	if (!(chance(c, 50) ? fresh(c) : ready(c)))
		return 1;
	if (!wire_text(&c->w, text))
		fail(c, "not sent");
	else
		expect_error(c, 400, 400, true);
	return 1;
}

static unsigned
do_too_large(struct client *c)
{
	static const char end[] = "\r\n\r\n", target[] = "GET /d/",
			  field[] = "GET /d/1/1 HTTP/1.1\r\nHost: a\r\nX: ";
	char *text = malloc(32768);
	bool line = chance(c, 30);
	size_t n = 20000;
	if (text == NULL)
		abort();
	memset(text, 'x', n);
	if (line)
		memcpy(text, target, strlen(target));
	else
		memcpy(text, field, strlen(field));
	memcpy(text + n, end, 4);
	snprintf(c->what, sizeof(c->what), "20,000 bytes of %s",
	    line ? "request line" : "fields");
	if (fresh(c)) {
		/* It may be refused before it is all sent. */
		(void)wire_send(&c->w, text, n + 4);
		expect_error(c, line ? 414 : 431, line ? 414 : 431, true);
	}
	free(text);
	return 1;
}

static unsigned
do_no_route(struct client *c)
{
	if (!ready(c))
		return 1;
	snprintf(c->what, sizeof(c->what), "%s /nowhere/%u",
	    chance(c, 10) ? "HEAD" : "GET", draw(c, 1000));
	if (!wire_text(&c->w, c->what) ||
	    !wire_text(&c->w, " HTTP/1.1\r\nHost: storm\r\n\r\n"))
		fail(c, "not sent");
	else
		expect_error(c, 404, 404, false);
	return 1;
}

/* --- clients that leave ------------------------------------------------------
 */

static unsigned
do_abort_head(struct client *c)
{
	static const char text[] =
	    "GET /d/100/1 HTTP/1.1\r\nHost: storm\r\n\r\n";
	size_t cut = draw(c, sizeof(text) - 2);
	snprintf(c->what, sizeof(c->what), "%zu bytes of a head", cut);
	if (fresh(c) && wire_send(&c->w, text, cut))
		wire_close(&c->w, chance(c, 50));
	return 1;
}

static unsigned
do_abort_body(struct client *c)
{
	struct plan p;
	do
		plan_draw(c, &p);
	while (!p.upload || p.len < 2);
	p.expect = false;
	if (!fresh(c) || !send_head(c, &p, ""))
		return 1;
	if (p.chunked)
		(void)wire_text(&c->w, "ffffff\r\n");
	(void)wire_send(&c->w, wire_body(p.off), draw(c, p.len));
	wire_close(&c->w, chance(c, 50));
	return 1;
}

static unsigned
do_abort_answer(struct client *c)
{
	struct plan p;
	struct head h;
	do
		plan_draw(c, &p);
	while (p.upload || p.len < 100);
	if (!(wire_close(&c->w, false), connect_client(c, chance(c, 30))) ||
	    !send_head(c, &p, ""))
		return 1;
	if (chance(c, 70) && final_head(c, &h) != 200)
		fail(c, "no answer to leave");
	wire_close(&c->w, chance(c, 50));
	return 1;
}

/* --- backends that fail ------------------------------------------------------
 */

/* After a 200: the body must not look complete. */
static void
expect_broken(struct client *c, const struct plan *p, const struct head *h)
{
	bool whole, wrong;
	enum framing framing = framing_of(h, false);
	uint64_t got =
	    wire_read_body(&c->w, framing, h->length, p->off, &whole, &wrong);
	/* HTTP/1.0 and an end without a length: a close is all there is. */
	if (wrong || (whole && framing != FRAMING_CLOSE))
		fail(c, "%llu bytes look %s", (unsigned long long)got,
		    wrong ? "wrong" : "complete");
	wire_close(&c->w, false);
}

static unsigned
do_bad_backend(struct client *c)
{
	struct plan p;
	struct head h;
	int status;
	char how = "ABCDEFG"[draw(c, 7)];
	bool post = chance(c, 20);
	plan_draw(c, &p);
	p.len %= 65536;
	if (!(post ? fresh(c) : ready(c)))
		return 1;
	snprintf(c->what, sizeof(c->what), "%s /x/%c/%u/%u",
	    post ? "POST" : "GET", how, p.len, p.off);
	if (!wire_text(&c->w, c->what) ||
	    !wire_text(&c->w, " HTTP/1.1\r\nHost: storm\r\n") ||
	    !wire_text(
		&c->w, post ? "Content-Length: 4\r\n\r\nbody" : "\r\n")) {
		fail(c, "not sent");
		return 1;
	}
	if (how != 'C' && how != 'D' && how != 'G') {
		expect_error(c, 502, 503, false);
		return 1;
	}
	status = final_head(c, &h);
	if (status == 200)
		expect_broken(c, &p, &h);
	else if (status != 502 && status != 503)
		/* A reset may overtake the head: then it is a 502. */
		fail(c, "status %d", status);
	else
		wire_close(&c->w, false);
	return 1;
}

/* --- tunnels
 * ------------------------------------------------------------------ */

static bool
echoes(struct client *c, uint32_t off, uint32_t len)
{
	bool whole, wrong;
	return wire_send(&c->w, wire_body(off), len) &&
	    wire_read_body(&c->w, FRAMING_LENGTH, len, off, &whole, &wrong) ==
	    len;
}

static unsigned
do_tunnel(struct client *c)
{
	struct head h;
	snprintf(c->what, sizeof(c->what), "tunnel");
	if (!fresh(c))
		return 1;
	if (!wire_text(&c->w,
		"GET /t HTTP/1.1\r\nHost: storm\r\n"
		"Connection: upgrade\r\nUpgrade: echo\r\n\r\n") ||
	    final_head(c, &h) != 101) {
		fail(c, "no 101");
		return 1;
	}
	for (unsigned i = draw(c, 8); i > 0; i--) {
		if (!echoes(c, draw(c, BODY_OFF), draw(c, 16384))) {
			fail(c, "the echo differs");
			return 1;
		}
	}
	if (chance(c, 50)) {
		shutdown(c->w.fd, SHUT_WR);
		if (!wire_at_end(&c->w))
			fail(c, "no end in order");
	}
	wire_close(&c->w, chance(c, 20));
	return 1;
}

/* --- the storm
 * ---------------------------------------------------------------- */

static unsigned (*const actions[KIND_N])(struct client *) = {
    [KIND_EXCHANGE] = do_exchange,
    [KIND_PIPELINE] = do_pipeline,
    [KIND_MALFORMED] = do_malformed,
    [KIND_TOO_LARGE] = do_too_large,
    [KIND_NO_ROUTE] = do_no_route,
    [KIND_ABORT_HEAD] = do_abort_head,
    [KIND_ABORT_BODY] = do_abort_body,
    [KIND_ABORT_ANSWER] = do_abort_answer,
    [KIND_BAD_BACKEND] = do_bad_backend,
    [KIND_TUNNEL] = do_tunnel,
};

static enum kind
draw_kind(struct client *c)
{
	unsigned n = draw(c, 1000), kind = 0;
	while (n >= kinds[kind].weight)
		n -= kinds[kind++].weight;
	return (enum kind)kind;
}

static void *
work(void *arg)
{
	struct client *c = malloc(sizeof(*c));
	if (c == NULL)
		abort();
	memset(c, 0, sizeof(*c));
	c->id = (unsigned)(uintptr_t)arg;
	c->rng = opt.seed * 1000003 + c->id;
	c->w.fd = -1;
	while (atomic_load(&left) > 0) {
		unsigned n;
		c->kind = draw_kind(c);
		c->failed = false;
		n = actions[c->kind](c);
		c->order += n;
		atomic_fetch_add(&counts[c->kind], n);
		atomic_fetch_sub(&left, n);
	}
	wire_close(&c->w, false);
	free(c);
	return NULL;
}

static void
report(double seconds)
{
	uint64_t total = 0;
	printf("{\"seed\": %llu, \"seconds\": %.1f, \"kinds\": {",
	    (unsigned long long)opt.seed, seconds);
	for (int i = 0; i < KIND_N; i++) {
		printf("%s\"%s\": %llu", i > 0 ? ", " : "", kinds[i].name,
		    (unsigned long long)counts[i]);
		total += counts[i];
	}
	printf("}, \"requests\": %llu, \"connections\": %llu, "
	       "\"body_bytes\": %llu, \"failures\": %llu}\n",
	    (unsigned long long)total, (unsigned long long)opened,
	    (unsigned long long)bytes, (unsigned long long)failures);
}

static bool
options(int argc, char **argv)
{
	if (argc < 4 || argc > 5)
		return false;
	opt.port = (unsigned)strtoul(argv[1], NULL, 10);
	opt.requests = strtoull(argv[2], NULL, 10);
	opt.seed = strtoull(argv[3], NULL, 10);
	if (argc == 5)
		opt.threads = (unsigned)strtoul(argv[4], NULL, 10);
	return opt.port > 0 && opt.port < 65536 && opt.requests > 0 &&
	    opt.threads > 0 && opt.threads <= 1000;
}

int
main(int argc, char **argv)
{
	struct timespec start, end;
	pthread_t *threads;
	if (!options(argc, argv)) {
		fprintf(stderr, "usage: storm PORT REQUESTS SEED [THREADS]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	wire_prepare();
	atomic_store(&left, (int64_t)opt.requests);
	threads = calloc(opt.threads, sizeof(*threads));
	if (threads == NULL)
		abort();
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (unsigned i = 0; i < opt.threads; i++)
		if (pthread_create(
			&threads[i], NULL, work, (void *)(uintptr_t)i) != 0)
			abort();
	for (unsigned i = 0; i < opt.threads; i++)
		pthread_join(threads[i], NULL);
	clock_gettime(CLOCK_MONOTONIC, &end);
	free(threads);
	report((double)(end.tv_sec - start.tv_sec) +
	    (double)(end.tv_nsec - start.tv_nsec) / 1e9);
	return failures > 0;
}
