/*
 * spawn - a child process, a pipe on which it reports, and its end.
 *
 * The child is another program from the first moment (posix_spawn), so nothing
 * of this process's threads and locks is ever in the way.  It inherits the
 * descriptors that are named, and standard input, output and error; all others
 * are closed in it.  Its end is seen by the end of the pipe: whoever lives
 * keeps it open, whoever closes it is ended.
 *
 * Layer: net.  The thread of the loop.
 *
 * Sources: posix_spawn(3); pipe(7).
 */
#ifndef EVENKEEL_NET_SPAWN_H
#define EVENKEEL_NET_SPAWN_H

#include <sys/types.h>

#include "evenkeel/base/check.h"
#include "evenkeel/base/textbuf.h"
#include "evenkeel/net/loop.h"

/* A line of a report; what is longer is cut. */
#define SPAWN_LINE_BYTES 4096

struct spawn_ops {
	/* A line of its report, without the '\n'. */
	void (*on_line)(struct span line, void *arg);
	/* It has ended, and is gone; `how` says in words how ("exit code 1",
	 * "signal 9").  May free the spawn. */
	void (*on_end)(struct span how, void *arg);
};

struct spawn_program {
	const char *path;
	char *const *argv;
	char *const *envp;
	const int *fds; /* that it inherits */
	size_t n_fds;
};

struct spawn;

/* Makes the pipe.  NULL: no memory or descriptors. */
struct spawn *spawn_create(
    struct loop *l, const struct spawn_ops *ops, void *arg) WARN_UNUSED;

/* The pipe's writing end, which the child has under the same number. */
int spawn_pipe(const struct spawn *s);

/* Starts the child; once.  False: `why` says why it could not be started. */
bool spawn_run(struct spawn *s, const struct spawn_program *p,
    struct textbuf *why) WARN_UNUSED;

/* 0: none runs. */
pid_t spawn_pid(const struct spawn *s);

/* Sends it a signal; nothing without a child. */
void spawn_signal(const struct spawn *s, int number);

/* The child lives on, on its own.  NULL is fine. */
void spawn_free(struct spawn *s);

#endif
