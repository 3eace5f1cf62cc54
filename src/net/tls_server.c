#include "evenkeel/net/tls_server.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <time.h>

#include "evenkeel/net/tls_failure.h"
#include "evenkeel/net/tls_names.h"
#include "evenkeel/net/tls_pem.h"
#include "evenkeel/net/tls_space.h"
#include "evenkeel/net/tls_staple.h"
#include "evenkeel/net/tls_tickets.h"
#include "evenkeel/net/tls_trust.h"
#include "evenkeel/net/tls_words.h"

/* A pair in one space. */
struct shown {
	struct tls_chain chain;
	struct tls_staple staple;
	unsigned kind;
};

struct tls_server {
	struct tls_owner owner; /* the first member: see server_of */
	const struct tls_space *space;
	struct tls_tickets *tickets;
	struct tls_names names;
	SSL_CTX **contexts; /* [names.n_sets] */
	size_t n_contexts;  /* made so far */
	struct shown *pairs;
	size_t n_pairs;
};

struct source_pair {
	struct tls_chain_files files;
	struct tls_file staple;
	struct tls_place staple_at;
};

/* What is the same in all spaces. */
struct source {
	const struct tls_server_terms *terms;
	struct source_pair *pairs; /* [terms->n_pairs] */
	struct tls_file client_ca;
	struct tls_tickets *tickets;
	unsigned char session_context[TLS_DIGEST_BYTES];
	struct tls_report report;
};

/* In one space, while it is made. */
struct trust {
	X509_STORE *store;
	STACK_OF(X509_NAME) * names;
};

static const struct tls_place memory_place = {.key = "tls_certificate"};

static struct tls_server *
server_of(const SSL_CTX *ctx)
{
	return (struct tls_server *)(void *)tls_space_owner(ctx);
}

static bool
given(const char *text)
{
	return text != NULL && text[0] != '\0';
}

/* ---- what OpenSSL asks ---- */

static int
on_name(SSL *ssl, int *alert, void *arg)
{
	struct tls_server *s = (struct tls_server *)arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	size_t set;

	(void)alert;
	if (name == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	set = tls_names_find(&s->names, span_of(name));
	if (set == SIZE_MAX)
		return SSL_TLSEXT_ERR_NOACK;
	if (s->contexts[set] != SSL_get_SSL_CTX(ssl))
		(void)SSL_set_SSL_CTX(ssl, s->contexts[set]);
	return SSL_TLSEXT_ERR_OK;
}

/* RFC 7301 3.2: no protocol in common ends the handshake. */
static int
on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *in, unsigned in_len, void *arg)
{
	/* A client that speaks HTTP/1.0 may say so. */
	static const unsigned char ours[] = "\x08http/1.1\x08http/1.0";
	unsigned char *found;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&found, out_len, ours, sizeof(ours) - 1, in,
		in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = found;
	return SSL_TLSEXT_ERR_OK;
}

static int
on_status(SSL *ssl, void *arg)
{
	const struct tls_server *s = (const struct tls_server *)arg;
	const X509 *used = SSL_get_certificate(ssl);
	unsigned char *copy;

	for (size_t i = 0; i < s->n_pairs; i++) {
		const struct tls_staple *st = &s->pairs[i].staple;

		if (st->bytes == NULL ||
		    tls_chain_leaf(&s->pairs[i].chain) != used)
			continue;
		if (!tls_staple_good(st, (int64_t)time(NULL)))
			break;
		copy = (unsigned char *)OPENSSL_memdup(st->bytes, st->len);
		if (copy == NULL)
			break;
		if (SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)st->len) !=
		    1) {
			OPENSSL_free(copy);
			break;
		}
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_NOACK;
}

static int
on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv,
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal)
{
	const struct tls_server *s = server_of(SSL_get_SSL_CTX(ssl));

	return tls_tickets_on_key(
	    s->tickets, s->space, ssl, name, iv, cipher, mac, seal);
}

/* A session is not good for longer than the certificate that began it. */
static SSL_TICKET_RETURN
on_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
    size_t name_len, SSL_TICKET_STATUS status, void *arg)
{
	X509 *peer;

	(void)ssl;
	(void)name;
	(void)name_len;
	(void)arg;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	peer = SSL_SESSION_get0_peer(session);
	if (peer == NULL || X509_cmp_current_time(X509_get0_notAfter(peer)) < 0)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE
					    : SSL_TICKET_RETURN_USE_RENEW;
}

/* ---- one SSL_CTX ---- */

static bool
set_client_ca(SSL_CTX *ctx, const struct trust *trust)
{
	STACK_OF(X509_NAME) *names = SSL_dup_CA_list(trust->names);

	if (names == NULL)
		return false;
	SSL_CTX_set1_cert_store(ctx, trust->store);
	SSL_CTX_set_client_CA_list(ctx, names);
	SSL_CTX_set_verify(
	    ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_verify_depth(ctx, TLS_TRUST_DEPTH);
	return SSL_CTX_set_session_ticket_cb(ctx, NULL, on_ticket, NULL) == 1;
}

static bool
set_callbacks(SSL_CTX *ctx, struct tls_server *s)
{
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	return SSL_CTX_set_tlsext_servername_callback(ctx, on_name) == 1 &&
	    SSL_CTX_set_tlsext_servername_arg(ctx, s) == 1 &&
	    SSL_CTX_set_tlsext_status_cb(ctx, on_status) == 1 &&
	    SSL_CTX_set_tlsext_status_arg(ctx, s) == 1 &&
	    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket_key) == 1;
}

/* Everything but the certificates. */
static SSL_CTX *
make_context(
    struct tls_server *s, const struct source *from, const struct trust *trust)
{
	const struct tls_settings settings = {.only_1_3 = from->terms->only_1_3,
	    .ciphers = from->terms->ciphers,
	    .ciphersuites = from->terms->ciphersuites};
	SSL_CTX *ctx = tls_space_context(
	    s->space, TLS_server_method(), &settings, &s->owner);

	if (ctx == NULL)
		return NULL;
	s->contexts[s->n_contexts++] = ctx;
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (set_callbacks(ctx, s) && SSL_CTX_set_num_tickets(ctx, 1) == 1 &&
	    SSL_CTX_set_session_id_context(ctx, from->session_context,
		sizeof(from->session_context)) == 1 &&
	    (trust->store == NULL || set_client_ca(ctx, trust)))
		return ctx;
	return NULL;
}

static bool
make_contexts(
    struct tls_server *s, struct source *from, const struct trust *trust)
{
	for (size_t i = 0; i < s->names.n_sets; i++) {
		SSL_CTX *ctx = make_context(s, from, trust);

		if (ctx == NULL) {
			tls_error(&from->report, &memory_place,
			    tls_failure_words("no memory"), NULL);
			return false;
		}
		for (size_t k = 0; k < TLS_KEY_KINDS; k++) {
			size_t pair = s->names.sets[i].pair[k];

			if (pair != TLS_PAIR_NONE &&
			    !tls_chain_use(&s->pairs[pair].chain, ctx,
				&from->report,
				&from->pairs[pair].files.certificate_at))
				return false;
		}
	}
	return true;
}

/* ---- one server ---- */

/* All that is left when the first SSL_CTX goes, which calls this. */
static void
free_parts(struct tls_owner *o)
{
	struct tls_server *s = (struct tls_server *)(void *)o;

	for (size_t i = 1; i < s->n_contexts; i++) {
		tls_space_disown(s->contexts[i]);
		SSL_CTX_free(s->contexts[i]);
	}
	for (size_t i = 0; i < s->n_pairs; i++) {
		tls_chain_free(&s->pairs[i].chain);
		tls_staple_free(&s->pairs[i].staple);
	}
	tls_names_free(&s->names);
	tls_tickets_free(s->tickets);
	free(s->contexts);
	free(s->pairs);
	free(s);
}

static void
load_pair(struct tls_server *s, size_t i, struct source *from)
{
	const struct source_pair *pair = &from->pairs[i];
	struct shown *p = &s->pairs[i];

	if (tls_chain_load(&p->chain, &pair->files, s->space, &from->report) &&
	    !tls_names_kind(p->chain.key, &p->kind))
		tls_error(&from->report, &pair->files.key_at,
		    "TLS has no use for a key of its type", NULL);
	if (p->chain.certificates != NULL)
		tls_chain_warn_of_clients(
		    &p->chain, &from->report, &pair->files.certificate_at);
	if (p->chain.certificates != NULL && pair->staple.bytes != NULL &&
	    !tls_staple_load(&p->staple, &pair->staple,
		tls_chain_leaf(&p->chain), &from->report, &pair->staple_at))
		CHECK(from->report.bad);
}

/* Pairs that nobody would ever get. */
static void
warn_of_unused(const struct tls_server *s, struct source *from)
{
	for (size_t i = 0; i < s->n_pairs; i++)
		if (!tls_names_used(&s->names, i))
			tls_warning(&from->report,
			    &from->pairs[i].files.certificate_at,
			    "is never used: each name in it has an earlier "
			    "certificate with a key of the same type, or it "
			    "has no name",
			    NULL);
}

static bool
add_names(struct tls_server *s, struct source *from)
{
	for (size_t i = 0; i < s->n_pairs; i++) {
		struct shown *p = &s->pairs[i];

		ERR_clear_error();
		if (tls_names_add(
			&s->names, tls_chain_leaf(&p->chain), i, p->kind))
			continue;
		tls_error(&from->report, &from->pairs[i].files.certificate_at,
		    "its names cannot be read (",
		    tls_failure_words("no memory"), ")", NULL);
		return false;
	}
	return true;
}

static bool
sort_names(struct tls_server *s, struct source *from)
{
	if (!add_names(s, from))
		return false;
	if (tls_names_sort(&s->names, s->pairs[0].kind))
		s->contexts =
		    (SSL_CTX **)calloc(s->names.n_sets, sizeof(SSL_CTX *));
	if (s->contexts == NULL) {
		tls_error(&from->report, &memory_place, "no memory", NULL);
		return false;
	}
	warn_of_unused(s, from);
	return true;
}

static void
load_trust(
    struct trust *trust, const struct tls_space *space, struct source *from)
{
	const struct tls_place at = {
	    .key = "tls_client_ca", .path = from->terms->client_ca};

	if (from->client_ca.bytes != NULL)
		trust->store = tls_trust_load(
		    &from->client_ca, space, &trust->names, &from->report, &at);
}

/* What can be wrong is told all of it, before anything is made of it. */
static void
fill(struct tls_server *s, struct source *from)
{
	struct trust trust = {.store = NULL};

	for (size_t i = 0; i < s->n_pairs; i++)
		load_pair(s, i, from);
	load_trust(&trust, s->space, from);
	if (!from->report.bad && sort_names(s, from) &&
	    !make_contexts(s, from, &trust))
		CHECK(from->report.bad);
	X509_STORE_free(trust.store);
	sk_X509_NAME_pop_free(trust.names, X509_NAME_free);
}

static struct tls_server *
create(const struct tls_space *space, struct source *from)
{
	struct tls_server *s = (struct tls_server *)calloc(1, sizeof(*s));

	if (s != NULL) {
		s->pairs = (struct shown *)calloc(
		    from->terms->n_pairs, sizeof(*s->pairs));
	}
	if (s == NULL || s->pairs == NULL) {
		tls_error(&from->report, &memory_place, "no memory", NULL);
		free(s);
		return NULL;
	}
	s->owner.free = free_parts;
	s->space = space;
	s->n_pairs = from->terms->n_pairs;
	if (from->tickets != NULL)
		s->tickets = tls_tickets_hold(from->tickets);
	fill(s, from);
	if (!from->report.bad)
		return s;
	if (s->owner.first != NULL)
		tls_space_release(&s->owner);
	else
		free_parts(&s->owner);
	return NULL;
}

/* ---- files ---- */

static void
read_file(struct tls_file *f, struct tls_report *r, const struct tls_place *at)
{
	if (given(at->path) && !tls_file_read(f, r, at))
		CHECK(r->bad);
}

static void
read_pair(struct source_pair *p, const struct tls_pair *paths, size_t i,
    struct tls_report *r)
{
	p->files.certificate_at = (struct tls_place){
	    .key = "tls_certificate", .index = i, .path = paths->certificate};
	p->files.key_at = (struct tls_place){
	    .key = "tls_key", .index = i, .path = paths->key};
	p->staple_at = (struct tls_place){
	    .key = "tls_ocsp_staple", .index = i, .path = paths->staple};
	read_file(&p->files.certificate, r, &p->files.certificate_at);
	read_file(&p->files.key, r, &p->files.key_at);
	read_file(&p->staple, r, &p->staple_at);
}

static void
read_tickets(struct source *from)
{
	const struct tls_place at = {
	    .key = "tls_ticket_keys", .path = from->terms->ticket_keys};
	struct tls_file f = {.bytes = NULL};

	if (!given(at.path)) {
		CHECK(from->terms->tickets != NULL);
		from->tickets = tls_tickets_hold(from->terms->tickets);
		return;
	}
	read_file(&f, &from->report, &at);
	if (f.bytes != NULL)
		from->tickets = tls_tickets_parse(&f, &from->report, &at);
	tls_file_free(&f);
}

/* A session is good for the listener and the client CA that it began with. */
static bool
name_sessions(struct source *from)
{
	const struct span parts[] = {
	    span_of(from->terms->name), tls_file_span(&from->client_ca)};

	return tls_space_digest(from->session_context, parts, 2);
}

static void
source_open(struct source *from)
{
	const struct tls_place ca_at = {
	    .key = "tls_client_ca", .path = from->terms->client_ca};

	for (size_t i = 0; i < from->terms->n_pairs; i++)
		read_pair(
		    &from->pairs[i], &from->terms->pairs[i], i, &from->report);
	read_file(&from->client_ca, &from->report, &ca_at);
	read_tickets(from);
	if (!name_sessions(from))
		tls_error(&from->report, &memory_place, "no memory", NULL);
}

static void
source_close(struct source *from)
{
	for (size_t i = 0; i < from->terms->n_pairs; i++) {
		tls_file_free(&from->pairs[i].files.certificate);
		tls_file_free(&from->pairs[i].files.key);
		tls_file_free(&from->pairs[i].staple);
	}
	tls_file_free(&from->client_ca);
	tls_tickets_free(from->tickets);
	ERR_clear_error();
}

static bool
create_all(struct tls_server **out, struct tls_space *const *spaces, size_t n,
    struct source *from)
{
	size_t made = 0;

	for (; made < n; made++) {
		out[made] = create(spaces[made], from);
		if (out[made] == NULL)
			break;
		from->report.quiet = true;
	}
	if (made == n && !from->report.bad)
		return true;
	while (made-- > 0)
		tls_server_release(out[made]);
	return false;
}

bool
tls_servers_create(struct tls_server **out, struct tls_space *const *spaces,
    size_t n, const struct tls_server_terms *t, const struct tls_teller *teller)
{
	struct source_pair *pairs =
	    (struct source_pair *)calloc(t->n_pairs, sizeof(*pairs));
	struct source from = {
	    .terms = t, .pairs = pairs, .report = {.teller = teller}};
	const struct tls_settings settings = {.only_1_3 = t->only_1_3,
	    .ciphers = t->ciphers,
	    .ciphersuites = t->ciphersuites};
	bool ok;

	CHECK(n > 0 && t->n_pairs > 0);
	if (pairs == NULL) {
		tls_error(&from.report, &memory_place, "no memory", NULL);
		return false;
	}
	ERR_clear_error();
	source_open(&from);
	tls_words_check(spaces[0], &settings, &from.report);
	ok = create_all(out, spaces, n, &from);
	source_close(&from);
	free(pairs);
	return ok;
}

struct tls_server *
tls_server_hold(struct tls_server *s)
{
	tls_space_hold(&s->owner);
	return s;
}

void
tls_server_release(struct tls_server *s)
{
	if (s != NULL)
		tls_space_release(&s->owner);
}

int64_t
tls_server_expiry(const struct tls_server *s, size_t pair)
{
	CHECK(pair < s->n_pairs);
	return s->pairs[pair].chain.expires_s;
}

struct ssl_st *
tls_server_stream(struct tls_server *s)
{
	SSL *ssl = SSL_new(s->owner.first);

	if (ssl == NULL)
		ERR_clear_error();
	else
		SSL_set_accept_state(ssl);
	return ssl;
}
