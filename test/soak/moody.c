/*
 * The backend of the storm: does what the target of a request says, well or
 * badly.  One thread a connection.  usage: moody    prints its port.
 *
 *   /d/LEN/OFF  the body at OFF with Content-Length
 *   /c/LEN/OFF  the same in chunks            /e/LEN/OFF  ended by the close
 *   /i/LEN/OFF  as /d, behind a 103           /s/MS/OFF   waits, 8 bytes then
 *   /u/LEN/OFF  compares the request's body: "same" or "differs"
 *   /r/LEN/OFF  the same, reading slowly      /t          101, then an echo
 *   /k/LEN/OFF  as /d, behind a body of any content with Content-Length
 *   /x/HOW/...  fails: see misbehave()
 */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

struct ask {
	struct wire *w;
	struct head head;
	char method[16], kind, how;
	uint32_t len, off;
};

static bool
say(struct wire *w, const char *head, unsigned long long length)
{
	char text[256];
	int n = snprintf(text, sizeof(text), head, length);
	return wire_send(w, text, (size_t)n);
}

static bool
no_body(const struct ask *a)
{
	return strcmp(a->method, "HEAD") == 0;
}

/* --- the good ones ----------------------------------------------------------
 */

static bool
give_counted(struct ask *a)
{
	if (!say(a->w, "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n",
		a->len))
		return false;
	return no_body(a) ||
	    wire_send_body(a->w, a->off, a->len, FRAMING_LENGTH, 0);
}

static bool
give_chunked(struct ask *a)
{
	if (!wire_text(
		a->w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
		return false;
	return no_body(a) ||
	    wire_send_body(a->w, a->off, a->len, FRAMING_CHUNKED, a->off);
}

static bool
give_until_close(struct ask *a)
{
	if (wire_text(a->w, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n") &&
	    !no_body(a))
		(void)wire_send_body(a->w, a->off, a->len, FRAMING_CLOSE, 0);
	return false;
}

static bool
give_early_hints(struct ask *a)
{
	return wire_text(
		   a->w, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n") &&
	    give_counted(a);
}

static bool
stall(struct ask *a)
{
	struct timespec pause = {.tv_nsec = (long)(a->len % 1000) * 1000000};
	nanosleep(&pause, NULL);
	a->len = 8;
	return give_counted(a);
}

static bool
tunnel(struct ask *a)
{
	struct wire *w = a->w;
	ssize_t n;
	if (!a->head.upgrade)
		return false;
	if (!wire_text(w,
		"HTTP/1.1 101 Switching Protocols\r\n"
		"Connection: Upgrade\r\nUpgrade: echo\r\n\r\n") ||
	    !wire_send(w, w->buf + w->at, w->len - w->at))
		return false;
	while ((n = recv(w->fd, w->buf, sizeof(w->buf), 0)) > 0)
		if (!wire_send(w, w->buf, (size_t)n))
			return false;
	return false;
}

/* --- request bodies ---------------------------------------------------------
 */

static bool
swallow(struct wire *w, uint64_t length)
{
	uint64_t have = w->len - w->at;
	w->at += (size_t)(have < length ? have : length);
	length -= have < length ? have : length;
	while (length > 0) {
		size_t most = length < WIRE_BUF ? (size_t)length : WIRE_BUF;
		ssize_t n = recv(w->fd, w->buf, most, 0);
		if (n <= 0)
			return false;
		length -= (uint64_t)n;
	}
	return true;
}

/* Reads the body, whatever the target; false: it did not come whole. */
static bool
take_body(struct ask *a, bool *same)
{
	bool whole, wrong;
	uint64_t got;
	enum framing framing = a->head.chunked ? FRAMING_CHUNKED
	    : a->head.has_length               ? FRAMING_LENGTH
					       : FRAMING_NONE;
	if (a->head.expect && !wire_text(a->w, "HTTP/1.1 100 Continue\r\n\r\n"))
		return false;
	if (a->kind == 'k')
		return swallow(a->w, a->head.length);
	a->w->slow = a->kind == 'r';
	got = wire_read_body(
	    a->w, framing, a->head.length, a->off, &whole, &wrong);
	a->w->slow = false;
	*same = whole && got == a->len;
	return whole || wrong;
}

static bool
verdict(struct ask *a, bool same)
{
	if (!say(a->w, "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n",
		same ? 4 : 7))
		return false;
	return wire_text(a->w, same ? "same" : "differs");
}

/* --- the bad ones -----------------------------------------------------------
 */

/*
 * A: closes.  B: resets.  C, D: half a body, then closes or resets.
 * E: no HTTP.  F: half a head.  G: half a chunked body.
 */
static void
misbehave(struct ask *a)
{
	bool reset = a->how == 'B' || a->how == 'D';
	switch (a->how) {
	case 'C':
	case 'D':
		if (say(a->w, "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n",
			(unsigned long long)a->len + 1))
			(void)wire_send(a->w, wire_body(a->off), a->len / 2);
		break;
	case 'E':
		(void)wire_text(a->w, "220 this is no HTTP\r\n\r\n");
		break;
	case 'F':
		(void)wire_text(a->w, "HTTP/1.1 200 OK\r\nContent-Le");
		break;
	case 'G':
		if (say(a->w,
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			"%llx\r\n",
			(unsigned long long)a->len + 1))
			(void)wire_send(a->w, wire_body(a->off), a->len / 2);
		break;
	default:
		break;
	}
	wire_close(a->w, reset);
}

/* --- connections ------------------------------------------------------------
 */

static bool
parse(struct ask *a)
{
	char rest[8];
	a->kind = a->how = '\0';
	a->len = a->off = 0;
	if (sscanf(a->head.line, "%15s /x/%c/%u/%u", a->method, &a->how,
		&a->len, &a->off) == 4)
		a->kind = 'x';
	else if (sscanf(a->head.line, "%15s /%c/%u/%u", a->method, &a->kind,
		     &a->len, &a->off) != 4 &&
	    sscanf(a->head.line, "%15s /t%7s", a->method, rest) == 2)
		a->kind = 't';
	return a->kind != '\0' && a->len <= BODY_MAX && a->off < BODY_OFF;
}

/* Answers one request; false: the connection is over. */
static bool
answer(struct ask *a)
{
	bool same = false;
	if (a->kind == 'x' && (a->how == 'A' || a->how == 'B')) {
		misbehave(a);
		return false;
	}
	if (!take_body(a, &same))
		return false;
	switch (a->kind) {
	case 'd':
	case 'k':
		return give_counted(a);
	case 'c':
		return give_chunked(a);
	case 'e':
		return give_until_close(a);
	case 'i':
		return give_early_hints(a);
	case 's':
		return stall(a);
	case 'u':
	case 'r':
		return verdict(a, same);
	case 't':
		return tunnel(a);
	default:
		misbehave(a);
		return false;
	}
}

static void *
serve(void *arg)
{
	struct ask *a = malloc(sizeof(*a));
	struct wire *w = malloc(sizeof(*w));
	if (a == NULL || w == NULL)
		abort();
	wire_open(w, (int)(intptr_t)arg);
	a->w = w;
	/* An idle connection may wait longer than the limit of a read. */
	for (;;) {
		if (!wire_head(w, &a->head)) {
			if (!w->lost || w->len > 0 || errno != EAGAIN)
				break;
			w->lost = false;
			continue;
		}
		if (!parse(a)) {
			fprintf(
			    stderr, "moody: what is \"%s\"?\n", a->head.line);
			break;
		}
		if (!answer(a))
			break;
	}
	wire_close(w, false);
	free(w);
	free(a);
	return NULL;
}

static int
listen_anywhere(void)
{
	struct sockaddr_in addr = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, len) != 0 ||
	    listen(fd, 4096) != 0 ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) != 0) {
		perror("moody");
		exit(1);
	}
	printf("%u\n", ntohs(addr.sin_port));
	fflush(stdout);
	return fd;
}

int
main(void)
{
	struct rlimit files;
	pthread_attr_t attr;
	int listener;
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	wire_prepare();
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 * 1024);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	listener = listen_anywhere();
	for (;;) {
		pthread_t thread;
		int fd = accept(listener, NULL, NULL);
		if (fd < 0)
			continue;
		wire_options(fd);
		if (pthread_create(
			&thread, &attr, serve, (void *)(intptr_t)fd) != 0)
			close(fd);
	}
}
