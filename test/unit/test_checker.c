/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "evenkeel/control/checker.h"
#include "evenkeel/control/registry.h"
#include "loaded_text.h"
#include "loop_until.h"

#define TARGETS 2
#define HTTP    "health = http\nhealth_timeout = 1m\nhealth_path = /one\n"
#define SELDOM  "health_interval = 1h\n"
#define OFTEN   "health_interval = 20ms\n"
#define GOOD    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

/* Who is checked: what has come to him. */
static struct target {
	int listening, conn;
	uint16_t port;
	unsigned accepted;
	char heard[1024];
	size_t len;
	bool ended; /* the other side has closed */
} targets[TARGETS];

static struct worker *workers[1];
static struct registry *registry;
static struct publish published;
static struct roster *roster;
static struct checker *checker;

static void
ignore(void *arg)
{
	(void)arg;
}

static void
say(enum log_level level, const char *text, void *arg)
{
	(void)level;
	(void)text;
	(void)arg;
}

static const struct roster_ops roster_ops = {.on_change = ignore, .say = say};

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

static int
open_target(struct target *t)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
	    .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(in);

	*t = (struct target){.conn = -1};
	t->listening =
	    socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(t->listening, (struct sockaddr *)&in, len) != 0 ||
	    listen(t->listening, 100) != 0 ||
	    getsockname(t->listening, (struct sockaddr *)&in, &len) != 0)
		return -1;
	t->port = ntohs(in.sin_port);
	return 0;
}

static int
begin(void **state)
{
	for (size_t i = 0; i < TARGETS; i++)
		if (open_target(&targets[i]) != 0)
			return -1;
	if (open_loop(state) != 0)
		return -1;
	publish_init(&published, &publish_ops, NULL);
	registry = registry_create(1, workers, NULL);
	roster = enroll_create(&published, &roster_ops, NULL);
	checker = checker_create(loop, roster, 7);
	return registry && roster && checker ? 0 : -1;
}

static int
end(void **state)
{
	checker_free(checker);
	enroll_free(roster);
	publish_close(&published);
	registry_free(registry);
	for (size_t i = 0; i < TARGETS; i++) {
		close(targets[i].listening);
		if (targets[i].conn >= 0)
			close(targets[i].conn);
	}
	return close_loop(state);
}

/* Takes the next connection when there is one, and what has come on it. */
static struct target *
look(size_t i)
{
	struct target *t = &targets[i];
	int fd = accept4(t->listening, NULL, NULL, SOCK_CLOEXEC);
	ssize_t n;

	if (fd >= 0) {
		if (t->conn >= 0)
			close(t->conn);
		t->conn = fd;
		t->accepted++;
		t->len = 0;
		t->ended = false;
	}
	if (t->conn < 0)
		return t;
	n = recv(t->conn, t->heard + t->len, sizeof(t->heard) - 1 - t->len,
	    MSG_DONTWAIT);
	t->ended |= n == 0 || (n < 0 && errno != EAGAIN);
	t->len += n > 0 ? (size_t)n : 0;
	t->heard[t->len] = '\0';
	return t;
}

static bool
heard(size_t i, const char *text)
{
	return strstr(look(i)->heard, text) != NULL;
}

static void
answer(size_t i)
{
	assert_int_equal(
	    send(targets[i].conn, GOOD, strlen(GOOD), MSG_NOSIGNAL),
	    strlen(GOOD));
}

/* ---- configurations ---- */

struct next {
	struct snapshot *snapshot;
	struct enroll enroll;
};

/* A pool of the first `n` targets, with these lines. */
static bool
prepare(struct next *next, size_t n, const char *lines)
{
	char text[2048], bytes[256];
	struct textbuf why = textbuf_make(bytes, sizeof(bytes));
	struct loaded *l;
	int len = snprintf(text, sizeof(text),
	    "[listener web]\nbind = 127.0.0.1:8080\npool = web\n"
	    "[pool web]\n%s",
	    lines);

	for (size_t i = 0; i < n; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len,
		    "backend = 127.0.0.1:%u name=b%zu\n", targets[i].port, i);
	l = loaded_text(text);
	next->snapshot = registry_prepare(registry, l, &why);
	loaded_release(l);
	assert_non_null(next->snapshot);
	assert_true(enroll_prepare(&next->enroll, next->snapshot));
	return checker_prepare(checker, &next->enroll);
}

static void
on_gone(struct roster_member *m, void *arg)
{
	(void)arg;
	checker_drop(m);
}

/* In force; the configuration before is freed: no check may look at it. */
static void
put(size_t n, const char *lines)
{
	struct snapshot *old =
	    (struct snapshot *)(uintptr_t)registry_snapshot(registry);
	struct next next;

	assert_true(prepare(&next, n, lines));
	registry_commit(registry, next.snapshot, loop_now_ms(loop));
	enroll_commit(&next.enroll, roster, loop_now_ms(loop), on_gone, NULL);
	checker_commit(checker);
	if (old != NULL)
		registry_released(registry, registry_hold(old, 0));
}

static struct roster_member *
member(size_t i)
{
	return roster->pools[0].members[i];
}

static uint64_t
checks(size_t i, enum health_result result)
{
	return member(i)->backend->checks[result];
}

/* ---- tests ---- */

static void
each_is_checked_again_and_again(void **state)
{
	(void)state;
	put(2, "health = tcp\n" OFTEN);
	TURN_UNTIL(checks(0, HEALTH_OK) >= 3 && checks(1, HEALTH_OK) >= 3);
	assert_int_equal(checks(0, HEALTH_FAILED), 0);
	/* The same configuration once more: none begins anew. */
	for (int i = 0; i < 5; i++)
		put(2, "health = tcp\n" OFTEN);
	TURN_UNTIL(checks(0, HEALTH_OK) >= 6 && checks(1, HEALTH_OK) >= 6);
	assert_int_equal(checks(0, HEALTH_FAILED), 0);
	assert_true(checker_late_us(checker) < UNTIL_US);
}

/* What does not change what it asks does not disturb it. */
static void
one_under_way_goes_on(void **state)
{
	(void)state;
	put(1, HTTP SELDOM);
	TURN_UNTIL(heard(0, "GET /one "));
	put(2, HTTP "health_interval = 2h\nhealth_rise = 3\nslow_start = 1s\n");
	TURN_UNTIL(heard(1, "GET /one "));
	look(0);
	assert_int_equal(targets[0].accepted, 1);
	assert_false(targets[0].ended);
	answer(0);
	TURN_UNTIL(checks(0, HEALTH_OK) == 1);
	assert_int_equal(look(0)->accepted, 1);
	assert_int_equal(checks(1, HEALTH_OK), 0);
	/* It is judged by the texts of the new configuration. */
	answer(1);
	TURN_UNTIL(checks(1, HEALTH_OK) == 1);
}

/* It asks another thing now: the one under way says nothing, and another one
 * begins at once. */
static void
another_check_begins_at_once(void **state)
{
	(void)state;
	put(1, HTTP SELDOM);
	TURN_UNTIL(heard(0, "GET /one "));
	put(1,
	    "health = http\nhealth_timeout = 1m\nhealth_path = /two\n" SELDOM);
	assert_true(look(0)->ended);
	TURN_UNTIL(heard(0, "GET /two "));
	assert_int_equal(targets[0].accepted, 2);
	answer(0);
	TURN_UNTIL(checks(0, HEALTH_OK) == 1);
	assert_int_equal(checks(0, HEALTH_FAILED), 0);
	assert_int_equal(checks(0, HEALTH_TIMEOUT), 0);
	/* Also when none is under way. */
	put(1, "health = tcp\n" SELDOM);
	TURN_UNTIL(checks(0, HEALTH_OK) == 2);
	assert_int_equal(look(0)->accepted, 3);
}

static void
a_shorter_interval_counts_at_once(void **state)
{
	(void)state;
	put(1, "health = tcp\n" SELDOM);
	TURN_UNTIL(checks(0, HEALTH_OK) == 1);
	put(1, "health = tcp\n" OFTEN);
	TURN_UNTIL(checks(0, HEALTH_OK) >= 4);
	/* A longer one when the next has come. */
	put(1, "health = tcp\n" SELDOM);
	TURN_UNTIL(checks(0, HEALTH_OK) >= 5);
}

/* Whoever is down is checked by an interval of his own. */
static void
the_interval_of_those_down(void **state)
{
	(void)state;
	put(1, "health = tcp\nhealth_fall = 1\n" SELDOM);
	TURN_UNTIL(checks(0, HEALTH_OK) == 1);
	roster_checked(
	    roster, member(0), HEALTH_FAILED, "x", loop_now_ms(loop));
	assert_int_equal(member(0)->state, ROSTER_DOWN);
	put(1,
	    "health = tcp\nhealth_fall = 1\nhealth_rise = 2\n"
	    "health_interval_down = 20ms\n" SELDOM);
	TURN_UNTIL(member(0)->state == ROSTER_UP);
}

static void
gone_in_a_check(void **state)
{
	(void)state;
	put(2, HTTP SELDOM);
	TURN_UNTIL(heard(0, "/one") && heard(1, "/one"));
	put(1, HTTP SELDOM);
	assert_true(look(1)->ended);
	assert_false(look(0)->ended);
	assert_non_null(member(0)->check);
	/* None at all any more. */
	put(1, "health = off\n");
	assert_null(member(0)->check);
	assert_true(look(0)->ended);
	assert_int_equal(loop->wheel.linked, 0);
	/* And again. */
	put(2, "health = tcp\n" OFTEN);
	TURN_UNTIL(checks(0, HEALTH_OK) >= 2 && checks(1, HEALTH_OK) >= 2);
	assert_int_equal(checks(0, HEALTH_FAILED), 0);
}

static void
rolled_back(void **state)
{
	struct next next;
	struct check *before;

	(void)state;
	put(1, HTTP SELDOM);
	TURN_UNTIL(heard(0, "/one"));
	before = member(0)->check;
	assert_true(prepare(&next, 2, "health = tcp\n" OFTEN));
	assert_non_null(next.enroll.pools[0].members[1]->check);
	checker_rollback(checker, &next.enroll);
	assert_null(next.enroll.pools[0].members[1]->check);
	enroll_rollback(&next.enroll);
	registry_rollback(registry, next.snapshot);
	assert_ptr_equal(member(0)->check, before);
	assert_false(look(0)->ended);
	answer(0);
	TURN_UNTIL(checks(0, HEALTH_OK) == 1);
	assert_int_equal(look(0)->accepted, 1);
	/* One that there was for nothing is taken away, too. */
	put(1, "health = off\n");
	assert_true(prepare(&next, 1, "health = tcp\n" OFTEN));
	assert_non_null(member(0)->check);
	checker_rollback(checker, &next.enroll);
	assert_null(member(0)->check);
	enroll_rollback(&next.enroll);
	registry_rollback(registry, next.snapshot);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH(each_is_checked_again_and_again),
	    WITH(one_under_way_goes_on),
	    WITH(another_check_begins_at_once),
	    WITH(a_shorter_interval_counts_at_once),
	    WITH(the_interval_of_those_down),
	    WITH(gone_in_a_check),
	    WITH(rolled_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
