/*
 * diff - what changes from one configuration to another, in plain words.
 *
 * For the log and for `evenkeel reload`: one line for each section that is
 * added, removed or changed, and one when routes are tried in another order.
 * It goes over the option table and compares what `evenkeel config` would
 * print, so it sees every option there is; only elements of lists are looked
 * for by name (backends by their addresses).
 *
 *     global: workers auto -> 4 (needs a restart), log_level info -> debug
 *     admin: listen 127.0.0.1:9180 -> 127.0.0.1:9181
 *     listener main: bind + 127.0.0.1:8081, - 127.0.0.1:8082
 *     route api: added
 *     routes: order a, b -> b, a
 *     pool web: + 10.0.0.4:8080, - 10.0.0.2:8080 (draining, 3 in flight),
 *       10.0.0.1:8080 weight 1 -> 3 and max (no limit) -> 20, keepalive 64 -> 8
 *     pool old: removed (2 in flight)
 *     nothing has changed
 *
 * (The line of pool web is one.)  Of more than DIFF_LISTED_MAX names in a row
 * the rest is counted: ", and 9980 more".
 *
 * Layer: config.  Pure: work memory comes from an arena, a few hundred bytes
 * for each section and each element of a list that differs.
 */
#ifndef EVENKEEL_CONFIG_DIFF_H
#define EVENKEEL_CONFIG_DIFF_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/config/arena.h"
#include "evenkeel/config/config.h"

/* Names in a row that are listed. */
#define DIFF_LISTED_MAX 20

/* What only the running process knows. */
struct diff_ops {
	/* Requests in flight at a backend of the old configuration. */
	uint64_t (*in_flight)(
	    const char *pool, const struct cfg_backend *b, void *arg);
};

struct diff {
	const struct cfg *old, *new;
	struct arena *work;         /* what is taken can be freed afterwards */
	const struct diff_ops *ops; /* may be NULL, as may its members: then
				       nothing is said about it */
	void *arg;                  /* of the ops */
};

/* Appends the lines, each with its '\n'.  False: no memory (work->failed), and
 * the text is incomplete.  As ever, out->full says that it did not fit. */
bool diff_put(struct textbuf *out, const struct diff *d) WARN_UNUSED;

/* Whether diff_put would say anything but that nothing has changed.  The ops
 * are not called.  True when there is no memory to know. */
bool diff_any(const struct diff *d) WARN_UNUSED;

/* Appends the names of the keys that differ and need a restart: "workers,
 * control".  Returns how many there are.  Cannot fail. */
size_t diff_put_restarts(
    struct textbuf *out, const struct cfg *old, const struct cfg *new);

#endif
