/*
 * tls_space - what the threads of OpenSSL do not share: a library context of
 * its own, and the algorithms that tickets need, looked up once.
 *
 * The SSL_CTXs that are made here carry the settings that every listener and
 * every pool has, and are counted by OpenSSL: what belongs to one goes with
 * its last reference, so that a stream costs no count of its own.
 *
 * Layer: net.  Made and released by any thread, one at a time.
 *
 * Sources: RFC 9325 (recommendations), RFC 8446 4.2.7 (groups).
 */
#ifndef EVENKEEL_NET_TLS_SPACE_H
#define EVENKEEL_NET_TLS_SPACE_H

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "evenkeel/net/tls_context.h"

struct tls_space {
	OSSL_LIB_CTX *lib; /* NULL: the one that all share */
	EVP_CIPHER *aes128, *aes256;
};

/* What an SSL_CTX belongs to.  `free` is called when the last reference to
 * `first` goes. */
struct tls_owner {
	SSL_CTX *first;
	void (*free)(struct tls_owner *o);
	/* Each release, before OpenSSL counts it: its own count orders
	 * nothing, and whoever frees must have seen all that was read. */
	_Atomic uint32_t released;
};

struct tls_settings {
	bool only_1_3;
	const char *ciphers;      /* NULL or empty: TLS_CIPHERS */
	const char *ciphersuites; /* NULL or empty: TLS_CIPHERSUITES */
};

/* An SSL_CTX for `o`, which becomes the first one if it has none; words of
 * `t` were checked by tls_words.  NULL: no memory. */
SSL_CTX *tls_space_context(const struct tls_space *s, const SSL_METHOD *method,
    const struct tls_settings *t, struct tls_owner *o) WARN_UNUSED;

/* Of an SSL_CTX made above.  Never NULL. */
struct tls_owner *tls_space_owner(const SSL_CTX *ctx);

/* One that is not the first may outlive its owner for the rest of SSL_free: the
 * owner is told of its end no more. */
void tls_space_disown(SSL_CTX *ctx);

/* Another reference to the first SSL_CTX, and its end. */
void tls_space_hold(struct tls_owner *o);
void tls_space_release(struct tls_owner *o);

/* Two values of a stream for whoever opens it.  False: no memory. */
bool tls_space_note(SSL *ssl, void *slot, uintptr_t mark) WARN_UNUSED;
void *tls_space_slot(const SSL *ssl);
uintptr_t tls_space_mark(const SSL *ssl);

/* SHA-256 over the lengths and bytes of `parts`.  False: no memory. */
#define TLS_DIGEST_BYTES 32
bool tls_space_digest(unsigned char out[TLS_DIGEST_BYTES],
    const struct span *parts, size_t n) WARN_UNUSED;

#endif
