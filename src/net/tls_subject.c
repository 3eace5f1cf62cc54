#include "evenkeel/net/tls_subject.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

/* UTF-8 stays so, and other sets of characters become it; a certificate with a
 * name that cannot be read as its kind of text was refused before. */
#define HOW (XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB)

/* A blank at its end is escaped as two digits: behind a backslash it would be
 * taken for white space around a field's value (RFC 4514 2.4 allows both). */
static void
put(struct textbuf *out, struct span text)
{
	bool blank = span_ends_with_nocase(text, SPAN("\\ "));

	textbuf_put(out, span_make(text.ptr, text.len - blank));
	if (blank)
		textbuf_lit(out, "20");
}

bool
tls_put_subject(struct textbuf *out, const struct ssl_st *ssl)
{
	X509 *peer = SSL_get0_peer_certificate(ssl);
	X509_NAME *name = peer != NULL ? X509_get_subject_name(peer) : NULL;
	BIO *text = name != NULL ? BIO_new(BIO_s_mem()) : NULL;
	char *bytes = NULL;
	long len = 0;
	bool ok = false;

	if (text != NULL)
		ok = X509_NAME_print_ex(text, name, 0, HOW) >= 0;
	if (ok)
		len = BIO_get_mem_data(text, &bytes);
	if (len > 0)
		put(out, span_make(bytes, (size_t)len));
	BIO_free(text);
	ERR_clear_error();
	return ok && !out->full;
}
