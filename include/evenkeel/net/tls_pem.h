/*
 * tls_pem - certificates and keys out of the bytes of files.
 *
 * Layer: net.  Any thread.
 *
 * Sources: RFC 7468 (PEM), RFC 5280 (certificates), RFC 8446 4.4.2 (order of a
 * chain).
 */
#ifndef EVENKEEL_NET_TLS_PEM_H
#define EVENKEEL_NET_TLS_PEM_H

#include <openssl/x509.h>

#include "evenkeel/net/tls_file.h"
#include "evenkeel/net/tls_space.h"

/* All certificates of a PEM file, at least one; other blocks are passed over.
 * NULL: told why. */
STACK_OF(X509) *
    tls_pem_certificates(const struct tls_file *f, const struct tls_space *s,
	struct tls_report *r, const struct tls_place *at) WARN_UNUSED;

void tls_pem_free(STACK_OF(X509) * certificates); /* NULL is allowed */

/* What one side shows: its certificate, those that lead to a root, its key. */
struct tls_chain {
	STACK_OF(X509) * certificates; /* the leaf first */
	EVP_PKEY *key;
	int64_t expires_s; /* the leaf */
};

/* Whose files those are. */
struct tls_chain_files {
	struct tls_file certificate, key;
	struct tls_place certificate_at, key_at;
};

/* Files that were not read are passed over.  False: told why; *c is then
 * fit for tls_chain_free. */
bool tls_chain_load(struct tls_chain *c, const struct tls_chain_files *f,
    const struct tls_space *s, struct tls_report *r) WARN_UNUSED;
void tls_chain_free(struct tls_chain *c);
/* What is usual for a client to want of a server, and lacks. */
void tls_chain_warn_of_clients(const struct tls_chain *c, struct tls_report *r,
    const struct tls_place *at);
X509 *tls_chain_leaf(const struct tls_chain *c);

/* Makes `ctx` show it.  False: told why. */
bool tls_chain_use(const struct tls_chain *c, SSL_CTX *ctx,
    struct tls_report *r, const struct tls_place *at) WARN_UNUSED;

/* Unix seconds. */
int64_t tls_pem_time(const ASN1_TIME *t);

/* "2026-12-05" and its NUL. */
#define TLS_DATE_BYTES 32
void tls_pem_put_date(char room[TLS_DATE_BYTES], const ASN1_TIME *t);

#endif
