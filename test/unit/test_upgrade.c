/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>

#include "evenkeel/control/upgrade.h"
#include "evenkeel/net/listener.h"
#include "loop_until.h"

static struct upgrade_program program;
static struct log *log_;
static struct log_ring *ring;
static pid_t done_pid;
static char done_words[64];
static unsigned failures;
static char folder[64], log_path[96];

static void
on_done(pid_t pid, struct span words, void *arg)
{
	assert_ptr_equal(arg, &failures);
	done_pid = pid;
	(void)snprintf(
	    done_words, sizeof(done_words), "%.*s", (int)words.len, words.ptr);
}

static void
on_failed(void *arg)
{
	assert_ptr_equal(arg, &failures);
	failures++;
}

static const struct upgrade_ops ops = {
    .on_done = on_done, .on_failed = on_failed};

static int
set_up(void **state)
{
	char bytes[256];
	struct textbuf why = textbuf_make(bytes, sizeof(bytes));
	struct log_options o = {
	    .log = log_path, .access = "off", .level = LOG_LEVEL_INFO};

	(void)snprintf(folder, sizeof(folder), "/tmp/test_upgrade.XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(log_path, sizeof(log_path), "%s/log", folder);
	log_ = log_create(&o, &why);
	if (log_ == NULL)
		return -1;
	ring = log_ring_create(log_, "test");
	done_pid = 0;
	failures = 0;
	return log_start(log_) ? open_loop(state) : -1;
}

static int
tear_down(void **state)
{
	(void)unlink(log_path);
	(void)rmdir(folder);
	return close_loop(state);
}

/* What the log says; ends it. */
static const char *
logged(void)
{
	static char text[8192];
	FILE *f;
	size_t n;

	log_free(log_);
	f = fopen(log_path, "re");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	return text;
}

/* A shell script that has the pipe as $P and the value handed over as $V. */
static struct upgrade *
upgrade_to(const char *script)
{
	static char text[512];
	static char *argv[] = {"bash", "-c", text, NULL};
	struct upgrade *u =
	    upgrade_create(loop, ring, &program, &ops, &failures);

	assert_non_null(u);
	(void)snprintf(text, sizeof(text),
	    "set -- $EVENKEEL_UPGRADE; P=$2; shift 2; V=$*; %s", script);
	program.argv = argv;
	(void)snprintf(program.path, sizeof(program.path), "/bin/bash");
	return u;
}

static void
it_takes_over(void **state)
{
	struct upgrade *u = upgrade_to("echo \"ready $V\" >&$P; kill -STOP $$");
	struct address a, bound;
	const struct cfg_addr from = {
	    .kind = CFG_ADDR_INET4, .host = "127.0.0.1", .port = 0};
	char bytes[64];
	struct textbuf why = textbuf_make(bytes, sizeof(bytes));
	struct inherit_socket s = {
	    .kind = INHERIT_GROUP, .label = SPAN("main 127.0.0.1:0")};

	(void)state;
	assert_true(address_resolve(&a, &from, &why));
	assert_true(listener_bind(&a, &s.fd, 1, &bound, &why));
	assert_int_equal(upgrade_state(u), UPGRADE_IDLE);
	upgrade_start(u, &s, 1, SPAN("x"));
	assert_int_equal(upgrade_state(u), UPGRADE_STARTING);
	TURN_UNTIL(done_pid != 0);
	assert_int_equal(upgrade_state(u), UPGRADE_DONE);
	(void)snprintf(
	    bytes, sizeof(bytes), "%d group main 127.0.0.1:0 more x", s.fd);
	assert_string_equal(done_words, bytes);
	/* It lives on, whatever becomes of this process. */
	upgrade_cancel(u);
	upgrade_free(u);
	assert_int_equal(kill(done_pid, 0), 0);
	assert_int_equal(kill(done_pid, SIGKILL), 0);
	assert_int_equal(failures, 0);
	close(s.fd);
	assert_non_null(strstr(logged(), "upgrade: starting /bin/bash\n"));
}

static void
fails(const char *script, uint32_t limit_ms, const char *reason)
{
	struct upgrade *u = upgrade_to(script);
	char line[256];

	if (limit_ms != 0)
		upgrade_set_limit(u, limit_ms);
	upgrade_start(u, NULL, 0, SPAN_NONE);
	TURN_UNTIL(failures == 1);
	assert_int_equal(upgrade_state(u), UPGRADE_IDLE);
	assert_int_equal(done_pid, 0);
	assert_int_equal(loop->wheel.linked, 0);
	/* Another one may follow. */
	upgrade_start(u, NULL, 0, SPAN_NONE);
	TURN_UNTIL(failures == 2);
	upgrade_free(u);
	(void)snprintf(line, sizeof(line),
	    "error upgrade failed, this process goes on: %s\n", reason);
	assert_non_null(strstr(logged(), line));
}

static void
it_says_why_it_fails(void **state)
{
	(void)state;
	fails("echo 'failed no room' >&$P; echo 'failed more' >&$P; exit 1", 0,
	    "no room");
}

static void
it_ends_without_a_word(void **state)
{
	(void)state;
	fails("echo nonsense >&$P; exit 7", 0,
	    "the new process ended (exit code 7) before it served");
}

static void
it_takes_too_long(void **state)
{
	(void)state;
	fails("kill -STOP $$", 1000,
	    "the new process did not serve within 1 s and was ended");
}

static void
it_stops_with_this_one(void **state)
{
	struct upgrade *u = upgrade_to("kill -STOP $$");

	(void)state;
	upgrade_cancel(u);
	upgrade_start(u, NULL, 0, SPAN_NONE);
	upgrade_free(u);
	upgrade_free(NULL);
	u = upgrade_to("while :; do :; done");
	upgrade_start(u, NULL, 0, SPAN_NONE);
	upgrade_cancel(u);
	TURN_UNTIL(failures == 1);
	upgrade_free(u);
	assert_non_null(strstr(
	    logged(), "the upgrade is given up, for this process stops"));
}

static void
its_end_after_that_is_told(void **state)
{
	struct upgrade *u = upgrade_to("echo ready 2 >&$P; exit 1");

	(void)state;
	upgrade_start(u, NULL, 0, SPAN_NONE);
	TURN_UNTIL(done_pid != 0);
	turn_once();
	TURN_UNTIL(kill(done_pid, 0) != 0);
	assert_int_equal(upgrade_state(u), UPGRADE_DONE);
	assert_int_equal(failures, 0);
	upgrade_free(u);
	assert_non_null(strstr(logged(), "nobody listens now"));
}

static void
there_is_no_such_program(void **state)
{
	struct upgrade *u = upgrade_to("");
	const char *text;

	(void)state;
	program.path[0] = '\0';
	upgrade_start(u, NULL, 0, SPAN_NONE);
	(void)snprintf(program.path, sizeof(program.path), "/nonexistent/x");
	upgrade_start(u, NULL, 0, SPAN_NONE);
	assert_int_equal(upgrade_state(u), UPGRADE_IDLE);
	assert_int_equal(failures, 0);
	upgrade_free(u);
	text = logged();
	assert_non_null(strstr(text, "the program's file cannot be found"));
	assert_non_null(strstr(text, "/nonexistent/x: No such file"));
}

/* ---- which file ---- */

static void
assert_finds(const char *word, const char *expected)
{
	static struct upgrade_program p;
	char text[256];
	char *argv[] = {text, NULL};

	(void)snprintf(text, sizeof(text), "%s", word);
	upgrade_find_program(&p, argv);
	assert_string_equal(p.path, expected);
	assert_ptr_equal(p.argv, argv);
}

static void
the_file_is_found(void **state)
{
	char own[4096], cwd[2048], relative[128];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);

	(void)state;
	assert_true(n > 0);
	own[n] = '\0';
	assert_finds("/bin/bash", "/bin/bash");
	assert_finds("bash", own);
	assert_finds("", own);
	assert_finds("/nonexistent/x", own);
	assert_finds("nonexistent/x", own);
	/* Links are left alone. */
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	(void)snprintf(relative, sizeof(relative), "%s/link", folder);
	assert_int_equal(symlink("/bin/bash", relative), 0);
	assert_finds(relative, relative);
	assert_int_equal(chdir(folder), 0);
	(void)snprintf(own, sizeof(own), "%s/./link", folder);
	assert_finds("./link", own);
	assert_int_equal(chdir(cwd), 0);
	(void)unlink(relative);
	log_free(log_);
}

#define LOOPED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    LOOPED(it_takes_over),
	    LOOPED(it_says_why_it_fails),
	    LOOPED(it_ends_without_a_word),
	    LOOPED(it_takes_too_long),
	    LOOPED(it_stops_with_this_one),
	    LOOPED(its_end_after_that_is_told),
	    LOOPED(there_is_no_such_program),
	    LOOPED(the_file_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
