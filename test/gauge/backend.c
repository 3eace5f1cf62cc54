/*
 * A backend that costs next to nothing: every request head gets the same
 * prepared response of 1 KB.  usage: backend PORT
 *
 * For gauges and benchmarks; requests have no body.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY_BYTES 1024
#define FD_LIMIT   4096
#define BATCH      64

static char response[BODY_BYTES + 256];
static size_t response_bytes;
/* How much of "\r\n\r\n" each connection has seen: heads may come in pieces. */
static unsigned char seen[FD_LIMIT];

static void
prepare_response(void)
{
	int head = snprintf(response, sizeof(response),
	    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	    "Content-Length: %d\r\n\r\n",
	    BODY_BYTES);
	memset(response + head, 'x', BODY_BYTES);
	response_bytes = (size_t)head + BODY_BYTES;
}

static unsigned
count_heads(int fd, const char *data, ssize_t len)
{
	unsigned heads = 0, at = seen[fd];
	for (ssize_t i = 0; i < len; i++) {
		if (data[i] == "\r\n\r\n"[at])
			at++;
		else
			at = data[i] == '\r';
		if (at == 4) {
			heads++;
			at = 0;
		}
	}
	seen[fd] = (unsigned char)at;
	return heads;
}

/* False: the connection is over. */
static bool
serve(int fd)
{
	char data[16384];
	ssize_t got = recv(fd, data, sizeof(data), 0);
	if (got <= 0)
		return got < 0 && errno == EAGAIN;
	for (unsigned n = count_heads(fd, data, got); n > 0; n--) {
		if (send(fd, response, response_bytes, MSG_NOSIGNAL) !=
		    (ssize_t)response_bytes)
			return false;
	}
	return true;
}

static void
watch(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void
take(int epoll, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	if (fd < 0)
		return;
	if (fd >= FD_LIMIT) {
		close(fd);
		return;
	}
	seen[fd] = 0;
	watch(epoll, fd);
}

static int
listen_on(unsigned port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
	    .sin_port = htons((unsigned short)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
	    listen(fd, 1024) != 0) {
		perror("backend");
		return -1;
	}
	return fd;
}

static void
loop(int epoll, int listener)
{
	struct epoll_event events[BATCH];
	for (;;) {
		int n = epoll_wait(epoll, events, BATCH, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd == listener)
				take(epoll, listener);
			else if (!serve(fd))
				close(fd);
		}
	}
}

int
main(int argc, char **argv)
{
	unsigned port = 0;
	for (const char *p = argc == 2 ? argv[1] : ""; *p != '\0'; p++)
		port = port * 10 + (unsigned)(*p - '0');
	if (port == 0 || port > 65535) {
		fprintf(stderr, "usage: backend PORT\n");
		return 2;
	}
	prepare_response();
	int listener = listen_on(port), epoll = epoll_create1(0);
	if (listener < 0 || epoll < 0)
		return 1;
	watch(epoll, listener);
	loop(epoll, listener);
}
