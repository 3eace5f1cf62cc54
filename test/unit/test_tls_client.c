/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "evenkeel/net/tls_context.h"
#include "tls_made.h"

static struct tls_space *space;
static struct made root, middle, other_root;

static int
set_up(void **state)
{
	(void)state;
	made_begin();
	made_keys();
	space = tls_space_create();
	assert_non_null(space);
	root = made_issue(&(struct made_terms){
	    .cn = "Root", .ca = true, .key = made_ec_other});
	middle = made_issue(&(struct made_terms){
	    .cn = "Middle", .ca = true, .by = &root, .key = made_rsa});
	other_root = made_issue(&(struct made_terms){
	    .cn = "Other root", .ca = true, .key = made_rsa});
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	made_free(&root);
	made_free(&middle);
	made_free(&other_root);
	made_keys_free();
	tls_space_free(space);
	made_end();
	return 0;
}

/* A backend, as plain as OpenSSL has it. */
static SSL_CTX *
backend(const struct made *m, X509 *above)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	assert_non_null(ctx);
	assert_int_equal(SSL_CTX_use_certificate(ctx, m->x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, m->key), 1);
	if (above != NULL)
		assert_int_equal(SSL_CTX_add1_chain_cert(ctx, above), 1);
	SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_num_tickets(ctx, 1);
	return ctx;
}

static struct tls_client *
load(const struct tls_client_terms *t)
{
	struct tls_client *c;

	if (!tls_clients_create(&c, &space, 1, t, made_teller()))
		fail_msg("not loaded: %s", made_errors);
	return c;
}

static struct tls_client *
load_ca(const struct made *ca)
{
	return load(&(struct tls_client_terms){
	    .verify = true, .ca = made_certificates("ca.pem", ca->x)});
}

static uint64_t
identity(const struct tls_client *c)
{
	return tls_client_identity(c, SPAN_NONE);
}

/* NULL, or why the client did not want the backend. */
static const char *
verdict(struct tls_client *c, SSL_CTX *server_ctx, const char *name)
{
	SSL *client = tls_client_stream(c, name, identity(c), NULL);
	SSL *server = SSL_new(server_ctx);
	const char *why = NULL;
	enum made_shake end;

	assert_true(client != NULL && server != NULL);
	SSL_set_accept_state(server);
	made_join(client, server);
	end = made_shake(client, server);
	if (end == MADE_CLIENT_FAILED)
		why = tls_failure_text(client);
	else
		assert_int_equal(end, MADE_OK);
	SSL_free(client);
	SSL_free(server);
	assert_int_equal(ERR_peek_error(), 0);
	return why;
}

/* ---- verification ---- */

static void
test_names(void **state)
{
	struct made leaf = made_issue(&(struct made_terms){.cn = "x",
	    .names =
		"DNS:a.example.org,DNS:*.b.org,IP:192.0.2.1,IP:2001:db8::1",
	    .by = &root,
	    .key = made_ec});
	SSL_CTX *server = backend(&leaf, NULL);
	struct tls_client *c = load_ca(&root);
	static const char name[] = "the name is not in the certificate";
	static const char ip[] = "the IP address is not in the certificate";
	const struct {
		const char *name, *why;
	} rows[] = {{"a.example.org", NULL}, {"A.Example.ORG", NULL},
	    {"a.example.org.", NULL}, {"x.b.org", NULL}, {"192.0.2.1", NULL},
	    {"2001:db8::1", NULL}, {"2001:db8:0::1", NULL},
	    {"example.org", name}, {"x.y.b.org", name}, {"b.org", name},
	    {"192.0.2.2", ip}, {"2001:db8::2", ip}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *why = verdict(c, server, rows[i].name);

		if (rows[i].why == NULL)
			assert_null(why);
		else
			assert_string_equal(why, rows[i].why);
	}
	tls_client_release(c);
	SSL_CTX_free(server);
	made_free(&leaf);
}

/* A backend that should not be spoken to. */
static void
expect_refusal(const struct made *leaf, X509 *above, const struct made *ca,
    const char *expected)
{
	SSL_CTX *server = backend(leaf, above);
	struct tls_client *c = ca != NULL
	    ? load_ca(ca)
	    : load(&(struct tls_client_terms){.verify = true});
	struct tls_client *lax = load(&(struct tls_client_terms){.ca = ""});

	if (expected == NULL)
		assert_null(verdict(c, server, "a.org"));
	else
		assert_string_equal(verdict(c, server, "a.org"), expected);
	/* Nor does it matter when nothing is verified. */
	assert_null(verdict(lax, server, "b.org"));
	assert_null(verdict(lax, server, "192.0.2.9"));
	tls_client_release(c);
	tls_client_release(lax);
	SSL_CTX_free(server);
}

static void
test_chains(void **state)
{
	struct made good = made_issue(&(struct made_terms){
	    .names = "DNS:a.org", .by = &middle, .key = made_ec});
	struct made old = made_issue(&(struct made_terms){.names = "DNS:a.org",
	    .by = &root,
	    .key = made_ec,
	    .from_s = -9 * MADE_DAY_S,
	    .until_s = -60});
	struct made early = made_issue(&(struct made_terms){
	    .names = "DNS:a.org", .by = &root, .key = made_ec, .from_s = 3600});
	struct made self =
	    made_issue(&(struct made_terms){.cn = "a.org", .key = made_ec});

	(void)state;
	expect_refusal(&good, middle.x, &root, NULL);
	expect_refusal(
	    &good, NULL, &root, "unable to get local issuer certificate");
	/* What is in the file is trusted, a root or not. */
	expect_refusal(&good, NULL, &middle, NULL);
	expect_refusal(&good, middle.x, &other_root,
	    "unable to get local issuer certificate");
	expect_refusal(
	    &good, middle.x, NULL, "unable to get local issuer certificate");
	expect_refusal(&old, NULL, &root, "certificate has expired");
	expect_refusal(&early, NULL, &root, "certificate is not yet valid");
	expect_refusal(&self, NULL, &root, "self-signed certificate");
	expect_refusal(&self, NULL, &self, NULL);
	made_free(&good);
	made_free(&old);
	made_free(&early);
	made_free(&self);
}

/* ---- what is said ---- */

struct heard {
	char sni[256];
	char alpn[64];
};

static int
on_hello(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *in, unsigned in_len, void *arg)
{
	struct heard *h = (struct heard *)arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)snprintf(h->sni, sizeof(h->sni), "%s", name ? name : "(none)");
	(void)snprintf(
	    h->alpn, sizeof(h->alpn), "%.*s", (int)in_len - 1, in + 1);
	*out = in + 1;
	*out_len = in[0];
	return SSL_TLSEXT_ERR_OK;
}

static void
test_hello(void **state)
{
	struct made leaf =
	    made_issue(&(struct made_terms){.cn = "x", .key = made_ec});
	SSL_CTX *server = backend(&leaf, NULL);
	struct tls_client *c = load(&(struct tls_client_terms){.ca = NULL});
	struct heard h;
	const char *rows[][2] = {{"a.org", "a.org"}, {"a.org.", "a.org"},
	    {"192.0.2.1", "(none)"}, {"::1", "(none)"},
	    {"fe80::1%eth0", "(none)"}};

	(void)state;
	SSL_CTX_set_alpn_select_cb(server, on_hello, &h);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		h.sni[0] = '\0';
		assert_null(verdict(c, server, rows[i][0]));
		assert_string_equal(h.sni, rows[i][1]);
		assert_string_equal(h.alpn, "http/1.1");
	}
	tls_client_release(c);
	SSL_CTX_free(server);
	made_free(&leaf);
}

static void
test_own_certificate(void **state)
{
	struct made leaf =
	    made_issue(&(struct made_terms){.cn = "x", .key = made_ec});
	struct made own = made_issue(
	    &(struct made_terms){.cn = "us", .by = &root, .key = made_ec});
	SSL_CTX *server = backend(&leaf, NULL);
	struct tls_client *c = load(&(struct tls_client_terms){
	    .certificate = made_certificates("own.pem", own.x, root.x),
	    .key = made_key_file("own.key", own.key, NULL)});
	struct tls_client *none = load(&(struct tls_client_terms){.ca = NULL});
	SSL *client, *peer;
	char byte;

	(void)state;
	assert_true(tls_client_expiry(c) > (int64_t)time(NULL));
	assert_int_equal(tls_client_expiry(none), 0);
	SSL_CTX_set_verify(
	    server, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	assert_int_equal(
	    X509_STORE_add_cert(SSL_CTX_get_cert_store(server), root.x), 1);
	assert_null(verdict(c, server, "a.org"));
	/* TLS 1.3 says so only with the first read. */
	client = tls_client_stream(none, "a.org", 1, NULL);
	peer = SSL_new(server);
	SSL_set_accept_state(peer);
	made_join(client, peer);
	assert_int_equal(made_shake(client, peer), MADE_SERVER_FAILED);
	ERR_clear_error();
	assert_true(SSL_read(client, &byte, 1) <= 0);
	assert_true(tls_failure_is_refusal());
	assert_string_equal(
	    tls_failure_text(client), "the peer said: certificate required");
	SSL_free(client);
	SSL_free(peer);
	tls_client_release(c);
	tls_client_release(none);
	SSL_CTX_free(server);
	made_free(&leaf);
	made_free(&own);
}

/* ---- sessions ---- */

/* A handshake and a byte; whether it was resumed. */
static bool
visit(struct tls_client *c, SSL_CTX *server, uint64_t id, struct tls_slot *slot)
{
	SSL *client = tls_client_stream(c, "a.org", id, slot);
	SSL *peer = SSL_new(server);
	bool reused;

	SSL_set_accept_state(peer);
	made_join(client, peer);
	assert_int_equal(made_shake(client, peer), MADE_OK);
	assert_true(made_byte(peer, client));
	reused = SSL_session_reused(client) == 1;
	SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(client);
	SSL_set_shutdown(peer, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(peer);
	return reused;
}

static void
test_slot(void **state)
{
	struct made leaf = made_issue(&(struct made_terms){
	    .names = "DNS:a.org", .by = &root, .key = made_ec});
	struct tls_client *c = load_ca(&root);

	(void)state;
	for (int v = TLS1_2_VERSION; v <= TLS1_3_VERSION; v++) {
		SSL_CTX *server = backend(&leaf, NULL);
		struct tls_slot slot = {.session = NULL};
		struct ssl_session_st *first;

		SSL_CTX_set_max_proto_version(server, v);
		assert_false(visit(c, server, 7, &slot));
		first = slot.session;
		assert_non_null(first);
		assert_true(visit(c, server, 7, &slot));
		/* TLS 1.3 tickets are for one use. */
		if (v == TLS1_3_VERSION)
			assert_ptr_not_equal(slot.session, first);
		assert_true(visit(c, server, 7, &slot));
		assert_false(visit(c, server, 8, &slot));
		assert_true(visit(c, server, 8, &slot));
		assert_false(visit(c, server, 8, NULL));
		tls_slot_clear(&slot);
		assert_null(slot.session);
		assert_false(visit(c, server, 8, &slot));
		tls_slot_clear(&slot);
		tls_slot_clear(&slot);
		SSL_CTX_free(server);
	}
	tls_client_release(c);
	made_free(&leaf);
}

/* A stream of before a reload gets its ticket after it. */
static void
test_slot_of_other_terms(void **state)
{
	struct made leaf = made_issue(&(struct made_terms){
	    .names = "DNS:a.org", .by = &root, .key = made_ec});
	struct tls_client *c = load_ca(&root);
	SSL_CTX *server = backend(&leaf, NULL);
	struct tls_slot slot = {.session = NULL};
	SSL *old = tls_client_stream(c, "a.org", 7, &slot);
	SSL *peer = SSL_new(server), *new;

	(void)state;
	SSL_set_accept_state(peer);
	made_join(old, peer);
	assert_int_equal(made_shake(old, peer), MADE_OK);
	new = tls_client_stream(c, "a.org", 8, &slot);
	assert_true(made_byte(peer, old));
	assert_null(slot.session);
	assert_true(slot.identity == 8);
	SSL_free(new);
	SSL_free(old);
	SSL_free(peer);
	tls_client_release(c);
	SSL_CTX_free(server);
	made_free(&leaf);
}

/* What was verified is not good for ever. */
static void
test_slot_of_expired(void **state)
{
	struct made leaf = made_issue(&(struct made_terms){.names = "DNS:a.org",
	    .by = &root,
	    .key = made_ec,
	    .from_s = -9 * MADE_DAY_S,
	    .until_s = -60});
	struct tls_client *lax = load(&(struct tls_client_terms){.ca = NULL});
	struct tls_client *strict = load_ca(&root);
	SSL_CTX *server = backend(&leaf, NULL);
	struct tls_slot slot = {.session = NULL};
	SSL *ssl;

	(void)state;
	/* The same number, as if it had been good when it began. */
	assert_false(visit(lax, server, 7, &slot));
	assert_true(visit(lax, server, 7, &slot));
	ssl = tls_client_stream(strict, "a.org", 7, &slot);
	assert_null(slot.session);
	SSL_free(ssl);
	tls_client_release(lax);
	tls_client_release(strict);
	SSL_CTX_free(server);
	made_free(&leaf);
}

/* ---- identity ---- */

static void
test_identity(void **state)
{
	struct tls_space *two[2] = {space, tls_space_create()};
	struct tls_client *c[2], *other;
	const char *a = made_certificates("a.pem", root.x);
	const char *same = made_certificates("same.pem", root.x);
	const char *b = made_certificates("b.pem", root.x, other_root.x);
	struct tls_client_terms t = {.verify = true, .ca = a};
	uint64_t ids[4];

	(void)state;
	assert_true(tls_clients_create(c, two, 2, &t, made_teller()));
	ids[0] = identity(c[0]);
	assert_true(ids[0] != 0 && ids[0] == identity(c[1]));
	ids[1] = tls_client_identity(c[0], SPAN("x.org"));
	assert_true(ids[1] == tls_client_identity(c[1], SPAN("X.org")));
	t.ca = same;
	other = load(&t);
	assert_true(identity(other) == ids[0]);
	tls_client_release(other);
	t.ca = b;
	other = load(&t);
	ids[2] = identity(other);
	tls_client_release(other);
	t.verify = false;
	other = load(&t);
	ids[3] = identity(other);
	tls_client_release(other);
	for (size_t i = 0; i < 4; i++)
		for (size_t j = 0; j < i; j++)
			assert_true(ids[i] != ids[j]);
	assert_ptr_equal(tls_client_hold(c[0]), c[0]);
	tls_client_release(c[0]);
	tls_client_release(c[0]);
	tls_client_release(c[1]);
	tls_client_release(NULL);
	tls_space_free(two[1]);
}

/* ---- what is wrong with files ---- */

static void
test_bad_files(void **state)
{
	struct tls_client *c = NULL;
	struct tls_client_terms t = {.verify = true,
	    .ca = made_path("none.pem"),
	    .certificate = made_text("no.pem", "hello\n"),
	    .key = made_key_file("a.key", made_ec, NULL)};
	char expected[1024];

	(void)state;
	assert_false(tls_clients_create(&c, &space, 1, &t, made_teller()));
	(void)snprintf(expected, sizeof(expected),
	    "tls_ca[0] %s: no such file\n"
	    "tls_certificate[0] %s: no certificate in it\n",
	    t.ca, t.certificate);
	assert_string_equal(made_errors, expected);
	t.ca = made_certificates("ca.pem", root.x);
	t.certificate = t.ca;
	assert_false(tls_clients_create(&c, &space, 1, &t, made_teller()));
	(void)snprintf(expected, sizeof(expected),
	    "tls_key[0] %s: does not belong to the certificate %s\n", t.key,
	    t.certificate);
	assert_string_equal(made_errors, expected);
}

static void
test_bad_peers(void **state)
{
	struct tls_client *c = load(&(struct tls_client_terms){.ca = NULL});
	const struct {
		const char *said, *why;
	} rows[] = {
	    {"HTTP/1.1 400 Bad Request\r\n\r\n", "the peer does not speak TLS"},
	    {"\x15\x03\x01\x00\x02\x02\x28",
		"the peer said: handshake failure"},
	    {"", "the peer closed the connection"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		SSL *ssl = tls_client_stream(c, "a.org", 1, NULL);
		size_t len = i == 1 ? 7 : strlen(rows[i].said);
		BIO *in = BIO_new_mem_buf(rows[i].said, (int)len);

		BIO_set_mem_eof_return(in, 0);
		SSL_set_bio(ssl, in, BIO_new(BIO_s_mem()));
		assert_true(SSL_do_handshake(ssl) <= 0);
		assert_string_equal(tls_failure_text(ssl), rows[i].why);
		SSL_free(ssl);
	}
	/* Longer than any name. */
	char name[300];

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_null(tls_client_stream(c, name, 1, NULL));
	tls_client_release(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_chains),
	    cmocka_unit_test(test_hello),
	    cmocka_unit_test(test_own_certificate),
	    cmocka_unit_test(test_slot),
	    cmocka_unit_test(test_slot_of_other_terms),
	    cmocka_unit_test(test_slot_of_expired),
	    cmocka_unit_test(test_identity),
	    cmocka_unit_test(test_bad_files),
	    cmocka_unit_test(test_bad_peers),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
