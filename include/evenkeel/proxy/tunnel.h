/*
 * tunnel - after a 101: bytes go both ways as they are.
 *
 * Opened only by a 101 that was asked for, never before it.  Each side may end
 * its direction for itself (half-close); the tunnel is over when both have, or
 * when nothing has moved for stream_timeout.
 *
 * Layer: proxy.  One worker.  Part of the exchange, which owns all state.
 *
 * Sources: RFC 9110 7.8 (Upgrade), 15.2.2 (101); RFC 6455 1.3, 4.2.2.
 */
#ifndef EVENKEEL_PROXY_TUNNEL_H
#define EVENKEEL_PROXY_TUNNEL_H

#include "evenkeel/proxy/exchange.h"

/* Each returns true when `in` has an event for the flow. */

/* Passes the 101 on and begins. */
bool tunnel_open(struct exchange *x, struct flow_input *in) WARN_UNUSED;

/* Moves what can be moved, both ways. */
bool tunnel_run(struct exchange *x, struct flow_input *in) WARN_UNUSED;

#endif
