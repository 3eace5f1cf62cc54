/* See wire.h. */
#include "wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_S    20
#define SLOW_BYTES 16384
#define SLOW_NS    1000000
#define LINE_MAX   256

static char table[BODY_OFF + BODY_MAX];

void
wire_prepare(void)
{
	uint64_t state = 1;
	for (size_t i = 0; i < sizeof(table); i++)
		table[i] = (char)(wire_random(&state) >> 8);
}

const char *
wire_body(uint32_t off)
{
	return table + off % BODY_OFF;
}

/* splitmix64 */
uint32_t
wire_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)(z >> 32);
}

void
wire_options(int fd)
{
	struct timeval limit = {.tv_sec = LIMIT_S};
	int one = 1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

void
wire_open(struct wire *w, int fd)
{
	w->fd = fd;
	w->at = w->len = 0;
	w->ended = w->lost = w->slow = false;
}

void
wire_close(struct wire *w, bool reset)
{
	struct linger now = {.l_onoff = 1};
	if (w->fd < 0)
		return;
	if (reset)
		setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(w->fd);
	w->fd = -1;
}

bool
wire_send(struct wire *w, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(w->fd, data, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

bool
wire_text(struct wire *w, const char *text)
{
	return wire_send(w, text, strlen(text));
}

static bool
send_chunks(struct wire *w, uint32_t off, uint32_t len, uint64_t seed)
{
	const char *body = wire_body(off);
	/* So few chunks that their lines do not outweigh what they carry. */
	uint32_t most = len / 16 + 17;
	char line[32];
	for (uint32_t at = 0; at < len;) {
		uint32_t size = 1 + wire_random(&seed) % most;
		if (size > len - at)
			size = len - at;
		int n = snprintf(line, sizeof(line), "%x\r\n", size);
		if (!wire_send(w, line, (size_t)n) ||
		    !wire_send(w, body + at, size) || !wire_send(w, "\r\n", 2))
			return false;
		at += size;
	}
	return wire_text(w, "0\r\n\r\n");
}

bool
wire_send_body(struct wire *w, uint32_t off, uint32_t len, enum framing framing,
    uint64_t seed)
{
	if (framing == FRAMING_CHUNKED)
		return send_chunks(w, off, len, seed);
	return wire_send(w, wire_body(off), len);
}

/* False: nothing more will come. */
static bool
fill(struct wire *w)
{
	size_t room;
	ssize_t n;
	if (w->at == w->len)
		w->at = w->len = 0;
	if (w->at > 0) {
		memmove(w->buf, w->buf + w->at, w->len - w->at);
		w->len -= w->at;
		w->at = 0;
	}
	room = sizeof(w->buf) - w->len;
	if (w->slow) {
		struct timespec pause = {.tv_nsec = SLOW_NS};
		nanosleep(&pause, NULL);
		room = room < SLOW_BYTES ? room : SLOW_BYTES;
	}
	if (room == 0)
		return false;
	n = recv(w->fd, w->buf + w->len, room, 0);
	if (n == 0)
		w->ended = true;
	if (n < 0)
		w->lost = true;
	if (n <= 0)
		return false;
	w->len += (size_t)n;
	return true;
}

/* --- heads -----------------------------------------------------------------
 */

static void
take_field(struct head *h, const char *line)
{
	if (strncasecmp(line, "Content-Length:", 15) == 0) {
		h->length = strtoull(line + 15, NULL, 10);
		h->has_length = true;
	} else if (strncasecmp(line, "Transfer-Encoding:", 18) == 0) {
		h->chunked = strcasestr(line, "chunked") != NULL;
	} else if (strncasecmp(line, "Connection:", 11) == 0) {
		h->close |= strcasestr(line, "close") != NULL;
		h->upgrade |= strcasestr(line, "upgrade") != NULL;
	} else if (strncasecmp(line, "Expect:", 7) == 0) {
		h->expect = true;
	}
}

/* `head` ends with CRLF CRLF; its lines are cut in place. */
static void
take_head(struct head *h, char *head, size_t len)
{
	char *line = head, *end;
	memset(h, 0, sizeof(*h));
	head[len - 2] = '\0';
	end = strstr(line, "\r\n");
	snprintf(h->line, sizeof(h->line), "%.*s", (int)(end - line), line);
	for (line = end + 2; (end = strstr(line, "\r\n")) != NULL;
	     line = end + 2) {
		*end = '\0';
		take_field(h, line);
	}
}

bool
wire_head(struct wire *w, struct head *h)
{
	for (;;) {
		char *start = w->buf + w->at;
		char *end = memmem(start, w->len - w->at, "\r\n\r\n", 4);
		if (end != NULL) {
			size_t len = (size_t)(end - start) + 4;
			take_head(h, start, len);
			w->at += len;
			return true;
		}
		if (!fill(w))
			return false;
	}
}

/* --- bodies ----------------------------------------------------------------
 */

/* Compares up to `most` bytes with `want`; 0 at the end or at a wrong one. */
static size_t
compare(struct wire *w, const char *want, uint64_t most, bool *wrong)
{
	size_t n;
	if (w->at == w->len && !fill(w))
		return 0;
	n = w->len - w->at;
	if (n > most)
		n = (size_t)most;
	if (memcmp(w->buf + w->at, want, n) != 0) {
		*wrong = true;
		return 0;
	}
	w->at += n;
	return n;
}

static uint64_t
read_counted(struct wire *w, uint64_t length, const char *want, bool *wrong)
{
	uint64_t got = 0;
	while (got < length) {
		size_t n = compare(w, want + got, length - got, wrong);
		if (n == 0)
			break;
		got += n;
	}
	return got;
}

static bool
read_line(struct wire *w, char *line)
{
	for (;;) {
		char *start = w->buf + w->at;
		char *end = memmem(start, w->len - w->at, "\r\n", 2);
		if (end != NULL) {
			size_t len = (size_t)(end - start);
			if (len >= LINE_MAX)
				return false;
			memcpy(line, start, len);
			line[len] = '\0';
			w->at += len + 2;
			return true;
		}
		if (!fill(w))
			return false;
	}
}

static uint64_t
read_chunked(struct wire *w, const char *want, bool *whole, bool *wrong)
{
	char line[LINE_MAX];
	uint64_t got = 0;
	while (read_line(w, line)) {
		uint64_t size = strtoull(line, NULL, 16), n;
		if (size == 0) {
			/* No trailers are sent here, so none may come. */
			*whole = read_line(w, line) && line[0] == '\0';
			break;
		}
		if (got + size > BODY_MAX) {
			*wrong = true;
			break;
		}
		n = read_counted(w, size, want + got, wrong);
		got += n;
		if (n < size || !read_line(w, line) || line[0] != '\0')
			break;
	}
	return got;
}

uint64_t
wire_read_body(struct wire *w, enum framing framing, uint64_t length,
    uint32_t off, bool *whole, bool *wrong)
{
	const char *want = wire_body(off);
	uint64_t got = 0;
	*whole = *wrong = false;
	switch (framing) {
	case FRAMING_NONE:
		*whole = true;
		break;
	case FRAMING_LENGTH:
		if (length > BODY_MAX) {
			*wrong = true;
			break;
		}
		got = read_counted(w, length, want, wrong);
		*whole = got == length;
		break;
	case FRAMING_CHUNKED:
		got = read_chunked(w, want, whole, wrong);
		break;
	case FRAMING_CLOSE:
		got = read_counted(w, BODY_MAX, want, wrong);
		*whole = got == BODY_MAX ? wire_at_end(w) : w->ended;
		break;
	}
	return got;
}

bool
wire_at_end(struct wire *w)
{
	if (w->at < w->len)
		return false;
	return !fill(w) && w->ended;
}
