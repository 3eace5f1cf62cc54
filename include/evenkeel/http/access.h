/*
 * access - the record of one request, and the lines made of it.
 *
 * Every request leaves exactly one record, whatever happened to it.  Fields
 * that came from a peer are escaped byte by byte, so that no request can
 * forge a line.
 *
 * Layer: http.  Pure: spans are the caller's and live through the call.
 *
 * Sources: SPEC of the json record in docs/logging.md; the Combined Log Format
 * of Apache httpd.
 */
#ifndef EVENKEEL_HTTP_ACCESS_H
#define EVENKEEL_HTTP_ACCESS_H

#include "evenkeel/base/textbuf.h"

/* Attempts a record can hold: retry_attempts is at most 10, plus the first,
 * plus one stale replacement. */
#define ACCESS_ATTEMPTS_MAX 12
/* A line never needs more: longer fields are cut (and end in "..."). */
#define ACCESS_LINE_BYTES 16384

enum access_outcome {
	ACCESS_OK,
	ACCESS_STATUS, /* the status is in retry_on */
	ACCESS_CONNECT_REFUSED,
	ACCESS_CONNECT_TIMEOUT,
	ACCESS_CONNECT_FAILED,
	ACCESS_TLS_FAILED,
	ACCESS_STALE,
	ACCESS_RESET,
	ACCESS_BAD_RESPONSE,
	ACCESS_TIMEOUT,
	ACCESS_CANCELLED,
	ACCESS_OUTCOMES
};

enum access_end {
	ACCESS_END_OK,
	ACCESS_END_CLIENT_BAD,
	ACCESS_END_CLIENT_SLOW,
	ACCESS_END_CLIENT_GONE,
	ACCESS_END_NO_ROUTE,
	ACCESS_END_NO_BACKEND,
	ACCESS_END_BACKEND_FAILED,
	ACCESS_END_BACKEND_SLOW,
	ACCESS_END_BACKEND_BROKE_OFF,
	ACCESS_END_SHUTDOWN,
	ACCESS_END_INTERNAL,
	ACCESS_ENDS
};

/* The word that stands in records, metrics and messages. */
const char *access_outcome_text(enum access_outcome o);
const char *access_end_text(enum access_end e);

struct access_attempt {
	struct span backend;
	enum access_outcome outcome;
	unsigned status; /* 0: none came */
	bool reused;
	uint32_t wait_ms, connect_ms, head_ms;
};

struct access_record {
	uint64_t time_ms; /* start, Unix epoch */
	struct span id, listener, client;
	struct span method, target, protocol, host;
	struct span referer, user_agent; /* combined only */
	unsigned status;
	uint64_t bytes_in, bytes_out; /* of the client's connection; heads
					 included; combined logs body_out */
	uint64_t body_out;
	uint32_t duration_ms;
	struct span pool, backend;
	unsigned retries;
	enum access_end end;
	struct span why;
	const struct access_attempt *attempts;
	size_t n_attempts;
};

/* Append one line with its '\n'.  Never more than ACCESS_LINE_BYTES; with that
 * much room out->full never becomes true. */
void access_put_json(struct textbuf *out, const struct access_record *r);
void access_put_combined(struct textbuf *out, const struct access_record *r);

/* RFC 3339 in UTC with milliseconds: 2026-11-22T15:30:37.123Z. */
void access_put_time(struct textbuf *out, uint64_t unix_ms);

#endif
