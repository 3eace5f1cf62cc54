/*
 * A client of OpenSSL's own that speaks to one of our listeners.
 */
#ifndef TEST_UNIT_TLS_TALK_H
#define TEST_UNIT_TLS_TALK_H

#include "tls_made.h"

/* What a client does. */
struct wish {
	const char *sni;
	int version; /* 0: any */
	const char *sigalgs, *ciphers;
	const char *alpn; /* as on the wire */
	const struct made *own;
	SSL_SESSION *session;
	bool want_staple;
};

struct talk {
	SSL_CTX *ctx;
	SSL *client, *server;
	enum made_shake end;
};

static SSL_SESSION *last_session;
static unsigned sessions;

static inline int
on_session(SSL *ssl, SSL_SESSION *s)
{
	(void)ssl;
	sessions++;
	SSL_SESSION_free(last_session);
	last_session = s;
	return 1;
}

static inline SSL_CTX *
client_context(const struct wish *w)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	assert_non_null(ctx);
	SSL_CTX_set_session_cache_mode(
	    ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_session);
	SSL_CTX_set_min_proto_version(ctx, 0);
	if (w->version != 0) {
		SSL_CTX_set_security_level(ctx, 0);
		assert_int_equal(
		    SSL_CTX_set_min_proto_version(ctx, w->version), 1);
		assert_int_equal(
		    SSL_CTX_set_max_proto_version(ctx, w->version), 1);
	}
	if (w->sigalgs != NULL)
		assert_int_equal(SSL_CTX_set1_sigalgs_list(ctx, w->sigalgs), 1);
	if (w->ciphers != NULL)
		assert_int_equal(SSL_CTX_set_cipher_list(ctx, w->ciphers), 1);
	if (w->alpn != NULL)
		assert_int_equal(
		    SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)w->alpn,
			(unsigned)strlen(w->alpn)),
		    0);
	if (w->own != NULL) {
		assert_int_equal(SSL_CTX_use_certificate(ctx, w->own->x), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(ctx, w->own->key), 1);
	}
	return ctx;
}

static inline struct talk
talk(struct tls_server *s, const struct wish *w)
{
	struct talk t = {.ctx = client_context(w)};

	t.client = SSL_new(t.ctx);
	t.server = tls_server_stream(s);
	assert_true(t.client != NULL && t.server != NULL);
	SSL_set_connect_state(t.client);
	if (w->sni != NULL)
		assert_int_equal(SSL_set_tlsext_host_name(t.client, w->sni), 1);
	if (w->session != NULL)
		assert_int_equal(SSL_set_session(t.client, w->session), 1);
	if (w->want_staple)
		SSL_set_tlsext_status_type(t.client, TLSEXT_STATUSTYPE_ocsp);
	made_join(t.client, t.server);
	t.end = made_shake(t.client, t.server);
	return t;
}

static inline void
talk_end(struct talk *t)
{
	/* Else OpenSSL takes the session for broken. */
	SSL_set_shutdown(t->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(t->client);
	SSL_free(t->server);
	SSL_CTX_free(t->ctx);
	ERR_clear_error();
}

static inline void
forget_session(void)
{
	SSL_SESSION_free(last_session);
	last_session = NULL;
	sessions = 0;
}

static inline const char *
talk_failure(struct talk *t)
{
	return tls_failure_text(
	    t->end == MADE_CLIENT_FAILED ? t->client : t->server);
}

#endif
