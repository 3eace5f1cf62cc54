/*
 * redirect - where a request is sent that should have come over https.
 *
 * The address is made of the parsed request alone: its authority without the
 * port, and its target.  Both have passed the parser, so that neither can hold
 * a byte that ends a line.
 *
 * Layer: http.  Pure.
 *
 * Sources: RFC 9110 10.2.2 (Location), 15.4.2 (301), 15.4.9 (308), 4.2.2
 * (https); RFC 9112 3.2 (target forms), 3.3 (what a target stands for).
 */
#ifndef EVENKEEL_HTTP_REDIRECT_H
#define EVENKEEL_HTTP_REDIRECT_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/http/framing.h"

/* The port that an https address need not name. */
#define REDIRECT_PORT 443

/* Bytes of an address beyond host and path: "https://", "/", ":65535". */
#define REDIRECT_EXTRA_BYTES 15

struct redirect {
	struct span host; /* without port */
	struct span path; /* "/path?query", "?query" or empty */
	bool root;        /* "/" stands before the path */
	uint16_t port;
};

/* 301 for methods that stay what they are; 308 where a 301 would let the
 * client turn the method into GET. */
unsigned redirect_status(enum h1_method method);

/*
 * The address for a request that `f` has framed; f->host is not empty.  A
 * target "*" is the server as a whole, which has no path.  Cannot fail; the
 * spans lie where the head does.
 */
struct redirect redirect_make(const struct h1_head *h, const char *base,
    const struct h1_framing *f, uint16_t port);

/* Appends "https://host[:port]path". */
void redirect_put(struct textbuf *out, const struct redirect *r);

#endif
