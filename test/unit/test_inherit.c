/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "address_here.h"
#include "evenkeel/net/inherit.h"
#include "evenkeel/net/listener.h"

#define MANY 8

static char why_bytes[512];
static struct textbuf why;
static struct inherit in;
static struct inherit_socket taken[MANY];

static int
set_up(void **state)
{
	(void)state;
	if (!address_begin())
		return -1;
	why = textbuf_make(why_bytes, sizeof(why_bytes) - 1);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	(void)unsetenv("EVENKEEL_UPGRADE");
	(void)unsetenv("LISTEN_PID");
	return address_end() ? 0 : -1;
}

/* `n` sockets of one group, or dup'ed ones of a unix socket. */
static struct address
listening(struct address a, int *fds, uint32_t n)
{
	struct address bound;

	assert_true(listener_bind(&a, fds, n, &bound, &why));
	return bound;
}

static void
close_taken(size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(taken[i].fd);
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* Puts what inherit_environment makes into this process's own environment. */
static void
hand_over(const struct inherit_socket *list, size_t n, int ready_fd)
{
	char **all = inherit_environment(list, n, ready_fd, SPAN("a\nb"));
	const char *value;
	size_t i = 0;

	assert_non_null(all);
	value = strchr(all[0], '=');
	assert_non_null(value);
	assert_int_equal(
	    strncmp(all[0], "EVENKEEL_UPGRADE=", strlen("EVENKEEL_UPGRADE=")),
	    0);
	for (; environ[i] != NULL; i++)
		assert_ptr_equal(all[i + 1], environ[i]);
	assert_null(all[i + 1]);
	assert_int_equal(setenv("EVENKEEL_UPGRADE", value + 1, 1), 0);
	free(all);
}

static void
assert_why(const char *expected)
{
	why_bytes[why.len] = '\0';
	assert_string_equal(why_bytes, expected);
}

/* ---- systemd ---- */

/* As if systemd had passed `n`, dup'ed to its numbers; what was there before
 * comes back with restore(). */
static int saved[MANY];

static void
activate(const int *fds, size_t n, const char *names)
{
	char text[32];

	for (size_t i = 0; i < n; i++) {
		int at = INHERIT_FIRST_FD + (int)i;

		saved[i] = fcntl(at, F_DUPFD_CLOEXEC, 100);
		assert_int_equal(dup2(fds[i], at), at);
	}
	(void)snprintf(text, sizeof(text), "%d", (int)getpid());
	assert_int_equal(setenv("LISTEN_PID", text, 1), 0);
	(void)snprintf(text, sizeof(text), "%zu", n);
	assert_int_equal(setenv("LISTEN_FDS", text, 1), 0);
	assert_int_equal(setenv("LISTEN_FDNAMES", names, 1), 0);
}

static void
restore(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		close(INHERIT_FIRST_FD + (int)i);
		if (saved[i] >= 0) {
			(void)dup2(saved[i], INHERIT_FIRST_FD + (int)i);
			close(saved[i]);
		}
	}
}

/* Far from the numbers that systemd uses. */
static int
moved(int fd)
{
	int to = fcntl(fd, F_DUPFD_CLOEXEC, 50);

	assert_true(to >= 0);
	close(fd);
	return to;
}

static void
nothing_is_handed_over(void **state)
{
	struct address a = address_any_port();

	(void)state;
	assert_true(inherit_read(&in, &why));
	assert_int_equal(in.n, 0);
	assert_int_equal(in.old_pid, 0);
	assert_int_equal(in.ready_fd, -1);
	assert_int_equal(inherit_take(&in, &a, SPAN("x"), taken, MANY), 0);
	assert_true(inherit_tell_ready(&in, SPAN("1")));
	inherit_tell_failed(&in, SPAN("x"));
	inherit_close(&in);
}

static void
systemd_passes_tcp_and_unix(void **state)
{
	int fds[2];
	struct address a = address_any_port(),
		       b = address_of(CFG_ADDR_UNIX, address_path, 0);
	struct address tcp = listening(a, &fds[0], 1);

	(void)state;
	(void)listening(b, &fds[1], 1);
	fds[0] = moved(fds[0]);
	fds[1] = moved(fds[1]);
	assert_int_equal(fcntl(fds[0], F_SETFL, 0), 0);
	activate(fds, 2, "web:path");
	assert_true(inherit_read(&in, &why));
	assert_null(getenv("LISTEN_PID"));
	assert_null(getenv("LISTEN_FDS"));
	assert_null(getenv("LISTEN_FDNAMES"));
	assert_int_equal(in.n, 2);
	assert_true(span_equal(in.list[0].label, SPAN("web")));
	assert_true(span_equal(in.list[1].label, SPAN("path")));
	/* An open port is nobody's by name. */
	assert_int_equal(inherit_take(&in, &a, SPAN("web"), taken, MANY), 0);
	assert_int_equal(inherit_take(&in, &tcp, SPAN("x"), taken, MANY), 1);
	assert_int_equal(taken[0].fd, 3);
	assert_int_equal(taken[0].kind, INHERIT_GIVEN);
	assert_true(fcntl(3, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(3, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(inherit_take(&in, &tcp, SPAN("x"), taken, MANY), 0);
	assert_int_equal(inherit_take(&in, &b, SPAN("x"), taken, MANY), 1);
	assert_int_equal(taken[0].fd, 4);
	inherit_close(&in);
	restore(2);
	close(fds[0]);
	close(fds[1]);
}

static void
what_is_for_others_is_left_alone(void **state)
{
	(void)state;
	assert_int_equal(setenv("LISTEN_PID", "1", 1), 0);
	assert_int_equal(setenv("LISTEN_FDS", "1", 1), 0);
	assert_true(inherit_read(&in, &why));
	assert_int_equal(in.n, 0);
	assert_null(getenv("LISTEN_FDS"));
	inherit_close(&in);
}

/* ListenStream=PORT is one socket for both versions of IP. */
static void
one_socket_serves_both_versions(void **state)
{
	struct sockaddr_in6 any6 = {.sin6_family = AF_INET6};
	struct address bound, four;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), off = 0;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&any6, sizeof(any6)), 0);
	assert_int_equal(listen(fd, 8), 0);
	fd = moved(fd);
	assert_true(address_of_socket(&bound, fd));
	four = address_of(CFG_ADDR_INET4, "0.0.0.0", address_port(&bound));
	activate(&fd, 1, "");
	assert_true(inherit_read(&in, &why));
	assert_int_equal(inherit_take(&in, &four, SPAN(""), taken, MANY), 1);
	assert_int_equal(taken[0].bound.u.any.sa_family, AF_INET6);
	inherit_close(&in);
	restore(1);
	/* One for IPv6 alone does not. */
	close(fd);
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	off = 1;
	assert_int_equal(
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&any6, sizeof(any6)), 0);
	assert_int_equal(listen(fd, 8), 0);
	fd = moved(fd);
	assert_true(address_of_socket(&bound, fd));
	four = address_of(CFG_ADDR_INET4, "0.0.0.0", address_port(&bound));
	activate(&fd, 1, "");
	assert_true(inherit_read(&in, &why));
	assert_int_equal(inherit_take(&in, &four, SPAN(""), taken, MANY), 0);
	inherit_close(&in);
	restore(1);
	close(fd);
}

static void
refuse(int fd, const char *expected)
{
	fd = moved(fd);
	activate(&fd, 1, "x");
	why.len = 0;
	assert_false(inherit_read(&in, &why));
	assert_why(expected);
	inherit_close(&in);
	assert_false(is_open(INHERIT_FIRST_FD));
	restore(1);
	close(fd);
}

static void
other_descriptors_are_errors(void **state)
{
	static const char no_listener[] =
	    "descriptor 3 was handed over, but is no stream socket that "
	    "listens (in systemd: ListenStream=, and not Accept=yes)";

	(void)state;
	refuse(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), no_listener);
	refuse(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), no_listener);
	refuse(open("/dev/null", O_RDONLY | O_CLOEXEC),
	    "descriptor 3 was handed over, but is no TCP or unix socket");
	assert_int_equal(setenv("LISTEN_FDS", "many", 1), 0);
	(void)snprintf(why_bytes, sizeof(why_bytes), "%d", (int)getpid());
	assert_int_equal(setenv("LISTEN_PID", why_bytes, 1), 0);
	why.len = 0;
	assert_false(inherit_read(&in, &why));
	assert_why("LISTEN_FDS is not a number of descriptors");
	inherit_close(&in);
}

/* ---- another evenkeel ---- */

static void
a_group_goes_over_whole(void **state)
{
	struct address a = address_any_port(), other;
	struct inherit_socket list[5];
	int fds[3], more[1], file[1];
	struct address bound = listening(a, fds, 3);
	struct address un = address_of(CFG_ADDR_UNIX, address_path, 0);

	(void)state;
	other = listening(a, more, 1);
	(void)listening(un, file, 1);
	for (size_t i = 0; i < 3; i++)
		list[i] = (struct inherit_socket){.fd = fds[i],
		    .kind = INHERIT_GROUP,
		    .label = SPAN("main 127.0.0.1:0")};
	list[3] = (struct inherit_socket){
	    .fd = more[0], .kind = INHERIT_GROUP, .label = SPAN("admin")};
	list[4] = (struct inherit_socket){.fd = file[0], .kind = INHERIT_ALONE};
	hand_over(list, 5, 1);
	assert_int_equal(fcntl(fds[0], F_SETFD, 0), 0);
	assert_true(inherit_read(&in, &why));
	assert_null(getenv("EVENKEEL_UPGRADE"));
	assert_int_equal(in.old_pid, getpid());
	assert_int_equal(in.ready_fd, 1);
	assert_true(span_equal(in.more, SPAN("a\nb")));
	in.ready_fd = -1;
	assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	/* By address, whatever it is called; then by its label. */
	assert_int_equal(
	    inherit_take(&in, &other, SPAN("else"), taken, MANY), 1);
	assert_int_equal(taken[0].fd, more[0]);
	assert_int_equal(inherit_take(&in, &a, SPAN("main"), taken, MANY), 0);
	assert_int_equal(
	    inherit_take(&in, &a, SPAN("main 127.0.0.1:0"), taken, MANY), 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(taken[i].fd, fds[i]);
		assert_int_equal(
		    address_port(&taken[i].bound), address_port(&bound));
	}
	assert_int_equal(inherit_take(&in, &un, SPAN(""), taken, MANY), 1);
	assert_int_equal(taken[0].kind, INHERIT_ALONE);
	assert_int_equal(in.n, 0);
	inherit_close(&in);
	for (size_t i = 0; i < 5; i++)
		close(list[i].fd);
}

static void
no_more_than_there_is_room_for(void **state)
{
	struct address a = address_any_port(), bound;
	struct inherit_socket list[3];
	int fds[3];

	(void)state;
	bound = listening(a, fds, 3);
	for (size_t i = 0; i < 3; i++)
		list[i] = (struct inherit_socket){
		    .fd = fds[i], .kind = INHERIT_GROUP};
	hand_over(list, 3, 1);
	assert_true(inherit_read(&in, &why));
	in.ready_fd = -1;
	assert_int_equal(inherit_take(&in, &bound, SPAN(""), taken, 2), 2);
	close_taken(2);
	assert_int_equal(in.n, 1);
	inherit_close(&in);
	for (size_t i = 0; i < 3; i++)
		assert_false(is_open(fds[i]));
}

/* What nobody takes is told in the log; only its own file is removed. */
static void
what_nobody_takes_is_closed(void **state)
{
	static const struct log_options options = {.log = "stderr",
	    .access = "off",
	    .level = LOG_LEVEL_ERROR,
	    .format = LOG_FORMAT_TEXT};
	struct address un = address_of(CFG_ADDR_UNIX, address_path, 0);
	struct log *log = log_create(&options, &why);
	struct log_ring *ring = log_ring_create(log, "test");
	struct inherit_socket s = {.kind = INHERIT_GIVEN};

	(void)state;
	for (int round = 0; round < 2; round++) {
		(void)listening(un, &s.fd, 1);
		hand_over(&s, 1, 1);
		assert_true(inherit_read(&in, &why));
		in.ready_fd = -1;
		inherit_drop_rest(&in, ring);
		assert_int_equal(in.n, 0);
		assert_false(is_open(s.fd));
		assert_int_equal(access(address_path, F_OK),
		    s.kind == INHERIT_GIVEN ? 0 : -1);
		inherit_close(&in);
		s.kind = INHERIT_ALONE;
	}
	log_free(log);
}

static void
nonsense_is_refused(void **state)
{
	static const char *const texts[] = {"", "x", "0 1\n", "7\n", "7 x\n",
	    "7 1\n1\n", "7 1\n1 grupp x\n", "7 1\nx group x\n", "7 1\n\n",
	    "7 1\n4294967296 group x\n", "-1 1\n", "7 999\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int kept = fcntl(1, F_DUPFD_CLOEXEC, 100);

		assert_int_equal(setenv("EVENKEEL_UPGRADE", texts[i], 1), 0);
		why.len = 0;
		assert_false(inherit_read(&in, &why));
		assert_why("EVENKEEL_UPGRADE is not what evenkeel makes it");
		inherit_close(&in);
		assert_int_equal(dup2(kept, 1), 1);
		close(kept);
	}
}

static void
the_giver_is_told(void **state)
{
	char got[8192];
	char longest[5000];
	int fds[2];
	ssize_t n;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	in = (struct inherit){.ready_fd = fds[1]};
	assert_true(inherit_tell_ready(&in, SPAN("1.2.3")));
	inherit_tell_failed(&in, SPAN("no room"));
	n = read(fds[0], got, sizeof(got) - 1);
	assert_true(n > 0);
	got[n] = '\0';
	assert_string_equal(got, "ready 1.2.3\nfailed no room\n");
	memset(longest, 'x', sizeof(longest));
	inherit_tell_failed(&in, span_make(longest, sizeof(longest)));
	n = read(fds[0], got, sizeof(got));
	assert_int_equal(n, 4096);
	assert_int_equal(got[n - 1], '\n');
	close(fds[0]);
	assert_false(inherit_tell_ready(&in, SPAN("x")));
	/* Its end is that of the process. */
	inherit_close(&in);
	assert_true(is_open(fds[1]));
	close(fds[1]);
}

/* ---- groups that grow, and sockets that are shared ---- */

static void
a_group_grows(void **state)
{
	struct address a = address_any_port();
	int fds[1], more[2], value = 1;
	socklen_t len = sizeof(value);
	struct address bound = listening(a, fds, 1);

	(void)state;
	assert_true(listener_join(&bound, more, 2, &why));
	/* It has no part in it before it listens. */
	assert_int_equal(
	    getsockopt(more[0], SOL_SOCKET, SO_ACCEPTCONN, &value, &len), 0);
	assert_int_equal(value, 0);
	assert_true(listener_start(more[0]));
	assert_true(listener_start(more[1]));
	close(more[0]);
	close(more[1]);
	close(fds[0]);
	/* Where nobody is a group has begun; a group of others is closed. */
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fds[0], &bound.u.any, bound.len), 0);
	assert_int_equal(listen(fds[0], 1), 0);
	why.len = 0;
	assert_false(listener_join(&bound, more, 2, &why));
	assert_true(why.len > 0);
	assert_int_equal(more[0], -1);
	close(fds[0]);
}

static void
a_descriptor_is_shared(void **state)
{
	struct address un = address_of(CFG_ADDR_UNIX, address_path, 0);
	int fds[1], other;

	(void)state;
	(void)listening(un, fds, 1);
	other = listener_share(fds[0]);
	assert_true(other >= 0 && other != fds[0]);
	assert_true(fcntl(other, F_GETFD) & FD_CLOEXEC);
	close(fds[0]);
	close(other);
	assert_int_equal(listener_share(fds[0]), -1);
}

#define HANDED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    HANDED(nothing_is_handed_over),
	    HANDED(systemd_passes_tcp_and_unix),
	    HANDED(what_is_for_others_is_left_alone),
	    HANDED(one_socket_serves_both_versions),
	    HANDED(other_descriptors_are_errors),
	    HANDED(a_group_goes_over_whole),
	    HANDED(no_more_than_there_is_room_for),
	    HANDED(what_nobody_takes_is_closed),
	    HANDED(nonsense_is_refused),
	    HANDED(the_giver_is_told),
	    HANDED(a_group_grows),
	    HANDED(a_descriptor_is_shared),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
