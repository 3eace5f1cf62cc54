/*
 * tls_io - what all TLS streams of a thread share: the BIO through which
 * OpenSSL reads and writes, the buffer where sealed records gather, and the
 * buffers OpenSSL has given back.
 *
 * There is one BIO for all streams; `now` says whose call is under way.  It
 * never waits for a socket when it writes: records gather in `stage`, and
 * tls_io_push sends them, or leaves them in c->out.  OpenSSL gives back its
 * record buffers whenever they are empty (SSL_MODE_RELEASE_BUFFERS); they are
 * kept here, last in first out, so that an idle connection has none and a busy
 * one finds memory that is still in the cache.
 *
 * Layer: net.  Internal to net/tls.  One thread.
 */
#ifndef EVENKEEL_NET_TLS_IO_H
#define EVENKEEL_NET_TLS_IO_H

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "evenkeel/net/conn.h"

/* The most that one record carries (RFC 8446 5.1), and what sealing adds at
 * most: header, explicit nonce, MAC and padding of the old ciphers; or a
 * KeyUpdate in front of it. */
#define TLS_RECORD_BYTES 16384U
#define TLS_RECORD_EXTRA 96U
/* Sealed bytes that wait in c->out at most; a peer that has us answer without
 * reading (RFC 8446 4.6.3, key updates) is cut off beyond. */
#define TLS_WAITING_BYTES (1U << 20)
/* How long a ticket waits for a response: those of a near backend take less,
 * and nobody feels it who waits for the ticket itself. */
#define TLS_PARKED_US 10000U

struct tls;

/* Bytes that were sealed and wait for others to go with them. */
struct tls_parked {
	struct alarm due;
	struct tls *of;
	uint32_t len;
	char bytes[];
};

struct tls {
	SSL *ssl;
	struct conn *conn;
	struct tls_io *io;
	struct buf *early; /* read before TLS began; NULL: nothing is left */
	struct tls_parked *parked; /* NULL: nothing is */
	const char *why;
	uint64_t wire_in, wire_out;
	int error;        /* errno of reading; 0: none */
	int send_error;   /* ...of sending */
	uint32_t reads;   /* that the call under way may still make */
	uint32_t burst;   /* bytes sealed before they are sent */
	uint32_t small;   /* records that still are small */
	uint64_t sent_us; /* when the socket took the last byte; 0: none yet */
	bool server;
	bool begun;       /* the peer has sent something */
	bool plain;       /* ...which was HTTP */
	bool established; /* the handshake is complete */
	bool lull;        /* a short read: nothing more, or a reset behind it */
	bool moved;       /* the call under way has given bytes to its caller */
	bool drained;     /* nothing more is looked for after them */
	bool held_back;   /* `reads` came to 0 */
	bool ended;       /* the peer's FIN was read */
	bool failed;      /* by TLS itself: nothing more goes or comes */
	bool refused;     /* see conn_was_refused */
	bool said_end;
};

struct tls_io {
	struct loop *loop;
	struct tls *now;
	BIO *bio;
	struct buf *stage;      /* NULL: none yet */
	struct tls_block *free; /* OpenSSL's buffers */
	uint32_t n_free;
	char record[TLS_RECORD_BYTES]; /* where small pieces are joined */
};

/* The thread's; made when there is none.  NULL: no memory. */
struct tls_io *tls_io_of(struct loop *l) WARN_UNUSED;

/* Room for that many more bytes of records in `stage`: how many of them there
 * is, 0 without memory. */
uint32_t tls_io_room(struct tls_io *io, uint32_t wanted);

/* Sends what was sealed, or leaves it in c->out.  CONN_OK: sent or left. */
enum conn_io tls_io_push(struct tls *t) WARN_UNUSED;

/* Leaves it in c->out, which has the room. */
void tls_io_leave(struct tls *t);

/* Keeps it back for at most TLS_PARKED_US: it goes in front of what is sealed
 * next, in the same call.  CONN_OK: kept, sent or left. */
enum conn_io tls_io_park(struct tls *t) WARN_UNUSED;

/* Forgets what was kept back. */
void tls_io_unpark(struct tls *t);

#endif
