/*
 * resolver - looks names up without keeping a loop waiting.
 *
 * A look-up blocks in the C library for as long as resolv.conf says, so a few
 * helper threads do it, made when they are first needed; answers come by mail.
 * A helper that hangs in a look-up when the resolver ends is left behind: it
 * lets go of everything when its call returns.
 *
 * Layer: net.  The thread of the loop.
 */
#ifndef EVENKEEL_NET_RESOLVER_H
#define EVENKEEL_NET_RESOLVER_H

#include "evenkeel/net/lookup.h"
#include "evenkeel/net/loop.h"

/* Look-ups at a time; the others wait for their turn. */
#define RESOLVER_THREADS 4

struct resolver;
struct resolver_query;

/* The answer; `r` is good until it returns, and so is the query: it must not
 * be abandoned any more. */
typedef void resolver_on_answer(const struct lookup_result *r, void *arg);

/* NULL: no memory or descriptors. */
struct resolver *resolver_create(struct loop *l) WARN_UNUSED;

/* No query is answered any more. */
void resolver_free(struct resolver *r);

/*
 * Has a name looked up, as lookup() does; `on_answer` is called once, in a
 * later turn, unless the query is abandoned.  NULL: no memory, or no thread.
 */
struct resolver_query *
resolver_ask(struct resolver *r, enum lookup_kind kind, const char *name,
    uint16_t port, resolver_on_answer *on_answer, void *arg) WARN_UNUSED;

/* Forgets a query that has not been answered. */
void resolver_abandon(struct resolver *r, struct resolver_query *q);

#endif
