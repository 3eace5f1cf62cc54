/*
 * record - what is left of a request: its counts and its line in the log.
 *
 * Layer: proxy.  One worker.
 */
#ifndef EVENKEEL_PROXY_RECORD_H
#define EVENKEEL_PROXY_RECORD_H

#include "evenkeel/proxy/exchange.h"

/* Notes how the attempt under way has ended, and counts it. */
void record_attempt(struct exchange *x, enum access_outcome outcome);

/* Counts the request and writes its access record; once for each. */
void record_request(struct exchange *x);

/* Bytes of the client's connection that belong to requests up to here. */
uint64_t record_bytes_in(const struct conn *front);

#endif
