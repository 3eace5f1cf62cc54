/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "evenkeel/control/compile.h"
#include "evenkeel/net/buf.h"
#include "loaded_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define WEB          "[listener web]\nbind = 127.0.0.1:8080\npool = web\n"
#define POOL         "[pool web]\nbackend = 127.0.0.1:3001\n"

static struct loaded *loaded;
static struct snapshot s;

static const struct snapshot *
compile(const char *text, uint32_t workers)
{
	loaded = loaded_text(text);
	s = (struct snapshot){.cfg = NULL};
	assert_true(compile_snapshot(&s, loaded->cfg, workers));
	assert_ptr_equal(s.cfg, loaded->cfg);
	return &s;
}

static void
done(void)
{
	compile_free(&s);
	loaded_release(loaded);
}

/* Idle connections are shared out over the workers; one each at least. */
static void
keepalive_shares(void **state)
{
	static const struct {
		const char *text;
		uint32_t workers, share;
	} cases[] = {
	    {WEB POOL "keepalive = 100\n", 1, 100},
	    {WEB POOL "keepalive = 100\n", 8, 12},
	    {WEB POOL "keepalive = 3\n", 8, 1},
	    {WEB POOL "keepalive = 8\n", 8, 1},
	    {WEB POOL "keepalive = 0\n", 8, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		compile(cases[i].text, cases[i].workers);
		assert_int_equal(
		    s.pools[0].terms.keepalive_share, cases[i].share);
		done();
	}
}

static void
terms_of_pools(void **state)
{
	(void)state;
	compile(WEB POOL "eject_failures = 7\nretry_attempts = 0\n"
			 "proxy_protocol = v2\nkeepalive_timeout = 9s\n",
	    1);
	assert_int_equal(s.pools[0].terms.eject_failures, 7);
	assert_int_equal(s.pools[0].terms.keepalive_timeout_ms, 9000);
	assert_true(s.pools[0].terms.one_request);
	assert_false(s.pools[0].terms.retries);
	assert_false(s.pools[0].budget_limited);
	assert_int_equal(s.n_pools, 1);
	/* The registry's. */
	assert_null(s.pools[0].upstream);
	assert_int_equal(s.pools[0].n_backends, 0);
	assert_null(s.listeners[0].front);
	done();
	compile(WEB POOL "retry_attempts = 2\nretry_budget = 20%\n", 1);
	assert_false(s.pools[0].terms.one_request);
	assert_true(s.pools[0].terms.retries);
	assert_true(s.pools[0].budget_limited);
	done();
	compile(WEB POOL "retry_attempts = 2\nretry_budget = 100%\n", 1);
	assert_false(s.pools[0].budget_limited);
	done();
}

static void
hashes(void **state)
{
	static const struct {
		const char *text, *name;
		enum snapshot_hash hash;
	} cases[] = {
	    {WEB POOL, "", SNAPSHOT_HASH_CLIENT_IP},
	    {WEB POOL "balance = hash\nhash_on = client_ip\n", "",
		SNAPSHOT_HASH_CLIENT_IP},
	    {WEB POOL "balance = hash\nhash_on = path\n", "",
		SNAPSHOT_HASH_PATH},
	    {WEB POOL "balance = hash\nhash_on = header:X-Key\n", "X-Key",
		SNAPSHOT_HASH_HEADER},
	    {WEB POOL "balance = hash\nhash_on = cookie:sid\n", "sid",
		SNAPSHOT_HASH_COOKIE},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		compile(cases[i].text, 1);
		assert_int_equal(s.pools[0].hash, cases[i].hash);
		assert_true(
		    span_equal(s.pools[0].hash_name, span_of(cases[i].name)));
		done();
	}
}

static void
hosts(void **state)
{
	static const struct {
		const char *text, *host;
		bool of_backend;
	} cases[] = {
	    {WEB POOL "host_header = keep\n", "", false},
	    {WEB POOL "host_header = backend\n", "", true},
	    {WEB POOL "host_header = www.test\n", "www.test", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		compile(cases[i].text, 1);
		assert_int_equal(
		    s.pools[0].host_of_backend, cases[i].of_backend);
		assert_true(
		    span_equal(s.pools[0].host, span_of(cases[i].host)));
		done();
	}
}

/* A listener has the routes that name it, or none, in the order of the file. */
static void
routes_of_listeners(void **state)
{
	(void)state;
	compile("[listener one]\nbind = 127.0.0.1:8080\npool = b\n"
		"trusted_proxies = 10.0.0.0/8, ::1\n"
		"[listener two]\nbind = 127.0.0.1:8081\npool = a\n"
		"[pool a]\nbackend = 127.0.0.1:3001\n"
		"[pool b]\nbackend = 127.0.0.1:3002\n"
		"[route x]\nlistener = one\nhost = x.test\npool = a\n"
		"[route y]\nhost = y.test\npool = b\n"
		"[route z]\nlistener = one, two\nhost = z.test\npool = a\n",
	    1);
	assert_int_equal(s.n_listeners, 2);
	assert_int_equal(s.listeners[0].n_routes, 3);
	assert_int_equal(s.listeners[1].n_routes, 2);
	assert_string_equal(s.listeners[0].routes[0].cfg->name, "x");
	assert_string_equal(s.listeners[0].routes[1].cfg->name, "y");
	assert_string_equal(s.listeners[1].routes[0].cfg->name, "y");
	assert_string_equal(s.listeners[1].routes[1].cfg->name, "z");
	assert_ptr_equal(s.listeners[0].routes[0].pool, &s.pools[0]);
	assert_ptr_equal(s.listeners[0].routes[1].pool, &s.pools[1]);
	assert_ptr_equal(s.listeners[0].pool, &s.pools[1]);
	assert_ptr_equal(s.listeners[1].pool, &s.pools[0]);
	assert_int_equal(s.listeners[0].n_trusted, 2);
	assert_int_equal(s.listeners[1].n_trusted, 0);
	done();
}

/* The largest of all, and never less than a buffer. */
static void
the_largest_heads(void **state)
{
	(void)state;
	compile(WEB POOL "max_header_size = 1k\n", 1);
	assert_true(s.head_bytes >= BUF_BYTES);
	done();
	compile(WEB "max_headers = 50\n"
		    "[listener two]\nbind = 127.0.0.1:8081\npool = web\n"
		    "max_header_size = 200k\nmax_headers = 77\n"
		    "[pool web]\nbackend = 127.0.0.1:3001\nmax_headers = 33\n"
		    "[pool big]\nbackend = 127.0.0.1:3002\nmax_headers = 44\n",
	    1);
	assert_int_equal(s.head_bytes, 200 * 1024);
	assert_int_equal(s.request_fields, 77);
	assert_int_equal(s.response_fields, 44);
	done();
	compile(WEB POOL "max_header_size = 256k\n", 1);
	assert_int_equal(s.head_bytes, 256 * 1024);
	done();
}

static void
records(void **state)
{
	(void)state;
	compile("[global]\naccess_log_format = json\n" WEB POOL, 1);
	assert_true(s.access_json);
	done();
	compile(WEB POOL, 1);
	assert_false(s.access_json);
	done();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keepalive_shares),
	    cmocka_unit_test(terms_of_pools),
	    cmocka_unit_test(hashes),
	    cmocka_unit_test(hosts),
	    cmocka_unit_test(routes_of_listeners),
	    cmocka_unit_test(the_largest_heads),
	    cmocka_unit_test(records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
