/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "evenkeel/control/sim_script.h"
#include "evenkeel/net/inifile.h"

static struct inifile file;
static struct sim_script script;
static char why[512];

static int
open_config(void **state)
{
	(void)state;
	assert_true(inifile_parse(&file,
	    SPAN("[listener l]\nbind=127.0.0.1:1\npool=web\n"
		 "[pool web]\n"
		 "backend=127.0.0.1:3001 name=alpha\n"
		 "backend=127.0.0.1:3002 name=beta\n"
		 "backend=127.0.0.1:3003\n"
		 "[pool api]\nbackend=127.0.0.1:4001 name=gamma\n"
		 "[route r]\npath=/api\npool=api\n")));
	assert_non_null(file.cfg);
	return 0;
}

static int
close_config(void **state)
{
	(void)state;
	inifile_free(&file);
	return 0;
}

static bool
parse(const char *text)
{
	struct textbuf out = textbuf_make(why, sizeof(why) - 1);
	bool fine = sim_script_parse(&script, file.cfg, span_of(text), &out);

	why[out.len] = '\0';
	return fine;
}

#define PARSE(text)                                    \
	do {                                           \
		if (!parse("pool web;" text))          \
			fail_msg("%s: %s", text, why); \
	} while (0)

#define FAILS(text, message)                               \
	do {                                               \
		if (parse("pool web;" text))               \
			fail_msg("%s: accepted", text);    \
		if (strstr(why, message) == NULL)          \
			fail_msg("%s: \"%s\"", text, why); \
	} while (0)

static void
defaults(void **state)
{
	(void)state;
	PARSE("");
	assert_int_equal(script.duration_us, 60000000);
	assert_int_equal(script.rate_milli, 100000);
	assert_int_equal(script.safe_share, SIM_WHOLE);
	assert_int_equal(script.seed, 1);
	assert_int_equal(script.n_faults, 0);
	assert_false(script.even);
}

static void
settings(void **state)
{
	(void)state;
	PARSE("duration 90s; rate 500/s even\nlatency 5ms..20ms # healthy\n"
	      "connect 0.5ms; mix GET 80% POST 15% DELETE 5%;; seed 77\r\n"
	      "# that is all");
	assert_int_equal(script.duration_us, 90000000);
	assert_int_equal(script.rate_milli, 500000);
	assert_true(script.even);
	assert_int_equal(script.latency.from_us, 5000);
	assert_int_equal(script.latency.to_us, 20000);
	assert_int_equal(script.connect.from_us, 500);
	assert_int_equal(script.connect.to_us, 500);
	assert_int_equal(script.safe_share, SIM_WHOLE / 100 * 85);
	assert_int_equal(script.seed, 77);
}

/* The same in other spellings. */
static void
forgiving(void **state)
{
	(void)state;
	PARSE("Duration = 1 m; RATE: 1200/min random\nlatency 5 .. 20 ms\n"
	      "mix post");
	assert_int_equal(script.duration_us, 60000000);
	assert_int_equal(script.rate_milli, 20000);
	assert_int_equal(script.latency.from_us, 5000);
	assert_int_equal(script.latency.to_us, 20000);
	assert_int_equal(script.safe_share, 0);
	PARSE("latency 5ms..1.25s; rate 2.5 rps");
	assert_int_equal(script.latency.to_us, 1250000);
	assert_int_equal(script.rate_milli, 2500);
	PARSE("latency 1s .. 2 s");
	assert_int_equal(script.latency.from_us, 1000000);
	assert_int_equal(script.latency.to_us, 2000000);
}

static void
example(void **state)
{
	const struct sim_fault *f = script.faults;

	(void)state;
	PARSE("backend 1 down 30 s; backend 2 5 % 503");
	assert_int_equal(script.n_faults, 2);
	assert_int_equal(f[0].kind, SIM_DOWN);
	assert_int_equal(f[0].backend, 0);
	assert_int_equal(f[0].share, SIM_WHOLE);
	assert_int_equal(f[0].from_us, 10000000);
	assert_int_equal(f[0].until_us, 40000000);
	assert_int_equal(f[1].kind, SIM_STATUS);
	assert_int_equal(f[1].backend, 1);
	assert_int_equal(f[1].status, 503);
	assert_int_equal(f[1].share, SIM_WHOLE / 20);
	assert_int_equal(f[1].from_us, 10000000);
	assert_true(f[1].until_us > 60000000);
	/* A short one has less time before. */
	PARSE("duration 6s; backend 1 down");
	assert_int_equal(f[0].from_us, 1000000);
}

static void
faults(void **state)
{
	const struct sim_fault *f = script.faults;

	(void)state;
	PARSE("at 10s for 30s: backend alpha down\n"
	      "at 0 until 2s backend beta blackhole\n"
	      "backend 127.0.0.1:3003 reset 50% from 1s\n"
	      "at 20s for 5s: backend * slow 2s\n"
	      "backend all is slow 1s..3s 0.1%\n"
	      "at 1s: backend beta 429 retry-after 5s for 1s");
	assert_int_equal(script.n_faults, 6);
	assert_int_equal(f[0].kind, SIM_DOWN);
	assert_int_equal(f[0].from_us, 10000000);
	assert_int_equal(f[0].until_us, 40000000);
	assert_int_equal(f[1].kind, SIM_BLACKHOLE);
	assert_int_equal(f[1].backend, 1);
	assert_int_equal(f[1].from_us, 0);
	assert_int_equal(f[1].until_us, 2000000);
	assert_int_equal(f[2].kind, SIM_RESET);
	assert_int_equal(f[2].backend, 2);
	assert_int_equal(f[2].share, SIM_WHOLE / 2);
	assert_int_equal(f[3].kind, SIM_SLOW);
	assert_int_equal(f[3].backend, SIM_ALL);
	assert_int_equal(f[3].slow.from_us, 2000000);
	assert_int_equal(f[3].slow.to_us, 2000000);
	assert_int_equal(f[4].slow.to_us, 3000000);
	assert_int_equal(f[4].share, SIM_WHOLE / 1000);
	assert_int_equal(f[5].status, 429);
	assert_int_equal(f[5].retry_after_ms, 5000);
	assert_int_equal(f[5].line, 6);
}

static void
mistakes(void **state)
{
	(void)state;
	FAILS("\n\nbackend 1 dwon",
	    "line 3: \"dwon\": unknown word "
	    "(did you mean down?)");
	FAILS("duratoin 3s", "did you mean duration?");
	FAILS("backend alpah down", "did you mean alpha?");
	FAILS("backend 4 down", "no backend of that number");
	FAILS("backend 0 down", "no backend of that number");
	FAILS("backend", "which backend?");
	FAILS("down 30s", "which backend?");
	FAILS("backend 1", "what is wrong with it?");
	FAILS("backend 1 503 down", "one fault in a statement");
	FAILS("backend 1 30 down", "neither a status");
	FAILS("backend 1 200", "neither a status");
	FAILS("backend 1 5030", "neither a status");
	FAILS("backend 1 slow", "a time is missing");
	FAILS("backend 1 slow quickly", "not a time");
	FAILS("backend 1 slow 3s..1s", "the longer time comes second");
	FAILS("backend 1 101% down", "neither a status");
	FAILS("backend 1 down retry-after 3s", "with a status only");
	FAILS("at 70s: backend 1 down", "begins after the end");
	FAILS("at 30s until 20s: backend 1 down", "ends before it begins");
	FAILS("at 1s for 0s backend 1 down", "no time at all");
	FAILS("until 20s backend 1 down", "needs `at`");
	FAILS("at 1s until 3s for 2s backend 1 down", "either");
	FAILS("at soon backend 1 down", "\"soon\": not a time");
	FAILS("duration 60", "\"60\": not a time");
	FAILS("duration 0s", "duration is 0");
	FAILS("duration 25h", "too long");
	FAILS("duration 99999999999999999999h", "too long");
	FAILS("duration", "a time is missing");
	FAILS("duration 3s 4s", "nothing more is expected");
	FAILS("rate", "not a rate");
	FAILS("rate 0/s", "allowed: 0.001/s");
	FAILS("rate 5/h", "not a rate");
	FAILS("rate 2000000/s", "allowed: 0.001/s");
	FAILS("rate 5/s oddly", "not even or random");
	FAILS("rate 1000000/s; duration 1h", "more than 20000000 requests");
	FAILS("seed x", "not a whole number");
	FAILS("mix", "a method is missing");
	FAILS("mix GTE 10%", "did you mean GET?");
	FAILS("mix GET 60% POST 50%", "more than 100%");
	FAILS("mix GET many", "not a share");
	FAILS("pool wbe", "did you mean web?");
	FAILS(
	    "a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a",
	    "too many words");
	assert_false(parse("backend 1 down"));
	assert_non_null(strstr(why, "several pools"));
	assert_true(parse("pool api; backend gamma down"));
	assert_false(parse("pool api; backend alpha down"));
}

static void
bounds(void **state)
{
	static char text[SIM_SCRIPT_BYTES + 2];
	size_t len = 0;

	(void)state;
	for (int i = 0; i <= SIM_FAULTS_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
		    "%sbackend 1 down", i == 0 ? "pool web;" : "\n");
	assert_false(parse(text));
	assert_non_null(strstr(why, "line 101: more than 100 faults"));
	memset(text, 'x', sizeof(text) - 1);
	assert_false(parse(text));
	assert_non_null(strstr(why, "longer than 64k"));
	/* A word of any length is no more than a mistake. */
	text[5000] = '\0';
	assert_false(parse(text));
	memcpy(text + 4990, " 1 s", 5);
	assert_false(parse(text));
	memset(text + 4, '9', 900);
	memcpy(text, "at 1", 4);
	text[904] = '\0';
	assert_false(parse(text));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults),
	    cmocka_unit_test(settings),
	    cmocka_unit_test(forgiving),
	    cmocka_unit_test(example),
	    cmocka_unit_test(faults),
	    cmocka_unit_test(mistakes),
	    cmocka_unit_test(bounds),
	};

	return cmocka_run_group_tests(tests, open_config, close_config);
}
