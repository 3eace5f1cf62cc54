#include "evenkeel/net/tls_space.h"

#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>

/* Whether each space has a library context of its own.  The server's CPU for a
 * handshake (P-256), shared and private, in us: with one thread 193 and 190
 * (full, TLS 1.2), 34.4 and 34.6 (resumed), 227 and 227 (full, TLS 1.3); with
 * two 201 and 198, 36.4 and 35.3, 239 and 230.  What is shared costs more with
 * each thread. */
#ifndef TLS_SPACE_PRIVATE
#define TLS_SPACE_PRIVATE 1
#endif

#define GROUPS "X25519:P-256:P-384"

/* Places in OpenSSL's objects; taken once, under the lock. */
static pthread_mutex_t places_lock = PTHREAD_MUTEX_INITIALIZER;
static int place_owner = -1, place_slot = -1, place_mark = -1;

/* The end of an SSL_CTX, of anybody's. */
static void
on_context_end(
    void *ctx, void *ptr, CRYPTO_EX_DATA *all, int place, long l, void *arg)
{
	struct tls_owner *o = (struct tls_owner *)ptr;

	(void)all;
	(void)place;
	(void)l;
	(void)arg;
	if (o == NULL || o->first != (SSL_CTX *)ctx)
		return;
	(void)atomic_load_explicit(&o->released, memory_order_acquire);
	o->free(o);
}

static bool
take_places(void)
{
	bool ok;

	pthread_mutex_lock(&places_lock);
	if (place_owner < 0)
		place_owner = SSL_CTX_get_ex_new_index(
		    0, NULL, NULL, NULL, on_context_end);
	if (place_slot < 0)
		place_slot = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	if (place_mark < 0)
		place_mark = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	ok = place_owner >= 0 && place_slot >= 0 && place_mark >= 0;
	pthread_mutex_unlock(&places_lock);
	return ok;
}

struct tls_space *
tls_space_create(void)
{
	struct tls_space *s = (struct tls_space *)calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	if (!take_places())
		goto fail;
	if (TLS_SPACE_PRIVATE && (s->lib = OSSL_LIB_CTX_new()) == NULL)
		goto fail;
	s->aes128 = EVP_CIPHER_fetch(s->lib, "AES-128-CBC", NULL);
	s->aes256 = EVP_CIPHER_fetch(s->lib, "AES-256-CBC", NULL);
	if (s->aes128 != NULL && s->aes256 != NULL)
		return s;
fail:
	ERR_clear_error();
	tls_space_free(s);
	return NULL;
}

void
tls_space_free(struct tls_space *s)
{
	if (s == NULL)
		return;
	EVP_CIPHER_free(s->aes128);
	EVP_CIPHER_free(s->aes256);
	OSSL_LIB_CTX_free(s->lib);
	free(s);
}

static const char *
word(const char *given, const char *otherwise)
{
	return given != NULL && given[0] != '\0' ? given : otherwise;
}

static bool
apply(SSL_CTX *ctx, const struct tls_settings *t)
{
	int least = t->only_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;

	SSL_CTX_set_options(ctx,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
		SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CIPHER_SERVER_PREFERENCE |
		SSL_OP_PRIORITIZE_CHACHA);
	/* The chain is what the file says, not what a store happens to hold. */
	SSL_CTX_set_mode(ctx,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
		SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_dh_auto(ctx, 1);
	SSL_CTX_set_timeout(ctx, TLS_TICKET_LIFE_S);
	return SSL_CTX_set_min_proto_version(ctx, least) == 1 &&
	    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
	    SSL_CTX_set1_groups_list(ctx, GROUPS) == 1 &&
	    SSL_CTX_set_cipher_list(ctx, word(t->ciphers, TLS_CIPHERS)) == 1 &&
	    SSL_CTX_set_ciphersuites(
		ctx, word(t->ciphersuites, TLS_CIPHERSUITES)) == 1;
}

SSL_CTX *
tls_space_context(const struct tls_space *s, const SSL_METHOD *method,
    const struct tls_settings *t, struct tls_owner *o)
{
	SSL_CTX *ctx = SSL_CTX_new_ex(s->lib, NULL, method);

	if (ctx == NULL)
		return NULL;
	if (!apply(ctx, t) || SSL_CTX_set_ex_data(ctx, place_owner, o) != 1) {
		SSL_CTX_free(ctx); /* is not the owner's first */
		return NULL;
	}
	if (o->first == NULL)
		o->first = ctx;
	return ctx;
}

struct tls_owner *
tls_space_owner(const SSL_CTX *ctx)
{
	struct tls_owner *o = SSL_CTX_get_ex_data(ctx, place_owner);

	CHECK(o != NULL);
	return o;
}

void
tls_space_disown(SSL_CTX *ctx)
{
	/* Cannot fail: its place is there. */
	CHECK(SSL_CTX_set_ex_data(ctx, place_owner, NULL) == 1);
}

void
tls_space_hold(struct tls_owner *o)
{
	CHECK(SSL_CTX_up_ref(o->first) == 1);
}

void
tls_space_release(struct tls_owner *o)
{
	SSL_CTX *first = o->first;

	atomic_fetch_add_explicit(&o->released, 1, memory_order_release);
	SSL_CTX_free(first);
}

bool
tls_space_note(SSL *ssl, void *slot, uintptr_t mark)
{
	return SSL_set_ex_data(ssl, place_slot, slot) == 1 &&
	    SSL_set_ex_data(ssl, place_mark, (void *)mark) == 1;
}

void *
tls_space_slot(const SSL *ssl)
{
	return SSL_get_ex_data(ssl, place_slot);
}

uintptr_t
tls_space_mark(const SSL *ssl)
{
	return (uintptr_t)SSL_get_ex_data(ssl, place_mark);
}

bool
tls_space_digest(
    unsigned char out[TLS_DIGEST_BYTES], const struct span *parts, size_t n)
{
	EVP_MD_CTX *sum = EVP_MD_CTX_new();
	bool ok =
	    sum != NULL && EVP_DigestInit_ex(sum, EVP_sha256(), NULL) == 1;

	for (size_t i = 0; ok && i < n; i++)
		ok = EVP_DigestUpdate(
			 sum, &parts[i].len, sizeof(parts[i].len)) == 1 &&
		    EVP_DigestUpdate(sum, parts[i].ptr, parts[i].len) == 1;
	ok = ok && EVP_DigestFinal_ex(sum, out, NULL) == 1;
	EVP_MD_CTX_free(sum);
	return ok;
}
