/*
 * conn_tls - a connection begins to speak TLS, and what is particular to one
 * that does.
 *
 * Reading, writing and closing are those of conn.
 *
 * Layer: net.  One thread, that of the connection's loop.
 *
 * Sources: RFC 8446, RFC 5246; docs/tls.md.
 */
#ifndef EVENKEEL_NET_CONN_TLS_H
#define EVENKEEL_NET_CONN_TLS_H

#include "evenkeel/net/conn.h"
#include "evenkeel/net/tls_context.h"

/*
 * TLS from here on, as the server.  What lies in c->in, unlooked at, is the
 * beginning of the handshake.  False: no memory.
 */
bool conn_secure_server(struct conn *c, struct tls_server *s) WARN_UNUSED;

/* The same as the client, of a server that is called `name`; see
 * tls_client_stream.  c->in must be empty: what came before the handshake is
 * nobody's. */
bool conn_secure_client(struct conn *c, struct tls_client *t, const char *name,
    uint64_t identity, struct tls_slot *slot) WARN_UNUSED;

/*
 * Goes on with the handshake.  CONN_OK: it is complete.  CONN_EOF: the peer
 * left.  CONN_ERROR: c->error is EPROTO when TLS itself failed, and conn_why
 * says how; else it is errno.  CONN_ERROR with c->tls NULL: the peer does not
 * speak TLS but, by its first bytes, HTTP; they lie in c->in, and the
 * connection is a plain one.
 */
enum conn_io conn_handshake(struct conn *c) WARN_UNUSED;

/* After it failed: TLS is given up, and what still comes can only be read and
 * thrown away. */
void conn_unsecure(struct conn *c);

/* Why TLS failed, in words, when c->error is EPROTO. */
const char *conn_why(const struct conn *c);

/* TLS failed since the peer refused what certificate it was shown, or that it
 * was shown none; it has taken no byte for its own use then. */
bool conn_was_refused(const struct conn *c);

/* Whether the handshake took up an earlier session; after it. */
bool conn_resumed(const struct conn *c);

/* Appends the subject of the peer's certificate.  False: there is none. */
bool conn_put_subject(const struct conn *c, struct textbuf *out) WARN_UNUSED;

/* After CONN_AGAIN: part of a record has come, of which nothing can be read
 * yet. */
bool conn_has_part(const struct conn *c);

/* Bytes that went over the wire, sealed ones if they are: progress of a peer
 * that is slow with a record. */
uint64_t conn_wire_in(const struct conn *c);
uint64_t conn_wire_out(const struct conn *c);

#endif
