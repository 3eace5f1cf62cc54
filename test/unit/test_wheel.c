/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "evenkeel/base/rng.h"
#include "evenkeel/net/wheel.h"

#define TICK  ((uint64_t)WHEEL_TICK_MS)
#define REACH (TICK * WHEEL_BUCKETS)

/* A timer that remembers when it went off, and what else to do then. */
struct probe {
	struct wheel_timer timer;
	unsigned fired;
	uint64_t fired_ms;
	struct probe *other; /* armed, disarmed or removed by this one */
	uint64_t other_ms;   /* WHEEL_NEVER: remove it */
};

static struct wheel wheel;
static uint64_t now;

static void
on_expired(struct wheel_timer *t, uint64_t now_ms)
{
	struct probe *p =
	    (struct probe *)(void *)((char *)t - offsetof(struct probe, timer));

	assert_int_equal(now_ms, now);
	p->fired++;
	p->fired_ms = now_ms;
	if (p->other == NULL)
		return;
	if (p->other_ms == WHEEL_NEVER)
		wheel_remove(&wheel, &p->other->timer);
	else
		wheel_arm(&wheel, &p->other->timer, p->other_ms);
}

static void
probe_init(struct probe *p)
{
	*p = (struct probe){.fired = 0};
	wheel_timer_init(&p->timer, on_expired);
}

static void
start(uint64_t at_ms)
{
	now = at_ms;
	wheel_init(&wheel, now);
}

static void
go_to(uint64_t ms)
{
	now = ms;
	wheel_advance(&wheel, ms);
}

/* Goes on millisecond by millisecond until `p` fires. */
static uint64_t
wait_for(struct probe *p, uint64_t at_most_ms)
{
	unsigned before = p->fired;

	while (p->fired == before) {
		assert_true(now < at_most_ms);
		go_to(now + 1);
	}
	return p->fired_ms;
}

static void
assert_on_time(uint64_t fired_ms, uint64_t deadline_ms)
{
	assert_true(fired_ms >= deadline_ms);
	assert_true(fired_ms <= deadline_ms + TICK);
}

/* From every offset inside a tick, for every deadline of some ticks. */
static void
never_early_and_a_tick_late_at_most(void **state)
{
	(void)state;
	for (uint64_t from = 100000; from < 100000 + TICK; from += 7)
		for (uint64_t in = 0; in < 4 * TICK; in += 3) {
			struct probe p;

			probe_init(&p);
			start(from);
			wheel_arm(&wheel, &p.timer, from + in);
			assert_on_time(
			    wait_for(&p, from + in + 2 * TICK), from + in);
			go_to(now + 3 * REACH);
			assert_int_equal(p.fired, 1);
			assert_int_equal(wheel.linked, 0);
		}
}

static void
past_deadlines_come_at_once(void **state)
{
	struct probe p;

	(void)state;
	probe_init(&p);
	start(100050);
	wheel_arm(&wheel, &p.timer, 5);
	assert_true(wait_for(&p, now + TICK) <= 100100);
}

static void
moved_later(void **state)
{
	struct probe p;

	(void)state;
	probe_init(&p);
	start(100000);
	wheel_arm(&wheel, &p.timer, 100300);
	for (uint64_t at = 100010; at < 150000; at += 110) {
		go_to(at);
		wheel_arm(&wheel, &p.timer, at + 250);
		assert_int_equal(wheel.linked, 1);
	}
	assert_int_equal(p.fired, 0);
	assert_on_time(wait_for(&p, now + 1000),
	    p.timer.deadline_ms == WHEEL_NEVER ? 150200 : p.timer.deadline_ms);
}

static void
moved_earlier(void **state)
{
	(void)state;
	for (uint64_t to = 100000; to < 101900; to += 11) {
		struct probe p;

		probe_init(&p);
		start(100000);
		wheel_arm(&wheel, &p.timer, 102000);
		wheel_arm(&wheel, &p.timer, to);
		assert_int_equal(wheel.linked, 1);
		assert_on_time(wait_for(&p, to + 2 * TICK), to);
		go_to(103000);
		assert_int_equal(p.fired, 1);
	}
}

static void
disarmed(void **state)
{
	struct probe p, gone;

	(void)state;
	probe_init(&p);
	probe_init(&gone);
	start(100000);
	wheel_arm(&wheel, &p.timer, 100200);
	wheel_arm(&wheel, &gone.timer, 100200);
	wheel_arm(&wheel, &p.timer, WHEEL_NEVER);
	wheel_remove(&wheel, &gone.timer);
	assert_int_equal(wheel.linked, 1);
	go_to(100100);
	/* and armed again before its old place came up */
	wheel_arm(&wheel, &p.timer, 100900);
	go_to(100800);
	assert_int_equal(p.fired, 0);
	assert_on_time(wait_for(&p, 101100), 100900);
	wheel_arm(&wheel, &p.timer, 101500);
	wheel_arm(&wheel, &p.timer, WHEEL_NEVER);
	go_to(110000);
	assert_int_equal(p.fired, 1);
	assert_int_equal(gone.fired, 0);
	assert_int_equal(wheel.linked, 0);
	wheel_remove(&wheel, &p.timer);
	wheel_remove(&wheel, &p.timer);
	assert_int_equal(wheel.linked, 0);
}

/* Deadlines around the wheel's reach and far beyond it. */
static void
far_deadlines(void **state)
{
	static const uint64_t far[] = {REACH - 2 * TICK, REACH - TICK, REACH,
	    REACH + 1, REACH + TICK, 2 * REACH, 3 * REACH + 77, 86400000};

	(void)state;
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		struct probe p;

		probe_init(&p);
		start(123456);
		wheel_arm(&wheel, &p.timer, 123456 + far[i]);
		while (now + 37 < 123456 + far[i]) {
			go_to(now + 37);
			assert_int_equal(p.fired, 0);
		}
		assert_on_time(wait_for(&p, now + 3 * TICK), 123456 + far[i]);
	}
}

/* A jump over everything: what is due fires once, what is not waits on. */
static void
long_sleep(void **state)
{
	static struct probe due[1000], later[1000];

	(void)state;
	start(500000);
	for (size_t i = 0; i < 1000; i++) {
		probe_init(&due[i]);
		probe_init(&later[i]);
		wheel_arm(&wheel, &due[i].timer, 500000 + i * 97);
		wheel_arm(&wheel, &later[i].timer, 9000000 + i * 97);
	}
	go_to(8999999);
	for (size_t i = 0; i < 1000; i++) {
		assert_int_equal(due[i].fired, 1);
		assert_int_equal(later[i].fired, 0);
	}
	assert_int_equal(wheel.linked, 1000);
	while (wheel.linked > 0) {
		go_to(now + 1);
		assert_true(now < 9200000);
	}
	for (size_t i = 0; i < 1000; i++)
		assert_on_time(later[i].fired_ms, 9000000 + i * 97);
}

/* However long it slept, every bucket is looked at once. */
static void
an_age_goes_by(void **state)
{
	struct probe p;

	(void)state;
	probe_init(&p);
	start(100000);
	wheel_arm(&wheel, &p.timer, 1ULL << 50);
	go_to((1ULL << 50) - 1);
	assert_int_equal(p.fired, 0);
	assert_on_time(wait_for(&p, now + 2 * TICK), 1ULL << 50);
}

/* Whoever fires first takes the other away: of each pair one fires. */
static void
removed_from_within(void **state)
{
	struct probe a, b;

	(void)state;
	for (uint64_t gap = 0; gap < 2 * TICK; gap += TICK / 2) {
		start(100000);
		probe_init(&a);
		probe_init(&b);
		a.other = &b;
		b.other = &a;
		a.other_ms = b.other_ms = WHEEL_NEVER;
		wheel_arm(&wheel, &a.timer, 100250);
		wheel_arm(&wheel, &b.timer, 100250 + gap);
		go_to(101000);
		assert_int_equal(a.fired + b.fired, 1);
		assert_int_equal(wheel.linked, 0);
	}
	/* itself */
	start(100000);
	probe_init(&a);
	a.other = &a;
	a.other_ms = WHEEL_NEVER;
	wheel_arm(&wheel, &a.timer, 100250);
	go_to(101000);
	assert_int_equal(a.fired, 1);
	assert_int_equal(wheel.linked, 0);
}

/* Arms itself again: once a deadline, also for one that is past already (the
 * next tick, not for ever in this one). */
static void
armed_from_within(void **state)
{
	struct probe p, other;

	(void)state;
	start(100000);
	probe_init(&p);
	p.other = &p;
	p.other_ms = 1;
	wheel_arm(&wheel, &p.timer, 100100);
	for (unsigned i = 1; i <= 5; i++) {
		go_to(100100 + i * TICK);
		assert_int_equal(p.fired, i);
	}
	wheel_remove(&wheel, &p.timer);

	/* One that is due in the same tick is put off by the first. */
	start(100000);
	probe_init(&p);
	probe_init(&other);
	p.other = &other;
	p.other_ms = 100777;
	wheel_arm(&wheel, &p.timer, 100250);
	wheel_arm(&wheel, &other.timer, 100251);
	go_to(100300);
	assert_int_equal(p.fired, 1);
	assert_int_equal(other.fired, 0);
	assert_on_time(wait_for(&other, 101000), 100777);
}

/* Many timers moved at random, against a plain list of their deadlines. */
static void
random_moves(void **state)
{
	enum { N = 64 };
	static struct probe p[N];
	uint64_t want[N];
	struct rng rng;

	(void)state;
	rng_init(&rng, 9);
	start(1000000);
	for (size_t i = 0; i < N; i++) {
		probe_init(&p[i]);
		want[i] = WHEEL_NEVER;
	}
	for (int step = 0; step < 200000; step++) {
		size_t i = rng_upto(&rng, N - 1);
		uint64_t scale = 10ULL << rng_upto(&rng, 13);

		want[i] = rng_upto(&rng, 7) == 0 ? WHEEL_NEVER
						 : now + rng_upto(&rng, scale);
		if (want[i] == WHEEL_NEVER && step % 2)
			wheel_remove(&wheel, &p[i].timer);
		else
			wheel_arm(&wheel, &p[i].timer, want[i]);
		go_to(now + rng_upto(&rng, 20));
		for (size_t k = 0; k < N; k++) {
			if (p[k].fired > 0) {
				assert_true(want[k] <= p[k].fired_ms);
				p[k].fired = 0;
				want[k] = WHEEL_NEVER;
			}
			assert_true(
			    want[k] == WHEEL_NEVER || now < want[k] + TICK + 1);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(never_early_and_a_tick_late_at_most),
	    cmocka_unit_test(past_deadlines_come_at_once),
	    cmocka_unit_test(moved_later),
	    cmocka_unit_test(moved_earlier),
	    cmocka_unit_test(disarmed),
	    cmocka_unit_test(far_deadlines),
	    cmocka_unit_test(long_sleep),
	    cmocka_unit_test(an_age_goes_by),
	    cmocka_unit_test(removed_from_within),
	    cmocka_unit_test(armed_from_within),
	    cmocka_unit_test(random_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
