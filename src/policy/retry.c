#include "evenkeel/policy/retry.h"

#include "evenkeel/base/check.h"

#define BITS 64U

bool
retry_policy_ok(const struct retry_policy *p)
{
	return p->attempts <= RETRY_ATTEMPTS_MAX &&
	    p->causes < 1U << RETRY_CAUSES && backoff_ok(&p->backoff);
}

bool
retry_on_status(const struct retry_policy *p, unsigned status)
{
	unsigned bit;

	if (status < RETRY_STATUS_MIN || status > RETRY_STATUS_MAX)
		return false;
	bit = status - RETRY_STATUS_MIN;
	return (p->statuses[bit / BITS] >> bit % BITS & 1) != 0;
}

void
retry_add_status(struct retry_policy *p, unsigned status)
{
	unsigned bit = status - RETRY_STATUS_MIN;

	CHECK(status >= RETRY_STATUS_MIN && status <= RETRY_STATUS_MAX);
	p->statuses[bit / BITS] |= (uint64_t)1 << bit % BITS;
}

enum retry_cause
retry_cause_of(enum access_outcome o)
{
	switch (o) {
	case ACCESS_CONNECT_REFUSED:
	case ACCESS_CONNECT_TIMEOUT:
	case ACCESS_CONNECT_FAILED:
	case ACCESS_TLS_FAILED:
		return RETRY_CONNECT;
	case ACCESS_RESET:
	case ACCESS_BAD_RESPONSE:
		return RETRY_RESET;
	case ACCESS_TIMEOUT:
		return RETRY_TIMEOUT;
	case ACCESS_STATUS:
		return RETRY_STATUS;
	case ACCESS_OK:
	case ACCESS_STALE:
	case ACCESS_CANCELLED:
	case ACCESS_OUTCOMES:
		break;
	}
	return RETRY_NO_CAUSE;
}

/*@ requires \valid_read(p) && 0 <= cause <= RETRY_NO_CAUSE;
    assigns \nothing;
    ensures \result <==> retry_asked(p, cause, status);
*/
static bool
is_asked(const struct retry_policy *p, enum retry_cause cause, unsigned status)
{
	if (cause == RETRY_NO_CAUSE)
		return false;
	if (cause == RETRY_STATUS)
		return retry_on_status(p, status);
	return (p->causes & 1U << cause) != 0;
}

/* Everything but time. */
/*@ requires \valid_read(p) && \valid_read(f);
    requires cause == retry_cause_at(f->outcome);
    assigns \nothing;
    ensures \result == RETRY_YES <==> retry_permitted(p, f);
    ensures \result \in {RETRY_YES, RETRY_NOT_ASKED, RETRY_NOT_IDEMPOTENT,
      RETRY_BODY, RETRY_ATTEMPTS};
*/
static enum retry_verdict
permission(const struct retry_policy *p, const struct retry_facts *f,
    enum retry_cause cause)
{
	if (!is_asked(p, cause, f->status))
		return RETRY_NOT_ASKED;
	/* RFC 9110 9.2.2: not twice to an application, unless it is safe; a
	 * failed connect has not reached one. */
	if (cause != RETRY_CONNECT && !f->idempotent && !p->non_idempotent)
		return RETRY_NOT_IDEMPOTENT;
	if (!f->replayable)
		return RETRY_BODY;
	if (f->retries >= p->attempts)
		return RETRY_ATTEMPTS;
	return RETRY_YES;
}

/* UINT64_MAX: longer than may ever be waited. */
/*@ requires \valid_read(p) && \valid_read(f) && retry_valid(p);
    requires f->retries < p->attempts;
    assigns \nothing;
    ensures \result <= p->backoff.cap_ms || \result == UINT64_MAX;
    ensures f->other_usable == 0 ==> \result >= f->retry_after_ms;
    ensures f->other_usable != 0 || f->retry_after_ms == 0 ==>
      \result <= backoff_at(p->backoff.base_ms, p->backoff.cap_ms,
	f->retries + 1);
*/
static uint64_t
wait_ms(const struct retry_policy *p, const struct retry_facts *f)
{
	uint64_t wait;

	if (f->retries == 0 && !p->first_wait && f->other_usable)
		return 0;
	wait = backoff_wait_ms(&p->backoff, f->retries + 1, f->random);
	/* RFC 9110 10.2.3: it is about the backend that said it. */
	if (f->other_usable || f->retry_after_ms <= wait)
		return wait;
	return f->retry_after_ms <= p->backoff.cap_ms ? f->retry_after_ms
						      : UINT64_MAX;
}

struct retry_decision
retry_decide(const struct retry_policy *p, const struct retry_facts *f)
{
	enum retry_cause cause = retry_cause_of(f->outcome);
	struct retry_decision d = {.cause = cause};
	uint64_t wait;

	CHECK(retry_policy_ok(p));
	d.verdict = permission(p, f, cause);
	if (d.verdict != RETRY_YES)
		return d;
	wait = wait_ms(p, f);
	if (wait >= f->left_ms || wait == UINT64_MAX) {
		d.verdict = RETRY_DEADLINE;
		return d;
	}
	d.wait_ms = (uint32_t)wait;
	/* They put no load on anybody. */
	d.free = f->outcome == ACCESS_CONNECT_REFUSED ||
	    f->outcome == ACCESS_CONNECT_TIMEOUT;
	return d;
}

const char *
retry_cause_text(enum retry_cause c)
{
	static const char *const text[] = {
	    [RETRY_CONNECT] = "connect",
	    [RETRY_RESET] = "reset",
	    [RETRY_TIMEOUT] = "timeout",
	    [RETRY_STATUS] = "status",
	    [RETRY_NO_CAUSE] = "none",
	};

	CHECK(c <= RETRY_NO_CAUSE);
	return text[c];
}

const char *
retry_verdict_text(enum retry_verdict v)
{
	static const char *const text[RETRY_VERDICTS] = {
	    [RETRY_YES] = "yes",
	    [RETRY_NOT_ASKED] = "not_asked",
	    [RETRY_COMMITTED] = "committed",
	    [RETRY_NOT_IDEMPOTENT] = "not_idempotent",
	    [RETRY_BODY] = "body",
	    [RETRY_ATTEMPTS] = "attempts",
	    [RETRY_DEADLINE] = "deadline",
	    [RETRY_BUDGET] = "budget",
	};

	CHECK(v < RETRY_VERDICTS);
	return text[v];
}
