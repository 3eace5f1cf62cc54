/*
 * deadline - every wait of an exchange, in one place and one timer.
 *
 * Which limit holds follows from the state of the exchange and from whom it
 * waits for; nothing else has a timer.
 *
 *	state       waits for          limit                       event
 *	START       a request          idle_timeout                (no record)
 *	START       the request head   header_timeout, in total    CLIENT_SLOW
 *	WAITING     a backend          queue_timeout               QUEUE_TIMEOUT
 *	BACKING_OFF (its own alarm)
 *	CONNECTING  the backend        connect_timeout             FAILED
 *	AWAITING    more of the body   body_timeout, a gap         CLIENT_SLOW
 *	AWAITING    client to take 1xx send_timeout, a gap         CLIENT_SLOW
 *	AWAITING    backend to read    response_timeout, a gap     FAILED
 *	AWAITING    the final head     response_timeout, in total  FAILED
 *	RELAYING    the backend        stream_timeout, a gap       STALLED
 *	RELAYING    the client         send_timeout, a gap         CLIENT_SLOW
 *	TUNNELLING  either side        stream_timeout, a gap       STALLED
 *	REPLYING    the client         send_timeout, a gap         CLIENT_SLOW
 *
 * (While a client waits for a 100 the backend is waited for, not the body.)
 *
 * and request_timeout over WAITING, BACKING_OFF, CONNECTING and AWAITING, and
 * attempt_timeout over CONNECTING and AWAITING; their clocks stand still while
 * the client is still sending its body.
 *
 * Layer: proxy.  One worker.
 */
#ifndef EVENKEEL_PROXY_DEADLINE_H
#define EVENKEEL_PROXY_DEADLINE_H

#include "evenkeel/proxy/exchange.h"

/* Whatever was done is over: arms the exchange's timer for what it waits for
 * now. */
void deadline_arm(struct exchange *x);

/* The same after something came or went on a connection: whether a gap begins
 * anew.  Only what the awaited side did since the timer was armed counts, or
 * that it is another's turn. */
void deadline_progress(struct exchange *x);

/* What has run out by `now_ms`: true and the event for the flow, or false when
 * nothing has (the timer is then armed anew). */
bool deadline_expired(
    struct exchange *x, uint64_t now_ms, struct flow_input *in) WARN_UNUSED;

/* The client has begun, or has ended, sending a body: stops and starts the
 * clock of request_timeout. */
void deadline_upload_begins(struct exchange *x);
void deadline_upload_ends(struct exchange *x);

#endif
