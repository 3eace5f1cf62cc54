#include "evenkeel/net/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "evenkeel/base/textbuf.h"

/* Without O_NONBLOCK the open of a FIFO would wait for a reader. */
#define OPEN_FLAGS \
	(O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
#define OPEN_MODE 0640
/* "/proc/self/fd/" and a descriptor. */
#define PROC_PATH_BYTES 40

/* A second open file on the pipe or terminal behind `fd`, or -1. */
static int
open_again(int fd)
{
	char path[PROC_PATH_BYTES];
	struct textbuf t = textbuf_make(path, sizeof(path));

	textbuf_lit(&t, "/proc/self/fd/");
	textbuf_u64(&t, (uint64_t)fd);
	textbuf_byte(&t, '\0');
	return open(
	    path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

/* Gives `f` a descriptor of its own for the place where `inherited` goes. */
static bool
open_inherited(struct log_file *f, int inherited)
{
	struct stat st;

	if (fstat(inherited, &st) < 0)
		return false;
	f->kind = S_ISREG(st.st_mode) ? LOG_FILE_REGULAR : LOG_FILE_POLLED;
	if (S_ISSOCK(st.st_mode))
		f->kind = LOG_FILE_SOCKET;
	if (f->kind == LOG_FILE_POLLED) {
		f->fd = open_again(inherited);
		if (f->fd >= 0) {
			f->kind = LOG_FILE_NONBLOCK;
			return true;
		}
	}
	f->fd = fcntl(inherited, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return f->fd >= 0;
}

static bool
open_path(struct log_file *f, const char *path)
{
	struct stat st;

	f->fd = open(path, OPEN_FLAGS, OPEN_MODE);
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return false;
	f->kind = S_ISREG(st.st_mode) ? LOG_FILE_REGULAR : LOG_FILE_NONBLOCK;
	return true;
}

struct log_file *
log_file_open(const char *path, int inherited)
{
	struct log_file *f = calloc(1, sizeof(*f));
	bool opened = false;
	int error;

	if (!f)
		return NULL;
	f->fd = -1;
	f->name = strdup(path);
	f->bytes = malloc(LOG_FILE_BYTES);
	f->by_path = inherited < 0;
	if (f->name && f->bytes)
		opened = inherited >= 0 ? open_inherited(f, inherited)
					: open_path(f, path);
	if (opened)
		return f;
	error = errno;
	log_file_free(f);
	errno = error;
	return NULL;
}

/* What waits begins with the rest of a line. */
static bool
half_written(const struct log_file *f)
{
	return f->from < f->to && f->from > 0 && f->bytes[f->from - 1] != '\n';
}

bool
log_file_reopen(struct log_file *f)
{
	struct log_file fresh = {.fd = -1};

	if (!f->by_path)
		return true;
	log_file_write(f);
	if (half_written(f)) {
		errno = f->error;
		return false;
	}
	if (!open_path(&fresh, f->name)) {
		int error = errno;

		if (fresh.fd >= 0)
			(void)close(fresh.fd);
		errno = error;
		return false;
	}
	(void)close(f->fd);
	f->fd = fresh.fd;
	f->kind = fresh.kind;
	f->error = 0;
	return true;
}

void
log_file_free(struct log_file *f)
{
	if (!f)
		return;
	if (f->fd >= 0)
		(void)close(f->fd);
	free(f->name);
	free(f->bytes);
	free(f);
}

bool
log_file_same(const struct log_file *a, const struct log_file *b)
{
	struct stat x, y;

	return fstat(a->fd, &x) == 0 && fstat(b->fd, &y) == 0 &&
	    x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

void
log_file_take_over(struct log_file *f, struct log_file *from)
{
	char *bytes = f->bytes;

	if (f == from || f->from < f->to || !log_file_same(f, from))
		return;
	/* The byte before `from->from` says whether a line is half written. */
	f->bytes = from->bytes;
	f->from = from->from;
	f->to = from->to;
	f->error = from->error;
	f->lost += from->lost - from->told;
	f->lost_error = from->lost_error;
	from->bytes = bytes;
	from->from = from->to = 0;
	from->told = from->lost;
}

uint64_t
log_file_give_up(struct log_file *f)
{
	uint64_t n = 0;

	for (size_t i = f->from; i < f->to; i++)
		n += f->bytes[i] == '\n';
	f->from = f->to = 0;
	f->lost += n;
	if (n > 0)
		f->lost_error = f->error;
	return n;
}

bool
log_file_room(struct log_file *f, size_t len)
{
	if (LOG_FILE_BYTES - f->to >= len)
		return true;
	/* Once a round is enough to learn that a file is stuck. */
	if (f->error == 0)
		log_file_write(f);
	if (f->from > 0) {
		memmove(f->bytes, f->bytes + f->from, f->to - f->from);
		f->to -= f->from;
		f->from = 0;
	}
	return LOG_FILE_BYTES - f->to >= len;
}

void
log_file_append(struct log_file *f, struct span a, struct span b)
{
	CHECK(LOG_FILE_BYTES - f->to >= a.len + b.len);
	memcpy(f->bytes + f->to, a.ptr, a.len);
	if (b.len > 0)
		memcpy(f->bytes + f->to + a.len, b.ptr, b.len);
	f->to += a.len + b.len;
}

void
log_file_lose(struct log_file *f)
{
	f->lost++;
	f->lost_error = f->error;
}

/* How much to write at once; see the header. */
static size_t
piece_bytes(const struct log_file *f)
{
	size_t len = f->to - f->from;
	const char *end;

	if (f->kind == LOG_FILE_REGULAR || len <= PIPE_BUF)
		return len;
	end = memrchr(f->bytes + f->from, '\n', PIPE_BUF);
	return end ? (size_t)(end - (f->bytes + f->from)) + 1 : PIPE_BUF;
}

static ssize_t
write_polled(const struct log_file *f, size_t len)
{
	struct pollfd p = {.fd = f->fd, .events = POLLOUT};
	int n = poll(&p, 1, 0);

	if (n < 0)
		return -1;
	if (n == 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(f->fd, f->bytes + f->from, len);
}

static ssize_t
write_piece(const struct log_file *f)
{
	size_t len = piece_bytes(f);

	if (f->kind == LOG_FILE_POLLED)
		return write_polled(f, len);
	if (f->kind == LOG_FILE_SOCKET)
		return send(f->fd, f->bytes + f->from, len,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	return write(f->fd, f->bytes + f->from, len);
}

void
log_file_write(struct log_file *f)
{
	f->error = 0;
	while (f->from < f->to) {
		ssize_t n = write_piece(f);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			f->error = n < 0 ? errno : EIO;
			return;
		}
		f->from += (size_t)n;
	}
	f->from = f->to = 0;
}

bool
log_file_blocked(const struct log_file *f)
{
	return f->error == EAGAIN; /* the same as EWOULDBLOCK on Linux */
}

bool
log_file_failed(const struct log_file *f)
{
	return f->error != 0 && !log_file_blocked(f);
}
