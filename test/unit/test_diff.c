/* layer: net */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "evenkeel/config/diff.h"
#include "evenkeel/config/option.h"
#include "evenkeel/config/sections.h"
#include "evenkeel/config/value.h"
#include "evenkeel/net/inifile.h"

#include "built.h"

#define LINES_MAX 48
#define TEXT_MAX  65536
#define MANY      10000

/* ---- helpers ---- */

/* The work memory of one diff. */
struct work {
	struct memory memory;
	struct arena arena;
};

static struct work *
work_create(size_t allowed)
{
	struct work *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->memory.allowed = allowed;
	arena_init(&w->arena, memory_more, &w->memory);
	return w;
}

static void
work_free(struct work *w)
{
	for (size_t i = 0; i < w->memory.used; i++)
		free(w->memory.blocks[i]);
	free(w);
}

static struct built *
build(const char *const *lines)
{
	struct built *b = built_create();

	run(b, lines);
	if (b->cfg == NULL)
		fail_msg("%s", b->text);
	return b;
}

/* The last digit of the port, in pools of these names alone. */
static uint64_t
last_digit(const char *pool, const struct cfg_backend *b, void *arg)
{
	assert_true(strcmp(pool, "web") == 0 || strcmp(pool, "old") == 0);
	assert_ptr_equal(arg, last_digit);
	return b->addr.port % 10;
}

static const struct diff_ops counting = {.in_flight = last_digit};

/* The text, NUL-terminated; what diff_any says is compared with it. */
static const char *
diff_text(
    const struct cfg *old, const struct cfg *new, const struct diff_ops *ops)
{
	static char room[TEXT_MAX];
	struct textbuf t = textbuf_make(room, sizeof(room) - 1);
	struct work *w = work_create(BLOCKS_MAX);
	struct diff d = {.old = old,
	    .new = new,
	    .work = &w->arena,
	    .ops = ops,
	    .arg = (void *)last_digit};

	assert_true(diff_put(&t, &d));
	assert_false(t.full);
	assert_true(t.len > 0);
	assert_int_equal(diff_any(&d),
	    !span_equal(textbuf_span(&t), SPAN("nothing has changed\n")));
	room[t.len] = '\0';
	work_free(w);
	return room;
}

static void
expect(const char *const *old_lines, const char *const *new_lines,
    const struct diff_ops *ops, const char *text)
{
	struct built *old = build(old_lines), *new = build(new_lines);

	assert_string_equal(diff_text(old->cfg, new->cfg, ops), text);
	built_free(old);
	built_free(new);
}

static size_t
count_lines(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

/* ---- what is told ---- */

struct difference {
	const char *old[LINES_MAX], *new[LINES_MAX];
	const char *text;
	const struct diff_ops *ops;
};

static const struct difference nothing[] = {
    {{WEB, POOL}, {WEB, POOL}, "nothing has changed\n", NULL},
    /* The default, said or not, and in another spelling. */
    {{WEB, POOL}, {"[global]", "workers=auto", WEB, POOL, "keepalive=64"},
	"nothing has changed\n", NULL},
    {{WEB, "idle_timeout=60s", POOL}, {WEB, "idle_timeout=1m", POOL},
	"nothing has changed\n", NULL},
    {{"[listener a]", "bind=*:80", POOL},
	{"[listener a]", "bind=0.0.0.0:080", POOL}, "nothing has changed\n",
	NULL},
    /* Sections whose order means nothing. */
    {{WEB, "pool=web", POOL, "[pool b]", "backend=b:1"},
	{"[pool b]", "backend=b:1", POOL, WEB, "pool=web"},
	"nothing has changed\n", NULL},
    /* The only pool, named or not; the same backends in lines or a list. */
    {{WEB, POOL},
	{WEB, "pool=web", "[pool web]", "backend=127.0.0.1:3001",
	    "backend=127.0.0.1:3002"},
	"nothing has changed\n", &counting},
    {{"[admin]", WEB, POOL}, {"[admin]", "listen=127.0.0.1:9180", WEB, POOL},
	"nothing has changed\n", NULL},
};

static const struct difference values[] = {
    {{WEB, POOL}, {"[global]", "log_level=debug", WEB, POOL},
	"global: log_level info -> debug\n", NULL},
    {{WEB, POOL}, {"[global]", "workers=4", WEB, POOL},
	"global: workers auto -> 4 (needs a restart)\n", NULL},
    {{"[global]", "user=a", "pid_file=/p", "log=/l", WEB, POOL},
	{"[global]", "control=/c", "log=syslog", WEB, POOL},
	"global: user a -> (stay who started it) (needs a restart), "
	"log /l -> syslog, "
	"control (/run/evenkeel.sock, or $XDG_RUNTIME_DIR/evenkeel.sock when "
	"not root) -> /c (needs a restart), "
	"pid_file /p -> (none) (needs a restart)\n",
	NULL},
    {{WEB, "idle_timeout=1m", POOL}, {WEB, "idle_timeout=30s", POOL},
	"listener web: idle_timeout 60s -> 30s\n", NULL},
    {{WEB, POOL}, {WEB, "max_body_size=8M", POOL, "health_port=81"},
	"listener web: max_body_size 0 -> 8M\n"
	"pool web: health_port (the backend's port) -> 81\n",
	NULL},
    {{WEB, POOL},
	{WEB, POOL, "retry_on=503,connect", "health_status=200,300-399"},
	"pool web: retry_on connect,reset,timeout,502,503,504 -> 503,connect, "
	"health_status 200-399 -> 200,300-399\n",
	NULL},
    {{WEB, POOL},
	{WEB, POOL, "retry_budget=0%", "health_body=a, b",
	    "health_interval_down=90s", "retry_first_wait=off"},
	"pool web: retry_first_wait yes -> no, retry_budget 20% -> 0%, "
	"health_body (any body) -> a, b, "
	"health_interval_down (as health_interval) -> 90s\n",
	NULL},
    {{WEB, "trusted_proxies=10.0.0.0/8", POOL},
	{WEB, "trusted_proxies=10.0.0.0/8,::1", POOL},
	"listener web: trusted_proxies 10.0.0.0/8 -> 10.0.0.0/8,::1\n", NULL},
    {{WEB, POOL}, {"[admin]", WEB, POOL}, "admin: added (127.0.0.1:9180)\n",
	NULL},
    {{"[admin]", WEB, POOL}, {WEB, POOL}, "admin: removed\n", NULL},
    {{"[admin]", WEB, POOL}, {"[admin]", "listen=127.0.0.1:9181", WEB, POOL},
	"admin: listen 127.0.0.1:9180 -> 127.0.0.1:9181\n", NULL},
    /* What follows for a listener from a pool that is new. */
    {{WEB, POOL}, {WEB, "[route r]", "pool=b", POOL, "[pool b]", "backend=b:1"},
	"listener web: pool web -> (none)\n"
	"route r: added\n"
	"pool b: added (b:1)\n",
	NULL},
};

static const struct difference listeners[] = {
    {{"[listener main]", "bind=127.0.0.1:8080,127.0.0.1:8082", POOL},
	{"[listener main]", "bind=127.0.0.1:8080,127.0.0.1:8081",
	    "idle_timeout=30s", POOL},
	"listener main: bind + 127.0.0.1:8081, - 127.0.0.1:8082, "
	"idle_timeout 60s -> 30s\n",
	NULL},
    {{WEB, POOL},
	{WEB, POOL, "[listener b]", "bind=*:81,unix:/b", "bind=[::]:81"},
	"listener b: added (0.0.0.0:81, unix:/b, [::]:81)\n", NULL},
    {{WEB, POOL, "[listener b]", "bind=*:81"}, {WEB, POOL},
	"listener b: removed\n", &counting},
    {{"[listener a]", "bind=*:1,*:2", POOL},
	{"[listener a]", "bind=*:2,*:1", POOL},
	"listener a: bind in another order\n", NULL},
    {{"[listener a]", "bind=*:1,*:2", POOL}, {"[listener a]", "bind=*:2", POOL},
	"listener a: bind - 0.0.0.0:1\n", NULL},
    /* Any free port, more or less often. */
    {{"[listener a]", "bind=*:0,*:1,*:0", POOL},
	{"[listener a]", "bind=*:0,*:1", POOL},
	"listener a: bind - 0.0.0.0:0\n", NULL},
    {{"[listener a]", "bind=*:0", POOL},
	{"[listener a]", "bind=*:0,*:0,*:0", POOL},
	"listener a: bind + 0.0.0.0:0, + 0.0.0.0:0\n", NULL},
    {{"[listener a]", "bind=*:0,*:0,*:1", POOL},
	{"[listener a]", "bind=*:0,*:1,*:0", POOL},
	"listener a: bind in another order\n", NULL},
};

#define BACKENDS(list)                             \
	{                                          \
		WEB, "[pool web]", "backend=" list \
	}

static const struct difference backends[] = {
    {BACKENDS("10.0.0.1:8080,10.0.0.2:8083"),
	{WEB, "[pool web]", "backend=10.0.0.1:8080,10.0.0.4:8080",
	    "retry_attempts=3"},
	"pool web: + 10.0.0.4:8080, - 10.0.0.2:8083 (draining, 3 in flight), "
	"retry_attempts 2 -> 3\n",
	&counting},
    {BACKENDS("a:1,b:2,c:3"), BACKENDS("b:2"),
	"pool web: - a:1 (draining), - c:3 (draining)\n", NULL},
    {BACKENDS("a:1"), BACKENDS("a:1,b:2 weight=3 max=9 backup name=x"),
	"pool web: + b:2 weight=3 max=9 backup name=x\n", NULL},
    /* It goes by its address, whatever else it has. */
    {BACKENDS("a:1,b:2 weight=3 backup name=x"), BACKENDS("a:1"),
	"pool web: - b:2 (draining)\n", NULL},
    {BACKENDS("a:1"), BACKENDS("a:1 weight=3"), "pool web: a:1 weight 1 -> 3\n",
	&counting},
    {BACKENDS("a:1 max=5,b:1,c:1 backup"), BACKENDS("a:1,b:1 name=x,c:1"),
	"pool web: a:1 max 5 -> (no limit), b:1 name b:1 -> x, "
	"c:1 backup yes -> no\n",
	&counting},
    {BACKENDS("a:1 name=x"), BACKENDS("a:1 weight=2 max=3 backup name=y"),
	"pool web: a:1 weight 1 -> 2 and max (no limit) -> 3 and "
	"backup no -> yes and name x -> y\n",
	NULL},
    /* Two that exchange their names. */
    {BACKENDS("a:1 name=x,b:1 name=y"), BACKENDS("a:1 name=y,b:1 name=x"),
	"pool web: a:1 name x -> y, b:1 name y -> x\n", NULL},
    {BACKENDS("a:1,b:1,c:1"), BACKENDS("c:1,b:1,d:1"),
	"pool web: + d:1, - a:1 (draining), backend in another order\n", NULL},
    {BACKENDS("a:1,b:1"), BACKENDS("b:1,a:1 weight=2"),
	"pool web: a:1 weight 1 -> 2, backend in another order\n", NULL},
    {BACKENDS("a:1,c:1"), BACKENDS("a:1,b:1,c:1"), "pool web: + b:1\n", NULL},
    {{WEB, POOL, "[pool old]", "backend=o:11,o:21", "[pool older]",
	 "backend=o:1", "[route r]", "pool=web"},
	{WEB, "pool=web", POOL, "[pool older]", "backend=o:1", "[route r]",
	    "pool=web", "[pool new]", "backend=10.0.0.1:80,10.0.0.2:80 max=1"},
	"listener web: pool (none) -> web\n"
	"pool new: added (10.0.0.1:80, 10.0.0.2:80 max=1)\n"
	"pool old: removed (2 in flight)\n",
	&counting},
    {{WEB, POOL, "[pool old]", "backend=o:1", "[route r]", "pool=web"},
	{WEB, "[route r]", "pool=web", "[pool web]",
	    "backend=127.0.0.1:3001,127.0.0.1:3002"},
	"listener web: pool (none) -> web\npool old: removed\n", NULL},
};

#define TWO WEB, POOL, "[pool b]", "backend=b:1"

static const struct difference routes[] = {
    {{TWO, "[route r]", "pool=b", "host=a.b,*.c"},
	{TWO, "[route r]", "pool=web", "host=a.b", "path=/x", "path=/y",
	    "listener=web"},
	"route r: listener (all listeners) -> web, host a.b,*.c -> a.b, "
	"path (any path) -> /x,/y, pool b -> web\n",
	NULL},
    {{TWO, "[route r]", "pool=b", "[route q]", "pool=b", "path=/q"},
	{TWO, "[route s]", "pool=b", "path=/s", "[route r]", "pool=b"},
	"route s: added\nroute q: removed\n", NULL},
    {{TWO, "[route r]", "pool=b", "path=/r", "[route q]", "pool=b"},
	{TWO, "[route q]", "pool=b", "[route r]", "pool=b", "path=/r"},
	"routes: order r, q -> q, r\n", NULL},
    /* Only as far as it is another one, and of those that stay. */
    {{TWO, "[route a]", "pool=b", "path=/a", "[route b]", "pool=b", "path=/b",
	 "[route c]", "pool=b", "path=/c", "[route d]", "pool=b", "path=/d",
	 "[route e]", "pool=b", "path=/e"},
	{TWO, "[route a]", "pool=b", "path=/a", "[route c]", "pool=b",
	    "path=/c", "[route n]", "pool=b", "path=/n", "[route b]", "pool=b",
	    "path=/bb", "[route e]", "pool=b", "path=/e"},
	"route n: added\n"
	"route b: path /b -> /bb\n"
	"route d: removed\n"
	"routes: order b, c -> c, b\n",
	NULL},
};

static void
check_all(const struct difference *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect(all[i].old, all[i].new, all[i].ops, all[i].text);
}

#define CHECK_ALL(table) check_all(table, sizeof(table) / sizeof(table[0]))

static void
what_is_the_same_is_not_told(void **state)
{
	(void)state;
	CHECK_ALL(nothing);
}

static void
values_are_told_as_config_prints_them(void **state)
{
	(void)state;
	CHECK_ALL(values);
}

static void
listeners_come_and_go(void **state)
{
	(void)state;
	CHECK_ALL(listeners);
}

static void
backends_come_and_go(void **state)
{
	(void)state;
	CHECK_ALL(backends);
}

static void
routes_have_an_order(void **state)
{
	(void)state;
	CHECK_ALL(routes);
}

/* Ops without the function are as none. */
static void
ops_may_be_empty(void **state)
{
	static const struct diff_ops none = {0};

	(void)state;
	expect(
	    (const char *const[]){WEB, "[pool web]", "backend=a:1,b:1", NULL},
	    (const char *const[]){WEB, "[pool web]", "backend=a:1", NULL},
	    &none, "pool web: - b:1 (draining)\n");
}

static uint64_t
never_asked(const char *pool, const struct cfg_backend *b, void *arg)
{
	(void)arg;
	fail_msg("%s/%s", pool, b->name);
	return 0;
}

static void
only_telling_asks_the_process(void **state)
{
	static const struct diff_ops never = {.in_flight = never_asked};
	struct built *old = build(backends[0].old);
	struct built *new = build(backends[0].new);
	struct work *w = work_create(BLOCKS_MAX);
	struct diff d = {
	    .old = old->cfg, .new = new->cfg, .work = &w->arena, .ops = &never};

	(void)state;
	assert_true(diff_any(&d));
	work_free(w);
	built_free(old);
	built_free(new);
}

/* ---- every option ---- */

/* Has a section of each kind, and two of those that others name. */
static const char *const whole[] = {"[admin]", WEB, "pool=web", "[listener b]",
    "bind=*:1", "pool=web", "[route r]", "listener=web", "host=h", "path=/p",
    "pool=web", POOL, "[pool b]", "backend=b:1", NULL};

/* A configuration whose first sections can be changed. */
struct copy {
	struct cfg cfg;
	struct cfg_listener listeners[2];
	struct cfg_route routes[1];
	struct cfg_pool pools[2];
};

static void
copy_init(struct copy *c, const struct cfg *cfg)
{
	c->cfg = *cfg;
	assert_int_equal(cfg->n_listeners, 2);
	assert_int_equal(cfg->n_routes, 1);
	assert_int_equal(cfg->n_pools, 2);
	memcpy(c->listeners, cfg->listeners, sizeof(c->listeners));
	memcpy(c->routes, cfg->routes, sizeof(c->routes));
	memcpy(c->pools, cfg->pools, sizeof(c->pools));
	c->cfg.listeners = c->listeners;
	c->cfg.routes = c->routes;
	c->cfg.pools = c->pools;
}

static void *
first_of(struct copy *c, enum option_section s)
{
	switch (s) {
	case OPTION_ADMIN:
		return &c->cfg.admin;
	case OPTION_LISTENER:
		return &c->listeners[0];
	case OPTION_ROUTE:
		return &c->routes[0];
	case OPTION_POOL:
		return &c->pools[0];
	case OPTION_GLOBAL:
	case OPTION_SECTIONS:
		break;
	}
	return &c->cfg.global;
}

static void
change_number(const struct option *o, char *field)
{
	uint64_t n64;
	uint32_t n32;
	uint16_t n16;

	if (o->type == OPTION_SIZE64) {
		memcpy(&n64, field, sizeof(n64));
		n64++;
		memcpy(field, &n64, sizeof(n64));
	} else if (o->type == OPTION_PORT || o->type == OPTION_REDIRECT) {
		memcpy(&n16, field, sizeof(n16));
		n16++;
		memcpy(field, &n16, sizeof(n16));
	} else {
		memcpy(&n32, field, sizeof(n32));
		n32++;
		memcpy(field, &n32, sizeof(n32));
	}
}

static void
change_word(const struct option *o, char *field)
{
	struct span rest = span_of(o->words), word;
	int index, n = 0;

	while (value_next_word(&rest, &word))
		n++;
	assert_true(n >= 2);
	memcpy(&index, field, sizeof(index));
	index = (index + 1) % n;
	memcpy(field, &index, sizeof(index));
}

/* Another list, of one element. */
static void
change_list(const struct option *o, char *object, const struct copy *c)
{
	static struct cfg_addr bind = {.text = "127.0.0.1:7"};
	static struct cfg_backend backend = {
	    .name = "z:7", .addr = {.text = "z:7"}, .weight = 1};
	static struct cfg_statuses statuses = {.from = 500, .to = 599};
	static struct cfg_file file = {.path = "zzz"};
	static const char *text = "zzz";
	static const struct cfg_listener *listener;
	const void *array = &text;
	size_t n = 1;

	listener = &c->listeners[1];
	if (o->type == OPTION_BINDS)
		array = &bind;
	else if (o->type == OPTION_BACKENDS)
		array = &backend;
	else if (o->type == OPTION_STATUSES)
		array = &statuses;
	else if (o->type == OPTION_FILES)
		array = &file;
	else if (o->type == OPTION_LISTENER_NAMES)
		array = &listener;
	memcpy(object + o->offset, &array, sizeof(array));
	memcpy(object + o->offset_count, &n, sizeof(n));
}

static void
change(const struct option *o, char *object, const struct copy *c)
{
	const struct cfg_pool *pool = &c->pools[1];
	const char *text = "zzz";
	char *field = object + o->offset;

	if (option_is_list(o))
		change_list(o, object, c);
	else if (o->type == OPTION_POOL_NAME)
		memcpy(field, &pool, sizeof(pool));
	else if (o->type == OPTION_ADDRESS)
		((struct cfg_addr *)(void *)field)->text = text;
	else if (o->type == OPTION_FILE)
		((struct cfg_file *)(void *)field)->path = text;
	else if (value_is_text(o))
		memcpy(field, &text, sizeof(text));
	else if (o->type == OPTION_ENUM)
		change_word(o, field);
	else
		change_number(o, field);
}

static void
check_option(const struct option *o, const struct cfg *cfg)
{
	static const char *const subjects[OPTION_SECTIONS] = {
	    "global: ", "admin: ", "listener web: ", "route r: ", "pool web: "};
	char word[64], room[64];
	struct textbuf t = textbuf_make(room, sizeof(room));
	struct copy c;
	const char *text;
	size_t n;

	copy_init(&c, cfg);
	change(o, first_of(&c, o->section), &c);
	text = diff_text(cfg, &c.cfg, NULL);
	(void)snprintf(word, sizeof(word), "%s%s ", subjects[o->section],
	    o->type == OPTION_BACKENDS ? "+" : o->name);
	if (strncmp(text, word, strlen(word)) != 0)
		fail_msg("%s: %s", word, text);
	assert_int_equal(count_lines(text), 1);
	if (strstr(text, "nothing") != NULL)
		fail_msg("%s: %s", word, text);
	/* Both say the same about a restart. */
	n = diff_put_restarts(&t, cfg, &c.cfg);
	assert_int_equal(n, !o->reloadable);
	assert_int_equal(
	    strstr(text, " (needs a restart)\n") != NULL, !o->reloadable);
	assert_true(span_equal(
	    textbuf_span(&t), o->reloadable ? SPAN_NONE : span_of(o->name)));
}

/* A word of which there is one never does. */
static bool
can_differ(const struct option *o)
{
	return o->type != OPTION_ENUM || strchr(o->words, '|') != NULL;
}

static void
every_option_is_seen(void **state)
{
	struct built *b = build(whole);

	(void)state;
	for (size_t i = 0; i < option_count; i++)
		if (can_differ(&option_table[i]))
			check_option(&option_table[i], b->cfg);
	built_free(b);
}

static void
restarts_are_listed(void **state)
{
	struct built *old = build((const char *const[]){WEB, POOL, NULL});
	struct built *new = build((const char *const[]){"[global]", "workers=2",
	    "log_level=warn", "user=u", "group=g", "control=/c", "pid_file=/p",
	    "[admin]", WEB, POOL, NULL});
	char room[128];
	struct textbuf t = textbuf_make(room, sizeof(room));

	(void)state;
	assert_int_equal(diff_put_restarts(&t, old->cfg, new->cfg), 5);
	assert_true(span_equal(
	    textbuf_span(&t), SPAN("workers, user, group, control, pid_file")));
	t.len = 0;
	assert_int_equal(diff_put_restarts(&t, new->cfg, new->cfg), 0);
	assert_int_equal(t.len, 0);
	built_free(old);
	built_free(new);
}

/* ---- long lists ---- */

/* A pool of many: 10.HH.HH.LL:80. */
struct crowd {
	struct copy copy;
	struct cfg_backend backends[MANY];
	char texts[MANY][24];
};

static struct crowd *
crowd_create(const struct cfg *cfg, unsigned from, size_t n)
{
	struct crowd *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	copy_init(&c->copy, cfg);
	for (unsigned i = 0; i < n; i++) {
		unsigned k = from + i;

		(void)snprintf(c->texts[i], sizeof(c->texts[i]),
		    "10.%u.%u.%u:80", k >> 16, k >> 8 & 255, k & 255);
		c->backends[i].addr.text = c->texts[i];
		c->backends[i].name = c->texts[i];
		c->backends[i].weight = 1;
	}
	c->copy.pools[0].backends = c->backends;
	c->copy.pools[0].n_backends = n;
	return c;
}

/* "+ 10.0.0.0:80, + 10.0.0.1:80, ...", as far as names are listed. */
static void
put_crowd(struct textbuf *t, const struct crowd *c, size_t n,
    const char *before, const char *behind)
{
	for (size_t i = 0; i < n; i++) {
		textbuf_str(t, i > 0 ? ", " : "");
		textbuf_str(t, before);
		textbuf_str(t, c->texts[i]);
		textbuf_str(t, behind);
	}
}

static void
equals(const char *text, const struct textbuf *t)
{
	assert_false(t->full);
	assert_true(span_equal(span_of(text), textbuf_span(t)));
}

static void
long_rows_are_cut(void **state)
{
	struct built *b = build(whole);
	struct crowd *old = crowd_create(b->cfg, 0, MANY);
	struct crowd *new = crowd_create(b->cfg, MANY, DIFF_LISTED_MAX);
	struct crowd *last = crowd_create(b->cfg, 0, DIFF_LISTED_MAX + 1);
	char room[8192];
	struct textbuf t = textbuf_make(room, sizeof(room));

	(void)state;
	textbuf_lit(&t, "pool web: ");
	put_crowd(&t, new, DIFF_LISTED_MAX, "+ ", "");
	textbuf_lit(&t, ", ");
	put_crowd(&t, old, DIFF_LISTED_MAX, "- ", " (draining)");
	textbuf_lit(&t, ", and 9980 more\n");
	equals(diff_text(&old->copy.cfg, &new->copy.cfg, NULL), &t);
	t.len = 0;
	textbuf_lit(&t, "pool web: ");
	put_crowd(&t, old, DIFF_LISTED_MAX, "+ ", "");
	textbuf_lit(&t, ", and 9980 more, ");
	put_crowd(&t, new, DIFF_LISTED_MAX, "- ", " (draining)");
	textbuf_lit(&t, "\n");
	equals(diff_text(&new->copy.cfg, &old->copy.cfg, NULL), &t);
	t.len = 0;
	textbuf_lit(&t, "pool web: ");
	for (size_t i = 0; i < DIFF_LISTED_MAX + 1; i++)
		last->backends[i].weight = 2;
	old->copy.pools[0].n_backends = DIFF_LISTED_MAX + 1;
	put_crowd(&t, old, DIFF_LISTED_MAX, "", " weight 1 -> 2");
	textbuf_lit(&t, ", and 1 more\n");
	equals(diff_text(&old->copy.cfg, &last->copy.cfg, NULL), &t);
	free(old);
	free(new);
	free(last);
	built_free(b);
}

static void
long_pools_are_added(void **state)
{
	struct built *b = build(whole);
	struct crowd *c = crowd_create(b->cfg, 0, MANY);
	char room[8192];
	struct textbuf t = textbuf_make(room, sizeof(room));

	(void)state;
	c->copy.pools[0].name = "new";
	textbuf_lit(&t, "pool new: added (");
	put_crowd(&t, c, DIFF_LISTED_MAX, "", "");
	textbuf_lit(&t, ", and 9980 more)\npool web: removed\n");
	equals(diff_text(b->cfg, &c->copy.cfg, NULL), &t);
	free(c);
	built_free(b);
}

/* The other lists: as a whole while they are short. */
static void
long_lists_are_told_by_element(void **state)
{
	static const char *hosts[DIFF_LISTED_MAX + 2];
	static char texts[DIFF_LISTED_MAX + 2][8];
	struct built *b = build(whole);
	struct copy old, new;

	(void)state;
	for (unsigned i = 0; i < DIFF_LISTED_MAX + 2; i++) {
		(void)snprintf(texts[i], sizeof(texts[i]), "h%u", i);
		hosts[i] = texts[i];
	}
	copy_init(&old, b->cfg);
	copy_init(&new, b->cfg);
	old.routes[0].hosts = hosts;
	old.routes[0].n_hosts = DIFF_LISTED_MAX + 1;
	new.routes[0].hosts = hosts + 1;
	new.routes[0].n_hosts = DIFF_LISTED_MAX + 1;
	assert_string_equal(
	    diff_text(&old.cfg, &new.cfg, NULL), "route r: host + h21, - h0\n");
	new.routes[0].hosts = hosts;
	new.routes[0].n_hosts = DIFF_LISTED_MAX;
	assert_string_equal(
	    diff_text(&old.cfg, &new.cfg, NULL), "route r: host - h20\n");
	assert_string_equal(
	    diff_text(&new.cfg, &old.cfg, NULL), "route r: host + h20\n");
	old.routes[0].n_hosts = DIFF_LISTED_MAX - 1;
	assert_string_equal(diff_text(&old.cfg, &new.cfg, NULL),
	    "route r: host "
	    "h0,h1,h2,h3,h4,h5,h6,h7,h8,h9,h10,h11,h12,h13,h14,h15,h16,h17,h18 "
	    "-> "
	    "h0,h1,h2,h3,h4,h5,h6,h7,h8,h9,h10,h11,h12,h13,h14,h15,h16,h17,h18,"
	    "h19\n");
	built_free(b);
}

static double
cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Each takes a few ms; pairs of all with all would take seconds.  The rest of
 * the limit is for sanitizers. */
static void
many_backends_are_quick(void **state)
{
	struct built *b = build(whole);
	struct crowd *one = crowd_create(b->cfg, 0, MANY);
	struct crowd *other = crowd_create(b->cfg, 0, MANY);
	struct crowd *half = crowd_create(b->cfg, MANY / 2, MANY);
	const struct crowd *const pairs[] = {one, other, half};
	double begin, took;

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		other->backends[MANY - 1 - i] =
		    (struct cfg_backend){.addr.text = other->texts[i],
			.name = "x",
			.weight = 2,
			.max = i};
	for (size_t i = 0; i < 3; i++) {
		begin = cpu_seconds();
		(void)diff_text(&one->copy.cfg, &pairs[i]->copy.cfg, NULL);
		took = cpu_seconds() - begin;
		assert_true(took < 0.5);
	}
	free(one);
	free(other);
	free(half);
	built_free(b);
}

/* ---- the rest ---- */

static void
memory_may_end(void **state)
{
	struct built *b = build(whole);
	struct crowd *old = crowd_create(b->cfg, 0, 500);
	struct crowd *new = crowd_create(b->cfg, 100, 500);
	bool done = false;

	(void)state;
	for (size_t allowed = 0; !done && allowed < 100; allowed++) {
		char room[TEXT_MAX];
		struct textbuf t = textbuf_make(room, sizeof(room));
		struct work *w = work_create(allowed);
		struct diff d = {.old = &old->copy.cfg,
		    .new = &new->copy.cfg,
		    .work = &w->arena};

		done = diff_put(&t, &d);
		assert_int_equal(done, !w->arena.failed);
		work_free(w);
		w = work_create(allowed);
		d.work = &w->arena;
		assert_true(diff_any(&d));
		/* Nothing differs, but who knows. */
		d.new = d.old;
		if (w->arena.failed)
			assert_true(diff_any(&d));
		assert_true(allowed > 3 || !done);
		work_free(w);
	}
	assert_true(done);
	free(old);
	free(new);
	built_free(b);
}

/* What does not fit is told by `full`, for every room there is. */
static void
room_may_end(void **state)
{
	struct built *old = build(backends[0].old);
	struct built *new = build(backends[0].new);
	size_t len = strlen(backends[0].text);
	char room[256];

	(void)state;
	assert_true(len < sizeof(room));
	for (size_t cap = 0; cap <= len; cap++) {
		struct textbuf t = textbuf_make(room, cap);
		struct work *w = work_create(BLOCKS_MAX);
		struct diff d = {.old = old->cfg,
		    .new = new->cfg,
		    .work = &w->arena,
		    .ops = &counting,
		    .arg = (void *)last_digit};

		assert_true(diff_put(&t, &d));
		assert_int_equal(t.full, cap < len);
		assert_memory_equal(room, backends[0].text, t.len);
		work_free(w);
	}
	built_free(old);
	built_free(new);
}

/* Each file that is a configuration, read twice. */
static void
files_do_not_differ_from_themselves(void **state)
{
	static const char *const patterns[] = {"lb.ini", "test/ini/*.ini",
	    "test/ini/*/*.ini", "test/*/conf/*.ini",
	    "test/fuzz/corpus/config/*"};
	size_t valid = 0;
	glob_t g = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		(void)glob(patterns[i], i > 0 ? GLOB_APPEND : 0, NULL, &g);
	assert_true(g.gl_pathc > 100);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct inifile once, again;
		struct textbuf why = textbuf_make(NULL, 0);

		assert_true(inifile_read(&once, g.gl_pathv[i], &why));
		assert_true(inifile_read(&again, g.gl_pathv[i], &why));
		if (once.cfg != NULL) {
			assert_string_equal(
			    diff_text(once.cfg, again.cfg, &counting),
			    "nothing has changed\n");
			valid++;
		}
		inifile_free(&once);
		inifile_free(&again);
	}
	assert_true(valid >= 5);
	globfree(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_the_same_is_not_told),
	    cmocka_unit_test(values_are_told_as_config_prints_them),
	    cmocka_unit_test(listeners_come_and_go),
	    cmocka_unit_test(backends_come_and_go),
	    cmocka_unit_test(routes_have_an_order),
	    cmocka_unit_test(ops_may_be_empty),
	    cmocka_unit_test(only_telling_asks_the_process),
	    cmocka_unit_test(every_option_is_seen),
	    cmocka_unit_test(restarts_are_listed),
	    cmocka_unit_test(long_rows_are_cut),
	    cmocka_unit_test(long_pools_are_added),
	    cmocka_unit_test(long_lists_are_told_by_element),
	    cmocka_unit_test(many_backends_are_quick),
	    cmocka_unit_test(memory_may_end),
	    cmocka_unit_test(room_may_end),
	    cmocka_unit_test(files_do_not_differ_from_themselves),
	};

	return cmocka_run_group_tests_name("diff", tests, NULL, NULL);
}
