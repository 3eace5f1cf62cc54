/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "evenkeel/base/rng.h"
#include "loop_until.h"

#define MANY 500

struct note {
	struct alarm alarm;
	uint64_t due_us;
	unsigned rang;
	struct alarm *cancels;
	bool again;
};

static struct note notes[MANY];
static unsigned rung;
static uint64_t last_due_us;

static void
on_note(struct alarm *a)
{
	struct note *n = ALARM_OWNER(a, struct note, alarm);

	/* Never early, and in the order of their times. */
	assert_true(clock_monotonic_us() >= n->due_us);
	assert_true(n->due_us >= last_due_us);
	assert_false(a->pending);
	last_due_us = n->due_us;
	n->rang++;
	rung++;
	if (n->cancels != NULL)
		alarm_cancel(loop, n->cancels);
	if (n->again)
		alarm_arm(loop, a, 0);
}

static int
open_notes(void **state)
{
	for (size_t i = 0; i < MANY; i++) {
		notes[i] = (struct note){.due_us = 0};
		alarm_init(&notes[i].alarm, on_note);
	}
	rung = 0;
	last_due_us = 0;
	return open_loop(state);
}

static void
arm(struct note *n, uint64_t due_us)
{
	n->due_us = due_us;
	alarm_arm(loop, &n->alarm, due_us);
}

static void
never_early_and_once(void **state)
{
	uint64_t now_us = clock_monotonic_us();

	(void)state;
	arm(&notes[0], now_us + 3000);
	arm(&notes[1], now_us + 1500);
	TURN_UNTIL(rung == 2);
	assert_int_equal(notes[0].rang, 1);
	assert_int_equal(notes[1].rang, 1);
	for (int i = 0; i < 5; i++)
		turn_once();
	assert_int_equal(rung, 2);
}

/* Nobody else wakes the loop: the poll itself ends in time. */
static void
wakes_a_sleeping_loop(void **state)
{
	uint64_t late_us, best_us = UINT64_MAX;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		arm(&notes[i], clock_monotonic_us() + 2000);
		while (notes[i].rang == 0) {
			loop->stopping = false;
			loop_run(loop);
		}
		late_us = clock_monotonic_us() - notes[i].due_us;
		best_us = late_us < best_us ? late_us : best_us;
	}
	assert_true(best_us < 1000);
}

static void
moved_and_cancelled(void **state)
{
	uint64_t now_us = clock_monotonic_us();

	(void)state;
	alarm_cancel(loop, &notes[0].alarm);
	arm(&notes[0], now_us + 3600000000);
	arm(&notes[1], now_us + 1000);
	arm(&notes[0], now_us + 2000);
	arm(&notes[2], now_us + 1500);
	alarm_cancel(loop, &notes[2].alarm);
	assert_false(notes[2].alarm.pending);
	TURN_UNTIL(rung == 2);
	assert_int_equal(notes[2].rang, 0);
	/* The nearest moved away: one wake-up for nothing, nothing rings. */
	arm(&notes[3], clock_monotonic_us() + 500);
	turn_once();
	if (notes[3].rang == 0)
		arm(&notes[3], clock_monotonic_us() + 1500);
	TURN_UNTIL(notes[3].rang == 1);
}

static void
one_cancels_another(void **state)
{
	(void)state;
	arm(&notes[0], 1);
	arm(&notes[1], 2);
	notes[0].cancels = &notes[1].alarm;
	TURN_UNTIL(rung == 1);
	turn_once();
	assert_int_equal(notes[1].rang, 0);
}

/* The poll has its turn between two times of one that is always due. */
static void
again_at_once_is_a_turn_later(void **state)
{
	unsigned before;

	(void)state;
	notes[0].again = true;
	arm(&notes[0], 0);
	TURN_UNTIL(rung == 1);
	before = turns;
	TURN_UNTIL(rung == 6);
	assert_true(turns - before >= 5);
	notes[0].again = false;
	TURN_UNTIL(rung == 7);
}

static void
a_herd_is_spread_over_turns(void **state)
{
	(void)state;
	for (size_t i = 0; i < MANY; i++)
		arm(&notes[i], 5);
	TURN_UNTIL(rung > 0);
	assert_int_equal(rung, ALARM_BURST);
	TURN_UNTIL(rung == MANY);
}

/* Against a list: whatever is armed, moved and cancelled. */
static void
like_a_sorted_list(void **state)
{
	uint64_t now_us = clock_monotonic_us();
	unsigned left = 0;
	struct rng rng;

	(void)state;
	rng_init(&rng, 7);
	for (int i = 0; i < 20000; i++) {
		struct note *n = &notes[rng_upto(&rng, MANY - 1)];

		if (rng_upto(&rng, 3) == 0)
			alarm_cancel(loop, &n->alarm);
		else
			arm(n, now_us - rng_upto(&rng, 1000000));
	}
	for (size_t i = 0; i < MANY; i++)
		left += notes[i].alarm.pending;
	assert_true(left > MANY / 2);
	TURN_UNTIL(rung == left);
	assert_null(loop->alarms.first);
	for (size_t i = 0; i < MANY; i++)
		assert_true(notes[i].rang <= 1);
}

#define ON_LOOP(test) \
	cmocka_unit_test_setup_teardown(test, open_notes, close_loop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    ON_LOOP(never_early_and_once),
	    ON_LOOP(wakes_a_sleeping_loop),
	    ON_LOOP(moved_and_cancelled),
	    ON_LOOP(one_cancels_another),
	    ON_LOOP(again_at_once_is_a_turn_later),
	    ON_LOOP(a_herd_is_spread_over_turns),
	    ON_LOOP(like_a_sorted_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
