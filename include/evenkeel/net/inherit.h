/*
 * inherit - listening sockets that somebody hands over at the start: systemd
 * (socket activation), or the evenkeel that this one takes over from (a binary
 * upgrade).
 *
 * Both pass open descriptors and say in the environment which: systemd by
 * LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES, evenkeel by EVENKEEL_UPGRADE,
 * whose first line is "PID READY_FD" and each other one "FD KIND LABEL", until
 * a line "more", behind which are words of the giver's own.
 * Whoever binds asks here first, by address.  A port that the kernel chose is
 * found by its label, which the giver has made.
 *
 * READY_FD is the writing end of a pipe: "ready WORDS" goes there, or
 * "failed WORDS".  It stays open as long as the process lives, so the giver
 * sees its end.
 *
 * Layer: net.  The main thread.
 *
 * Sources: sd_listen_fds(3), "Notes": the protocol is stable and may be
 * implemented without libsystemd; systemd.socket(5); socket(7).
 */
#ifndef EVENKEEL_NET_INHERIT_H
#define EVENKEEL_NET_INHERIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "evenkeel/base/check.h"
#include "evenkeel/base/textbuf.h"
#include "evenkeel/net/address.h"
#include "evenkeel/net/log.h"

/* Where systemd's descriptors begin. */
#define INHERIT_FIRST_FD 3
/* Sockets that are taken over at most. */
#define INHERIT_MAX 16384

enum inherit_kind {
	INHERIT_GROUP, /* one of a group with SO_REUSEPORT, evenkeel's own */
	INHERIT_ALONE, /* a unix socket whose file is evenkeel's to remove */
	INHERIT_GIVEN, /* systemd's: alone, and its file is systemd's */
	INHERIT_KINDS
};

struct inherit_socket {
	int fd;
	enum inherit_kind kind;
	struct address bound;
	struct span label; /* no '\n' in it */
};

struct inherit {
	struct inherit_socket *list; /* those that nobody took yet */
	size_t n;
	char *text;       /* what labels point into */
	struct span more; /* what else the giver says; lives as long */
	pid_t old_pid;    /* who hands over; 0: systemd, or nobody */
	int ready_fd;     /* -1: nobody waits */
};

/*
 * Reads and clears the environment; every descriptor is then non-blocking and
 * closed by an exec.  False: `why` says what is wrong with what was handed
 * over, and the start must end; inherit_close is due in any case.
 */
bool inherit_read(struct inherit *in, struct textbuf *why) WARN_UNUSED;

/*
 * Takes the sockets for a bind: those at the address `asked`, or, when its port
 * is 0, those of `label` and one port.  A socket of systemd at [::] that is
 * for IPv4, too, serves 0.0.0.0 when nobody took it yet.  All have the same
 * `*bound` and `*kind`.  Returns how many; with more than `max` the others
 * stay.  0: there is none.
 */
size_t inherit_take(struct inherit *in, const struct address *asked,
    struct span label, struct inherit_socket *taken, size_t max);

/* Closes what nobody took, and says so in the log.  The file of a unix socket
 * that was evenkeel's is removed. */
void inherit_drop_rest(struct inherit *in, struct log_ring *log);

/* Tells who hands over: it serves; `words` is one line, such as the version.
 * False: errno says why, EPIPE that he is gone. */
bool inherit_tell_ready(struct inherit *in, struct span words) WARN_UNUSED;

/* Tells who hands over why this process ends.  Cannot fail. */
void inherit_tell_failed(struct inherit *in, struct span why);

/* Closes everything that is here yet, but the pipe: who hands over takes its
 * end for that of this process. */
void inherit_close(struct inherit *in);

/* ---- the giver's side ---- */

/*
 * This process's environment with EVENKEEL_UPGRADE for a child that inherits
 * `list` and `ready_fd`, and is told `more`, without a NUL.  NULL: no memory.
 * For free(); it points into the present environment.
 */
char **inherit_environment(const struct inherit_socket *list, size_t n,
    int ready_fd, struct span more) WARN_UNUSED;

#endif
