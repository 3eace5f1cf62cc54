#include "evenkeel/net/tls_failure.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

struct meaning {
	int code;
	const char *text;
};

static const struct meaning alerts[] = {
    {SSL_AD_UNEXPECTED_MESSAGE, "the peer said: unexpected message"},
    {SSL_AD_BAD_RECORD_MAC, "the peer said: bad record"},
    {SSL_AD_RECORD_OVERFLOW, "the peer said: record too long"},
    {SSL_AD_HANDSHAKE_FAILURE, "the peer said: handshake failure"},
    {SSL_AD_NO_CERTIFICATE, "the peer said: no certificate"},
    {SSL_AD_BAD_CERTIFICATE, "the peer said: bad certificate"},
    {SSL_AD_UNSUPPORTED_CERTIFICATE, "the peer said: unsupported certificate"},
    {SSL_AD_CERTIFICATE_REVOKED, "the peer said: certificate revoked"},
    {SSL_AD_CERTIFICATE_EXPIRED, "the peer said: certificate expired"},
    {SSL_AD_CERTIFICATE_UNKNOWN, "the peer said: certificate unknown"},
    {SSL_AD_ILLEGAL_PARAMETER, "the peer said: illegal parameter"},
    {SSL_AD_UNKNOWN_CA, "the peer said: unknown CA"},
    {SSL_AD_ACCESS_DENIED, "the peer said: access denied"},
    {SSL_AD_DECODE_ERROR, "the peer said: cannot be decoded"},
    {SSL_AD_DECRYPT_ERROR, "the peer said: a signature is wrong"},
    {SSL_AD_PROTOCOL_VERSION, "the peer said: no version in common"},
    {SSL_AD_INSUFFICIENT_SECURITY, "the peer said: insufficient security"},
    {SSL_AD_INTERNAL_ERROR, "the peer said: internal error"},
    {SSL_AD_INAPPROPRIATE_FALLBACK, "the peer said: inappropriate fallback"},
    {SSL_AD_USER_CANCELLED, "the peer said: cancelled"},
    {SSL_AD_NO_RENEGOTIATION, "the peer said: no renegotiation"},
    {SSL_AD_MISSING_EXTENSION, "the peer said: missing extension"},
    {SSL_AD_UNSUPPORTED_EXTENSION, "the peer said: unsupported extension"},
    {SSL_AD_UNRECOGNIZED_NAME, "the peer said: unrecognized name"},
    {SSL_AD_BAD_CERTIFICATE_STATUS_RESPONSE,
	"the peer said: bad certificate status response"},
    {SSL_AD_CERTIFICATE_REQUIRED, "the peer said: certificate required"},
    {SSL_AD_NO_APPLICATION_PROTOCOL,
	"the peer said: no application protocol in common"},
};

static const struct meaning reasons[] = {
    {SSL_R_NO_SHARED_CIPHER, "no cipher in common"},
    {SSL_R_NO_CIPHERS_AVAILABLE, "no cipher in common"},
    {SSL_R_WRONG_CIPHER_RETURNED, "the peer chose a cipher not offered"},
    {SSL_R_UNKNOWN_CIPHER_RETURNED, "the peer chose a cipher not offered"},
    {SSL_R_UNSUPPORTED_PROTOCOL, "no version of TLS in common"},
    {SSL_R_VERSION_TOO_LOW, "no version of TLS in common"},
    {SSL_R_VERSION_TOO_HIGH, "no version of TLS in common"},
    {SSL_R_NO_PROTOCOLS_AVAILABLE, "no version of TLS in common"},
    {SSL_R_UNKNOWN_PROTOCOL, "the peer does not speak TLS"},
    {SSL_R_WRONG_VERSION_NUMBER, "the peer does not speak TLS"},
    {SSL_R_PACKET_LENGTH_TOO_LONG, "the peer does not speak TLS"},
    {SSL_R_HTTP_REQUEST, "plain HTTP was spoken where TLS is"},
    {SSL_R_HTTPS_PROXY_REQUEST, "plain HTTP was spoken where TLS is"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the peer showed no certificate"},
    {SSL_R_NO_APPLICATION_PROTOCOL, "no application protocol in common"},
    {SSL_R_NO_SUITABLE_KEY_SHARE, "no key exchange group in common"},
    {SSL_R_NO_SHARED_GROUPS, "no key exchange group in common"},
    {SSL_R_NO_SUITABLE_GROUPS, "no key exchange group in common"},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, "no signature algorithm in common"},
    {SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, "no signature algorithm in common"},
    {SSL_R_WRONG_SIGNATURE_TYPE, "no signature algorithm in common"},
    {SSL_R_BAD_SIGNATURE, "a signature of the peer is wrong"},
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC,
	"a record of the peer is damaged"},
    {SSL_R_BAD_RECORD_TYPE, "a record of the peer is malformed"},
    {SSL_R_UNEXPECTED_RECORD, "a record of the peer is out of place"},
    {SSL_R_UNEXPECTED_MESSAGE, "a message of the peer is out of place"},
    {SSL_R_LENGTH_MISMATCH, "a message of the peer is malformed"},
    {SSL_R_BAD_EXTENSION, "a message of the peer is malformed"},
    {SSL_R_NO_RENEGOTIATION, "renegotiation was refused"},
    {SSL_R_UNEXPECTED_EOF_WHILE_READING, "the peer closed the connection"},
    {SSL_R_EE_KEY_TOO_SMALL, "its key is too small to be safe"},
    {SSL_R_CA_KEY_TOO_SMALL, "the key of its CA is too small to be safe"},
    {SSL_R_CA_MD_TOO_WEAK, "it is signed with a digest too weak to be safe"},
    {SSL_R_DH_KEY_TOO_SMALL, "the peer's DH key is too small to be safe"},
    {SSL_R_UNKNOWN_CERTIFICATE_TYPE, "TLS has no use for keys of its type"},
    {SSL_R_EXCESSIVE_MESSAGE_SIZE, "a message of the peer is too large"},
};

static const struct meaning verdicts[] = {
    {X509_V_ERR_HOSTNAME_MISMATCH, "the name is not in the certificate"},
    {X509_V_ERR_IP_ADDRESS_MISMATCH,
	"the IP address is not in the certificate"},
    {X509_V_ERR_CERT_HAS_EXPIRED, "certificate has expired"},
    {X509_V_ERR_CERT_NOT_YET_VALID, "certificate is not yet valid"},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "self-signed certificate"},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
	"self-signed certificate in the chain: its CA is not trusted"},
    {X509_V_ERR_INVALID_PURPOSE,
	"the certificate is not made for this side of a connection"},
    {X509_V_ERR_OUT_OF_MEM, "no memory"},
};

#define FIND(table, code) \
	find((table), sizeof(table) / sizeof((table)[0]), (code))

static const char *
find(const struct meaning *table, size_t n, int code)
{
	for (size_t i = 0; i < n; i++)
		if (table[i].code == code)
			return table[i].text;
	return NULL;
}

/* The error that the others follow from: TLS's own first one, or the first. */
static unsigned long
take_cause(void)
{
	unsigned long first = ERR_peek_error(), cause = 0, e;

	while ((e = ERR_get_error()) != 0) {
		if (ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE)
			cause = e;
		else if (cause == 0 && ERR_GET_LIB(e) == ERR_LIB_SSL)
			cause = e;
	}
	return cause != 0 ? cause : first;
}

static int
alert_of(unsigned long e)
{
	int reason = ERR_GET_REASON(e);

	if (ERR_GET_LIB(e) != ERR_LIB_SSL || reason < SSL_AD_REASON_OFFSET)
		return -1;
	return reason - SSL_AD_REASON_OFFSET;
}

static const char *
words_of(unsigned long e)
{
	const char *text = NULL;
	int alert = alert_of(e);

	if (ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE)
		return "no memory";
	if (alert >= 0)
		text = FIND(alerts, alert);
	else if (ERR_GET_LIB(e) == ERR_LIB_SSL)
		text = FIND(reasons, ERR_GET_REASON(e));
	if (text == NULL)
		text = ERR_reason_error_string(e);
	return text != NULL ? text : "an error that OpenSSL has no words for";
}

const char *
tls_failure_words(const char *otherwise)
{
	unsigned long e = take_cause();

	return e == 0 ? otherwise : words_of(e);
}

static const char *
words_of_verdict(const SSL *ssl)
{
	long verdict = SSL_get_verify_result(ssl);
	const char *text = FIND(verdicts, (int)verdict);

	if (verdict == X509_V_OK)
		return "the certificate could not be verified";
	return text != NULL ? text : X509_verify_cert_error_string(verdict);
}

const char *
tls_failure_text(const struct ssl_st *ssl)
{
	unsigned long e = take_cause();

	if (e == 0)
		return "the peer closed the connection";
	if (ERR_GET_LIB(e) == ERR_LIB_SSL &&
	    ERR_GET_REASON(e) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		return words_of_verdict(ssl);
	return words_of(e);
}

bool
tls_failure_is_refusal(void)
{
	switch (alert_of(ERR_peek_error())) {
	case SSL_AD_HANDSHAKE_FAILURE: /* after it: of nothing else */
	case SSL_AD_NO_CERTIFICATE:
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_CERTIFICATE_EXPIRED:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_UNKNOWN_CA:
	case SSL_AD_ACCESS_DENIED:
	case SSL_AD_CERTIFICATE_REQUIRED:
		return true;
	default:
		return false;
	}
}
