#include "evenkeel/net/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct acceptor {
	struct event event;
	struct wheel_timer retry;
	struct loop *loop;
	int fd;
	bool added; /* the event is */
	bool paused;
	const struct acceptor_ops *ops;
	void *listener, *arg;
};

static int
open_socket(int family, bool group)
{
	int one = 1;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || family == AF_UNIX)
		return fd;
	/* Options of accepted sockets are inherited from here. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (group)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	return fd;
}

/* A bound socket, or -1 with errno. */
static int
bind_one(const struct address *a, bool group)
{
	int error, fd = open_socket(a->u.any.sa_family, group);

	if (fd < 0)
		return -1;
	if (bind(fd, &a->u.any, a->len) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* Whether somebody answers on the unix socket. */
static bool
unix_alive(const struct address *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool alive;

	if (fd < 0)
		return true;
	alive = connect(fd, &a->u.any, a->len) == 0 || errno != ECONNREFUSED;
	close(fd);
	return alive;
}

static void
take_away_stale(const struct address *a)
{
	struct stat st;

	if (stat(a->u.un.sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    !unix_alive(a))
		unlink(a->u.un.sun_path);
}

bool
listener_start(int fd)
{
	return listen(fd, LISTENER_BACKLOG) == 0;
}

int
listener_share(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static bool
share_unix(int *fds, uint32_t n)
{
	if (!listener_start(fds[0]))
		return false;
	for (uint32_t i = 1; i < n; i++) {
		fds[i] = listener_share(fds[0]);
		if (fds[i] < 0)
			return false;
	}
	return true;
}

static bool
bind_unix(const struct address *a, int *fds, uint32_t n)
{
	int error;

	take_away_stale(a);
	fds[0] = bind_one(a, false);
	if (fds[0] < 0)
		return false;
	if (share_unix(fds, n))
		return true;
	error = errno;
	unlink(a->u.un.sun_path);
	errno = error;
	return false;
}

/* Whether nobody has it, and which port it is. */
static bool
look_first(const struct address *a, struct address *bound)
{
	int probe = bind_one(a, false);
	bool good = probe >= 0 && address_of_socket(bound, probe);

	if (probe >= 0)
		close(probe);
	return good;
}

static bool
bind_members(const struct address *bound, int *fds, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		fds[i] = bind_one(bound, true);
		if (fds[i] < 0)
			return false;
	}
	return true;
}

static bool
bind_group(const struct address *a, int *fds, uint32_t n, struct address *bound,
    bool beside)
{
	if (!beside && !look_first(a, bound))
		return false;
	if (!bind_members(bound, fds, n))
		return false;
	/* Listening begins when all are bound: none gets a connection that
	 * a failure would then drop. */
	for (uint32_t i = 0; i < n; i++)
		if (!listener_start(fds[i]))
			return false;
	return true;
}

/* Why it cannot be listened on, and what to do where errno alone is obscure. */
static void
put_error(struct textbuf *why, const struct address *a, int error)
{
	bool v6 = a->u.any.sa_family == AF_INET6;

	address_put(why, a);
	textbuf_lit(why, ": ");
	textbuf_str(why, strerror(error));
	if (error != EADDRNOTAVAIL)
		return;
	textbuf_lit(why, ": no interface has it now (net.ipv");
	textbuf_str(why, v6 ? "6" : "4");
	textbuf_lit(why, ".ip_nonlocal_bind = 1 allows that)");
}

/* Closes what came to be, and says why the others did not. */
static bool
give_up(const struct address *a, int *fds, uint32_t n, struct textbuf *why)
{
	int error = errno;

	for (uint32_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	put_error(why, a, error);
	return false;
}

bool
listener_join(
    const struct address *bound, int *fds, uint32_t n, struct textbuf *why)
{
	for (uint32_t i = 0; i < n; i++)
		fds[i] = -1;
	return bind_members(bound, fds, n) || give_up(bound, fds, n, why);
}

static bool
bind_all(const struct address *a, int *fds, uint32_t n, struct address *bound,
    bool beside, struct textbuf *why)
{
	bool bound_all;

	for (uint32_t i = 0; i < n; i++)
		fds[i] = -1;
	*bound = *a;
	if (a->u.any.sa_family == AF_UNIX)
		bound_all = bind_unix(a, fds, n);
	else
		bound_all = bind_group(a, fds, n, bound, beside);
	return bound_all || give_up(a, fds, n, why);
}

bool
listener_bind(const struct address *a, int *fds, uint32_t n,
    struct address *bound, struct textbuf *why)
{
	return bind_all(a, fds, n, bound, false, why);
}

bool
listener_bind_beside(const struct address *a, int *fds, uint32_t n,
    struct address *bound, struct textbuf *why)
{
	return bind_all(a, fds, n, bound, true, why);
}

static void
pause_accepting(struct acceptor *a)
{
	if (a->added)
		event_del(&a->event);
	a->added = false;
	a->paused = true;
	if (a->ops->on_pause != NULL)
		a->ops->on_pause(true, a->arg);
	loop_arm(a->loop, &a->retry, loop_now_ms(a->loop) + LISTENER_RETRY_MS);
}

/* Out of something the system or the process has a limit on. */
static bool
out_of_resources(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM ||
	    error == ENOBUFS;
}

/* Accepts one, or passes over one that has failed.  False: there is none, or
 * it must wait. */
static bool
accept_one(struct acceptor *a)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int conn;

	if (!a->ops->may_accept(a->arg)) {
		pause_accepting(a);
		return false;
	}
	conn = accept4(a->fd, (struct sockaddr *)&peer, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (conn < 0 && out_of_resources(errno)) {
		pause_accepting(a);
		return false;
	}
	/* Others speak of one connection that is gone already: the next may
	 * be in order. */
	if (conn < 0)
		return errno != EAGAIN;
	a->ops->on_accept(conn, (struct sockaddr *)&peer, a->listener, a->arg);
	return true;
}

static void
acceptor_on_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	for (int i = 0; i < LISTENER_BATCH && accept_one(arg); i++)
		;
}

void
acceptor_take_all(struct acceptor *a)
{
	for (int i = 0; i < LISTENER_BACKLOG && accept_one(a); i++)
		;
}

void
acceptor_resume(struct acceptor *a)
{
	if (!a->paused)
		return;
	if (event_add(&a->event, NULL) != 0) {
		pause_accepting(a);
		return;
	}
	a->added = true;
	a->paused = false;
	a->retry.deadline_ms = WHEEL_NEVER;
	if (a->ops->on_pause != NULL)
		a->ops->on_pause(false, a->arg);
}

static void
acceptor_on_retry(struct wheel_timer *t, uint64_t now_ms)
{
	(void)now_ms;
	acceptor_resume((struct acceptor *)(void *)((char *)t -
	    offsetof(struct acceptor, retry)));
}

struct acceptor *
acceptor_make(int fd, const struct acceptor_ops *ops, void *listener, void *arg)
{
	struct acceptor *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	*a = (struct acceptor){
	    .fd = fd, .ops = ops, .listener = listener, .arg = arg};
	wheel_timer_init(&a->retry, acceptor_on_retry);
	return a;
}

/* False: the system has no room for the event. */
static bool
begin(struct acceptor *a, struct loop *l)
{
	a->loop = l;
	/* Level-triggered: a batch that was cut short goes on by itself. */
	if (event_assign(&a->event, l->base, a->fd, EV_READ | EV_PERSIST,
		acceptor_on_event, a) != 0)
		return false;
	a->added = event_add(&a->event, NULL) == 0;
	return a->added;
}

void
acceptor_begin(struct acceptor *a, struct loop *l)
{
	if (!begin(a, l))
		pause_accepting(a);
}

void
acceptor_drop(struct acceptor *a)
{
	CHECK(a == NULL || a->loop == NULL);
	free(a);
}

struct acceptor *
acceptor_create(struct loop *l, int fd, const struct acceptor_ops *ops,
    void *listener, void *arg)
{
	struct acceptor *a = acceptor_make(fd, ops, listener, arg);

	if (a == NULL) {
		close(fd);
		return NULL;
	}
	if (begin(a, l))
		return a;
	acceptor_free(a);
	return NULL;
}

void
acceptor_free(struct acceptor *a)
{
	if (a == NULL)
		return;
	if (a->loop != NULL)
		wheel_remove(&a->loop->wheel, &a->retry);
	if (a->added)
		event_del(&a->event);
	close(a->fd);
	free(a);
}
