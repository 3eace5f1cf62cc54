/*
 * queue - requests that wait for a backend to become usable.
 *
 * Each worker has a queue per pool, oldest first, and the pool one count of
 * all that wait.  Whoever frees something while the count is not 0 wakes the
 * worker with the oldest; nobody is polled for.
 *
 * No wake-up is lost: a request is counted before it looks once more for a
 * backend, and a slot is freed before the count is read, both sequentially
 * consistent, so one of the two sees the other.
 *
 * A retry is held when a backend has asked it to come later (Retry-After): it
 * waits for another one, or for that time, and those behind it may pass.
 *
 * When a backend comes back, each worker is told that there are new rotations
 * and looks at its own queues: who joins later sees the new ones himself.
 *
 * Layer: proxy.  Queues: their worker.  queue_wake: any worker.
 */
#ifndef EVENKEEL_PROXY_QUEUE_H
#define EVENKEEL_PROXY_QUEUE_H

#include "evenkeel/proxy/exchange.h"

/* Before the first request of `u`: whose each of its lanes is. */
void queue_adopt(struct upstream *u, struct worker *const *workers);

/* Puts `x` at the end of its queue, or back at the head when it was woken in
 * vain.  False: the pool's queue_size is reached. */
bool queue_join(struct exchange *x) WARN_UNUSED;

/* Takes `x` out, for good.  Harmless when it is in none. */
void queue_leave(struct exchange *x);

/* The time has come that `x` was held for. */
void queue_look_again(struct exchange *x);

/* Whether others of the pool wait already, so that `x` must not pass them. */
bool queue_before(const struct exchange *x);

/* Something of the pool may have become usable. */
void queue_wake(struct worker *w, struct upstream *u);

/* In the woken worker: starts as many of its waiting as find a backend. */
void queue_run(struct worker *w, struct upstream *u);

/* In a worker that is told of new rotations: the same for all pools. */
void queue_run_all(struct worker *w);

#endif
