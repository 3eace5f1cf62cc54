/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "evenkeel/net/clock.h"
#include "evenkeel/net/system.h"

/* Never more than the affinity mask allows; one processor is one worker. */
static void
processors(void **state)
{
	cpu_set_t all, one;
	size_t first = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	assert_in_range(system_cpus(), 1, CPU_COUNT(&all));
	while (!CPU_ISSET(first, &all))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(system_cpus(), 1);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

static void
seeds_differ(void **state)
{
	uint64_t a = system_seed(), b = system_seed();

	(void)state;
	assert_true(a != b);
	assert_true(a != 0 || system_seed() != 0);
}

/* The plain way: ask for each number. */
static uint64_t
open_files(void)
{
	uint64_t n = 0;

	for (int fd = 0; fd < 4096; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
files_are_counted(void **state)
{
	struct system_usage before, after;
	int fds[10];

	(void)state;
	system_usage(&before);
	assert_int_equal(before.open_files, open_files());
	for (size_t i = 0; i < 10; i++) {
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		assert_true(fds[i] >= 0);
	}
	system_usage(&after);
	assert_int_equal(after.open_files, before.open_files + 10);
	for (size_t i = 0; i < 10; i++)
		close(fds[i]);
	system_usage(&after);
	assert_int_equal(after.open_files, before.open_files);
}

static void
the_limit_of_files_is_raised(void **state)
{
	struct rlimit before, low;
	struct system_usage u;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	system_usage(&u);
	assert_int_equal(u.max_files, 64);
	assert_true(system_raise_files() == before.rlim_max);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &low), 0);
	assert_true(low.rlim_cur == before.rlim_max);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void
memory_and_time_are_used(void **state)
{
	enum { BYTES = 32 << 20 };
	struct system_usage before, after;
	uint64_t began_us = clock_monotonic_us();
	volatile char *p;

	(void)state;
	system_usage(&before);
	p = malloc(BYTES);
	assert_non_null(p);
	for (size_t i = 0; i < BYTES; i += 1024)
		p[i] = 1;
	do
		system_usage(&after);
	while (after.cpu_us < before.cpu_us + 20000 &&
	    clock_monotonic_us() - began_us < 20000000);
	assert_true(after.cpu_us >= before.cpu_us + 20000);
	assert_true(after.resident_bytes >= before.resident_bytes + BYTES / 2);
	assert_true(after.virtual_bytes >= after.resident_bytes);
	free((void *)(uintptr_t)p);
}

/* This process began before now, and not long ago. */
static void
the_start_is_known(void **state)
{
	uint64_t now_ms = clock_unix_ms();
	struct system_usage u;

	(void)state;
	system_usage(&u);
	/* It is counted in hundredths of a second. */
	assert_true(u.start_unix_ms <= now_ms + 20);
	assert_true(u.start_unix_ms + 120000 >= now_ms);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(processors),
	    cmocka_unit_test(seeds_differ),
	    cmocka_unit_test(files_are_counted),
	    cmocka_unit_test(the_limit_of_files_is_raised),
	    cmocka_unit_test(memory_and_time_are_used),
	    cmocka_unit_test(the_start_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
