/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "loop_until.h"

/* A task that writes down when it ran. */
struct note {
	struct loop_task task;
	char name;
	unsigned again; /* queues itself that many times more */
	struct note *buries;
};

static char written[64];

static void
write_down(char c)
{
	size_t len = strlen(written);

	assert_true(len + 1 < sizeof(written));
	written[len] = c;
	written[len + 1] = '\0';
}

static void
on_note(struct loop_task *t)
{
	struct note *n = LOOP_TASK_OWNER(t, struct note, task);

	write_down(n->name);
	if (n->buries != NULL)
		loop_bury(loop, &n->buries->task);
	if (n->again > 0) {
		n->again--;
		loop_ready(loop, t);
	}
}

static void
note_init(struct note *n, char name)
{
	*n = (struct note){.name = name};
	loop_task_init(&n->task, on_note);
}

static int
open_notes(void **state)
{
	written[0] = '\0';
	return open_loop(state);
}

static void
ready_runs_in_order_and_once(void **state)
{
	struct note a, b, c;

	(void)state;
	note_init(&a, 'a');
	note_init(&b, 'b');
	note_init(&c, 'c');
	loop_ready(loop, &b.task);
	loop_ready(loop, &a.task);
	loop_ready(loop, &b.task);
	loop_ready(loop, &c.task);
	loop_task_cancel(&c.task);
	loop_task_cancel(&c.task);
	turn_once();
	assert_string_equal(written, "ba");
	turn_once();
	assert_string_equal(written, "ba");
}

/* The poll gets its turn between two runs of a task that queues itself. */
static void
ready_does_not_starve_the_poll(void **state)
{
	struct note a, b;

	(void)state;
	note_init(&a, 'a');
	note_init(&b, 'b');
	a.again = 3;
	loop_ready(loop, &a.task);
	loop_ready(loop, &b.task);
	turn_once();
	assert_string_equal(written, "ab");
	turn_once();
	assert_string_equal(written, "aba");
	turn_once();
	turn_once();
	turn_once();
	assert_string_equal(written, "abaaa");
}

static struct note *buried_by_turn;

static void
bury_on_turn(void *arg)
{
	(void)arg;
	write_down('|');
	if (buried_by_turn != NULL)
		loop_bury(loop, &buried_by_turn->task);
	buried_by_turn = NULL;
	loop_stop(loop);
}

/* At the end of the turn, behind its owner's flush, oldest first; what is
 * buried by a burial goes in the same turn. */
static void
graveyard_order(void **state)
{
	static const struct loop_ops ops = {.on_turn = bury_on_turn};
	struct note ready, a, b, c, d;

	(void)state;
	loop->ops = &ops;
	note_init(&ready, 'r');
	note_init(&a, 'a');
	note_init(&b, 'b');
	note_init(&c, 'c');
	note_init(&d, 'd');
	ready.buries = &a;
	a.buries = &c;
	buried_by_turn = &b;
	loop_bury(loop, &d.task);
	loop_ready(loop, &ready.task);
	turn_once();
	assert_string_equal(written, "r|dabc");
	assert_true(list_empty(&loop->graveyard));
}

static void
the_last_are_freed_with_the_loop(void **state)
{
	struct note a, b;

	(void)state;
	note_init(&a, 'a');
	note_init(&b, 'b');
	a.buries = &b;
	loop_bury(loop, &a.task);
	loop_free(loop);
	assert_string_equal(written, "ab");
	assert_int_equal(open_loop(NULL), 0);
}

/* ---- time ---- */

static void
time_stands_still_within_a_turn(void **state)
{
	uint64_t now_us, before_us = clock_monotonic_us();

	(void)state;
	turn_once();
	now_us = loop_now_us(loop);
	assert_true(now_us >= before_us);
	while (clock_monotonic_us() == now_us)
		;
	assert_true(loop_now_us(loop) == now_us);
	assert_true(loop_now_ms(loop) == now_us / 1000);
	turn_once();
	assert_true(loop_now_us(loop) > now_us);
}

static unsigned expired;

static void
on_expired(struct wheel_timer *t, uint64_t now_ms)
{
	(void)t;
	(void)now_ms;
	expired++;
}

/* The tick runs while a timer is filed, and not longer. */
static void
tick_stops_when_idle(void **state)
{
	struct wheel_timer t;
	uint64_t deadline_ms;

	(void)state;
	expired = 0;
	wheel_timer_init(&t, on_expired);
	loop_arm(loop, &t, WHEEL_NEVER);
	assert_false(loop->tick_pending);
	for (unsigned round = 1; round <= 2; round++) {
		turn_once();
		deadline_ms = loop_now_ms(loop) + 30;
		loop_arm(loop, &t, deadline_ms);
		assert_true(loop->tick_pending);
		assert_true(event_pending(loop->tick, EV_TIMEOUT, NULL));
		TURN_UNTIL(expired == round);
		assert_true(clock_monotonic_us() / 1000 >= deadline_ms);
		TURN_UNTIL(!loop->tick_pending);
		assert_false(event_pending(loop->tick, EV_TIMEOUT, NULL));
	}
}

/* One that is disarmed lets the tick stop too, once its place came up. */
static void
tick_stops_for_the_disarmed(void **state)
{
	struct wheel_timer t;

	(void)state;
	expired = 0;
	wheel_timer_init(&t, on_expired);
	loop_arm(loop, &t, loop_now_ms(loop) + 50);
	loop_arm(loop, &t, WHEEL_NEVER);
	TURN_UNTIL(!loop->tick_pending);
	assert_int_equal(expired, 0);
	assert_int_equal(loop->wheel.linked, 0);
}

/* A wheel that stood still for long does not run through the time between. */
static void
the_wheel_jumps_to_now(void **state)
{
	struct wheel_timer t;
	uint64_t deadline_ms;

	(void)state;
	expired = 0;
	wheel_timer_init(&t, on_expired);
	loop->wheel.tick -= 5000;
	turn_once();
	deadline_ms = loop_now_ms(loop) + 150;
	loop_arm(loop, &t, deadline_ms);
	assert_int_equal(loop->wheel.tick, loop_now_ms(loop) / WHEEL_TICK_MS);
	TURN_UNTIL(expired == 1);
	assert_true(clock_monotonic_us() / 1000 >= deadline_ms);
}

#define LOOPED(test) \
	cmocka_unit_test_setup_teardown(test, open_notes, close_loop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    LOOPED(ready_runs_in_order_and_once),
	    LOOPED(ready_does_not_starve_the_poll),
	    LOOPED(graveyard_order),
	    LOOPED(the_last_are_freed_with_the_loop),
	    LOOPED(time_stands_still_within_a_turn),
	    LOOPED(tick_stops_when_idle),
	    LOOPED(tick_stops_for_the_disarmed),
	    LOOPED(the_wheel_jumps_to_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
