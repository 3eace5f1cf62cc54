/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "evenkeel/control/registry.h"
#include "loaded_text.h"

#define WORKERS 2
#define WEB     "[listener web]\nbind = 127.0.0.1:8080\npool = web\n"
#define A       "backend = 127.0.0.1:3001 name=a\n"
#define B       "backend = 127.0.0.1:3002 name=b\n"
#define POOL    "[pool web]\n"
#define OTHER                                                   \
	"[listener other]\nbind = 127.0.0.1:8081\npool = api\n" \
	"[pool api]\nbackend = 127.0.0.1:4001 name=a\n"

static struct worker *workers[WORKERS];
static struct registry *registry;
static struct publish published;
static uint64_t now_ms, told, passed_by_all;
static char why_bytes[256];
static struct textbuf why;

static void
tell(uint64_t generation, void *arg)
{
	(void)arg;
	told = generation;
}

static uint64_t
passed(void *arg)
{
	(void)arg;
	return passed_by_all;
}

static const struct publish_ops publish_ops = {.tell = tell, .passed = passed};

static int
begin(void **state)
{
	(void)state;
	now_ms = 1000000;
	told = passed_by_all = 0;
	why = textbuf_make(why_bytes, sizeof(why_bytes));
	publish_init(&published, &publish_ops, NULL);
	registry = registry_create(WORKERS, workers, NULL);
	return registry != NULL ? 0 : -1;
}

static int
end(void **state)
{
	(void)state;
	publish_close(&published);
	registry_free(registry);
	return 0;
}

static struct snapshot *
prepare(const char *text)
{
	struct loaded *l = loaded_text(text);
	struct snapshot *s = registry_prepare(registry, l, &why);

	loaded_release(l);
	return s;
}

/* Without its workers: they still have the one before. */
static struct snapshot *
commit(const char *text)
{
	struct snapshot *s = prepare(text);

	assert_non_null(s);
	registry_commit(registry, s, now_ms);
	assert_ptr_equal(registry_snapshot(registry), s);
	return s;
}

static void
release(struct snapshot *s)
{
	for (uint32_t i = 0; i < WORKERS; i++)
		registry_released(registry, registry_hold(s, i));
}

/* In force, and what was before is nobody's any more. */
static struct snapshot *
put(const char *text)
{
	struct snapshot *old =
	    (struct snapshot *)(uintptr_t)registry_snapshot(registry);
	struct snapshot *s = commit(text);

	if (old != NULL)
		release(old);
	return s;
}

static struct backend *
backend(const struct snapshot *s, size_t pool, size_t i)
{
	assert_true(pool < s->n_pools && i < s->pools[pool].n_backends);
	return s->pools[pool].backends[i];
}

static size_t
n_gone(void)
{
	size_t n = 0;

	LIST_EACH(link, registry_gone(registry))
	n++;
	return n;
}

/* Whether it was freed cannot be asked: whether it is among the gone. */
static bool
is_gone(const struct backend *b)
{
	LIST_EACH(link, registry_gone(registry))
	if (LIST_OWNER(link, struct backend, life.gone) == b)
		return true;
	return false;
}

static bool
collect(void)
{
	return registry_collect(registry, &published, now_ms);
}

/* All that may take some looks. */
static void
collect_all(void)
{
	for (int i = 0; i < 4; i++) {
		collect();
		passed_by_all = told;
	}
}

/* ---- prepare, commit, rollback ---- */

static void
nothing_in_force_yet(void **state)
{
	size_t at = 0;

	(void)state;
	assert_null(registry_snapshot(registry));
	assert_null(registry_loaded(registry));
	assert_int_equal(registry_alive(registry), 0);
	assert_null(registry_next_upstream(registry, &at, now_ms));
	at = 0;
	assert_null(registry_next_front(registry, &at, now_ms));
	assert_false(collect());
}

/* Listeners, pools and backends are the same objects in both. */
static void
what_both_have_is_the_same(void **state)
{
	struct snapshot *one = commit(WEB POOL A B), *other;
	struct backend *a = backend(one, 0, 0), *b = backend(one, 0, 1);

	(void)state;
	other = commit(
	    WEB POOL "balance = random_two\n"
		     "backend = 127.0.0.1:3002 name=b weight=3 max=7 backup\n"
		     "backend = 127.0.0.1:3001 name=a weight=2\n");
	assert_ptr_not_equal(one, other);
	assert_ptr_equal(backend(other, 0, 0), b);
	assert_ptr_equal(backend(other, 0, 1), a);
	assert_ptr_equal(one->pools[0].upstream, other->pools[0].upstream);
	assert_ptr_equal(one->listeners[0].front, other->listeners[0].front);
	assert_ptr_equal(one->no_pool, other->no_pool);
	assert_ptr_equal(a->upstream, one->pools[0].upstream);
	/* As the one in force has them. */
	assert_int_equal(b->weight, 3);
	assert_int_equal(atomic_load(&b->max), 7);
	assert_true(b->backup);
	assert_false(a->backup);
	assert_int_equal(a->weight, 2);
	assert_true(atomic_load(&a->compared));
	assert_int_equal(n_gone(), 0);
	assert_true(other->serial > one->serial);
}

/* ...and another scheme; what its certificate is to bear is the host. */
static void
https_is_another(void **state)
{
	static const struct {
		const char *address, *server_name, *host;
	} cases[] = {
	    {"127.0.0.1:3001", "127.0.0.1", "127.0.0.1:3001"},
	    {"[::1]:443", "::1", "[::1]:443"},
	};
	struct snapshot *s = put(WEB POOL A);
	struct backend *plain = backend(s, 0, 0), *secure;
	char lines[256];

	(void)state;
	assert_null(plain->server_name);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)snprintf(lines, sizeof(lines),
		    WEB POOL "backend = https://%s name=a\n", cases[i].address);
		s = put(lines);
		secure = backend(s, 0, 0);
		assert_ptr_not_equal(secure, plain);
		assert_string_equal(secure->server_name, cases[i].server_name);
		assert_true(span_equal(secure->host, span_of(cases[i].host)));
		assert_ptr_equal(backend(put(lines), 0, 0), secure);
	}
	s = put(WEB POOL A "backend = https://127.0.0.1:3001 name=s\n");
	assert_ptr_equal(backend(s, 0, 0), plain);
	assert_non_null(backend(s, 0, 1)->server_name);
}

/* Another name, another address, another pool: another backend. */
static void
what_differs_is_another(void **state)
{
	struct snapshot *one = put(WEB POOL A OTHER);
	struct backend *a = backend(one, 0, 0), *api = backend(one, 1, 0);
	struct snapshot *s;

	(void)state;
	assert_ptr_not_equal(a, api);
	s = put(WEB POOL "backend = 127.0.0.1:3001 name=z\n" OTHER);
	assert_ptr_not_equal(backend(s, 0, 0), a);
	assert_ptr_equal(backend(s, 1, 0), api);
	s = put(WEB POOL "backend = 127.0.0.1:3009 name=a\n" OTHER);
	assert_ptr_not_equal(backend(s, 0, 0), a);
	/* The address of one is not the same with another name in front. */
	assert_int_equal(n_gone(), 2);
	assert_true(is_gone(a));
	assert_false(is_gone(api));
}

static void
prepared_changes_nothing(void **state)
{
	struct snapshot *one = commit(WEB POOL A), *s;
	struct backend *a = backend(one, 0, 0);

	(void)state;
	s = prepare(WEB POOL "balance = least_connections\n"
			     "backend = 127.0.0.1:3001 name=a weight=9 max=1\n"
			     "backend = 127.0.0.1:3003 name=c\n" OTHER);
	assert_non_null(s);
	assert_ptr_equal(backend(s, 0, 0), a);
	assert_int_equal(a->weight, 1);
	assert_int_equal(atomic_load(&a->max), 0);
	assert_false(atomic_load(&a->compared));
	assert_ptr_equal(registry_snapshot(registry), one);
	assert_int_equal(registry_alive(registry), 1);
	assert_false(atomic_load(&a->draining));
	counter_add(&backend(s, 0, 1)->lanes[0].fresh, 5);
	registry_rollback(registry, s);
	assert_int_equal(n_gone(), 0);
	assert_int_equal(registry_alive(registry), 1);
	assert_ptr_equal(registry_snapshot(registry), one);
	/* Neither are pools and listeners told that never were. */
	for (size_t at = 0, n = 0;; n++) {
		const struct upstream *u =
		    registry_next_upstream(registry, &at, now_ms);

		assert_true(n <= 1);
		if (u == NULL)
			break;
		assert_string_equal(u->name, "web");
	}
	for (size_t at = 0, n = 0;; n++) {
		const struct front *f =
		    registry_next_front(registry, &at, now_ms);

		assert_true(n <= 1);
		if (f == NULL)
			break;
		assert_string_equal(f->name, "web");
	}
	/* And again: the same works. */
	s = commit(WEB POOL A "backend = 127.0.0.1:3003 name=c\n" OTHER);
	assert_ptr_equal(backend(s, 0, 0), a);
	assert_int_equal(s->n_pools, 2);
	/* What was never seen is not there any more. */
	assert_int_equal(counter_get(&backend(s, 0, 1)->lanes[0].fresh), 0);
}

/* The configuration lives as long as a snapshot of it. */
static void
the_configuration_is_held(void **state)
{
	struct snapshot *one = commit(WEB POOL A), *two;

	(void)state;
	assert_ptr_equal(registry_loaded(registry)->cfg, one->cfg);
	assert_int_equal(registry_loaded(registry)->refs, 1);
	two = commit(WEB POOL B);
	assert_ptr_equal(registry_loaded(registry)->cfg, two->cfg);
	assert_string_equal(one->cfg->pools[0].backends[0].name, "a");
	release(one);
	assert_string_equal(two->cfg->pools[0].backends[0].name, "b");
	assert_string_equal(two->pools[0].upstream->name, "web");
}

/* ---- holds ---- */

static void
alive_until_each_worker_has_let_go(void **state)
{
	struct snapshot *one = commit(WEB POOL A), *two, *three;

	(void)state;
	assert_int_equal(registry_alive(registry), 1);
	assert_ptr_equal(registry_hold(one, 0)->snapshot, one);
	assert_ptr_equal(registry_hold(one, 1)->snapshot, one);
	assert_ptr_not_equal(registry_hold(one, 0), registry_hold(one, 1));
	two = commit(WEB POOL A);
	three = commit(WEB POOL A);
	assert_int_equal(registry_alive(registry), 3);
	assert_true(collect());
	/* The second first. */
	registry_released(registry, registry_hold(two, 1));
	assert_int_equal(registry_alive(registry), 3);
	registry_released(registry, registry_hold(one, 0));
	registry_released(registry, registry_hold(two, 0));
	assert_int_equal(registry_alive(registry), 2);
	registry_released(registry, registry_hold(one, 1));
	assert_int_equal(registry_alive(registry), 1);
	assert_ptr_equal(registry_snapshot(registry), three);
	assert_false(collect());
}

static void
counts_anew_what_was_not_compared(void **state)
{
	struct snapshot *s;

	(void)state;
	s = prepare(WEB POOL "balance = least_connections\n" A);
	/* Nothing is in flight on one that is new. */
	assert_false(registry_recounts(s));
	registry_rollback(registry, s);
	commit(WEB POOL A);
	s = prepare(WEB POOL "balance = least_connections\n" A);
	assert_true(registry_recounts(s));
	registry_commit(registry, s, now_ms);
	s = prepare(WEB POOL "balance = random_two\n" A B);
	assert_false(registry_recounts(s));
	registry_commit(registry, s, now_ms);
	s = commit(WEB POOL A);
	assert_false(registry_recounts(s));
	assert_false(atomic_load(&backend(s, 0, 0)->compared));
}

/* ---- gone ---- */

static void
gone_and_back(void **state)
{
	struct snapshot *one = put(WEB POOL A B), *s;
	struct backend *b = backend(one, 0, 1);

	(void)state;
	now_ms += 5000;
	put(WEB POOL A);
	assert_int_equal(n_gone(), 1);
	assert_true(is_gone(b));
	assert_true(atomic_load(&b->draining));
	assert_int_equal(b->life.gone_ms, now_ms);
	atomic_store(&b->failures, 3);
	atomic_store(&b->asked_until_ms, now_ms + 5);
	counter_add(&b->lanes[0].attempts[ACCESS_OK], 7);
	/* One more without it changes nothing about when it went. */
	now_ms += 5000;
	put(WEB POOL A);
	assert_int_equal(b->life.gone_ms, now_ms - 5000);
	s = put(WEB POOL A B);
	assert_ptr_equal(backend(s, 0, 1), b);
	assert_int_equal(n_gone(), 0);
	assert_false(atomic_load(&b->draining));
	assert_int_equal(atomic_load(&b->failures), 0);
	assert_int_equal(atomic_load(&b->asked_until_ms), 0);
	/* Its counters never fall. */
	assert_int_equal(counter_get(&b->lanes[0].attempts[ACCESS_OK]), 7);
	now_ms += 10 * REGISTRY_GONE_MS;
	collect_all();
	assert_ptr_equal(backend(s, 0, 1), b);
}

/* A rollback leaves a gone one gone, and does not free it. */
static void
gone_stays_gone_after_a_rollback(void **state)
{
	struct backend *b;

	(void)state;
	b = backend(put(WEB POOL A B), 0, 1);
	put(WEB POOL A);
	registry_rollback(registry, prepare(WEB POOL A B));
	assert_true(is_gone(b));
	assert_true(atomic_load(&b->draining));
}

/* Metrics have one series for each name of a pool. */
static void
the_last_of_a_name_bears_it(void **state)
{
	static const char *const at[] = {
	    "backend = 127.0.0.1:3005 name=x\n",
	    "backend = 127.0.0.1:3006 name=x\n",
	};
	struct backend *first, *second;
	char text[512];

	(void)state;
	(void)snprintf(text, sizeof(text), WEB POOL A "%s" OTHER, at[0]);
	first = backend(put(text), 0, 1);
	assert_false(first->life.shadowed);
	(void)snprintf(text, sizeof(text), WEB POOL A "%s" OTHER, at[1]);
	second = backend(put(text), 0, 1);
	assert_ptr_not_equal(first, second);
	assert_true(first->life.shadowed);
	assert_false(second->life.shadowed);
	/* One that was never in force takes nobody's name. */
	registry_rollback(registry,
	    prepare(WEB POOL A "backend = 127.0.0.1:3007 name=x\n" OTHER));
	assert_false(second->life.shadowed);
	/* Back: it has it again. */
	(void)snprintf(text, sizeof(text), WEB POOL A "%s" OTHER, at[0]);
	assert_ptr_equal(backend(put(text), 0, 1), first);
	assert_false(first->life.shadowed);
	assert_true(second->life.shadowed);
	put(WEB POOL A);
	/* Both are gone: the last that had it still tells. */
	assert_int_equal(n_gone(), 3);
	assert_false(first->life.shadowed);
	assert_true(second->life.shadowed);
}

/* Of two with one name the one that bore it is freed, and the other, in use
 * all the time, comes back. */
static void
a_name_that_nobody_bears_is_taken_again(void **state)
{
	struct backend *first;
	struct snapshot *s;

	(void)state;
	first =
	    backend(put(WEB POOL A "backend = 127.0.0.1:3005 name=x\n"), 0, 1);
	counter_add(&first->lanes[1].inflight, 1);
	put(WEB POOL A "backend = 127.0.0.1:3006 name=x\n");
	put(WEB POOL A);
	now_ms += REGISTRY_GONE_MS;
	collect_all();
	assert_int_equal(n_gone(), 1);
	assert_true(is_gone(first));
	s = prepare(WEB POOL A "backend = 127.0.0.1:3005 name=x\n");
	registry_rollback(registry, s);
	assert_true(is_gone(first));
	s = put(WEB POOL A "backend = 127.0.0.1:3005 name=x\n");
	assert_ptr_equal(backend(s, 0, 1), first);
	assert_false(first->life.shadowed);
	counter_add(&first->lanes[1].inflight, (uint64_t)-1);
	put(WEB POOL A);
	now_ms += REGISTRY_GONE_MS;
	collect_all();
	assert_int_equal(n_gone(), 0);
}

static void
pools_and_listeners_are_told_for_a_time(void **state)
{
	const char *both = WEB POOL A OTHER;
	size_t at;

	(void)state;
	put(both);
	now_ms += 50000;
	put(WEB POOL A);
	for (uint64_t ms = 0; ms <= REGISTRY_GONE_MS; ms += REGISTRY_GONE_MS) {
		unsigned pools = 0, fronts = 0;

		for (at = 0;
		     registry_next_upstream(registry, &at, now_ms + ms);)
			pools++;
		for (at = 0; registry_next_front(registry, &at, now_ms + ms);)
			fronts++;
		assert_int_equal(pools, ms == 0 ? 2 : 1);
		assert_int_equal(fronts, ms == 0 ? 2 : 1);
	}
	/* Back after all that time: as it was. */
	now_ms += 3ULL * REGISTRY_GONE_MS;
	put(both);
	now_ms += 3ULL * REGISTRY_GONE_MS;
	at = 0;
	assert_string_equal(
	    registry_next_upstream(registry, &at, now_ms)->name, "web");
	assert_string_equal(
	    registry_next_upstream(registry, &at, now_ms)->name, "api");
	assert_null(registry_next_upstream(registry, &at, now_ms));
}

/* ---- freeing ---- */

static void
freed_after_its_time(void **state)
{
	(void)state;
	put(WEB POOL A B);
	put(WEB POOL A);
	assert_true(collect());
	now_ms += REGISTRY_GONE_MS - 1;
	collect_all();
	assert_int_equal(n_gone(), 1);
	now_ms += 1;
	/* Told to the workers, and then passed by each. */
	assert_true(collect());
	assert_int_equal(n_gone(), 1);
	assert_true(told > passed_by_all);
	assert_true(collect());
	assert_int_equal(n_gone(), 1);
	passed_by_all = told;
	(void)collect();
	assert_int_equal(n_gone(), 0);
	passed_by_all = told;
	assert_false(collect());
	/* It is another one when it comes again. */
	assert_int_equal(counter_get(&backend(put(WEB POOL A B), 0, 1)
					  ->lanes[0]
					  .attempts[ACCESS_OK]),
	    0);
}

enum use { IN_FLIGHT, NAMED, CONNECTED, MAILED, EVICTED, USES };

static void
use(struct backend *b, enum use how, int n)
{
	switch (how) {
	case IN_FLIGHT:
		counter_add(&b->lanes[1].inflight, (uint64_t)n);
		break;
	case NAMED:
		counter_add(&b->lanes[0].named, (uint64_t)n);
		break;
	case CONNECTED:
		atomic_store(&b->slots, n > 0);
		break;
	case MAILED:
		atomic_store(&b->failing_sent, n > 0);
		break;
	default:
		atomic_store(&b->lanes[1].evict_sent, n > 0);
	}
}

/* Whoever uses it begins the wait for the workers anew. */
static void
not_while_it_is_used(void **state)
{
	(void)state;
	for (enum use how = 0; how < USES; how++) {
		struct backend *b;

		put(WEB POOL A);
		b = backend(put(WEB POOL A B), 0, 1);
		use(b, how, 1);
		put(WEB POOL A);
		now_ms += 2 * REGISTRY_GONE_MS;
		collect_all();
		assert_true(is_gone(b));
		use(b, how, -1);
		collect();
		use(b, how, 1);
		passed_by_all = told;
		collect();
		assert_true(is_gone(b));
		use(b, how, -1);
		/* What was passed before does not count. */
		collect();
		assert_true(is_gone(b));
		passed_by_all = told;
		collect();
		assert_int_equal(n_gone(), 0);
	}
}

/* A request may still go by an older snapshot that has it. */
static void
not_while_a_snapshot_has_it(void **state)
{
	struct snapshot *one = commit(WEB POOL A B), *two;

	(void)state;
	two = commit(WEB POOL A);
	commit(WEB POOL A);
	release(two);
	now_ms += 2 * REGISTRY_GONE_MS;
	collect_all();
	assert_int_equal(n_gone(), 1);
	registry_released(registry, registry_hold(one, 0));
	collect_all();
	assert_int_equal(n_gone(), 1);
	registry_released(registry, registry_hold(one, 1));
	collect_all();
	assert_int_equal(n_gone(), 0);
}

/* What is in force is never freed, nor is what a rotation of it holds. */
static void
rotations_of_a_gone_pool_go(void **state)
{
	static const uint32_t weight = 1;
	struct snapshot *one = put(WEB POOL A OTHER);
	struct upstream *web = one->pools[0].upstream,
			*api = one->pools[1].upstream;
	struct backend *in[2] = {backend(one, 0, 0), backend(one, 1, 0)};
	struct snapshot *two;

	(void)state;
	publish_swap(&published, &web->rotation,
	    rotation_create(&in[0], &weight, 1, false));
	publish_swap(&published, &api->rotation,
	    rotation_create(&in[1], &weight, 1, false));
	publish_swap(&published, &api->backup,
	    rotation_create(&in[1], &weight, 1, false));
	publish_swap(&published, &api->resort,
	    rotation_create(&in[1], &weight, 1, false));
	publish_tell(&published);
	two = commit(WEB POOL A);
	collect_all();
	assert_non_null(atomic_load(&api->rotation));
	release(one);
	collect_all();
	assert_null(atomic_load(&api->rotation));
	assert_null(atomic_load(&api->backup));
	assert_null(atomic_load(&api->resort));
	assert_non_null(atomic_load(&web->rotation));
	assert_false(publish_collect(&published));
	assert_ptr_equal(registry_snapshot(registry), two);
}

/* Whatever is there at the end is freed (AddressSanitizer looks). */
static void
freed_with_all_that_is_left(void **state)
{
	(void)state;
	commit(WEB POOL A B OTHER);
	commit(WEB POOL "backend = 127.0.0.1:3002 name=a\n");
	commit(WEB POOL B);
	assert_int_equal(registry_alive(registry), 3);
	assert_int_equal(n_gone(), 3);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH(nothing_in_force_yet),
	    WITH(what_both_have_is_the_same),
	    WITH(what_differs_is_another),
	    WITH(https_is_another),
	    WITH(prepared_changes_nothing),
	    WITH(the_configuration_is_held),
	    WITH(alive_until_each_worker_has_let_go),
	    WITH(counts_anew_what_was_not_compared),
	    WITH(gone_and_back),
	    WITH(gone_stays_gone_after_a_rollback),
	    WITH(the_last_of_a_name_bears_it),
	    WITH(a_name_that_nobody_bears_is_taken_again),
	    WITH(pools_and_listeners_are_told_for_a_time),
	    WITH(freed_after_its_time),
	    WITH(not_while_it_is_used),
	    WITH(not_while_a_snapshot_has_it),
	    WITH(rotations_of_a_gone_pool_go),
	    WITH(freed_with_all_that_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
