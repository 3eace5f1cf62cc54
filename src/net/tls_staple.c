#include "evenkeel/net/tls_staple.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <stdlib.h>
#include <time.h>

#include "evenkeel/net/tls_pem.h"

/* Clocks of responders and ours may differ by so much. */
#define SKEW_S 300

bool
tls_staple_good(const struct tls_staple *st, int64_t now_s)
{
	return st->bytes != NULL && now_s + SKEW_S >= st->from_s &&
	    now_s < st->until_s;
}

void
tls_staple_free(struct tls_staple *st)
{
	free(st->bytes);
	*st = (struct tls_staple){.bytes = NULL};
}

/* The serial and, when we know the digest, the issuer's name. */
static bool
is_about(OCSP_SINGLERESP *one, const X509 *leaf)
{
	OCSP_CERTID *id = (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(one);
	ASN1_OCTET_STRING *issuer;
	ASN1_OBJECT *algorithm;
	ASN1_INTEGER *serial;
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	const EVP_MD *md;

	if (OCSP_id_get0_info(&issuer, &algorithm, NULL, &serial, id) != 1 ||
	    ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(leaf)) != 0)
		return false;
	md = EVP_get_digestbyobj(algorithm);
	if (md == NULL ||
	    X509_NAME_digest(X509_get_issuer_name(leaf), md, sum, &len) != 1)
		return true;
	return ASN1_STRING_length(issuer) == (int)len &&
	    memcmp(ASN1_STRING_get0_data(issuer), sum, len) == 0;
}

static OCSP_SINGLERESP *
find_about(OCSP_BASICRESP *basic, const X509 *leaf)
{
	for (int i = 0; i < OCSP_resp_count(basic); i++) {
		OCSP_SINGLERESP *one = OCSP_resp_get0(basic, i);

		if (is_about(one, leaf))
			return one;
	}
	return NULL;
}

static void
take_times(struct tls_staple *st, OCSP_SINGLERESP *one, struct tls_report *r,
    const struct tls_place *at)
{
	ASN1_GENERALIZEDTIME *from = NULL, *until = NULL;
	int64_t now = (int64_t)time(NULL);
	int status = OCSP_single_get0_status(one, NULL, NULL, &from, &until);
	char date[TLS_DATE_BYTES];

	st->from_s = from != NULL ? tls_pem_time(from) : INT64_MAX;
	st->until_s = until != NULL ? tls_pem_time(until) : INT64_MAX;
	if (status == V_OCSP_CERTSTATUS_REVOKED)
		tls_warning(
		    r, at, "says that the certificate is revoked", NULL);
	else if (status != V_OCSP_CERTSTATUS_GOOD)
		tls_warning(r, at,
		    "says that its responder does not know the certificate",
		    NULL);
	if (now >= st->until_s) {
		tls_pem_put_date(date, until);
		tls_warning(r, at, "is out of date since ", date,
		    " and is not sent", NULL);
	} else if (now + SKEW_S < st->from_s) {
		tls_warning(
		    r, at, "is of a time to come and is not sent yet", NULL);
	}
}

static bool
keep_bytes(struct tls_staple *st, const struct tls_file *f)
{
	st->bytes = (unsigned char *)malloc(f->len);
	if (st->bytes == NULL)
		return false;
	memcpy(st->bytes, f->bytes, f->len);
	st->len = f->len;
	return true;
}

static bool
load_basic(struct tls_staple *st, OCSP_BASICRESP *basic,
    const struct tls_file *f, const X509 *leaf, struct tls_report *r,
    const struct tls_place *at)
{
	OCSP_SINGLERESP *one = find_about(basic, leaf);

	if (one == NULL) {
		tls_error(r, at,
		    "speaks of another certificate than that of its "
		    "tls_certificate",
		    NULL);
		return false;
	}
	if (!keep_bytes(st, f)) {
		tls_error(r, at, "no memory", NULL);
		return false;
	}
	take_times(st, one, r, at);
	return true;
}

bool
tls_staple_load(struct tls_staple *st, const struct tls_file *f, X509 *leaf,
    struct tls_report *r, const struct tls_place *at)
{
	const unsigned char *p = f->bytes;
	OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &p, (long)f->len);
	OCSP_BASICRESP *basic = NULL;
	int status = response != NULL ? OCSP_response_status(response) : 0;
	bool ok = false;

	*st = (struct tls_staple){.bytes = NULL};
	if (response != NULL && status == OCSP_RESPONSE_STATUS_SUCCESSFUL)
		basic = OCSP_response_get1_basic(response);
	if (response == NULL || p != f->bytes + f->len)
		tls_error(r, at, "is not an OCSP response in DER", NULL);
	else if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
		tls_error(r, at, "its responder answered ",
		    OCSP_response_status_str(status), NULL);
	else if (basic == NULL)
		tls_error(r, at,
		    "is an OCSP response of a kind that is not known", NULL);
	else
		ok = load_basic(st, basic, f, leaf, r, at);
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	ERR_clear_error();
	return ok;
}
