/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "evenkeel/net/tls_context.h"
#include "tls_made.h"
#include "tls_talk.h"

static struct tls_space *spaces[2];
static struct tls_tickets *tickets;
static struct made ca, other_ca, rsa, ec, wild, www, user;
static struct tls_pair pair_rsa, pair_ec, pair_wild, pair_www;

static struct tls_pair
keep_pair(const struct made *m, const char *name)
{
	char file[64];
	struct tls_pair p = {.staple = NULL};

	(void)snprintf(file, sizeof(file), "%s.pem", name);
	p.certificate = made_keep(made_certificates(file, m->x, ca.x));
	(void)snprintf(file, sizeof(file), "%s.key", name);
	p.key = made_keep(made_key_file(file, m->key, NULL));
	return p;
}

static int
set_up(void **state)
{
	(void)state;
	made_begin();
	made_keys();
	spaces[0] = tls_space_create();
	spaces[1] = tls_space_create();
	tickets = tls_tickets_create();
	assert_true(spaces[0] && spaces[1] && tickets);
	ca = made_ca();
	other_ca = made_issue(&(struct made_terms){
	    .cn = "Other CA", .ca = true, .key = made_ec_other});
	rsa = made_issue(&(struct made_terms){.cn = "rsa",
	    .names = "DNS:example.org,DNS:Mixed.Example.org",
	    .by = &ca,
	    .key = made_rsa});
	ec = made_issue(&(struct made_terms){
	    .cn = "ec", .names = "DNS:example.org", .by = &ca, .key = made_ec});
	wild = made_issue(&(struct made_terms){.cn = "wild",
	    .names = "DNS:*.example.org,DNS:*.net",
	    .by = &ca,
	    .key = made_ec});
	www = made_issue(&(struct made_terms){
	    .cn = "www.example.org", .by = &ca, .key = made_ec});
	user = made_issue(
	    &(struct made_terms){.cn = "user", .by = &ca, .key = made_ec});
	pair_rsa = keep_pair(&rsa, "rsa");
	pair_ec = keep_pair(&ec, "ec");
	pair_wild = keep_pair(&wild, "wild");
	pair_www = keep_pair(&www, "www");
	return 0;
}

static int
tear_down(void **state)
{
	struct made *all[] = {&ca, &other_ca, &rsa, &ec, &wild, &www, &user};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		made_free(all[i]);
	made_keys_free();
	tls_tickets_free(tickets);
	tls_space_free(spaces[0]);
	tls_space_free(spaces[1]);
	made_end();
	return 0;
}

/* ---- a listener ---- */

static struct tls_server *
serve(const struct tls_server_terms *terms, size_t space)
{
	struct tls_server_terms t = *terms;
	struct tls_server *s;

	if (t.name == NULL)
		t.name = "main";
	t.tickets = tickets;
	if (!tls_servers_create(&s, &spaces[space], 1, &t, made_teller()))
		fail_msg("not loaded: %s", made_errors);
	return s;
}

/* Which certificate a client with this wish gets. */
static void
expect_certificate(
    struct tls_server *s, const struct wish *w, const struct made *expected)
{
	struct talk t = talk(s, w);
	X509 *got;

	assert_int_equal(t.end, MADE_OK);
	got = SSL_get0_peer_certificate(t.client);
	assert_int_equal(X509_cmp(got, expected->x), 0);
	/* The file's second one came along. */
	assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(t.client)), 2);
	talk_end(&t);
}

/* ---- which certificate ---- */

static void
test_names(void **state)
{
	const struct tls_pair pairs[] = {
	    pair_rsa, pair_ec, pair_wild, pair_www};
	struct tls_server *s =
	    serve(&(struct tls_server_terms){.pairs = pairs, .n_pairs = 4}, 0);
	const struct {
		const char *sni;
		const struct made *expected;
	} rows[] = {
	    {NULL, &ec}, {"unknown.com", &ec}, {"example.org", &ec},
	    {"example.org.", &ec}, {"EXAMPLE.ORG", &ec},
	    {"mixed.example.org", &rsa},
	    {"www.example.org", &www}, /* exact before wildcard */
	    {"WWW.Example.Org", &www}, {"x.example.org", &wild},
	    {"x.y.example.org", &ec}, /* one label: unknown, the first */
	    {"a.net", &wild}, {"net", &ec},
	    {"rsa", &ec}, /* a common name beside DNS names is none */
	};

	char expected[256];

	(void)state;
	(void)snprintf(expected, sizeof(expected),
	    "tls_certificate[3] %s: has no names but its CN (no "
	    "subjectAltName): browsers refuse it\n",
	    pair_www.certificate);
	assert_string_equal(made_warnings, expected);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int v = TLS1_2_VERSION; v <= TLS1_3_VERSION; v++) {
			struct wish w = {.sni = rows[i].sni,
			    .version = v,
			    .sigalgs = "ECDSA+SHA256:RSA-PSS+SHA256"};

			expect_certificate(s, &w, rows[i].expected);
		}
	}
	tls_server_release(s);
}

static void
test_kinds_of_keys(void **state)
{
	const struct tls_pair pairs[] = {pair_rsa, pair_ec, pair_wild};
	struct tls_server *s =
	    serve(&(struct tls_server_terms){.pairs = pairs, .n_pairs = 3}, 0);

	(void)state;
	for (int v = TLS1_2_VERSION; v <= TLS1_3_VERSION; v++) {
		const char *names[] = {"example.org", NULL, "unknown.com"};

		for (size_t i = 0; i < 3; i++) {
			struct wish w = {.sni = names[i],
			    .version = v,
			    .sigalgs = "RSA-PSS+SHA256"};

			expect_certificate(s, &w, &rsa);
			w.sigalgs = "ECDSA+SHA256";
			expect_certificate(s, &w, &ec);
		}
		/* The name has no RSA: the other certificate is not its. */
		struct talk t = talk(s,
		    &(struct wish){.sni = "x.example.org",
			.version = v,
			.sigalgs = "RSA-PSS+SHA256"});
		assert_int_equal(t.end, MADE_SERVER_FAILED);
		talk_end(&t);
	}
	tls_server_release(s);
}

static void
test_unused_is_told(void **state)
{
	const struct tls_pair pairs[] = {pair_ec, pair_wild, pair_ec};
	char expected[256];

	(void)state;
	tls_server_release(
	    serve(&(struct tls_server_terms){.pairs = pairs, .n_pairs = 3}, 0));
	(void)snprintf(expected, sizeof(expected),
	    "tls_certificate[2] %s: is never used: ", pair_ec.certificate);
	assert_memory_equal(made_warnings, expected, strlen(expected));
}

/* One certificate for `key`, and what is warned of. */
static void
expect_client_warning(const struct made *m, const char *said)
{
	const struct tls_pair p = {
	    .certificate = made_certificates("warned.pem", m->x),
	    .key = made_key_file("warned.key", m->key, NULL)};
	char expected[512] = "";

	tls_server_release(
	    serve(&(struct tls_server_terms){.pairs = &p, .n_pairs = 1}, 0));
	if (said != NULL)
		(void)snprintf(expected, sizeof(expected),
		    "tls_certificate[0] %s: %s\n", p.certificate, said);
	assert_string_equal(made_warnings, expected);
}

static void
test_what_clients_want(void **state)
{
	struct made own = made_issue(&(struct made_terms){
	    .cn = "a.org", .names = "IP:127.0.0.1", .key = made_ec});
	struct made bare =
	    made_issue(&(struct made_terms){.cn = "a.org", .key = made_ec});
	X509V3_CTX v;

	(void)state;
	expect_client_warning(&own, NULL);
	expect_client_warning(&bare,
	    "has no names but its CN (no subjectAltName): browsers refuse it");
	X509V3_set_ctx(&v, own.x, own.x, NULL, NULL, 0);
	made_extension(
	    own.x, &v, NID_info_access, "OCSP;URI:http://a.org/ocsp");
	assert_true(X509_sign(own.x, made_ec, EVP_sha256()) > 0);
	expect_client_warning(&own, NULL);
	X509_EXTENSION_free(X509_delete_ext(
	    own.x, X509_get_ext_by_NID(own.x, NID_info_access, -1)));
	made_extension(
	    own.x, &v, NID_info_access, "caIssuers;URI:http://a.org/ca");
	assert_true(X509_sign(own.x, made_ec, EVP_sha256()) > 0);
	expect_client_warning(&own,
	    "has only the server's own certificate in it: clients need that "
	    "of the CA behind it, too (full chain)");
	made_free(&own);
	made_free(&bare);
}

/* ---- versions, ciphers, protocols ---- */

static void
test_versions(void **state)
{
	struct tls_server *any = serve(
	    &(struct tls_server_terms){.pairs = &pair_rsa, .n_pairs = 1}, 0);
	struct tls_server *new = serve(
	    &(struct tls_server_terms){
		.pairs = &pair_rsa, .n_pairs = 1, .only_1_3 = true},
	    0);
	const struct {
		int version;
		enum made_shake any, new;
	} rows[] = {{TLS1_VERSION, MADE_SERVER_FAILED, MADE_SERVER_FAILED},
	    {TLS1_1_VERSION, MADE_SERVER_FAILED, MADE_SERVER_FAILED},
	    {TLS1_2_VERSION, MADE_OK, MADE_SERVER_FAILED},
	    {TLS1_3_VERSION, MADE_OK, MADE_OK}};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct wish w = {.version = rows[i].version};
		struct talk t;

		if (rows[i].version < TLS1_2_VERSION)
			w.ciphers = "ALL:@SECLEVEL=0";
		t = talk(any, &w);
		assert_int_equal(t.end, rows[i].any);
		talk_end(&t);
		t = talk(new, &w);
		assert_int_equal(t.end, rows[i].new);
		if (t.end != MADE_OK)
			assert_string_equal(
			    talk_failure(&t), "no version of TLS in common");
		talk_end(&t);
	}
	tls_server_release(any);
	tls_server_release(new);
}

static void
test_ciphers(void **state)
{
	struct tls_server *s = serve(
	    &(struct tls_server_terms){.pairs = &pair_rsa, .n_pairs = 1}, 0);
	struct tls_server *own =
	    serve(&(struct tls_server_terms){.pairs = &pair_rsa,
		      .n_pairs = 1,
		      .ciphers = "AES256-SHA:!aNULL:!RC4:-MD5",
		      .ciphersuites = "TLS_CHACHA20_POLY1305_SHA256"},
		0);
	struct wish w = {.version = TLS1_2_VERSION, .ciphers = "AES256-SHA"};
	struct talk t = talk(s, &w);

	(void)state;
	assert_int_equal(t.end, MADE_SERVER_FAILED);
	assert_string_equal(talk_failure(&t), "no cipher in common");
	talk_end(&t);
	t = talk(own, &w);
	assert_int_equal(t.end, MADE_OK);
	talk_end(&t);
	t = talk(own, &(struct wish){.version = TLS1_3_VERSION});
	assert_int_equal(t.end, MADE_OK);
	assert_string_equal(
	    SSL_get_cipher_name(t.client), "TLS_CHACHA20_POLY1305_SHA256");
	talk_end(&t);
	tls_server_release(s);
	tls_server_release(own);
}

/* What the file holds is sent, and not what the store for clients knows. */
static void
test_no_chain_but_the_files(void **state)
{
	struct tls_pair alone = pair_ec;
	struct tls_server *s;
	struct talk t;

	(void)state;
	alone.certificate = made_certificates("alone.pem", ec.x);
	s = serve(&(struct tls_server_terms){.pairs = &alone,
		      .n_pairs = 1,
		      .client_ca = made_certificates("ca.pem", ca.x)},
	    0);
	t = talk(s, &(struct wish){.own = &user});
	assert_int_equal(t.end, MADE_OK);
	assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(t.client)), 1);
	talk_end(&t);
	tls_server_release(s);
}

static void
test_bad_ciphers(void **state)
{
	const struct {
		const char *ciphers, *suites, *told;
	} rows[] = {
	    {"ECDHE-RSA-AES128-GCM-SHA257", NULL,
		"tls_ciphers[0] \"ECDHE-RSA-AES128-GCM-SHA257\": OpenSSL knows "
		"no such cipher\n"},
	    {"ECDHE+AESGCM:NONE:ALSO", NULL,
		"tls_ciphers[0] \"NONE\": OpenSSL knows no such cipher\n"
		"tls_ciphers[0] \"ALSO\": OpenSSL knows no such cipher\n"},
	    {"HIGH:!aNUL", NULL,
		"tls_ciphers[0] \"aNUL\": OpenSSL knows no such cipher\n"},
	    {"HIGH:@SECLEVEL=x", NULL,
		"tls_ciphers[0] \"@SECLEVEL=x\": OpenSSL knows no such "
		"command\n"},
	    {"TLS_AES_128_GCM_SHA256", NULL,
		"tls_ciphers[0] \"TLS_AES_128_GCM_SHA256\": belongs in "
		"tls_ciphersuites: it is of TLS 1.3\n"},
	    {"HIGH:!ALL", NULL, "tls_ciphers[0] leaves no cipher\n"},
	    {" : ", NULL, "tls_ciphers[0] has no cipher in it\n"},
	    {NULL, "TLS_AES_128_GCM_SHA25",
		"tls_ciphersuites[0] \"TLS_AES_128_GCM_SHA25\": OpenSSL knows "
		"no such cipher suite of TLS 1.3\n"},
	    {NULL, "ECDHE-RSA-AES128-GCM-SHA256",
		"tls_ciphersuites[0] \"ECDHE-RSA-AES128-GCM-SHA256\": belongs "
		"in tls_ciphers: it is of TLS 1.2\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tls_server *s;
		struct tls_server_terms t = {.name = "main",
		    .pairs = &pair_rsa,
		    .n_pairs = 1,
		    .ciphers = rows[i].ciphers,
		    .ciphersuites = rows[i].suites,
		    .tickets = tickets};

		assert_false(
		    tls_servers_create(&s, spaces, 1, &t, made_teller()));
		assert_string_equal(made_errors, rows[i].told);
	}
}

static void
test_alpn(void **state)
{
	struct tls_server *s = serve(
	    &(struct tls_server_terms){.pairs = &pair_rsa, .n_pairs = 1}, 0);
	const struct {
		const char *offer;
		const char *chosen; /* NULL: refused */
	} rows[] = {{NULL, ""}, {"\x08http/1.1", "http/1.1"},
	    {"\x02h2\x08http/1.1", "http/1.1"}, {"\x02h2", NULL},
	    {"\x09http/1.1x", NULL}, {"\x08http/1.0", "http/1.0"},
	    {"\x08http/1.0\x08http/1.1", "http/1.1"}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct talk t = talk(s, &(struct wish){.alpn = rows[i].offer});
		const unsigned char *got;
		unsigned len;

		SSL_get0_alpn_selected(t.client, &got, &len);
		if (rows[i].chosen == NULL) {
			assert_int_equal(t.end, MADE_SERVER_FAILED);
			assert_string_equal(talk_failure(&t),
			    "no application protocol in common");
			assert_int_not_equal(SSL_do_handshake(t.client), 1);
			assert_string_equal(tls_failure_text(t.client),
			    "the peer said: no application protocol in "
			    "common");
		} else {
			assert_int_equal(t.end, MADE_OK);
			assert_int_equal(len, strlen(rows[i].chosen));
			assert_memory_equal(got, rows[i].chosen, len);
		}
		talk_end(&t);
	}
	tls_server_release(s);
}

static void
test_no_renegotiation(void **state)
{
	struct tls_server *s = serve(
	    &(struct tls_server_terms){.pairs = &pair_rsa, .n_pairs = 1}, 0);
	struct talk t = talk(s, &(struct wish){.version = TLS1_2_VERSION});
	char c;

	(void)state;
	assert_int_equal(t.end, MADE_OK);
	assert_int_equal(SSL_renegotiate(t.client), 1);
	for (int i = 0; i < 4; i++) {
		(void)SSL_do_handshake(t.client);
		(void)SSL_read(t.server, &c, 1);
	}
	/* OpenSSL counts those that were begun by either side. */
	assert_int_not_equal(SSL_is_init_finished(t.client), 1);
	assert_int_equal(SSL_num_renegotiations(t.server), 0);
	assert_int_equal(SSL_renegotiate(t.server), 0);
	talk_end(&t);
	tls_server_release(s);
}

/* ---- resumption ---- */

/* A full handshake, and whether the session is taken elsewhere. */
static bool
resumes(struct tls_server *first, struct tls_server *then, const struct wish *w)
{
	struct talk t = talk(first, w);
	struct wish again = *w;
	bool hit;

	forget_session();
	talk_end(&t);
	t = talk(first, w);
	assert_int_equal(t.end, MADE_OK);
	assert_true(made_byte(t.server, t.client));
	assert_int_equal(SSL_session_reused(t.client), 0);
	/* One ticket. */
	assert_int_equal(sessions, 1);
	talk_end(&t);
	again.session = last_session;
	t = talk(then, &again);
	assert_int_equal(t.end, MADE_OK);
	hit = SSL_session_reused(t.client);
	assert_int_equal(SSL_session_reused(t.server), hit);
	assert_true(made_byte(t.server, t.client));
	talk_end(&t);
	forget_session();
	return hit;
}

static const char *
bytes_file(const char *name, unsigned char *room, size_t n, unsigned char from)
{
	for (size_t i = 0; i < n; i++)
		room[i] = (unsigned char)(from + i);
	return made_keep(made_bytes(name, room, n));
}

static void
test_resumption(void **state)
{
	const struct tls_pair pairs[] = {pair_rsa, pair_wild};
	struct tls_server_terms t = {
	    .name = "main", .pairs = pairs, .n_pairs = 2, .tickets = tickets};
	struct tls_server *s[2], *other;

	(void)state;
	assert_true(tls_servers_create(s, spaces, 2, &t, made_teller()));
	t.name = "other";
	other = serve(&t, 0);
	for (int v = TLS1_2_VERSION; v <= TLS1_3_VERSION; v++) {
		struct wish w = {.version = v};

		assert_true(resumes(s[0], s[0], &w));
		assert_true(resumes(s[0], s[1], &w));
		w.sni = "x.example.org";
		assert_true(resumes(s[1], s[0], &w));
		assert_false(resumes(s[0], other, &w));
	}
	tls_server_release(other);
	tls_server_release(s[0]);
	tls_server_release(s[1]);
}

/* Another process with the same file, and one with another. */
static void
test_ticket_keys(void **state)
{
	unsigned char bytes[80];
	struct tls_server_terms t = {.name = "main",
	    .pairs = &pair_rsa,
	    .n_pairs = 1,
	    .ticket_keys = bytes_file("keys", bytes, 48, 1)};
	struct tls_server *a, *b, *other;

	(void)state;
	assert_true(tls_servers_create(&a, spaces, 1, &t, made_teller()));
	assert_true(tls_servers_create(&b, spaces + 1, 1, &t, made_teller()));
	t.ticket_keys = bytes_file("other.keys", bytes, 80, 7);
	assert_true(tls_servers_create(&other, spaces, 1, &t, made_teller()));
	for (int v = TLS1_2_VERSION; v <= TLS1_3_VERSION; v++) {
		struct wish w = {.version = v};

		assert_true(resumes(a, b, &w));
		assert_true(resumes(other, other, &w));
		assert_false(resumes(a, other, &w));
	}
	tls_server_release(a);
	tls_server_release(b);
	tls_server_release(other);
	t.ticket_keys = bytes_file("bad.keys", bytes, 79, 200);
	assert_false(tls_servers_create(&a, spaces, 1, &t, made_teller()));
	assert_memory_equal(made_errors, "tls_ticket_keys[0] ", 19);
}

/* CVE-2025-23419 of nginx: a session of one name must not open another. */
static void
test_not_across_client_ca(void **state)
{
	const char *ca_file = made_keep(made_certificates("ca.pem", ca.x));
	const char *both =
	    made_keep(made_certificates("both.pem", ca.x, other_ca.x));
	struct tls_server_terms t = {
	    .pairs = &pair_rsa, .n_pairs = 1, .client_ca = ca_file};
	struct tls_server *with = serve(&t, 0), *same = serve(&t, 1);
	struct tls_server *wider, *without;

	(void)state;
	t.client_ca = both;
	wider = serve(&t, 0);
	t.client_ca = NULL;
	without = serve(&t, 0);
	for (int v = TLS1_2_VERSION; v <= TLS1_3_VERSION; v++) {
		struct wish w = {.version = v, .own = &user};

		assert_true(resumes(with, same, &w));
		assert_false(resumes(with, wider, &w));
		assert_false(resumes(without, with, &w));
		assert_false(resumes(with, without, &w));
	}
	tls_server_release(with);
	tls_server_release(same);
	tls_server_release(wider);
	tls_server_release(without);
}

/* ---- clients' certificates ---- */

/* The server's last words, also when TLS 1.3 says them after the handshake. */
static void
test_client_certificate(void **state)
{
	struct made foreign = made_issue(
	    &(struct made_terms){.cn = "x", .by = &other_ca, .key = made_rsa});
	struct made old = made_issue(&(struct made_terms){.cn = "old",
	    .by = &ca,
	    .key = made_ec,
	    .from_s = -9 * MADE_DAY_S,
	    .until_s = -MADE_DAY_S});
	struct tls_server *s =
	    serve(&(struct tls_server_terms){.pairs = &pair_rsa,
		      .n_pairs = 1,
		      .client_ca = made_certificates("ca.pem", ca.x)},
		0);
	const struct {
		const struct made *own;
		const char *why;
	} rows[] = {{&user, NULL}, {NULL, "the peer showed no certificate"},
	    {&foreign, "unable to get local issuer certificate"},
	    {&old, "certificate has expired"}};

	(void)state;
	for (int v = TLS1_2_VERSION; v <= TLS1_3_VERSION; v++) {
		for (size_t i = 0; i < 4; i++) {
			struct talk t = talk(s,
			    &(struct wish){.version = v, .own = rows[i].own});
			char c;

			if (rows[i].why == NULL) {
				assert_int_equal(t.end, MADE_OK);
				assert_true(made_byte(t.server, t.client));
				assert_int_equal(
				    sk_X509_NAME_num(
					SSL_get_client_CA_list(t.client)),
				    1);
				talk_end(&t);
				continue;
			}
			assert_int_equal(t.end, MADE_SERVER_FAILED);
			assert_string_equal(talk_failure(&t), rows[i].why);
			assert_true(SSL_read(t.client, &c, 1) <= 0);
			assert_true(tls_failure_is_refusal());
			assert_memory_equal(
			    tls_failure_text(t.client), "the peer said: ", 15);
			assert_false(tls_failure_is_refusal());
			talk_end(&t);
		}
	}
	tls_server_release(s);
	made_free(&foreign);
	made_free(&old);
}

static void
expect_subject(struct tls_server *s, X509_NAME *name, const char *expected)
{
	struct made m = made_issue(
	    &(struct made_terms){.subject = name, .by = &ca, .key = made_ec});
	struct talk t = talk(s, &(struct wish){.own = &m});
	char room[256], small[3];
	struct textbuf out = textbuf_make(room, sizeof(room));
	struct textbuf full = textbuf_make(small, sizeof(small));

	assert_int_equal(t.end, MADE_OK);
	assert_true(tls_put_subject(&out, t.server));
	room[out.len] = '\0';
	assert_string_equal(room, expected);
	assert_false(tls_put_subject(&full, t.server));
	talk_end(&t);
	made_free(&m);
	X509_NAME_free(name);
}

static X509_NAME *
name_of(const char *o, int type, const void *cn, int len)
{
	X509_NAME *name = X509_NAME_new();

	assert_non_null(name);
	if (o != NULL)
		X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8,
		    (const unsigned char *)o, -1, -1, 0);
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", type,
			     (const unsigned char *)cn, len, -1, 0),
	    1);
	return name;
}

static void
test_subject(void **state)
{
	struct tls_server *s =
	    serve(&(struct tls_server_terms){.pairs = &pair_rsa,
		      .n_pairs = 1,
		      .client_ca = made_certificates("ca.pem", ca.x)},
		0);
	struct tls_server *plain = serve(
	    &(struct tls_server_terms){.pairs = &pair_rsa, .n_pairs = 1}, 0);
	struct talk t = talk(plain, &(struct wish){.version = 0});
	char room[64];
	struct textbuf out = textbuf_make(room, sizeof(room));

	(void)state;
	assert_false(tls_put_subject(&out, t.server));
	assert_false(out.full);
	talk_end(&t);
	expect_subject(
	    s, name_of("Org", MBSTRING_UTF8, "joe", -1), "CN=joe,O=Org");
	expect_subject(s,
	    name_of("a, b=c", MBSTRING_UTF8, "#x+\"y\";<z>\\ ", -1),
	    "CN=\\#x\\+\\\"y\\\"\\;\\<z\\>\\\\\\ ,O=a\\, b=c");
	expect_subject(s, name_of(NULL, MBSTRING_UTF8, "J\xc3\xb6rg", -1),
	    "CN=J\xc3\xb6rg");
	/* Latin-1 becomes UTF-8. */
	expect_subject(
	    s, name_of(NULL, V_ASN1_T61STRING, "J\xf6rg", 4), "CN=J\xc3\xb6rg");
	expect_subject(s,
	    name_of(NULL, MBSTRING_UTF8, "a\r\nX: y\tz\x7f\x01", -1),
	    "CN=a\\0D\\0AX: y\\09z\\7F\\01");
	expect_subject(
	    s, name_of(NULL, V_ASN1_UTF8STRING, "a\0b", 3), "CN=a\\00b");
	tls_server_release(s);
	tls_server_release(plain);
}

/* ---- lifetime ---- */

static void
test_stream_holds_server(void **state)
{
	struct tls_server *s = serve(
	    &(struct tls_server_terms){.pairs = &pair_rsa, .n_pairs = 1}, 0);
	struct wish w = {.sni = "example.org"};
	SSL_CTX *ctx = client_context(&w);
	SSL *client = SSL_new(ctx), *server = tls_server_stream(s);
	int64_t now = (int64_t)time(NULL);

	(void)state;
	assert_true(tls_server_expiry(s, 0) > now + 89 * MADE_DAY_S);
	assert_true(tls_server_expiry(s, 0) < now + 91 * MADE_DAY_S);
	assert_ptr_equal(tls_server_hold(s), s);
	tls_server_release(s);
	tls_server_release(s);
	tls_server_release(NULL);
	/* Only the stream is left to hold it. */
	SSL_set_connect_state(client);
	made_join(client, server);
	assert_int_equal(made_shake(client, server), MADE_OK);
	assert_true(made_byte(server, client));
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(ctx);
	forget_session();
}

/* One that changed over to another certificate outlives it, too. */
static void
test_named_stream_holds_server(void **state)
{
	const struct tls_pair pairs[] = {pair_rsa, pair_www};
	struct tls_server *s =
	    serve(&(struct tls_server_terms){.pairs = pairs, .n_pairs = 2}, 0);
	struct talk t = talk(s, &(struct wish){.sni = "www.example.org"});

	(void)state;
	assert_int_equal(t.end, MADE_OK);
	tls_server_release(s);
	talk_end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_kinds_of_keys),
	    cmocka_unit_test(test_unused_is_told),
	    cmocka_unit_test(test_what_clients_want),
	    cmocka_unit_test(test_versions),
	    cmocka_unit_test(test_ciphers),
	    cmocka_unit_test(test_bad_ciphers),
	    cmocka_unit_test(test_no_chain_but_the_files),
	    cmocka_unit_test(test_alpn),
	    cmocka_unit_test(test_no_renegotiation),
	    cmocka_unit_test(test_resumption),
	    cmocka_unit_test(test_ticket_keys),
	    cmocka_unit_test(test_not_across_client_ca),
	    cmocka_unit_test(test_client_certificate),
	    cmocka_unit_test(test_subject),
	    cmocka_unit_test(test_stream_holds_server),
	    cmocka_unit_test(test_named_stream_holds_server),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
