/*
 * secure - the certificates and keys of a configuration, read and made ready
 * for every thread.
 *
 * Loaded with the file that names them: by the main thread at the start, by
 * the loader for a reload and by `check`, so that a pair that does not match
 * refuses a configuration as a bad line does.
 *
 * Layer: control.  One thread at a time.
 */
#ifndef EVENKEEL_CONTROL_SECURE_H
#define EVENKEEL_CONTROL_SECURE_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/config/build.h"
#include "evenkeel/net/tls_context.h"

/* What lasts from one configuration to the next: a space for each worker, and
 * one for the control thread behind them; the keys of tickets.  Made when the
 * first configuration needs it. */
struct secure_base {
	uint32_t workers;
	struct tls_space **spaces; /* [workers + 1]; NULL: not needed yet */
	struct tls_tickets *tickets;
};

void secure_base_init(struct secure_base *b, uint32_t workers);
/* After every struct secure, and the workers. */
void secure_base_free(struct secure_base *b);

/* A file that was read: which one, where it is named, and what was in it. */
struct secure_file {
	const char *section; /* "listener" or "pool" */
	const char *name;    /* of it */
	const char *key, *path;
	uint64_t digest;
};

/* A certificate that may expire (for metrics, status and warnings). */
struct secure_certificate {
	const char *section, *name, *file;
	int64_t expires_s; /* Unix time */
};

struct secure {
	size_t n_listeners, n_pools;
	uint32_t workers;
	/* [listener] as in the cfg, then [worker]; NULL: plain */
	struct tls_server ***servers;
	/* [pool] as in the cfg, then [worker] and control's; NULL: no https */
	struct tls_client ***clients;
	struct secure_certificate *certificates;
	size_t n_certificates;
	struct secure_file *files;
	size_t n_files;
	/* All that is wrong, or what is odd when nothing is wrong: as those of
	 * the file itself. */
	struct cfg_problem *problems;
	bool failed; /* errors are among them: nothing of it is to be used */
};

/*
 * Loads what `cfg` names; `cfg` must live as long as the result.  All sections
 * are looked at, also when one has failed.  A configuration without TLS makes
 * an empty one.  NULL: no memory.
 */
struct secure *
secure_load(struct secure_base *b, const struct cfg *cfg) WARN_UNUSED;

void secure_free(struct secure *s); /* NULL is allowed */

/* Whether a file that both name, at the same place, has other content now.
 * Each may be NULL. */
bool secure_changed(const struct secure *old, const struct secure *new);

/* Appends a line for each such file: "listener main: tls_certificate /x.pem
 * has new content". */
void secure_put_changes(
    struct textbuf *out, const struct secure *old, const struct secure *new);

/* When the first certificate of a listener expires, in Unix seconds; 0: it is
 * not known, or the listener is plain. */
int64_t secure_next_expiry(const struct secure *s, const char *listener);

#endif
