/*
 * names - the host names and SRV records that backends stand under, and the
 * addresses they were last known to have.
 *
 * A name is looked up when a configuration with it comes, and again every
 * `resolve`; one that fails keeps its last addresses and is tried again with
 * backoff.  An answer is taken whole: a failing, empty or incomplete one never
 * takes an address away.  The same name with the same port is one entry,
 * however many pools have it, with the shortest `resolve` among them.
 *
 * A new configuration goes through three steps, as in control/reload: prepare
 * looks up what is not known yet, while the names in force stay as they are;
 * then commit or rollback.
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_NAMES_H
#define EVENKEEL_CONTROL_NAMES_H

#include "evenkeel/config/config.h"
#include "evenkeel/control/names_found.h"
#include "evenkeel/net/log.h"
#include "evenkeel/net/loop.h"
#include "evenkeel/net/resolver.h"

/* Between attempts to look up a name that fails: from the first to the
 * longest, unless `resolve` is shorter. */
#define NAMES_RETRY_MS     1000
#define NAMES_RETRY_CAP_MS 30000
/* Between warnings about one name. */
#define NAMES_TELL_MS 60000
/* Changes that come together are told of together. */
#define NAMES_GATHER_MS 10

struct names_ops {
	/* What is known of a name in force has changed: build backends anew.
	 * Once for all changes of NAMES_GATHER_MS. */
	void (*on_change)(void *arg);
	/* names_settled has become true, in an earlier turn than this. */
	void (*on_settled)(void *arg);
};

/* Who looks names up, as in net/resolver. */
struct names_source {
	struct resolver_query *(*ask)(struct resolver *resolver,
	    enum lookup_kind kind, const char *name, uint16_t port,
	    resolver_on_answer *on_answer, void *arg);
	void (*abandon)(struct resolver *resolver, struct resolver_query *q);
	struct resolver *resolver; /* what both are given */
};

struct names;

/* NULL: no memory or descriptors. */
struct names *names_create(struct loop *l, struct log_ring *log,
    const struct names_ops *ops, void *arg) WARN_UNUSED;

/* The same with another source, for tests. */
struct names *names_create_with(struct loop *l, struct log_ring *log,
    const struct names_source *source, const struct names_ops *ops,
    void *arg) WARN_UNUSED;

void names_free(struct names *n);

/*
 * A new configuration is coming: begins to look up its names that are not known
 * yet.  `cfg` must live until commit or rollback.  False: no memory, nothing
 * has changed.  One that was prepared before and not committed is rolled back.
 */
bool names_prepare(struct names *n, const struct cfg *cfg) WARN_UNUSED;

/* Each name of the last names_prepare has had an answer, good or bad. */
bool names_settled(const struct names *n);

/*
 * The prepared configuration is in force, and must live until the next commit:
 * names that only an older one had are dropped.  Addresses that became known
 * since names_known was asked for them are told of by on_change.  Cannot fail.
 */
void names_commit(struct names *n, const struct cfg *cfg);
void names_rollback(struct names *n);

/*
 * The addresses of a backend by name, in a stable order, each once; 0: none is
 * known yet.  They are good until the next turn of the loop, or the next call
 * here that is not names_known.
 */
size_t names_known(const struct names *n, const struct cfg_backend *b,
    const struct names_found **found);

#endif
