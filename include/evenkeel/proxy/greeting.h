/*
 * greeting - what comes before the first request on a client's connection: a
 * PROXY header, then the TLS handshake, as its listener wants them.
 *
 * Layer: proxy.  One worker.
 *
 * Sources: docs/tls.md; the PROXY protocol in http/proxyproto.
 */
#ifndef EVENKEEL_PROXY_GREETING_H
#define EVENKEEL_PROXY_GREETING_H

#include "evenkeel/net/conn.h"
#include "evenkeel/proxy/exchange.h"

/* A longer subject of a certificate is not passed on. */
#define GREETING_SUBJECT_BYTES 4096

enum greeting_step {
	GREETING_NONE, /* nothing has begun, or all is done */
	GREETING_PROXY,
	GREETING_SHAKE
};

struct greeting {
	struct worker *w;
	struct conn *conn;
	const struct front *front;
	struct exchange_peer *peer; /* is told what is learned */
	enum greeting_step step;
};

enum greeting_result {
	GREETING_MORE,      /* on_ready of the connection goes on */
	GREETING_DONE,      /* requests may come */
	GREETING_MISPLACED, /* one has come, but plain, to a listener of TLS */
	GREETING_REFUSED,   /* the peer was told; it is to read that */
	GREETING_GONE       /* nothing more can be said */
};

/* Whether a connection to this listener begins with anything but a request. */
bool greeting_wanted(const struct snapshot_listener *l);

/* Begins (GREETING_NONE) or goes on. */
enum greeting_result greeting_run(struct greeting *g) WARN_UNUSED;

/* There was no end of the handshake: it has failed if it was begun. */
void greeting_timed_out(struct worker *w, const struct conn *c);

/* Notes who the peer is. */
void greeting_note_peer(struct exchange_peer *p, struct ip ip, uint16_t port);

#endif
