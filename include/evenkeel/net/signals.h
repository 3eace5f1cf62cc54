/*
 * signals - signals as events of one loop.
 *
 * Layer: net.  signals_block: before any thread is started, so that only the
 * control thread ever gets one.
 */
#ifndef EVENKEEL_NET_SIGNALS_H
#define EVENKEEL_NET_SIGNALS_H

#include "evenkeel/net/loop.h"

/* Ignores SIGPIPE, and blocks the signals that are watched in this thread and
 * those it starts; signals_allow undoes that for the calling thread. */
void signals_block(void);
void signals_allow(void);

struct signal_watch;

/* Calls `on_signal` in the loop's thread.  NULL: no memory. */
struct signal_watch *signal_watch_create(struct loop *l, int number,
    void (*on_signal)(int number, void *arg), void *arg) WARN_UNUSED;
void signal_watch_free(struct signal_watch *s);

#endif
