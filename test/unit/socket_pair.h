/* socket_pair.h - two ends of a unix stream, neither of which blocks. */
#ifndef EVENKEEL_TEST_SOCKET_PAIR_H
#define EVENKEEL_TEST_SOCKET_PAIR_H

#include <fcntl.h>
#include <sys/socket.h>

static inline void
nonblocking(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

static inline void
socket_pair(int fds[2])
{
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	nonblocking(fds[0]);
	nonblocking(fds[1]);
}

#endif
