/*
 * framing - where a message ends, whom it is for, and whether the connection
 * goes on after it.
 *
 * Reads the fields of a parsed head that decide these questions, and refuses
 * what two readers could answer differently; nothing is repaired.
 *
 * Layer: http.  Pure.
 *
 * Sources: RFC 9112 3.2 (target forms), 6.3 (body length), 9.3 (persistence),
 * 9.6 (close); RFC 9110 7.2 (Host), 10.1.1 (Expect), 7.8 (Upgrade).
 */
#ifndef EVENKEEL_HTTP_FRAMING_H
#define EVENKEEL_HTTP_FRAMING_H

#include "evenkeel/http/head.h"

/* Names and empty elements in all Connection fields together; more are
 * H1_E_FIELDS_MANY, because each is compared with each field. */
#define H1_CONNECTION_NAMES_MAX 64
/* RFC 3986 3.2.2: a registered name has at most 255 characters. */
#define H1_HOST_NAME_BYTES 255

enum h1_body_kind {
	H1_BODY_NONE,
	H1_BODY_LENGTH, /* `length` bytes, at least 1 */
	H1_BODY_CHUNKED,
	H1_BODY_UNTIL_CLOSE /* responses only */
};

enum h1_target_form {
	H1_ORIGIN_FORM,   /* /path?query */
	H1_ABSOLUTE_FORM, /* http://host/path?query */
	H1_ASTERISK_FORM  /* * with OPTIONS only */
};

struct h1_framing {
	enum h1_body_kind body;
	uint64_t length;       /* of H1_BODY_LENGTH; else 0 */
	bool has_length;       /* a Content-Length was given (HEAD, 304, 0) */
	uint64_t given_length; /* its value */
	bool keep_alive;       /* the sender's side allows another message */
	bool nominates;        /* Connection names fields that the forwarder
				  would otherwise pass on */
	/* requests */
	enum h1_target_form form;
	struct h1_text path;  /* target in origin-form, or "*"; empty when an
				 absolute-form has no path: stands for "/"
				 (or "*" for OPTIONS), a query may follow it */
	struct h1_text host;  /* authority: of the target, else the Host field;
				 empty in HTTP/1.0 without Host */
	bool expect_continue; /* HTTP/1.1, has a body and asks for 100 */
	bool upgrade;         /* Connection names Upgrade, and there is one that
				 is not h2c alone */
	/* responses */
	uint32_t
	    keep_alive_timeout_s; /* Keep-Alive: timeout=N; 0 = not given */
};

/*
 * RFC 9112 6.3 for a request, and 3.2, 3.2.2 for its target and Host.
 * H1_OK: `out` is filled.  Else `out` is not to be used; the request gets
 * h1_error_status() and the connection is closed.
 *
 * HTTP/1.0 keeps alive only with `Connection: keep-alive` (9.3).
 */
enum h1_error h1_framing_request(const struct h1_head *h, const char *base,
    struct h1_framing *out) WARN_UNUSED;

/*
 * RFC 9112 6.3 for a response to `method`.  1xx, 204, 304 and answers to HEAD
 * have no body whatever their fields say; has_length / given_length and
 * a chunked Transfer-Encoding are then only information.  A 101 is reported
 * like any 1xx; whether it is allowed is the caller's business.
 */
enum h1_error h1_framing_response(const struct h1_head *h, const char *base,
    enum h1_method method, struct h1_framing *out) WARN_UNUSED;

/* RFC 3986 3.2.2, 3.2.3 without userinfo: reg-name, IPv4 or [IPv6], then an
 * optional port of digits up to 65535.  Empty is not valid. */
bool h1_is_authority(struct span s);

#endif
