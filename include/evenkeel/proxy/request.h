/*
 * request - the way of a request: from the client's bytes to the backend.
 *
 * Reads and judges the head, finds the pool, sends the head as it goes out,
 * and pumps the body behind it.  What it finds is handed back as an event for
 * policy/flow.
 *
 * Layer: proxy.  One worker.  Part of the exchange, which owns all state.
 *
 * Sources: RFC 9110 7 (routing), 9.2.2 (idempotent methods), 10.1.1 (Expect);
 * RFC 9112 2, 3, 6.
 */
#ifndef EVENKEEL_PROXY_REQUEST_H
#define EVENKEEL_PROXY_REQUEST_H

#include "evenkeel/proxy/exchange.h"

/* Each returns true when `in` has an event for the flow. */

/* Reads on in the head; when it is complete, frames and routes it.  A client
 * that ends before the first byte of a request ends the exchange without a
 * trace: the state is then FLOW_DONE. */
bool request_read_head(struct exchange *x, struct flow_input *in) WARN_UNUSED;

/* Sends the head over the attempt's connection, and what there is of the
 * body. */
bool request_send(struct exchange *x, struct flow_input *in) WARN_UNUSED;

/* Appends the PROXY header that a new connection to the backend begins with. */
void request_put_proxy(const struct exchange *x, struct textbuf *out);

/* Moves more of the body; `scratch` is empty worker scratch. */
bool request_pump(struct exchange *x, struct textbuf *scratch,
    struct flow_input *in) WARN_UNUSED;

/* The client waits for a 100 from the backend before it sends its body. */
bool request_awaits_continue(const struct exchange *x);

/* Where the head lies, once it is complete; offsets count from here. */
const char *request_base(const struct exchange *x);

/* Reads on in a body that nobody wants any more. */
void request_discard(struct exchange *x);

/* The place on the ring of what `hash_on` looks at; a key that is not there is
 * the empty one. */
uint64_t request_hash(const struct exchange *x);

/* Safe to be sent twice: by its method (RFC 9110 9.2.2), or because the client
 * says so with an Idempotency-Key. */
bool request_idempotent(const struct exchange *x);

/* The same, or the pool has retry_non_idempotent. */
bool request_repeatable(const struct exchange *x);

#endif
