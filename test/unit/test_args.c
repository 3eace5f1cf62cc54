/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "evenkeel/base/span.h"
#include "evenkeel/control/args.h"
#include "evenkeel/control/drain.h"

#define WORDS_MAX 8

static char program[] = "evenkeel";
static char *words[WORDS_MAX + 1];

/* What this command line asks for. */
static struct args
parsed(const char *const *line)
{
	struct args a;
	int n = 1;

	words[0] = program;
	for (; *line != NULL && n < WORDS_MAX; line++)
		words[n++] = (char *)(uintptr_t)*line;
	words[n] = NULL;
	args_parse(&a, n, words);
	return a;
}

#define PARSED(...) parsed((const char *const[]){__VA_ARGS__, NULL})

static void
without_a_word_it_runs(void **state)
{
	struct args a = parsed((const char *const[]){NULL});

	(void)state;
	assert_int_equal(a.verb, ARGS_RUN);
	assert_false(a.verb_given);
	assert_int_equal(a.exit, -1);
	assert_null(a.file);
	assert_null(a.control);
	assert_int_equal(a.wait_ms, DRAIN_FOREVER);
}

static void
verbs(void **state)
{
	(void)state;
	assert_int_equal(PARSED("run").verb, ARGS_RUN);
	assert_int_equal(PARSED("check").verb, ARGS_CHECK);
	assert_int_equal(PARSED("-t").verb, ARGS_CHECK);
	assert_int_equal(PARSED("reload").verb, ARGS_RELOAD);
	assert_int_equal(PARSED("status", "--json").verb, ARGS_STATUS);
	assert_int_equal(PARSED("drain", "p/b").verb, ARGS_DRAIN);
	assert_int_equal(PARSED("undrain", "p/b").verb, ARGS_UNDRAIN);
	assert_int_equal(PARSED("config", "--defaults").verb, ARGS_CONFIG);
	assert_int_equal(PARSED("simulate", "-").verb, ARGS_SIMULATE);
	assert_int_equal(PARSED("8080", "3000").verb, ARGS_INLINE);
}

static void
paths_stand_anywhere(void **state)
{
	struct args a = PARSED("-c", "f", "reload", "--control", "s");

	(void)state;
	assert_int_equal(a.exit, -1);
	assert_int_equal(a.verb, ARGS_RELOAD);
	assert_string_equal(a.file, "f");
	assert_string_equal(a.control, "s");
}

static void
what_drain_takes(void **state)
{
	struct args a = PARSED("drain", "--wait", "2m", "p/b");

	(void)state;
	assert_int_equal(a.exit, -1);
	assert_int_equal(a.wait_ms, 120000);
	assert_string_equal(a.whom, "p/b");
}

static void
what_simulate_takes(void **state)
{
	struct args a = PARSED("simulate", "--seed", "7", "x", "--json");

	(void)state;
	assert_int_equal(a.exit, -1);
	assert_string_equal(a.seed, "7");
	assert_string_equal(a.script, "x");
	assert_true(a.json);
}

static void
mistakes(void **state)
{
	static const char *const lines[][4] = {
	    {"nonsense"},
	    {"reload", "x"},
	    {"reload", "p/b"},
	    {"reload", "--json"},
	    {"reload", "--wait", "1s"},
	    {"reload", "reload"},
	    {"status", "--demo"},
	    {"run", "--defaults"},
	    {"drain"},
	    {"drain", "p"},
	    {"undrain", "p/b", "p/c"},
	    {"undrain", "p/b", "--wait"},
	    {"drain", "p/b", "--wait"},
	    {"simulate"},
	    {"8080"},
	    {"-c"},
	    {"reload", "--control"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const char *line[5] = {
		    lines[i][0], lines[i][1], lines[i][2], lines[i][3]};

		assert_int_equal(parsed(line).exit, 2);
	}
}

static void
a_control_path_has_a_limit(void **state)
{
	char path[109];

	(void)state;
	memset(path, 'x', sizeof(path));
	path[107] = '\0';
	assert_int_equal(PARSED("reload", "--control", path).exit, -1);
	path[107] = 'x';
	path[108] = '\0';
	assert_int_equal(PARSED("reload", "--control", path).exit, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_a_word_it_runs),
	    cmocka_unit_test(verbs),
	    cmocka_unit_test(paths_stand_anywhere),
	    cmocka_unit_test(what_drain_takes),
	    cmocka_unit_test(what_simulate_takes),
	    cmocka_unit_test(mistakes),
	    cmocka_unit_test(a_control_path_has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
