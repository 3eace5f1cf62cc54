/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "evenkeel/net/clock.h"

#define BURN_US     20000
#define DEADLINE_US 20000000ULL

static _Atomic bool over;

static void *
burn_until_over(void *arg)
{
	(void)arg;
	while (!atomic_load(&over))
		;
	return NULL;
}

static uint64_t
process_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Of this thread alone, and only while it works. */
static void
time_of_a_thread(void **state)
{
	uint64_t start_us = clock_thread_us(), wall_us, all_us;
	pthread_t other;

	(void)state;
	wall_us = clock_monotonic_us();
	while (clock_thread_us() - start_us < BURN_US)
		;
	/* It cannot work more than time passes. */
	assert_true(clock_monotonic_us() - wall_us + 1000 >= BURN_US);
	atomic_store(&over, false);
	assert_int_equal(
	    pthread_create(&other, NULL, burn_until_over, NULL), 0);
	start_us = clock_thread_us();
	all_us = process_us();
	wall_us = clock_monotonic_us();
	while (process_us() - all_us < 10 * BURN_US) {
		assert_true(clock_monotonic_us() - wall_us < DEADLINE_US);
		clock_sleep_ms(1);
	}
	atomic_store(&over, true);
	pthread_join(other, NULL);
	assert_true(clock_thread_us() - start_us < 5 * BURN_US);
}

static void
both_go_on(void **state)
{
	uint64_t us = clock_monotonic_us(), ms = clock_unix_ms();

	(void)state;
	/* Both in their units: this is after 2020, before 2200. */
	assert_true(ms > 1577836800000ULL && ms < 7258118400000ULL);
	for (int i = 0; i < 1000; i++) {
		uint64_t now_us = clock_monotonic_us();

		assert_true(now_us >= us);
		us = now_us;
	}
	clock_sleep_ms(20);
	assert_true(clock_monotonic_us() - us >= 19000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(time_of_a_thread),
	    cmocka_unit_test(both_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
