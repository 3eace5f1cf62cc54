/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "evenkeel/control/sim_json.h"
#include "evenkeel/control/simulate.h"
#include "evenkeel/net/inifile.h"

#define TWO "backend=127.0.0.1:1 name=a\nbackend=127.0.0.1:2 name=b\n"
/* Nobody but the failed attempts takes a backend out. */
#define UNCHECKED "health=off\n"
/* Nothing is in flight between two requests. */
#define EVEN "rate 100/s even; latency 2ms; connect 1ms;"

static struct inifile file;

/* Plays `script` on a pool of such lines. */
static struct simulate *
play(const char *pool, const char *script)
{
	char text[2048], bytes[512];
	struct textbuf why = textbuf_make(bytes, sizeof(bytes));
	struct simulate *s;
	struct simulate_options o = {.script = script};

	snprintf(text, sizeof(text),
	    "[listener l]\nbind=127.0.0.1:1\n[pool p]\n%s", pool);
	assert_true(inifile_parse(&file, span_of(text)));
	assert_non_null(file.cfg);
	o.cfg = file.cfg;
	s = simulate_play(&o, &why);
	if (s == NULL)
		fail_msg("%.*s", (int)why.len, why.ptr);
	return s;
}

static void
done(struct simulate *s)
{
	simulate_free(s);
	inifile_free(&file);
}

static void
calm(void **state)
{
	static const char *const balances[] = {
	    "round_robin", "least_connections", "random_two", "hash", NULL};

	(void)state;
	for (int i = 0; balances[i] != NULL; i++) {
		char pool[200];
		struct simulate *s;

		snprintf(pool, sizeof(pool), TWO "balance=%s\n", balances[i]);
		s = play(pool, "rate 500/s; mix GET 50% POST 50%");
		assert_int_equal(s->with->succeeded, s->with->requests);
		assert_int_equal(s->with->attempts, s->with->requests);
		assert_int_equal(s->with->n_changes, 0);
		assert_int_equal(s->with->bad.n, 0);
		/* A Poisson process of 30000: six sigma. */
		assert_in_range(s->with->requests, 28960, 31040);
		assert_in_range(s->with->ok.max_us, 5000, 21000);
		done(s);
	}
}

static void
same_seed(void **state)
{
	const char *script =
	    "seed 7; backend 1 down 5s; backend 2 reset 10%; duration 20s";
	struct simulate *a, *b;

	(void)state;
	a = play(TWO, script);
	inifile_free(&file);
	b = play(TWO, script);
	free(a->with->backends);
	free(b->with->backends);
	a->with->backends = b->with->backends = NULL;
	assert_true(a->with->attempts > a->with->requests);
	assert_memory_equal(a->with, b->with, sizeof(*a->with));
	simulate_free(b);
	inifile_free(&file);
	b = play(TWO, "seed 8; backend 1 down 5s; duration 20s");
	assert_memory_not_equal(a->with, b->with, sizeof(*a->with));
	simulate_free(a);
	done(b);
}

/*
 * Requests at 10 ms, 20 ms, ..., 59.99 s.  From 10.005 s on `a` refuses; as a
 * retry takes the turn of `b`, each of the next five requests begins with `a`.
 * Then it is out for 10 s, fails another five times, and is out for 20 s until
 * 40.06 s, when it answers again.
 */
static void
one_of_two_refuses(void **state)
{
	struct simulate *s =
	    play(TWO UNCHECKED "keepalive=0\nretry_first_wait=no\n",
		EVEN "at 10005ms for 30s: backend a down");

	(void)state;
	assert_int_equal(s->with->requests, 5999);
	assert_int_equal(s->with->succeeded, 5999);
	assert_int_equal(s->with->attempts, 5999 + 10);
	assert_int_equal(s->with->retries[RETRY_CONNECT], 10);
	assert_int_equal(
	    s->with->backends[0].outcomes[ACCESS_CONNECT_REFUSED], 10);
	assert_int_equal(s->with->n_changes, 4);
	assert_int_equal(s->with->changes[0].at_us, 10051000);
	assert_int_equal(s->with->changes[0].state, ROSTER_EJECTED);
	assert_int_equal(s->with->changes[1].at_us, 20051000);
	assert_int_equal(s->with->changes[2].state, ROSTER_EJECTED);
	assert_true(
	    s->with->changes[3].at_us - s->with->changes[2].at_us == 20000000);
	done(s);
}

/* What is under way breaks off: a GET is tried again, a POST is not. */
static void
broken_off(void **state)
{
	struct simulate *s = play(TWO UNCHECKED "keepalive=0\n",
	    "rate 100/s even; latency 1s; connect 0;"
	    "at 10005ms: backend a down");

	(void)state;
	assert_int_equal(s->with->succeeded, s->with->requests);
	assert_int_equal(s->with->outcomes[ACCESS_RESET], 50);
	done(s);
	s = play(TWO UNCHECKED "keepalive=0\n",
	    "rate 100/s even; latency 1s; connect 0; mix POST;"
	    "at 10005ms: backend a down");
	assert_int_equal(s->with->requests - s->with->succeeded, 50);
	assert_int_equal(s->with->failed[SIM_LOSS_NOT_IDEMPOTENT][502], 50);
	done(s);
}

/* base 1 s, cap 1 h, no jitter: 1, 2, 4, 8, 16 s, and then it gives up. */
static void
doubling_waits(void **state)
{
	uint64_t all_us = 0;

	(void)state;
	for (unsigned n = 1; n <= 5; n++) {
		char pool[400];
		struct simulate *s;

		snprintf(pool, sizeof(pool),
		    "backend=127.0.0.1:1\n" UNCHECKED
		    "retry_attempts=%u\nretry_base=1s\nretry_cap=1h\n"
		    "retry_jitter=none\nrequest_timeout=1h\n",
		    n);
		s = play(pool,
		    "rate 1/s even; duration 1500ms; connect 0;"
		    "at 0: backend 1 down");
		all_us += 1000000ULL << (n - 1);
		assert_int_equal(s->with->requests, 1);
		assert_int_equal(s->with->attempts, n + 1);
		assert_int_equal(s->with->failed[SIM_LOSS_ATTEMPTS][502], 1);
		assert_int_equal(s->with->bad.max_us, all_us);
		assert_int_equal(s->with->end_us, 1000000 + all_us);
		done(s);
	}
	assert_int_equal(all_us, 31000000);
}

static void
all_fail(void **state)
{
	struct simulate *s = play(TWO, "rate 1000/s; at 0: backend * 503");
	const struct sim_tally *t = s->with;

	(void)state;
	assert_int_equal(t->succeeded, 0);
	assert_int_equal(
	    t->failed[SIM_LOSS_BUDGET][503] + t->failed[SIM_LOSS_ATTEMPTS][503],
	    t->requests);
	assert_true(t->attempts <= t->requests * 120 / 100 + 10 * 62);
	assert_true(t->attempts >= t->requests * 115 / 100);
	assert_true(t->broke_ticks > 500);
	done(s);
	s = play(TWO "retry_budget=0%\n", "at 0: backend * 503");
	assert_int_equal(s->with->attempts, s->with->requests);
	done(s);
	s = play(TWO "retry_attempts=0\n", "at 0: backend * 503");
	assert_int_equal(s->with->failed[SIM_LOSS_OFF][503], s->with->requests);
	done(s);
}

/* Checks alone: three in a row, two until it is back. */
static void
checks(void **state)
{
	struct simulate *s =
	    play(TWO "eject_failures=0\n", "at 10s for 20s: backend b down");
	struct sim_absence a = sim_absence_of(s->with, &s->script.faults[0], 1);

	(void)state;
	assert_int_equal(s->with->n_changes, 2);
	assert_int_equal(s->with->changes[0].state, ROSTER_DOWN);
	assert_true(a.out && a.back);
	assert_in_range(a.out_us, 13600000, 16700000);
	assert_in_range(a.back_us, 31800000, 34500000);
	assert_int_equal(s->with->succeeded, s->with->requests);
	done(s);
	/* To tcp checks a status is nothing, to http checks it is. */
	s = play(TWO "eject_failures=0\n", "backend b 500");
	assert_int_equal(s->with->n_changes, 0);
	done(s);
	s = play(TWO "eject_failures=0\nhealth=http\n", "backend b 500");
	assert_int_equal(s->with->n_changes, 1);
	done(s);
}

/* The last one is never ejected; when checks take it out, requests wait. */
static void
the_only_one(void **state)
{
	const char *pool = "backend=127.0.0.1:1\nqueue_timeout=300ms\n";
	struct simulate *s = play(pool, "at 10s for 30s: backend 1 down");

	(void)state;
	assert_int_equal(s->with->changes[0].state, ROSTER_DOWN);
	assert_true(s->with->failed[SIM_LOSS_QUEUE][503] > 1000);
	assert_true(s->with->failed[SIM_LOSS_ATTEMPTS][502] > 100);
	assert_true(s->with->queued >= s->with->lost[SIM_LOSS_QUEUE]);
	done(s);
	s = play(TWO "backend=127.0.0.1:3 name=c backup\n",
	    "backend a down; backend b down");
	assert_int_equal(s->without->backends[2].attempts, 0);
	assert_true(s->with->backends[2].attempts > 4000);
	done(s);
}

/* Idle connections to a host that is gone look fine: only time tells. */
static void
blackhole(void **state)
{
	struct simulate *s = play(TWO UNCHECKED "response_timeout=3s\n",
	    "at 10s for 20s: backend a blackhole");

	(void)state;
	assert_int_equal(s->with->succeeded, s->with->requests);
	assert_true(s->with->outcomes[ACCESS_TIMEOUT] > 0);
	assert_true(s->with->outcomes[ACCESS_CONNECT_TIMEOUT] > 0);
	assert_true(s->with->ok.max_us >= 3000000);
	done(s);
	s = play(TWO UNCHECKED "attempt_timeout=200ms\n",
	    "at 10s for 20s: backend a blackhole");
	assert_int_equal(s->with->succeeded, s->with->requests);
	assert_in_range(s->with->ok.max_us, 200000, 800000);
	done(s);
	s = play(TWO UNCHECKED "request_timeout=1s\n",
	    "at 10s for 20s: backend * blackhole");
	assert_true(s->with->failed[SIM_LOSS_TIME][504] > 1000);
	assert_int_equal(s->with->bad.max_us, 1000000);
	done(s);
}

/* Limits of connections: the rest waits, nobody is lost. */
static void
limits(void **state)
{
	struct simulate *s =
	    play("backend=127.0.0.1:1 max=2\n", "rate 100/s; latency 15ms");

	(void)state;
	assert_int_equal(s->with->succeeded, s->with->requests);
	assert_true(s->with->queued > 100);
	done(s);
	s = play("backend=127.0.0.1:1 max=2\nqueue_size=3\n",
	    "rate 1000/s; latency 20ms");
	/* 2 at a time of 20 ms: 100 a second. */
	assert_in_range(s->with->succeeded, 5900, 6100);
	assert_int_equal(s->with->failed[SIM_LOSS_QUEUE][503],
	    s->with->requests - s->with->succeeded);
	done(s);
}

static void
slow_start(void **state)
{
	struct simulate *s = play(TWO UNCHECKED "slow_start=20s\n",
	    "rate 500/s; duration 40s; at 10s for 5s: backend a down");
	struct simulate *t;

	(void)state;
	inifile_free(&file);
	t = play(TWO UNCHECKED,
	    "rate 500/s; duration 40s; at 10s for 5s: backend a down");
	assert_true(s->with->backends[0].attempts + 1000 <
	    t->with->backends[0].attempts);
	simulate_free(s);
	done(t);
}

static void
percentiles(void **state)
{
	struct sim_latency *l = calloc(1, sizeof(*l));

	(void)state;
	assert_non_null(l);
	assert_int_equal(sim_latency_at(l, 50), 0);
	for (uint64_t us = 1; us <= 1000000; us++)
		sim_latency_add(l, us);
	assert_in_range(sim_latency_at(l, 50), 500000, 505000);
	assert_in_range(sim_latency_at(l, 99), 990000, 1000000);
	assert_int_equal(sim_latency_at(l, 100), 1000000);
	sim_latency_add(l, UINT64_MAX);
	assert_true(sim_latency_at(l, 100) == UINT64_MAX);
	free(l);
}

static void
put(struct textbuf *out, const struct simulate *s, bool json)
{
	out->len = 0;
	if (json)
		sim_json_put(out, &s->report);
	else
		sim_report_put(out, &s->report);
	assert_false(out->full);
	out->ptr[out->len] = '\0';
}

/* It says what the biggest loss hangs on; and nothing when there is none. */
static void
advice(void **state)
{
	static char bytes[65536];
	struct textbuf out = textbuf_make(bytes, sizeof(bytes) - 1);
	struct simulate *s = play(TWO, "at 0: backend * 503; rate 500/s");

	(void)state;
	put(&out, s, false);
	assert_non_null(strstr(bytes, "The retry budget was used up for "));
	assert_non_null(strstr(bytes, "of those that were, 0 % succeeded."));
	put(&out, s, true);
	assert_non_null(strstr(bytes, "\"advice\":\"The retry budget"));
	done(s);
	s = play(TWO, "mix POST; backend * reset 10%");
	put(&out, s, false);
	assert_non_null(strstr(bytes, "because a POST or PATCH"));
	done(s);
	s = play(TWO "attempt_timeout=5s\nretry_budget=100%\n",
	    "backend 1 slow 10s");
	put(&out, s, false);
	assert_non_null(strstr(bytes, "attempt_timeout 5 s."));
	done(s);
	s = play(TWO, "seed 1; duration 9s");
	put(&out, s, true);
	assert_non_null(strstr(bytes, "\"advice\":\"\""));
	done(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(calm),
	    cmocka_unit_test(same_seed),
	    cmocka_unit_test(one_of_two_refuses),
	    cmocka_unit_test(broken_off),
	    cmocka_unit_test(doubling_waits),
	    cmocka_unit_test(all_fail),
	    cmocka_unit_test(checks),
	    cmocka_unit_test(the_only_one),
	    cmocka_unit_test(blackhole),
	    cmocka_unit_test(limits),
	    cmocka_unit_test(slow_start),
	    cmocka_unit_test(percentiles),
	    cmocka_unit_test(advice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
