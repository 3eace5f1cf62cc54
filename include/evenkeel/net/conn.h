/*
 * conn - one non-blocking stream, with edge-triggered readiness tamed.
 *
 * The descriptor is registered once, for everything, and never changed until
 * it is closed.  The kernel then reports edges only, so what it reported is
 * remembered in sticky flags: `readable` and `writable` stay set until a call
 * says EAGAIN or moves fewer bytes than asked for.  The rule for callers: try
 * first; stop when the flag is clear; when stopping with the flag set, for
 * whatever reason, see to it that somebody comes back (the writer that was in
 * the way, or conn_again).
 *
 * One thing libevent hides: a reset that was reported together with the last
 * bytes looks like those bytes alone, and its edge does not come twice.  So
 * after a short read somebody who goes on waiting for the same message asks
 * the socket once more; whoever has all he waited for does not, and that is
 * every keep-alive request.
 *
 * A connection may speak TLS from some moment on.  Then bytes are what TLS
 * carries, on the socket they are sealed, and what waits in `out` is sealed
 * already; `bytes_in` and `bytes_out` count what is carried.  Nothing can be
 * spliced.
 *
 * A connection owns an input buffer (`in`) and what could not be sent at once
 * (`out`); both come from the loop's pool and go back when empty.
 *
 * Layer: net.  One thread, that of its loop.
 *
 * Sources: epoll(7) on edge-triggered use; docs/architecture.md.
 */
#ifndef EVENKEEL_NET_CONN_H
#define EVENKEEL_NET_CONN_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "evenkeel/base/textbuf.h"
#include "evenkeel/net/loop.h"

struct conn;
struct tls;

struct conn_ops {
	/* Something happened: flags may have been set.  May end the conn. */
	void (*on_ready)(struct conn *c, void *arg);
};

enum conn_io {
	CONN_OK,    /* at least one byte was moved */
	CONN_AGAIN, /* nothing now; readiness will be reported */
	CONN_EOF,   /* the peer has finished sending */
	CONN_ERROR  /* broken; `error` holds errno */
};

struct conn {
	uint32_t magic;
	int fd; /* -1: closed */
	int error;
	bool readable, writable;
	bool unsure;     /* a short read: an error may hide behind it */
	bool connecting; /* connect() is under way */
	bool eof;        /* the peer sent FIN; bytes may still lie before it */
	bool eof_read;   /* ...and have all been read */
	bool cut;        /* TLS: the end came without close_notify */
	bool resetting;  /* its end is to look like none */
	bool fin;        /* to be sent when `out` is empty */
	struct event event;
	struct loop *loop;
	const struct conn_ops *ops;
	void *arg;
	struct loop_task again;
	struct buf *in, *out;
	struct tls *tls; /* NULL: plain */
	uint64_t bytes_in, bytes_out;
};

/*
 * Takes a non-blocking descriptor over and registers it.  False: libevent had
 * no memory or epoll no room; the descriptor is closed then.  `c` is the
 * caller's memory.
 */
bool conn_open(struct conn *c, struct loop *l, int fd,
    const struct conn_ops *ops, void *arg) WARN_UNUSED;

/*
 * Starts a connection to `addr`.  CONN_OK: stands already (unix sockets);
 * CONN_AGAIN: under way, see conn_connected after on_ready; CONN_ERROR: failed
 * at once, c->error says why, nothing to close.
 */
enum conn_io
conn_connect(struct conn *c, struct loop *l, const struct sockaddr *addr,
    socklen_t addr_len, const struct conn_ops *ops, void *arg) WARN_UNUSED;

/* Of a connection under way: CONN_OK, CONN_AGAIN or CONN_ERROR. */
enum conn_io conn_connected(struct conn *c) WARN_UNUSED;

/* Closes at once: unregisters, gives the buffers back, drops what was not
 * sent.  Harmless on a closed one. */
void conn_close(struct conn *c);

/* The same with a reset instead of an orderly end, so that what the peer got
 * so far does not look complete. */
void conn_reset(struct conn *c);

/* Closes a descriptor that no conn was made for. */
void conn_refuse(int fd);

/* Sends FIN (TLS: close_notify before it) behind what was sent; reading goes
 * on. */
void conn_shutdown(struct conn *c);

/* Reads at most `len` > 0 bytes into `p`. */
enum conn_io
conn_recv(struct conn *c, void *p, size_t len, size_t *got) WARN_UNUSED;

/*
 * Reads into the free room of c->in, taking a buffer when there is none.
 * CONN_AGAIN also when the buffer is full (`readable` is then still set).
 * CONN_ERROR with ENOMEM when there is no memory for a buffer.
 */
enum conn_io conn_fill(struct conn *c) WARN_UNUSED;

/* The same behind what lies there, moving nothing: what was decoded and sent
 * can still be sent again. */
enum conn_io conn_watch(struct conn *c) WARN_UNUSED;

/*
 * Reads into a large buffer when one is to be had, else as conn_fill does;
 * only when nothing lies in c->in but a kept head, which is kept.  At least
 * `front` bytes are left free before what is read and `back` behind it.
 */
enum conn_io
conn_fill_large(struct conn *c, uint32_t front, uint32_t back) WARN_UNUSED;

/*
 * Moves at most `max` > 0 bytes from the socket into `p`, which is empty.
 * CONN_AGAIN: the socket is empty, for certain.  CONN_ERROR with EINVAL: this
 * socket cannot do that, or not now for want of memory, and nothing was lost.
 */
enum conn_io conn_splice_in(
    struct conn *c, struct pipe *p, size_t max, size_t *got) WARN_UNUSED;

/* Moves bytes of `p`, which has some, to the socket.  Never behind bytes that
 * wait in `out`.  CONN_OK: some went; CONN_ERROR with EINVAL: as above.
 * SIGPIPE must be ignored. */
enum conn_io conn_splice_out(struct conn *c, struct pipe *p) WARN_UNUSED;

/* Copies bytes of `p`, which has some, to c->in, as data that is ready; only
 * when nothing lies there but a kept head.  False: no memory. */
bool conn_unload(struct conn *c, struct pipe *p) WARN_UNUSED;

/* Gives c->in back when nothing lies in it, a kept head included. */
void conn_release_in(struct conn *c);

/*
 * Sends the pieces in order; *sent says how many bytes went.  Never behind
 * bytes that wait in `out`: flush those first.  CONN_OK: some went.
 */
enum conn_io conn_send(
    struct conn *c, const struct iovec *piece, int n, size_t *sent) WARN_UNUSED;

/*
 * Sends `bytes`, keeping what the socket does not take in `out`.  CONN_OK: all
 * sent or kept; CONN_AGAIN: kept would overflow `out` and nothing was taken;
 * CONN_ERROR.
 */
enum conn_io conn_write(struct conn *c, struct span bytes) WARN_UNUSED;

/* Appends to `out` without sending.  False: no room or memory. */
bool conn_keep(struct conn *c, struct span bytes) WARN_UNUSED;

/* Sends what waits in `out`: CONN_OK when nothing is left. */
enum conn_io conn_flush(struct conn *c) WARN_UNUSED;

/* Bytes that wait in `out` or that the kernel has and the peer has not
 * confirmed. */
uint32_t conn_unsent(const struct conn *c);

static inline bool
conn_out_empty(const struct conn *c)
{
	return c->out == NULL;
}

static inline bool
conn_is_open(const struct conn *c)
{
	return c->fd >= 0;
}

/* Whether TLS is spoken. */
static inline bool
conn_is_secure(const struct conn *c)
{
	return c->tls != NULL;
}

/* Calls on_ready again before the next poll. */
static inline void
conn_again(struct conn *c)
{
	loop_ready(c->loop, &c->again);
}

bool conn_ok(const struct conn *c);

#endif
