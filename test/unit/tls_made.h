/*
 * Certificates, keys and files for the tests of TLS, made when the test runs,
 * and streams that speak to each other through memory.
 */
#ifndef TEST_UNIT_TLS_MADE_H
#define TEST_UNIT_TLS_MADE_H

#include <dirent.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "evenkeel/net/tls_context.h"

#define MADE_DAY_S  86400L
#define MADE_ROUNDS 50

/* ---- files ---- */

static char made_dir[64];

/* Eight of them can be in use at a time. */
static inline const char *
made_path(const char *name)
{
	static char room[8][160];
	static unsigned next;
	char *p = room[next++ % 8];

	(void)snprintf(p, sizeof(room[0]), "%s/%s", made_dir, name);
	return p;
}

/* For as long as the test runs. */
static inline const char *
made_keep(const char *path)
{
	static char room[64][160];
	static unsigned n;

	assert_true(n < 64);
	(void)snprintf(room[n], sizeof(room[0]), "%s", path);
	return room[n++];
}

static inline void
made_begin(void)
{
	(void)snprintf(made_dir, sizeof(made_dir), "/tmp/test_tls.XXXXXX");
	assert_non_null(mkdtemp(made_dir));
}

static inline void
made_end(void)
{
	DIR *d = opendir(made_dir);
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		(void)unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	(void)rmdir(made_dir);
}

static inline const char *
made_bytes(const char *name, const void *bytes, size_t len)
{
	const char *path = made_path(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	close(fd);
	return path;
}

static inline const char *
made_text(const char *name, const char *text)
{
	return made_bytes(name, text, strlen(text));
}

/* ---- certificates ---- */

struct made {
	X509 *x;
	EVP_PKEY *key;
};

struct made_terms {
	const char *cn;
	const char *names;     /* as OpenSSL has it: "DNS:a.org,IP:::1" */
	const struct made *by; /* NULL: signs itself */
	long from_s, until_s;  /* from now; 0 and 0: since a day, 90 days */
	bool ca;
	EVP_PKEY *key;            /* its own */
	const X509_NAME *subject; /* instead of cn */
};

static inline void
made_extension(X509 *x, X509V3_CTX *v, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, v, nid, value);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static inline struct made
made_issue(const struct made_terms *t)
{
	static long serial = 1000;
	X509 *x = X509_new();
	X509 *by = t->by != NULL ? t->by->x : x;
	EVP_PKEY *sign = t->by != NULL ? t->by->key : t->key;
	int id = EVP_PKEY_get_base_id(sign);
	X509_NAME *name = X509_get_subject_name(x);
	X509V3_CTX v;

	assert_int_equal(X509_set_version(x, 2), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
	X509_gmtime_adj(
	    X509_getm_notBefore(x), t->from_s == 0 ? -MADE_DAY_S : t->from_s);
	X509_gmtime_adj(X509_getm_notAfter(x),
	    t->until_s == 0 ? 90 * MADE_DAY_S + 60 : t->until_s);
	if (t->subject != NULL)
		X509_set_subject_name(x, t->subject);
	else if (t->cn != NULL)
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
		    (const unsigned char *)t->cn, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(by));
	X509_set_pubkey(x, t->key);
	X509V3_set_ctx(&v, by, x, NULL, NULL, 0);
	made_extension(x, &v, NID_basic_constraints,
	    t->ca ? "critical,CA:TRUE" : "CA:FALSE");
	made_extension(x, &v, NID_subject_key_identifier, "hash");
	if (t->names != NULL)
		made_extension(x, &v, NID_subject_alt_name, t->names);
	assert_true(X509_sign(x, sign,
			id == EVP_PKEY_ED25519 ? NULL : EVP_sha256()) > 0);
	EVP_PKEY_up_ref(t->key);
	return (struct made){.x = x, .key = t->key};
}

static inline void
made_free(struct made *m)
{
	X509_free(m->x);
	EVP_PKEY_free(m->key);
	*m = (struct made){.x = NULL};
}

/* Keys take a while: made once. */
static EVP_PKEY *made_rsa, *made_ec, *made_ec_other;

static inline void
made_keys(void)
{
	made_rsa = EVP_RSA_gen(2048);
	made_ec = EVP_EC_gen("P-256");
	made_ec_other = EVP_EC_gen("P-256");
	assert_true(made_rsa && made_ec && made_ec_other);
}

static inline void
made_keys_free(void)
{
	EVP_PKEY_free(made_rsa);
	EVP_PKEY_free(made_ec);
	EVP_PKEY_free(made_ec_other);
}

static inline struct made
made_ca(void)
{
	return made_issue(&(struct made_terms){
	    .cn = "Test CA", .ca = true, .key = made_ec_other});
}

/* The certificates one after the other, up to NULL. */
static inline const char *
made_pem(const char *name, X509 *const *x)
{
	BIO *b = BIO_new(BIO_s_mem());
	const char *path;
	char *p;
	long n;

	for (; *x != NULL; x++)
		assert_int_equal(PEM_write_bio_X509(b, *x), 1);
	n = BIO_get_mem_data(b, &p);
	path = made_bytes(name, p, (size_t)n);
	BIO_free(b);
	return path;
}

#define made_certificates(name, ...) \
	made_pem((name), (X509 *const[]){__VA_ARGS__, NULL})

static inline const char *
made_key_file(const char *name, EVP_PKEY *key, const char *passphrase)
{
	BIO *b = BIO_new(BIO_s_mem());
	const char *path;
	char *p;
	long n;

	assert_int_equal(
	    PEM_write_bio_PrivateKey(b, key,
		passphrase != NULL ? EVP_aes_128_cbc() : NULL,
		(const unsigned char *)passphrase,
		passphrase != NULL ? (int)strlen(passphrase) : 0, NULL, NULL),
	    1);
	n = BIO_get_mem_data(b, &p);
	path = made_bytes(name, p, (size_t)n);
	BIO_free(b);
	return path;
}

/* ---- what is told ---- */

static char made_errors[8192], made_warnings[8192];

static inline void
made_tell(char *to, const char *key, size_t index, const char *reason)
{
	size_t n = strlen(to);

	(void)snprintf(to + n, 8192 - n, "%s[%zu] %s\n", key, index, reason);
}

static inline void
made_on_error(const char *key, size_t index, const char *reason, void *arg)
{
	(void)arg;
	made_tell(made_errors, key, index, reason);
}

static inline void
made_on_warning(const char *key, size_t index, const char *reason, void *arg)
{
	(void)arg;
	made_tell(made_warnings, key, index, reason);
}

/* Forgets what was told. */
static inline const struct tls_teller *
made_teller(void)
{
	static const struct tls_teller teller = {
	    .error = made_on_error, .warning = made_on_warning};

	made_errors[0] = made_warnings[0] = '\0';
	return &teller;
}

/* ---- streams ---- */

static inline void
made_join(SSL *a, SSL *b)
{
	BIO *x, *y;

	assert_int_equal(BIO_new_bio_pair(&x, 0, &y, 0), 1);
	SSL_set_bio(a, x, x);
	SSL_set_bio(b, y, y);
}

enum made_shake { MADE_OK, MADE_CLIENT_FAILED, MADE_SERVER_FAILED, MADE_STUCK };

/* Whoever fails leaves his errors in the queue. */
static inline enum made_shake
made_shake(SSL *client, SSL *server)
{
	ERR_clear_error();
	for (int i = 0; i < MADE_ROUNDS; i++) {
		int a = SSL_do_handshake(client), b;

		if (a != 1 && SSL_get_error(client, a) == SSL_ERROR_SSL)
			return MADE_CLIENT_FAILED;
		b = SSL_do_handshake(server);
		if (b != 1 && SSL_get_error(server, b) == SSL_ERROR_SSL)
			return MADE_SERVER_FAILED;
		if (a == 1 && b == 1)
			return MADE_OK;
	}
	return MADE_STUCK;
}

/* A byte from the server to the client, and with it what TLS 1.3 says after a
 * handshake.  False: the client did not get it. */
static inline bool
made_byte(SSL *from, SSL *to)
{
	char c = 0;

	return SSL_write(from, "x", 1) == 1 && SSL_read(to, &c, 1) == 1 &&
	    c == 'x';
}

#endif
