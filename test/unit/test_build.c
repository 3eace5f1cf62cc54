/* layer: config */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "evenkeel/config/build.h"
#include "evenkeel/config/option.h"
#include "evenkeel/config/print.h"

#include "built.h"

static void
small_file_has_all_defaults(void **state)
{
	(void)state;
	BUILD(WEB, POOL);
	assert_string_equal(b->text, "");
	assert_non_null(b->cfg);
	assert_int_equal(b->cfg->global.workers, CFG_AUTO);
	assert_string_equal(b->cfg->global.log, "stderr");
	assert_int_equal(b->cfg->global.log_level, CFG_LOG_INFO);
	assert_int_equal(b->cfg->global.log_format, CFG_LOG_TEXT);
	assert_string_equal(b->cfg->global.access_log, "off");
	assert_int_equal(b->cfg->global.access_log_format, CFG_ACCESS_COMBINED);
	assert_string_equal(b->cfg->global.control, "");
	assert_int_equal(b->cfg->global.max_connections, CFG_AUTO);
	assert_int_equal(b->cfg->global.shutdown_timeout_ms, 30000);
	assert_false(b->cfg->admin.present);
	assert_int_equal(b->cfg->n_routes, 0);
	built_free(b);
}

static void
listener_has_its_defaults(void **state)
{
	const struct cfg_listener *l;

	(void)state;
	BUILD(WEB, POOL);
	assert_int_equal(b->cfg->n_listeners, 1);
	l = &b->cfg->listeners[0];
	assert_string_equal(l->name, "web");
	assert_int_equal(l->line, 1);
	assert_int_equal(l->n_binds, 1);
	assert_string_equal(l->binds[0].host, "127.0.0.1");
	assert_int_equal(l->binds[0].port, 8080);
	assert_int_equal(l->binds[0].kind, CFG_ADDR_INET4);
	assert_int_equal(l->binds[0].line, 2);
	assert_ptr_equal(l->pool, &b->cfg->pools[0]);
	assert_int_equal(l->header_timeout_ms, 10000);
	assert_int_equal(l->body_timeout_ms, 30000);
	assert_int_equal(l->idle_timeout_ms, 60000);
	assert_int_equal(l->send_timeout_ms, 30000);
	assert_int_equal(l->max_header_size, 16384);
	assert_int_equal(l->max_headers, 100);
	assert_int_equal(l->max_body_size, 0);
	assert_int_equal(l->forwarded, CFG_FORWARDED_X);
	assert_int_equal(l->request_id, CFG_REQUEST_ID_BACKEND);
	built_free(b);
}

static void
pool_has_its_defaults(void **state)
{
	const struct cfg_pool *p;

	(void)state;
	BUILD(WEB, POOL);
	assert_int_equal(b->cfg->n_pools, 1);
	p = &b->cfg->pools[0];
	assert_string_equal(p->name, "web");
	assert_int_equal(p->line, 3);
	assert_int_equal(p->index, 0);
	assert_int_equal(p->n_backends, 2);
	assert_string_equal(p->backends[1].name, "127.0.0.1:3002");
	assert_int_equal(p->backends[1].weight, 1);
	assert_int_equal(p->balance, CFG_BALANCE_ROUND_ROBIN);
	assert_int_equal(p->connect_timeout_ms, 2000);
	assert_int_equal(p->response_timeout_ms, 30000);
	assert_int_equal(p->stream_timeout_ms, 60000);
	assert_int_equal(p->request_timeout_ms, 60000);
	assert_int_equal(p->max_header_size, 32768);
	assert_int_equal(p->max_headers, 200);
	assert_int_equal(p->keepalive, 64);
	assert_int_equal(p->keepalive_timeout_ms, 30000);
	assert_int_equal(p->slow_start_ms, 0);
	built_free(b);
}

static void
every_key_reaches_its_field(void **state)
{
	const struct cfg_global *g;

	(void)state;
	BUILD("[global]", "workers=7", "log=/a", "log_level=debug",
	    "log_format=json", "access_log=/b", "access_log_format=json",
	    "control=/c", "max_connections=9", "shutdown_timeout=1s", "[admin]",
	    "listen=*:0", WEB, "header_timeout=1ms", "body_timeout=2ms",
	    "idle_timeout=3ms", "send_timeout=4ms", "max_header_size=5k",
	    "max_headers=6", "max_body_size=7", "forwarded=off",
	    "request_id=off", POOL, "connect_timeout=1ms",
	    "response_timeout=2ms", "stream_timeout=3ms", "request_timeout=4ms",
	    "max_header_size=5k", "max_headers=6", "keepalive=7",
	    "keepalive_timeout=8ms", "retry_attempts=0");
	assert_string_equal(b->text, "");
	g = &b->cfg->global;
	assert_int_equal(g->workers, 7);
	assert_string_equal(g->log, "/a");
	assert_int_equal(g->log_level, CFG_LOG_DEBUG);
	assert_int_equal(g->log_format, CFG_LOG_JSON);
	assert_string_equal(g->access_log, "/b");
	assert_int_equal(g->access_log_format, CFG_ACCESS_JSON);
	assert_string_equal(g->control, "/c");
	assert_int_equal(g->max_connections, 9);
	assert_int_equal(g->shutdown_timeout_ms, 1000);
	assert_true(b->cfg->admin.present);
	assert_string_equal(b->cfg->admin.listen.text, "0.0.0.0:0");
	built_free(b);
}

static void
every_key_of_a_listener_reaches_its_field(void **state)
{
	const struct cfg_listener *l;

	(void)state;
	BUILD(WEB, "header_timeout=1ms", "body_timeout=2ms", "idle_timeout=3ms",
	    "send_timeout=4ms", "max_header_size=5k", "max_headers=6",
	    "max_body_size=7", "forwarded=off", "request_id=off", POOL);
	l = &b->cfg->listeners[0];
	assert_int_equal(l->header_timeout_ms, 1);
	assert_int_equal(l->body_timeout_ms, 2);
	assert_int_equal(l->idle_timeout_ms, 3);
	assert_int_equal(l->send_timeout_ms, 4);
	assert_int_equal(l->max_header_size, 5120);
	assert_int_equal(l->max_headers, 6);
	assert_int_equal(l->max_body_size, 7);
	assert_int_equal(l->forwarded, CFG_FORWARDED_OFF);
	assert_int_equal(l->request_id, CFG_REQUEST_ID_OFF);
	built_free(b);
}

static void
every_key_of_a_pool_reaches_its_field(void **state)
{
	const struct cfg_pool *p;

	(void)state;
	BUILD(WEB, POOL, "connect_timeout=1ms", "response_timeout=2ms",
	    "stream_timeout=3ms", "request_timeout=4ms", "max_header_size=5k",
	    "max_headers=6", "keepalive=7", "keepalive_timeout=8ms");
	p = &b->cfg->pools[0];
	assert_int_equal(p->connect_timeout_ms, 1);
	assert_int_equal(p->response_timeout_ms, 2);
	assert_int_equal(p->stream_timeout_ms, 3);
	assert_int_equal(p->request_timeout_ms, 4);
	assert_int_equal(p->max_header_size, 5120);
	assert_int_equal(p->max_headers, 6);
	assert_int_equal(p->keepalive, 7);
	assert_int_equal(p->keepalive_timeout_ms, 8);
	built_free(b);
}

static void
addresses_have_one_text(void **state)
{
	static const struct {
		const char *text;
		enum cfg_addr_kind kind;
		uint16_t port;
	} want[] = {
	    {"0.0.0.0:80", CFG_ADDR_INET4, 80},
	    {"127.0.0.1:81", CFG_ADDR_INET4, 81},
	    {"[::1]:82", CFG_ADDR_INET6, 82},
	    {"[::]:83", CFG_ADDR_INET6, 83},
	    {"unix:/run/a.sock", CFG_ADDR_UNIX, 0},
	    {"127.0.0.1:0", CFG_ADDR_INET4, 0},
	    {"127.0.0.1:0", CFG_ADDR_INET4, 0},
	};
	const struct cfg_listener *l;

	(void)state;
	BUILD("[listener web]",
	    "bind=*:80, Localhost:081,[0:0::0001]:82 , [::]:83",
	    "bind=unix:/run/a.sock", "bind=127.0.0.1:0, 127.0.0.1:0", POOL);
	assert_string_equal(b->text, "");
	l = &b->cfg->listeners[0];
	assert_int_equal(l->n_binds, 7);
	for (size_t i = 0; i < 7; i++) {
		assert_string_equal(l->binds[i].text, want[i].text);
		assert_int_equal(l->binds[i].kind, want[i].kind);
		assert_int_equal(l->binds[i].port, want[i].port);
	}
	assert_string_equal(l->binds[2].host, "::1");
	assert_string_equal(l->binds[4].host, "/run/a.sock");
	built_free(b);
}

static void
backends_have_options(void **state)
{
	const struct cfg_backend *k;

	(void)state;
	BUILD(WEB, "[pool web]",
	    "backend=A.Example:80\t weight=256  name=big, [::1]:1 name=b.-_9",
	    "backend=unix:/s weight=2,localhost:3000");
	assert_string_equal(b->text, "");
	assert_int_equal(b->cfg->pools[0].n_backends, 4);
	k = b->cfg->pools[0].backends;
	assert_string_equal(k[0].name, "big");
	assert_string_equal(k[0].addr.text, "a.example:80");
	assert_int_equal(k[0].addr.kind, CFG_ADDR_NAME);
	assert_int_equal(k[0].weight, 256);
	assert_string_equal(k[1].name, "b.-_9");
	assert_int_equal(k[1].weight, 1);
	assert_string_equal(k[2].name, "unix:/s");
	assert_int_equal(k[2].weight, 2);
	assert_int_equal(k[3].addr.kind, CFG_ADDR_NAME);
	assert_int_equal(k[3].addr.line, 5);
	built_free(b);
}

static void
backends_by_srv_record(void **state)
{
	const struct cfg_backend *k;

	(void)state;
	BUILD(WEB, "[pool web]",
	    "backend=srv:_HTTP._TCP.App.Internal max=7 backup name=app",
	    "backend=srv:_x-1._tcp.a.", "resolve=0", "[pool b]",
	    "backend=srv:_http._tcp.a", "[route r]", "path=/b", "pool=b",
	    "[route s]", "pool=web");
	assert_string_equal(b->text, "");
	assert_int_equal(b->cfg->pools[0].resolve_ms, 0);
	assert_int_equal(b->cfg->pools[1].resolve_ms, 30000);
	k = b->cfg->pools[0].backends;
	assert_int_equal(k[0].addr.kind, CFG_ADDR_SRV);
	assert_string_equal(k[0].addr.host, "_http._tcp.app.internal");
	assert_string_equal(k[0].addr.text, "srv:_http._tcp.app.internal");
	assert_int_equal(k[0].addr.port, 0);
	assert_string_equal(k[0].name, "app");
	assert_int_equal(k[0].max, 7);
	assert_true(k[0].backup);
	assert_string_equal(k[1].name, "srv:_x-1._tcp.a.");
	built_free(b);
}

static void
srv_records_stand_once_in_a_pool(void **state)
{
	(void)state;
	BUILD(WEB, "[pool web]",
	    "backend=srv:_http._tcp.a, srv:_HTTP._tcp.A, srv:_https._tcp.a");
	assert_string_equal(b->text,
	    "f:4: [pool web] backend: \"srv:_HTTP._tcp.A\": the same address "
	    "is already at line 4; allowed: once\n");
	built_free(b);
}

static void
backend_names_have_48_bytes(void **state)
{
	(void)state;
	BUILD(WEB, "[pool web]",
	    "backend=a:1 name=n23456789012345678901234567890123456789012345678",
	    "backend=b:1 "
	    "name=n234567890123456789012345678901234567890123456789");
	assert_non_null(strstr(b->text, "f:5: "));
	assert_null(strstr(b->text, "f:4: "));
	built_free(b);
}

static void
routes_refer_to_what_comes_later(void **state)
{
	const struct cfg_route *r;

	(void)state;
	BUILD("[route one]", "listener=two,web", "host=A.example, *.B.example",
	    "host=[::1],10.0.0.1", "path=/api", "pool=api", "[route two]",
	    "path=/x,/y", "pool=web", WEB, "[listener two]", "bind=*:81",
	    "pool=api", POOL, "[pool api]", "backend=a:1,b:1");
	assert_string_equal(b->text, "");
	assert_int_equal(b->cfg->n_routes, 2);
	r = &b->cfg->routes[0];
	assert_int_equal(r->n_listeners, 2);
	assert_ptr_equal(r->listeners[0], &b->cfg->listeners[1]);
	assert_ptr_equal(r->listeners[1], &b->cfg->listeners[0]);
	assert_int_equal(r->n_hosts, 4);
	assert_string_equal(r->hosts[0], "a.example");
	assert_string_equal(r->hosts[1], "*.b.example");
	assert_string_equal(r->hosts[2], "[::1]");
	assert_int_equal(r->n_paths, 1);
	assert_ptr_equal(r->pool, &b->cfg->pools[1]);
	assert_int_equal(r[1].n_listeners, 0);
	assert_int_equal(r[1].n_paths, 2);
	assert_null(b->cfg->listeners[0].pool);
	assert_ptr_equal(b->cfg->listeners[1].pool, &b->cfg->pools[1]);
	built_free(b);
}

static void
admin_listens_by_default(void **state)
{
	(void)state;
	BUILD(WEB, POOL, "[admin]");
	assert_string_equal(b->text, "");
	assert_true(b->cfg->admin.present);
	assert_string_equal(b->cfg->admin.listen.text, "127.0.0.1:9180");
	assert_int_equal(b->cfg->admin.listen.line, 5);
	built_free(b);
}

static void
warnings_leave_a_configuration(void **state)
{
	(void)state;
	BUILD(WEB, "pool=web", "[route all]", "pool=web", "[route late]",
	    "path=/x", "pool=web", "[pool web]", "backend=10.0.0.1:1",
	    "request_timeout=1s", "[pool idle]", "backend=a:1,b:1");
	assert_non_null(b->cfg);
	assert_string_equal(b->text,
	    "f:6: warning: [route late] never taken: route all at line 4 "
	    "takes every request\n"
	    "f:9: warning: [pool web] backend: there is one; when it fails "
	    "there is no other backend to turn to\n"
	    "f:11: warning: [pool web] request_timeout: 1s is shorter than "
	    "one attempt may take: connect_timeout (2s) and response_timeout "
	    "(30s); a request to a backend that hangs ends without a retry\n"
	    "f:12: warning: [pool idle] no listener and no route uses this "
	    "pool\n");
	built_free(b);
}

static void
problems_come_by_line(void **state)
{
	unsigned last = 0, n = 0;

	(void)state;
	/* Found in three rounds: by entries, by sections, by references. */
	BUILD("[route r]", "listener=nobody", "[listener l]", "pool=nowhere",
	    "[pool p]", "keepalive=x", "[listener l]", "bind=*:80", "bind=*:80",
	    "oops=1");
	assert_null(b->cfg);
	for (const struct cfg_problem *p = b->problems; p; p = p->next) {
		assert_true(p->line >= last);
		last = p->line;
		n++;
	}
	assert_int_equal(n, 9);
	built_free(b);
}

static void
reader_problems_are_kept(void **state)
{
	struct built *b = built_create();
	struct cfg_entry e = {.line = 2, .section = SPAN("pool web")};
	struct cfg_build *build;
	char text[] = "lost";

	(void)state;
	arena_init(&b->arena, memory_more, &b->memory);
	build = cfg_build_begin(&b->arena);
	cfg_build_entry(build, &e);
	cfg_build_problem(build, CFG_ERROR, 3, span_of(text));
	cfg_build_problem(build, CFG_WARNING, 1, SPAN("odd"));
	text[0] = 'm';
	assert_null(cfg_build_end(build, &b->problems));
	/* No "backend: required": the lost line may have been it. */
	assert_string_equal(b->problems->text, "odd");
	assert_int_equal(b->problems->severity, CFG_WARNING);
	assert_string_equal(b->problems->next->text, "lost");
	assert_null(b->problems->next->next);
	built_free(b);
}

static void
problems_are_bounded(void **state)
{
	struct built *b = built_create();
	struct cfg_entry e = {.line = 1, .section = SPAN("pool web")};
	struct cfg_build *build;
	unsigned n = 0;

	(void)state;
	arena_init(&b->arena, memory_more, &b->memory);
	build = cfg_build_begin(&b->arena);
	cfg_build_entry(build, &e);
	for (e.key = SPAN("x"); e.line < 3 * CFG_PROBLEMS_MAX; e.line++)
		cfg_build_entry(build, &e);
	assert_null(cfg_build_end(build, &b->problems));
	for (const struct cfg_problem *p = b->problems; p; p = p->next)
		n++;
	assert_int_equal(n, CFG_PROBLEMS_MAX + 1);
	built_free(b);
}

static void
quoted_text_is_harmless(void **state)
{
	char room[512], many[200];
	struct textbuf t = textbuf_make(room, sizeof(room));

	(void)state;
	cfg_put_quoted(&t, span_make("a\"\\\x1b\0\xff~", 7));
	assert_true(span_equal(
	    textbuf_span(&t), SPAN("\"a\\x22\\x5c\\x1b\\x00\\xff~\"")));
	memset(many, 'x', sizeof(many));
	t.len = 0;
	cfg_put_quoted(&t, span_make(many, sizeof(many)));
	assert_int_equal(t.len, 80 + 5);
}

static const char *const rich[] = {"[global]", "workers=3",
    "log=/var/log/e.log", "control=/c", "[admin]", "listen=[::1]:9000",
    "[listener a]", "bind=*:80,unix:/a", "idle_timeout=90s", "max_body_size=8M",
    "request_id=both", "[listener b]", "bind=[::]:81", "pool=q", "[route r]",
    "listener=a,b", "host=*.x.y,[::1]", "path=/p", "pool=p", "[route s]",
    "pool=q", "[pool p]", "backend=h:1 weight=3 name=n, 10.0.0.1:2",
    "keepalive=0", "retry_on=429,connect", "health=http",
    "health_status=200,300-310", "health_body=a, b", "health_port=1",
    "health_host=h", "health_interval_down=1s", "retry_budget=100%",
    "retry_first_wait=off", "[pool q]", "backend=unix:/q",
    "connect_timeout=1500ms", "retry_on=504,connect,reset,timeout,502,503",
    NULL};

static void
put_ini(struct built *b, struct textbuf *t, bool defaults)
{
	print_ini(t, b->cfg, defaults);
	assert_false(t->full);
	t->ptr[t->len] = '\0';
}

/* Splits text of print_ini into lines for `run`. */
static void
run_text(struct built *b, const char *text)
{
	static char copy[8192], *lines[256];
	char *at = copy, *from = copy;
	size_t n = 0;

	assert_true(strlen(text) < sizeof(copy));
	memcpy(copy, text, strlen(text) + 1);
	for (; *at != '\0'; at++) {
		char *equals;

		if (*at != '\n')
			continue;
		*at = '\0';
		equals = strstr(from, " = ");
		if (equals != NULL) {
			*equals++ = '=';
			memmove(equals, equals + 2, strlen(equals + 2) + 1);
		}
		if (*from != '\0' && *from != ';')
			lines[n++] = from;
		from = at + 1;
	}
	lines[n] = NULL;
	run(b, (const char *const *)lines);
}

static void
printed_configuration_reads_back(void **state)
{
	static char first[8192], second[8192];

	(void)state;
	for (int defaults = 0; defaults <= 1; defaults++) {
		struct built *a = built_create(), *b = built_create();
		struct textbuf t = textbuf_make(first, sizeof(first) - 1);
		struct textbuf u = textbuf_make(second, sizeof(second) - 1);

		run(a, rich);
		assert_non_null(a->cfg);
		put_ini(a, &t, defaults);
		run_text(b, first);
		if (b->cfg == NULL)
			fail_msg("%s\n%s", first, b->text);
		put_ini(b, &u, defaults);
		assert_string_equal(first, second);
		built_free(a);
		built_free(b);
	}
}

static void
only_what_differs_is_printed(void **state)
{
	static char room[8192];
	struct textbuf t = textbuf_make(room, sizeof(room) - 1);

	(void)state;
	BUILD("[global]", "log_level=info", WEB, "pool=web", "idle_timeout=1m",
	    "send_timeout=31s", POOL, "backend=H:1 weight=2 name=n",
	    "[route r]", "path=/a,/b", "pool=web", "[admin]");
	put_ini(b, &t, false);
	assert_string_equal(room,
	    "[admin]\n\n[listener web]\nbind = 127.0.0.1:8080\n"
	    "send_timeout = 31s\n\n[route r]\npath = /a\npath = /b\n"
	    "pool = web\n\n[pool web]\nbackend = 127.0.0.1:3001\n"
	    "backend = 127.0.0.1:3002\nbackend = h:1 weight=2 name=n\n");
	built_free(b);
}

static void
all_is_printed_with_defaults(void **state)
{
	static char room[8192];
	struct textbuf t = textbuf_make(room, sizeof(room) - 1);

	(void)state;
	/* With TLS on both sides nothing is left out. */
	BUILD(WEB, "tls_certificate=c", "tls_key=k", POOL,
	    "backend=https://[::1]:1", "[admin]");
	put_ini(b, &t, true);
	for (size_t i = 0; i < option_count; i++) {
		char line[64];

		if (option_table[i].section == OPTION_ROUTE)
			continue;
		(void)snprintf(
		    line, sizeof(line), "\n%s = ", option_table[i].name);
		if (strcmp(option_table[i].name, "control") == 0)
			(void)snprintf(
			    line, sizeof(line), "\n; control = (/run/");
		else if (option_table[i].preset == NULL &&
		    option_table[i].without != NULL &&
		    strstr(room, line) == NULL)
			(void)snprintf(line, sizeof(line), "\n; %s = (%s)",
			    option_table[i].name, option_table[i].without);
		if (strstr(room, line) == NULL)
			fail_msg("%s is not printed", option_table[i].name);
	}
	assert_non_null(strstr(room, "\nidle_timeout = 60s\n"));
	built_free(b);
}

static void *
nothing_more(void *arg, size_t bytes)
{
	(void)arg;
	(void)bytes;
	return NULL;
}

/* Whatever piece of memory it is that cannot be had: no crash, and no
 * configuration. */
static void
every_missing_piece_is_survived(void **state)
{
	static _Alignas(max_align_t) char memory[131072];
	const struct cfg_problem *problems;
	size_t room = 0;
	bool done = false;

	(void)state;
	for (; !done && room <= sizeof(memory); room += 16) {
		struct arena a;
		struct cfg_build *build;

		memset(memory, 0, sizeof(memory));
		arena_init(&a, nothing_more, NULL);
		a.at = memory;
		a.left = room;
		build = cfg_build_begin(&a);
		if (build == NULL)
			continue;
		feed(build, rich);
		done = cfg_build_end(build, &problems) != NULL;
		assert_int_equal(done, !a.failed);
	}
	assert_true(done);
	assert_true(room > 4096);
}

static void
put_backend(char *out, size_t size, unsigned i)
{
	(void)snprintf(
	    out, size, "10.%u.%u.%u:80", i >> 16, i >> 8 & 255, i & 255);
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* 10,000 take under 50 ms; a check of every pair would take seconds, also
 * with sanitizers, under which this allows for a slow machine. */
static void
many_backends_are_quick(void **state)
{
	struct built *b = built_create();
	struct cfg_entry e = {.line = 3, .section = SPAN("pool web")};
	struct cfg_build *build;
	double begin = seconds();
	char text[32];

	(void)state;
	arena_init(&b->arena, memory_more, &b->memory);
	build = cfg_build_begin(&b->arena);
	feed(build, (const char *const[]){WEB, NULL});
	cfg_build_entry(build, &e);
	e.key = SPAN("backend");
	for (unsigned i = 0; i < 10000; i++) {
		put_backend(text, sizeof(text), i);
		e.line++;
		e.value = span_of(text);
		cfg_build_entry(build, &e);
	}
	b->cfg = cfg_build_end(build, &b->problems);
	assert_non_null(b->cfg);
	assert_int_equal(b->cfg->pools[0].n_backends, 10000);
	assert_string_equal(
	    b->cfg->pools[0].backends[9999].name, "10.0.39.15:80");
	assert_true(seconds() - begin < 0.5);
	built_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(small_file_has_all_defaults),
	    cmocka_unit_test(listener_has_its_defaults),
	    cmocka_unit_test(pool_has_its_defaults),
	    cmocka_unit_test(every_key_reaches_its_field),
	    cmocka_unit_test(every_key_of_a_listener_reaches_its_field),
	    cmocka_unit_test(every_key_of_a_pool_reaches_its_field),
	    cmocka_unit_test(addresses_have_one_text),
	    cmocka_unit_test(backends_have_options),
	    cmocka_unit_test(backends_by_srv_record),
	    cmocka_unit_test(srv_records_stand_once_in_a_pool),
	    cmocka_unit_test(backend_names_have_48_bytes),
	    cmocka_unit_test(routes_refer_to_what_comes_later),
	    cmocka_unit_test(admin_listens_by_default),
	    cmocka_unit_test(warnings_leave_a_configuration),
	    cmocka_unit_test(problems_come_by_line),
	    cmocka_unit_test(reader_problems_are_kept),
	    cmocka_unit_test(problems_are_bounded),
	    cmocka_unit_test(quoted_text_is_harmless),
	    cmocka_unit_test(printed_configuration_reads_back),
	    cmocka_unit_test(only_what_differs_is_printed),
	    cmocka_unit_test(all_is_printed_with_defaults),
	    cmocka_unit_test(every_missing_piece_is_survived),
	    cmocka_unit_test(many_backends_are_quick),
	};

	return cmocka_run_group_tests_name("build", tests, NULL, NULL);
}
