/* layer: config */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "evenkeel/config/policies.h"

#include "built.h"

static void
pool_has_its_defaults_of_retry(void **state)
{
	static const char *const on[] = {
	    "connect", "reset", "timeout", "502", "503", "504"};
	const struct cfg_pool *p;

	(void)state;
	BUILD(WEB, POOL);
	p = &b->cfg->pools[0];
	assert_int_equal(p->retry_attempts, 2);
	assert_int_equal(p->n_retry_on, 6);
	for (size_t i = 0; i < 6; i++)
		assert_string_equal(p->retry_on[i], on[i]);
	assert_int_equal(p->retry_base_ms, 25);
	assert_int_equal(p->retry_cap_ms, 1000);
	assert_int_equal(p->retry_jitter, CFG_JITTER_FULL);
	assert_int_equal(p->retry_first_wait, CFG_ON);
	assert_int_equal(p->retry_budget_pct, 20);
	assert_int_equal(p->retry_budget_min, 10);
	assert_int_equal(p->retry_non_idempotent, CFG_OFF);
	assert_int_equal(p->retry_body_limit, 65536);
	assert_int_equal(p->attempt_timeout_ms, 0);
	built_free(b);
}

static void
pool_has_its_defaults_of_health(void **state)
{
	const struct cfg_pool *p;

	(void)state;
	BUILD(WEB, POOL);
	p = &b->cfg->pools[0];
	assert_int_equal(p->health, CFG_HEALTH_TCP);
	assert_string_equal(p->health_path, "/");
	assert_int_equal(p->health_method, CFG_HEALTH_GET);
	assert_string_equal(p->health_host, "");
	assert_int_equal(p->n_health_statuses, 1);
	assert_int_equal(p->health_statuses[0].from, 200);
	assert_int_equal(p->health_statuses[0].to, 399);
	assert_string_equal(p->health_body, "");
	assert_int_equal(p->health_port, 0);
	assert_int_equal(p->health_interval_ms, 2000);
	assert_int_equal(p->health_interval_down_ms, 0);
	assert_int_equal(p->health_timeout_ms, 1000);
	assert_int_equal(p->health_rise, 2);
	assert_int_equal(p->health_fall, 3);
	assert_int_equal(p->health_initial, CFG_HEALTH_UP);
	assert_int_equal(p->eject_failures, 5);
	assert_int_equal(p->eject_base_ms, 10000);
	assert_int_equal(p->eject_cap_ms, 120000);
	assert_int_equal(p->eject_max_pct, 50);
	built_free(b);
}

static void
every_key_of_retry_reaches_its_field(void **state)
{
	const struct cfg_pool *p;

	(void)state;
	BUILD(WEB, POOL, "slow_start=1ms", "retry_attempts=10",
	    "retry_on=timeout , 429,\t599,400", "retry_base=2ms",
	    "retry_cap=3ms", "retry_jitter=equal", "retry_first_wait=no",
	    "retry_budget=4%", "retry_budget_min=5", "retry_non_idempotent=yes",
	    "retry_body_limit=6k", "attempt_timeout=7ms");
	p = &b->cfg->pools[0];
	assert_int_equal(p->slow_start_ms, 1);
	assert_int_equal(p->retry_attempts, 10);
	assert_int_equal(p->n_retry_on, 4);
	assert_string_equal(p->retry_on[0], "timeout");
	assert_string_equal(p->retry_on[1], "429");
	assert_string_equal(p->retry_on[2], "599");
	assert_string_equal(p->retry_on[3], "400");
	assert_int_equal(p->retry_base_ms, 2);
	assert_int_equal(p->retry_cap_ms, 3);
	assert_int_equal(p->retry_jitter, CFG_JITTER_EQUAL);
	assert_int_equal(p->retry_first_wait, CFG_OFF);
	assert_int_equal(p->retry_budget_pct, 4);
	assert_int_equal(p->retry_budget_min, 5);
	assert_int_equal(p->retry_non_idempotent, CFG_ON);
	assert_int_equal(p->retry_body_limit, 6144);
	assert_int_equal(p->attempt_timeout_ms, 7);
	built_free(b);
}

static void
every_key_of_health_reaches_its_field(void **state)
{
	const struct cfg_pool *p;

	(void)state;
	BUILD(WEB, POOL, "health=http", "health_path=/h?deep=1&x=[y]",
	    "health_method=HEAD", "health_host=[::1]:80",
	    "health_status=200, 204 ,301-308", "health_body=I am, still: here",
	    "health_port=65535", "health_interval=1s",
	    "health_interval_down=2s", "health_timeout=3ms", "health_rise=4",
	    "health_fall=1000", "health_initial=down", "eject_failures=0",
	    "eject_base=1s", "eject_cap=1s", "eject_max=0%");
	assert_string_equal(b->text, "");
	p = &b->cfg->pools[0];
	assert_int_equal(p->health, CFG_HEALTH_HTTP);
	assert_string_equal(p->health_path, "/h?deep=1&x=[y]");
	assert_int_equal(p->health_method, CFG_HEALTH_HEAD);
	assert_string_equal(p->health_host, "[::1]:80");
	assert_int_equal(p->n_health_statuses, 3);
	assert_int_equal(p->health_statuses[1].from, 204);
	assert_int_equal(p->health_statuses[1].to, 204);
	assert_int_equal(p->health_statuses[2].from, 301);
	assert_int_equal(p->health_statuses[2].to, 308);
	assert_string_equal(p->health_body, "I am, still: here");
	assert_int_equal(p->health_port, 65535);
	assert_int_equal(p->health_interval_ms, 1000);
	assert_int_equal(p->health_interval_down_ms, 2000);
	assert_int_equal(p->health_timeout_ms, 3);
	assert_int_equal(p->health_rise, 4);
	assert_int_equal(p->health_fall, 1000);
	assert_int_equal(p->health_initial, CFG_HEALTH_DOWN);
	assert_int_equal(p->eject_failures, 0);
	assert_int_equal(p->eject_base_ms, 1000);
	assert_int_equal(p->eject_cap_ms, 1000);
	assert_int_equal(p->eject_max_pct, 0);
	built_free(b);
}

/* A base that is beyond its cap is one error, which names both; none when one
 * of them is wrong in itself, as nobody knows what it was to be. */
static void
bases_are_below_caps(void **state)
{
	(void)state;
	BUILD(WEB, POOL, "retry_base=2s", "[pool b]", "backend=b:1,b:2",
	    "retry_cap=1ms", "retry_base=25ms", "[pool c]", "backend=c:1,c:2",
	    "eject_base=2m", "eject_cap=119s", "[pool d]", "backend=d:1,d:2",
	    "eject_cap=1s", "[pool e]", "backend=e:1,e:2", "retry_cap=1d",
	    "retry_base=1h", "eject_cpa=1h", "eject_base=1h");
	assert_null(b->cfg);
	assert_string_equal(b->text,
	    "f:1: [listener web] pool: required when there are several pools "
	    "and no route; allowed: web, b, c, d, e\n"
	    "f:5: [pool web] retry_base: 2s is longer than retry_cap (1s, the "
	    "default); allowed: at most retry_cap\n"
	    "f:9: [pool b] retry_base: 25ms is longer than retry_cap (1ms at "
	    "line 8); allowed: at most retry_cap\n"
	    "f:13: [pool c] eject_cap: 119s is shorter than eject_base (2m at "
	    "line 12); allowed: at least eject_base\n"
	    "f:16: [pool d] eject_cap: 1s is shorter than eject_base (10s, "
	    "the default); allowed: at least eject_base\n"
	    "f:19: [pool e] retry_cap: \"1d\": not a number with one of the "
	    "units ms, s, m, h; allowed: 1ms..24h\n"
	    "f:21: [pool e] eject_cpa: unknown key (did you mean "
	    "eject_cap?)\n");
	built_free(b);
}

/* What the file says is what policy/ decides by. */
static void
policies_follow_the_options(void **state)
{
	const struct cfg_pool *p;
	struct retry_policy r;
	struct eject_rules e;

	(void)state;
	BUILD(WEB, POOL, "retry_attempts=3", "retry_on=reset,400,463,464,599",
	    "retry_base=5ms", "retry_cap=6ms", "retry_jitter=none",
	    "retry_first_wait=no", "retry_non_idempotent=yes",
	    "retry_budget=7%", "retry_budget_min=8", "health_rise=9",
	    "health_fall=10", "eject_failures=11", "eject_base=12ms",
	    "eject_cap=13ms", "eject_max=14%");
	p = &b->cfg->pools[0];
	r = policies_retry(p);
	assert_true(retry_policy_ok(&r));
	assert_int_equal(r.attempts, 3);
	assert_int_equal(r.causes, 1U << RETRY_RESET | 1U << RETRY_STATUS);
	for (unsigned status = 0; status < 1000; status++)
		assert_int_equal(retry_on_status(&r, status),
		    status == 400 || status == 463 || status == 464 ||
			status == 599);
	assert_false(r.first_wait);
	assert_true(r.non_idempotent);
	assert_int_equal(r.backoff.base_ms, 5);
	assert_int_equal(r.backoff.cap_ms, 6);
	assert_int_equal(r.backoff.jitter, BACKOFF_NONE);
	assert_int_equal(policies_budget(p).share_pct, 7);
	assert_int_equal(policies_budget(p).floor, 8);
	assert_int_equal(policies_health(p).rise, 9);
	assert_int_equal(policies_health(p).fall, 10);
	e = policies_eject(p);
	assert_int_equal(e.failures, 11);
	assert_int_equal(e.base_ms, 12);
	assert_int_equal(e.cap_ms, 13);
	assert_int_equal(e.max_pct, 14);
	built_free(b);
}

static void
default_policies(void **state)
{
	struct retry_policy r;

	(void)state;
	BUILD(WEB, POOL);
	r = policies_retry(&b->cfg->pools[0]);
	assert_true(retry_policy_ok(&r));
	assert_int_equal(r.causes,
	    1U << RETRY_CONNECT | 1U << RETRY_RESET | 1U << RETRY_TIMEOUT |
		1U << RETRY_STATUS);
	for (unsigned status = 400; status < 600; status++)
		assert_int_equal(retry_on_status(&r, status),
		    status >= 502 && status <= 504);
	assert_true(r.first_wait);
	assert_false(r.non_idempotent);
	assert_int_equal(r.backoff.jitter, BACKOFF_FULL);
	built_free(b);
}

static void
good_statuses_are_those_of_the_list(void **state)
{
	const struct cfg_pool *p;

	(void)state;
	BUILD(WEB, POOL, "health=http", "health_status=204,301-308,599");
	p = &b->cfg->pools[0];
	for (unsigned s = 0; s < 1000; s++)
		assert_int_equal(policies_health_status(p, s),
		    s == 204 || (s >= 301 && s <= 308) || s == 599);
	built_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pool_has_its_defaults_of_retry),
	    cmocka_unit_test(pool_has_its_defaults_of_health),
	    cmocka_unit_test(every_key_of_retry_reaches_its_field),
	    cmocka_unit_test(every_key_of_health_reaches_its_field),
	    cmocka_unit_test(bases_are_below_caps),
	    cmocka_unit_test(policies_follow_the_options),
	    cmocka_unit_test(default_policies),
	    cmocka_unit_test(good_statuses_are_those_of_the_list),
	};

	return cmocka_run_group_tests_name("policies", tests, NULL, NULL);
}
