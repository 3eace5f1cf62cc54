/*
 * head - the head of an HTTP/1 request or response, parsed where it lies.
 *
 * One pass over the bytes: the parser stops where the bytes stop and goes on
 * there when more have come, without looking at any byte twice.  It stores
 * offsets, not pointers, so the buffer may move between two calls.  The
 * verdict depends on the bytes alone, never on how they were cut: a head is
 * refused at the first byte that no valid head can have there, and bytes
 * behind a limit are never looked at.
 *
 * Strict: CRLF line ends only, no obs-fold, no white space before the colon,
 * no control bytes.  What the fields mean is the business of `framing`; what
 * each is called, of `field`; why a message was refused, of `error`.
 *
 * Layer: http.  Pure: the caller owns the bytes and the field array.
 *
 * Sources: RFC 9112 2-5 (message format), RFC 9110 5 (fields), 9.1 (method).
 */
#ifndef EVENKEEL_HTTP_HEAD_H
#define EVENKEEL_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "evenkeel/base/check.h"
#include "evenkeel/base/span.h"
#include "evenkeel/http/error.h"
#include "evenkeel/http/field.h"

/* A request line of more bytes (without CRLF) is refused with 414. */
#define H1_REQUEST_LINE_BYTES 8192
/* Empty lines accepted before a request line (RFC 9112 2.2 asks for one). */
#define H1_LEADING_EMPTY_LINES 1
/* No head is longer than this, so that 32-bit offsets never overflow. */
#define H1_HEAD_BYTES_MAX (1U << 20)
#define H1_FIELDS_MAX     1000U

enum h1_kind { H1_REQUEST, H1_RESPONSE };

enum h1_method {
	H1_METHOD_OTHER, /* a valid token that is none of those below */
	H1_METHOD_GET,
	H1_METHOD_HEAD,
	H1_METHOD_POST,
	H1_METHOD_PUT,
	H1_METHOD_DELETE,
	H1_METHOD_OPTIONS,
	H1_METHOD_PATCH,
	H1_METHOD_CONNECT,
	H1_METHOD_TRACE
};

struct h1_limits {
	uint32_t head_bytes; /* 1..H1_HEAD_BYTES_MAX, empty lines included */
	uint32_t fields;     /* 1..H1_FIELDS_MAX */
};

enum h1_result {
	H1_MORE, /* valid so far, incomplete */
	H1_DONE,
	H1_BAD /* `error` says why; final */
};

struct h1_head {
	/* The parser's own. */
	uint32_t pos;  /* next byte to look at */
	uint32_t mark; /* start of the token being read */
	uint8_t state;
	uint8_t empty_lines;
	struct h1_limits limits;

	/* Results, valid after H1_DONE (what was read so far, before). */
	uint8_t kind;    /* enum h1_kind */
	uint8_t method;  /* enum h1_method; requests */
	uint8_t minor;   /* HTTP/1.minor: 0 or 1; a higher digit counts as 1 */
	uint8_t error;   /* enum h1_error; H1_OK unless H1_BAD */
	uint16_t status; /* 100..599; responses */
	uint32_t start;  /* first byte of the first line */
	uint32_t len;    /* behind the empty line, from the base */
	struct h1_text method_text, target; /* requests */
	struct h1_text reason;              /* responses; may be empty */
	uint32_t n_fields;
	struct h1_field *fields; /* the caller's, at least limits.fields */
};

/* Makes `h` ready for the first byte.  `fields` has room for limits->fields
 * and must outlive the use of `h`.  Cannot fail. */
void h1_head_init(struct h1_head *h, enum h1_kind kind,
    const struct h1_limits *limits, struct h1_field *fields);

/*
 * Goes on parsing.  `base` is where the message's first byte (given to the
 * first call) lies now, `len` how many bytes there are from it; those seen by
 * earlier calls are unchanged.  Never looks behind base + len.
 *
 * H1_DONE: h->len bytes belong to the head, the rest to the body or the next
 * message.  After H1_DONE or H1_BAD it must not be called again.
 */
enum h1_result
h1_head_parse(struct h1_head *h, const char *base, size_t len) WARN_UNUSED;

/* Whether a byte of a message has come (an empty line is none yet): tells an
 * idle connection from one that is sending a head. */
bool h1_head_begun(const struct h1_head *h);

static inline struct span
h1_span(struct h1_text t, const char *base)
{
	return span_make(base + t.off, t.len);
}

/* The first field with that id and no underscore, or NULL. */
const struct h1_field *
h1_head_find(const struct h1_head *h, enum h1_field_id id);

/* RFC 9110 9.2.2: safe to send twice by its method alone. */
bool h1_method_idempotent(enum h1_method m);

#endif
