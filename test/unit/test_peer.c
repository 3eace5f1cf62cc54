/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

#include "evenkeel/net/peer.h"

static void
assert_text(const struct peer *p, const char *text)
{
	char bytes[64] = {0};
	struct textbuf out = textbuf_make(bytes, sizeof(bytes) - 1);

	peer_put(&out, p);
	assert_string_equal(bytes, text);
}

static void
of_a_unix_socket(void **state)
{
	struct peer p;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	p = peer_of(fds[0]);
	assert_true(p.known);
	assert_int_equal(p.uid, getuid());
	assert_int_equal(p.pid, getpid());
	close(fds[0]);
	close(fds[1]);
}

static void
of_others(void **state)
{
	int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), pipes[2];

	(void)state;
	assert_true(tcp >= 0);
	assert_false(peer_of(tcp).known);
	close(tcp);
	assert_int_equal(pipe(pipes), 0);
	assert_false(peer_of(pipes[0]).known);
	close(pipes[0]);
	close(pipes[1]);
}

static void
in_words(void **state)
{
	struct peer p = {.known = true, .uid = 1000, .pid = 4711};

	(void)state;
	assert_text(&p, "uid 1000, pid 4711");
	p.pid = 0;
	assert_text(&p, "uid 1000");
	assert_text(&PEER_UNKNOWN, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(of_a_unix_socket),
	    cmocka_unit_test(of_others),
	    cmocka_unit_test(in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
