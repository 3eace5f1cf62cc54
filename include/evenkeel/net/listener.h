/*
 * listener - listening sockets, and accepting from them.
 *
 * TCP: every worker has a socket of its own in one SO_REUSEPORT group, and the
 * kernel spreads the connections.  Before the group a probe binds without
 * SO_REUSEPORT, because with it a port that another evenkeel uses would be
 * shared silently.  Unix sockets cannot form a group: one socket, dup'ed.
 *
 * Accepting stops while the process is out of descriptors or at its limit of
 * connections, and is tried again every LISTENER_RETRY_MS; an event that
 * stayed on would spin.
 *
 * Layer: net.  listener_bind*: the control thread.  acceptors: their worker.
 *
 * Sources: socket(7) on SO_REUSEPORT; tcp(7).
 */
#ifndef EVENKEEL_NET_LISTENER_H
#define EVENKEEL_NET_LISTENER_H

#include "evenkeel/net/address.h"
#include "evenkeel/net/loop.h"

/* Connections the kernel holds for one socket (net.core.somaxconn caps it). */
#define LISTENER_BACKLOG  4096
#define LISTENER_RETRY_MS 200
/* Connections accepted in one callback. */
#define LISTENER_BATCH 32

/*
 * Binds `n` listening sockets to one address, one a worker, non-blocking.
 * A port 0 is chosen once for all; `bound` is what it came to be.
 * False: none is left open, `why` says what is wrong ("127.0.0.1:80: Address
 * already in use").  A unix socket file that nobody listens on is taken away
 * first; a living one is an error.
 */
bool listener_bind(const struct address *a, int *fds, uint32_t n,
    struct address *bound, struct textbuf *why) WARN_UNUSED;

/* The same beside sockets of our own that overlap with it (all addresses and
 * one of them, same port): without the look whether somebody else is there. */
bool listener_bind_beside(const struct address *a, int *fds, uint32_t n,
    struct address *bound, struct textbuf *why) WARN_UNUSED;

/*
 * Binds `n` more sockets to the group that others of `bound` form already, in
 * this process or another of the same user.  They do not listen before
 * listener_start, so that an end of this process before that takes no
 * connection with it.  False: none is left open, `why` says what is wrong.
 */
bool listener_join(const struct address *bound, int *fds, uint32_t n,
    struct textbuf *why) WARN_UNUSED;

/* Listens on a socket of listener_join.  False: errno says why. */
bool listener_start(int fd) WARN_UNUSED;

/* A second descriptor of the same socket, for another worker; -1: errno. */
int listener_share(int fd) WARN_UNUSED;

struct acceptor_ops {
	/* A new non-blocking connection from `peer`: the callee owns `fd`. */
	void (*on_accept)(
	    int fd, const struct sockaddr *peer, void *listener, void *arg);
	/* Whether one more connection is allowed now. */
	bool (*may_accept)(void *arg);
	/* Accepting has stopped for want of room, or goes on; may be NULL. */
	void (*on_pause)(bool paused, void *arg);
};

struct acceptor; /* one listening socket of one worker */

/* Takes `fd` over and starts accepting.  NULL: no memory; `fd` is closed. */
struct acceptor *acceptor_create(struct loop *l, int fd,
    const struct acceptor_ops *ops, void *listener, void *arg) WARN_UNUSED;

/*
 * The same in two steps, of which the second cannot fail: acceptor_make, in any
 * thread, takes `fd` over (NULL: no memory; it stays the caller's);
 * acceptor_begin starts, at the latest LISTENER_RETRY_MS after the system has
 * room for it.
 */
struct acceptor *acceptor_make(int fd, const struct acceptor_ops *ops,
    void *listener, void *arg) WARN_UNUSED;
void acceptor_begin(struct acceptor *a, struct loop *l);

/* Instead of acceptor_begin: frees it, and leaves its socket to the caller.
 * NULL is allowed. */
void acceptor_drop(struct acceptor *a);

/* There may be room again: ends a pause at once. */
void acceptor_resume(struct acceptor *a);

/* Accepts those that wait now, LISTENER_BACKLOG at most. */
void acceptor_take_all(struct acceptor *a);

/* Stops accepting, if it ever began, and closes the socket. */
void acceptor_free(struct acceptor *a);

#endif
