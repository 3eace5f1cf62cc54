#include "evenkeel/net/tls_pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "evenkeel/base/num.h"
#include "evenkeel/net/tls_failure.h"

#define DAY_S 86400

/* ---- times ---- */

int64_t
tls_pem_time(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

void
tls_pem_put_date(char room[TLS_DATE_BYTES], const ASN1_TIME *t)
{
	struct textbuf d = textbuf_make(room, TLS_DATE_BYTES - 1);
	struct tm tm = {.tm_year = 0};

	(void)ASN1_TIME_to_tm(t, &tm);
	textbuf_u64_padded(&d, (uint64_t)tm.tm_year + 1900, 4);
	textbuf_byte(&d, '-');
	textbuf_u64_padded(&d, (uint64_t)tm.tm_mon + 1, 2);
	textbuf_byte(&d, '-');
	textbuf_u64_padded(&d, (uint64_t)tm.tm_mday, 2);
	room[d.len] = '\0';
}

struct digits {
	char text[NUM_U64_DIGITS + 1];
};

static struct digits
digits_of(uint64_t n)
{
	struct digits d;

	d.text[num_put_u64(d.text, n)] = '\0';
	return d;
}

/* "" for the first, as nearly all that is told is about it. */
static void
put_which(char room[64], size_t i)
{
	struct textbuf t = textbuf_make(room, 63);

	if (i > 0) {
		textbuf_lit(&t, "its certificate number ");
		textbuf_u64(&t, i + 1);
		textbuf_byte(&t, ' ');
	}
	room[t.len] = '\0';
}

static void
warn_of_time(
    const X509 *x, size_t i, struct tls_report *r, const struct tls_place *at)
{
	const ASN1_TIME *until = X509_get0_notAfter(x);
	const ASN1_TIME *from = X509_get0_notBefore(x);
	int64_t now = (int64_t)time(NULL), left = tls_pem_time(until) - now;
	char date[TLS_DATE_BYTES], which[64];

	put_which(which, i);
	if (tls_pem_time(from) > now) {
		tls_pem_put_date(date, from);
		tls_warning(r, at, which, "is not valid before ", date, NULL);
	}
	tls_pem_put_date(date, until);
	if (left < 0)
		tls_warning(r, at, which, "has expired on ", date, NULL);
	else if (left < DAY_S)
		tls_warning(
		    r, at, which, "expires within a day (", date, ")", NULL);
	else if (left < (int64_t)TLS_EXPIRY_WARN_DAYS * DAY_S)
		tls_warning(r, at, which, "expires in ",
		    digits_of((uint64_t)(left / DAY_S)).text,
		    left < 2 * DAY_S ? " day (" : " days (", date, ")", NULL);
}

/* ---- certificates ---- */

static X509 *
parse(const char *name, const unsigned char *der, long len, OSSL_LIB_CTX *lib)
{
	X509 *x = X509_new_ex(lib, NULL);

	if (x == NULL)
		return NULL;
	/* What fails frees it and leaves NULL. */
	if (strcmp(name, PEM_STRING_X509_TRUSTED) == 0)
		(void)d2i_X509_AUX(&x, &der, len);
	else
		(void)d2i_X509(&x, &der, len);
	return x;
}

static bool
is_certificate(const char *name)
{
	return strcmp(name, PEM_STRING_X509) == 0 ||
	    strcmp(name, PEM_STRING_X509_OLD) == 0 ||
	    strcmp(name, PEM_STRING_X509_TRUSTED) == 0;
}

enum next { NEXT_END, NEXT_TAKEN, NEXT_OTHER, NEXT_BAD };

static enum next
take_next(BIO *in, OSSL_LIB_CTX *lib, STACK_OF(X509) * to)
{
	char *name = NULL, *header = NULL;
	unsigned char *der = NULL;
	long len = 0;
	X509 *x = NULL;
	enum next next = NEXT_OTHER;

	if (PEM_read_bio(in, &name, &header, &der, &len) != 1) {
		unsigned long e = ERR_peek_last_error();

		if (ERR_GET_LIB(e) != ERR_LIB_PEM ||
		    ERR_GET_REASON(e) != PEM_R_NO_START_LINE)
			return NEXT_BAD;
		ERR_clear_error();
		return NEXT_END;
	}
	if (is_certificate(name)) {
		x = parse(name, der, len, lib);
		/* OpenSSL is content with a key that it could not read. */
		if (x != NULL && X509_get0_pubkey(x) == NULL) {
			X509_free(x);
			x = NULL;
		}
		next = x != NULL && sk_X509_push(to, x) > 0 ? NEXT_TAKEN
							    : NEXT_BAD;
		if (next == NEXT_BAD)
			X509_free(x);
	}
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_clear_free(der, (size_t)len); /* it may have been a key */
	return next;
}

/* NULL, or what is wrong. */
static const char *
take_all(const struct tls_file *f, OSSL_LIB_CTX *lib, STACK_OF(X509) * to)
{
	BIO *in = BIO_new_mem_buf(f->bytes, (int)f->len);
	enum next next = NEXT_BAD;

	/* Each turn takes a block off, and a file has an end. */
	while (in != NULL && (next = take_next(in, lib, to)) != NEXT_END)
		if (next == NEXT_BAD)
			break;
	BIO_free(in);
	if (next == NEXT_BAD)
		return tls_failure_words("no memory");
	return NULL;
}

/* ---- files of another kind ---- */

static bool
holds(const struct tls_file *f, struct span text)
{
	return memmem(f->bytes, f->len, text.ptr, text.len) != NULL;
}

/* A SEQUENCE that is long, or begins with an INTEGER: no text does. */
static bool
is_der(const struct tls_file *f)
{
	return f->len > 2 && f->bytes[0] == 0x30 &&
	    ((f->bytes[1] & 0x80) != 0 || f->bytes[2] == 2);
}

/* A SEQUENCE that begins with its version, 3. */
static bool
is_pkcs12(const struct tls_file *f)
{
	static const unsigned char version[] = {2, 1, 3};
	size_t at = 2;

	if (!is_der(f))
		return false;
	if ((f->bytes[1] & 0x80) != 0)
		at += f->bytes[1] & 0x7f;
	return f->len >= at + sizeof(version) &&
	    memcmp(f->bytes + at, version, sizeof(version)) == 0;
}

static const char *
instead_of_certificate(const struct tls_file *f)
{
	if (is_pkcs12(f))
		return ": it is PKCS #12, and PEM is needed "
		       "(openssl pkcs12 -nokeys)";
	if (is_der(f))
		return ": it is DER, and PEM is needed "
		       "(openssl x509 -inform DER)";
	if (holds(f, SPAN("PRIVATE KEY-----")))
		return ", but a private key";
	if (holds(f, SPAN("CERTIFICATE REQUEST-----")))
		return ", but a request for one";
	return "";
}

static const char *
instead_of_key(const struct tls_file *f)
{
	if (is_pkcs12(f))
		return ": it is PKCS #12, and PEM is needed "
		       "(openssl pkcs12 -nocerts -nodes)";
	if (is_der(f))
		return ": it is DER, and PEM is needed "
		       "(openssl pkey -inform DER)";
	if (!holds(f, SPAN("PRIVATE KEY-----")) &&
	    holds(f, SPAN("CERTIFICATE-----")))
		return ", but a certificate";
	return "";
}

/* ---- certificates ---- */

static void
tell_damage(const STACK_OF(X509) * got, const char *why, struct tls_report *r,
    const struct tls_place *at)
{
	if (strcmp(why, "no memory") == 0)
		tls_error(r, at, why, NULL);
	else
		tls_error(r, at, "its certificate number ",
		    digits_of((uint64_t)sk_X509_num(got) + 1).text,
		    " cannot be read (", why, ")", NULL);
}

STACK_OF(X509) *
    tls_pem_certificates(const struct tls_file *f, const struct tls_space *s,
	struct tls_report *r, const struct tls_place *at)
{
	STACK_OF(X509) *to = sk_X509_new_null();
	const char *why = to == NULL ? "no memory" : take_all(f, s->lib, to);

	ERR_clear_error();
	if (why != NULL)
		tell_damage(to, why, r, at);
	else if (sk_X509_num(to) > 0)
		return to;
	else
		tls_error(r, at, "no certificate in it",
		    instead_of_certificate(f), NULL);
	tls_pem_free(to);
	return NULL;
}

void
tls_pem_free(STACK_OF(X509) * certificates)
{
	sk_X509_pop_free(certificates, X509_free);
}

/* ---- keys ---- */

static int
on_passphrase(char *room, int cap, int writing, void *asked)
{
	(void)room;
	(void)cap;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

static EVP_PKEY *
load_key(const struct tls_file *f, const struct tls_space *s,
    struct tls_report *r, const struct tls_place *at)
{
	BIO *in = BIO_new_mem_buf(f->bytes, (int)f->len);
	bool asked = false, memory;
	EVP_PKEY *key = in == NULL ? NULL
				   : PEM_read_bio_PrivateKey_ex(in, NULL,
					 on_passphrase, &asked, s->lib, NULL);

	BIO_free(in);
	if (key != NULL)
		return key;
	memory = strcmp(tls_failure_words("no memory"), "no memory") == 0;
	if (asked)
		tls_error(r, at,
		    "needs a passphrase, which nobody is there to type "
		    "(openssl pkey takes it off)",
		    NULL);
	else if (memory)
		tls_error(r, at, "no memory", NULL);
	else
		tls_error(r, at, "no private key in it that can be read",
		    instead_of_key(f), NULL);
	return NULL;
}

/* ---- both ---- */

X509 *
tls_chain_leaf(const struct tls_chain *c)
{
	return sk_X509_value(c->certificates, 0);
}

static void
tell_mismatch(const struct tls_chain *c, const struct tls_chain_files *f,
    struct tls_report *r)
{
	const char *path = f->certificate_at.path;

	for (int i = 1; i < sk_X509_num(c->certificates); i++) {
		X509 *x = sk_X509_value(c->certificates, i);

		if (X509_check_private_key(x, c->key) != 1)
			continue;
		tls_error(r, &f->key_at, "belongs to certificate number ",
		    digits_of((uint64_t)i + 1).text, " of ", path,
		    ", where the first must be the server's own and those of "
		    "CAs follow",
		    NULL);
		return;
	}
	tls_error(
	    r, &f->key_at, "does not belong to the certificate ", path, NULL);
}

static void
warn_of_chain(const struct tls_chain *c, const struct tls_chain_files *f,
    struct tls_report *r)
{
	for (int i = 0; i < sk_X509_num(c->certificates); i++) {
		X509 *x = sk_X509_value(c->certificates, i);

		warn_of_time(x, (size_t)i, r, &f->certificate_at);
		if (i == 0)
			continue;
		if (X509_check_issued(
			x, sk_X509_value(c->certificates, i - 1)) != X509_V_OK)
			tls_warning(r, &f->certificate_at,
			    "its certificate number ",
			    digits_of((uint64_t)i + 1).text,
			    " did not issue the one before it: clients may "
			    "not find the way to a root",
			    NULL);
	}
}

/* Whether it says where the certificate of its CA is to be had, as those of
 * public CAs do; none of them is signed by a root itself. */
static bool
names_issuer(X509 *x)
{
	AUTHORITY_INFO_ACCESS *all = (AUTHORITY_INFO_ACCESS *)X509_get_ext_d2i(
	    x, NID_info_access, NULL, NULL);
	bool any = false;

	for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(all); i++)
		if (OBJ_obj2nid(sk_ACCESS_DESCRIPTION_value(all, i)->method) ==
		    NID_ad_ca_issuers)
			any = true;
	AUTHORITY_INFO_ACCESS_free(all);
	return any;
}

void
tls_chain_warn_of_clients(
    const struct tls_chain *c, struct tls_report *r, const struct tls_place *at)
{
	X509 *leaf = tls_chain_leaf(c);

	if (X509_get_ext_by_NID(leaf, NID_subject_alt_name, -1) < 0)
		tls_warning(r, at,
		    "has no names but its CN (no subjectAltName): browsers "
		    "refuse it",
		    NULL);
	if (sk_X509_num(c->certificates) == 1 && names_issuer(leaf))
		tls_warning(r, at,
		    "has only the server's own certificate in it: clients "
		    "need that of the CA behind it, too (full chain)",
		    NULL);
	ERR_clear_error();
}

bool
tls_chain_load(struct tls_chain *c, const struct tls_chain_files *f,
    const struct tls_space *s, struct tls_report *r)
{
	bool belongs;

	*c = (struct tls_chain){.key = NULL};
	if (f->certificate.bytes != NULL)
		c->certificates = tls_pem_certificates(
		    &f->certificate, s, r, &f->certificate_at);
	if (f->key.bytes != NULL) {
		tls_file_warn_of_others(&f->key, r, &f->key_at);
		c->key = load_key(&f->key, s, r, &f->key_at);
	}
	if (c->certificates != NULL) {
		c->expires_s =
		    tls_pem_time(X509_get0_notAfter(tls_chain_leaf(c)));
		warn_of_chain(c, f, r);
	}
	if (c->certificates == NULL || c->key == NULL)
		return false;
	belongs = X509_check_private_key(tls_chain_leaf(c), c->key) == 1;
	if (!belongs)
		tell_mismatch(c, f, r);
	ERR_clear_error();
	return belongs;
}

void
tls_chain_free(struct tls_chain *c)
{
	tls_pem_free(c->certificates);
	EVP_PKEY_free(c->key);
	*c = (struct tls_chain){.key = NULL};
}

/* The others, which SSL_CTX_use_cert_and_key wants by themselves. */
bool
tls_chain_use(const struct tls_chain *c, SSL_CTX *ctx, struct tls_report *r,
    const struct tls_place *at)
{
	STACK_OF(X509) *rest = sk_X509_dup(c->certificates);
	bool ok = rest != NULL;

	if (ok) {
		(void)sk_X509_shift(rest);
		ok = SSL_CTX_use_cert_and_key(
			 ctx, tls_chain_leaf(c), c->key, rest, 1) == 1;
	}
	sk_X509_free(rest);
	if (!ok)
		tls_error(r, at, tls_failure_words("no memory"), NULL);
	return ok;
}
