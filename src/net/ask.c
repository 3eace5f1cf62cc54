#include "evenkeel/net/ask.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* A connected socket, or -1 with errno. */
static int
open_socket(const char *path)
{
	struct timeval limit = {
	    ASK_TIMEOUT_MS / 1000, (ASK_TIMEOUT_MS % 1000) * 1000};
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	int fd, error;

	if (len >= sizeof(a.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(a.sun_path, path, len + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* Twice the room, or NULL with errno (and the old freed). */
static char *
grow(char *bytes, size_t *cap)
{
	char *more;

	errno = EMSGSIZE;
	more = *cap >= ASK_ANSWER_BYTES ? NULL : realloc(bytes, 2 * *cap);
	if (more == NULL)
		free(bytes);
	*cap *= 2;
	return more;
}

/* Everything up to the end; NULL with errno. */
static char *
read_all(int fd, size_t *len)
{
	size_t cap = 65536;
	char *bytes = malloc(cap);

	*len = 0;
	while (bytes != NULL) {
		ssize_t n = recv(fd, bytes + *len, cap - *len, 0);

		if (n == 0)
			return bytes;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			free(bytes);
			return NULL;
		}
		*len += (size_t)n;
		if (*len == cap)
			bytes = grow(bytes, &cap);
	}
	return NULL;
}

static bool
send_all(int fd, struct span request)
{
	while (request.len > 0) {
		ssize_t n = send(fd, request.ptr, request.len, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0)
			request =
			    span_make(request.ptr + n, request.len - (size_t)n);
	}
	return true;
}

enum ask_result
ask_unix(const char *path, struct span request, char **answer, size_t *len,
    const char **why)
{
	int fd = open_socket(path);

	*answer = NULL;
	*why = "";
	if (fd < 0 && (errno == ENOENT || errno == ECONNREFUSED))
		return ASK_NOBODY;
	if (fd < 0) {
		*why = strerror(errno);
		return ASK_FAILED;
	}
	if (send_all(fd, request))
		*answer = read_all(fd, len);
	if (*answer == NULL)
		*why = errno == EAGAIN ? "no answer in time" : strerror(errno);
	close(fd);
	return *answer == NULL ? ASK_FAILED : ASK_OK;
}
