/*
 * error - why a message was refused, in words and as a status.
 *
 * One list for heads, framing and bodies, so that the log, the answer and the
 * tests speak of the same things.
 *
 * Layer: http.  Pure.
 *
 * Sources: RFC 9110 15.5, 15.6 (status codes); RFC 9112 2-7.
 */
#ifndef EVENKEEL_HTTP_ERROR_H
#define EVENKEEL_HTTP_ERROR_H

/* Why a message was refused; shared by head, framing and body. */
enum h1_error {
	H1_OK,
	/* heads */
	H1_E_TLS,     /* the first byte is that of a TLS handshake */
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

#endif
