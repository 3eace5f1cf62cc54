/*
 * response - the way back: from the backend's bytes, or from evenkeel itself,
 * to the client.
 *
 * Reads the heads that answer (1xx are passed on at once), commits by sending
 * the final head, pumps the body behind it; or writes an answer of our own.
 *
 * Layer: proxy.  One worker.  Part of the exchange, which owns all state.
 *
 * Sources: RFC 9110 15.2 (informational), 8.6; RFC 9112 6.3, 7, 9.
 */
#ifndef EVENKEEL_PROXY_RESPONSE_H
#define EVENKEEL_PROXY_RESPONSE_H

#include "evenkeel/proxy/exchange.h"

/* Each returns true when `in` has an event for the flow. */

/* Reads on until the final head is there. */
bool response_read(struct exchange *x, struct flow_input *in) WARN_UNUSED;

/* Sends the final head and what there is of the body: from here on nothing
 * can be taken back. */
bool response_commit(struct exchange *x, struct flow_input *in) WARN_UNUSED;

/* Moves more of the body; `scratch` is empty worker scratch. */
bool response_pump(struct exchange *x, struct textbuf *scratch,
    struct flow_input *in) WARN_UNUSED;

/* Answers with `status` ourselves. */
bool response_reply(
    struct exchange *x, unsigned status, struct flow_input *in) WARN_UNUSED;

/* Sends what is left of an answer of our own. */
bool response_flush(struct exchange *x, struct flow_input *in) WARN_UNUSED;

#endif
