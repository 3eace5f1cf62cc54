/*
 * flow - what happens next to a request: the decision table.
 *
 * (state, event) -> (state, orders).  Everything that decides about attempts,
 * commits and ends is a row here; the exchange reports what happened and
 * carries the orders out, and has no opinion of its own.
 *
 * Properties, tested exhaustively in test/unit/test_flow.c:
 *  - attempts never exceed 1 + retry_attempts, and a stale connection is
 *    replaced at most once besides;
 *  - nothing is sent again after the commit;
 *  - a request that is not safe to repeat is sent to a backend's application
 *    at most once;
 *  - every path ends in exactly one FINISH, and no event is lost on the way.
 *
 * Layer: policy.  Pure.
 *
 * Sources: RFC 9110 9.2.2 (idempotent methods), 15.6 (502, 503, 504); RFC 9112
 * 9.3.1 (retrying requests), 8 (incomplete messages).
 */
#ifndef EVENKEEL_POLICY_FLOW_H
#define EVENKEEL_POLICY_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "evenkeel/policy/retry.h"

enum flow_state {
	FLOW_START,       /* the head is parsed; nothing is decided */
	FLOW_PICKING,     /* a backend is wanted */
	FLOW_WAITING,     /* none is usable: in the queue */
	FLOW_CONNECTING,  /* the connection to the backend is being made */
	FLOW_AWAITING,    /* the request is being sent; no final head yet */
	FLOW_JUDGING,     /* the attempt has failed; the budget is asked */
	FLOW_BACKING_OFF, /* waits before it tries again */
	FLOW_RELAYING,    /* committed: the response goes to the client */
	FLOW_TUNNELLING,  /* committed to a 101: bytes go both ways */
	FLOW_REPLYING,    /* an answer made here goes to the client */
	FLOW_DONE,
	FLOW_STATES
};

enum flow_event {
	FLOW_EV_ROUTED,      /* a pool takes the request */
	FLOW_EV_NO_ROUTE,    /* none does */
	FLOW_EV_REDIRECTED,  /* none is asked: `status` says where to go */
	FLOW_EV_PICKED,      /* a backend, no connection yet */
	FLOW_EV_LEASED,      /* a backend with an idle connection */
	FLOW_EV_NONE_USABLE, /* no backend to be had */
	FLOW_EV_WOKEN,       /* a backend may have become usable */
	FLOW_EV_QUEUE_FULL,  /* no place in the queue */
	FLOW_EV_QUEUE_TIMEOUT,
	FLOW_EV_CONNECTED,
	FLOW_EV_FAILED,      /* the attempt; `outcome` says how */
	FLOW_EV_HEAD,        /* a final response head */
	FLOW_EV_BAD_HEAD,    /* ...with a status of retry_on */
	FLOW_EV_GRANTED,     /* the budget has room for a retry */
	FLOW_EV_DENIED,      /* it has not */
	FLOW_EV_WAITED,      /* the wait before a retry is over */
	FLOW_EV_SWITCHED,    /* a 101 that was asked for */
	FLOW_EV_RELAYED,     /* the whole response is with the client */
	FLOW_EV_BROKE_OFF,   /* the backend ended inside the response */
	FLOW_EV_STALLED,     /* the backend sends nothing for stream_timeout */
	FLOW_EV_CLIENT_BAD,  /* the request is malformed or too large; `status`
			      */
	FLOW_EV_CLIENT_SLOW, /* the request stalls, or the client reads nothing
			      */
	FLOW_EV_CLIENT_GONE,
	FLOW_EV_DEADLINE, /* request_timeout */
	FLOW_EV_SHUTDOWN, /* no time is left */
	FLOW_EV_NO_MEMORY,
	FLOW_EV_REPLIED, /* our own answer is with the client */
	FLOW_EVENTS
};

/* Orders are carried out in this order of bits. */
enum flow_order {
	FLOW_ASK = 1 << 0,           /* may the pool's budget be drawn on? */
	FLOW_REPORT = 1 << 1,        /* the attempt is over: `outcome` */
	FLOW_WAIT = 1 << 2,          /* `wait_ms` before the next attempt */
	FLOW_PICK = 1 << 3,          /* choose a backend */
	FLOW_PICK_FRESH = 1 << 4,    /* the same again, for a new connection */
	FLOW_QUEUE = 1 << 5,         /* wait for one */
	FLOW_CONNECT = 1 << 6,       /* open a connection to the picked one */
	FLOW_SEND = 1 << 7,          /* head and body to the backend */
	FLOW_COMMIT = 1 << 8,        /* pass the response on */
	FLOW_TUNNEL = 1 << 9,        /* pass the 101 and then all bytes on */
	FLOW_REPLY = 1 << 10,        /* answer with `status` ourselves */
	FLOW_ABORT_CLIENT = 1 << 11, /* break the client's connection off */
	FLOW_FINISH = 1 << 12        /* write the record; the request is over */
};

struct flow_input {
	enum flow_event event;
	enum access_outcome outcome; /* of FAILED */
	unsigned status;             /* of CLIENT_BAD, REDIRECTED, HEAD,
					BAD_HEAD */
	/* Of FAILED with ACCESS_STALE: the request may be sent again, because
	 * its method allows it or the kernel took nothing of it, and all that
	 * was sent of the body is still here. */
	bool resendable;
	/* Of FAILED and BAD_HEAD: all but outcome, status and retries, which
	 * are the flow's. */
	const struct retry_facts *facts;
};

struct flow {
	enum flow_state state;
	bool stale_replaced;
	enum access_end end; /* how it ends, known from the order to reply,
				commit or abort on */
	uint32_t retries;    /* attempts after the first */
	const struct retry_policy *policy; /* NULL: nothing is retried */
	/* The attempt that is judged or passed on. */
	enum access_outcome outcome;
	enum retry_cause cause;
	uint32_t wait_ms;
};

struct flow_orders {
	unsigned set; /* of enum flow_order */
	enum access_outcome outcome;
	unsigned status;
	enum access_end end;
	uint32_t wait_ms;
	/* RETRY_YES, or why a failed attempt is the last.  Only together with
	 * the orders that follow from it (WAIT or PICK; REPLY, COMMIT or
	 * ABORT_CLIENT); else RETRY_NOT_ASKED. */
	enum retry_verdict verdict;
	enum retry_cause cause; /* of a verdict RETRY_YES */
};

void flow_init(struct flow *f);

/* The policy that holds from now on; it outlives the flow's attempts. */
void flow_set_policy(struct flow *f, const struct retry_policy *p);

/*
 * Takes one event and says what to do.  An event that means nothing in this
 * state (a late timer) gives no orders and changes nothing.
 */
struct flow_orders flow_step(struct flow *f, const struct flow_input *in)
    __attribute__((warn_unused_result));

bool flow_ok(const struct flow *f);

#endif
