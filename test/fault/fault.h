/*
 * fault - makes the n-th allocation or system call of evenkeel fail.
 *
 * The build of the tests links evenkeel a second time, as evenkeel_faults,
 * with the linker's --wrap: calls of our own code and of libevent's allocator
 * come here first.  What is to fail stands on a board, a file that a test and
 * the process both map: the test writes "from the n-th on, so many", and reads
 * how many there were.  One process so goes through a whole sweep.  Without
 * EVENKEEL_FAULT_BOARD in the environment nothing fails.
 *
 * A fault is one that the kernel could give there: a call that reads or
 * writes less than it could, or nothing, on a socket of an event loop is
 * followed by the event that epoll would report when the rest arrives.
 *
 * Layer: test.  Any thread.
 */
#ifndef TEST_FAULT_FAULT_H
#define TEST_FAULT_FAULT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define FAULT_MAGIC      0x4661756cU
#define FAULT_NAME_BYTES 16

/* Instead of an errno: one byte is read or written. */
#define FAULT_SHORT (-1)

/* clang-format off */
#define FAULT_CALLS_EACH(X) \
	X(accept4) X(bind) X(close) X(connect) X(epoll_ctl) X(eventfd) \
	X(fcntl) X(fstat) X(getaddrinfo) X(getrandom) X(getrlimit) \
	X(getsockname) X(getsockopt) X(ioctl) X(listen) X(open) X(opendir) \
	X(pipe2) X(poll) X(posix_spawn) X(pthread_create) X(read) X(recv) \
	X(rename) X(send) X(sendmsg) X(setpipe) X(setrlimit) X(setsockopt) \
	X(shutdown) X(socket) X(splice) X(stat) X(timerfd_create) \
	X(timerfd_settime) X(unlink) X(write)
/* clang-format on */

enum fault_call {
#define FAULT_ENUM(name) FAULT_##name,
	FAULT_CALLS_EACH(FAULT_ENUM)
#undef FAULT_ENUM
	    FAULT_CALLS
};

/* Those from `from` (1 is the next; 0: none) fail, `run` of them. */
struct fault_line {
	_Atomic uint64_t count, from, run, failed;
};

/* harness/faults.py has the same. */
struct fault_board {
	uint32_t magic, n_calls;
	_Atomic uint32_t variant;   /* which of the errors that fit a call */
	_Atomic uint32_t one_byte;  /* sockets and files carry 1 byte a call */
	_Atomic uint32_t last_call; /* that failed: an enum fault_call */
	_Atomic uint32_t only;      /* 0, or 1 + the one call that counts */
	_Atomic int32_t last_error; /* what it was told */
	uint32_t unused;
	struct fault_line allocs, calls;
	_Atomic uint64_t seen[FAULT_CALLS], hit[FAULT_CALLS];
	uint32_t variants[FAULT_CALLS];
	char names[FAULT_CALLS][FAULT_NAME_BYTES];
};

/* Counts an allocation.  True: it is to fail. */
int fault_alloc(void);

/* Counts a call.  0: let it be; otherwise an errno, or FAULT_SHORT. */
int fault_call(enum fault_call call);

/* Whether calls that move bytes are to move one at a time. */
int fault_one_byte(void);

#endif
