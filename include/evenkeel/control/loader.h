/*
 * loader - reads and checks a configuration, and the certificates that it
 * names, in a thread of its own, so that the control thread goes on with what
 * it has to do.
 *
 * Layer: control.  loaded_hold, loaded_release: the control thread.
 */
#ifndef EVENKEEL_CONTROL_LOADER_H
#define EVENKEEL_CONTROL_LOADER_H

#include <pthread.h>

#include "evenkeel/base/textbuf.h"
#include "evenkeel/control/secure.h"
#include "evenkeel/net/inifile.h"
#include "evenkeel/net/mailbox.h"

#define LOADER_WHY_BYTES 1024

/* A configuration that was read, with the memory it lies in.  Freed with its
 * last hold. */
struct loaded {
	const struct cfg *cfg;              /* NULL: errors */
	const struct cfg_problem *problems; /* all of the file itself */
	/* Its certificates, with problems of their own; freed with it.  NULL:
	 * not loaded. */
	struct secure *secure;
	struct inifile file;
	bool owned;    /* `file` is freed with it */
	uint32_t refs; /* of the control thread */
};

/* One hold on a configuration that somebody else frees.  NULL: no memory. */
struct loaded *loaded_of(
    const struct cfg *cfg, const struct cfg_problem *problems) WARN_UNUSED;

/* Neither the file nor its certificates have errors. */
bool loaded_is_good(const struct loaded *l);

/* Of one that is not good: appends all errors, as cfg_put_problems does. */
void loaded_put_errors(
    struct textbuf *out, const char *file, const struct loaded *l);

/* Calls `each` for all warnings. */
void loaded_each_warning(const struct loaded *l,
    void (*each)(const struct cfg_problem *p, void *arg), void *arg);

struct loaded *loaded_hold(struct loaded *l);
void loaded_release(struct loaded *l);

/* One time the file is read. */
struct loader {
	pthread_t thread;
	bool running;
	const char *path;
	struct secure_base *base;
	struct mailbox *to;
	struct mail mail; /* posted when it has ended */
	/* The result, after loader_join: NULL, and why, or a configuration (or
	 * errors, of it or its certificates) with one hold. */
	struct loaded *loaded;
	struct textbuf why;
	char why_bytes[LOADER_WHY_BYTES];
};

/*
 * Reads `path` and posts l->mail, of that kind, to `to`.  `path` must live, and
 * `base` be nobody else's, until it has ended.  False: no thread; it has not
 * begun.
 */
bool loader_start(struct loader *l, const char *path, struct secure_base *base,
    struct mailbox *to, int kind) WARN_UNUSED;

/* Waits for the end of the thread, if it runs. */
void loader_join(struct loader *l);

#endif
