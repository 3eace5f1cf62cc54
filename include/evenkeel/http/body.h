/*
 * body - a cursor through the body of a message: how much is data, where it
 * ends, and whether it is well-formed.
 *
 * Chunked bodies are decoded in place: framing is taken out and the data moved
 * together at the front of the buffer.  Bodies of known length and those that
 * end with the connection pass as they are.  Like heads, bodies are judged by
 * their bytes and not by how they were cut.
 *
 * Layer: http.  Pure: the caller owns the memory.
 *
 * Sources: RFC 9112 6, 7.1 (chunked), 7.1.1 (extensions), 7.1.2 (trailers).
 */
#ifndef EVENKEEL_HTTP_BODY_H
#define EVENKEEL_HTTP_BODY_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/http/framing.h"

/* One chunk line, size and extensions, without CRLF. */
#define H1_CHUNK_LINE_BYTES 256
/* All extensions of one body together: nobody uses them, attackers do. */
#define H1_CHUNK_EXTENSIONS_BYTES 16384
/* A trailer section, line ends included. */
#define H1_TRAILER_BYTES 4096

enum h1_body_result {
	H1_BODY_MORE,    /* all bytes used; the body goes on */
	H1_BODY_TRAILER, /* a trailer section begins; see h1_body_trailer */
	H1_BODY_END,     /* complete; bytes not consumed are not its own */
	H1_BODY_BAD      /* b->error says why; final */
};

struct h1_body {
	uint8_t kind;  /* enum h1_body_kind */
	uint8_t state; /* of the chunk decoder */
	uint8_t error; /* enum h1_error */
	bool keep_trailer;
	bool trailer_set; /* it was reported */
	uint64_t left;    /* bytes of the length, or of the chunk, to come */
	uint32_t line_bytes, extension_bytes, trailer_bytes;
	struct textbuf *trailer;
};

struct h1_body_step {
	size_t consumed; /* bytes of the input that were used */
	size_t produced; /* data bytes, now at the front of the buffer */
};

/*
 * A cursor at the start of the body that `f` describes.  With `keep_trailer`
 * a non-empty trailer section of a chunked body is reported as
 * H1_BODY_TRAILER once; without, it is checked and dropped.  Cannot fail.
 */
void
h1_body_init(struct h1_body *b, const struct h1_framing *f, bool keep_trailer);

/*
 * Uses up to `len` bytes at `buf`.  Data comes to lie at buf[0..produced);
 * unconsumed bytes stay at buf[consumed..len).  A body of kind NONE is at its
 * end at once; UNTIL_CLOSE never ends here (the caller sees the close).
 * After H1_BODY_END or H1_BODY_BAD it must not be called again.
 */
enum h1_body_result h1_body_decode(struct h1_body *b, char *buf, size_t len,
    struct h1_body_step *step) WARN_UNUSED;

/*
 * After H1_BODY_TRAILER: where the lines of the trailer section (checked, CRLF
 * included) are appended.  `t` has room for H1_TRAILER_BYTES and outlives the
 * cursor's use.  NULL: check and drop.
 */
void h1_body_trailer(struct h1_body *b, struct textbuf *t);

/*
 * How many of the bytes to come are data for certain and need not be looked
 * at: 0 for chunked bodies, UINT64_MAX until the close.
 */
uint64_t h1_body_ahead(const struct h1_body *b);

/* `n` <= h1_body_ahead(b) bytes passed by another way. */
void h1_body_pass(struct h1_body *b, uint64_t n);

/* The body is complete when the connection ends now: UNTIL_CLOSE, or at its
 * end already. */
bool h1_body_complete_at_eof(const struct h1_body *b);

#endif
