/*
 * tls_trust - certificates of CAs that a peer's certificate is verified with.
 *
 * What is in the file is trusted, roots or not: whoever names an intermediate
 * CA, or a single certificate, means just that.
 *
 * Layer: net.  Any thread.
 */
#ifndef EVENKEEL_NET_TLS_TRUST_H
#define EVENKEEL_NET_TLS_TRUST_H

#include <openssl/x509.h>

#include "evenkeel/net/tls_file.h"
#include "evenkeel/net/tls_space.h"

/* Longer chains are somebody's joke. */
#define TLS_TRUST_DEPTH 10

/* Of a PEM file; `names`, unless it is NULL, becomes the list of subjects that
 * a server sends.  NULL: told why. */
X509_STORE *tls_trust_load(const struct tls_file *f, const struct tls_space *s,
    STACK_OF(X509_NAME) * *names, struct tls_report *r,
    const struct tls_place *at) WARN_UNUSED;

#endif
