/* What the linker puts in place of the functions: asks the board first. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "fault.h"

#define FILES_MAX 65536

/* ---- memory ---- */

#define WRAP_ALLOC(name, parameters, arguments) \
	void *__real_##name parameters;         \
	void *__wrap_##name parameters;         \
	void *__wrap_##name parameters          \
	{                                       \
		if (fault_alloc()) {            \
			errno = ENOMEM;         \
			return NULL;            \
		}                               \
		return __real_##name arguments; \
	}

WRAP_ALLOC(malloc, (size_t n), (n))
WRAP_ALLOC(calloc, (size_t n, size_t size), (n, size))
WRAP_ALLOC(realloc, (void *p, size_t n), (p, n))
WRAP_ALLOC(aligned_alloc, (size_t line, size_t n), (line, n))
WRAP_ALLOC(strdup, (const char *s), (s))

int __real_posix_memalign(void **p, size_t line, size_t n);
int __wrap_posix_memalign(void **p, size_t line, size_t n);

int
__wrap_posix_memalign(void **p, size_t line, size_t n)
{
	return fault_alloc() ? ENOMEM : __real_posix_memalign(p, line, n);
}

/* OpenSSL keeps to its own allocations, which do not count: it leaks some when
 * others fail. */
void __wrap_tls_init(void);

void
__wrap_tls_init(void)
{
}

/* ---- what epoll was asked for, so that it can be asked again ---- */

static struct watch {
	_Atomic int epoll; /* descriptor + 1; 0: not watched */
	uint32_t events;
} watched[FILES_MAX];

/* libevent's calls come here: the executable's symbol goes first. */
int
epoll_ctl(int epoll, int op, int fd, struct epoll_event *e)
{
	int error = op == EPOLL_CTL_DEL ? 0 : fault_call(FAULT_epoll_ctl);
	int result;

	if (error != 0) {
		errno = error;
		return -1;
	}
	result = (int)syscall(SYS_epoll_ctl, epoll, op, fd, e);
	if (result != 0 || fd >= FILES_MAX)
		return result;
	if (op != EPOLL_CTL_DEL)
		watched[fd].events = e->events;
	atomic_store(&watched[fd].epoll, op == EPOLL_CTL_DEL ? 0 : epoll + 1);
	return 0;
}

/* The socket was not drained or filled, though the caller will think so: an
 * edge is due.  Asking anew makes one of what is there. */
static void
rearm(int fd)
{
	struct epoll_event e = {0};
	int saved = errno, epoll;

	if (fd < 0 || fd >= FILES_MAX)
		return;
	epoll = atomic_load(&watched[fd].epoll) - 1;
	e.events = watched[fd].events;
	e.data.fd = fd;
	if (epoll >= 0)
		(void)syscall(SYS_epoll_ctl, epoll, EPOLL_CTL_MOD, fd, &e);
	errno = saved;
}

static void
forget(int fd)
{
	if (fd >= 0 && fd < FILES_MAX)
		atomic_store(&watched[fd].epoll, 0);
}

/* ---- calls that fail before or after they are made ---- */

#define WRAP(name, type, failure, parameters, arguments) \
	type __real_##name parameters;                   \
	type __wrap_##name parameters;                   \
	type __wrap_##name parameters                    \
	{                                                \
		int error = fault_call(FAULT_##name);    \
                                                         \
		if (error == 0)                          \
			return __real_##name arguments;  \
		errno = error;                           \
		return failure;                          \
	}

WRAP(accept4, int, -1, (int fd, struct sockaddr *a, socklen_t *len, int flags),
    (fd, a, len, flags))
WRAP(bind, int, -1, (int fd, const struct sockaddr *a, socklen_t len),
    (fd, a, len))
WRAP(eventfd, int, -1, (unsigned n, int flags), (n, flags))
WRAP(fstat, int, -1, (int fd, struct stat *st), (fd, st))
WRAP(getaddrinfo, int, error,
    (const char *node, const char *service, const struct addrinfo *hints,
	struct addrinfo **found),
    (node, service, hints, found))
WRAP(getrandom, ssize_t, -1, (void *p, size_t n, unsigned flags), (p, n, flags))
WRAP(getrlimit, int, -1, (int what, struct rlimit *limit), (what, limit))
WRAP(getsockname, int, -1, (int fd, struct sockaddr *a, socklen_t *len),
    (fd, a, len))
WRAP(getsockopt, int, -1,
    (int fd, int level, int name, void *p, socklen_t *len),
    (fd, level, name, p, len))
WRAP(listen, int, -1, (int fd, int backlog), (fd, backlog))
WRAP(opendir, DIR *, NULL, (const char *path), (path))
WRAP(pipe2, int, -1, (int fds[2], int flags), (fds, flags))
WRAP(poll, int, -1, (struct pollfd * fds, nfds_t n, int ms), (fds, n, ms))
WRAP(posix_spawn, int, error,
    (pid_t * pid, const char *path, const posix_spawn_file_actions_t *actions,
	const posix_spawnattr_t *attr, char *const argv[], char *const envp[]),
    (pid, path, actions, attr, argv, envp))
WRAP(pthread_create, int, error,
    (pthread_t * t, const pthread_attr_t *a, void *(*run)(void *), void *arg),
    (t, a, run, arg))
WRAP(rename, int, -1, (const char *from, const char *to), (from, to))
WRAP(setrlimit, int, -1, (int what, const struct rlimit *limit), (what, limit))
WRAP(setsockopt, int, -1,
    (int fd, int level, int name, const void *p, socklen_t len),
    (fd, level, name, p, len))
WRAP(socket, int, -1, (int family, int type, int protocol),
    (family, type, protocol))
WRAP(stat, int, -1, (const char *path, struct stat *st), (path, st))
WRAP(timerfd_create, int, -1, (int clock, int flags), (clock, flags))
WRAP(timerfd_settime, int, -1,
    (int fd, int flags, const struct itimerspec *when,
	struct itimerspec *before),
    (fd, flags, when, before))
WRAP(unlink, int, -1, (const char *path), (path))

int __wrap_open(const char *path, int flags, ...);
int __real_open(const char *path, int flags, ...);
int __wrap_fcntl(int fd, int what, ...);
int __real_fcntl(int fd, int what, ...);
int __wrap_ioctl(int fd, unsigned long what, ...);
int __real_ioctl(int fd, unsigned long what, ...);

static int
failed(int error)
{
	errno = error;
	return -1;
}

int
__wrap_open(const char *path, int flags, ...)
{
	int error = fault_call(FAULT_open);
	va_list more;
	mode_t mode;

	va_start(more, flags);
	mode = (flags & O_CREAT) ? va_arg(more, mode_t) : 0;
	va_end(more);
	return error != 0 ? failed(error) : __real_open(path, flags, mode);
}

int
__wrap_fcntl(int fd, int what, ...)
{
	int error = 0, value;
	va_list more;

	/* The size of a pipe can be refused, but not asked for in vain. */
	if (what == F_SETPIPE_SZ)
		error = fault_call(FAULT_setpipe);
	else if (what != F_GETPIPE_SZ)
		error = fault_call(FAULT_fcntl);
	va_start(more, what);
	value = va_arg(more, int);
	va_end(more);
	return error != 0 ? failed(error) : __real_fcntl(fd, what, value);
}

int
__wrap_ioctl(int fd, unsigned long what, ...)
{
	int error = fault_call(FAULT_ioctl);
	va_list more;
	void *p;

	va_start(more, what);
	p = va_arg(more, void *);
	va_end(more);
	return error != 0 ? failed(error) : __real_ioctl(fd, what, p);
}

int __real_close(int fd);
int __wrap_close(int fd);
int __real_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how);
int __real_connect(int fd, const struct sockaddr *a, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *a, socklen_t len);

/* Linux has closed the descriptor, whatever it says. */
int
__wrap_close(int fd)
{
	int error = fault_call(FAULT_close);
	int result;

	forget(fd);
	result = __real_close(fd);
	return error != 0 ? failed(error) : result;
}

int
__wrap_shutdown(int fd, int how)
{
	int error = fault_call(FAULT_shutdown);
	int result = __real_shutdown(fd, how);

	return error != 0 ? failed(error) : result;
}

/* An interrupted connect goes on by itself. */
int
__wrap_connect(int fd, const struct sockaddr *a, socklen_t len)
{
	int error = fault_call(FAULT_connect);

	if (error == EINTR)
		(void)__real_connect(fd, a, len);
	return error != 0 ? failed(error) : __real_connect(fd, a, len);
}

/* ---- bytes ---- */

ssize_t __real_recv(int fd, void *p, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *p, size_t n, int flags);
ssize_t __real_send(int fd, const void *p, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *p, size_t n, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __real_read(int fd, void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n);
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);

/* What is to become of a transfer of `n` bytes: an errno, or fewer bytes. */
static int
limit(enum fault_call call, int fd, size_t *n)
{
	int error = fault_call(call);

	if ((error == FAULT_SHORT || (error == 0 && fault_one_byte())) &&
	    *n > 1) {
		*n = 1;
		error = FAULT_SHORT;
	}
	if (error == FAULT_SHORT || error == EAGAIN)
		rearm(fd);
	return error == FAULT_SHORT ? 0 : error;
}

ssize_t
__wrap_recv(int fd, void *p, size_t n, int flags)
{
	size_t less = n;
	int error = limit(FAULT_recv, fd, &less);
	ssize_t got =
	    error != 0 ? failed(error) : __real_recv(fd, p, less, flags);

	return got;
}

ssize_t
__wrap_send(int fd, const void *p, size_t n, int flags)
{
	int error = limit(FAULT_send, fd, &n);

	return error != 0 ? failed(error) : __real_send(fd, p, n, flags);
}

ssize_t __real_splice(
    int in, off_t *in_at, int out, off_t *out_at, size_t n, unsigned flags);
ssize_t __wrap_splice(
    int in, off_t *in_at, int out, off_t *out_at, size_t n, unsigned flags);

/* One of the two is a socket, the other a pipe that no loop looks at. */
ssize_t
__wrap_splice(
    int in, off_t *in_at, int out, off_t *out_at, size_t n, unsigned flags)
{
	int error = limit(FAULT_splice, in, &n);

	if (error == EAGAIN || n == 1)
		rearm(out);
	return error != 0 ? failed(error)
			  : __real_splice(in, in_at, out, out_at, n, flags);
}

/* The first byte of the first piece that has one. */
static ssize_t
send_first(int fd, const struct msghdr *m, int flags)
{
	size_t i = 0;

	while (i + 1 < m->msg_iovlen && m->msg_iov[i].iov_len == 0)
		i++;
	return __real_send(fd, m->msg_iov[i].iov_base, 1, flags);
}

ssize_t
__wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	size_t n = 2;
	int error = limit(FAULT_sendmsg, fd, &n);

	if (error != 0)
		return failed(error);
	return n == 1 ? send_first(fd, m, flags) : __real_sendmsg(fd, m, flags);
}

/* An eventfd carries eight bytes or nothing and knows no I/O error. */
static int
is_file(int fd)
{
	struct stat st;

	return __real_fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) != 0;
}

ssize_t
__wrap_read(int fd, void *p, size_t n)
{
	int file = is_file(fd), error;
	size_t less = n;

	error = limit(FAULT_read, fd, &less);
	if (!file)
		return error == EINTR ? failed(EINTR) : __real_read(fd, p, n);
	return error != 0 ? failed(error) : __real_read(fd, p, less);
}

ssize_t
__wrap_write(int fd, const void *p, size_t n)
{
	int file = is_file(fd), error;
	size_t less = n;

	error = limit(FAULT_write, fd, &less);
	if (!file)
		return error == EINTR ? failed(EINTR) : __real_write(fd, p, n);
	return error != 0 ? failed(error) : __real_write(fd, p, less);
}
