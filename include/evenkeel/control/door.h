/*
 * door - the control socket: who answers there, and its file.
 *
 * A process that takes over binds beside the file and renames over it, so that
 * verbs find somebody at every moment.  Whoever ends removes the file only
 * while it is his own.
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_DOOR_H
#define EVENKEEL_CONTROL_DOOR_H

#include <sys/types.h>

#include "evenkeel/control/httpd.h"

/* What fits an address of a unix socket, and a NUL. */
#define DOOR_PATH_BYTES 108

struct door {
	const char *path; /* these four are given */
	struct loop *loop;
	const struct httpd_ops *ops;
	void *arg;
	struct httpd *httpd;
	char at[DOOR_PATH_BYTES]; /* where its file is */
	dev_t dev;
	ino_t ino;
};

/*
 * Binds, in a file of mode 0600.  `beside`: somebody is there, whom it takes
 * over from; when the path has no room for another one beside it, his file
 * goes now.  False: `why`.
 */
bool door_open(struct door *d, bool beside, struct textbuf *why) WARN_UNUSED;

/* From now on verbs come here.  False: errno says why. */
bool door_take(struct door *d) WARN_UNUSED;

/* Whether the file at the path is its own. */
bool door_is_ours(const struct door *d);

/* Whoever was to take over is gone: takes away what he may have left beside. */
void door_sweep(const struct door *d);

/* Accepts nobody any more; who is there is served. */
void door_retire(struct door *d);

/* Ends it, and removes its file. */
void door_close(struct door *d);

#endif
