/*
 * forwarded - how backends learn about the client, and whom evenkeel itself
 * takes for the client behind proxies that it trusts.
 *
 * From anyone else what came as X-Forwarded-* or Forwarded is removed and
 * written anew.  What a trusted peer sent is kept and extended by one hop:
 * the peer itself.  The mode says which of the two kinds goes out; fields of
 * the other kind never do, and neither is translated into the other, because
 * a proxy that writes one kind passes on what a client wrote in the other.
 *
 * Fields whose names are spelled with '_' are nobody's, and what Connection
 * says about these fields is not heard: else a client could have the address
 * behind the last proxy removed.
 *
 * X-Client-Cert-Subject is evenkeel's alone: what came under this name never
 * goes on, whoever sent it.
 *
 * Layer: http.  Pure.
 *
 * Sources: RFC 7239 4 (syntax), 5 (parameters), 6 (nodes), 8.1 (trust);
 * RFC 9110 5.6.1 (lists), 5.6.4 (quoted strings).
 */
#ifndef EVENKEEL_HTTP_FORWARDED_H
#define EVENKEEL_HTTP_FORWARDED_H

#include "evenkeel/http/cidr.h"
#include "evenkeel/http/head.h"

/* Proxies that forwarded_client goes back behind; no chain is that long. */
#define FORWARDED_HOPS_MAX 32
/* The longest X-Request-Id of a trusted peer that is taken over. */
#define FORWARDED_ID_BYTES 128

/* Bits: the kinds of fields that go out. */
enum forwarded_mode {
	FORWARDED_OFF,
	FORWARDED_X,       /* X-Forwarded-For, -Proto and -Host */
	FORWARDED_RFC7239, /* Forwarded */
	FORWARDED_BOTH = FORWARDED_X | FORWARDED_RFC7239
};

struct forwarded {
	enum forwarded_mode mode;
	bool trusted;          /* keep what came; else it is replaced */
	bool https;            /* how the client speaks to us */
	struct span client_ip; /* the peer, as text of ip_put; empty: none
				  known (a unix socket) */
	struct span subject;   /* of its verified certificate; empty: none */
};

/*
 * Appends the lines that f->mode asks for, and in every mode
 * X-Client-Cert-Subject when there is a subject; one with control bytes is not
 * sent.  `host` is the authority that the request is for, as
 * h1_framing_request left it, or empty.
 *
 * Trusted: X-Forwarded-For becomes one line, all values that came and then
 * the peer; other X-Forwarded-* pass, and -Proto and -Host are set when they
 * did not come (an empty one did not).  Forwarded becomes one line likewise;
 * a malformed one goes, and with it those before it, so that an open quote
 * can't swallow the hop that is added here.
 */
void forwarded_put(struct textbuf *out, const struct forwarded *f,
    const struct h1_head *h, const char *base, struct span host);

struct forwarded_walk {
	enum forwarded_mode mode;
	struct ip peer; /* of the connection; trusted */
	const struct cidr *trusted;
	size_t n_trusted;
};

/*
 * The client behind trusted peers: the rightmost address in X-Forwarded-For
 * that is not trusted itself, or when all are, the leftmost.  The walk stops
 * before what is no address (RFC 7239: `unknown`, `_hidden`) and after
 * FORWARDED_HOPS_MAX addresses; the last one seen is then the client, or
 * w->peer when there was none.  FORWARDED_RFC7239 reads Forwarded, every
 * other mode X-Forwarded-For, FORWARDED_BOTH the former without the latter.
 *
 * Only to be asked for a peer that is trusted.  IPv4-mapped addresses are
 * returned as IPv4.
 */
struct ip forwarded_client(
    const struct h1_head *h, const char *base, const struct forwarded_walk *w);

/*
 * X-Request-Id of a trusted peer: the value, when there is one such field and
 * it is a token of at most FORWARDED_ID_BYTES; else empty: make one.
 */
struct span forwarded_request_id(const struct h1_head *h, const char *base);

#endif
