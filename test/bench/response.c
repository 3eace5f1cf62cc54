#include "response.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 262144
#define TRASH_BYTES (1U << 20)
#define CHUNKED_END "\r\n0\r\n\r\n"
#define END_LEN     7

static char block[BLOCK_BYTES];

void
response_start(struct response *r)
{
	r->state = RESPONSE_HEAD;
	r->len = 0;
}

/* Keeps the last bytes seen, and looks whether they are the end. */
static enum response_result
chunked_bytes(struct response *r, const char *data, size_t len)
{
	size_t keep = len < END_LEN ? len : END_LEN;
	size_t old = r->len < END_LEN - keep ? r->len : END_LEN - keep;
	memmove(r->data, r->data + r->len - old, old);
	memcpy(r->data + old, data + len - keep, keep);
	r->len = old + keep;
	if (r->len < END_LEN || memcmp(r->data, CHUNKED_END, END_LEN) != 0)
		return RESPONSE_MORE;
	return RESPONSE_DONE;
}

static enum response_result
head_done(struct response *r, const char *end, uint64_t *bytes)
{
	const char *field = strcasestr(r->data, "\r\ncontent-length:");
	const char *body = end + 4;
	size_t extra = (size_t)(r->data + r->len - body);
	if (strncmp(r->data, "HTTP/1.1 200", 12) != 0)
		return RESPONSE_BAD;
	*bytes += extra;
	if (field == NULL || field > end) {
		/* With the head's last CR LF: the first chunk may be the end.
		 */
		char rest[RESPONSE_HEAD_BYTES];
		memcpy(rest, body - 2, extra + 2);
		r->state = RESPONSE_CHUNKED;
		r->len = 0;
		return chunked_bytes(r, rest, extra + 2);
	}
	r->left = strtoull(field + 17, NULL, 10);
	if (extra > r->left)
		return RESPONSE_BAD;
	r->left -= extra;
	r->state = RESPONSE_BODY;
	return r->left == 0 ? RESPONSE_DONE : RESPONSE_MORE;
}

static enum response_result
nothing(ssize_t n)
{
	return n < 0 && errno == EAGAIN ? RESPONSE_NOTHING : RESPONSE_BAD;
}

static enum response_result
read_head(struct response *r, struct stream *s, uint64_t *bytes)
{
	size_t room = sizeof(r->data) - 1 - r->len;
	ssize_t n = room == 0 ? 0 : stream_recv(s, r->data + r->len, room);
	if (n <= 0)
		return nothing(n);
	r->len += (size_t)n;
	r->data[r->len] = '\0';
	char *end = strstr(r->data, "\r\n\r\n");
	return end == NULL ? RESPONSE_MORE : head_done(r, end, bytes);
}

static enum response_result
read_body(struct response *r, struct stream *s, uint64_t *bytes)
{
	size_t want = r->left < TRASH_BYTES ? r->left : TRASH_BYTES;
	ssize_t n = stream_recv(s, NULL, want);
	if (n <= 0)
		return nothing(n);
	*bytes += (uint64_t)n;
	r->left -= (uint64_t)n;
	return r->left == 0 ? RESPONSE_DONE : RESPONSE_MORE;
}

static enum response_result
read_chunked(struct response *r, struct stream *s, uint64_t *bytes)
{
	ssize_t n = stream_recv(s, block, sizeof(block));
	if (n <= 0)
		return nothing(n);
	*bytes += (uint64_t)n;
	return chunked_bytes(r, block, (size_t)n);
}

static enum response_result
read_some(struct response *r, struct stream *s, uint64_t *bytes)
{
	if (r->state == RESPONSE_HEAD)
		return read_head(r, s, bytes);
	if (r->state == RESPONSE_BODY)
		return read_body(r, s, bytes);
	return read_chunked(r, s, bytes);
}

enum response_result
response_read(struct response *r, struct stream *s, uint64_t *bytes)
{
	enum response_result result;
	do
		result = read_some(r, s, bytes);
	while (result == RESPONSE_MORE && stream_pending(s));
	return result == RESPONSE_NOTHING ? RESPONSE_MORE : result;
}
