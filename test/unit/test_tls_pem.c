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
static struct tls_tickets *tickets;
static struct made ca, leaf;
static const char *good_pem, *good_key;

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
	leaf = made_issue(&(struct made_terms){
	    .cn = "a.org", .names = "DNS:a.org", .by = &ca, .key = made_ec});
	good_pem = made_keep(made_certificates("good.pem", leaf.x, ca.x));
	good_key = made_keep(made_key_file("good.key", made_ec, NULL));
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	made_free(&ca);
	made_free(&leaf);
	made_keys_free();
	tls_tickets_free(tickets);
	tls_space_free(space);
	made_end();
	return 0;
}

/* Loads one pair, or as many as there are; what was told is left. */
static bool
load(const struct tls_pair *pairs, size_t n, const char *client_ca)
{
	struct tls_server_terms t = {.name = "main",
	    .pairs = pairs,
	    .n_pairs = n,
	    .client_ca = client_ca,
	    .tickets = tickets};
	struct tls_server *s;

	if (!tls_servers_create(&s, &space, 1, &t, made_teller()))
		return false;
	tls_server_release(s);
	return true;
}

/* `line` with %s for the path. */
static void
expect_told(const char *told, const char *line, const char *path)
{
	char expected[2048];
	const char *at = strstr(line, "%s");

	assert_non_null(at);
	(void)snprintf(expected, sizeof(expected), "%.*s%s%s\n",
	    (int)(at - line), line, path, at + 2);
	assert_string_equal(told, expected);
}

static void
expect_bad_certificate(const char *path, const char *why)
{
	const struct tls_pair p = {.certificate = path, .key = good_key};

	assert_false(load(&p, 1, NULL));
	expect_told(made_errors, why, path);
}

static void
expect_bad_key(const char *path, const char *why)
{
	const struct tls_pair p = {.certificate = good_pem, .key = path};

	assert_false(load(&p, 1, NULL));
	expect_told(made_errors, why, path);
}

/* ---- files ---- */

static void
test_files(void **state)
{
	char *big = (char *)malloc(TLS_FILE_BYTES + 1);
	const char *path = made_path("fifo");

	(void)state;
	assert_non_null(big);
	memset(big, '\n', TLS_FILE_BYTES + 1);
	expect_bad_certificate(
	    made_path("none.pem"), "tls_certificate[0] %s: no such file");
	expect_bad_certificate(
	    made_dir, "tls_certificate[0] %s: is a directory");
	expect_bad_certificate(
	    made_text("empty.pem", ""), "tls_certificate[0] %s: is empty");
	expect_bad_certificate(made_bytes("big.pem", big, TLS_FILE_BYTES + 1),
	    "tls_certificate[0] %s: is larger than 1 MiB");
	expect_bad_certificate(made_bytes("full.pem", big, TLS_FILE_BYTES),
	    "tls_certificate[0] %s: no certificate in it");
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_bad_certificate(
	    path, "tls_certificate[0] %s: is not a regular file");
	expect_bad_certificate(
	    "/dev/null", "tls_certificate[0] %s: is not a regular file");
	(void)snprintf(big, 200, "%s/x", good_pem);
	expect_bad_certificate(big,
	    "tls_certificate[0] %s: no such file: a part of its path is not a "
	    "directory");
	free(big);
}

static void
test_permission(void **state)
{
	const struct tls_pair p = {.certificate = good_pem,
	    .key = made_key_file("closed.key", made_ec, NULL)};
	bool root = geteuid() == 0, loaded;

	(void)state;
	assert_int_equal(chmod(made_dir, 0755), 0);
	assert_int_equal(chmod(good_pem, 0644), 0);
	assert_int_equal(chmod(p.key, 0), 0);
	if (root)
		assert_int_equal(seteuid(65534), 0);
	loaded = load(&p, 1, NULL);
	if (root)
		assert_int_equal(seteuid(0), 0);
	assert_false(loaded);
	expect_told(made_errors,
	    "tls_key[0] %s: permission denied: who evenkeel runs as (user) may "
	    "not "
	    "read it, or not enter its directory",
	    p.key);
}

/* ---- certificates ---- */

static void
test_certificates(void **state)
{
	unsigned char *der = NULL;
	int len = i2d_X509(leaf.x, &der);
	char *text = (char *)calloc(1, 65536);
	FILE *f = fopen(good_pem, "r");
	size_t n;

	(void)state;
	assert_true(text != NULL && f != NULL && len > 0);
	expect_bad_certificate(made_bytes("x.der", der, (size_t)len),
	    "tls_certificate[0] %s: no certificate in it: it is DER, and PEM "
	    "is needed (openssl x509 -inform DER)");
	expect_bad_certificate(good_key,
	    "tls_certificate[0] %s: no certificate in it, but a private key");
	expect_bad_certificate(
	    made_text("x.csr",
		"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END "
		"CERTIFICATE REQUEST-----\n"),
	    "tls_certificate[0] %s: no certificate in it, but a request for "
	    "one");
	expect_bad_certificate(
	    made_bytes("x.p12", "\x30\x82\x01\x01\x02\x01\x03\x30", 8),
	    "tls_certificate[0] %s: no certificate in it: it is PKCS #12, and "
	    "PEM is needed (openssl pkcs12 -nokeys)");
	expect_bad_certificate(made_bytes("cut.p12", "\x30\xff\x02", 3),
	    "tls_certificate[0] %s: no certificate in it: it is DER, and PEM "
	    "is needed (openssl x509 -inform DER)");
	expect_bad_certificate(made_text("zero", "0"),
	    "tls_certificate[0] %s: no certificate in it");
	expect_bad_certificate(made_text("hello.pem", "hello\n"),
	    "tls_certificate[0] %s: no certificate in it");
	n = fread(text, 1, 65000, f);
	fclose(f);
	/* The second one ends too soon. */
	expect_bad_certificate(made_bytes("short.pem", text, n - 60),
	    "tls_certificate[0] %s: its certificate number 2 cannot be read "
	    "(bad end line)");
	expect_bad_certificate(made_text("garbage.pem",
				   "-----BEGIN CERTIFICATE-----\nAAAA\n"
				   "-----END CERTIFICATE-----\n"),
	    "tls_certificate[0] %s: its certificate number 1 cannot be read "
	    "(wrong tag)");
	OPENSSL_free(der);
	free(text);
}

/* A key may stand in the certificate's file, as HAProxy has it. */
static void
test_one_file_for_both(void **state)
{
	char *text = (char *)calloc(1, 65536);
	const char *files[] = {good_key, good_pem};
	struct tls_pair p;
	size_t n = 0;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < 2; i++) {
		FILE *f = fopen(files[i], "r");

		assert_non_null(f);
		n += fread(text + n, 1, 32768, f);
		fclose(f);
	}
	p.certificate = p.key = made_bytes("both.pem", text, n);
	p.staple = NULL;
	assert_true(load(&p, 1, NULL));
	assert_string_equal(made_warnings, "");
	free(text);
}

static void
test_keys(void **state)
{
	struct tls_pair p;
	char path[160], expected[1024];

	(void)state;
	expect_bad_key(made_key_file("locked.key", made_ec, "secret"),
	    "tls_key[0] %s: needs a passphrase, which nobody is there to type "
	    "(openssl pkey takes it off)");
	expect_bad_key(good_pem,
	    "tls_key[0] %s: no private key in it that can be read, but a "
	    "certificate");
	expect_bad_key(
	    made_bytes("x.p12", "\x30\x82\x01\x01\x02\x01\x03\x30", 8),
	    "tls_key[0] %s: no private key in it that can be read: it is PKCS "
	    "#12, and PEM is needed (openssl pkcs12 -nocerts -nodes)");
	expect_bad_key(
	    made_bytes("der.key", "\x30\x82\x01\x01\x02\x01\x00\x30", 8),
	    "tls_key[0] %s: no private key in it that can be read: it is DER, "
	    "and PEM is needed (openssl pkey -inform DER)");
	expect_bad_key(made_text("hello.key", "hello\n"),
	    "tls_key[0] %s: no private key in it that can be read");
	p.certificate = good_pem;
	p.key = made_key_file("other.key", made_rsa, NULL);
	p.staple = NULL;
	assert_false(load(&p, 1, NULL));
	(void)snprintf(expected, sizeof(expected),
	    "tls_key[0] %s: does not belong to the certificate %s\n", p.key,
	    good_pem);
	assert_string_equal(made_errors, expected);
	/* The other way round: the CA first. */
	(void)snprintf(path, sizeof(path), "%s",
	    made_certificates("turned.pem", ca.x, leaf.x));
	p.certificate = path;
	p.key = good_key;
	assert_false(load(&p, 1, NULL));
	(void)snprintf(expected, sizeof(expected),
	    "tls_key[0] %s: belongs to certificate number 2 of %s, where the "
	    "first must be the server's own and those of CAs follow\n",
	    good_key, path);
	assert_string_equal(made_errors, expected);
}

static void
test_small_and_odd_keys(void **state)
{
	EVP_PKEY *small = EVP_RSA_gen(1024);
	EVP_PKEY *odd = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	EVP_PKEY *modern = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	struct made m = made_issue(
	    &(struct made_terms){.cn = "a.org", .by = &ca, .key = small});
	struct made n = made_issue(
	    &(struct made_terms){.cn = "a.org", .by = &ca, .key = odd});
	struct made o = made_issue(
	    &(struct made_terms){.cn = "a.org", .by = &ca, .key = modern});
	struct tls_pair p = {.certificate = made_certificates("small.pem", m.x),
	    .key = made_key_file("small.key", small, NULL)};

	(void)state;
	assert_false(load(&p, 1, NULL));
	expect_told(made_errors,
	    "tls_certificate[0] %s: its key is too small to be safe",
	    p.certificate);
	p.certificate = made_certificates("odd.pem", n.x);
	p.key = made_key_file("odd.key", odd, NULL);
	assert_false(load(&p, 1, NULL));
	expect_told(made_errors,
	    "tls_key[0] %s: TLS has no use for a key of its type", p.key);
	p.certificate = made_certificates("modern.pem", o.x);
	p.key = made_key_file("modern.key", modern, NULL);
	assert_true(load(&p, 1, NULL));
	made_free(&m);
	made_free(&n);
	made_free(&o);
	EVP_PKEY_free(small);
	EVP_PKEY_free(odd);
	EVP_PKEY_free(modern);
}

/* All of them, not only the first. */
static void
test_all_is_told(void **state)
{
	char a[160], b[160], c[160], expected[2048];
	struct tls_pair p[3] = {{.certificate = a, .key = good_key},
	    {.certificate = good_pem, .key = b},
	    {.certificate = good_pem, .key = c, .staple = a}};

	(void)state;
	(void)snprintf(a, sizeof(a), "%s", made_path("no-a"));
	(void)snprintf(b, sizeof(b), "%s", made_path("no-b"));
	(void)snprintf(
	    c, sizeof(c), "%s", made_key_file("other.key", made_rsa, NULL));
	assert_false(load(p, 3, b));
	(void)snprintf(expected, sizeof(expected),
	    "tls_certificate[0] %s: no such file\n"
	    "tls_key[1] %s: no such file\n"
	    "tls_ocsp_staple[2] %s: no such file\n"
	    "tls_client_ca[0] %s: no such file\n"
	    "tls_key[2] %s: does not belong to the certificate %s\n",
	    a, b, a, b, c, good_pem);
	assert_string_equal(made_errors, expected);
}

/* ---- what is told and works ---- */

static void
expect_warning(long from_s, long until_s, const char *words)
{
	struct made m = made_issue(&(struct made_terms){.cn = "a.org",
	    .names = "DNS:a.org",
	    .by = &ca,
	    .key = made_ec,
	    .from_s = from_s,
	    .until_s = until_s});
	const struct tls_pair p = {
	    .certificate = made_certificates("w.pem", m.x), .key = good_key};
	time_t when =
	    time(NULL) + (until_s > MADE_DAY_S * 300 ? from_s : until_s);
	char date[32], line[256];
	struct tm tm;

	assert_true(load(&p, 1, NULL));
	(void)strftime(date, sizeof(date), "%Y-%m-%d", gmtime_r(&when, &tm));
	if (words == NULL) {
		assert_string_equal(made_warnings, "");
	} else {
		(void)snprintf(line, sizeof(line),
		    "tls_certificate[0] %%s: %s%s%s", words, date,
		    strchr(words, '(') != NULL ? ")" : "");
		expect_told(made_warnings, line, p.certificate);
	}
	made_free(&m);
}

static void
test_expiry(void **state)
{
	(void)state;
	expect_warning(0, 31 * MADE_DAY_S, NULL);
	expect_warning(0, 29 * MADE_DAY_S + 600, "expires in 29 days (");
	expect_warning(0, 12 * MADE_DAY_S + 600, "expires in 12 days (");
	expect_warning(0, MADE_DAY_S + 600, "expires in 1 day (");
	expect_warning(0, 600, "expires within a day (");
	expect_warning(-9 * MADE_DAY_S, -600, "has expired on ");
	expect_warning(
	    2 * MADE_DAY_S, 400 * MADE_DAY_S, "is not valid before ");
}

static void
test_chain_warnings(void **state)
{
	struct made old_ca = made_issue(&(struct made_terms){.cn = "Test CA",
	    .ca = true,
	    .key = made_ec_other,
	    .from_s = -9 * MADE_DAY_S,
	    .until_s = -600});
	struct made stranger = made_issue(&(struct made_terms){
	    .cn = "Stranger", .ca = true, .key = made_rsa});
	struct tls_pair p = {.key = good_key};

	(void)state;
	p.certificate = made_certificates("stranger.pem", leaf.x, stranger.x);
	assert_true(load(&p, 1, NULL));
	expect_told(made_warnings,
	    "tls_certificate[0] %s: its certificate number 2 did not issue the "
	    "one before it: clients may not find the way to a root",
	    p.certificate);
	p.certificate = made_certificates("old.pem", leaf.x, old_ca.x);
	assert_true(load(&p, 1, NULL));
	assert_non_null(strstr(
	    made_warnings, ": its certificate number 2 has expired on "));
	made_free(&old_ca);
	made_free(&stranger);
}

static void
test_open_key(void **state)
{
	const struct tls_pair p = {.certificate = good_pem,
	    .key = made_key_file("open.key", made_ec, NULL)};

	(void)state;
	assert_int_equal(chmod(p.key, 0604), 0);
	assert_true(load(&p, 1, NULL));
	expect_told(made_warnings,
	    "tls_key[0] %s: everybody may read it (mode 0604); chmod 640 or "
	    "600",
	    p.key);
}

static void
test_client_ca(void **state)
{
	const struct tls_pair p = {.certificate = good_pem, .key = good_key};
	const char *path = made_text("no.pem", "hello\n");

	(void)state;
	assert_false(load(&p, 1, path));
	expect_told(
	    made_errors, "tls_client_ca[0] %s: no certificate in it", path);
}

/* Names of so many CAs are longer than a handshake may be. */
static void
test_too_many_cas(void **state)
{
	const struct tls_pair p = {.certificate = good_pem, .key = good_key};
	X509 *all[1100] = {NULL};
	const char *path;

	(void)state;
	for (size_t i = 0; i < 1099; i++) {
		char cn[64];
		struct made m;

		(void)snprintf(cn, sizeof(cn), "%060zu", i);
		m = made_issue(
		    &(struct made_terms){.cn = cn, .ca = true, .key = made_ec});
		EVP_PKEY_free(m.key);
		all[i] = m.x;
	}
	path = made_pem("many.pem", all);
	assert_false(load(&p, 1, path));
	expect_told(made_errors,
	    "tls_client_ca[0] %s: too many CAs in it: their names do not fit "
	    "into a handshake",
	    path);
	for (size_t i = 0; i < 1099; i++)
		X509_free(all[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_permission),
	    cmocka_unit_test(test_certificates),
	    cmocka_unit_test(test_one_file_for_both),
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_small_and_odd_keys),
	    cmocka_unit_test(test_all_is_told),
	    cmocka_unit_test(test_expiry),
	    cmocka_unit_test(test_chain_warnings),
	    cmocka_unit_test(test_open_key),
	    cmocka_unit_test(test_client_ca),
	    cmocka_unit_test(test_too_many_cas),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
