/*
 * tls_tickets - the keys that session tickets are sealed with.
 *
 * The newest seals, all open.  Keys that are drawn here turn when somebody
 * asks and their time has come, so that no timer is needed; keys of a file stay
 * as they are, and whoever has the same file opens the same tickets.
 *
 * Layer: net.  Any thread: a lock is held for a copy.
 *
 * Sources: RFC 5077 4 (form of a ticket), 5.5 (protection of keys).
 */
#ifndef EVENKEEL_NET_TLS_TICKETS_H
#define EVENKEEL_NET_TLS_TICKETS_H

#include "evenkeel/net/tls_file.h"
#include "evenkeel/net/tls_space.h"

#define TLS_TICKET_NAME_BYTES 16
#define TLS_TICKET_KEY_BYTES  32
/* Drawn keys: a key seals for one turn, and what it sealed lives two more. */
#define TLS_TICKET_DRAWN 3
/* Of a file. */
#define TLS_TICKET_KEYS_MAX 16

struct tls_ticket_key {
	unsigned char name[TLS_TICKET_NAME_BYTES];
	unsigned char aes[TLS_TICKET_KEY_BYTES], mac[TLS_TICKET_KEY_BYTES];
	size_t len; /* of each of the two: 16 or 32 */
	uint64_t drawn_s;
};

/* The keys of a file, one hold.  NULL: told why. */
struct tls_tickets *tls_tickets_parse(const struct tls_file *f,
    struct tls_report *r, const struct tls_place *at) WARN_UNUSED;

struct tls_tickets *tls_tickets_hold(struct tls_tickets *t);

/* The key to seal with at `now_s`, a monotonic time. */
void tls_tickets_newest(
    struct tls_tickets *t, uint64_t now_s, struct tls_ticket_key *key);

enum tls_tickets_found {
	TLS_TICKETS_UNKNOWN, /* or too old */
	TLS_TICKETS_NEWEST,
	TLS_TICKETS_OLDER /* opens, but seals no longer */
};
enum tls_tickets_found tls_tickets_find(struct tls_tickets *t, uint64_t now_s,
    const unsigned char name[TLS_TICKET_NAME_BYTES],
    struct tls_ticket_key *key);

/* OpenSSL's callback, but for who is asked for keys. */
int tls_tickets_on_key(struct tls_tickets *t, const struct tls_space *s,
    SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int seal);

#endif
