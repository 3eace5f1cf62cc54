/*
 * mailbox - messages to a thread that runs a loop, from any other.
 *
 * A lock-free stack that the owner empties whole, and an eventfd that wakes
 * it.  No thread ever touches another's event base.
 *
 * Layer: net.  mailbox_post: any thread.  The rest: the owner's.
 *
 * Sources: Treiber, "Systems Programming: Coping with Parallelism", 1986 (the
 * stack; taken whole, so the ABA problem does not arise).
 */
#ifndef EVENKEEL_NET_MAILBOX_H
#define EVENKEEL_NET_MAILBOX_H

#include "evenkeel/base/check.h"
#include "evenkeel/net/loop.h"

struct mail {
	struct mail *next;
	int kind;
	void *body;
};

struct mailbox;

/* Calls `on_mail` in the loop's thread, oldest first; the receiver owns `m`
 * then.  NULL: no memory or descriptors. */
struct mailbox *mailbox_create(struct loop *l,
    void (*on_mail)(struct mail *m, void *arg), void *arg) WARN_UNUSED;

/* Any thread: hands `m` over.  Cannot fail. */
void mailbox_post(struct mailbox *b, struct mail *m);

/* The owner's thread, when no one posts any more; undelivered mail is
 * delivered first. */
void mailbox_free(struct mailbox *b);

#endif
