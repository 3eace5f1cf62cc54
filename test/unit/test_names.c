/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "evenkeel/control/names.h"
#include "evenkeel/net/log_ring.h"
#include "loop_until.h"

#include "built.h"

#define QUERIES_MAX 64
#define TEXT_BYTES  8192

/* ---- a resolver that answers when the test says so ---- */

struct resolver_query {
	bool open;
	enum lookup_kind kind;
	char name[256];
	uint16_t port;
	resolver_on_answer *on_answer;
	void *arg;
};

static struct resolver_query queries[QUERIES_MAX];
static size_t n_queries;
static bool refuses;

static struct resolver_query *
fake_ask(struct resolver *r, enum lookup_kind kind, const char *name,
    uint16_t port, resolver_on_answer *on_answer, void *arg)
{
	struct resolver_query *q = &queries[n_queries];

	assert_null(r);
	if (refuses)
		return NULL;
	assert_true(n_queries++ < QUERIES_MAX);
	*q = (struct resolver_query){.open = true,
	    .kind = kind,
	    .port = port,
	    .on_answer = on_answer,
	    .arg = arg};
	snprintf(q->name, sizeof(q->name), "%s", name);
	return q;
}

static void
fake_abandon(struct resolver *r, struct resolver_query *q)
{
	assert_null(r);
	assert_true(q->open);
	q->open = false;
}

static const struct names_source fake = {
    .ask = fake_ask, .abandon = fake_abandon};

/* Queries under way. */
static size_t
n_open(void)
{
	size_t n = 0;

	for (size_t i = 0; i < n_queries; i++)
		n += queries[i].open;
	return n;
}

/* "10.0.0.1 10.0.0.2/3 10.0.0.3/1b", each with its weight and b for backup;
 * `why` is NULL for a whole answer. */
static void
answer(const char *name, const char *addresses, const char *why)
{
	struct lookup_found found[8];
	struct lookup_result r = {.found = found};
	char text[256], *rest = text, *word;

	snprintf(text, sizeof(text), "%s", addresses);
	while ((word = strsep(&rest, " ")) != NULL && word[0] != '\0') {
		struct lookup_found *f = &found[r.n++];
		struct sockaddr_in *in = (void *)&f->address.u.storage;
		char *slash = strchr(word, '/');

		memset(f, 0, sizeof(*f));
		if (slash != NULL) {
			f->weight = (uint16_t)(slash[1] - '0');
			f->backup = slash[2] == 'b';
			*slash = '\0';
		}
		in->sin_family = AF_INET;
		assert_int_equal(inet_pton(AF_INET, word, &in->sin_addr), 1);
		in->sin_port = htons(80);
		f->address.len = sizeof(*in);
	}
	r.end = why == NULL ? LOOKUP_ALL
	    : r.n > 0       ? LOOKUP_PART
			    : LOOKUP_FAILED;
	snprintf(r.why, sizeof(r.why), "%s", why != NULL ? why : "");
	for (size_t i = 0; i < n_queries; i++)
		if (queries[i].open && strcmp(queries[i].name, name) == 0) {
			queries[i].open = false;
			queries[i].on_answer(&r, queries[i].arg);
			return;
		}
	fail_msg("nobody asks for %s", name);
}

/* ---- the names under test ---- */

static struct log_ring *ring;
static struct log *log_of_ring;
static struct names *names;
static unsigned changes, settled;

static void
on_change(void *arg)
{
	assert_ptr_equal(arg, &changes);
	changes++;
}

static void
on_settled(void *arg)
{
	assert_ptr_equal(arg, &changes);
	assert_true(names_settled(names));
	settled++;
}

static const struct names_ops ops = {
    .on_change = on_change, .on_settled = on_settled};

static int
open_names(void **state)
{
	const struct log_options options = {
	    .log = "/dev/null", .access = "off", .level = LOG_LEVEL_DEBUG};
	struct textbuf why = textbuf_make(NULL, 0);

	n_queries = 0;
	changes = settled = 0;
	refuses = false;
	log_of_ring = log_create(&options, &why);
	ring = log_ring_create(log_of_ring, "control");
	if (ring == NULL || open_loop(state) != 0)
		return -1;
	names = names_create_with(loop, ring, &fake, &ops, &changes);
	return names != NULL ? 0 : -1;
}

static int
close_names(void **state)
{
	names_free(names);
	log_free(log_of_ring);
	return n_open() == 0 ? close_loop(state) : -1;
}

/* What was logged since it was last asked, without times. */
static const char *
logged(void)
{
	static char text[TEXT_BYTES];
	struct textbuf t = textbuf_make(text, sizeof(text) - 1);
	uint64_t mark = log_ring_mark(ring);
	struct log_line line;

	while (log_ring_peek(ring, mark, &line)) {
		char bytes[LOG_LINE_BYTES];
		struct textbuf whole = textbuf_make(bytes, sizeof(bytes));
		struct span s;

		textbuf_put(&whole, line.first);
		textbuf_put(&whole, line.second);
		s = textbuf_span(&whole);
		s = span_make(s.ptr + 25, s.len - 25);
		textbuf_put(&t, s);
		log_ring_pop(ring, &line);
	}
	assert_false(t.full);
	text[t.len] = '\0';
	return text;
}

/* The addresses of the b-th backend of the p-th pool, as the log has them. */
static const char *
known(const struct built *b, size_t p, size_t i)
{
	static char text[TEXT_BYTES];
	struct textbuf t = textbuf_make(text, sizeof(text) - 1);
	const struct names_found *found;
	size_t n = names_known(names, &b->cfg->pools[p].backends[i], &found);

	for (size_t k = 0; k < n; k++) {
		textbuf_str(&t, k > 0 ? " " : "");
		address_put_ip(&t, &found[k].address.u.any);
		if (found[k].weight > 0) {
			textbuf_byte(&t, '/');
			textbuf_u64(&t, found[k].weight);
		}
		textbuf_str(&t, found[k].backup ? "b" : "");
	}
	text[t.len] = '\0';
	return text;
}

static void
turn_ms(uint64_t ms)
{
	uint64_t until_us = clock_monotonic_us() + ms * 1000;

	TURN_UNTIL(clock_monotonic_us() >= until_us);
}

#define NAMED WEB, "pool=web", "[pool web]"

/* ---- tests ---- */

static void
all_addresses_are_known(void **state)
{
	(void)state;
	BUILD(NAMED, "backend=app:80,127.0.0.1:1,unix:/s",
	    "backend=srv:_http._tcp.b");
	assert_true(names_settled(names));
	assert_true(names_prepare(names, b->cfg));
	assert_int_equal(n_queries, 2);
	assert_int_equal(queries[0].port + queries[1].port, 80);
	assert_false(names_settled(names));
	assert_string_equal(known(b, 0, 0), "");
	answer("app", "10.0.0.1 10.0.0.2", NULL);
	turn_once();
	assert_int_equal(settled, 0);
	answer("_http._tcp.b", "10.0.1.1/2 10.0.1.2/1 10.0.1.3/1b", NULL);
	assert_true(names_settled(names));
	TURN_UNTIL(settled == 1);
	assert_string_equal(known(b, 0, 0), "10.0.0.1 10.0.0.2");
	assert_string_equal(
	    known(b, 0, 3), "10.0.1.1/2 10.0.1.2/1 10.0.1.3/1b");
	names_commit(names, b->cfg);
	assert_string_equal(logged(),
	    "info  pool web: app:80 is 10.0.0.1:80, 10.0.0.2:80\n"
	    "info  pool web: srv:_http._tcp.b is 10.0.1.1:80 weight=2, "
	    "10.0.1.2:80, 10.0.1.3:80 backup\n");
	/* Nobody was told: he knew all of it when he committed. */
	turn_ms(2 * NAMES_GATHER_MS);
	assert_int_equal(changes, 0);
	assert_int_equal(settled, 1);
	built_free(b);
}

static void
looked_up_again_in_time(void **state)
{
	uint64_t asked_us;

	(void)state;
	BUILD(NAMED, "backend=app:80", "resolve=100ms");
	assert_true(names_prepare(names, b->cfg));
	answer("app", "10.0.0.1", NULL);
	(void)known(b, 0, 0);
	asked_us = clock_monotonic_us();
	names_commit(names, b->cfg);
	(void)logged();
	TURN_UNTIL(n_queries == 2);
	assert_true(clock_monotonic_us() - asked_us >= 80000);
	answer("app", "10.0.0.1", NULL);
	assert_string_equal(logged(), "");
	TURN_UNTIL(n_queries == 3);
	answer("app", "10.0.0.2 10.0.0.3", NULL);
	assert_string_equal(logged(),
	    "info  pool web: app:80 is now 10.0.0.2:80, 10.0.0.3:80 (was "
	    "10.0.0.1:80)\n");
	TURN_UNTIL(changes == 1);
	assert_string_equal(known(b, 0, 0), "10.0.0.2 10.0.0.3");
	/* Another weight or rank is a change, too. */
	TURN_UNTIL(n_queries == 4);
	answer("app", "10.0.0.2/2 10.0.0.3", NULL);
	TURN_UNTIL(changes == 2);
	TURN_UNTIL(n_queries == 5);
	answer("app", "10.0.0.2/2 10.0.0.3/0b", NULL);
	TURN_UNTIL(changes == 3);
	built_free(b);
}

static void
failures_take_nothing_away(void **state)
{
	(void)state;
	BUILD(NAMED, "backend=app:80", "resolve=20ms");
	assert_true(names_prepare(names, b->cfg));
	answer("app", "10.0.0.1 10.0.0.2", NULL);
	(void)known(b, 0, 0);
	names_commit(names, b->cfg);
	(void)logged();
	for (size_t i = 2; i < 12; i++) {
		TURN_UNTIL(n_queries == i);
		answer("app", "", "no name server answered");
	}
	assert_string_equal(known(b, 0, 0), "10.0.0.1 10.0.0.2");
	/* Told once. */
	assert_string_equal(logged(),
	    "warn  pool web: app:80 could not be looked up: no name server "
	    "answered; its last addresses stay\n");
	TURN_UNTIL(n_queries == 12);
	answer("app", "10.0.0.1 10.0.0.2", NULL);
	assert_string_equal(
	    logged(), "info  pool web: app:80 is found again\n");
	/* ... and not again within a minute. */
	TURN_UNTIL(n_queries == 13);
	answer("app", "", "no such name");
	TURN_UNTIL(n_queries == 14);
	answer("app", "10.0.0.1 10.0.0.2", NULL);
	assert_string_equal(logged(), "");
	assert_int_equal(changes, 0);
	built_free(b);
}

/* A part of an answer adds and takes nothing away; the whole does both. */
static void
parts_are_added(void **state)
{
	(void)state;
	BUILD(NAMED, "backend=srv:_a._tcp.b", "resolve=20ms");
	assert_true(names_prepare(names, b->cfg));
	answer("_a._tcp.b", "10.0.0.2/1", "target x: no name server answered");
	assert_true(names_settled(names));
	assert_string_equal(known(b, 0, 0), "10.0.0.2/1");
	names_commit(names, b->cfg);
	TURN_UNTIL(n_queries == 2);
	answer("_a._tcp.b", "10.0.0.1/3", "target y: no name server answered");
	TURN_UNTIL(changes == 1);
	assert_string_equal(known(b, 0, 0), "10.0.0.1/3 10.0.0.2/1");
	TURN_UNTIL(n_queries == 3);
	answer("_a._tcp.b", "10.0.0.1/3", NULL);
	TURN_UNTIL(changes == 2);
	assert_string_equal(known(b, 0, 0), "10.0.0.1/3");
	built_free(b);
}

/* At the start: the rest serves, and is told when the name has come. */
static void
a_name_comes_late(void **state)
{
	(void)state;
	BUILD(NAMED, "backend=app:80", "resolve=20ms");
	assert_true(names_prepare(names, b->cfg));
	answer("app", "", "no such name");
	assert_true(names_settled(names));
	assert_string_equal(known(b, 0, 0), "");
	names_commit(names, b->cfg);
	assert_string_equal(logged(),
	    "warn  pool web: app:80 could not be looked up: no such name; it "
	    "has no address yet, and is tried again\n");
	TURN_UNTIL(n_queries == 2);
	answer("app", "10.0.0.1", NULL);
	TURN_UNTIL(changes == 1);
	assert_string_equal(known(b, 0, 0), "10.0.0.1");
	assert_string_equal(logged(),
	    "info  pool web: app:80 is 10.0.0.1:80\n"
	    "info  pool web: app:80 is found again\n");
	built_free(b);
}

/* Committed before the answer came: told of as soon as it does; and what came
 * after names_known, too. */
static void
answers_after_the_build(void **state)
{
	(void)state;
	BUILD(NAMED, "backend=app:80,late:80");
	assert_true(names_prepare(names, b->cfg));
	assert_string_equal(known(b, 0, 0), "");
	assert_string_equal(known(b, 0, 1), "");
	answer("app", "10.0.0.1", NULL);
	assert_false(names_settled(names));
	turn_ms(2 * NAMES_GATHER_MS);
	/* It is not in force. */
	assert_int_equal(changes, 0);
	names_commit(names, b->cfg);
	TURN_UNTIL(changes == 1);
	answer("late", "10.0.0.2", NULL);
	TURN_UNTIL(changes == 2);
	assert_int_equal(settled, 0);
	built_free(b);
}

static void
zero_is_once_for_each_configuration(void **state)
{
	(void)state;
	BUILD(NAMED, "backend=app:80", "resolve=0");
	assert_true(names_prepare(names, b->cfg));
	answer("app", "10.0.0.1", NULL);
	(void)known(b, 0, 0);
	names_commit(names, b->cfg);
	turn_ms(50);
	assert_int_equal(n_queries, 1);
	/* It is known, so nothing is waited for. */
	assert_true(names_prepare(names, b->cfg));
	assert_true(names_settled(names));
	assert_int_equal(n_queries, 1);
	names_commit(names, b->cfg);
	assert_int_equal(n_queries, 2);
	answer("app", "10.0.0.2", NULL);
	TURN_UNTIL(changes == 1);
	turn_ms(50);
	assert_int_equal(n_queries, 2);
	built_free(b);
}

static void
one_entry_for_many_pools(void **state)
{
	(void)state;
	BUILD(WEB, "pool=a", "[pool a]", "backend=app:80", "resolve=0",
	    "[pool b]", "backend=app:81,app:80", "resolve=20ms", "[pool c]",
	    "backend=app:80", "resolve=1h", "[pool d]", "backend=x:1");
	assert_true(names_prepare(names, b->cfg));
	assert_int_equal(n_queries, 3);
	answer("x", "10.0.0.9", NULL);
	for (size_t i = 0; i < 2; i++)
		answer("app", "10.0.0.1", NULL);
	assert_non_null(
	    strstr(logged(), "pools a, b, c: app:80 is 10.0.0.1:80\n"));
	assert_string_equal(known(b, 0, 0), "10.0.0.1");
	assert_string_equal(known(b, 1, 1), "10.0.0.1");
	assert_string_equal(known(b, 2, 0), "10.0.0.1");
	names_commit(names, b->cfg);
	/* Every 20 ms, both of them. */
	TURN_UNTIL(n_queries == 5);
	answer("app", "10.0.0.2", NULL);
	answer("app", "10.0.0.2", NULL);
	/* Told of together. */
	TURN_UNTIL(changes == 1);
	built_free(b);
}

static void
a_new_configuration(void **state)
{
	struct built *second = built_create();

	(void)state;
	BUILD(NAMED, "backend=old:80,both:80");
	run(second,
	    (const char *const[]){
		NAMED, "backend=both:80,new:80", "resolve=10ms", NULL});
	assert_true(names_prepare(names, b->cfg));
	answer("old", "10.0.0.1", NULL);
	answer("both", "10.0.0.2", NULL);
	names_commit(names, b->cfg);
	/* Only what is new is asked for, and only that is waited for. */
	assert_true(names_prepare(names, second->cfg));
	assert_int_equal(n_queries, 3);
	assert_string_equal(known(second, 0, 0), "10.0.0.2");
	/* Given up: the old one is as it was. */
	names_rollback(names);
	assert_int_equal(n_open(), 0);
	assert_true(names_settled(names));
	assert_string_equal(known(b, 0, 0), "10.0.0.1");
	assert_string_equal(known(second, 0, 1), "");
	/* Once more. */
	assert_true(names_prepare(names, second->cfg));
	assert_int_equal(n_queries, 4);
	answer("new", "10.0.0.3", NULL);
	names_commit(names, second->cfg);
	assert_string_equal(known(b, 0, 0), "");
	assert_string_equal(known(second, 0, 0), "10.0.0.2");
	assert_string_equal(known(second, 0, 1), "10.0.0.3");
	built_free(b);
	/* The interval is the new one's. */
	TURN_UNTIL(n_queries == 6);
	answer("both", "10.0.0.4", NULL);
	assert_non_null(strstr(logged(), "pool web: both:80 is now 10.0.0.4"));
	built_free(second);
}

/* A reload may come because a name was wrong: it is tried at once. */
static void
a_new_configuration_tries_what_fails(void **state)
{
	(void)state;
	BUILD(NAMED, "backend=app:80");
	assert_true(names_prepare(names, b->cfg));
	answer("app", "", "no such name");
	names_commit(names, b->cfg);
	assert_int_equal(n_queries, 1);
	assert_true(names_prepare(names, b->cfg));
	assert_int_equal(n_queries, 2);
	assert_true(names_settled(names));
	built_free(b);
}

static void
waits_grow(void **state)
{
	uint64_t began_us = clock_monotonic_us();

	(void)state;
	BUILD(NAMED, "backend=app:80");
	assert_true(names_prepare(names, b->cfg));
	answer("app", "", "no such name");
	names_commit(names, b->cfg);
	/* Between half of it and all of it. */
	TURN_UNTIL(n_queries == 2);
	assert_true(clock_monotonic_us() - began_us >= 500000);
	answer("app", "", "no such name");
	began_us = clock_monotonic_us();
	TURN_UNTIL(n_queries == 3);
	assert_true(clock_monotonic_us() - began_us >= 1000000);
	built_free(b);
}

static void
want_of_memory_is_a_failure(void **state)
{
	(void)state;
	BUILD(NAMED, "backend=app:80", "resolve=20ms");
	refuses = true;
	assert_true(names_prepare(names, b->cfg));
	assert_true(names_settled(names));
	names_commit(names, b->cfg);
	refuses = false;
	TURN_UNTIL(n_queries == 1);
	answer("app", "10.0.0.1", NULL);
	TURN_UNTIL(changes == 1);
	built_free(b);
}

static void
long_lists_are_cut_in_the_log(void **state)
{
	char lines[64][32];
	const char *all[80] = {
	    "[listener web]", "bind=127.0.0.1:8080", "pool=p1"};
	struct built *b = built_create();

	(void)state;
	for (unsigned i = 0; i < 30; i++) {
		snprintf(lines[2 * i], 32, "[pool p%u]", i + 1);
		snprintf(lines[2 * i + 1], 32, "backend=app:80");
		all[3 + 2 * i] = lines[2 * i];
		all[4 + 2 * i] = lines[2 * i + 1];
	}
	run(b, all);
	assert_true(names_prepare(names, b->cfg));
	answer("app", "10.0.0.1", NULL);
	assert_string_equal(logged(),
	    "info  pools p1, p2, p3, p4, ...: app:80 is 10.0.0.1:80\n");
	built_free(b);
}

/* The real thing, as far as it needs no name server. */
static void
localhost(void **state)
{
	struct names *real = names_create(loop, ring, &ops, &changes);
	const struct names_found *found;
	struct names *before = names;

	(void)state;
	BUILD(NAMED, "backend=localhost:80");
	assert_non_null(real);
	names = real;
	assert_true(names_prepare(real, b->cfg));
	TURN_UNTIL(settled == 1);
	names_commit(real, b->cfg);
	assert_true(
	    names_known(real, &b->cfg->pools[0].backends[0], &found) > 0);
	assert_true(address_on_loopback(&found[0].address));
	names = before;
	names_free(real);
	built_free(b);
}

#define NAMES(test) \
	cmocka_unit_test_setup_teardown(test, open_names, close_names)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    NAMES(all_addresses_are_known),
	    NAMES(looked_up_again_in_time),
	    NAMES(failures_take_nothing_away),
	    NAMES(parts_are_added),
	    NAMES(a_name_comes_late),
	    NAMES(answers_after_the_build),
	    NAMES(zero_is_once_for_each_configuration),
	    NAMES(one_entry_for_many_pools),
	    NAMES(a_new_configuration),
	    NAMES(a_new_configuration_tries_what_fails),
	    NAMES(waits_grow),
	    NAMES(want_of_memory_is_a_failure),
	    NAMES(long_lists_are_cut_in_the_log),
	    NAMES(localhost),
	};

	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
