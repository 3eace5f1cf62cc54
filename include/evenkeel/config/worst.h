/*
 * worst - how long and how often at most, by a pool's options.
 *
 * Layer: config.  Pure.
 */
#ifndef EVENKEEL_CONFIG_WORST_H
#define EVENKEEL_CONFIG_WORST_H

#include <stdbool.h>
#include <stdint.h>

#include "evenkeel/config/config.h"

/* A kept connection that ends later than this was not stale. */
#define WORST_STALE_MS 1000U

/* Each takes the options of a pool in their ranges.  Cannot fail. */

/* One attempt: connecting and waiting for the head of the response. */
uint64_t worst_attempt_ms(const struct cfg_pool *p);
/* The waits before all retries together, by their ceilings. */
uint64_t worst_waits_ms(const struct cfg_pool *p);
/* In the queue: before each attempt, and before the fresh connection that
 * replaces a stale one. */
uint64_t worst_queue_ms(const struct cfg_pool *p);
/* From its arrival to an answer, if request_timeout were not: the queue, all
 * attempts and waits, and a connection that was stale. */
uint64_t worst_request_ms(const struct cfg_pool *p);
/* Until active checks have taken out a backend that died just after a good
 * one, and until they have brought back one that came to life just after a bad
 * one. */
uint64_t worst_down_ms(const struct cfg_pool *p);
uint64_t worst_up_ms(const struct cfg_pool *p);
/* How many backends real requests can take out at a time; 0: none. */
uint32_t worst_ejected(const struct cfg_pool *p);

/* Requests, and attempts to connect, that reach all backends together, in
 * percent of the requests of clients, while every backend fails. */
uint32_t worst_requests_pct(const struct cfg_pool *p);
uint32_t worst_connects_pct(const struct cfg_pool *p);
/* Whether retry_budget_min comes on top of it. */
bool worst_has_floor(const struct cfg_pool *p);

#endif
