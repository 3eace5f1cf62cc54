/*
 * retrier - what the exchange needs around a failed attempt: the facts for the
 * verdict, the pool's budget, the mark against the backend, and a request that
 * is ready to be sent again.
 *
 * Whether there is a retry is decided by policy/flow and policy/retry.
 *
 * Layer: proxy.  One worker; the budget and the failures in a row are shared
 * atomics that only a failure writes.
 *
 * Sources: RFC 9110 10.2.3 (Retry-After).
 */
#ifndef EVENKEEL_PROXY_RETRIER_H
#define EVENKEEL_PROXY_RETRIER_H

#include "evenkeel/proxy/exchange.h"

/* The facts of the attempt under way, which has failed; they live until the
 * next call for this exchange. */
const struct retry_facts *retrier_facts(struct exchange *x);

/* All that was sent of the request is still here. */
bool retrier_replayable(const struct exchange *x);

/* Takes a retry out of the pool's budget.  False: none is left. */
bool retrier_draw(struct exchange *x) WARN_UNUSED;

/* Counts a verdict: a retry with its cause and wait, or why there is none. */
void retrier_count(struct exchange *x, const struct flow_orders *o);

/* Marks how an attempt on its backend has ended, for passive ejection; while
 * the attempt still stands. */
void retrier_mark(struct exchange *x, enum access_outcome outcome);

/* Puts the request back to where it was before it was sent. */
void retrier_rewind(struct exchange *x);

#endif
