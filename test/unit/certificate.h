/* certificate.h - certificates and keys for a test, written as PEM files. */
#ifndef EVENKEEL_TEST_CERTIFICATE_H
#define EVENKEEL_TEST_CERTIFICATE_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define CERTIFICATE_DAY_S 86400L

/* A file in a directory; two of them can be in use at a time. */
static inline const char *
certificate_path(const char *dir, const char *name)
{
	static char bytes[2][128];
	static unsigned n;

	n ^= 1U;
	(void)snprintf(bytes[n], sizeof(bytes[n]), "%s/%s", dir, name);
	return bytes[n];
}

/* Self-signed for "web.test", good for so many days from now on (or until some
 * days ago); the key is for its owner alone.  False: it could not be made. */
static inline bool
certificate_write(const char *crt, const char *key, long days)
{
	EVP_PKEY *pair = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_NAME *name = x == NULL ? NULL : X509_get_subject_name(x);
	FILE *to_crt = fopen(crt, "we"), *to_key = fopen(key, "we");
	X509_EXTENSION *names = X509V3_EXT_conf_nid(
	    NULL, NULL, NID_subject_alt_name, "DNS:web.test");
	static long serial = 1;
	bool good;

	good = pair != NULL && name != NULL && to_crt != NULL &&
	    to_key != NULL && names != NULL && X509_set_version(x, 2) == 1 &&
	    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++) == 1 &&
	    X509_gmtime_adj(
		X509_getm_notBefore(x), -1000 * CERTIFICATE_DAY_S) != NULL &&
	    X509_gmtime_adj(X509_getm_notAfter(x), days * CERTIFICATE_DAY_S) !=
		NULL &&
	    X509_set_pubkey(x, pair) == 1 &&
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
		(const unsigned char *)"web.test", -1, -1, 0) == 1 &&
	    X509_set_issuer_name(x, name) == 1 &&
	    X509_add_ext(x, names, -1) == 1 &&
	    X509_sign(x, pair, EVP_sha256()) > 0 &&
	    PEM_write_X509(to_crt, x) == 1 &&
	    PEM_write_PrivateKey(to_key, pair, NULL, NULL, 0, NULL, NULL) == 1;
	good &= to_crt != NULL && fclose(to_crt) == 0;
	good &= to_key != NULL && fclose(to_key) == 0;
	X509_EXTENSION_free(names);
	X509_free(x);
	EVP_PKEY_free(pair);
	return good && chmod(key, 0600) == 0;
}

#endif
