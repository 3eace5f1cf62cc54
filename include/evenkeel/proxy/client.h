/*
 * client - one connection of a client: waits for requests, has one exchange
 * at a time, and ends in order.
 *
 * After an answer that closes the connection it lingers: it sends FIN and
 * reads on for a while, because closing with unread bytes would reset the
 * connection and could take the answer away from the client.
 *
 * Layer: proxy.  One worker, which owns it.
 *
 * Sources: RFC 9112 9.3.2 (pipelining), 9.5 (timeouts), 9.6 (tear-down).
 */
#ifndef EVENKEEL_PROXY_CLIENT_H
#define EVENKEEL_PROXY_CLIENT_H

#include "evenkeel/net/address.h"
#include "evenkeel/net/conn.h"

/* How long a closing connection is read after its answer has arrived, and how
 * many bytes in one go. */
#define CLIENT_LINGER_MS 2000
/* The same while evenkeel stops. */
#define CLIENT_LINGER_STOP_MS 300
/* Who has just ended a TLS handshake then may still send its request. */
#define CLIENT_FIRST_STOP_MS 1000
#define CLIENT_LINGER_BYTES  (1U << 20)

struct worker;
struct front;
struct snapshot;

/* Takes a new connection over, which came in by `bind`: its requests are those
 * of the listener that has the bind at the time.  Closes it when there is no
 * memory. */
void client_accept(
    struct worker *w, int fd, const struct sockaddr *peer, uint64_t bind);

struct client;

/* The worker drains: ends it if it is idle, else after its request. */
void client_drain(struct client *c);

/* The worker's binds are those of `next`, the snapshot that it is about to
 * have. A client whose bind leads to another listener goes there with its next
 * request.  One whose listener is gone may finish its request, and no other
 * begins. */
void client_move(struct client *c, const struct snapshot *next);

/* A pool compares what is in flight from now on. */
void client_recount(struct client *c);

/* Ends it now, its request with a record. */
void client_stop(struct client *c);

/* The client whose link in the worker's list this is. */
struct client *client_of(struct list *link);

#endif
