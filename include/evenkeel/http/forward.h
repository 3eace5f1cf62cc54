/*
 * forward - the head that goes out, made from the head that came in.
 *
 * One pass over the parsed fields.  Hop-by-hop fields go, and those that
 * Connection names; then evenkeel's own are added last, so that nothing the
 * peer nominated can remove them.  Lengths are written from numbers, the
 * version is always our own.
 *
 * Layer: http.  Pure.
 *
 * Sources: RFC 9110 7.6.1 (Connection), 7.6.3 (Via), 10.1.1 (Expect);
 * RFC 9112 2.3 (version), 3.2 (Host), 6, 7.
 */
#ifndef EVENKEEL_HTTP_FORWARD_H
#define EVENKEEL_HTTP_FORWARD_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/http/forwarded.h"
#include "evenkeel/http/framing.h"

/* Bytes that a forwarded head needs at most beyond the head it is made from
 * and the spans given in the options (the subject is one of them): Host is
 * written up to twice more. */
#define H1_FORWARD_EXTRA_BYTES 1024

struct h1_forward_request {
	struct forwarded forwarded; /* what is said about the client; of
				       what came only this is sent on */
	struct span request_id;     /* X-Request-Id; empty: none sent */
	bool expect_continue;       /* pass `Expect: 100-continue` on */
	bool upgrade;     /* pass the protocols of Upgrade on, but h2c */
	struct span host; /* the Host that is sent; empty: the client's */
	struct span default_host; /* for a request without one (HTTP/1.0): many
				     servers refuse an empty Host */
};

/*
 * Appends the request head for a backend, always HTTP/1.1 in origin-form:
 * Host from f->host (how->default_host when there is none), the client's
 * fields in their order, `Via: 1.1 evenkeel` (appended to one that came, as a
 * field of its own), the framing of f, and the connection kept alive.
 * out->full afterwards: it did not fit.
 */
void h1_forward_request(struct textbuf *out, const struct h1_head *h,
    const char *base, const struct h1_framing *f,
    const struct h1_forward_request *how);

enum h1_connection {
	H1_CONNECTION_DEFAULT,   /* HTTP/1.1 that goes on: say nothing */
	H1_CONNECTION_KEEPALIVE, /* HTTP/1.0 that goes on: say keep-alive */
	H1_CONNECTION_CLOSE
};

struct h1_forward_response {
	enum h1_connection connection;
	bool chunked;           /* the body that follows is sent chunked; a
				   f->body of H1_BODY_LENGTH is sent as such */
	struct span request_id; /* X-Request-Id for the client; empty: none */
	bool upgrade;           /* of a 101: pass Upgrade on */
};

/*
 * Appends the response head for a client: HTTP/1.1, status and reason, fields
 * in their order, Content-Length from f when it was given and allowed
 * (RFC 9110 8.6: none with 1xx and 204), Transfer-Encoding when `chunked`.
 */
void h1_forward_response(struct textbuf *out, const struct h1_head *h,
    const char *base, const struct h1_framing *f,
    const struct h1_forward_response *how);

/*
 * Appends a trailer section (kept by h1_body_trailer) without the fields that
 * must not stand there (framing, routing, hop-by-hop; RFC 9110 6.5.1), and
 * without the final empty line.
 */
void h1_forward_trailer(struct textbuf *out, struct span section);

#endif
