#include "evenkeel/net/tls_trust.h"

#include <openssl/err.h>

#include "evenkeel/net/tls_failure.h"
#include "evenkeel/net/tls_pem.h"

/* RFC 8446 4.2.4: the length of the list is a uint16. */
#define NAMES_BYTES 65535

static X509_STORE *
store_of(STACK_OF(X509) * all)
{
	X509_STORE *store = X509_STORE_new();
	bool ok = store != NULL &&
	    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1;

	for (int i = 0; ok && i < sk_X509_num(all); i++)
		ok = X509_STORE_add_cert(store, sk_X509_value(all, i)) == 1;
	if (ok)
		return store;
	X509_STORE_free(store);
	return NULL;
}

static bool
add_name(STACK_OF(X509_NAME) * to, X509_NAME *name, size_t *bytes)
{
	X509_NAME *copy;

	for (int i = 0; i < sk_X509_NAME_num(to); i++)
		if (X509_NAME_cmp(sk_X509_NAME_value(to, i), name) == 0)
			return true;
	copy = X509_NAME_dup(name);
	if (copy == NULL || sk_X509_NAME_push(to, copy) <= 0) {
		X509_NAME_free(copy);
		return false;
	}
	*bytes += (size_t)i2d_X509_NAME(copy, NULL) + 2;
	return true;
}

/* NULL, or what is wrong. */
static const char *
names_of(STACK_OF(X509) * all, STACK_OF(X509_NAME) * *names)
{
	STACK_OF(X509_NAME) *to = sk_X509_NAME_new_null();
	size_t bytes = 0;
	bool ok = to != NULL;

	/* Bounded: what does not fit ends it. */
	for (int i = 0; ok && bytes <= NAMES_BYTES && i < sk_X509_num(all); i++)
		ok = add_name(
		    to, X509_get_subject_name(sk_X509_value(all, i)), &bytes);
	if (ok && bytes <= NAMES_BYTES) {
		*names = to;
		return NULL;
	}
	sk_X509_NAME_pop_free(to, X509_NAME_free);
	return ok
	    ? "too many CAs in it: their names do not fit into a handshake"
	    : "no memory";
}

X509_STORE *
tls_trust_load(const struct tls_file *f, const struct tls_space *s,
    STACK_OF(X509_NAME) * *names, struct tls_report *r,
    const struct tls_place *at)
{
	STACK_OF(X509) *all = tls_pem_certificates(f, s, r, at);
	X509_STORE *store;
	const char *why = NULL;

	if (all == NULL)
		return NULL;
	store = store_of(all);
	if (store == NULL)
		why = tls_failure_words("no memory");
	else if (names != NULL)
		why = names_of(all, names);
	tls_pem_free(all);
	ERR_clear_error();
	if (why == NULL)
		return store;
	tls_error(r, at, why, NULL);
	X509_STORE_free(store);
	return NULL;
}
