/*
 * field - names and lines of header and trailer fields.
 *
 * Says which of the fields that evenkeel knows a name is, and whether a line
 * is a field line at all.  Used by the head parser and for trailers, so that
 * both accept the same.
 *
 * Layer: http.  Pure.
 *
 * Sources: RFC 9110 5.1 (names), 5.5 (values), 5.6.2 (tokens); RFC 9112 5.
 */
#ifndef EVENKEEL_HTTP_FIELD_H
#define EVENKEEL_HTTP_FIELD_H

#include <stdbool.h>
#include <stdint.h>

#include "evenkeel/base/check.h"
#include "evenkeel/base/span.h"
#include "evenkeel/http/error.h"

/*
 * Fields that evenkeel looks at.  A name counts as known also when it is
 * spelled with '_' for '-' (`Content_Length`), because CGI-like backends read
 * both alike; such a field has `underscore` set and never means anything to
 * evenkeel itself.  The forwarder drops it where the name it resembles is one
 * that frames the message or that evenkeel sets.
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
	H1_FIELD_X_CLIENT_CERT_SUBJECT,
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

/* Which known field a name is; sets *underscore as struct h1_field has it. */
enum h1_field_id h1_field_lookup(struct span name, bool *underscore);

/* RFC 9110 5.6.2: one or more tchar. */
bool h1_is_token(struct span s);

/*
 * Checks one field line (without CRLF) as h1_head_parse would: H1_OK with its
 * parts as offsets from line.ptr, or the error.  For trailers.
 */
enum h1_error h1_field_line(struct span line, struct h1_field *out) WARN_UNUSED;

#endif
