/*
 * exchange - one request and its answer, from the first byte of the head to
 * the access record.
 *
 * Reports what happens on its two connections to policy/flow and carries out
 * what flow orders; it takes no decision about attempts or ends itself.  It
 * knows its client as a connection and a table of callbacks, and not which
 * protocol is spoken there.
 *
 * Layer: proxy.  One worker.  Owned by its client, which learns by on_done
 * that it has ended; the memory goes at the end of the turn.
 *
 * Sources: RFC 9110 3, 7, 9.2.2, 10.1.1; RFC 9112; docs/architecture.md.
 */
#ifndef EVENKEEL_PROXY_EXCHANGE_H
#define EVENKEEL_PROXY_EXCHANGE_H

#include "evenkeel/http/forwarded.h"
#include "evenkeel/net/alarm.h"
#include "evenkeel/policy/flow.h"
#include "evenkeel/proxy/attempt.h"
#include "evenkeel/proxy/pump.h"
#include "evenkeel/proxy/snapshot.h"

/* X-Request-Id made here: 32 hexadecimal digits. */
#define EXCHANGE_ID_BYTES 32

struct worker;

/* What becomes of the client's connection after the exchange. */
enum exchange_after {
	EXCHANGE_KEEP,  /* another request may come */
	EXCHANGE_CLOSE, /* close in order, so that the client reads the end */
	EXCHANGE_CLOSE_AGREED, /* the same, and the client has asked for it and
				  sent all it will send */
	EXCHANGE_ABORT, /* the answer is incomplete: it must not look whole */
	EXCHANGE_GONE   /* the client is gone */
};

struct exchange_ops {
	/* The exchange is over; its owner forgets it. */
	void (*on_done)(void *arg, enum exchange_after after);
};

/* Who the client's connection is from. */
struct exchange_peer {
	struct ip ip;
	uint16_t port;  /* 0: not known */
	bool trusted;   /* one of trusted_proxies */
	bool https;     /* it speaks TLS */
	bool misplaced; /* ...but should: it spoke plain HTTP to a listener of
			   TLS, and gets 400 */
	uint8_t text_len;
	char text[ADDRESS_IP_BYTES]; /* its address; none of a unix socket */
	char *subject;               /* of its certificate; NULL: none */
};

struct exchange_from {
	struct worker *w;
	struct conn *conn; /* the client's */
	const struct front *front;
	const struct exchange_peer *peer; /* lives as long as the exchange */
	const struct exchange_ops *ops;
	void *arg;
};

struct exchange_attempt_note {
	struct backend *backend;
	uint8_t outcome; /* enum access_outcome */
	bool reused;
	uint16_t status;
	uint32_t wait_ms, connect_ms, head_ms;
	uint64_t asked_until_ms; /* Retry-After; 0: none */
};

/* Whom it waits for, and how far they have come (deadline). */
struct exchange_mark {
	unsigned who;
	uint64_t bytes;
};

struct exchange {
	uint32_t magic;
	struct exchange_from from;
	struct flow flow;
	struct wheel_timer timer;
	struct loop_task grave;
	struct snapshot_hold *hold; /* NULL once it has let go of it, and then
				       these two, too */
	const struct snapshot_listener *listener;
	const struct snapshot_pool *pool; /* NULL: not routed */
	struct snapshot_terms terms;      /* of the pool */
	struct upstream *upstream;
	struct backend *picked; /* whom the attempt goes to */
	bool picking_again;     /* among those that were tried already */
	struct list waiting;    /* in a queue */
	uint64_t queued_us;     /* since when; 0: in none */
	struct alarm backoff;   /* the wait before a retry */
	struct retry_facts facts;
	struct exchange *next_free;

	/* the request */
	uint32_t head_off;  /* in the client's buffer */
	bool head_done;     /* parsed; `framing` holds */
	bool continued;     /* a 100 was passed on */
	bool uploading;     /* body bytes are still to come from the client */
	bool upload_over;   /* nothing more goes to the backend */
	bool upload_failed; /* ...because it takes nothing more */
	bool leaving;       /* its listener is gone: the connection ends with
			       it */
	struct h1_head head;
	struct h1_framing framing;
	struct pump upload;
	char id[FORWARDED_ID_BYTES];
	uint8_t id_len;
	struct span client; /* for records and hashes: behind trusted proxies */
	char client_text[IP_TEXT_BYTES];

	/* the attempt and the answer */
	struct attempt attempt;
	struct pump download;
	size_t reply_bytes;   /* of the body of an answer of our own */
	unsigned status;      /* sent to the client; 0: none yet */
	bool keep;            /* the client's connection goes on afterwards */
	bool close_delimited; /* the client sees the end by the close */
	enum pump_result upload_state, download_state;
	const char *why;

	/* time, monotonic */
	uint64_t start_us;
	uint64_t head_deadline_ms,
	    request_deadline_ms;   /* 0: no byte of a head */
	uint64_t upload_since_ms;  /* when the clock of request_timeout stopped
				    */
	uint64_t paused_ms;        /* ...of the present attempt's time */
	uint64_t wait_since_us;    /* the last attempt ended, or none began */
	uint64_t progress_ms;      /* the last byte of a body moved */
	struct exchange_mark mark; /* when the timer was armed */
	uint32_t body_timeout_ms, stream_timeout_ms, send_timeout_ms;

	/* the record */
	struct exchange_attempt_note notes[ACCESS_ATTEMPTS_MAX];
	uint8_t n_notes;
	uint8_t n_named; /* notes whose backends know of it (lane.named) */
	uint64_t bytes_in_before, bytes_out_before;

	uint32_t n_request_fields, n_response_fields; /* room in `fields` */
	struct h1_field fields[]; /* of the request, then of a response */
};

/* A new exchange for bytes that have come or will come on from->conn; its time
 * starts now.  NULL: no memory. */
struct exchange *exchange_create(const struct exchange_from *from) WARN_UNUSED;

/* Something happened on the client's connection. */
void exchange_on_front(struct exchange *x);

/* Something happened on the backend's. */
void exchange_on_back(struct exchange *x);

/* A backend may have become usable for it (from queue). */
void exchange_woken(struct exchange *x);

/* Whether a byte of a request has come: if not, it may be given up without a
 * record by exchange_drop. */
bool exchange_begun(const struct exchange *x);
void exchange_drop(struct exchange *x);

/* evenkeel stops: a request whose head is not complete is not waited for. */
void exchange_hurry(struct exchange *x);

/* Its listener is gone: it is the last on its connection, and not waited for
 * if no byte of it has come. */
void exchange_leave(struct exchange *x);

/* Whether the connection ends with this request, whatever the client wants. */
bool exchange_closes(const struct exchange *x);

/* It is committed, or over: the configuration it began with may go. */
void exchange_let_go(struct exchange *x);

/* No time is left (shutdown). */
void exchange_shut_down(struct exchange *x);

/* Events for the flow, for the exchange's own parts (request, response): a bare
 * one; a request refused for `e`; the attempt failed as a->outcome says. */
struct flow_input exchange_event(enum flow_event e);
struct flow_input exchange_refused(struct exchange *x, enum h1_error e);
struct flow_input exchange_failed(struct exchange *x);

/* X-Request-Id. */
struct span exchange_id(const struct exchange *x);

struct worker *exchange_worker(const struct exchange *x);

bool exchange_ok(const struct exchange *x);

#endif
