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

/* There may be room again: ends a pause at once. */
void acceptor_resume(struct acceptor *a);

/* Accepts those that wait now, LISTENER_BACKLOG at most. */
void acceptor_take_all(struct acceptor *a);

/* Stops accepting and closes the socket. */
void acceptor_free(struct acceptor *a);

#endif
