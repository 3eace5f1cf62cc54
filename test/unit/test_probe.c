/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "evenkeel/control/probe.h"
#include "evenkeel/net/listener.h"
#include "loaded_text.h"
#include "loop_until.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BASE         "health = http\n"

static int listening;
static struct backend *backend;
static struct probe probe;
static unsigned ended;

static void
on_end(struct probe *p, enum probe_end end, const char *why, void *arg)
{
	(void)p;
	(void)end;
	(void)why;
	(void)arg;
	ended++;
}

static const struct probe_ops ops = {.on_end = on_end};

static int
begin(void **state)
{
	const struct cfg_addr from = {
	    .kind = CFG_ADDR_INET4, .host = "127.0.0.1", .port = 0};
	char bytes[256];
	struct textbuf why = textbuf_make(bytes, sizeof(bytes));
	struct address a, bound;

	if (open_loop(state) != 0 || !address_resolve(&a, &from, &why) ||
	    !listener_bind(&a, &listening, 1, &bound, &why))
		return -1;
	ended = 0;
	backend = backend_create("b", SPAN_NONE, &bound, NULL, 1, 1);
	return backend != NULL ? 0 : -1;
}

static int
end(void **state)
{
	probe_stop(&probe);
	backend_free(backend);
	close(listening);
	return close_loop(state);
}

static struct loaded *
load(const char *lines)
{
	char text[1024];

	(void)snprintf(text, sizeof(text),
	    "[listener web]\nbind = 127.0.0.1:8080\npool = web\n[pool web]\n"
	    "backend = 127.0.0.1:3001 name=b\n%s",
	    lines);
	return loaded_text(text);
}

static const struct cfg_pool *
cfg_of(const struct loaded *l)
{
	return &l->cfg->pools[0];
}

/* Good until it is called again. */
static const struct snapshot_pool *
pool(const struct loaded *l)
{
	static struct snapshot_pool p;

	p = (struct snapshot_pool){.cfg = cfg_of(l)};
	return &p;
}

/* Each key that is part of what a check asks, or of how it is judged. */
static void
the_same_check(void **state)
{
	static const struct {
		const char *lines;
		bool same;
	} cases[] = {
	    {BASE, true},
	    {BASE "health_interval = 7s\nhealth_interval_down = 1s\n", true},
	    {BASE "health_rise = 7\nhealth_fall = 7\n", true},
	    {BASE "health_initial = down\nslow_start = 1s\n", true},
	    {BASE "response_timeout = 3s\nkeepalive = 3\n", true},
	    {BASE "health_path = /\nhealth_method = GET\n", true},
	    {"health = tcp\n", false},
	    {BASE "health_path = /other\n", false},
	    {BASE "health_method = HEAD\n", false},
	    {BASE "health_host = other.test\n", false},
	    {BASE "health_status = 200\n", false},
	    {BASE "health_status = 200-299, 404\n", false},
	    {BASE "health_body = fine\n", false},
	    {BASE "health_port = 81\n", false},
	    {BASE "health_timeout = 1500ms\n", false},
	    {BASE "max_headers = 55\n", false},
	    {BASE "max_header_size = 40k\n", false},
	    {BASE "proxy_protocol = v1\n", false},
	};
	struct loaded *old = load(BASE);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct loaded *l = load(cases[i].lines);

		probe_init(&probe, loop, pool(old), backend, &ops, NULL);
		if (probe_follow(&probe, pool(l), backend) != cases[i].same)
			fail_msg("%s", cases[i].lines);
		assert_ptr_equal(probe.cfg, cfg_of(l));
		/* And the way back. */
		assert_int_equal(
		    probe_follow(&probe, pool(old), backend), cases[i].same);
		loaded_release(l);
	}
	loaded_release(old);
	assert_int_equal(ended, 0);
}

/* Whom it asks, and by which name. */
static void
aims_anew(void **state)
{
	struct loaded *old = load(BASE);
	struct loaded *l =
	    load(BASE "health_port = 81\nhealth_host = other.test\n");

	(void)state;
	probe_init(&probe, loop, pool(old), backend, &ops, NULL);
	assert_true(address_equal(&probe.address, &backend->address));
	assert_true(span_equal(probe.host, backend->host));
	assert_false(probe_follow(&probe, pool(l), backend));
	assert_int_equal(address_port(&probe.address), 81);
	assert_true(span_equal(probe.host, SPAN("other.test")));
	assert_false(probe_follow(&probe, pool(old), backend));
	assert_true(address_equal(&probe.address, &backend->address));
	assert_true(span_equal(probe.host, backend->host));
	loaded_release(l);
	loaded_release(old);
}

static void
send_text(int fd, const char *text)
{
	assert_int_equal(
	    send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* In the middle of an answer: the configuration it began with is freed. */
static void
under_way(void **state)
{
	const char *lines = BASE "health_body = fine\nhealth_status = 207\n";
	struct loaded *old = load(lines), *l = load(lines);
	struct loaded *other = load(BASE "health_path = /other\n");
	int fd;

	(void)state;
	probe_init(&probe, loop, pool(old), backend, &ops, NULL);
	probe_start(&probe);
	TURN_UNTIL(probe.state == PROBE_ANSWER);
	fd = accept(listening, NULL, NULL);
	assert_true(fd >= 0);
	send_text(fd, "HTTP/1.1 207 Multi\r\nContent-Length: 4\r\n\r\nfi");
	TURN_UNTIL(probe.conn.bytes_in > 0);
	assert_true(probe_follow(&probe, pool(l), backend));
	loaded_release(old);
	assert_int_equal(probe.state, PROBE_ANSWER);
	assert_int_equal(ended, 0);
	send_text(fd, "ne");
	TURN_UNTIL(ended == 1);
	close(fd);
	/* Another check: the one under way ends without a word. */
	probe_start(&probe);
	TURN_UNTIL(probe.state == PROBE_ANSWER);
	assert_false(probe_follow(&probe, pool(other), backend));
	assert_int_equal(probe.state, PROBE_IDLE);
	assert_null(probe.answer);
	assert_int_equal(ended, 1);
	loaded_release(l);
	probe_start(&probe);
	TURN_UNTIL(probe.state == PROBE_ANSWER);
	probe_stop(&probe);
	loaded_release(other);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH(the_same_check),
	    WITH(aims_anew),
	    WITH(under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
