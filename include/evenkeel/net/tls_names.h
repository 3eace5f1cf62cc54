/*
 * tls_names - which certificates belong to a name that a client asks for.
 *
 * A sorted table of the names in certificates.  A name has at most one
 * certificate of each type of key, the first one given; OpenSSL picks among
 * those what a client can verify.
 *
 * Layer: net.  Any thread; immutable once sorted.
 *
 * Sources: RFC 6125 6.4 (matching of names), RFC 6066 3 (server names).
 */
#ifndef EVENKEEL_NET_TLS_NAMES_H
#define EVENKEEL_NET_TLS_NAMES_H

#include <openssl/x509.h>

#include "evenkeel/net/tls_context.h"

/* RFC 1035 2.3.4, as text. */
#define TLS_NAME_BYTES 253

/* RSA, RSA-PSS, EC, Ed25519, Ed448: of each OpenSSL takes one certificate. */
#define TLS_KEY_KINDS 5
/* No pair. */
#define TLS_PAIR_NONE SIZE_MAX

/* One certificate of each kind of key, by the index of its pair. */
struct tls_set {
	size_t pair[TLS_KEY_KINDS];
};

struct tls_name {
	char *text; /* lower case, "*.x.org" for a wildcard */
	size_t pair;
	unsigned kind; /* of the pair's key */
	size_t set;    /* into tls_names.sets, once sorted */
};

struct tls_names {
	struct tls_name *names;
	size_t n, cap;
	struct tls_set *sets; /* distinct; the first is for unknown names */
	size_t n_sets;
};

/* Which slot a key of this type takes; false: none that TLS has a use for. */
bool tls_names_kind(EVP_PKEY *key, unsigned *kind) WARN_UNUSED;

/* The names of the pair's certificate: DNS names, or else its common name.
 * False: no memory, or OpenSSL's error queue says what is wrong with them. */
bool tls_names_add(
    struct tls_names *t, X509 *leaf, size_t pair, unsigned kind) WARN_UNUSED;

/* Once, after all were added; pair 0 has a key of `first_kind`.  Names that
 * are equal are one from then on.  False: no memory. */
bool tls_names_sort(struct tls_names *t, unsigned first_kind) WARN_UNUSED;

/* The set for a name, in any case of letters, exact before wildcard; SIZE_MAX:
 * the name is unknown. */
size_t tls_names_find(const struct tls_names *t, struct span name);

/* Whether any set has the pair; without it, nobody ever gets it. */
bool tls_names_used(const struct tls_names *t, size_t pair);

void tls_names_free(struct tls_names *t);

#endif
