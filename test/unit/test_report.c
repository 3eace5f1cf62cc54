/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "evenkeel/control/report.h"

#include "built.h"

static char text[8192];

/* The report of a configuration, without the lines before its pools. */
static const char *
report_of(const struct built *b)
{
	struct textbuf t = textbuf_make(text, sizeof(text) - 1);
	const char *pools;

	assert_non_null(b->cfg);
	report_put(&t, "f", b->cfg);
	assert_false(t.full);
	text[t.len] = '\0';
	pools = strstr(text, "\npool ");
	assert_non_null(pools);
	return pools + 1;
}

static void
listeners_come_first(void **state)
{
	(void)state;
	BUILD("[listener web]", "bind=127.0.0.1:8080,[::1]:81", POOL);
	(void)report_of(b);
	assert_int_equal(
	    strncmp(text,
		"f: valid\nlistener web: 127.0.0.1:8080 [::1]:81 -> pool "
		"web\npool web: 2 backends\n",
		75),
	    0);
	built_free(b);
}

static void
default_pool(void **state)
{
	(void)state;
	BUILD(WEB, "[pool web]", "backend=[::1]:1,[::2]:1,[::3]:1,[::4]:1");
	assert_string_equal(report_of(b),
	    "pool web: 4 backends\n"
	    "  longest wait of a client, its upload apart: 60 s, then "
	    "request_timeout ends it (4 s in the queue, 3 attempts of 32 s, "
	    "0.075 s between them, 1 s for a stale connection would be 101.075 "
	    "s)\n"
	    "  most attempts of a request: 3, the first and 2 retries; one "
	    "more when a kept connection was stale\n"
	    "  load when every backend fails: 1.2 times the requests and 10 "
	    "retries a second besides; when none can be reached, 3 times the "
	    "connects\n"
	    "  a dead backend is out: after 7.6 s at the latest, by checks; "
	    "sooner after 5 failed attempts in a row, which take out at most "
	    "2 of 4 at a time\n"
	    "  one that works again is back: after 5.4 s at the latest, by "
	    "checks; after 10 s to 120 s, when failed attempts took it "
	    "out\n");
	built_free(b);
}

/* Nobody knows how many addresses a name will have. */
static void
names_are_not_counted(void **state)
{
	(void)state;
	BUILD(WEB, "[pool web]", "backend=a:1", "eject_max=30%", "[pool two]",
	    "backend=a:1,[::1]:1,srv:_http._tcp.a", "[route r]", "pool=two");
	(void)report_of(b);
	assert_non_null(strstr(text,
	    "\npool web: 1 backend, 1 of them a name: all its addresses\n"));
	assert_non_null(strstr(text,
	    "in a row, which take out at most 30 % of the addresses at a "
	    "time\n"));
	assert_non_null(strstr(text,
	    "\npool two: 3 backends, 2 of them names: all their addresses\n"));
	built_free(b);
}

static void
pool_without_retries_and_checks(void **state)
{
	(void)state;
	BUILD(WEB, POOL, "retry_attempts=0", "keepalive=0", "health=off",
	    "eject_failures=1", "eject_base=1500ms", "eject_cap=1500ms",
	    "slow_start=30s");
	assert_string_equal(report_of(b),
	    "pool web: 2 backends\n"
	    "  longest wait of a client, its upload apart: 33 s (1 s in the "
	    "queue, 1 attempt of 32 s); request_timeout is 60 s\n"
	    "  most attempts of a request: 1\n"
	    "  load when every backend fails: no more requests than without "
	    "retries; when none can be reached, no more connects than without "
	    "retries\n"
	    "  a dead backend is out: after 1 failed attempt, which takes out "
	    "at most 1 of 2 at a time\n"
	    "  one that works again is back: after 1.5 s, when failed "
	    "attempts took it out; with its full share 30 s later\n");
	built_free(b);
}

static void
nothing_takes_it_out(void **state)
{
	(void)state;
	BUILD(WEB, "[pool web]", "backend=[::1]:1", "health=off");
	assert_non_null(
	    strstr(report_of(b), "\n  a dead backend is out: never\n"));
	assert_null(strstr(text, "is back"));
	built_free(b);
}

static void
checks_alone(void **state)
{
	(void)state;
	BUILD(WEB, "[pool web]", "backend=[::1]:1", "health_interval_down=10s");
	assert_non_null(strstr(report_of(b),
	    "\n  a dead backend is out: after 7.6 s at the latest, by checks\n"
	    "  one that works again is back: after 23 s at the latest, by "
	    "checks\n"));
	built_free(b);
}

/* Both limits are equal: request_timeout ends nothing. */
static void
request_timeout_at_its_edge(void **state)
{
	(void)state;
	BUILD(WEB, POOL, "retry_attempts=0", "keepalive=0",
	    "request_timeout=33s", "[pool less]", "backend=a:1,b:1",
	    "retry_attempts=0", "keepalive=0", "request_timeout=32999ms",
	    "[route r]", "pool=less");
	assert_non_null(strstr(report_of(b), ": 33 s (1 s in the queue, 1 "));
	assert_non_null(strstr(text, "; request_timeout is 33 s\n"));
	assert_non_null(strstr(text,
	    ": 32.999 s, then request_timeout ends it (1 s in the queue, 1 "
	    "attempt of 32 s would be 33 s)\n"));
	built_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(listeners_come_first),
	    cmocka_unit_test(default_pool),
	    cmocka_unit_test(names_are_not_counted),
	    cmocka_unit_test(pool_without_retries_and_checks),
	    cmocka_unit_test(nothing_takes_it_out),
	    cmocka_unit_test(checks_alone),
	    cmocka_unit_test(request_timeout_at_its_edge),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
