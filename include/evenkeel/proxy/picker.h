/*
 * picker - which backend a request goes to.
 *
 * Looks at the pool's order of turns by its `balance`, takes the first backend
 * that is usable and that the request has not tried yet, and leases one of its
 * idle connections or reserves a place for a new one in the same step.  Backups
 * are looked at only when nothing else is usable; when the request has tried
 * them all, any usable one will do whose last answer did not ask to be left
 * alone (Retry-After).
 *
 * A backend with `max` has that many slots, one for each of its connections,
 * idle ones included.  Where another worker's idle connection holds the last
 * slot, that worker is asked to close it, and the request waits.
 *
 * Layer: proxy.  Any worker; what is shared are atomic counters.
 *
 * Sources: Mitzenmacher, "The Power of Two Choices in Randomized Load
 * Balancing", 2001.
 */
#ifndef EVENKEEL_PROXY_PICKER_H
#define EVENKEEL_PROXY_PICKER_H

#include "evenkeel/proxy/exchange.h"

enum picker_result {
	PICKER_NONE,   /* nothing is usable now */
	PICKER_LEASED, /* x->picked, and x->attempt has a connection */
	PICKER_CONNECT /* x->picked, and a place for a new connection */
};

/* For a request whose attempt is initialised and not begun. */
enum picker_result picker_pick(struct exchange *x) WARN_UNUSED;

/* Whether a backend that the request has not tried could take it now; the one
 * that is picked counts as tried. */
bool picker_has_other(const struct exchange *x);

/* The backend that is picked again, over a new connection: false when its last
 * slot went to somebody else. */
bool picker_again(struct exchange *x) WARN_UNUSED;

/* The attempt is no longer in flight on its backend. */
void picker_done(struct attempt *a);

/* Its pool may compare what is in flight from now on: then the attempt counts,
 * too. */
void picker_recount(struct attempt *a);

/* A lower `max` has come: there are more connections than it allows. */
bool picker_over_max(const struct backend *b);

/* A connection to `b` has ended, or was not made. */
void picker_slot_freed(struct worker *w, struct backend *b);

#endif
