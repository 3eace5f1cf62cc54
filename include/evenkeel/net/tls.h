/*
 * tls - the TLS of one connection: handshake, records, orderly end.
 *
 * Only `conn` uses this: for everybody else a stream is a stream.  Bytes come
 * from the socket straight into OpenSSL's buffer, as many as fit, so that a
 * small record costs one recv; records that go out are gathered in a buffer of
 * the thread and sent by one send.  What the socket does not take waits in
 * c->out, sealed; OpenSSL never waits for a socket.
 *
 * Layer: net.  One thread, that of the connection's loop.
 *
 * Sources: RFC 8446 5 (records), 6.1 (closure), RFC 5246 6.2, 7.2.1;
 * RFC 9112 9.8 (TLS connection closure).
 */
#ifndef EVENKEEL_NET_TLS_H
#define EVENKEEL_NET_TLS_H

#include "evenkeel/net/conn.h"
#include "evenkeel/net/tls_context.h"

struct tls;
struct tls_io;

/* Before anything else in the process uses OpenSSL: memory of its buffers. */
void tls_init(void);

/* A thread's part, made by its first stream; loop_free ends it. */
void tls_io_free(struct tls_io *io);

/* Takes `ssl` over, also when it fails.  NULL: no memory. */
struct tls *tls_create(struct conn *c, struct ssl_st *ssl) WARN_UNUSED;
void tls_free(struct tls *t);

/* As conn_handshake, conn_recv and conn_send have it.  Never inlined there:
 * their plain ways would pay for it (a percent of a request's instructions). */
#define TLS_APART __attribute__((noinline))

enum conn_io tls_handshake(struct conn *c) WARN_UNUSED;
TLS_APART enum conn_io
tls_recv(struct conn *c, void *p, size_t len, size_t *got) WARN_UNUSED;
TLS_APART enum conn_io tls_send(
    struct conn *c, const struct iovec *piece, int n, size_t *sent) WARN_UNUSED;

/* Seals `bytes` into c->out.  False: no room or memory, and nothing was. */
TLS_APART bool tls_keep(struct conn *c, struct span bytes) WARN_UNUSED;

/* As conn_flush: sends what waits in c->out, and FIN behind it when c->fin. */
TLS_APART enum conn_io tls_flush(struct conn *c) WARN_UNUSED;

/* Says close_notify, once: sent, or behind what waits in c->out. */
void tls_say_end(struct conn *c);

#endif
