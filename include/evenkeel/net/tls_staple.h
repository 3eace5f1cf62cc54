/*
 * tls_staple - an OCSP response from a file, which says of a certificate that
 * it is not revoked.
 *
 * Layer: net.  Any thread.
 *
 * Sources: RFC 6960 4.2 (responses), RFC 6066 8 (status request).
 */
#ifndef EVENKEEL_NET_TLS_STAPLE_H
#define EVENKEEL_NET_TLS_STAPLE_H

#include <openssl/x509.h>

#include "evenkeel/net/tls_file.h"

struct tls_staple {
	unsigned char *bytes; /* NULL: none */
	size_t len;
	int64_t from_s, until_s; /* Unix time; until_s: INT64_MAX without end */
};

/* A response about `leaf`.  One that is out of date is told as a warning and
 * kept.  False: told why. */
bool tls_staple_load(struct tls_staple *st, const struct tls_file *f,
    X509 *leaf, struct tls_report *r, const struct tls_place *at) WARN_UNUSED;
void tls_staple_free(struct tls_staple *st);

/* Whether it may be sent at `now_s`. */
bool tls_staple_good(const struct tls_staple *st, int64_t now_s);

#endif
