#include "fault.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define VARIANTS_MAX 8

void *__wrap_malloc(size_t n);
void *__wrap_realloc(void *p, size_t n);

static struct fault_board *board;

/* What a call may be told, by its manual page; EINTR also where Linux never
 * gives it today. */
static const int errors[FAULT_CALLS][VARIANTS_MAX] = {
    [FAULT_accept4] = {EMFILE, ECONNABORTED, EINTR, ENFILE, ENOMEM, ENOBUFS,
	EPROTO},
    [FAULT_bind] = {EADDRINUSE, EACCES, ENOMEM},
    [FAULT_close] = {EINTR, EIO},
    [FAULT_connect] = {EADDRNOTAVAIL, EINTR, ENETUNREACH, EAGAIN, ENOBUFS},
    [FAULT_epoll_ctl] = {ENOMEM, ENOSPC},
    [FAULT_eventfd] = {EMFILE, ENFILE, ENOMEM},
    [FAULT_fcntl] = {EMFILE, EINTR},
    [FAULT_fstat] = {ENOMEM},
    [FAULT_getaddrinfo] = {EAI_MEMORY, EAI_AGAIN},
    [FAULT_getrandom] = {EINTR, ENOSYS},
    [FAULT_getrlimit] = {EFAULT},
    [FAULT_getsockname] = {ENOBUFS},
    [FAULT_getsockopt] = {ENOMEM},
    [FAULT_ioctl] = {EIO},
    [FAULT_listen] = {EADDRINUSE},
    [FAULT_open] = {EMFILE, EINTR, ENFILE, ENOMEM, EACCES},
    [FAULT_opendir] = {EMFILE, ENOMEM},
    [FAULT_pipe2] = {EMFILE, ENFILE, ENOMEM},
    [FAULT_poll] = {EINTR, ENOMEM},
    [FAULT_posix_spawn] = {EAGAIN, ENOMEM, ENOENT, EMFILE},
    [FAULT_pthread_create] = {EAGAIN},
    [FAULT_read] = {EINTR, FAULT_SHORT, EIO},
    [FAULT_recv] = {EINTR, FAULT_SHORT, EAGAIN, ECONNRESET, ENOMEM, ETIMEDOUT},
    [FAULT_rename] = {EACCES, ENOSPC},
    [FAULT_send] = {EINTR, FAULT_SHORT, EAGAIN, ECONNRESET, EPIPE, ENOBUFS,
	ENOMEM},
    [FAULT_sendmsg] = {EINTR, FAULT_SHORT, EAGAIN, ECONNRESET, EPIPE, ENOBUFS,
	ENOMEM},
    [FAULT_setpipe] = {EPERM, ENOMEM, EBUSY},
    [FAULT_setrlimit] = {EPERM},
    [FAULT_setsockopt] = {ENOMEM, ENOPROTOOPT},
    [FAULT_shutdown] = {ENOTCONN},
    [FAULT_socket] = {EMFILE, ENFILE, ENOMEM, ENOBUFS},
    [FAULT_splice] = {EINTR, FAULT_SHORT, EAGAIN, ENOMEM, ECONNRESET, EINVAL},
    [FAULT_stat] = {ENOMEM, EACCES},
    [FAULT_timerfd_create] = {EMFILE, ENFILE, ENOMEM},
    [FAULT_timerfd_settime] = {EINVAL},
    [FAULT_unlink] = {EACCES},
    [FAULT_write] = {EINTR, FAULT_SHORT, ENOSPC, EIO}};

static const char *const names[FAULT_CALLS] = {
#define FAULT_TEXT(name) [FAULT_##name] = #name,
    FAULT_CALLS_EACH(FAULT_TEXT)
#undef FAULT_TEXT
};

static uint32_t
variants_of(enum fault_call call)
{
	uint32_t n = 0;

	while (n < VARIANTS_MAX && errors[call][n] != 0)
		n++;
	return n;
}

/* By system calls: the functions of these names are wrapped. */
static struct fault_board *
map_board(const char *path)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	void *p = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, sizeof(*board)) == 0)
		p = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
		    MAP_SHARED, fd, 0);
	if (fd >= 0)
		syscall(SYS_close, fd);
	return p == MAP_FAILED ? NULL : p;
}

__attribute__((constructor)) static void
fault_start(void)
{
	const char *path = getenv("EVENKEEL_FAULT_BOARD");

	if (path == NULL)
		return;
	board = map_board(path);
	if (board == NULL) {
		fprintf(stderr, "EVENKEEL_FAULT_BOARD: %s\n", strerror(errno));
		exit(3);
	}
	for (int i = 0; i < FAULT_CALLS; i++) {
		board->variants[i] = variants_of((enum fault_call)i);
		snprintf(
		    board->names[i], sizeof(board->names[i]), "%s", names[i]);
	}
	board->n_calls = FAULT_CALLS;
	board->magic = FAULT_MAGIC;
	event_set_mem_functions(__wrap_malloc, __wrap_realloc, free);
}

/* Counts one on the line.  True: it is among those that fail. */
static int
hit(struct fault_line *line)
{
	uint64_t n = atomic_fetch_add(&line->count, 1) + 1;
	uint64_t from = atomic_load(&line->from);

	if (from == 0 || n < from || n - from >= atomic_load(&line->run))
		return 0;
	atomic_fetch_add(&line->failed, 1);
	return 1;
}

int
fault_alloc(void)
{
	return board != NULL && hit(&board->allocs);
}

int
fault_call(enum fault_call call)
{
	uint32_t n, only;

	if (board == NULL)
		return 0;
	atomic_fetch_add(&board->seen[call], 1);
	only = atomic_load(&board->only);
	if ((only != 0 && only != (uint32_t)call + 1) || !hit(&board->calls))
		return 0;
	n = atomic_load(&board->variant) % variants_of(call);
	atomic_store(&board->last_call, (uint32_t)call);
	atomic_fetch_add(&board->hit[call], 1);
	atomic_store(&board->last_error, errors[call][n]);
	return errors[call][n];
}

int
fault_one_byte(void)
{
	return board != NULL && atomic_load(&board->one_byte) != 0;
}
