/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "evenkeel/control/enroll.h"
#include "evenkeel/control/lineup.h"
#include "evenkeel/control/registry.h"
#include "loaded_text.h"

#define WEB    "[listener web]\nbind = 127.0.0.1:8080\npool = web\n[pool web]\n"
#define A      "backend = 127.0.0.1:3001 name=a\n"
#define B      "backend = 127.0.0.1:3002 name=b\n"
#define C      "backend = 127.0.0.1:3003 name=c\n"
#define CHECKS "health = tcp\nhealth_rise = 2\nhealth_fall = 3\n"
#define API    "[pool api]\nbackend = 127.0.0.1:4001 name=a\n"

static struct worker *workers[1];
static struct registry *registry;
static struct publish published;
static struct roster *roster;
static char said[4096], gone[64];
static unsigned changes;
static uint64_t now_ms;

static void
on_change(void *arg)
{
	(void)arg;
	changes++;
}

static void
say(enum log_level level, const char *text, void *arg)
{
	size_t len = strlen(said);

	(void)level;
	(void)arg;
	snprintf(said + len, sizeof(said) - len, "%s\n", text);
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
	return UINT64_MAX;
}

static const struct publish_ops publish_ops = {.tell = tell, .passed = passed};

static void
on_gone(struct roster_member *m, void *arg)
{
	size_t len = strlen(gone);

	assert_ptr_equal(arg, &gone);
	assert_ptr_equal(roster_member_of(m->backend), m);
	/* As it was: its pool is still there. */
	assert_ptr_equal(m->pool->members[m->index], m);
	snprintf(gone + len, sizeof(gone) - len, "%s/%s ",
	    m->pool->pool->cfg->name, m->backend->name);
}

static int
begin(void **state)
{
	(void)state;
	now_ms = 1000000;
	said[0] = gone[0] = '\0';
	publish_init(&published, &publish_ops, NULL);
	registry = registry_create(1, workers, NULL);
	roster = enroll_create(&published, &roster_ops, NULL);
	return registry != NULL && roster != NULL ? 0 : -1;
}

static int
end(void **state)
{
	(void)state;
	enroll_free(roster);
	publish_close(&published);
	registry_free(registry);
	return 0;
}

static struct snapshot *
prepare(const char *text, struct enroll *e)
{
	struct loaded *l = loaded_text(text);
	char bytes[256];
	struct textbuf why = textbuf_make(bytes, sizeof(bytes));
	struct snapshot *s = registry_prepare(registry, l, &why);

	loaded_release(l);
	assert_non_null(s);
	assert_true(enroll_prepare(e, s));
	return s;
}

/* In force, and the snapshot before is freed: nothing may look at it. */
static void
put(const char *text)
{
	struct snapshot *old =
	    (struct snapshot *)(uintptr_t)registry_snapshot(registry);
	struct enroll e;
	struct snapshot *s = prepare(text, &e);

	gone[0] = said[0] = '\0';
	registry_commit(registry, s, now_ms);
	enroll_commit(&e, roster, now_ms, on_gone, gone);
	assert_null(e.pools);
	for (size_t i = 0; i < roster->n_pools; i++)
		assert_true(roster->pools[i].marked);
	assert_true(lineup_publish(roster, now_ms));
	if (old != NULL)
		registry_released(registry, registry_hold(old, 0));
}

static struct roster_member *
member(const char *name)
{
	for (size_t i = 0; i < roster->pools[0].n_members; i++)
		if (strcmp(roster->pools[0].members[i]->backend->name, name) ==
		    0)
			return roster->pools[0].members[i];
	fail_msg("no %s", name);
	return NULL;
}

static enum roster_state
state_of(const char *name)
{
	return member(name)->state;
}

static void
check(const char *name, enum health_result result, unsigned n)
{
	while (n-- > 0)
		roster_checked(roster, member(name), result,
		    result == HEALTH_OK ? "" : "refused", now_ms);
	assert_true(lineup_publish(roster, now_ms));
}

static void
fail_requests(const char *name, uint32_t n)
{
	struct backend *b = member(name)->backend;

	atomic_store(&b->failures, n);
	atomic_store(&b->last_failure, ACCESS_RESET);
	roster_failing(roster, b, now_ms);
	assert_true(lineup_publish(roster, now_ms));
}

/* The counts of each pool are those of its members. */
static void
assert_counts(void)
{
	for (size_t i = 0; i < roster->n_pools; i++) {
		const struct roster_pool *p = &roster->pools[i];
		uint32_t n[ROSTER_PEERS] = {0}, ejected[ROSTER_PEERS] = {0};
		uint32_t in[ROSTER_PEERS][ROSTER_STATES] = {{0}};

		for (size_t k = 0; k < p->n_members; k++) {
			const struct roster_member *m = p->members[k];

			assert_true(roster_member_ok(m));
			assert_ptr_equal(m->pool, p);
			assert_int_equal(m->index, k);
			assert_ptr_equal(roster_member_of(m->backend), m);
			n[m->peers]++;
			ejected[m->peers] += m->eject.out;
			in[m->peers][m->state]++;
		}
		assert_memory_equal(p->n, n, sizeof(n));
		assert_memory_equal(p->n_ejected, ejected, sizeof(ejected));
		assert_memory_equal(p->in_state, in, sizeof(in));
	}
}

static size_t
in_rotation(struct rotation *_Atomic *place)
{
	const struct rotation *r = atomic_load(place);

	return r == NULL ? 0 : r->n;
}

static struct upstream *
upstream(void)
{
	return roster->pools[0].pool->upstream;
}

/* ---- members ---- */

static void
new_members(void **state)
{
	(void)state;
	put(WEB CHECKS A);
	assert_int_equal(roster->n_pools, 1);
	assert_true(member("a")->checked);
	put(WEB CHECKS A B);
	assert_int_equal(state_of("b"), ROSTER_UP);
	assert_int_equal(member("b")->since_ms, now_ms);
	assert_int_equal(in_rotation(&upstream()->rotation), 2);
	now_ms += 1000;
	put(WEB CHECKS "health_initial = down\n" A B C);
	/* Only of those about whom nothing is known. */
	assert_int_equal(state_of("a"), ROSTER_UP);
	assert_int_equal(state_of("b"), ROSTER_UP);
	assert_int_equal(state_of("c"), ROSTER_DOWN);
	assert_string_equal(member("c")->why, "not checked yet");
	assert_false(member("c")->been_up);
	assert_int_equal(member("a")->since_ms, now_ms - 1000);
	assert_int_equal(in_rotation(&upstream()->rotation), 2);
	assert_counts();
	assert_string_equal(gone, "");
	assert_string_equal(said, "");
}

static void
gone_members(void **state)
{
	struct backend *b, *api;

	(void)state;
	put(WEB CHECKS A B C API);
	b = member("b")->backend;
	api = roster->pools[1].members[0]->backend;
	fail_requests("b", 5);
	assert_int_equal(state_of("b"), ROSTER_EJECTED);
	put(WEB CHECKS C A);
	assert_string_equal(gone, "web/b api/a ");
	assert_null(roster_member_of(b));
	assert_null(roster_member_of(api));
	assert_int_equal(roster->n_pools, 1);
	assert_int_equal(member("c")->index, 0);
	assert_counts();
	/* Nothing is due for one that is freed. */
	assert_int_equal(roster_next_ms(roster), ROSTER_NEVER);
	roster_tick(roster, now_ms + 1000000);
	/* A mail about it that comes late. */
	roster_failing(roster, b, now_ms);
	assert_int_equal(in_rotation(&upstream()->rotation), 2);
	/* Back: nothing is known about it. */
	put(WEB CHECKS A B C API);
	assert_ptr_equal(member("b")->backend, b);
	assert_int_equal(state_of("b"), ROSTER_UP);
	assert_false(member("b")->eject.out);
	assert_counts();
}

static void
rolled_back(void **state)
{
	struct enroll e;
	struct snapshot *s;
	struct roster_member *a;

	(void)state;
	put(WEB CHECKS A B);
	check("a", HEALTH_FAILED, 3);
	a = member("a");
	s = prepare(WEB "health = off\n" A C API, &e);
	assert_int_equal(e.n_pools, 2);
	assert_ptr_equal(e.pools[0].members[0], a);
	assert_null(roster_member_of(e.pools[0].members[1]->backend));
	enroll_rollback(&e);
	assert_null(e.pools);
	registry_rollback(registry, s);
	assert_ptr_equal(member("a"), a);
	assert_int_equal(a->state, ROSTER_DOWN);
	assert_true(a->checked);
	assert_int_equal(roster->pools[0].n_members, 2);
	assert_counts();
	put(WEB CHECKS A B);
	assert_ptr_equal(member("a"), a);
	assert_int_equal(a->state, ROSTER_DOWN);
}

/* ---- what is known of a member ---- */

static void
health_goes_on(void **state)
{
	uint64_t down_ms = now_ms;

	(void)state;
	put(WEB CHECKS A B);
	down_ms = now_ms;
	check("a", HEALTH_FAILED, 3);
	check("b", HEALTH_FAILED, 2);
	now_ms += 7000;
	put(WEB CHECKS A "backend = 127.0.0.1:3002 name=b weight=4\n" C);
	assert_int_equal(state_of("a"), ROSTER_DOWN);
	assert_int_equal(member("a")->since_ms, down_ms);
	assert_string_equal(member("a")->why, "3 checks failed, last: refused");
	assert_int_equal(in_rotation(&upstream()->rotation), 2);
	/* What has spoken against it counts on. */
	check("b", HEALTH_FAILED, 1);
	assert_int_equal(state_of("b"), ROSTER_DOWN);
	check("a", HEALTH_OK, 1);
	assert_int_equal(state_of("a"), ROSTER_DOWN);
	put(WEB CHECKS A B C);
	check("a", HEALTH_OK, 1);
	assert_int_equal(state_of("a"), ROSTER_UP);
	assert_non_null(strstr(said, "backend a is up again after 7 s"));
	assert_counts();
}

/* Up stays up and down stays down, whatever it takes now. */
static void
health_under_other_rules(void **state)
{
	(void)state;
	put(WEB CHECKS A B);
	check("a", HEALTH_FAILED, 3);
	check("b", HEALTH_FAILED, 2);
	put(WEB "health = tcp\nhealth_rise = 4\nhealth_fall = 1\n" A B);
	assert_int_equal(state_of("a"), ROSTER_DOWN);
	assert_int_equal(state_of("b"), ROSTER_UP);
	check("b", HEALTH_FAILED, 1);
	assert_int_equal(state_of("b"), ROSTER_DOWN);
	check("a", HEALTH_OK, 3);
	assert_int_equal(state_of("a"), ROSTER_DOWN);
	check("a", HEALTH_OK, 1);
	assert_int_equal(state_of("a"), ROSTER_UP);
	put(WEB "health = tcp\nhealth_rise = 1\nhealth_fall = 10\n" A B);
	check("b", HEALTH_OK, 1);
	assert_int_equal(state_of("b"), ROSTER_UP);
	check("a", HEALTH_FAILED, 9);
	assert_int_equal(state_of("a"), ROSTER_UP);
	assert_counts();
}

static void
checks_off_and_on(void **state)
{
	(void)state;
	put(WEB CHECKS A B);
	check("a", HEALTH_FAILED, 3);
	now_ms += 100;
	put(WEB "health = off\n" A B);
	assert_false(member("a")->checked);
	assert_int_equal(state_of("a"), ROSTER_UP);
	assert_int_equal(member("a")->since_ms, now_ms);
	assert_string_equal(member("a")->why, "by the new configuration");
	assert_int_equal(in_rotation(&upstream()->rotation), 2);
	/* Who was not checked is up until checks say otherwise. */
	put(WEB CHECKS "health_initial = down\n" A B C);
	assert_int_equal(state_of("a"), ROSTER_UP);
	assert_int_equal(state_of("c"), ROSTER_DOWN);
	check("a", HEALTH_FAILED, 2);
	assert_int_equal(state_of("a"), ROSTER_UP);
	check("a", HEALTH_FAILED, 1);
	assert_int_equal(state_of("a"), ROSTER_DOWN);
	assert_counts();
}

static void
ejections_go_on(void **state)
{
	uint64_t until_ms;

	(void)state;
	put(WEB CHECKS A B C);
	fail_requests("a", 5);
	assert_int_equal(state_of("a"), ROSTER_EJECTED);
	until_ms = roster_next_ms(roster);
	now_ms += 1000;
	put(WEB CHECKS "eject_failures = 7\n" A B C);
	assert_int_equal(state_of("a"), ROSTER_EJECTED);
	assert_int_equal(roster_next_ms(roster), until_ms);
	assert_int_equal(roster->pools[0].n_ejected[ROSTER_MAIN], 1);
	assert_int_equal(in_rotation(&upstream()->rotation), 2);
	assert_int_equal(in_rotation(&upstream()->resort), 1);
	assert_counts();
	/* Half of three, and that is one: no second one. */
	fail_requests("b", 7);
	assert_int_equal(state_of("b"), ROSTER_UP);
	now_ms = until_ms;
	roster_tick(roster, now_ms);
	assert_int_equal(state_of("a"), ROSTER_UP);
	assert_non_null(strstr(said, "backend a is back after ejection"));
	assert_counts();
}

/* Its peers change with it. */
static void
ejected_as_a_backup(void **state)
{
	(void)state;
	put(WEB CHECKS A B C);
	fail_requests("a", 5);
	put(WEB CHECKS "backend = 127.0.0.1:3001 name=a backup\n" B C);
	assert_int_equal(state_of("a"), ROSTER_EJECTED);
	assert_int_equal(member("a")->peers, ROSTER_BACKUP);
	assert_int_equal(roster->pools[0].n_ejected[ROSTER_MAIN], 0);
	assert_int_equal(roster->pools[0].n_ejected[ROSTER_BACKUP], 1);
	assert_counts();
}

static void
pardoned(void **state)
{
	(void)state;
	put(WEB CHECKS A B C);
	fail_requests("a", 5);
	check("b", HEALTH_FAILED, 3);
	put(WEB CHECKS "eject_failures = 0\n" A B C);
	assert_int_equal(state_of("a"), ROSTER_UP);
	assert_int_equal(state_of("b"), ROSTER_DOWN);
	assert_int_equal(in_rotation(&upstream()->rotation), 2);
	assert_int_equal(in_rotation(&upstream()->resort), 0);
	assert_string_equal(said,
	    "pool web: backend a is back before its ejection is over: nobody "
	    "is ejected any more\n");
	assert_int_equal(roster_next_ms(roster), ROSTER_NEVER);
	assert_counts();
}

static void
drains_go_on(void **state)
{
	(void)state;
	put(WEB CHECKS A B);
	roster_drain(roster, member("a"), true, "uid 7", now_ms);
	put(WEB CHECKS A B C);
	assert_int_equal(state_of("a"), ROSTER_DRAINING);
	assert_string_equal(member("a")->why, "asked for by uid 7");
	assert_int_equal(in_rotation(&upstream()->rotation), 2);
	assert_true(atomic_load(&member("a")->backend->draining));
	put(WEB CHECKS B);
	put(WEB CHECKS A B);
	/* It was away: the drain was of another life. */
	assert_int_equal(state_of("a"), ROSTER_UP);
	assert_int_equal(in_rotation(&upstream()->rotation), 2);
	assert_counts();
}

static uint32_t
weight_now(const char *name)
{
	return atomic_load(&member(name)->backend->weight_now);
}

static void
slow_start_goes_on(void **state)
{
	(void)state;
	put(WEB CHECKS "slow_start = 10s\n" A B);
	assert_int_equal(weight_now("a"), 100);
	check("a", HEALTH_FAILED, 3);
	check("a", HEALTH_OK, 2);
	assert_int_equal(weight_now("a"), 10);
	now_ms += 5000;
	put(WEB CHECKS "slow_start = 10s\n"
		       "backend = 127.0.0.1:3001 name=a weight=2\n" B C);
	assert_int_equal(weight_now("a"), 110);
	assert_int_equal(weight_now("b"), 100);
	/* One that is new is in none. */
	assert_int_equal(weight_now("c"), 100);
	assert_true(roster_next_ms(roster) <= now_ms + 600);
	put(WEB CHECKS A B C);
	assert_int_equal(weight_now("a"), 100);
	assert_int_equal(member("a")->ramp_ms, ROSTER_NEVER);
	assert_int_equal(roster_next_ms(roster), ROSTER_NEVER);
	assert_counts();
}

/* A pool that had nobody, or has nobody now, says so as ever. */
static void
the_last_goes_by_a_reload(void **state)
{
	(void)state;
	put(WEB CHECKS A B);
	check("a", HEALTH_FAILED, 3);
	put(WEB CHECKS A);
	assert_non_null(strstr(said, "no backend is usable any more"));
	put(WEB CHECKS A B);
	assert_non_null(strstr(said, "a backend is usable again"));
	/* A new pool begins without a word. */
	put(WEB CHECKS "health_initial = down\n" A B
		       "[pool api]\nhealth = tcp\nhealth_initial = down\n"
		       "backend = 127.0.0.1:4001\n");
	assert_string_equal(said, "");
	assert_counts();
}

static void
without_pools(void **state)
{
	(void)state;
	assert_int_equal(roster->n_pools, 0);
	assert_int_equal(roster_next_ms(roster), ROSTER_NEVER);
	assert_false(lineup_wanted(roster));
	enroll_free(NULL);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH(new_members),
	    WITH(gone_members),
	    WITH(rolled_back),
	    WITH(health_goes_on),
	    WITH(health_under_other_rules),
	    WITH(checks_off_and_on),
	    WITH(ejections_go_on),
	    WITH(ejected_as_a_backup),
	    WITH(pardoned),
	    WITH(drains_go_on),
	    WITH(slow_start_goes_on),
	    WITH(the_last_goes_by_a_reload),
	    WITH(without_pools),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
