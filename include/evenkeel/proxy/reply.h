/*
 * reply - answers that evenkeel makes itself.
 *
 * Short plain text that says what happened, with the request's id so that the
 * line in the log can be found.
 *
 * Layer: proxy.  Pure.
 *
 * Sources: RFC 9110 15 (status codes), 10.2.1 (Allow), 10.2.2 (Location),
 * 10.2.3 (Retry-After);
 * RFC 9209 (Proxy-Status).
 */
#ifndef EVENKEEL_PROXY_REPLY_H
#define EVENKEEL_PROXY_REPLY_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/http/access.h"
#include "evenkeel/http/forward.h"
#include "evenkeel/http/redirect.h"

/* A reply never needs more beyond the address that it sends the client to. */
#define REPLY_BYTES 2048
/* What Retry-After of a 503 says, in seconds. */
#define REPLY_RETRY_AFTER_S 1

/* The reason phrase of a status, "Unknown" for one without. */
const char *reply_reason(unsigned status);

/* The error token of Proxy-Status (RFC 9209 2.3) for how a request ended, given
 * how its last attempt did. */
const char *reply_error(enum access_end end, enum access_outcome last);

struct reply {
	unsigned status;
	struct span id;
	struct span why;   /* one plain sentence for the client */
	const char *error; /* of Proxy-Status; NULL: nothing went wrong */
	const struct redirect *location; /* NULL: none */
	bool https_only;  /* the client spoke plain HTTP to TLS: what to do */
	struct span host; /* ...the authority it asked for, or empty */
	enum h1_connection connection;
	bool head_only; /* the request was HEAD */
};

/* Appends the whole answer; returns the bytes of its body. */
size_t reply_put(struct textbuf *out, const struct reply *r);

#endif
