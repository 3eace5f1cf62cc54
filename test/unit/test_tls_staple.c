/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/ocsp.h>

#include "evenkeel/net/tls_context.h"
#include "tls_made.h"

static struct tls_space *space;
static struct tls_tickets *tickets;
static struct made ca, ec, rsa, same_serial;
static struct tls_pair pairs[2];

static int
set_up(void **state)
{
	(void)state;
	made_begin();
	made_keys();
	space = tls_space_create();
	tickets = tls_tickets_create();
	assert_true(space && tickets);
	ca = made_ca();
	ec = made_issue(&(struct made_terms){
	    .cn = "a.org", .names = "DNS:a.org", .by = &ca, .key = made_ec});
	rsa = made_issue(&(struct made_terms){
	    .cn = "a.org", .names = "DNS:a.org", .by = &ca, .key = made_rsa});
	/* The number of `ec`, from somebody else. */
	same_serial = made_issue(
	    &(struct made_terms){.cn = "Other", .key = made_ec_other});
	X509_set_serialNumber(same_serial.x, X509_get_serialNumber(ec.x));
	pairs[0].certificate =
	    made_keep(made_certificates("ec.pem", ec.x, ca.x));
	pairs[0].key = made_keep(made_key_file("ec.key", made_ec, NULL));
	pairs[1].certificate =
	    made_keep(made_certificates("rsa.pem", rsa.x, ca.x));
	pairs[1].key = made_keep(made_key_file("rsa.key", made_rsa, NULL));
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	made_free(&ca);
	made_free(&ec);
	made_free(&rsa);
	made_free(&same_serial);
	made_keys_free();
	tls_tickets_free(tickets);
	tls_space_free(space);
	made_end();
	return 0;
}

/* A response about `m`, which says `status`. */
static const char *
respond(const char *name, const struct made *m, int status, long from_s,
    long until_s)
{
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	OCSP_CERTID *id =
	    OCSP_cert_to_id(EVP_sha1(), m->x, m == &same_serial ? m->x : ca.x);
	ASN1_TIME *from = ASN1_TIME_adj(NULL, time(NULL), 0, from_s);
	ASN1_TIME *until =
	    until_s == 0 ? NULL : ASN1_TIME_adj(NULL, time(NULL), 0, until_s);
	OCSP_RESPONSE *r;
	unsigned char *der = NULL;
	const char *path;
	int len;

	assert_non_null(OCSP_basic_add1_status(basic, id, status,
	    OCSP_REVOKED_STATUS_UNSPECIFIED, from, from, until));
	assert_int_equal(OCSP_basic_sign(basic, ca.x, ca.key, EVP_sha256(),
			     NULL, OCSP_NOCERTS),
	    1);
	r = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	len = i2d_OCSP_RESPONSE(r, &der);
	path = made_bytes(name, der, (size_t)len);
	OPENSSL_free(der);
	OCSP_RESPONSE_free(r);
	OCSP_BASICRESP_free(basic);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	return path;
}

static struct tls_server *
load(const char *first, const char *second)
{
	struct tls_server_terms t = {
	    .name = "main", .pairs = pairs, .n_pairs = 2, .tickets = tickets};
	struct tls_server *s;

	pairs[0].staple = first;
	pairs[1].staple = second;
	return tls_servers_create(&s, &space, 1, &t, made_teller()) ? s : NULL;
}

/* The length of the staple that a client gets; -1: none. */
static long
stapled(struct tls_server *s, const char *sigalgs, bool ask, int version)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *client = SSL_new(ctx), *server = tls_server_stream(s);
	const unsigned char *got;
	long len;

	SSL_set_connect_state(client);
	assert_int_equal(SSL_set1_sigalgs_list(client, sigalgs), 1);
	assert_int_equal(SSL_set_max_proto_version(client, version), 1);
	if (ask)
		SSL_set_tlsext_status_type(client, TLSEXT_STATUSTYPE_ocsp);
	made_join(client, server);
	assert_int_equal(made_shake(client, server), MADE_OK);
	len = SSL_get_tlsext_status_ocsp_resp(client, &got);
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(ctx);
	return len;
}

static void
test_sent_with_its_certificate(void **state)
{
	const char *path = made_keep(
	    respond("ec.ocsp", &ec, V_OCSP_CERTSTATUS_GOOD, -60, MADE_DAY_S));
	const char *other = made_keep(
	    respond("rsa.ocsp", &rsa, V_OCSP_CERTSTATUS_GOOD, -60, 0));
	struct tls_server *one = load(path, NULL), *both = load(path, other);
	struct stat st;

	(void)state;
	assert_true(one != NULL && both != NULL);
	assert_string_equal(made_warnings, "");
	for (int v = TLS1_2_VERSION; v <= TLS1_3_VERSION; v++) {
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(
		    stapled(one, "ECDSA+SHA256", true, v), st.st_size);
		assert_int_equal(
		    stapled(both, "ECDSA+SHA256", true, v), st.st_size);
		assert_int_equal(stapled(one, "ECDSA+SHA256", false, v), -1);
		assert_int_equal(stapled(one, "RSA-PSS+SHA256", true, v), -1);
		assert_int_equal(stat(other, &st), 0);
		assert_int_equal(
		    stapled(both, "RSA-PSS+SHA256", true, v), st.st_size);
	}
	tls_server_release(one);
	tls_server_release(both);
}

static void
expect_bad(const char *path, const char *why)
{
	char expected[512];

	assert_null(load(path, NULL));
	(void)snprintf(expected, sizeof(expected),
	    "tls_ocsp_staple[0] %s: %s\n", path, why);
	assert_string_equal(made_errors, expected);
}

static void
test_bad_files(void **state)
{
	static const char another[] =
	    "speaks of another certificate than that of its tls_certificate";
	OCSP_RESPONSE *r =
	    OCSP_response_create(OCSP_RESPONSE_STATUS_TRYLATER, NULL);
	unsigned char *der = NULL;
	int len = i2d_OCSP_RESPONSE(r, &der);

	(void)state;
	expect_bad(made_text("x", "hello"), "is not an OCSP response in DER");
	expect_bad(made_bytes("x", der, (size_t)len),
	    "its responder answered trylater");
	expect_bad(
	    respond("x", &rsa, V_OCSP_CERTSTATUS_GOOD, -60, 600), another);
	expect_bad(respond("x", &same_serial, V_OCSP_CERTSTATUS_GOOD, -60, 600),
	    another);
	OPENSSL_free(der);
	OCSP_RESPONSE_free(r);
}

static void
expect_warning(const char *path, const char *words, bool sent)
{
	struct tls_server *s = load(path, NULL);

	assert_non_null(s);
	assert_non_null(strstr(made_warnings, words));
	assert_int_equal(
	    stapled(s, "ECDSA+SHA256", true, TLS1_3_VERSION) > 0, sent);
	tls_server_release(s);
}

static void
test_warnings(void **state)
{
	(void)state;
	expect_warning(respond("x", &ec, V_OCSP_CERTSTATUS_GOOD,
			   -9 * MADE_DAY_S, -MADE_DAY_S),
	    ": is out of date since ", false);
	expect_warning(
	    respond("x", &ec, V_OCSP_CERTSTATUS_GOOD, 3600, MADE_DAY_S),
	    ": is of a time to come and is not sent yet", false);
	expect_warning(
	    respond("x", &ec, V_OCSP_CERTSTATUS_REVOKED, -60, MADE_DAY_S),
	    ": says that the certificate is revoked", true);
	expect_warning(
	    respond("x", &ec, V_OCSP_CERTSTATUS_UNKNOWN, -60, MADE_DAY_S),
	    ": says that its responder does not know the certificate", true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sent_with_its_certificate),
	    cmocka_unit_test(test_bad_files),
	    cmocka_unit_test(test_warnings),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
