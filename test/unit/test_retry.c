/* layer: policy */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "evenkeel/base/rng.h"
#include "evenkeel/policy/retry.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ALL_CAUSES   ((1U << RETRY_CAUSES) - 1)

static struct retry_policy
usual(void)
{
	struct retry_policy p = {
	    .attempts = 2,
	    .causes =
		1U << RETRY_CONNECT | 1U << RETRY_RESET | 1U << RETRY_TIMEOUT,
	    .first_wait = true,
	    .backoff = {100, 1000, BACKOFF_NONE},
	};

	retry_add_status(&p, 502);
	retry_add_status(&p, 503);
	retry_add_status(&p, 504);
	return p;
}

static struct retry_facts
facts(enum access_outcome outcome)
{
	return (struct retry_facts){
	    .outcome = outcome,
	    .idempotent = true,
	    .replayable = true,
	    .other_usable = true,
	    .left_ms = 60000,
	};
}

static void
test_policy_ok(void **state)
{
	struct retry_policy p = usual();

	(void)state;
	assert_true(retry_policy_ok(&p));
	p.attempts = RETRY_ATTEMPTS_MAX;
	assert_true(retry_policy_ok(&p));
	p.attempts++;
	assert_false(retry_policy_ok(&p));
	p = usual();
	p.causes = 1U << RETRY_CAUSES;
	assert_false(retry_policy_ok(&p));
	p = usual();
	p.backoff.base_ms = 0;
	assert_false(retry_policy_ok(&p));
}

/* Each status alone sets itself and no other. */
static void
test_statuses(void **state)
{
	(void)state;
	for (unsigned put = RETRY_STATUS_MIN; put <= RETRY_STATUS_MAX; put++) {
		struct retry_policy p = {0};

		retry_add_status(&p, put);
		for (unsigned s = 0; s < 1100; s++)
			assert_int_equal(retry_on_status(&p, s), s == put);
		assert_false(retry_on_status(&p, UINT32_MAX));
	}
}

static void
test_causes(void **state)
{
	static const enum retry_cause want[ACCESS_OUTCOMES] = {
	    [ACCESS_OK] = RETRY_NO_CAUSE,
	    [ACCESS_STATUS] = RETRY_STATUS,
	    [ACCESS_CONNECT_REFUSED] = RETRY_CONNECT,
	    [ACCESS_CONNECT_TIMEOUT] = RETRY_CONNECT,
	    [ACCESS_CONNECT_FAILED] = RETRY_CONNECT,
	    [ACCESS_TLS_FAILED] = RETRY_CONNECT,
	    [ACCESS_STALE] = RETRY_NO_CAUSE,
	    [ACCESS_RESET] = RETRY_RESET,
	    [ACCESS_BAD_RESPONSE] = RETRY_RESET,
	    [ACCESS_TIMEOUT] = RETRY_TIMEOUT,
	    [ACCESS_CANCELLED] = RETRY_NO_CAUSE,
	};

	(void)state;
	for (int o = 0; o < ACCESS_OUTCOMES; o++)
		assert_int_equal(
		    retry_cause_of((enum access_outcome)o), want[o]);
}

static void
test_texts(void **state)
{
	(void)state;
	assert_string_equal(retry_cause_text(RETRY_CONNECT), "connect");
	assert_string_equal(retry_cause_text(RETRY_STATUS), "status");
	assert_string_equal(retry_verdict_text(RETRY_BUDGET), "budget");
	assert_string_equal(
	    retry_verdict_text(RETRY_NOT_IDEMPOTENT), "not_idempotent");
	for (int c = 0; c <= RETRY_NO_CAUSE; c++)
		assert_non_null(retry_cause_text((enum retry_cause)c));
	for (int v = 0; v < RETRY_VERDICTS; v++)
		assert_non_null(retry_verdict_text((enum retry_verdict)v));
}

#define NEVER UINT64_MAX

static void
test_waits(void **state)
{
	static const struct {
		uint32_t retries;
		bool first_wait, other;
		uint64_t after_ms, left_ms;
		enum retry_verdict verdict;
		uint32_t wait_ms;
	} cases[] = {
	    {0, true, true, 0, 60000, RETRY_YES, 100},
	    {1, true, true, 0, 60000, RETRY_YES, 200},
	    /* At once, but only the first one, and only to another. */
	    {0, false, true, 0, 60000, RETRY_YES, 0},
	    {0, false, false, 0, 60000, RETRY_YES, 100},
	    {1, false, true, 0, 60000, RETRY_YES, 200},
	    /* Retry-After binds who said it. */
	    {0, true, true, 700, 60000, RETRY_YES, 100},
	    {0, true, false, 700, 60000, RETRY_YES, 700},
	    {0, true, false, 50, 60000, RETRY_YES, 100},
	    {0, false, false, 700, 60000, RETRY_YES, 700},
	    {0, true, false, 1000, 60000, RETRY_YES, 1000},
	    {0, true, false, 1001, 60000, RETRY_DEADLINE, 0},
	    {0, true, false, NEVER, 60000, RETRY_DEADLINE, 0},
	    {0, true, false, NEVER, NEVER, RETRY_DEADLINE, 0},
	    {0, true, true, NEVER, 60000, RETRY_YES, 100},
	    {0, true, false, 700, 700, RETRY_DEADLINE, 0},
	    /* The deadline itself is too late. */
	    {0, true, true, 0, 101, RETRY_YES, 100},
	    {0, true, true, 0, 100, RETRY_DEADLINE, 0},
	    {0, true, true, 0, 0, RETRY_DEADLINE, 0},
	    {0, false, true, 0, 1, RETRY_YES, 0},
	    {0, false, true, 0, 0, RETRY_DEADLINE, 0},
	    {0, true, true, 0, NEVER, RETRY_YES, 100},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct retry_policy p = usual();
		struct retry_facts f = facts(ACCESS_RESET);
		struct retry_decision d;

		p.first_wait = cases[i].first_wait;
		f.retries = cases[i].retries;
		f.other_usable = cases[i].other;
		f.retry_after_ms = cases[i].after_ms;
		f.left_ms = cases[i].left_ms;
		d = retry_decide(&p, &f);
		assert_int_equal(d.verdict, cases[i].verdict);
		assert_int_equal(d.wait_ms, cases[i].wait_ms);
		assert_int_equal(d.cause, RETRY_RESET);
	}
}

static void
test_statuses_asked(void **state)
{
	struct retry_policy p = usual();
	struct retry_facts f = facts(ACCESS_STATUS);

	(void)state;
	for (f.status = 100; f.status < 700; f.status++)
		assert_int_equal(retry_decide(&p, &f).verdict,
		    f.status >= 502 && f.status <= 504 ? RETRY_YES
						       : RETRY_NOT_ASKED);
	/* The bit says nothing, the set does. */
	p.causes = 0;
	f.status = 503;
	assert_int_equal(retry_decide(&p, &f).verdict, RETRY_YES);
	f.outcome = ACCESS_RESET;
	assert_int_equal(retry_decide(&p, &f).verdict, RETRY_NOT_ASKED);
}

/* The header's conditions, said again as plainly as can be. */
static enum retry_verdict
naive(const struct retry_policy *p, const struct retry_facts *f)
{
	bool connect = f->outcome >= ACCESS_CONNECT_REFUSED &&
	    f->outcome <= ACCESS_TLS_FAILED;
	bool reset =
	    f->outcome == ACCESS_RESET || f->outcome == ACCESS_BAD_RESPONSE;
	bool asked = (connect && (p->causes & 1U << RETRY_CONNECT)) ||
	    (reset && (p->causes & 1U << RETRY_RESET)) ||
	    (f->outcome == ACCESS_TIMEOUT &&
		(p->causes & 1U << RETRY_TIMEOUT)) ||
	    (f->outcome == ACCESS_STATUS && f->status == 503);

	if (!asked)
		return RETRY_NOT_ASKED;
	if (!connect && !f->idempotent && !p->non_idempotent)
		return RETRY_NOT_IDEMPOTENT;
	if (!f->replayable)
		return RETRY_BODY;
	return f->retries < p->attempts ? RETRY_YES : RETRY_ATTEMPTS;
}

static void
check_one(const struct retry_policy *p, const struct retry_facts *f)
{
	enum retry_verdict want = naive(p, f);
	struct retry_decision d = retry_decide(p, f);

	if (want == RETRY_YES && d.verdict == RETRY_DEADLINE) {
		/* Only when there is a reason of time. */
		assert_true(f->left_ms <= p->backoff.cap_ms ||
		    f->retry_after_ms > p->backoff.cap_ms);
		return;
	}
	assert_int_equal(d.verdict, want);
	if (want != RETRY_YES) {
		assert_int_equal(d.wait_ms, 0);
		assert_false(d.free);
		return;
	}
	assert_true(d.wait_ms <= p->backoff.cap_ms && d.wait_ms < f->left_ms);
	assert_true(f->other_usable || d.wait_ms >= f->retry_after_ms);
	assert_int_equal(d.free,
	    f->outcome == ACCESS_CONNECT_REFUSED ||
		f->outcome == ACCESS_CONNECT_TIMEOUT);
}

/* Every combination of the yes-and-no facts with every outcome. */
static void
test_every_combination(void **state)
{
	static const uint64_t times[] = {0, 1, 99, 100, 1000, 1001, NEVER};
	struct rng rng;

	(void)state;
	rng_init(&rng, 7);
	for (unsigned bits = 0; bits < 1U << 10; bits++)
		for (int o = 0; o < ACCESS_OUTCOMES; o++)
			for (size_t t = 0; t < COUNT(times) * COUNT(times);
			     t++) {
				struct retry_policy p = usual();
				struct retry_facts f =
				    facts((enum access_outcome)o);

				memset(p.statuses, 0, sizeof(p.statuses));
				retry_add_status(&p, 503);
				p.causes = bits & 7;
				p.non_idempotent = bits & 8;
				p.first_wait = bits & 16;
				p.attempts = (bits >> 5 & 1) * 3;
				p.backoff.jitter =
				    (enum backoff_jitter)rng_upto(&rng, 2);
				f.idempotent = bits & 64;
				f.replayable = bits & 128;
				f.other_usable = bits & 256;
				f.status = bits & 512 ? 503 : 500;
				f.retries = (uint32_t)rng_upto(&rng, 3);
				f.random = rng_next(&rng);
				f.left_ms = times[t % COUNT(times)];
				f.retry_after_ms = times[t / COUNT(times)];
				check_one(&p, &f);
			}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_policy_ok),
	    cmocka_unit_test(test_statuses),
	    cmocka_unit_test(test_causes),
	    cmocka_unit_test(test_texts),
	    cmocka_unit_test(test_waits),
	    cmocka_unit_test(test_statuses_asked),
	    cmocka_unit_test(test_every_combination),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
