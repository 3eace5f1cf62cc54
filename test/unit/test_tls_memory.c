/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "evenkeel/net/tls_context.h"
#include "tls_made.h"

/* Each allocation up to here is refused once, and some of the later ones. */
#define EACH_TO  150
#define LATER    60
#define ROUND_TO 100000

/* ---- memory ---- */

static bool counting, ours_only;
static size_t count, refuse_at; /* refuse_at: 0, none */

static bool
refused(void)
{
	return counting && ++count == refuse_at;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *
__wrap_malloc(size_t n)
{
	return refused() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return refused() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
	return refused() ? NULL : __real_realloc(p, n);
}

static void *
take(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return n == 0 || (!ours_only && refused()) ? NULL : __real_malloc(n);
}

static void *
resize(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	if (n == 0) {
		free(p);
		return NULL;
	}
	return !ours_only && refused() ? NULL : __real_realloc(p, n);
}

static void
give(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

static void
count_from(size_t at)
{
	refuse_at = at;
	count = 0;
	counting = true;
}

/* Whether the allocation that was to be refused came. */
static bool
count_end(void)
{
	counting = false;
	return count >= refuse_at;
}

/* ---- what is loaded ---- */

static struct tls_space *spaces[2];
static struct tls_tickets *tickets;
static struct made ca, a, b, user;
static struct tls_server_terms server_terms;
static struct tls_client_terms client_terms;
static struct tls_pair pairs[2];

static int
set_up(void **state)
{
	(void)state;
	if (CRYPTO_set_mem_functions(take, resize, give) != 1)
		return -1;
	made_begin();
	made_keys();
	ca = made_ca();
	a = made_issue(&(struct made_terms){
	    .names = "DNS:a.org", .by = &ca, .key = made_ec});
	b = made_issue(&(struct made_terms){
	    .names = "DNS:*.b.org", .by = &ca, .key = made_ec});
	user = made_issue(
	    &(struct made_terms){.cn = "user", .by = &ca, .key = made_ec});
	pairs[0].certificate = made_keep(made_certificates("a.pem", a.x, ca.x));
	pairs[1].certificate = made_keep(made_certificates("b.pem", b.x, ca.x));
	pairs[0].key = pairs[1].key =
	    made_keep(made_key_file("k", made_ec, NULL));
	tickets = tls_tickets_create();
	server_terms = (struct tls_server_terms){.name = "main",
	    .pairs = pairs,
	    .n_pairs = 2,
	    .client_ca = made_keep(made_certificates("ca.pem", ca.x)),
	    .ticket_keys = made_keep(made_bytes("keys",
		"\x01\x02\x03\x04\x05\x06\x07\x08\x01\x02\x03\x04\x05\x06\x07"
		"\x08\x01\x02\x03\x04\x05\x06\x07\x08\x01\x02\x03\x04\x05\x06"
		"\x07\x08\x01\x02\x03\x04\x05\x06\x07\x08\x01\x02\x03\x04\x05"
		"\x06\x07\x08",
		48))};
	client_terms = (struct tls_client_terms){.verify = true,
	    .ca = server_terms.client_ca,
	    .certificate = made_keep(made_certificates("user.pem", user.x)),
	    .key = pairs[0].key};
	return tickets == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	(void)state;
	made_free(&ca);
	made_free(&a);
	made_free(&b);
	made_free(&user);
	made_keys_free();
	tls_tickets_free(tickets);
	made_end();
	return 0;
}

/* ---- one attempt ---- */

/* What was loaded works as if nothing had been refused. */
static void
shake(struct tls_server *s, struct tls_client *c)
{
	const struct {
		const char *name;
		const struct made *expected;
	} rows[] = {{"a.org", &a}, {"x.b.org", &b}};

	for (size_t i = 0; i < 2; i++) {
		SSL *client = tls_client_stream(c, rows[i].name, 1, NULL);
		SSL *server = tls_server_stream(s);

		assert_true(client != NULL && server != NULL);
		made_join(client, server);
		if (made_shake(client, server) != MADE_OK) {
			ERR_print_errors_fp(stderr);
			fail_msg("allocation %zu", refuse_at);
		}
		assert_int_equal(X509_cmp(SSL_get0_peer_certificate(client),
				     rows[i].expected->x),
		    0);
		SSL_free(client);
		SSL_free(server);
	}
}

/* The n-th allocation fails.  False: there were not as many. */
static bool
attempt(size_t n)
{
	struct tls_server *s[2];
	struct tls_client *c[2];
	bool loaded, came;

	spaces[0] = tls_space_create();
	spaces[1] = tls_space_create();
	assert_true(spaces[0] && spaces[1]);
	count_from(n);
	loaded = tls_servers_create(s, spaces, 2, &server_terms, made_teller());
	if (loaded &&
	    !tls_clients_create(c, spaces, 2, &client_terms, made_teller())) {
		tls_server_release(s[0]);
		tls_server_release(s[1]);
		loaded = false;
	}
	came = count_end();
	assert_int_equal(ERR_peek_error(), 0);
	assert_int_equal(loaded, made_errors[0] == '\0');
	if (loaded) {
		shake(s[1], c[1]);
		for (size_t i = 0; i < 2; i++) {
			tls_server_release(s[i]);
			tls_client_release(c[i]);
		}
	}
	tls_space_free(spaces[0]);
	tls_space_free(spaces[1]);
	return came;
}

static void
test_loading(void **state)
{
	size_t n = ROUND_TO, step;

	(void)state;
	assert_false(attempt(n));
	n = count;
	assert_true(n > EACH_TO && n < ROUND_TO);
	for (size_t i = 1; i <= EACH_TO; i++)
		(void)attempt(i);
	step = (n - EACH_TO) / LATER + 1;
	for (size_t i = EACH_TO; i < n; i += step)
		(void)attempt(i);
}

/* Ours alone: OSSL_LIB_CTX_new of OpenSSL 3.0 leaks when it has no memory. */
static void
test_space_and_tickets(void **state)
{
	bool came = true;
	size_t n = 0;

	(void)state;
	ours_only = true;
	while (came && n < EACH_TO) {
		struct tls_space *s;
		struct tls_tickets *t;

		count_from(++n);
		s = tls_space_create();
		t = tls_tickets_create();
		came = count_end();
		assert_int_equal(came, s == NULL || t == NULL);
		tls_tickets_free(t);
		tls_space_free(s);
	}
	ours_only = false;
	assert_int_equal(n, 3); /* one each, and none */
}

/* Streams, up to what a handshake is made of. */
static void
test_streams(void **state)
{
	struct tls_server *s;
	struct tls_client *c;
	bool came = true;

	(void)state;
	spaces[0] = tls_space_create();
	assert_true(
	    tls_servers_create(&s, spaces, 1, &server_terms, made_teller()));
	assert_true(
	    tls_clients_create(&c, spaces, 1, &client_terms, made_teller()));
	for (size_t n = 1; came && n < ROUND_TO; n += n < EACH_TO ? 1 : 17) {
		struct tls_slot slot = {.session = NULL};
		SSL *client, *server;
		char room[64];
		struct textbuf out = textbuf_make(room, sizeof(room));

		count_from(n);
		client = tls_client_stream(c, "a.org", 1, &slot);
		server = tls_server_stream(s);
		counting = false;
		if (client != NULL && server != NULL) {
			made_join(client, server);
			counting = true;
			if (made_shake(client, server) == MADE_OK &&
			    SSL_write(server, "x", 1) == 1 &&
			    SSL_read(client, room, 1) == 1 &&
			    tls_put_subject(&out, server))
				assert_int_equal(out.len, strlen("CN=user"));
		}
		came = count_end();
		SSL_free(client);
		SSL_free(server);
		tls_slot_clear(&slot);
		ERR_clear_error();
	}
	assert_false(came);
	tls_server_release(s);
	tls_client_release(c);
	tls_space_free(spaces[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_loading),
	    cmocka_unit_test(test_space_and_tickets),
	    cmocka_unit_test(test_streams),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
