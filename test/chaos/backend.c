/*
 * A backend of the chaos bench: 1 KB for every GET, after a while, so that
 * there are always requests under way when it is killed.
 * usage: backend PORT DELAY_US
 *
 * A thread for each connection: a sleeping request holds up no other.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BODY_BYTES  1024
#define HEAD_BYTES  8192
#define STACK_BYTES (64 * 1024)

static char answer[BODY_BYTES + 128];
static size_t answer_len;
static struct timespec delay;

static void
prepare_answer(void)
{
	int n = snprintf(answer, sizeof(answer),
	    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	    "Content-Length: %d\r\n\r\n",
	    BODY_BYTES);
	memset(answer + n, 'x', BODY_BYTES);
	answer_len = (size_t)n + BODY_BYTES;
}

/* One request head, without a body.  0: the connection is over. */
static int
read_head(int fd, char *head)
{
	size_t len = 0;
	while (len < HEAD_BYTES) {
		ssize_t n = recv(fd, head + len, HEAD_BYTES - len, 0);
		if (n <= 0)
			return 0;
		len += (size_t)n;
		if (len >= 4 && memcmp(head + len - 4, "\r\n\r\n", 4) == 0)
			return 1;
	}
	return 0;
}

static void *
serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char head[HEAD_BYTES];
	while (read_head(fd, head)) {
		nanosleep(&delay, NULL);
		if (send(fd, answer, answer_len, MSG_NOSIGNAL) !=
		    (ssize_t)answer_len)
			break;
	}
	close(fd);
	return NULL;
}

static int
listen_on(unsigned port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
	    listen(fd, 1024) != 0) {
		perror("backend");
		exit(1);
	}
	return fd;
}

int
main(int argc, char **argv)
{
	pthread_attr_t attr;
	pthread_t thread;
	int one = 1;
	if (argc != 3) {
		fprintf(stderr, "usage: backend PORT DELAY_US\n");
		return 2;
	}
	unsigned long us = strtoul(argv[2], NULL, 10);
	delay.tv_sec = (time_t)(us / 1000000);
	delay.tv_nsec = (long)(us % 1000000) * 1000;
	prepare_answer();
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	int listener = listen_on((unsigned)strtoul(argv[1], NULL, 10));
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		if (fd < 0)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (pthread_create(
			&thread, &attr, serve, (void *)(intptr_t)fd) != 0)
			close(fd);
	}
}
