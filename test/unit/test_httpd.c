/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "evenkeel/control/httpd.h"
#include "evenkeel/net/listener.h"
#include "loop_until.h"

#define ANSWER_BYTES (1 << 20)

static struct httpd *server;
static struct address at;
static int client = -1;
static char answer[ANSWER_BYTES];
static size_t answer_len;
static unsigned asked;

/* Answers with the target; "/large" with more than the first room. */
static void
on_request(const struct httpd_request *r, struct httpd_answer *a, void *arg)
{
	assert_ptr_equal(arg, &asked);
	asked++;
	if (span_equal(r->target, SPAN("/gone"))) {
		a->status = 404;
		a->type = "text/html";
	}
	/* No unix socket: nobody is known. */
	assert_false(r->peer.known);
	if (span_equal(r->target, SPAN("/post-only"))) {
		a->status = 405;
		a->allow = "POST";
	}
	if (span_equal(r->target, SPAN("/large")))
		for (int i = 0; i < 40000; i++)
			textbuf_lit(a->body, "0123456789");
	textbuf_put(a->body, r->target);
}

static const struct httpd_ops ops = {.on_request = on_request};

static int
open_server(void **state)
{
	const struct cfg_addr from = {
	    .kind = CFG_ADDR_INET4, .host = "127.0.0.1", .port = 0};
	char bytes[256];
	struct textbuf why = textbuf_make(bytes, sizeof(bytes));
	struct address a;
	int fd;

	if (open_loop(state) != 0 || !address_resolve(&a, &from, &why) ||
	    !listener_bind(&a, &fd, 1, &at, &why))
		return -1;
	asked = 0;
	server = httpd_create(loop, fd, &ops, &asked);
	return server != NULL ? 0 : -1;
}

static int
close_server(void **state)
{
	if (client >= 0)
		close(client);
	client = -1;
	httpd_free(server);
	loop_bury_all(loop);
	return close_loop(state);
}

static int
connected(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &at.u.any, at.len), 0);
	return fd;
}

static void
send_text(int fd, const char *text)
{
	assert_int_equal(
	    send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void
say(const char *text, size_t len)
{
	if (client < 0) {
		client = connected();
		answer_len = 0;
	}
	assert_int_equal(send(client, text, len, MSG_NOSIGNAL), len);
}

/* What has come by now.  True: and then the end. */
static bool
hear(void)
{
	ssize_t n = recv(client, answer + answer_len,
	    sizeof(answer) - 1 - answer_len, MSG_DONTWAIT);

	if (n < 0)
		assert_int_equal(errno, EAGAIN);
	answer_len += n > 0 ? (size_t)n : 0;
	answer[answer_len] = '\0';
	return n == 0;
}

static void
hear_all(void)
{
	TURN_UNTIL(hear());
	close(client);
	client = -1;
}

static bool
ends_with(const char *text)
{
	size_t len = strlen(text);

	return answer_len >= len &&
	    memcmp(answer + answer_len - len, text, len) == 0;
}

static void
ask(const char *request)
{
	say(request, strlen(request));
	hear_all();
}

static void
answers_to_the_letter(void **state)
{
	(void)state;
	ask("GET /a?b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	assert_string_equal(answer,
	    "HTTP/1.1 200 OK\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Length: 4\r\n"
	    "Connection: close\r\n"
	    "\r\n"
	    "/a?b");
	ask("PUT /post-only HTTP/1.0\r\n\r\n");
	assert_non_null(strstr(answer, "\r\nAllow: POST\r\n"));
	ask("GET /gone HTTP/1.0\r\n\r\n");
	assert_string_equal(answer,
	    "HTTP/1.1 404 Not Found\r\n"
	    "Content-Type: text/html\r\n"
	    "Content-Length: 5\r\n"
	    "Connection: close\r\n"
	    "\r\n"
	    "/gone");
	ask("HEAD /abc HTTP/1.0\r\n\r\n");
	assert_non_null(strstr(answer, "Content-Length: 4\r\n"));
	assert_true(ends_with("\r\n\r\n"));
	assert_int_equal(asked, 4);
}

/* A request that comes byte by byte, with a body that is read and forgotten,
 * and the next one behind it. */
static void
however_it_was_cut(void **state)
{
	static const char two[] =
	    "POST /1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "3\r\nabc\r\n0\r\nX: y\r\n\r\n"
	    "PUT /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde"
	    "GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

	(void)state;
	for (size_t cut = 1; cut < sizeof(two) - 1; cut++) {
		asked = 0;
		say(two, cut);
		turn_once();
		turn_once();
		(void)hear();
		say(two + cut, sizeof(two) - 1 - cut);
		hear_all();
		assert_int_equal(asked, 3);
		assert_non_null(strstr(answer, "\r\n\r\n/1HTTP/1.1 200"));
		assert_non_null(strstr(answer, "\r\n\r\n/2HTTP/1.1 200"));
		assert_true(ends_with("\r\n\r\n/3"));
	}
}

/* The handler is asked again with more room until it has enough. */
static void
large_answers(void **state)
{
	(void)state;
	ask("GET /large HTTP/1.0\r\n\r\n");
	assert_non_null(strstr(answer, "Content-Length: 400006\r\n"));
	assert_true(ends_with("789/large"));
	assert_true(asked > 1);
}

/* The handler writes a large page once more than the first room takes, but for
 * the first time; whatever page is asked for in between. */
static void
large_answers_again(void **state)
{
	unsigned first;

	(void)state;
	ask("GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	first = asked;
	assert_int_equal(first, 3);
	for (unsigned i = 1; i <= 3; i++) {
		ask("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
		ask("HEAD /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
		    "\r\n");
		ask("GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
		    "\r\n");
		assert_in_range(answer_len, 400000, 400500);
		assert_int_equal(asked, first + i * 5);
	}
}

static void
strict(void **state)
{
	static const struct {
		const char *request, *status;
	} cases[] = {
	    {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
	    {"GET / HTTP/1.1\nHost: x\n\n", "HTTP/1.1 400 "},
	    {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", "HTTP/1.1 505 "},
	    {"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", "HTTP/1.1 405 "},
	    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
		"HTTP/1.1 501 "},
	    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
	     "x",
		"HTTP/1.1 400 "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ask(cases[i].request);
		assert_memory_equal(
		    answer, cases[i].status, strlen(cases[i].status));
		assert_non_null(strstr(answer, "\r\nConnection: close\r\n"));
	}
	assert_int_equal(asked, 0);
}

/* One that has ended its side still gets its answer. */
static void
half_closed(void **state)
{
	(void)state;
	client = connected();
	answer_len = 0;
	send_text(client, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
	shutdown(client, SHUT_WR);
	hear_all();
	assert_true(ends_with("\r\n\r\n/x"));
}

/* With one connection too many the oldest that is silent has to go; whoever
 * asks is answered. */
static void
full_house(void **state)
{
	static int fds[HTTPD_CONNECTIONS];
	char c;

	(void)state;
	for (size_t i = 0; i < HTTPD_CONNECTIONS; i++) {
		fds[i] = connected();
		if (i % 100 == 0)
			turn_once();
	}
	client = connected();
	TURN_UNTIL(recv(fds[0], &c, 1, MSG_DONTWAIT) == 0);
	close(fds[0]);
	answer_len = 0;
	ask("GET /0 HTTP/1.0\r\n\r\n");
	assert_true(ends_with("\r\n\r\n/0"));
	/* Its place is free. */
	ask("GET /1 HTTP/1.0\r\n\r\n");
	assert_true(ends_with("\r\n\r\n/1"));
	for (size_t i = 1; i < HTTPD_CONNECTIONS; i++)
		close(fds[i]);
}

/* Nobody is accepted any more; who has connected before is answered. */
static void
retired_with_visitors(void **state)
{
	int late;

	(void)state;
	say("GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 47);
	httpd_retire(server);
	httpd_retire(server);
	hear_all();
	assert_true(ends_with("\r\n\r\n/x"));
	assert_int_equal(asked, 1);
	late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(late >= 0);
	assert_int_equal(connect(late, &at.u.any, at.len), -1);
	close(late);
}

/* Freed while visitors are there: in a head, in a body, in an answer. */
static void
freed_with_visitors(void **state)
{
	int fds[3] = {connected(), connected(), connected()};

	(void)state;
	send_text(fds[0], "GET");
	send_text(
	    fds[1], "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx");
	client = connected();
	send_text(client, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
	TURN_UNTIL(asked > 1);
	for (size_t i = 0; i < 3; i++)
		close(fds[i]);
}

#define SERVED(test) \
	cmocka_unit_test_setup_teardown(test, open_server, close_server)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    SERVED(answers_to_the_letter),
	    SERVED(however_it_was_cut),
	    SERVED(large_answers),
	    SERVED(large_answers_again),
	    SERVED(strict),
	    SERVED(half_closed),
	    SERVED(full_house),
	    SERVED(retired_with_visitors),
	    SERVED(freed_with_visitors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
