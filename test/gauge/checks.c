/*
 * The least that checking many backends can cost, to compare with: socket,
 * connect, epoll, close, evenly spread over a second.
 *
 * checks serve PORT             accepts and closes, on all addresses
 * checks check PORT N SECONDS   checks 127.0.1.1, 127.0.1.2, ... N of them,
 *                               once a second; prints CPU us per check,
 *                               and how many ms one began late at worst
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PER_NET 250U

static uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t
cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
	    (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static int
serve(uint16_t port)
{
	struct sockaddr_in at = {
	    .sin_family = AF_INET, .sin_port = htons(port)};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
	    listen(fd, 4096) != 0)
		return 1;
	for (;;) {
		int got = accept(fd, NULL, NULL);

		if (got >= 0)
			close(got);
	}
}

static void
begin(int epoll, uint16_t port, unsigned i)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(
		0x7f000000U + ((i / PER_NET + 1) << 8) + i % PER_NET + 1)};
	struct epoll_event ev = {.events = EPOLLOUT};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return;
	ev.data.fd = fd;
	(void)!connect(fd, (struct sockaddr *)&to, sizeof(to));
	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
}

static int
check(uint16_t port, unsigned n, unsigned seconds)
{
	int epoll = epoll_create1(0);
	uint64_t start_us = now_us(), cpu = cpu_us(), begun = 0, done = 0;
	uint64_t all = (uint64_t)n * seconds, late_us = 0;

	while (done < all) {
		struct epoll_event ev[64];
		uint64_t due = (now_us() - start_us) * n / 1000000 + 1;
		int got;

		for (; begun < due && begun < all; begun++) {
			uint64_t late =
			    now_us() - start_us - begun * 1000000 / n;

			late_us = late > late_us ? late : late_us;
			begin(epoll, port, (unsigned)(begun % n));
		}
		got = epoll_wait(epoll, ev, 64, 1);
		for (int i = 0; i < got; i++, done++) {
			int error = 0;
			socklen_t len = sizeof(error);

			getsockopt(
			    ev[i].data.fd, SOL_SOCKET, SO_ERROR, &error, &len);
			close(ev[i].data.fd);
		}
	}
	printf("%.2f %.1f\n", (double)(cpu_us() - cpu) / (double)all,
	    (double)late_us / 1000);
	return 0;
}

int
main(int argc, char **argv)
{
	uint16_t port = argc > 2 ? (uint16_t)strtoul(argv[2], NULL, 10) : 0;

	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return serve(port);
	if (argc == 5 && strcmp(argv[1], "check") == 0)
		return check(port, (unsigned)strtoul(argv[3], NULL, 10),
		    (unsigned)strtoul(argv[4], NULL, 10));
	fprintf(stderr, "usage: checks serve PORT | checks check PORT N S\n");
	return 2;
}
