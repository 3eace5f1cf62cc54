#include "evenkeel/net/tls_client.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "evenkeel/net/tls_failure.h"
#include "evenkeel/net/tls_names.h"
#include "evenkeel/net/tls_pem.h"
#include "evenkeel/net/tls_space.h"
#include "evenkeel/net/tls_trust.h"

struct tls_client {
	struct tls_owner owner; /* the first member */
	bool verify;
	uint64_t identity;
	int64_t expires_s;
};

/* What is the same in all spaces. */
struct source {
	const struct tls_client_terms *terms;
	struct tls_chain_files own;
	struct tls_file ca;
	struct tls_place ca_at;
	uint64_t identity;
	struct tls_report report;
};

static const struct tls_place memory_place = {.key = "backend"};

static bool
given(const char *text)
{
	return text != NULL && text[0] != '\0';
}

/* ---- sessions ---- */

void
tls_slot_clear(struct tls_slot *slot)
{
	SSL_SESSION_free(slot->session);
	*slot = (struct tls_slot){.session = NULL};
}

/* A stream of before a reload must not leave its session to those that verify
 * by other terms. */
static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_slot *slot = (struct tls_slot *)tls_space_slot(ssl);

	if (slot == NULL || tls_space_mark(ssl) != (uintptr_t)slot->identity ||
	    !SSL_SESSION_is_resumable(session))
		return 0;
	SSL_SESSION_free(slot->session);
	slot->session = session;
	return 1;
}

/* A session is not good for longer than the certificate that began it. */
static bool
still_good(const struct tls_client *c, const SSL_SESSION *session)
{
	X509 *peer = SSL_SESSION_get0_peer((SSL_SESSION *)session);

	if (!SSL_SESSION_is_resumable(session))
		return false;
	return !c->verify ||
	    (peer != NULL &&
		X509_cmp_current_time(X509_get0_notAfter(peer)) > 0);
}

static void
resume(const struct tls_client *c, SSL *ssl, uint64_t identity,
    struct tls_slot *slot)
{
	if (slot->session != NULL &&
	    (slot->identity != identity || !still_good(c, slot->session)))
		tls_slot_clear(slot);
	slot->identity = identity;
	/* What does not fit is a full handshake. */
	if (slot->session != NULL && SSL_set_session(ssl, slot->session) != 1)
		ERR_clear_error();
}

/* ---- making ---- */

static void
free_client(struct tls_owner *o)
{
	free(o);
}

static bool
set_trust(SSL_CTX *ctx, const struct tls_space *space, struct source *from)
{
	X509_STORE *store;

	if (!from->terms->verify)
		return true;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_verify_depth(ctx, TLS_TRUST_DEPTH);
	if (!given(from->ca_at.path)) {
		if (SSL_CTX_set_default_verify_paths(ctx) == 1)
			return true;
		tls_error(&from->report, &memory_place,
		    tls_failure_words("no memory"), NULL);
		return false;
	}
	if (from->ca.bytes == NULL)
		return false;
	store =
	    tls_trust_load(&from->ca, space, NULL, &from->report, &from->ca_at);
	if (store == NULL)
		return false;
	SSL_CTX_set_cert_store(ctx, store);
	return true;
}

static bool
set_own(struct tls_client *c, SSL_CTX *ctx, const struct tls_space *space,
    struct source *from)
{
	struct tls_chain own;
	bool ok;

	if (!given(from->own.certificate_at.path))
		return true;
	ok = tls_chain_load(&own, &from->own, space, &from->report) &&
	    tls_chain_use(&own, ctx, &from->report, &from->own.certificate_at);
	c->expires_s = own.expires_s;
	tls_chain_free(&own);
	return ok;
}

static bool
set_up(struct tls_client *c, const struct tls_space *space, struct source *from)
{
	static const unsigned char alpn[] = "\x08http/1.1";
	const struct tls_settings settings = {.only_1_3 = false};
	SSL_CTX *ctx =
	    tls_space_context(space, TLS_client_method(), &settings, &c->owner);
	bool trust, own;

	if (ctx == NULL ||
	    SSL_CTX_set_alpn_protos(ctx, alpn, sizeof(alpn) - 1) != 0) {
		tls_error(&from->report, &memory_place,
		    tls_failure_words("no memory"), NULL);
		return false;
	}
	SSL_CTX_set_session_cache_mode(
	    ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_session);
	/* Both, so that all is told. */
	trust = set_trust(ctx, space, from);
	own = set_own(c, ctx, space, from);
	return trust && own;
}

static struct tls_client *
create(const struct tls_space *space, struct source *from)
{
	struct tls_client *c = (struct tls_client *)calloc(1, sizeof(*c));

	if (c == NULL) {
		tls_error(&from->report, &memory_place, "no memory", NULL);
		return NULL;
	}
	c->owner.free = free_client;
	c->verify = from->terms->verify;
	c->identity = from->identity;
	if (set_up(c, space, from) && !from->report.bad)
		return c;
	CHECK(from->report.bad);
	if (c->owner.first != NULL)
		tls_space_release(&c->owner);
	else
		free_client(&c->owner);
	return NULL;
}

static void
read_file(struct tls_file *f, struct source *from, const struct tls_place *at)
{
	if (given(at->path) && !tls_file_read(f, &from->report, at))
		CHECK(from->report.bad);
}

static bool
identify(struct source *from)
{
	unsigned char sum[TLS_DIGEST_BYTES];
	const struct span parts[] = {
	    from->terms->verify ? SPAN("verify") : SPAN("trust"),
	    tls_file_span(&from->ca), tls_file_span(&from->own.certificate),
	    tls_file_span(&from->own.key)};

	if (!tls_space_digest(sum, parts, sizeof(parts) / sizeof(parts[0])))
		return false;
	memcpy(&from->identity, sum, sizeof(from->identity));
	return true;
}

static void
source_open(struct source *from)
{
	const struct tls_client_terms *t = from->terms;
	struct tls_chain_files *own = &from->own;

	from->ca_at = (struct tls_place){.key = "tls_ca", .path = t->ca};
	own->certificate_at = (struct tls_place){
	    .key = "tls_certificate", .path = t->certificate};
	own->key_at = (struct tls_place){.key = "tls_key", .path = t->key};
	read_file(&from->ca, from, &from->ca_at);
	read_file(&own->certificate, from, &own->certificate_at);
	read_file(&own->key, from, &own->key_at);
	if (!identify(from))
		tls_error(&from->report, &memory_place, "no memory", NULL);
}

static void
source_close(struct source *from)
{
	tls_file_free(&from->ca);
	tls_file_free(&from->own.certificate);
	tls_file_free(&from->own.key);
	ERR_clear_error();
}

bool
tls_clients_create(struct tls_client **out, struct tls_space *const *spaces,
    size_t n, const struct tls_client_terms *t, const struct tls_teller *teller)
{
	struct source from = {.terms = t, .report = {.teller = teller}};
	size_t made = 0;

	CHECK(n > 0);
	ERR_clear_error();
	source_open(&from);
	for (; made < n; made++) {
		out[made] = create(spaces[made], &from);
		if (out[made] == NULL)
			break;
		from.report.quiet = true;
	}
	source_close(&from);
	if (made == n)
		return true;
	while (made-- > 0)
		tls_client_release(out[made]);
	return false;
}

struct tls_client *
tls_client_hold(struct tls_client *c)
{
	tls_space_hold(&c->owner);
	return c;
}

void
tls_client_release(struct tls_client *c)
{
	if (c != NULL)
		tls_space_release(&c->owner);
}

/* The terms' digest, and over the name FNV-1a: names are not made by those who
 * would gain from a collision. */
uint64_t
tls_client_identity(const struct tls_client *c, struct span server_name)
{
	uint64_t sum = c->identity;

	for (size_t i = 0; i < server_name.len; i++) {
		sum ^= (unsigned char)span_lower_byte(server_name.ptr[i]);
		sum *= 0x100000001b3U;
	}
	return sum != 0 ? sum : 1;
}

int64_t
tls_client_expiry(const struct tls_client *c)
{
	return c->expires_s;
}

/* ---- streams ---- */

static bool
is_address(const char *name)
{
	unsigned char room[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, name, room) == 1 ||
	    inet_pton(AF_INET6, name, room) == 1;
}

/* Without the zone of "fe80::1%eth0" and the dot of "example.org.".  False: it
 * is too long to be a name. */
static bool
copy_name(char room[TLS_NAME_BYTES + 1], const char *name)
{
	struct span s = span_of(name);

	s.len = span_find(s, '%');
	if (s.len > 0 && s.ptr[s.len - 1] == '.')
		s.len--;
	if (s.len == 0 || s.len > TLS_NAME_BYTES)
		return false;
	memcpy(room, s.ptr, s.len);
	room[s.len] = '\0';
	return true;
}

static bool
ask_for(SSL *ssl, const char *name, bool verify)
{
	X509_VERIFY_PARAM *terms = SSL_get0_param(ssl);
	char room[TLS_NAME_BYTES + 1];

	if (!copy_name(room, name))
		return false;
	if (is_address(room))
		return !verify ||
		    X509_VERIFY_PARAM_set1_ip_asc(terms, room) == 1;
	if (SSL_set_tlsext_host_name(ssl, room) != 1)
		return false;
	if (!verify)
		return true;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, room) == 1;
}

struct ssl_st *
tls_client_stream(struct tls_client *c, const char *name, uint64_t identity,
    struct tls_slot *slot)
{
	SSL *ssl = SSL_new(c->owner.first);

	if (ssl == NULL || !tls_space_note(ssl, slot, (uintptr_t)identity) ||
	    !ask_for(ssl, name, c->verify)) {
		SSL_free(ssl);
		ERR_clear_error();
		return NULL;
	}
	if (slot != NULL)
		resume(c, ssl, identity, slot);
	SSL_set_connect_state(ssl);
	return ssl;
}
