/*
 * loader - reads and checks a configuration in a thread of its own, so that the
 * control thread goes on with what it has to do.
 *
 * Layer: control.  loaded_hold, loaded_release: the control thread.
 */
#ifndef EVENKEEL_CONTROL_LOADER_H
#define EVENKEEL_CONTROL_LOADER_H

#include <pthread.h>

#include "evenkeel/base/textbuf.h"
#include "evenkeel/net/inifile.h"
#include "evenkeel/net/mailbox.h"

#define LOADER_WHY_BYTES 1024

/* A configuration that was read, with the memory it lies in.  Freed with its
 * last hold. */
struct loaded {
	const struct cfg *cfg;              /* NULL: errors */
	const struct cfg_problem *problems; /* all */
	struct inifile file;
	bool owned;    /* `file` is freed with it */
	uint32_t refs; /* of the control thread */
};

/* One hold on a configuration that somebody else frees.  NULL: no memory. */
struct loaded *loaded_of(
    const struct cfg *cfg, const struct cfg_problem *problems) WARN_UNUSED;

struct loaded *loaded_hold(struct loaded *l);
void loaded_release(struct loaded *l);

/* One time the file is read. */
struct loader {
	pthread_t thread;
	bool running;
	const char *path;
	struct mailbox *to;
	struct mail mail; /* posted when it has ended */
	/* The result, after loader_join: NULL, and why, or a configuration (or
	 * its errors) with one hold. */
	struct loaded *loaded;
	struct textbuf why;
	char why_bytes[LOADER_WHY_BYTES];
};

/*
 * Reads `path` (which must live until it has ended) and posts l->mail, of that
 * kind, to `to`.  False: no thread; it has not begun.
 */
bool loader_start(struct loader *l, const char *path, struct mailbox *to,
    int kind) WARN_UNUSED;

/* Waits for the end of the thread, if it runs. */
void loader_join(struct loader *l);

#endif
