/*
 * tls_context - what the TLS streams of a listener, or those to the backends
 * of a pool, have in common: certificates, keys, ciphers, trust, tickets.
 *
 * Everything that evenkeel wants of TLS is said here and in net/tls_*:
 * versions 1.2 and 1.3, ciphers with forward secrecy and authenticated
 * encryption only, no compression, no renegotiation, verification of backends
 * unless it is turned off.  Immutable once made.  One is made for each space,
 * so that threads share neither locks nor counters of references.
 *
 * Layer: net.  Made and released by any thread, one at a time; streams are
 * opened by the thread of the space.
 *
 * Sources: RFC 8446 (TLS 1.3), RFC 5246 (TLS 1.2), RFC 6066 3 (SNI), 8 (status
 * request), RFC 5077 (tickets), RFC 7301 (ALPN), RFC 6125 6.4 (names), RFC 9325
 * (recommendations), RFC 4514 (names as text).
 */
#ifndef EVENKEEL_NET_TLS_CONTEXT_H
#define EVENKEEL_NET_TLS_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "evenkeel/base/check.h"
#include "evenkeel/base/textbuf.h"

/* OpenSSL's own types, of which nobody else needs to know more. */
struct ssl_st;
struct ssl_session_st;

/* A library context of OpenSSL for the streams of one thread. */
struct tls_space;
/* NULL: no memory. */
struct tls_space *tls_space_create(void) WARN_UNUSED;
/* After all that was made in it has been released. */
void tls_space_free(struct tls_space *s);

/* Who is told what is wrong with files and words.  `key` is the option
 * ("tls_certificate"), `index` says which of its values (0 is the first);
 * `reason` is a phrase that ends without a period and begins with the path
 * when it is about a file. */
struct tls_teller {
	void (*error)(
	    const char *key, size_t index, const char *reason, void *arg);
	/* What works and should be looked at: a certificate that expires within
	 * TLS_EXPIRY_WARN_DAYS or has expired, a key that others may read, a
	 * staple that is out of date.  May be NULL. */
	void (*warning)(
	    const char *key, size_t index, const char *reason, void *arg);
	/* A file was read; equal digests: equal content (but for chance of
	 * 2^-64).  May be NULL. */
	void (*content)(
	    const char *key, size_t index, uint64_t digest, void *arg);
	void *arg;
};

#define TLS_EXPIRY_WARN_DAYS 30
/* The largest file that is read: a bundle of all CAs there are is a quarter. */
#define TLS_FILE_BYTES (1U << 20)

/* ---- session tickets ---- */

/* Keys that tickets are sealed with, shared by all listeners and workers; a new
 * one is drawn every TLS_TICKET_TURN_S, and tickets are good for
 * TLS_TICKET_LIFE_S. */
#define TLS_TICKET_TURN_S 3600
#define TLS_TICKET_LIFE_S 7200
struct tls_tickets;
struct tls_tickets *tls_tickets_create(void) WARN_UNUSED;
/* After the listeners that use it. */
void tls_tickets_free(struct tls_tickets *t);

/* ---- listeners ---- */

struct tls_pair {
	const char *certificate; /* PEM: the leaf and what leads to its root */
	const char *key;         /* PEM, without a passphrase */
	const char *staple;      /* an OCSP response, DER; NULL: none */
};

struct tls_server_terms {
	const char *name; /* of the listener: sessions are good for it alone */
	const struct tls_pair *pairs;
	size_t n_pairs; /* >= 1 */
	bool only_1_3;
	const char *ciphers;      /* of TLS 1.2; empty: TLS_CIPHERS */
	const char *ciphersuites; /* of TLS 1.3; empty: TLS_CIPHERSUITES */
	const char *client_ca;    /* PEM; empty: clients show no certificate */
	const char *ticket_keys;  /* file; empty: `tickets` */
	struct tls_tickets *tickets;
};

/* What is used when nothing is said. */
#define TLS_CIPHERS                                                  \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define TLS_CIPHERSUITES                                 \
	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:" \
	"TLS_CHACHA20_POLY1305_SHA256"

struct tls_server;

/*
 * Reads the files once and makes one for each space, out[i] with one hold.
 * Which certificate a client gets: by its SNI, an exact name before a
 * wildcard (one label), RSA or ECDSA as the client can when there are both
 * for the name; the first one when it sends no name or an unknown one.
 * False: the teller was told all that is wrong, and nothing was made.
 */
bool tls_servers_create(struct tls_server **out,
    struct tls_space *const *spaces, size_t n, const struct tls_server_terms *t,
    const struct tls_teller *teller) WARN_UNUSED;

struct tls_server *tls_server_hold(struct tls_server *s);
void tls_server_release(struct tls_server *s); /* NULL is allowed */

/* When the n-th pair's certificate expires, in Unix seconds. */
int64_t tls_server_expiry(const struct tls_server *s, size_t pair);

/* A stream in the accepting state, without a BIO; it holds `s` until SSL_free.
 * NULL: no memory. */
struct ssl_st *tls_server_stream(struct tls_server *s) WARN_UNUSED;

/* Appends the subject of the client's certificate (RFC 4514, UTF-8, other bytes
 * escaped).  False: it showed none, or `out` is full. */
bool tls_put_subject(struct textbuf *out, const struct ssl_st *ssl) WARN_UNUSED;

/* ---- backends ---- */

struct tls_client_terms {
	bool verify;             /* the certificate and the name in it */
	const char *ca;          /* PEM; empty: what the system trusts */
	const char *certificate; /* ours, PEM; empty: none */
	const char *key;
};

struct tls_client;

bool tls_clients_create(struct tls_client **out,
    struct tls_space *const *spaces, size_t n, const struct tls_client_terms *t,
    const struct tls_teller *teller) WARN_UNUSED;

struct tls_client *tls_client_hold(struct tls_client *c);
void tls_client_release(struct tls_client *c); /* NULL is allowed */

/* Not 0; equal when terms and the contents of all files are equal (but for
 * chance of 2^-64).  `server_name`: an override that belongs to the terms, or
 * empty. */
uint64_t
tls_client_identity(const struct tls_client *c, struct span server_name);

/* When our certificate expires, in Unix seconds; 0: there is none. */
int64_t tls_client_expiry(const struct tls_client *c);

/* Where the last session of one backend is kept, by one thread.  All zero: none
 * yet. */
struct tls_slot {
	struct ssl_session_st *session;
	uint64_t identity;
};
void tls_slot_clear(struct tls_slot *slot);

/*
 * A stream in the connecting state, without a BIO, that asks for `name` (a host
 * name or an IP address; an address is verified as such and not sent as SNI)
 * and offers ALPN http/1.1.  It resumes the session of `slot` when that has
 * the same identity, and keeps newer ones there; `slot` may be NULL and must
 * outlive the stream.  It holds `c` until SSL_free.  NULL: no memory.
 */
struct ssl_st *tls_client_stream(struct tls_client *c, const char *name,
    uint64_t identity, struct tls_slot *slot) WARN_UNUSED;

/* ---- failures ---- */

/* Why the last call on `ssl` failed, as a phrase ("certificate has expired",
 * "the name is not in the certificate", "no cipher in common", "the peer said:
 * unknown CA"); a static text.  Empties the thread's error queue. */
const char *tls_failure_text(const struct ssl_st *ssl);

/* Whether a peer's alert, which was the last failure, says that it never took
 * part in the session for want of a good certificate of ours (TLS 1.3 says so
 * only after the handshake).  To be asked before tls_failure_text. */
bool tls_failure_is_refusal(void);

#endif
