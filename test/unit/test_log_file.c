/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "evenkeel/net/log_file.h"

#define LINE_BYTES 100

static char dir[64];
static char path[96];

static int
make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/test_log_file.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/file", dir);
	return 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(dir);
}

/* Numbered lines of equal length until the file has no room.  Returns how
 * many fitted. */
static size_t
fill(struct log_file *f, size_t most)
{
	size_t n = 0;

	for (; n < most && log_file_room(f, LINE_BYTES); n++) {
		char line[LINE_BYTES + 1];

		(void)snprintf(
		    line, sizeof(line), "%-*zu\n", LINE_BYTES - 1, n);
		log_file_append(
		    f, span_make(line, 40), span_make(line + 40, 60));
	}
	return n;
}

/* Reads what is there, and checks that it goes on where it stopped. */
static void
read_lines(int fd, size_t *n, size_t *in_line)
{
	static size_t value;
	char bytes[4096];
	ssize_t got;

	while ((got = read(fd, bytes, sizeof(bytes))) > 0)
		for (ssize_t i = 0; i < got; i++) {
			if (*in_line == 0)
				value = 0;
			if (bytes[i] >= '0' && bytes[i] <= '9')
				value = value * 10 + (size_t)(bytes[i] - '0');
			if (++*in_line < LINE_BYTES)
				continue;
			assert_int_equal(bytes[i], '\n');
			assert_int_equal(value, *n);
			++*n;
			*in_line = 0;
		}
}

/* Fills a reader's buffer and the file's own, then drains both: nothing was
 * lost or mixed up, and no call waited. */
static void
blocks_and_goes_on(struct log_file *f, int reader)
{
	size_t lines, got = 0, in_line = 0;

	assert_int_equal(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
	lines = fill(f, 100000);
	assert_in_range(lines, LOG_FILE_BYTES / LINE_BYTES, 99999);
	assert_true(log_file_blocked(f));
	assert_false(log_file_failed(f));
	for (int i = 0; i < 100000 && got < lines; i++) {
		read_lines(reader, &got, &in_line);
		log_file_write(f);
	}
	assert_int_equal(got, lines);
	assert_int_equal(in_line, 0);
	assert_int_equal(f->error, 0);
}

static void
fifo_by_path(void **state)
{
	struct log_file *f;
	int reader;

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	reader = open(path, O_RDONLY | O_NONBLOCK);
	f = log_file_open(path, -1);
	assert_non_null(f);
	assert_int_equal(f->kind, LOG_FILE_NONBLOCK);
	blocks_and_goes_on(f, reader);
	log_file_free(f);
	(void)close(reader);
}

/* Opening must not wait for a reader. */
static void
fifo_without_reader(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_null(log_file_open(path, -1));
	assert_int_equal(errno, ENXIO);
}

/* The giver's own descriptor stays blocking. */
static void
inherited_pipe(void **state)
{
	struct log_file *f;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	f = log_file_open("pipe", fds[1]);
	assert_non_null(f);
	assert_int_equal(f->kind, LOG_FILE_NONBLOCK);
	assert_int_not_equal(f->fd, fds[1]);
	assert_int_equal(fcntl(f->fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
	blocks_and_goes_on(f, fds[0]);
	assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
	log_file_free(f);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* What is used where /proc can't be: the descriptor blocks. */
static void
polled_pipe(void **state)
{
	struct log_file *f;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	f = log_file_open("pipe", fds[1]);
	assert_non_null(f);
	assert_int_equal(dup3(fds[1], f->fd, O_CLOEXEC), f->fd);
	f->kind = LOG_FILE_POLLED;
	assert_int_equal(fcntl(f->fd, F_GETFL) & O_NONBLOCK, 0);
	blocks_and_goes_on(f, fds[0]);
	log_file_free(f);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void
inherited_socket(void **state)
{
	struct log_file *f;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	f = log_file_open("socket", fds[1]);
	assert_non_null(f);
	assert_int_equal(f->kind, LOG_FILE_SOCKET);
	blocks_and_goes_on(f, fds[0]);
	assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
	/* Without a reader: an error, no signal. */
	(void)close(fds[0]);
	assert_int_equal(fill(f, 1), 1);
	log_file_write(f);
	assert_int_equal(f->error, EPIPE);
	log_file_free(f);
	(void)close(fds[1]);
}

/* A line longer than PIPE_BUF goes in pieces, its rest before anything else. */
static void
long_line_on_pipe(void **state)
{
	static char text[3 * PIPE_BUF], got[4 * PIPE_BUF];
	struct log_file *f;
	size_t n = 0;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fcntl(fds[1], F_SETPIPE_SZ, 4096), 4096);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	f = log_file_open("pipe", fds[1]);
	assert_non_null(f);
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\n';
	log_file_append(f, span_make(text, sizeof(text)), SPAN_NONE);
	log_file_append(f, SPAN("end\n"), SPAN_NONE);
	for (int i = 0; i < 8; i++) {
		ssize_t r;

		log_file_write(f);
		r = read(fds[0], got + n, sizeof(got) - n);
		n += r > 0 ? (size_t)r : 0;
	}
	assert_int_equal(n, sizeof(text) + 4);
	assert_memory_equal(got, text, sizeof(text));
	assert_memory_equal(got + sizeof(text), "end\n", 4);
	log_file_free(f);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* Pieces for a pipe end at a line end, so that they are never torn. */
static void
pipe_gets_whole_lines(void **state)
{
	char got[LOG_FILE_BYTES];
	struct log_file *f;
	ssize_t n;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	f = log_file_open("pipe", fds[1]);
	assert_non_null(f);
	(void)fill(f, 100000);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	n = read(fds[0], got, sizeof(got));
	assert_true(n > 0 && n % LINE_BYTES == 0);
	log_file_free(f);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void
disk_full(void **state)
{
	struct log_file *f = log_file_open("/dev/full", -1);

	(void)state;
	assert_non_null(f);
	assert_int_equal(fill(f, 1000000), LOG_FILE_BYTES / LINE_BYTES);
	assert_int_equal(f->error, ENOSPC);
	assert_true(log_file_failed(f));
	assert_false(log_file_blocked(f));
	log_file_lose(f);
	assert_int_equal(f->lost, 1);
	assert_int_equal(f->lost_error, ENOSPC);
	log_file_free(f);
}

/* Appends to what is there; made for nobody else to read. */
static void
regular_file(void **state)
{
	struct log_file *f, *again;
	struct stat st;
	mode_t mask = umask(0);

	(void)state;
	f = log_file_open(path, -1);
	assert_non_null(f);
	(void)umask(mask);
	assert_int_equal(f->kind, LOG_FILE_REGULAR);
	assert_int_equal(fcntl(f->fd, F_GETFD), FD_CLOEXEC);
	again = log_file_open(path, -1);
	assert_non_null(again);
	assert_true(log_file_same(f, again));
	assert_int_equal(fill(f, 7), 7);
	assert_int_equal(fill(again, 5), 5);
	log_file_write(f);
	log_file_write(again);
	assert_int_equal(fstat(f->fd, &st), 0);
	assert_int_equal(st.st_size, 12 * LINE_BYTES);
	assert_int_equal(st.st_mode & 07777, 0640);
	log_file_free(again);
	again = log_file_open("/dev/null", -1);
	assert_non_null(again);
	assert_false(log_file_same(f, again));
	log_file_free(again);
	log_file_free(f);
}

static void
open_fails(void **state)
{
	int fd = dup(STDIN_FILENO);

	(void)state;
	assert_null(log_file_open("/nonexistent/file", -1));
	assert_int_equal(errno, ENOENT);
	assert_null(log_file_open("/", -1));
	assert_int_equal(errno, EISDIR);
	(void)close(fd);
	assert_null(log_file_open("closed", fd));
	assert_int_equal(errno, EBADF);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(fifo_by_path, make_dir, remove_dir),
	    cmocka_unit_test_setup_teardown(
		fifo_without_reader, make_dir, remove_dir),
	    cmocka_unit_test(inherited_pipe),
	    cmocka_unit_test(polled_pipe),
	    cmocka_unit_test(inherited_socket),
	    cmocka_unit_test(long_line_on_pipe),
	    cmocka_unit_test(pipe_gets_whole_lines),
	    cmocka_unit_test(disk_full),
	    cmocka_unit_test_setup_teardown(regular_file, make_dir, remove_dir),
	    cmocka_unit_test(open_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
