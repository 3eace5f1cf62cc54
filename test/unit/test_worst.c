/* layer: config */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "evenkeel/config/worst.h"

#include "built.h"

#define MS_DAY 86400000ULL

static void
defaults(void **state)
{
	const struct cfg_pool *p;

	(void)state;
	BUILD(WEB, POOL);
	p = &b->cfg->pools[0];
	assert_int_equal(worst_attempt_ms(p), 32000);
	assert_int_equal(worst_waits_ms(p), 25 + 50);
	assert_int_equal(worst_request_ms(p), 4 * 1000 + 3 * 32000 + 75 + 1000);
	assert_int_equal(worst_down_ms(p), 3 * 2200 + 1000);
	assert_int_equal(worst_up_ms(p), 2 * 2200 + 1000);
	assert_int_equal(worst_ejected(p), 1);
	assert_int_equal(worst_requests_pct(p), 120);
	assert_int_equal(worst_connects_pct(p), 300);
	assert_true(worst_has_floor(p));
	built_free(b);
}

static void
attempts_end_at_the_first_limit(void **state)
{
	(void)state;
	BUILD(WEB, POOL, "attempt_timeout=3s", "retry_attempts=1",
	    "keepalive=0", "queue_timeout=10ms");
	assert_int_equal(worst_attempt_ms(&b->cfg->pools[0]), 3000);
	assert_int_equal(
	    worst_request_ms(&b->cfg->pools[0]), 2 * 10 + 2 * 3000 + 25);
	built_free(b);
}

static void
an_attempt_is_never_longer_than_its_parts(void **state)
{
	(void)state;
	BUILD(WEB, POOL, "attempt_timeout=1h");
	assert_int_equal(worst_attempt_ms(&b->cfg->pools[0]), 32000);
	built_free(b);
}

/* 1 2 4 8 and then the cap; nothing without retries. */
static void
waits_grow_up_to_the_cap(void **state)
{
	(void)state;
	BUILD(WEB, POOL, "retry_attempts=10", "retry_base=1s", "retry_cap=10s",
	    "[pool none]", "backend=n:1,n:2", "retry_attempts=0", "[route r]",
	    "pool=none");
	assert_int_equal(worst_waits_ms(&b->cfg->pools[0]), 15000 + 6 * 10000);
	assert_int_equal(worst_waits_ms(&b->cfg->pools[1]), 0);
	built_free(b);
}

static void
slow_checks_are_further_apart(void **state)
{
	(void)state;
	BUILD(WEB, POOL, "health_interval=100ms", "health_timeout=1s",
	    "health_fall=5", "health_rise=1", "health_interval_down=10s");
	assert_int_equal(worst_down_ms(&b->cfg->pools[0]), 5 * 1000 + 1000);
	assert_int_equal(worst_up_ms(&b->cfg->pools[0]), 11000 + 1000);
	built_free(b);
}

static void
load_of_retries(void **state)
{
	static const struct {
		const char *lines[3];
		uint32_t requests, connects;
		bool has_floor;
	} cases[] = {
	    {{"retry_attempts=0"}, 100, 100, false},
	    {{"retry_budget=0%"}, 100, 300, false},
	    {{"retry_budget=99%", "retry_attempts=1"}, 199, 200, true},
	    {{"retry_budget=100%", "retry_attempts=3"}, 400, 400, false},
	    {{"retry_budget_min=0"}, 120, 300, false},
	    {{"retry_on=connect"}, 100, 300, false},
	    {{"retry_on=503"}, 120, 100, true},
	    {{"retry_on=timeout"}, 120, 100, true},
	    {{"retry_on=reset"}, 120, 100, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *lines[8] = {WEB, POOL};
		struct built *b = built_create();
		const struct cfg_pool *p;

		memcpy(&lines[4], cases[i].lines, sizeof(cases[i].lines));
		run(b, lines);
		assert_non_null(b->cfg);
		p = &b->cfg->pools[0];
		assert_int_equal(worst_requests_pct(p), cases[i].requests);
		assert_int_equal(worst_connects_pct(p), cases[i].connects);
		assert_int_equal(worst_has_floor(p), cases[i].has_floor);
		built_free(b);
	}
}

static void
ejections_leave_backends(void **state)
{
	(void)state;
	BUILD(WEB, "[pool web]", "backend=a:1,b:1,c:1,d:1,e:1", "[pool off]",
	    "backend=a:1,b:1", "eject_failures=0", "[pool one]", "backend=a:1",
	    "[pool all]", "backend=a:1,b:1,c:1", "eject_max=100%", "[route r]",
	    "pool=web");
	assert_int_equal(worst_ejected(&b->cfg->pools[0]), 2);
	assert_int_equal(worst_ejected(&b->cfg->pools[1]), 0);
	assert_int_equal(worst_ejected(&b->cfg->pools[2]), 0);
	assert_int_equal(worst_ejected(&b->cfg->pools[3]), 2);
	built_free(b);
}

/* The largest of everything: days, not what is left of them. */
static void
nothing_overflows(void **state)
{
	const struct cfg_pool *p;

	(void)state;
	BUILD(WEB, POOL, "connect_timeout=24h", "response_timeout=24h",
	    "queue_timeout=24h", "retry_attempts=10", "retry_base=24h",
	    "retry_cap=24h", "health_interval=24h", "health_timeout=24h",
	    "health_fall=1000", "health_rise=1000");
	p = &b->cfg->pools[0];
	assert_int_equal(worst_request_ms(p),
	    12 * MS_DAY + 11 * 2 * MS_DAY + 10 * MS_DAY + WORST_STALE_MS);
	assert_int_equal(worst_down_ms(p), 1100 * MS_DAY + MS_DAY);
	assert_int_equal(worst_up_ms(p), 1100 * MS_DAY + MS_DAY);
	built_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults),
	    cmocka_unit_test(attempts_end_at_the_first_limit),
	    cmocka_unit_test(an_attempt_is_never_longer_than_its_parts),
	    cmocka_unit_test(waits_grow_up_to_the_cap),
	    cmocka_unit_test(slow_checks_are_further_apart),
	    cmocka_unit_test(load_of_retries),
	    cmocka_unit_test(ejections_leave_backends),
	    cmocka_unit_test(nothing_overflows),
	};

	return cmocka_run_group_tests_name("worst", tests, NULL, NULL);
}
