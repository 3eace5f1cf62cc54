/* A loop in a test: single turns, and turns until something is true. */
#ifndef TEST_LOOP_UNTIL_H
#define TEST_LOOP_UNTIL_H

#include <event2/event.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "evenkeel/net/clock.h"
#include "evenkeel/net/loop.h"

/* Nothing here takes a hundredth of it. */
#define UNTIL_US 20000000ULL

static struct loop *loop;
static unsigned turns;

static void
until_on_turn(void *arg)
{
	(void)arg;
	turns++;
	loop_stop(loop);
}

static const struct loop_ops until_ops = {.on_turn = until_on_turn};

static inline int
open_loop(void **state)
{
	(void)state;
	loop = loop_create(0, &until_ops, NULL);
	turns = 0;
	return loop != NULL ? 0 : -1;
}

/* Every buffer must have come back; after a failed test it has not, and
 * loop_free would end the others too. */
static inline int
close_loop(void **state)
{
	(void)state;
	if (loop->bufs.n_lent != 0)
		return -1;
	loop_free(loop);
	loop = NULL;
	return 0;
}

static void
until_nothing(struct loop_task *t)
{
	(void)t;
}

/* One turn that does not block. */
static inline void
turn_once(void)
{
	struct loop_task t;

	loop_task_init(&t, until_nothing);
	loop_ready(loop, &t);
	loop->stopping = false;
	loop_run(loop);
}

/* Turns until `x`, which is a fact to come. */
#define TURN_UNTIL(x)                                                    \
	do {                                                             \
		uint64_t since_us = clock_monotonic_us();                \
		while (!(x)) {                                           \
			assert_true(                                     \
			    clock_monotonic_us() - since_us < UNTIL_US); \
			turn_once();                                     \
		}                                                        \
	} while (0)

#endif
