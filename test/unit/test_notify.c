/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "evenkeel/net/clock.h"
#include "evenkeel/net/notify.h"

#define ALL_MS 60000

struct manager {
	int fd;
	char dir[64];
	char path[108];
};

/* Listens at `path`, or at the abstract name behind its '@'. */
static int
listen_at(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	size_t len = strlen(path),
	       start = offsetof(struct sockaddr_un, sun_path);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_true(len < sizeof(un.sun_path));
	memcpy(un.sun_path, path, len);
	if (path[0] == '@')
		un.sun_path[0] = '\0';
	else
		len++;
	assert_int_equal(
	    bind(fd, (struct sockaddr *)&un, (socklen_t)(start + len)), 0);
	return fd;
}

static int
make_manager(void **state)
{
	static struct manager m;

	(void)snprintf(m.dir, sizeof(m.dir), "/tmp/test_notify.XXXXXX");
	if (!mkdtemp(m.dir))
		return -1;
	(void)snprintf(m.path, sizeof(m.path), "%s/socket", m.dir);
	m.fd = listen_at(m.path);
	(void)setenv("NOTIFY_SOCKET", m.path, 1);
	*state = &m;
	return 0;
}

static int
end_manager(void **state)
{
	struct manager *m = *state;

	(void)unsetenv("NOTIFY_SOCKET");
	close(m->fd);
	(void)unlink(m->path);
	return rmdir(m->dir);
}

/* One datagram that has come; a text of its own when there is none. */
static const char *
heard(int fd)
{
	static char bytes[1024];
	ssize_t n = recv(fd, bytes, sizeof(bytes) - 1, MSG_DONTWAIT);

	if (n < 0)
		return "nothing";
	bytes[n] = '\0';
	return bytes;
}

static void
readiness_and_stop_are_told(void **state)
{
	struct manager *m = *state;

	notify_ready(SPAN("all is well"));
	assert_string_equal(heard(m->fd), "READY=1\nSTATUS=all is well");
	notify_stopping(40000, SPAN("going"));
	assert_string_equal(heard(m->fd),
	    "STOPPING=1\nEXTEND_TIMEOUT_USEC=40000000\nSTATUS=going");
	notify_successor(77, SPAN("upgraded"));
	assert_string_equal(heard(m->fd), "MAINPID=77\nSTATUS=upgraded");
	assert_true(notify_reloading());
	assert_true(
	    strncmp(heard(m->fd), "RELOADING=1\nMONOTONIC_USEC=", 27) == 0);
	assert_true(notify_reloaded(SPAN("again")));
	assert_string_equal(heard(m->fd), "READY=1\nSTATUS=again");
	assert_string_equal(heard(m->fd), "nothing");
}

static void
abstract_names_are_reached(void **state)
{
	char name[64];
	int fd;

	(void)state;
	(void)snprintf(name, sizeof(name), "@test_notify/%d", (int)getpid());
	fd = listen_at(name);
	(void)setenv("NOTIFY_SOCKET", name, 1);
	notify_ready(SPAN("x"));
	assert_string_equal(heard(fd), "READY=1\nSTATUS=x");
	close(fd);
}

/* None of these is told anything, and none does harm. */
static void
what_cannot_be_reached_does_not_matter(void **state)
{
	struct manager *m = *state;
	char longest[200];
	int open_before = dup(m->fd), open_after;

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	longest[0] = '/';
	const char *names[] = {"", "@", "/", "/nonexistent/socket",
	    "@nobody/here", "vsock:2:1234", "relative", longest, longest + 100,
	    "/tmp"};

	close(open_before);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)setenv("NOTIFY_SOCKET", names[i], 1);
		notify_ready(SPAN("x"));
		/* It is not there, so it is not busy. */
		assert_true(notify_reloaded(SPAN("x")));
	}
	longest[0] = '@';
	(void)setenv("NOTIFY_SOCKET", longest, 1);
	notify_ready(SPAN("x"));
	(void)unsetenv("NOTIFY_SOCKET");
	notify_ready(SPAN("x"));
	assert_string_equal(heard(m->fd), "nothing");
	open_after = dup(m->fd);
	assert_int_equal(open_after, open_before);
	close(open_after);
}

/* A manager that reads nothing: the queue of its socket is full at some time,
 * and the wait for it ends. */
static void
a_manager_that_is_busy_holds_up_for_a_while_only(void **state)
{
	struct manager *m = *state;
	uint64_t start_us = clock_monotonic_us();
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	size_t sent = 0;

	assert_true(fd >= 0);
	memcpy(un.sun_path, m->path, strlen(m->path));
	while (sent < 100000 &&
	    sendto(fd, "x", 1, 0, (struct sockaddr *)&un, sizeof(un)) == 1)
		sent++;
	assert_true(errno == EAGAIN && sent < 100000);
	notify_ready(SPAN("x"));
	assert_true(clock_monotonic_us() - start_us < ALL_MS * 1000);
	assert_false(notify_reloading());
	assert_false(notify_reloaded(SPAN("x")));
	for (size_t i = 0; i < sent; i++)
		assert_string_equal(heard(m->fd), "x");
	assert_string_equal(heard(m->fd), "nothing");
	close(fd);
}

#define WITH_MANAGER(test) \
	cmocka_unit_test_setup_teardown(test, make_manager, end_manager)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_MANAGER(readiness_and_stop_are_told),
	    WITH_MANAGER(abstract_names_are_reached),
	    WITH_MANAGER(what_cannot_be_reached_does_not_matter),
	    WITH_MANAGER(a_manager_that_is_busy_holds_up_for_a_while_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
