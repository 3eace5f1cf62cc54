/*
 * attempt - one try to get a response from one backend.
 *
 * Knows the connection, reads the response head (and the 1xx heads before it),
 * and judges how an attempt that failed has failed.  What follows from that is
 * the exchange's business (policy/flow).
 *
 * Layer: proxy.  One worker.  Owned by its exchange.
 *
 * Sources: RFC 9110 15.2 (informational), RFC 9112 6.3, 9.3.1.
 */
#ifndef EVENKEEL_PROXY_ATTEMPT_H
#define EVENKEEL_PROXY_ATTEMPT_H

#include "evenkeel/http/access.h"
#include "evenkeel/http/framing.h"
#include "evenkeel/proxy/pool.h"
#include "evenkeel/proxy/snapshot.h"

/* All 1xx heads of one response together. */
#define ATTEMPT_INTERIM_BYTES 65536
/* A reused connection that ends within this after the request's last byte,
 * before a byte of the response, was stale. */
#define ATTEMPT_STALE_MS 1000

struct exchange;

enum attempt_head {
	ATTEMPT_HEAD_MORE,
	ATTEMPT_HEAD_INTERIM, /* a 1xx; see attempt_interim_done */
	ATTEMPT_HEAD_FINAL,
	ATTEMPT_HEAD_SWITCHED, /* a 101 that was asked for */
	ATTEMPT_HEAD_FAILED    /* `outcome` says how */
};

struct attempt {
	struct exchange *x;
	struct back *back; /* NULL: no attempt is under way */
	struct backend *backend;
	bool reused;
	bool counted;         /* in backend->taken */
	bool upgrade;         /* a 101 is an answer; set by the request */
	bool unasked;         /* bytes came that answer nothing */
	bool starved;         /* it failed for want of memory or descriptors */
	uint64_t leased_turn; /* of the loop */
	uint64_t start_us, connected_us, sent_us, head_us; /* 0: not yet */
	uint64_t bytes_before_in, bytes_before_out;        /* of a reused one */
	uint32_t interim_bytes;
	struct h1_head head;
	struct h1_framing framing;
	struct h1_field *fields; /* room for limits.fields */
	struct h1_limits limits;
	enum access_outcome outcome;
	const char *why; /* a phrase for the record; never NULL after failing */
};

/* Makes ready for the next try; `fields` as the limits have it. */
void attempt_init(struct attempt *a, struct exchange *x,
    const struct cfg_pool *cfg, struct h1_field *fields);

/* Takes an idle connection to `backend`.  False: there is none. */
bool attempt_lease(struct attempt *a, struct backend *backend,
    uint64_t max_idle_ms) WARN_UNUSED;

/* Opens a new one: CONN_OK, CONN_AGAIN, or CONN_ERROR with a->outcome. */
enum conn_io
attempt_connect(struct attempt *a, struct backend *backend) WARN_UNUSED;

/* After an event while connecting: CONN_OK, CONN_AGAIN, or CONN_ERROR with
 * a->outcome. */
enum conn_io attempt_connected(struct attempt *a) WARN_UNUSED;

/* Reads on in the response head that answers `method`. */
enum attempt_head
attempt_read_head(struct attempt *a, enum h1_method method) WARN_UNUSED;

/* The 1xx in a->head has been dealt with: go on behind it. */
void attempt_interim_done(struct attempt *a);

/* Where the head's bytes lie. */
const char *attempt_head_base(const struct attempt *a);

/* The head has been used: what follows it is the body. */
void attempt_head_done(struct attempt *a);

/* A response that nobody wants: forgets head and body when all of it is here.
 * False: it is not, and the connection cannot be used again. */
bool attempt_skip_body(struct attempt *a) WARN_UNUSED;

/* Sending the request failed: sets a->outcome (and why) from how far it had
 * come. */
void attempt_send_failed(struct attempt *a);

/* The kernel took a byte of the request / the backend sent one. */
bool attempt_sent_any(const struct attempt *a);
bool attempt_got_any(const struct attempt *a);

/* Ends the attempt: keeps the connection when `reusable`, else closes it. */
void
attempt_end(struct attempt *a, bool reusable, const struct snapshot_terms *t);

/* The connection has something to say (from pool). */
void attempt_on_back(struct attempt *a);

#endif
