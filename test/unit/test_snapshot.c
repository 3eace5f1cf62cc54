/* layer: proxy */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "evenkeel/proxy/snapshot.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct snapshot_pool fits, other;

/* Whether one route with these hosts and paths takes the request. */
static bool
takes(const char *host_pattern, const char *path_prefix, const char *host,
    const char *path)
{
	struct cfg_route cfg = {.hosts = &host_pattern,
	    .n_hosts = host_pattern != NULL,
	    .paths = &path_prefix,
	    .n_paths = path_prefix != NULL};
	struct snapshot_route route = {.cfg = &cfg, .pool = &fits};
	struct snapshot_listener l = {
	    .pool = &other, .routes = &route, .n_routes = 1};

	return snapshot_route(&l, span_of(host), span_of(path)) == &fits;
}

static void
hosts(void **state)
{
	static const struct {
		const char *pattern, *host;
		bool takes;
	} cases[] = {
	    {"example.com", "example.com", true},
	    {"example.com", "EXAMPLE.Com", true},
	    {"example.com", "example.com:8080", true},
	    {"example.com", "example.com.", true},
	    {"example.com", "example.com.:80", true},
	    {"example.com", "example.com:", true},
	    {"example.com", "www.example.com", false},
	    {"example.com", "example.co", false},
	    {"example.com", "example.comm", false},
	    {"example.com", "xexample.com", false},
	    {"example.com", "example.com..", false},
	    {"example.com", "", false},
	    {"example.com", ".", false},
	    {"example.com", ":80", false},
	    {"*.example.com", "www.example.com", true},
	    {"*.example.com", "a.b.example.com", true},
	    {"*.example.com", "WWW.Example.COM:443", true},
	    {"*.example.com", "www.example.com.:443", true},
	    {"*.example.com", "example.com", false},
	    {"*.example.com", ".example.com", false},
	    {"*.example.com", "wwwexample.com", false},
	    {"*.example.com", "www.example.com.evil", false},
	    {"*.example.com", "", false},
	    {"127.0.0.1", "127.0.0.1:80", true},
	    {"[::1]", "[::1]", true},
	    {"[::1]", "[::1]:8080", true},
	    {"[::1]", "[::2]:8080", false},
	    {"[::1]", "[::1", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		if (takes(cases[i].pattern, NULL, cases[i].host, "/") !=
		    cases[i].takes)
			fail_msg("%s for %s", cases[i].pattern, cases[i].host);
}

static void
paths(void **state)
{
	static const struct {
		const char *prefix, *path;
		bool takes;
	} cases[] = {
	    {"/", "/", true},
	    {"/", "/anything", true},
	    {"/", "/?q", true},
	    {"/api", "/api", true},
	    {"/api", "/api/", true},
	    {"/api", "/api/v1", true},
	    {"/api", "/api?q=/", true},
	    {"/api", "/apis", false},
	    {"/api", "/ap", false},
	    {"/api", "/API", false},
	    {"/api", "/x/api", false},
	    {"/api", "/api%2f", false},
	    {"/api", "/api.html", false},
	    {"/api/", "/api/", true},
	    {"/api/", "/api/v1", true},
	    {"/api/", "/api/?q", true},
	    {"/api/", "/api", false},
	    {"/api/", "/api?q", false},
	    {"/a/b", "/a/b/c", true},
	    {"/a/b", "/a/bc", false},
	    {"/a/b", "/a", false},
	    {"/api", "*", false},
	    {"/api", "?q", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		if (takes(NULL, cases[i].prefix, "h", cases[i].path) !=
		    cases[i].takes)
			fail_msg("%s for %s", cases[i].prefix, cases[i].path);
}

/* An absolute-form without a path asks for "/". */
static void
an_empty_path_is_the_root(void **state)
{
	(void)state;
	assert_true(takes(NULL, "/", "h", ""));
	assert_true(takes(NULL, "/", "h", "?q"));
	assert_false(takes(NULL, "/api", "h", ""));
}

static void
both_must_fit(void **state)
{
	(void)state;
	assert_true(takes(NULL, NULL, "", ""));
	assert_true(takes("a", "/x", "a", "/x"));
	assert_false(takes("a", "/x", "a", "/y"));
	assert_false(takes("a", "/x", "b", "/x"));
}

static void
one_of_several_is_enough(void **state)
{
	const char *names[] = {"a", "*.b"}, *prefixes[] = {"/x", "/y"};
	struct cfg_route cfg = {
	    .hosts = names, .n_hosts = 2, .paths = prefixes, .n_paths = 2};
	struct snapshot_route route = {.cfg = &cfg, .pool = &fits};
	struct snapshot_listener l = {.routes = &route, .n_routes = 1};

	(void)state;
	assert_ptr_equal(snapshot_route(&l, SPAN("a"), SPAN("/y")), &fits);
	assert_ptr_equal(snapshot_route(&l, SPAN("c.b"), SPAN("/x")), &fits);
	assert_null(snapshot_route(&l, SPAN("c"), SPAN("/x")));
	assert_null(snapshot_route(&l, SPAN("a"), SPAN("/z")));
}

static void
the_first_in_order(void **state)
{
	const char *wide = "*.example.com", *narrow = "www.example.com";
	struct cfg_route cfg[2] = {
	    {.hosts = &wide, .n_hosts = 1}, {.hosts = &narrow, .n_hosts = 1}};
	struct snapshot_route routes[2] = {
	    {.cfg = &cfg[0], .pool = &fits}, {.cfg = &cfg[1], .pool = &other}};
	struct snapshot_listener l = {.routes = routes, .n_routes = 2};

	(void)state;
	assert_ptr_equal(
	    snapshot_route(&l, SPAN("www.example.com"), SPAN("/")), &fits);
	routes[0].cfg = &cfg[1];
	routes[1].cfg = &cfg[0];
	assert_ptr_equal(
	    snapshot_route(&l, SPAN("www.example.com"), SPAN("/")), &fits);
	assert_ptr_equal(
	    snapshot_route(&l, SPAN("a.example.com"), SPAN("/")), &other);
}

static void
without_routes(void **state)
{
	struct snapshot_listener l = {.pool = &other};

	(void)state;
	assert_ptr_equal(snapshot_route(&l, SPAN("h"), SPAN("/")), &other);
	l.pool = NULL;
	assert_null(snapshot_route(&l, SPAN_NONE, SPAN_NONE));
}

static void
listeners_by_front(void **state)
{
	struct front fronts[3] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
	struct snapshot_listener ls[2] = {
	    {.front = &fronts[0]}, {.front = &fronts[1]}};
	struct snapshot s = {.listeners = ls, .n_listeners = 2};

	(void)state;
	assert_ptr_equal(snapshot_listener_of(&s, &fronts[0]), &ls[0]);
	assert_ptr_equal(snapshot_listener_of(&s, &fronts[1]), &ls[1]);
	assert_null(snapshot_listener_of(&s, &fronts[2]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hosts),
	    cmocka_unit_test(paths),
	    cmocka_unit_test(an_empty_path_is_the_root),
	    cmocka_unit_test(both_must_fit),
	    cmocka_unit_test(one_of_several_is_enough),
	    cmocka_unit_test(the_first_in_order),
	    cmocka_unit_test(without_routes),
	    cmocka_unit_test(listeners_by_front),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
