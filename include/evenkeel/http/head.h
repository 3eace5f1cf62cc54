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
 * no control bytes.  What the fields mean is the business of `framing`.
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

/*
 * Fields that evenkeel looks at.  A name counts as known also when it is
 * spelled with '_' for '-' (`Content_Length`), because CGI-like backends read
 * both alike; such a field has `underscore` set, is dropped by the forwarder
 * and never means anything to evenkeel itself.
 */
enum h1_field_id {
	H1_FIELD_OTHER,
	H1_FIELD_HOST,
	H1_FIELD_CONTENT_LENGTH,
	H1_FIELD_TRANSFER_ENCODING,
	H1_FIELD_CONNECTION,
	H1_FIELD_KEEP_ALIVE,
	H1_FIELD_PROXY_CONNECTION,
	H1_FIELD_TE,
	H1_FIELD_TRAILER,
	H1_FIELD_UPGRADE,
	H1_FIELD_HTTP2_SETTINGS,
	H1_FIELD_PROXY_AUTHENTICATE,  /* passed on like any other field */
	H1_FIELD_PROXY_AUTHORIZATION, /* passed on like any other field */
	H1_FIELD_EXPECT,
	H1_FIELD_VIA,
	H1_FIELD_X_FORWARDED, /* any name that begins with X-Forwarded- */
	H1_FIELD_FORWARDED,
	H1_FIELD_X_REQUEST_ID,
	H1_FIELD_IDEMPOTENCY_KEY,
	H1_FIELD_RETRY_AFTER,
	H1_FIELD_AUTHORIZATION,
	H1_FIELD_USER_AGENT,
	H1_FIELD_REFERER,
	H1_FIELD_DATE
};

/* A run of bytes of the head, as an offset from its base. */
struct h1_text {
	uint32_t off, len;
};

struct h1_field {
	struct h1_text name;
	struct h1_text
	    value;       /* without surrounding white space; may be empty */
	uint8_t id;      /* enum h1_field_id */
	bool underscore; /* known only by reading '_' as '-' */
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

/* Why a message was refused; shared by head, framing and body. */
enum h1_error {
	H1_OK,
	/* heads */
	H1_E_METHOD,  /* not a token */
	H1_E_TARGET,  /* control, space, '#', non-ASCII or of no known form */
	H1_E_VERSION, /* not HTTP/1.0 or HTTP/1.1 in form */
	H1_E_VERSION_HIGH, /* well-formed HTTP/N.M with N other than 1: 505 */
	H1_E_STATUS,       /* not three digits 100..599, or bad reason */
	H1_E_LINE_END,     /* bare CR or bare LF */
	H1_E_FIELD_NAME,   /* empty, not a token, space before the colon */
	H1_E_FIELD_VALUE,  /* control byte or NUL */
	H1_E_FOLD,         /* obs-fold */
	H1_E_LINE_LONG,    /* request line over its limit: 414 */
	H1_E_HEAD_LONG,    /* head over its limit: 431 */
	H1_E_FIELDS_MANY,  /* more fields than allowed: 431 */
	/* framing */
	H1_E_HOST,              /* missing, repeated or malformed Host */
	H1_E_LENGTH,            /* malformed Content-Length */
	H1_E_LENGTH_REPEATED,   /* more than one Content-Length, or a list */
	H1_E_LENGTH_AND_CODING, /* both Content-Length and Transfer-Encoding */
	H1_E_CODING,         /* malformed Transfer-Encoding, or in HTTP/1.0 */
	H1_E_CODING_UNKNOWN, /* a coding other than one final chunked: 501 */
	H1_E_METHOD_REFUSED, /* CONNECT, TRACE: 405 */
	H1_E_EXPECT,         /* an expectation other than 100-continue: 417 */
	/* bodies */
	H1_E_CHUNK_SIZE,
	H1_E_CHUNK_EXTENSION, /* control byte, or extensions over the limit */
	H1_E_CHUNK_END,       /* no CRLF behind the data of a chunk */
	H1_E_TRAILER,         /* malformed or over the limit */
	H1_ERRORS             /* how many there are */
};

/* The plain reason, e.g. "bare CR or LF as line end"; never NULL. */
const char *h1_error_text(enum h1_error e);

/* The status a request refused for `e` gets: 400, 405, 414, 417, 431, 501 or
 * 505; 0 for H1_OK. */
unsigned h1_error_status(enum h1_error e);

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

/* Which known field a name is; sets *underscore as struct h1_field has it. */
enum h1_field_id h1_field_lookup(struct span name, bool *underscore);

/* RFC 9110 5.6.2: one or more tchar. */
bool h1_is_token(struct span s);

/*
 * Checks one field line (without CRLF) as h1_head_parse would: H1_OK with its
 * parts as offsets from line.ptr, or the error.  For trailers.
 */
enum h1_error h1_field_line(struct span line, struct h1_field *out) WARN_UNUSED;

/* RFC 9110 9.2.2: safe to send twice by its method alone. */
bool h1_method_idempotent(enum h1_method m);

#endif
