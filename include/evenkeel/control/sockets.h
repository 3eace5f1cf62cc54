/*
 * sockets - the listening sockets of one bind, inherited or made: which are
 * whose.
 *
 * A TCP bind is a group of sockets with SO_REUSEPORT, at least one a worker.
 * All that were inherited are used, for closing one would reset the connections
 * that wait in it: with fewer workers one accepts from several, with more the
 * group grows.  A unix socket, or one of systemd, cannot form a group: it is
 * one, dup'ed for each worker.
 *
 * Layer: control.  Any thread.
 */
#ifndef EVENKEEL_CONTROL_SOCKETS_H
#define EVENKEEL_CONTROL_SOCKETS_H

#include "evenkeel/net/inherit.h"
#include "evenkeel/net/listener.h"

struct sockets {
	enum inherit_kind kind;
	bool inherited;
	struct address bound;
	int *fds; /* [n]; fds[i] is for worker i % workers; for free() */
	size_t n;
	size_t n_listen; /* those behind do not listen yet: listener_start */
};

struct sockets_want {
	struct inherit *inherit; /* asked first; may be NULL */
	struct address asked;
	struct span label; /* as inherit_take has it */
	bool beside;       /* as listener_bind_beside has it */
	uint32_t workers;
};

/* False: `why` says what is wrong; nothing is left open. */
bool sockets_open(struct sockets *s, const struct sockets_want *w,
    struct textbuf *why) WARN_UNUSED;

/* Closes them. */
void sockets_close(struct sockets *s);

#endif
