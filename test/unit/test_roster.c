/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "evenkeel/control/enroll.h"
#include "evenkeel/control/lineup.h"

#define BACKENDS 5
#define WORKERS  2

static struct cfg_pool cfg;
static struct cfg_backend cfg_backends[BACKENDS];
static struct snapshot_pool pool;
static struct snapshot snapshot;
static struct backend *backends[BACKENDS];
static struct publish published;
static struct roster *roster;
static char said[8192];
static unsigned changes;
static uint64_t now_ms;
static uint64_t passed_generation; /* by all workers */

static void
on_change(void *arg)
{
	(void)arg;
	changes++;
}

static void
say(enum log_level level, const char *text, void *arg)
{
	static const char letters[] = "EWID";
	size_t len = strlen(said);

	(void)arg;
	snprintf(
	    said + len, sizeof(said) - len, "%c %s\n", letters[level], text);
}

static const struct roster_ops roster_ops = {
    .on_change = on_change, .say = say};

static void
tell(uint64_t generation, void *arg)
{
	(void)generation;
	(void)arg;
}

static uint64_t
passed(void *arg)
{
	(void)arg;
	return passed_generation;
}

static const struct publish_ops publish_ops = {.tell = tell, .passed = passed};

/* Pool "web" of n backends b0.., the last `backups` of them backups, that is
 * changed by the test before `begin`. */
static void
prepare(uint32_t n, uint32_t backups)
{
	struct address a = {.len = 0};
	char name[] = "b0";

	cfg = (struct cfg_pool){.name = "web",
	    .backends = cfg_backends,
	    .n_backends = n,
	    .health = CFG_HEALTH_TCP,
	    .health_rise = 2,
	    .health_fall = 3,
	    .eject_failures = 5,
	    .eject_base_ms = 10000,
	    .eject_cap_ms = 120000,
	    .eject_max_pct = 50};
	pool = (struct snapshot_pool){.cfg = &cfg,
	    .upstream = upstream_create("web", WORKERS),
	    .backends = backends,
	    .n_backends = n};
	snapshot = (struct snapshot){.pools = &pool, .n_pools = 1};
	for (uint32_t i = 0; i < n; i++) {
		name[1] = (char)('0' + i);
		cfg_backends[i] =
		    (struct cfg_backend){.backup = i >= n - backups};
		backends[i] =
		    backend_create(name, SPAN_NONE, &a, NULL, 1, WORKERS);
		assert_non_null(backends[i]);
		backends[i]->backup = cfg_backends[i].backup;
	}
	said[0] = '\0';
	now_ms = 1000000;
	passed_generation = UINT64_MAX;
}

static void
begin(void)
{
	publish_init(&published, &publish_ops, NULL);
	roster =
	    enroll_roster(&snapshot, &published, &roster_ops, NULL, now_ms);
	assert_non_null(roster);
	assert_true(lineup_publish(roster, now_ms));
}

static int
end(void **state)
{
	(void)state;
	publish_close(&published);
	enroll_free(roster);
	roster = NULL;
	for (size_t i = 0; i < pool.n_backends; i++)
		backend_free(backends[i]);
	upstream_free(pool.upstream);
	return 0;
}

static struct roster_member *
member(size_t i)
{
	return roster_member_of(backends[i]);
}

static void
publish(void)
{
	assert_true(lineup_publish(roster, now_ms));
}

static void
check(size_t i, unsigned n, const char *why)
{
	while (n-- > 0)
		roster_checked(roster, member(i),
		    why == NULL ? HEALTH_OK : HEALTH_FAILED, why, now_ms);
	publish();
}

static void
fail_requests(size_t i, uint32_t n)
{
	atomic_store(&backends[i]->failures, n);
	atomic_store(&backends[i]->last_failure, ACCESS_RESET);
	roster_failing(roster, backends[i], now_ms);
	publish();
}

/* How often each stands in the rotation: "1011" is b0, b2 and b3 once each;
 * "-" when there is none. */
static const char *
turns(struct rotation *_Atomic *place)
{
	static char text[BACKENDS + 1];
	const struct rotation *r = atomic_load(place);

	if (r == NULL)
		return "-";
	memset(text, 0, sizeof(text));
	memset(text, '0', pool.n_backends);
	for (size_t k = 0; k < r->entries; k++)
		for (size_t i = 0; i < pool.n_backends; i++)
			text[i] = (char)(text[i] + (r->turn[k] == backends[i]));
	return text;
}

static const char *
main_turns(void)
{
	return turns(&pool.upstream->rotation);
}

static void
assert_said(const char *text)
{
	assert_string_equal(said, text);
	said[0] = '\0';
}

/* ---- checks ---- */

static void
down_and_up_again(void **state)
{
	(void)state;
	prepare(2, 0);
	begin();
	assert_string_equal(main_turns(), "11");
	check(1, 2, "connection refused");
	assert_string_equal(main_turns(), "11");
	assert_said("");
	check(1, 1, "status 503");
	assert_string_equal(main_turns(), "10");
	assert_int_equal(member(1)->state, ROSTER_DOWN);
	assert_said("W pool web: backend b1 is down: 3 checks failed, last: "
		    "status 503\n");
	assert_string_equal(
	    member(1)->why, "3 checks failed, last: status 503");
	now_ms += 12345;
	check(1, 1, NULL);
	check(1, 1, "connection refused");
	check(1, 1, NULL);
	assert_string_equal(main_turns(), "10");
	check(1, 1, NULL);
	assert_string_equal(main_turns(), "11");
	assert_int_equal(member(1)->since_ms, now_ms);
	assert_said("I pool web: backend b1 is up again after 12.3 s: "
		    "2 checks passed\n");
}

static void
initially_down(void **state)
{
	(void)state;
	prepare(1, 0);
	cfg.health_initial = CFG_HEALTH_DOWN;
	cfg.slow_start_ms = 10000;
	begin();
	assert_string_equal(main_turns(), "-");
	assert_said("");
	check(0, 2, NULL);
	assert_string_equal(main_turns(), "1");
	/* The first time is no recovery. */
	assert_int_equal(atomic_load(&backends[0]->weight_now), 100);
	assert_said("I pool web: backend b0 is up: 2 checks passed\n"
		    "I pool web: a backend is usable again\n");
}

static void
unchecked_are_up(void **state)
{
	(void)state;
	prepare(1, 0);
	cfg.health = CFG_HEALTH_OFF;
	cfg.health_initial = CFG_HEALTH_DOWN;
	begin();
	assert_string_equal(main_turns(), "1");
	assert_false(member(0)->checked);
}

/* A timeout counts only when no request was answered since the last check. */
static void
slow_is_not_down(void **state)
{
	(void)state;
	prepare(2, 0);
	begin();
	for (int i = 0; i < 10; i++) {
		counter_add(
		    &backends[0]->lanes[i % WORKERS].attempts[ACCESS_OK], 1);
		roster_checked(
		    roster, member(0), HEALTH_TIMEOUT, "timed out", now_ms);
	}
	publish();
	assert_string_equal(main_turns(), "11");
	for (int i = 0; i < 3; i++) {
		/* Answers of other kinds do not count. */
		counter_add(&backends[0]->lanes[0].attempts[ACCESS_RESET], 1);
		roster_checked(
		    roster, member(0), HEALTH_TIMEOUT, "timed out", now_ms);
	}
	publish();
	assert_string_equal(main_turns(), "01");
	assert_int_equal(member(0)->backend->checks[HEALTH_TIMEOUT], 13);
}

static void
none_left_is_an_error(void **state)
{
	(void)state;
	prepare(2, 0);
	begin();
	for (int i = 0; i < 3; i++)
		for (size_t k = 0; k < 2; k++)
			roster_checked(roster, member(k), HEALTH_FAILED,
			    "connection refused", now_ms);
	/* Both in one turn. */
	publish();
	assert_string_equal(main_turns(), "-");
	assert_non_null(strstr(said,
	    "E pool web: no backend is usable any more: 2 down, 0 ejected, "
	    "0 draining\n"));
	said[0] = '\0';
	check(0, 2, NULL);
	assert_non_null(
	    strstr(said, "I pool web: a backend is usable again\n"));
}

static void
backups_step_in(void **state)
{
	(void)state;
	prepare(3, 1);
	begin();
	assert_string_equal(main_turns(), "110");
	assert_string_equal(turns(&pool.upstream->backup), "001");
	check(0, 3, "x");
	check(1, 3, "x");
	assert_string_equal(main_turns(), "-");
	assert_string_equal(turns(&pool.upstream->backup), "001");
	assert_non_null(strstr(said,
	    "W pool web: only backups are usable: they get the requests\n"));
	check(0, 2, NULL);
	assert_non_null(
	    strstr(said, "I pool web: the backups are not needed any more\n"));
}

/* ---- ejection ---- */

static void
ejected_and_back(void **state)
{
	(void)state;
	prepare(2, 0);
	begin();
	fail_requests(0, 4);
	assert_string_equal(main_turns(), "11");
	fail_requests(0, 5);
	assert_string_equal(main_turns(), "01");
	assert_int_equal(member(0)->state, ROSTER_EJECTED);
	assert_int_equal(atomic_load(&backends[0]->failures), 0);
	assert_said("W pool web: backend b0 is ejected for 10 s: "
		    "5 attempts failed in a row, last: reset\n");
	assert_int_equal(roster_next_ms(roster), now_ms + 10000);
	now_ms += 9999;
	atomic_store(&backends[0]->failures, 3);
	roster_tick(roster, now_ms);
	assert_int_equal(member(0)->state, ROSTER_EJECTED);
	now_ms += 1;
	roster_tick(roster, now_ms);
	publish();
	assert_string_equal(main_turns(), "11");
	assert_int_equal(atomic_load(&backends[0]->failures), 0);
	assert_said("I pool web: backend b0 is back after ejection\n");
	assert_int_equal(roster_next_ms(roster), ROSTER_NEVER);
	/* Soon again: twice as long. */
	now_ms += 100;
	fail_requests(0, 5);
	assert_int_equal(roster_next_ms(roster), now_ms + 20000);
}

static void
never_the_last(void **state)
{
	(void)state;
	prepare(1, 0);
	begin();
	fail_requests(0, 50);
	assert_string_equal(main_turns(), "1");
	assert_said("W pool web: backend b0 is not ejected, being the last "
		    "that is usable: 50 attempts failed in a row, last: "
		    "reset\n");
	/* Not told each time. */
	fail_requests(0, 51);
	assert_said("");
	end(NULL);
	/* Nor when the others are down. */
	prepare(3, 0);
	begin();
	check(1, 3, "x");
	check(2, 3, "x");
	fail_requests(0, 5);
	assert_string_equal(main_turns(), "100");
}

static void
at_most_so_many(void **state)
{
	(void)state;
	prepare(5, 0);
	begin();
	for (size_t i = 0; i < 5; i++)
		fail_requests(i, 5);
	/* Half of five. */
	assert_string_equal(main_turns(), "00111");
	assert_non_null(strstr(said,
	    "W pool web: backend b2 is not ejected, as eject_max is reached: "
	    "5 attempts failed in a row, last: reset\n"));
}

/* Backups are counted among themselves. */
static void
peers_of_their_own(void **state)
{
	(void)state;
	prepare(5, 2);
	begin();
	fail_requests(0, 5);
	fail_requests(1, 5);
	assert_string_equal(main_turns(), "01100");
	fail_requests(3, 5);
	fail_requests(4, 5);
	assert_string_equal(turns(&pool.upstream->backup), "00001");
}

static void
retry_after_is_kept(void **state)
{
	(void)state;
	prepare(2, 0);
	begin();
	atomic_store(&backends[0]->asked_until_ms, now_ms + 25000);
	fail_requests(0, 5);
	assert_int_equal(roster_next_ms(roster), now_ms + 25000);
	assert_int_equal(atomic_load(&backends[0]->asked_until_ms), 0);
}

static void
off_means_off(void **state)
{
	(void)state;
	prepare(2, 0);
	cfg.eject_failures = 0;
	begin();
	fail_requests(0, 100);
	assert_string_equal(main_turns(), "11");
}

/* Checks that bring a backend from down to up end its ejection. */
static void
checks_end_an_ejection(void **state)
{
	(void)state;
	prepare(2, 0);
	begin();
	fail_requests(0, 5);
	check(0, 5, NULL);
	assert_int_equal(member(0)->state, ROSTER_EJECTED);
	check(0, 3, "x");
	assert_int_equal(member(0)->state, ROSTER_DOWN);
	check(0, 2, NULL);
	assert_string_equal(main_turns(), "11");
	assert_int_equal(roster_next_ms(roster), ROSTER_NEVER);
	assert_int_equal(roster->pools[0].n_ejected[ROSTER_MAIN], 0);
}

/* Where the outcome's word says little, there is more; "" is none. */
static void
ejected_for_more(void **state)
{
	(void)state;
	prepare(4, 0);
	begin();
	atomic_store(&backends[0]->failures, 5);
	atomic_store(&backends[0]->last_failure, ACCESS_TLS_FAILED);
	atomic_store(&backends[0]->last_why, "certificate has expired");
	roster_failing(roster, backends[0], now_ms);
	assert_said(
	    "W pool web: backend b0 is ejected for 10 s: 5 attempts failed in "
	    "a row, last: tls_failed (certificate has expired)\n");
	assert_string_equal(member(0)->why,
	    "5 attempts failed in a row, last: tls_failed (certificate has "
	    "expired)");
	atomic_store(&backends[1]->last_why, "");
	fail_requests(1, 5);
	assert_string_equal(
	    member(1)->why, "5 attempts failed in a row, last: reset");
}

static void
refuse_requests(size_t i, uint32_t n)
{
	atomic_store(&backends[i]->failures, n);
	atomic_store(&backends[i]->last_failure, ACCESS_CONNECT_REFUSED);
	roster_failing(roster, backends[i], now_ms);
	publish();
}

/* Ejected because it refused, while checks find it open: it is back after
 * `rise` of them in a row.  That says nothing about one that broke off. */
static void
checks_refute_what_was_refused(void **state)
{
	(void)state;
	prepare(4, 0);
	begin();
	refuse_requests(0, 5);
	fail_requests(1, 5);
	assert_string_equal(main_turns(), "0011");
	assert_string_equal(turns(&pool.upstream->resort), "1100");
	said[0] = '\0';
	check(0, 1, NULL);
	check(0, 1, "refused");
	check(0, 1, NULL);
	check(1, 4, NULL);
	assert_string_equal(main_turns(), "0011");
	check(0, 1, NULL);
	assert_string_equal(main_turns(), "1011");
	assert_string_equal(turns(&pool.upstream->resort), "0100");
	assert_said("I pool web: backend b0 is back before its ejection is "
		    "over: 2 checks passed\n");
}

/* No ejection leaves a pool without a usable backend, when the last one goes
 * down. */
static void
the_ejected_are_better_than_none(void **state)
{
	(void)state;
	prepare(3, 0);
	begin();
	fail_requests(0, 5);
	check(1, 3, "refused");
	assert_string_equal(main_turns(), "001");
	check(2, 3, "refused");
	assert_string_equal(main_turns(), "100");
	assert_string_equal(turns(&pool.upstream->resort), "-");
	assert_int_equal(roster->pools[0].n_ejected[ROSTER_MAIN], 0);
}

/* The last usable one that fails, too, stays; nobody is called back for it,
 * again and again: a retry finds the ejected in `resort`. */
static void
the_last_fails_too(void **state)
{
	(void)state;
	prepare(2, 0);
	begin();
	fail_requests(0, 5);
	said[0] = '\0';
	fail_requests(1, 5);
	fail_requests(1, 6);
	assert_string_equal(main_turns(), "01");
	assert_string_equal(turns(&pool.upstream->resort), "10");
	assert_said("W pool web: backend b1 is not ejected, being the last "
		    "that is usable: 5 attempts failed in a row, last: "
		    "reset\n");
}

/* An ejection that ends while checks say down changes nothing. */
static void
ejection_ends_while_down(void **state)
{
	(void)state;
	prepare(2, 0);
	begin();
	fail_requests(0, 5);
	check(0, 3, "x");
	said[0] = '\0';
	now_ms += 10000;
	roster_tick(roster, now_ms);
	publish();
	assert_string_equal(main_turns(), "01");
	assert_int_equal(member(0)->state, ROSTER_DOWN);
	assert_said("");
	assert_int_equal(roster->pools[0].n_ejected[ROSTER_MAIN], 0);
}

/* ---- draining ---- */

static void
drained(void **state)
{
	(void)state;
	prepare(2, 0);
	cfg.slow_start_ms = 10000;
	begin();
	roster_drain(roster, member(0), true, "", now_ms);
	publish();
	assert_string_equal(main_turns(), "01");
	assert_said("I pool web: backend b0 is draining: it gets no new "
		    "requests\n");
	check(0, 3, "x");
	assert_int_equal(member(0)->state, ROSTER_DRAINING);
	check(0, 2, NULL);
	roster_drain(roster, member(0), false, "", now_ms);
	publish();
	/* That was no recovery. */
	assert_string_equal(main_turns(), "11");
}

/* Over when nothing is in flight and nothing can come. */
static void
drain_is_over(void **state)
{
	struct counter *inflight;

	(void)state;
	prepare(2, 0);
	begin();
	inflight = &backends[0]->lanes[1].inflight;
	counter_add(inflight, 1);
	passed_generation = published.generation;
	assert_false(atomic_load(&backends[0]->draining));
	assert_false(roster_drained(roster, member(0)));
	roster_drain(roster, member(0), true, "uid 7, pid 8", now_ms);
	assert_true(atomic_load(&backends[0]->draining));
	assert_said("I pool web: backend b0 is draining: it gets no new "
		    "requests, asked for by uid 7, pid 8\n");
	assert_string_equal(member(0)->why, "asked for by uid 7, pid 8");
	counter_add(inflight, (uint64_t)-1);
	/* Not published yet; then not taken notice of. */
	assert_false(roster_drained(roster, member(0)));
	publish();
	assert_string_equal(main_turns(), "01");
	assert_false(roster_drained(roster, member(0)));
	passed_generation = published.generation;
	assert_true(roster_drained(roster, member(0)));
	assert_false(roster_drained(roster, member(1)));
	/* One that came from an old rotation in the last moment. */
	counter_add(inflight, 1);
	assert_false(roster_drained(roster, member(0)));
	counter_add(inflight, (uint64_t)-1);
	/* What is published later does not matter to it. */
	roster_drain(roster, member(1), true, "", now_ms);
	assert_false(roster_drained(roster, member(1)));
	publish();
	assert_false(roster_drained(roster, member(1)));
	passed_generation = published.generation;
	assert_true(roster_drained(roster, member(0)));
	assert_true(roster_drained(roster, member(1)));
	roster_drain(roster, member(0), false, "", now_ms);
	assert_false(atomic_load(&backends[0]->draining));
	assert_false(roster_drained(roster, member(0)));
}

static void
drain_again(void **state)
{
	(void)state;
	prepare(2, 0);
	begin();
	roster_drain(roster, member(0), true, "", now_ms);
	publish();
	assert_said("I pool web: backend b0 is draining: it gets no new "
		    "requests\n");
	now_ms += 5000;
	roster_drain(roster, member(0), true, "uid 7", now_ms);
	assert_said("");
	assert_string_equal(member(0)->why, "asked for");
	assert_int_equal(member(0)->since_ms, now_ms - 5000);
}

static void
drain_of_one_that_is_down(void **state)
{
	(void)state;
	prepare(2, 0);
	cfg.slow_start_ms = 10000;
	begin();
	check(0, 3, "x");
	roster_drain(roster, member(0), true, "", now_ms);
	publish();
	assert_int_equal(member(0)->state, ROSTER_DRAINING);
	roster_drain(roster, member(0), false, "", now_ms);
	publish();
	assert_int_equal(member(0)->state, ROSTER_DOWN);
	assert_string_equal(member(0)->why, "checks failed, last: x");
	assert_string_equal(main_turns(), "01");
	/* And this is a recovery. */
	check(0, 2, NULL);
	assert_int_equal(member(0)->state, ROSTER_UP);
	assert_int_equal(atomic_load(&backends[0]->weight_now), 10);
}

static void
drain_of_one_that_is_ejected(void **state)
{
	(void)state;
	prepare(3, 0);
	begin();
	fail_requests(0, 5);
	assert_int_equal(member(0)->state, ROSTER_EJECTED);
	roster_drain(roster, member(0), true, "", now_ms);
	roster_drain(roster, member(0), false, "", now_ms);
	assert_int_equal(member(0)->state, ROSTER_EJECTED);
	roster_drain(roster, member(0), true, "", now_ms);
	now_ms += 10000;
	roster_tick(roster, now_ms);
	publish();
	assert_int_equal(member(0)->state, ROSTER_DRAINING);
	roster_drain(roster, member(0), false, "", now_ms);
	publish();
	assert_int_equal(member(0)->state, ROSTER_UP);
}

static void
drain_survives_its_roster(void **state)
{
	(void)state;
	prepare(2, 0);
	begin();
	roster_drain(roster, member(0), true, "", now_ms);
	publish();
	publish_close(&published);
	enroll_free(roster);
	begin();
	assert_int_equal(member(0)->state, ROSTER_DRAINING);
	assert_string_equal(main_turns(), "01");
	roster_drain(roster, member(0), false, "", now_ms);
	publish();
	assert_string_equal(main_turns(), "11");
}

/* ---- slow start ---- */

static void
weight_rises(void **state)
{
	uint32_t last = 0, weight = 0;
	uint64_t began_ms;
	unsigned steps = 0;

	(void)state;
	prepare(2, 0);
	cfg.slow_start_ms = 10000;
	begin();
	assert_int_equal(atomic_load(&backends[0]->weight_now), 100);
	check(0, 3, "x");
	check(0, 2, NULL);
	assert_int_equal(atomic_load(&backends[0]->weight_now), 10);
	began_ms = now_ms;
	while (roster_next_ms(roster) != ROSTER_NEVER) {
		uint64_t next_ms = roster_next_ms(roster);

		assert_true(next_ms >= now_ms + ROSTER_STEP_MS);
		now_ms = next_ms;
		roster_tick(roster, now_ms);
		publish();
		weight = atomic_load(&backends[0]->weight_now);
		assert_true(weight > last);
		/* Linear: from 10 % on. */
		assert_int_equal(weight, 10 + 90 * (now_ms - began_ms) / 10000);
		last = weight;
		assert_true(++steps <= ROSTER_STEPS);
	}
	assert_int_equal(weight, 100);
	assert_int_equal(now_ms - began_ms, 10000);
	assert_string_equal(main_turns(), "11");
}

static void
short_starts_have_few_steps(void **state)
{
	unsigned steps = 0;

	(void)state;
	prepare(2, 0);
	cfg.slow_start_ms = 350;
	begin();
	fail_requests(0, 5);
	now_ms += 10000;
	roster_tick(roster, now_ms);
	publish();
	assert_int_equal(atomic_load(&backends[0]->weight_now), 10);
	for (; roster_next_ms(roster) != ROSTER_NEVER; steps++) {
		now_ms = roster_next_ms(roster);
		roster_tick(roster, now_ms);
		publish();
	}
	assert_int_equal(steps, 4);
	assert_string_equal(main_turns(), "11");
}

/* Down in the middle of it: it begins anew. */
static void
interrupted_start(void **state)
{
	(void)state;
	prepare(2, 0);
	cfg.slow_start_ms = 10000;
	begin();
	check(0, 3, "x");
	check(0, 2, NULL);
	now_ms += 5000;
	roster_tick(roster, now_ms);
	publish();
	assert_int_equal(atomic_load(&backends[0]->weight_now), 55);
	check(0, 3, "x");
	assert_int_equal(roster_next_ms(roster), ROSTER_NEVER);
	check(0, 2, NULL);
	assert_int_equal(atomic_load(&backends[0]->weight_now), 10);
}

/* Many changes between two publications cost one. */
static void
one_rebuild_for_many(void **state)
{
	const struct rotation *before;

	(void)state;
	prepare(5, 0);
	begin();
	before = atomic_load(&pool.upstream->rotation);
	changes = 0;
	for (size_t i = 0; i < 4; i++)
		for (int k = 0; k < 3; k++)
			roster_checked(
			    roster, member(i), HEALTH_FAILED, "x", now_ms);
	assert_int_equal(changes, 4);
	assert_ptr_equal(atomic_load(&pool.upstream->rotation), before);
	assert_true(lineup_wanted(roster));
	publish();
	assert_false(lineup_wanted(roster));
	assert_int_equal(published.generation, 2);
	publish();
	assert_int_equal(published.generation, 2);
	assert_string_equal(main_turns(), "00001");
}

#define ROSTER(test) cmocka_unit_test_teardown(test, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    ROSTER(down_and_up_again),
	    ROSTER(initially_down),
	    ROSTER(unchecked_are_up),
	    ROSTER(slow_is_not_down),
	    ROSTER(none_left_is_an_error),
	    ROSTER(backups_step_in),
	    ROSTER(ejected_and_back),
	    ROSTER(ejected_for_more),
	    ROSTER(never_the_last),
	    ROSTER(at_most_so_many),
	    ROSTER(peers_of_their_own),
	    ROSTER(retry_after_is_kept),
	    ROSTER(off_means_off),
	    ROSTER(checks_end_an_ejection),
	    ROSTER(checks_refute_what_was_refused),
	    ROSTER(the_ejected_are_better_than_none),
	    ROSTER(the_last_fails_too),
	    ROSTER(ejection_ends_while_down),
	    ROSTER(drained),
	    ROSTER(drain_is_over),
	    ROSTER(drain_again),
	    ROSTER(drain_of_one_that_is_down),
	    ROSTER(drain_of_one_that_is_ejected),
	    ROSTER(drain_survives_its_roster),
	    ROSTER(weight_rises),
	    ROSTER(short_starts_have_few_steps),
	    ROSTER(interrupted_start),
	    ROSTER(one_rebuild_for_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
