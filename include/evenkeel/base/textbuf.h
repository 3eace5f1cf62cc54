/*
 * textbuf - bytes appended to memory of a fixed size.
 *
 * A put that does not fit writes nothing, and marks the buffer `full`; every
 * later put does nothing either.  So a writer appends freely and looks at
 * `full` once at the end.  No terminating NUL is kept.
 *
 * Layer: base.  Pure: the caller owns the memory.
 */
#ifndef EVENKEEL_BASE_TEXTBUF_H
#define EVENKEEL_BASE_TEXTBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "evenkeel/base/span.h"

struct textbuf {
	char *ptr;
	size_t len; /* bytes written, <= cap */
	size_t cap;
	bool full; /* a put did not fit; the text is incomplete */
};

static inline struct textbuf
textbuf_make(char *ptr, size_t cap)
{
	return (struct textbuf){
	    .ptr = ptr, .len = 0, .cap = cap, .full = false};
}

static inline struct span
textbuf_span(const struct textbuf *t)
{
	return span_make(t->ptr, t->len);
}

static inline void
textbuf_put(struct textbuf *t, struct span s)
{
	if (t->full || t->cap - t->len < s.len) {
		t->full = true;
		return;
	}
	if (s.len > 0)
		memcpy(t->ptr + t->len, s.ptr, s.len);
	t->len += s.len;
}

/* Room for `n` bytes that the caller writes at once, all of them: one look at
 * what is left for a line of several parts.  NULL: they do not fit. */
static inline char *
textbuf_claim(struct textbuf *t, size_t n)
{
	if (t->full || t->cap - t->len < n) {
		t->full = true;
		return NULL;
	}
	t->len += n;
	return t->ptr + t->len - n;
}

/* Writes a part of what was claimed; returns where the next one goes. */
static inline char *
textbuf_part(char *p, struct span s)
{
	memcpy(p, s.ptr, s.len);
	return p + s.len;
}

/* A literal: its length is a constant, so the copy is inlined. */
#define textbuf_lit(t, literal) textbuf_put((t), SPAN(literal))

void textbuf_str(struct textbuf *t, const char *text);
void textbuf_byte(struct textbuf *t, char c);
void textbuf_u64(struct textbuf *t, uint64_t value);
void textbuf_hex(struct textbuf *t, uint64_t value);

/* `value` in decimal with leading zeros up to `width` (at most 20) digits. */
void textbuf_u64_padded(struct textbuf *t, uint64_t value, unsigned width);

/*
 * The bytes of `s` as the inside of a JSON string (RFC 8259 7): quote,
 * backslash and control bytes escaped, bytes from 0x7f up as \u00NN, so that
 * any input gives valid ASCII JSON.
 */
void textbuf_json(struct textbuf *t, struct span s);

#endif
