/*
 * upgrade - a new process of the program, as the file is now, takes over.
 *
 * It gets the listening sockets and starts with the same words as this one,
 * beside it; both accept until it has said that it serves.  Then this process
 * is to drain and end.  If nothing comes of it, by an error, its end or its
 * silence, it is ended and this process goes on as if nothing had been.
 *
 * One upgrade at a time; what becomes of it is in the log.
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_UPGRADE_H
#define EVENKEEL_CONTROL_UPGRADE_H

#include "evenkeel/net/inherit.h"
#include "evenkeel/net/log.h"
#include "evenkeel/net/loop.h"

/* A process that has not said by then that it serves is ended. */
#define UPGRADE_LIMIT_MS   60000
#define UPGRADE_PATH_BYTES 4096

/* What this process was started as. */
struct upgrade_program {
	char *const *argv;
	char path[UPGRADE_PATH_BYTES]; /* absolute; empty: nobody knows */
};

enum upgrade_state {
	UPGRADE_IDLE,
	UPGRADE_STARTING, /* the other process does not serve yet */
	UPGRADE_DONE      /* it does, and this one is to end */
};

struct upgrade_ops {
	/* The process `pid` serves. */
	void (*on_done)(pid_t pid, struct span words, void *arg);
	/* Nothing has come of it; the log has the reason. */
	void (*on_failed)(void *arg);
};

/* Finds the file that an upgrade starts: argv[0] when it is a path, links in it
 * left alone, so that a link may be pointed to another version; else the file
 * that runs.  At the start, in the first working directory.  Cannot fail. */
void upgrade_find_program(struct upgrade_program *p, char *const *argv);

struct upgrade;

/* NULL: no memory.  `p` stays the caller's and must live as long. */
struct upgrade *upgrade_create(struct loop *l, struct log_ring *log,
    const struct upgrade_program *p, const struct upgrade_ops *ops,
    void *arg) WARN_UNUSED;

/* Another time than UPGRADE_LIMIT_MS; for tests. */
void upgrade_set_limit(struct upgrade *u, uint32_t limit_ms);

/* While UPGRADE_IDLE: starts the process, which inherits `list` and is told
 * `more` (inherit.more); the sockets stay this one's, too.  If it cannot be
 * started it is still UPGRADE_IDLE, and the log says why. */
void upgrade_start(struct upgrade *u, const struct inherit_socket *list,
    size_t n, struct span more);

enum upgrade_state upgrade_state(const struct upgrade *u);

/* This process stops: one that starts stops with it. */
void upgrade_cancel(struct upgrade *u);

/* One that still starts is ended; one that serves lives on.  NULL is fine. */
void upgrade_free(struct upgrade *u);

#endif
