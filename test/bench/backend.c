/*
 * The backend of the benchmarks: prepared responses, no work of its own.
 * usage: backend PORT
 *
 *   /            1 KB
 *   /small       61 bytes
 *   /bytes/N     N bytes
 *   /chunked/N   N bytes in chunks of 16 KB
 *   /count       {"connections": N, "requests": N} since it was started
 *
 * Requests have no body.  One thread, epoll, edge-triggered.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define FD_LIMIT    65536
#define BATCH       256
#define TARGET_SIZE 48
#define CHUNK_BYTES 16384
#define CHUNK_HEAD  6 /* "4000\r\n" */
#define CHUNK_ROOM  (CHUNK_HEAD + CHUNK_BYTES + 2)
#define BLOCK_BYTES (16 * CHUNK_ROOM)

struct peer {
	unsigned char ends;     /* how much of "\r\n\r\n" was seen */
	unsigned char line_len; /* of what is kept of the first line */
	char line[TARGET_SIZE]; /* "GET /bytes/1000 ..." */
	const char *block;      /* what `left` is sent from, repeated */
	uint64_t left, sent;    /* of the response body */
	char tail[8];
	size_t tail_len; /* last chunk, behind the body */
};

static struct peer peers[FD_LIMIT];
static char plain[BLOCK_BYTES], chunks[BLOCK_BYTES];
static uint64_t connections, requests;

static void
prepare_blocks(void)
{
	memset(plain, 'x', sizeof(plain));
	memset(chunks, 'x', sizeof(chunks));
	for (size_t i = 0; i < sizeof(chunks); i += CHUNK_ROOM) {
		memcpy(chunks + i, "4000\r\n", CHUNK_HEAD);
		memcpy(chunks + i + CHUNK_ROOM - 2, "\r\n", 2);
	}
}

/* Sends what the socket takes.  False: the connection is over. */
static bool
push(int fd, struct peer *p)
{
	while (p->left > 0) {
		size_t at = p->sent % BLOCK_BYTES, len = BLOCK_BYTES - at;
		if (len > p->left)
			len = p->left;
		ssize_t n = send(fd, p->block + at, len, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN;
		p->left -= (uint64_t)n;
		p->sent += (uint64_t)n;
	}
	if (p->tail_len > 0) {
		ssize_t n = send(fd, p->tail, p->tail_len, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN;
		p->tail_len = 0; /* so few bytes go at once or not at all */
	}
	return true;
}

/* A head and a body that fits behind it, in one send. */
static bool
reply_short(int fd, const char *body, size_t len)
{
	char out[4096];
	int head = snprintf(out, sizeof(out),
	    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	    "Content-Length: %zu\r\n\r\n",
	    len);
	memcpy(out + head, body, len);
	len += (size_t)head;
	return send(fd, out, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static bool
reply_bytes(int fd, struct peer *p, uint64_t n)
{
	char head[128];
	int len = snprintf(head, sizeof(head),
	    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	    "Content-Length: %llu\r\n\r\n",
	    (unsigned long long)n);
	p->block = plain;
	p->left = n;
	p->sent = 0;
	return send(fd, head, (size_t)len, MSG_NOSIGNAL) == len && push(fd, p);
}

static bool
reply_chunked(int fd, struct peer *p, uint64_t n)
{
	static const char head[] =
	    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n";
	p->block = chunks;
	p->left = (n + CHUNK_BYTES - 1) / CHUNK_BYTES * CHUNK_ROOM;
	p->sent = 0;
	p->tail_len = 5;
	memcpy(p->tail, "0\r\n\r\n", 5);
	return send(fd, head, sizeof(head) - 1, MSG_NOSIGNAL | MSG_MORE) ==
	    sizeof(head) - 1 &&
	    push(fd, p);
}

static uint64_t
number(const char *s)
{
	uint64_t n = 0;
	for (; *s >= '0' && *s <= '9'; s++)
		n = n * 10 + (uint64_t)(*s - '0');
	return n;
}

/* The path of "GET /path HTTP/1.1", or "/". */
static const char *
target_of(const struct peer *p)
{
	const char *slash = strchr(p->line, '/');
	return slash == NULL ? "/" : slash;
}

static bool
reply(int fd, struct peer *p)
{
	char text[96];
	requests++;
	const char *path = target_of(p);
	if (strncmp(path, "/bytes/", 7) == 0)
		return reply_bytes(fd, p, number(path + 7));
	if (strncmp(path, "/chunked/", 9) == 0)
		return reply_chunked(fd, p, number(path + 9));
	if (strncmp(path, "/small", 6) == 0)
		return reply_short(fd, plain, 61);
	if (strncmp(path, "/count", 6) != 0)
		return reply_short(fd, plain, 1024);
	int len = snprintf(text, sizeof(text),
	    "{\"connections\": %llu, \"requests\": %llu}\n",
	    (unsigned long long)connections, (unsigned long long)requests);
	return reply_short(fd, text, (size_t)len);
}

/* Looks for the ends of heads; answers each. */
static bool
take_bytes(int fd, struct peer *p, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p->line_len < TARGET_SIZE - 1)
			p->line[p->line_len++] = data[i];
		if (data[i] == "\r\n\r\n"[p->ends])
			p->ends++;
		else
			p->ends = data[i] == '\r';
		if (p->ends < 4)
			continue;
		p->line[p->line_len] = '\0';
		p->ends = p->line_len = 0;
		if (!reply(fd, p))
			return false;
	}
	return true;
}

static bool
serve(int fd, uint32_t what)
{
	char data[16384];
	ssize_t got = sizeof(data);
	struct peer *p = &peers[fd];
	if ((what & EPOLLOUT) != 0 && !push(fd, p))
		return false;
	if ((what & ~(uint32_t)EPOLLOUT) == 0)
		return true;
	while (got == sizeof(data)) {
		got = recv(fd, data, sizeof(data), 0);
		if (got <= 0)
			return got < 0 && errno == EAGAIN;
		if (!take_bytes(fd, p, data, (size_t)got))
			return false;
	}
	return true;
}

static void
take(int epoll, int listener)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), one = 1;
	if (fd < 0)
		return;
	if (fd >= FD_LIMIT) {
		close(fd);
		return;
	}
	connections++;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	memset(&peers[fd], 0, sizeof(peers[fd]));
	event.data.fd = fd;
	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static int
listen_on(unsigned port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
	    .sin_port = htons((unsigned short)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
	    listen(fd, 4096) != 0) {
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
			else if (!serve(fd, events[i].events))
				close(fd);
		}
	}
}

int
main(int argc, char **argv)
{
	struct rlimit files;
	unsigned port = argc == 2 ? (unsigned)number(argv[1]) : 0;
	if (port == 0 || port > 65535) {
		fprintf(stderr, "usage: backend PORT\n");
		return 2;
	}
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	prepare_blocks();
	int listener = listen_on(port), epoll = epoll_create1(0);
	if (listener < 0 || epoll < 0)
		return 1;
	struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
	loop(epoll, listener);
}
