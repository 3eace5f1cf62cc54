/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>

#include "evenkeel/net/spawn.h"
#include "loop_until.h"

static char heard[16384], ended[64];
static size_t lines;
static bool over;

static void
on_line(struct span line, void *arg)
{
	size_t len = strlen(heard);

	assert_ptr_equal(arg, &over);
	lines++;
	if (len + line.len + 2 > sizeof(heard))
		return;
	memcpy(heard + len, line.ptr, line.len);
	memcpy(heard + len + line.len, "|", 2);
}

static void
on_end(struct span how, void *arg)
{
	assert_ptr_equal(arg, &over);
	(void)snprintf(ended, sizeof(ended), "%.*s", (int)how.len, how.ptr);
	over = true;
}

static const struct spawn_ops ops = {.on_line = on_line, .on_end = on_end};

/* A shell that has the pipe as its descriptor $P. */
static struct spawn *
run(const char *script, const int *fds, size_t n_fds)
{
	static char variable[32];
	char bytes[256];
	struct textbuf why = textbuf_make(bytes, sizeof(bytes));
	struct spawn *s = spawn_create(loop, &ops, &over);
	char *const argv[] = {"bash", "-c", (char *)(uintptr_t)script, NULL};
	char *const envp[] = {variable, NULL};
	const struct spawn_program p = {.path = "/bin/bash",
	    .argv = argv,
	    .envp = envp,
	    .fds = fds,
	    .n_fds = n_fds};

	heard[0] = ended[0] = '\0';
	lines = 0;
	over = false;
	assert_non_null(s);
	(void)snprintf(variable, sizeof(variable), "P=%d", spawn_pipe(s));
	assert_int_equal(spawn_pid(s), 0);
	assert_true(spawn_run(s, &p, &why));
	assert_true(spawn_pid(s) > 0);
	return s;
}

static void
reports_and_ends(void **state)
{
	struct spawn *s = run("echo one >&$P; printf 'two\nthr' >&$P; "
			      "printf 'ee\nno end' >&$P; exit 3",
	    NULL, 0);

	(void)state;
	TURN_UNTIL(over);
	assert_string_equal(heard, "one|two|three|");
	assert_string_equal(ended, "exit code 3");
	assert_int_equal(spawn_pid(s), 0);
	spawn_signal(s, SIGKILL);
	spawn_free(s);
	spawn_free(NULL);
}

static void
a_signal_is_told(void **state)
{
	struct spawn *s = run("while :; do :; done", NULL, 0);

	(void)state;
	spawn_signal(s, SIGTERM);
	TURN_UNTIL(over);
	assert_string_equal(ended, "signal 15");
	spawn_free(s);
}

/* Whoever closes the pipe and lives is ended. */
static void
silence_is_an_end(void **state)
{
	struct spawn *s =
	    run("echo here >&$P; eval \"exec $P>&-\"; kill -STOP $$", NULL, 0);

	(void)state;
	TURN_UNTIL(over);
	assert_string_equal(heard, "here|");
	assert_string_equal(ended, "signal 9");
	spawn_free(s);
}

static void
long_lines_are_cut(void **state)
{
	struct spawn *s =
	    run("printf '%6000d\n%5d\n' 1 2 >&$P; exit 0", NULL, 0);

	(void)state;
	TURN_UNTIL(over);
	assert_int_equal(lines, 2);
	assert_int_equal(strlen(heard), SPAWN_LINE_BYTES + 1 + 5 + 1);
	assert_string_equal(heard + SPAWN_LINE_BYTES, "|    2|");
	spawn_free(s);
}

static void
only_what_is_named_is_inherited(void **state)
{
	int fds[2], named[1];
	char script[256];
	struct spawn *s;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	named[0] = fds[1];
	(void)snprintf(script, sizeof(script),
	    "for n in %d %d; do test -e /proc/$$/fd/$n && echo $n >&$P; done",
	    fds[0], fds[1]);
	s = run(script, named, 1);
	TURN_UNTIL(over);
	(void)snprintf(script, sizeof(script), "%d|", fds[1]);
	assert_string_equal(heard, script);
	spawn_free(s);
	close(fds[0]);
	close(fds[1]);
}

static void
no_program_is_said_at_once(void **state)
{
	char bytes[256];
	struct textbuf why = textbuf_make(bytes, sizeof(bytes) - 1);
	struct spawn *s = spawn_create(loop, &ops, &over);
	char *const none[] = {NULL};
	const struct spawn_program p = {
	    .path = "/nonexistent/program", .argv = none, .envp = none};

	(void)state;
	assert_non_null(s);
	assert_false(spawn_run(s, &p, &why));
	bytes[why.len] = '\0';
	assert_string_equal(
	    bytes, "/nonexistent/program: No such file or directory");
	assert_int_equal(spawn_pid(s), 0);
	spawn_free(s);
}

#define LOOPED(test) \
	cmocka_unit_test_setup_teardown(test, open_loop, close_loop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    LOOPED(reports_and_ends),
	    LOOPED(a_signal_is_told),
	    LOOPED(silence_is_an_end),
	    LOOPED(long_lines_are_cut),
	    LOOPED(only_what_is_named_is_inherited),
	    LOOPED(no_program_is_said_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
