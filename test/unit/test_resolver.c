/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "evenkeel/net/resolver.h"
#include "loop_until.h"

#define MANY 200

static struct resolver *resolver;
static pthread_t own;
static unsigned answered[MANY];
static unsigned n_answered;

static void
on_answer(const struct lookup_result *r, void *arg)
{
	unsigned *count = arg;

	assert_true(pthread_equal(pthread_self(), own));
	assert_int_equal(r->end, LOOKUP_ALL);
	assert_true(r->n >= 1);
	assert_true(address_on_loopback(&r->found[0].address));
	(*count)++;
	n_answered++;
}

static int
open_resolver(void **state)
{
	own = pthread_self();
	n_answered = 0;
	memset(answered, 0, sizeof(answered));
	if (open_loop(state) != 0)
		return -1;
	resolver = resolver_create(loop);
	return resolver != NULL ? 0 : -1;
}

static struct resolver_query *
ask(unsigned i)
{
	struct resolver_query *q = resolver_ask(resolver, LOOKUP_HOST,
	    "localhost", (uint16_t)(i + 1), on_answer, &answered[i]);

	assert_non_null(q);
	return q;
}

static void
each_is_answered_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		(void)ask(i);
	/* Never before it has returned. */
	assert_int_equal(n_answered, 0);
	TURN_UNTIL(n_answered == MANY);
	for (unsigned i = 0; i < 5; i++)
		turn_once();
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(answered[i], 1);
	resolver_free(resolver);
}

static void
what_was_abandoned_is_not_answered(void **state)
{
	struct resolver_query *queries[MANY];

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		queries[i] = ask(i);
	for (unsigned i = 0; i < MANY; i += 2)
		resolver_abandon(resolver, queries[i]);
	TURN_UNTIL(n_answered == MANY / 2);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(answered[i], i % 2);
	resolver_free(resolver);
}

/* The answer may be in the mail already. */
static void
abandoned_at_any_time(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		struct resolver_query *q = ask(i);
		uint64_t until_us = clock_monotonic_us() + i * 10;

		while (clock_monotonic_us() < until_us)
			;
		resolver_abandon(resolver, q);
	}
	for (unsigned i = 0; i < 100; i++)
		turn_once();
	assert_int_equal(n_answered, 0);
	resolver_free(resolver);
}

/* With questions that wait, are being asked, and are answered. */
static void
ends_at_any_time(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		(void)ask(i);
	TURN_UNTIL(n_answered >= 3);
	resolver_free(resolver);
	for (unsigned i = 0; i < 5; i++)
		turn_once();
	resolver_free(NULL);
}

static void
names_without_an_address_are_told(const struct lookup_result *r, void *arg)
{
	bool *told = arg;

	assert_int_equal(r->end, LOOKUP_FAILED);
	assert_int_not_equal(r->why[0], '\0');
	*told = true;
}

static void
failures_come_too(void **state)
{
	bool told = false;

	(void)state;
	assert_non_null(resolver_ask(resolver, LOOKUP_HOST, "a..b", 1,
	    names_without_an_address_are_told, &told));
	TURN_UNTIL(told);
	resolver_free(resolver);
}

#define RESOLVING(test) \
	cmocka_unit_test_setup_teardown(test, open_resolver, close_loop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    RESOLVING(each_is_answered_once),
	    RESOLVING(what_was_abandoned_is_not_answered),
	    RESOLVING(abandoned_at_any_time),
	    RESOLVING(ends_at_any_time),
	    RESOLVING(failures_come_too),
	};

	return cmocka_run_group_tests_name("resolver", tests, NULL, NULL);
}
