/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <semaphore.h>
#include <signal.h>

#include "evenkeel/net/thread.h"

static sigset_t seen;
static sem_t done;

static void *
look(void *arg)
{
	pthread_sigmask(SIG_SETMASK, NULL, &seen);
	sem_post(&done);
	return arg;
}

static void
assert_all_blocked(void)
{
	static const int ours[] = {
	    SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE};

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		assert_int_equal(sigismember(&seen, ours[i]), 1);
}

/* As a thread begun in the middle of a run, when the signals are allowed:
 * a second signal to stop has ended the process by its default action. */
static void
no_signal_for_it(void **state)
{
	sigset_t none, after;
	pthread_t thread;
	void *result = NULL;

	(void)state;
	sigemptyset(&none);
	sigemptyset(&seen);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	assert_true(thread_start(&thread, look, &seen));
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_ptr_equal(result, &seen);
	assert_int_equal(sem_wait(&done), 0);
	assert_all_blocked();
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	assert_int_equal(sigismember(&after, SIGTERM), 0);
}

static void
one_that_is_not_joined(void **state)
{
	(void)state;
	sigemptyset(&seen);
	assert_true(thread_start(NULL, look, NULL));
	assert_int_equal(sem_wait(&done), 0);
	assert_all_blocked();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_signal_for_it),
	    cmocka_unit_test(one_that_is_not_joined),
	};

	assert_int_equal(sem_init(&done, 0, 0), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
