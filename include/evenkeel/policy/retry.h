/*
 * retry - may an attempt that failed be followed by another one, and when.
 *
 * One verdict from the facts of the failed attempt.  It is a retry only when
 * the cause is in retry_on, the request may safely reach a backend's
 * application twice (or never reached one), its body can be sent again,
 * attempts are left, and the wait ends before the deadline.  Whether the
 * pool's budget has room is asked last, by the caller, for a verdict that says
 * RETRY_YES and is not `free`.
 *
 * Layer: policy.  Pure.
 *
 * Sources: RFC 9110 9.2.2 (idempotent methods), 10.2.3 (Retry-After), 15.6
 * (502, 503, 504); RFC 6585 4 (429).
 */
#ifndef EVENKEEL_POLICY_RETRY_H
#define EVENKEEL_POLICY_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "evenkeel/http/access.h"
#include "evenkeel/policy/backoff.h"

#define RETRY_ATTEMPTS_MAX 10U
/* Status codes that retry_on may name. */
#define RETRY_STATUS_MIN   400U
#define RETRY_STATUS_MAX   599U
#define RETRY_STATUS_WORDS 4

enum retry_cause {
	RETRY_CONNECT, /* no byte reached the backend's application */
	RETRY_RESET, /* broken off, or malformed, after the request was sent */
	RETRY_TIMEOUT, /* no response head in time */
	RETRY_STATUS,  /* a status of retry_on */
	RETRY_CAUSES,
	RETRY_NO_CAUSE = RETRY_CAUSES /* ok, stale, cancelled */
};

/* Why not, in the order in which they are looked at. */
enum retry_verdict {
	RETRY_YES,
	RETRY_NOT_ASKED,      /* the cause is not in retry_on */
	RETRY_COMMITTED,      /* (of flow: bytes are with the client) */
	RETRY_NOT_IDEMPOTENT, /* it may have been processed */
	RETRY_BODY,           /* more of the body is gone than was kept */
	RETRY_ATTEMPTS,       /* none left */
	RETRY_DEADLINE,       /* the wait would pass it, or retry_cap */
	RETRY_BUDGET,         /* (of the caller) */
	RETRY_VERDICTS
};

struct retry_policy {
	uint32_t attempts; /* after the first; 0..RETRY_ATTEMPTS_MAX */
	unsigned causes;   /* bits 1 << enum retry_cause; RETRY_STATUS goes by
			      `statuses` alone */
	uint64_t statuses[RETRY_STATUS_WORDS]; /* bit status - STATUS_MIN */
	bool first_wait; /* false: at once when another backend is there */
	bool non_idempotent;
	struct backoff_policy backoff;
};

struct retry_facts {
	enum access_outcome outcome; /* of the attempt; not OK */
	unsigned status;             /* of ACCESS_STATUS */
	bool idempotent;             /* method, or Idempotency-Key */
	bool replayable;             /* all that was sent of the body is here */
	bool other_usable;           /* a usable backend is untried */
	uint32_t retries;            /* made so far (stale ones are none) */
	uint64_t retry_after_ms;     /* of the response; 0: none */
	uint64_t left_ms;            /* until request_timeout, by its clock */
	uint64_t random;             /* 64 uniform bits */
};

struct retry_decision {
	enum retry_verdict verdict;
	enum retry_cause cause;
	bool free;        /* of RETRY_YES: the budget is not asked */
	uint32_t wait_ms; /* of RETRY_YES */
};

/*@ predicate retry_valid(struct retry_policy *p) =
      p->attempts <= RETRY_ATTEMPTS_MAX && p->causes < 1 << RETRY_CAUSES &&
      backoff_valid(&p->backoff);

    predicate retry_has{L}(struct retry_policy *p, integer status) =
      RETRY_STATUS_MIN <= status <= RETRY_STATUS_MAX &&
      ((p->statuses[(status - RETRY_STATUS_MIN) / 64] >>
	((status - RETRY_STATUS_MIN) % 64)) & 1) != 0;

    logic integer retry_cause_at(integer outcome) =
      outcome == ACCESS_CONNECT_REFUSED || outcome == ACCESS_CONNECT_TIMEOUT ||
      outcome == ACCESS_CONNECT_FAILED || outcome == ACCESS_TLS_FAILED
	? (integer)RETRY_CONNECT
      : outcome == ACCESS_RESET || outcome == ACCESS_BAD_RESPONSE
	? (integer)RETRY_RESET
      : outcome == ACCESS_TIMEOUT ? (integer)RETRY_TIMEOUT
      : outcome == ACCESS_STATUS ? (integer)RETRY_STATUS
      : (integer)RETRY_NO_CAUSE;

    predicate retry_asked{L}(
	struct retry_policy *p, integer cause, integer status) =
      cause != RETRY_NO_CAUSE &&
      (cause == RETRY_STATUS ? retry_has(p, status)
			     : (p->causes & (1 << cause)) != 0);

    // Everything but time.
    predicate retry_permitted{L}(
	struct retry_policy *p, struct retry_facts *f) =
      retry_asked(p, retry_cause_at(f->outcome), f->status) &&
      (retry_cause_at(f->outcome) == RETRY_CONNECT || f->idempotent != 0 ||
	p->non_idempotent != 0) &&
      f->replayable != 0 && f->retries < p->attempts;
*/

/*@ requires \valid_read(p);
    assigns \nothing;
    ensures \result <==> retry_valid(p);
*/
bool retry_policy_ok(const struct retry_policy *p);

/* Whether retry_on has this status (any number is allowed). */
/*@ requires \valid_read(p);
    assigns \nothing;
    ensures \result <==> retry_has(p, status);
*/
bool retry_on_status(const struct retry_policy *p, unsigned status);

/* Puts a status of RETRY_STATUS_MIN..MAX into the set. */
/*@ requires \valid(p);
    requires RETRY_STATUS_MIN <= status <= RETRY_STATUS_MAX;
    assigns p->statuses[0 .. RETRY_STATUS_WORDS - 1];
*/
void retry_add_status(struct retry_policy *p, unsigned status);

/*@ assigns \nothing;
    ensures \result == retry_cause_at(o);
*/
enum retry_cause retry_cause_of(enum access_outcome o);

/*
 * RETRY_YES with the wait, or the first reason in the order of enum
 * retry_verdict why not.  The wait: backoff of retry `retries + 1`; 0 for the
 * first one without first_wait when another backend is usable; at least
 * retry_after_ms when none is (RETRY_DEADLINE when that exceeds the cap).
 * A wait of exactly left_ms or more is RETRY_DEADLINE.  Cannot fail.
 */
/*@ requires \valid_read(p) && \valid_read(f) && retry_valid(p);
    assigns \nothing;
    ensures \result.cause == retry_cause_at(f->outcome);
    ensures \result.verdict == RETRY_YES ==> retry_permitted(p, f);
    ensures \result.verdict == RETRY_YES ==> \result.wait_ms < f->left_ms;
    ensures \result.wait_ms <= p->backoff.cap_ms;
    ensures \result.verdict == RETRY_YES && f->other_usable == 0 ==>
      \result.wait_ms >= f->retry_after_ms;
    ensures \result.verdict == RETRY_YES &&
      (f->other_usable != 0 || f->retry_after_ms == 0) ==>
      \result.wait_ms <= backoff_at(p->backoff.base_ms, p->backoff.cap_ms,
	f->retries + 1);
    ensures retry_permitted(p, f) ==>
      \result.verdict == RETRY_YES || \result.verdict == RETRY_DEADLINE;
    ensures \result.free != 0 ==> \result.verdict == RETRY_YES &&
      (f->outcome == ACCESS_CONNECT_REFUSED ||
	f->outcome == ACCESS_CONNECT_TIMEOUT);
*/
struct retry_decision retry_decide(const struct retry_policy *p,
    const struct retry_facts *f) __attribute__((warn_unused_result));

/* The word of metrics: "connect", "budget"...; of RETRY_STATUS "status", as
 * the metric shows the number itself. */
/*@ requires 0 <= c <= RETRY_NO_CAUSE; assigns \nothing; */
const char *retry_cause_text(enum retry_cause c);
/*@ requires 0 <= v < RETRY_VERDICTS; assigns \nothing; */
const char *retry_verdict_text(enum retry_verdict v);

#endif
