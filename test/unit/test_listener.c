/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "address_here.h"
#include "evenkeel/net/listener.h"
#include "loop_until.h"

#define WORKERS 4
#define CLIENTS 200
#define IN_USE  ": Address already in use"

static char why_bytes[256];
static struct textbuf why;

static int
open_dir(void **state)
{
	if (!address_begin())
		return -1;
	why = textbuf_make(why_bytes, sizeof(why_bytes));
	return open_loop(state);
}

static int
close_dir(void **state)
{
	(void)address_end();
	return close_loop(state);
}

static struct address
unix_address(void)
{
	return address_of(CFG_ADDR_UNIX, address_path, 0);
}

static uint16_t
port_of(const struct address *a)
{
	const struct sockaddr_in *in = (const void *)&a->u.storage;

	return ntohs(in->sin_port);
}

static void
close_all(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

static void
assert_refused(const struct address *a, const char *reason)
{
	char name[256];
	struct textbuf shown = textbuf_make(name, sizeof(name));
	int fds[WORKERS];
	struct address bound;

	why.len = 0;
	assert_false(listener_bind(a, fds, WORKERS, &bound, &why));
	address_put(&shown, a);
	textbuf_str(&shown, reason);
	assert_true(span_equal(textbuf_span(&why), textbuf_span(&shown)));
}

static int
connected_to(const struct address *a)
{
	int fd = socket(a->u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &a->u.any, a->len), 0);
	return fd;
}

/* ---- binding ---- */

static void
one_port_for_all(void **state)
{
	struct address a = address_any_port(), bound, each;
	int fds[WORKERS], value;

	(void)state;
	assert_true(listener_bind(&a, fds, WORKERS, &bound, &why));
	assert_int_not_equal(port_of(&bound), 0);
	for (size_t i = 0; i < WORKERS; i++) {
		socklen_t len = sizeof(value);

		assert_true(address_of_socket(&each, fds[i]));
		assert_int_equal(port_of(&each), port_of(&bound));
		assert_true(fcntl(fds[i], F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
		assert_int_equal(
		    getsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &value, &len),
		    0);
		assert_int_not_equal(value, 0);
	}
	assert_int_equal(why.len, 0);
	close_all(fds, WORKERS);
}

/* In use by one who listens alone, and by another group: with SO_REUSEPORT the
 * kernel would let us join that one. */
static void
port_in_use(void **state)
{
	struct address a = address_any_port(), bound, again;
	int fds[WORKERS], alone, one = 1;

	(void)state;
	assert_true(listener_bind(&a, fds, WORKERS, &bound, &why));
	assert_refused(&bound, IN_USE);
	close_all(fds, WORKERS);
	assert_true(listener_bind(&bound, fds, WORKERS, &again, &why));
	assert_int_equal(port_of(&again), port_of(&bound));
	close_all(fds, WORKERS);

	alone = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(alone >= 0);
	setsockopt(alone, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	assert_int_equal(bind(alone, &a.u.any, a.len), 0);
	assert_int_equal(listen(alone, 1), 0);
	assert_true(address_of_socket(&bound, alone));
	assert_refused(&bound, IN_USE);
	close(alone);
}

/* An address of RFC 5737 or RFC 3849; not where IPv6 is missing. */
static void
assert_not_ours(enum cfg_addr_kind kind, const char *host, const char *reason)
{
	struct address a = address_of(kind, host, 8080);
	int fd = socket(a.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	close(fd);
	assert_refused(&a, reason);
}

static void
an_address_that_nobody_has(void **state)
{
	(void)state;
	assert_not_ours(CFG_ADDR_INET4, "192.0.2.77",
	    ": Cannot assign requested address: no interface has it now"
	    " (net.ipv4.ip_nonlocal_bind = 1 allows that)");
	assert_not_ours(CFG_ADDR_INET6, "2001:db8::77",
	    ": Cannot assign requested address: no interface has it now"
	    " (net.ipv6.ip_nonlocal_bind = 1 allows that)");
}

static size_t
open_files(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
refusals_leave_nothing_open(void **state)
{
	struct address a = unix_address(), bound;
	size_t before = open_files();
	int fds[2];

	(void)state;
	assert_int_equal(rmdir(address_dir), 0);
	assert_false(listener_bind(&a, fds, 2, &bound, &why));
	assert_true(why.len > 0);
	assert_int_equal(open_files(), before);
	assert_int_equal(mkdir(address_dir, 0700), 0);
	assert_true(listener_bind(&a, fds, 2, &bound, &why));
	before = open_files();
	assert_refused(&a, IN_USE);
	assert_int_equal(open_files(), before);
	close_all(fds, 2);
}

/* A file that a dead process left is replaced; a living one stays. */
static void
unix_sockets(void **state)
{
	struct address a = unix_address(), bound;
	int fds[WORKERS], client;

	(void)state;
	assert_true(listener_bind(&a, fds, WORKERS, &bound, &why));
	assert_refused(&a, IN_USE);
	client = connected_to(&a);
	close(client);
	close_all(fds, WORKERS);
	assert_int_equal(access(address_path, F_OK), 0);
	assert_true(listener_bind(&a, fds, WORKERS, &bound, &why));
	client = connected_to(&a);
	close(client);
	close_all(fds, WORKERS);
}

/* What is not a socket is not taken away. */
static void
other_files_stay(void **state)
{
	struct address a = unix_address();
	int fd = open(address_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_refused(&a, IN_USE);
	assert_int_equal(access(address_path, F_OK), 0);
}

/* ---- accepting ---- */

/* ---- beside our own, and in two steps ---- */

static struct address
all_addresses(uint16_t port)
{
	return address_of(CFG_ADDR_INET4, "0.0.0.0", port);
}

/* All addresses, while one of them has the port: only if it is said so. */
static void
beside_our_own(void **state)
{
	struct address a = address_any_port(), bound, all, each;
	int fds[WORKERS], more[WORKERS], client;

	(void)state;
	assert_true(listener_bind(&a, fds, WORKERS, &bound, &why));
	all = all_addresses(port_of(&bound));
	assert_refused(&all, IN_USE);
	assert_true(listener_bind_beside(&all, more, WORKERS, &each, &why));
	assert_int_equal(port_of(&each), port_of(&bound));
	assert_true(address_is_any(&each));
	/* When the one has gone the others get its connections. */
	close_all(fds, WORKERS);
	client = connected_to(&bound);
	close(client);
	/* And the other way round. */
	assert_refused(&bound, IN_USE);
	assert_true(listener_bind_beside(&bound, fds, WORKERS, &each, &why));
	close_all(more, WORKERS);
	client = connected_to(&bound);
	close(client);
	close_all(fds, WORKERS);
}

/* Somebody else, who is alone there, is not joined. */
static void
not_beside_others(void **state)
{
	struct address a = address_any_port(), bound, each;
	int alone = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fds[WORKERS];
	size_t files;

	(void)state;
	assert_int_equal(bind(alone, &a.u.any, a.len), 0);
	assert_int_equal(listen(alone, 1), 0);
	assert_true(address_of_socket(&bound, alone));
	files = open_files();
	assert_false(listener_bind_beside(&bound, fds, WORKERS, &each, &why));
	assert_true(why.len > 0);
	assert_int_equal(open_files(), files);
	close(alone);
}

static unsigned accepted[WORKERS], asked;
static unsigned allowed;

static unsigned
sum(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < WORKERS; i++)
		n += accepted[i];
	return n;
}

static void
on_accept(int fd, const struct sockaddr *peer, void *listener, void *arg)
{
	unsigned *counted = arg;

	assert_ptr_equal(listener, &allowed);
	assert_true(peer->sa_family == AF_INET || peer->sa_family == AF_UNIX);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	(*counted)++;
	close(fd);
}

static bool
may_accept(void *arg)
{
	(void)arg;
	asked++;
	return sum() < allowed;
}

static const struct acceptor_ops ops = {
    .on_accept = on_accept, .may_accept = may_accept};

static void
open_acceptors(struct acceptor **as, const int *fds, size_t n)
{
	memset(accepted, 0, sizeof(accepted));
	asked = 0;
	for (size_t i = 0; i < n; i++) {
		as[i] =
		    acceptor_create(loop, fds[i], &ops, &allowed, &accepted[i]);
		assert_non_null(as[i]);
	}
}

/* The kernel spreads connections over the group, and none is lost. */
static void
the_group_shares(void **state)
{
	struct address a = address_any_port(), bound;
	struct acceptor *as[WORKERS];
	int fds[WORKERS], clients[CLIENTS];

	(void)state;
	allowed = CLIENTS;
	assert_true(listener_bind(&a, fds, WORKERS, &bound, &why));
	open_acceptors(as, fds, WORKERS);
	for (size_t i = 0; i < CLIENTS; i++)
		clients[i] = connected_to(&bound);
	TURN_UNTIL(sum() == CLIENTS);
	/* 50 are expected for each; none is (3/4)^200. */
	for (size_t i = 0; i < WORKERS; i++) {
		assert_true(accepted[i] > 0);
		acceptor_free(as[i]);
	}
	acceptor_free(NULL);
	close_all(clients, CLIENTS);
}

static void
a_unix_socket_is_shared(void **state)
{
	struct address a = unix_address(), bound;
	struct acceptor *as[2];
	int fds[2], clients[40];

	(void)state;
	allowed = 40;
	assert_true(listener_bind(&a, fds, 2, &bound, &why));
	open_acceptors(as, fds, 2);
	for (size_t i = 0; i < 40; i++)
		clients[i] = connected_to(&bound);
	TURN_UNTIL(sum() == 40);
	/* One that ends leaves the socket to the other. */
	acceptor_free(as[0]);
	allowed = 41;
	close(clients[0]);
	clients[0] = connected_to(&a);
	TURN_UNTIL(sum() == 41);
	acceptor_free(as[1]);
	close_all(clients, 40);
}

/* At the limit it stops asking, and goes on by itself later. */
static void
pauses_at_the_limit(void **state)
{
	struct address a = address_any_port(), bound;
	struct acceptor *as[1];
	int fds[1], clients[5];
	uint64_t began_us;
	unsigned before;

	(void)state;
	allowed = 2;
	assert_true(listener_bind(&a, fds, 1, &bound, &why));
	open_acceptors(as, fds, 1);
	for (size_t i = 0; i < 5; i++)
		clients[i] = connected_to(&bound);
	TURN_UNTIL(sum() == 2 && asked >= 3);
	began_us = clock_monotonic_us();
	before = asked;
	/* A retry comes each LISTENER_RETRY_MS: not each turn. */
	TURN_UNTIL(asked >= before + 2);
	assert_true(clock_monotonic_us() - began_us >=
	    (uint64_t)(2 * LISTENER_RETRY_MS - WHEEL_TICK_MS) * 1000);
	assert_int_equal(sum(), 2);
	allowed = 5;
	TURN_UNTIL(sum() == 5);
	acceptor_free(as[0]);
	close_all(clients, 5);
}

/* Ended while it pauses. */
static void
freed_in_a_pause(void **state)
{
	struct address a = address_any_port(), bound;
	struct acceptor *as[1];
	int fds[1], client;

	(void)state;
	allowed = 0;
	assert_true(listener_bind(&a, fds, 1, &bound, &why));
	open_acceptors(as, fds, 1);
	client = connected_to(&bound);
	TURN_UNTIL(asked > 0);
	acceptor_free(as[0]);
	assert_int_equal(loop->wheel.linked, 0);
	TURN_UNTIL(!loop->tick_pending);
	close(client);
}

/* Made without a loop: whoever comes meanwhile is accepted with the begin. */
static void
made_and_begun(void **state)
{
	struct address a = address_any_port(), bound;
	struct acceptor *made;
	int fds[1], clients[3];

	(void)state;
	memset(accepted, 0, sizeof(accepted));
	asked = 0;
	allowed = 3;
	assert_true(listener_bind(&a, fds, 1, &bound, &why));
	made = acceptor_make(fds[0], &ops, &allowed, &accepted[0]);
	assert_non_null(made);
	for (size_t i = 0; i < 3; i++)
		clients[i] = connected_to(&bound);
	for (int i = 0; i < 5; i++)
		turn_once();
	assert_int_equal(asked, 0);
	acceptor_begin(made, loop);
	TURN_UNTIL(sum() == 3);
	acceptor_free(made);
	/* It has closed its socket. */
	assert_int_equal(fcntl(fds[0], F_GETFD), -1);
	close_all(clients, 3);
}

/* It does not come to that: the socket is the caller's, who makes another. */
static void
made_and_dropped(void **state)
{
	struct address a = address_any_port(), bound;
	struct acceptor *made;
	int fds[1], client;

	(void)state;
	memset(accepted, 0, sizeof(accepted));
	allowed = 1;
	assert_true(listener_bind(&a, fds, 1, &bound, &why));
	acceptor_drop(acceptor_make(fds[0], &ops, &allowed, &accepted[0]));
	acceptor_drop(NULL);
	client = connected_to(&bound);
	made = acceptor_make(fds[0], &ops, &allowed, &accepted[0]);
	acceptor_begin(made, loop);
	TURN_UNTIL(sum() == 1);
	close(client);
	acceptor_free(made);
	/* One that never began is closed with its socket, too. */
	assert_true(listener_bind(&a, fds, 1, &bound, &why));
	acceptor_free(acceptor_make(fds[0], &ops, &allowed, &accepted[0]));
	assert_int_equal(fcntl(fds[0], F_GETFD), -1);
}

#define LOOPED(test) cmocka_unit_test_setup_teardown(test, open_dir, close_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    LOOPED(one_port_for_all),
	    LOOPED(port_in_use),
	    LOOPED(an_address_that_nobody_has),
	    LOOPED(refusals_leave_nothing_open),
	    LOOPED(unix_sockets),
	    LOOPED(other_files_stay),
	    LOOPED(the_group_shares),
	    LOOPED(a_unix_socket_is_shared),
	    LOOPED(pauses_at_the_limit),
	    LOOPED(freed_in_a_pause),
	    LOOPED(beside_our_own),
	    LOOPED(not_beside_others),
	    LOOPED(made_and_begun),
	    LOOPED(made_and_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
