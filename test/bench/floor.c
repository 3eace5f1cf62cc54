/*
 * The floor: a relay that only does recv and send.  It knows nothing of HTTP,
 * so no proxy of that kind (one process, epoll, no splice) can be cheaper.
 * usage: floor PORT BACKEND_PORT
 *
 * Each client connection has one connection to the backend; both live as long
 * as both sides like.  Every socket is registered once, edge-triggered.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH        256
#define BUFFER_BYTES 65536

/* One end of a pair. */
struct end {
	int fd;
	bool readable; /* a recv would bring something */
	struct end *peer;
	char *held; /* bytes for this end that it did not take */
	size_t held_len, held_at;
};

/* A pair is freed after the round: later events may point to it. */
struct pair {
	struct end client, backend;
	bool dead;
	struct pair *next;
};

static int epoll_fd, listener_fd;
static struct sockaddr_in backend_addr;
static struct pair *graveyard;
static char buffer[BUFFER_BYTES];

static struct pair *
pair_of(struct end *e)
{
	/* The client is the first member, the backend the second. */
	return e->peer > e ? (struct pair *)e : (struct pair *)e->peer;
}

static void
bury(struct pair *p)
{
	if (p->dead)
		return;
	p->dead = true;
	close(p->client.fd);
	close(p->backend.fd);
	p->next = graveyard;
	graveyard = p;
}

static void
empty_graveyard(void)
{
	while (graveyard != NULL) {
		struct pair *p = graveyard;
		graveyard = p->next;
		free(p->client.held);
		free(p->backend.held);
		free(p);
	}
}

/* Sends to `e`, keeps what it does not take.  False: it is gone. */
static bool
push(struct end *e, const char *data, size_t len)
{
	ssize_t n = send(e->fd, data, len, MSG_NOSIGNAL);
	if (n == (ssize_t)len)
		return true;
	if (n < 0 && errno != EAGAIN)
		return false;
	if (n < 0)
		n = 0;
	if (e->held == NULL && (e->held = malloc(BUFFER_BYTES)) == NULL)
		return false;
	e->held_len = len - (size_t)n;
	e->held_at = 0;
	memmove(e->held, data + n, e->held_len);
	return true;
}

static bool
push_held(struct end *e)
{
	ssize_t n;
	if (e->held_len == 0)
		return true;
	n = send(e->fd, e->held + e->held_at, e->held_len, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN;
	e->held_at += (size_t)n;
	e->held_len -= (size_t)n;
	return true;
}

/* Moves what `from` has to its peer, until one of them must wait. */
static bool
relay(struct end *from)
{
	while (from->readable && from->peer->held_len == 0) {
		ssize_t n = recv(from->fd, buffer, sizeof(buffer), 0);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return false;
		if (n < (ssize_t)sizeof(buffer))
			from->readable = false;
		if (n > 0 && !push(from->peer, buffer, (size_t)n))
			return false;
	}
	return true;
}

static bool
happened(struct end *e, uint32_t what)
{
	if ((what & ~(uint32_t)EPOLLOUT) != 0)
		e->readable = true;
	if ((what & EPOLLOUT) != 0 && (!push_held(e) || !relay(e->peer)))
		return false;
	return relay(e);
}

static void
watch(struct end *e)
{
	struct epoll_event event = {
	    .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = e};
	int one = 1;
	setsockopt(e->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, e->fd, &event);
}

static void
take(void)
{
	int fd = accept4(listener_fd, NULL, NULL, SOCK_NONBLOCK);
	struct pair *p = fd < 0 ? NULL : calloc(1, sizeof(*p));
	if (p == NULL)
		return;
	p->client.fd = fd;
	p->backend.fd = socket(AF_INET, SOCK_STREAM, 0);
	p->client.peer = &p->backend;
	p->backend.peer = &p->client;
	/* Blocking, for loopback answers at once; then as everything else. */
	if (connect(p->backend.fd, (struct sockaddr *)&backend_addr,
		sizeof(backend_addr)) != 0) {
		bury(p);
		return;
	}
	(void)fcntl(p->backend.fd, F_SETFL, O_NONBLOCK);
	watch(&p->client);
	watch(&p->backend);
}

static bool
listen_on(unsigned port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
	    .sin_port = htons((unsigned short)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	int one = 1;
	listener_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(listener_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return bind(listener_fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
	    listen(listener_fd, 4096) == 0 &&
	    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener_fd, &event) == 0;
}

static void
loop(void)
{
	struct epoll_event events[BATCH];
	for (;;) {
		int n = epoll_wait(epoll_fd, events, BATCH, -1);
		for (int i = 0; i < n; i++) {
			struct end *e = events[i].data.ptr;
			if (e == NULL)
				take();
			else if (!pair_of(e)->dead &&
			    !happened(e, events[i].events))
				bury(pair_of(e));
		}
		empty_graveyard();
	}
}

static unsigned
number(const char *s)
{
	unsigned n = 0;
	for (; *s >= '0' && *s <= '9' && n < 65536; s++)
		n = n * 10 + (unsigned)(*s - '0');
	return n;
}

int
main(int argc, char **argv)
{
	struct rlimit files;
	unsigned port = argc == 3 ? number(argv[1]) : 0;
	unsigned backend = argc == 3 ? number(argv[2]) : 0;
	if (port == 0 || port > 65535 || backend == 0 || backend > 65535) {
		fprintf(stderr, "usage: floor PORT BACKEND_PORT\n");
		return 2;
	}
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	backend_addr.sin_family = AF_INET;
	backend_addr.sin_port = htons((unsigned short)backend);
	backend_addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	epoll_fd = epoll_create1(0);
	if (epoll_fd < 0 || !listen_on(port)) {
		perror("floor");
		return 1;
	}
	loop();
}
