/*
 * thread - a thread beside the one that handles signals.
 *
 * Layer: net.  Any thread.
 */
#ifndef EVENKEEL_NET_THREAD_H
#define EVENKEEL_NET_THREAD_H

#include <pthread.h>

#include "evenkeel/base/check.h"

/* Starts a thread that gets no signal, whatever the caller's mask is: one that
 * did would end the process once the events of net/signals are gone, and
 * SIGPIPE stays pending where write(2) says EPIPE.  `to` NULL: detached.
 * False: errno says why, EAGAIN most of all. */
bool
thread_start(pthread_t *to, void *(*run)(void *arg), void *arg) WARN_UNUSED;

#endif
