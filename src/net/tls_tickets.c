#include "evenkeel/net/tls_tickets.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "evenkeel/net/clock.h"

#define SMALL_BYTES 48
#define LARGE_BYTES 80
/* Base64 of the large form, without what surrounds it. */
#define LINE_MAX_BYTES 128

struct tls_tickets {
	atomic_uint holds;
	bool fixed; /* of a file: keys do not turn */
	pthread_mutex_t lock;
	size_t n; /* >= 1; the newest is the first */
	struct tls_ticket_key key[TLS_TICKET_KEYS_MAX];
};

static uint64_t
now_s(void)
{
	return clock_monotonic_us() / 1000000;
}

static bool
draw(struct tls_ticket_key *k, uint64_t now)
{
	struct tls_ticket_key drawn = {
	    .len = TLS_TICKET_KEY_BYTES, .drawn_s = now};

	if (RAND_bytes(drawn.name, sizeof(drawn.name)) != 1 ||
	    RAND_priv_bytes(drawn.aes, sizeof(drawn.aes)) != 1 ||
	    RAND_priv_bytes(drawn.mac, sizeof(drawn.mac)) != 1)
		return false;
	*k = drawn;
	OPENSSL_cleanse(&drawn, sizeof(drawn));
	return true;
}

static struct tls_tickets *
create(bool fixed)
{
	struct tls_tickets *t = (struct tls_tickets *)calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	if (pthread_mutex_init(&t->lock, NULL) != 0) {
		free(t);
		return NULL;
	}
	atomic_init(&t->holds, 1);
	t->fixed = fixed;
	return t;
}

struct tls_tickets *
tls_tickets_create(void)
{
	struct tls_tickets *t = create(false);

	if (t == NULL)
		return NULL;
	t->n = 1;
	if (draw(&t->key[0], now_s()))
		return t;
	ERR_clear_error();
	tls_tickets_free(t);
	return NULL;
}

struct tls_tickets *
tls_tickets_hold(struct tls_tickets *t)
{
	atomic_fetch_add(&t->holds, 1);
	return t;
}

void
tls_tickets_free(struct tls_tickets *t)
{
	if (t == NULL || atomic_fetch_sub(&t->holds, 1) > 1)
		return;
	pthread_mutex_destroy(&t->lock);
	OPENSSL_cleanse(t->key, sizeof(t->key));
	free(t);
}

/* ---- time ---- */

static void
turn(struct tls_tickets *t, uint64_t now)
{
	struct tls_ticket_key fresh;

	if (t->fixed)
		return;
	/* Another thread was later and had the lock first. */
	if (now < t->key[0].drawn_s)
		now = t->key[0].drawn_s;
	while (t->n > 1 &&
	    now - t->key[t->n - 1].drawn_s >=
		TLS_TICKET_TURN_S + TLS_TICKET_LIFE_S)
		t->n--;
	/* Without random bytes the old one has to do. */
	if (now - t->key[0].drawn_s < TLS_TICKET_TURN_S || !draw(&fresh, now))
		return;
	if (now - t->key[0].drawn_s >= TLS_TICKET_TURN_S + TLS_TICKET_LIFE_S)
		t->n = 0;
	if (t->n == TLS_TICKET_DRAWN)
		t->n--;
	memmove(&t->key[1], &t->key[0], t->n * sizeof(t->key[0]));
	t->key[0] = fresh;
	t->n++;
	OPENSSL_cleanse(&fresh, sizeof(fresh));
}

void
tls_tickets_newest(
    struct tls_tickets *t, uint64_t now, struct tls_ticket_key *key)
{
	pthread_mutex_lock(&t->lock);
	turn(t, now);
	*key = t->key[0];
	pthread_mutex_unlock(&t->lock);
}

enum tls_tickets_found
tls_tickets_find(struct tls_tickets *t, uint64_t now,
    const unsigned char name[TLS_TICKET_NAME_BYTES], struct tls_ticket_key *key)
{
	enum tls_tickets_found found = TLS_TICKETS_UNKNOWN;

	pthread_mutex_lock(&t->lock);
	turn(t, now);
	for (size_t i = 0; i < t->n && found == TLS_TICKETS_UNKNOWN; i++) {
		if (memcmp(t->key[i].name, name, TLS_TICKET_NAME_BYTES) != 0)
			continue;
		*key = t->key[i];
		found = i == 0 ? TLS_TICKETS_NEWEST : TLS_TICKETS_OLDER;
	}
	pthread_mutex_unlock(&t->lock);
	return found;
}

/* ---- sealing and opening ---- */

static bool
key_mac(EVP_MAC_CTX *mac, struct tls_ticket_key *k)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(
				   OSSL_MAC_PARAM_KEY, k->mac, k->len),
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_end()};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static const EVP_CIPHER *
cipher_of(const struct tls_space *s, const struct tls_ticket_key *k)
{
	return k->len == TLS_TICKET_KEY_BYTES ? s->aes256 : s->aes128;
}

static int
seal_with(struct tls_ticket_key *k, const struct tls_space *s,
    unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	const EVP_CIPHER *aes = cipher_of(s, k);

	/* 0 would be an empty ticket, which TLS 1.3 does not know. */
	return RAND_bytes_ex(
		   s->lib, iv, (size_t)EVP_CIPHER_get_iv_length(aes), 0) == 1 &&
		EVP_EncryptInit_ex2(cipher, aes, k->aes, iv, NULL) == 1 &&
		key_mac(mac, k)
	    ? 1
	    : -1;
}

/* RFC 8446 C.4: a ticket is used once, so TLS 1.3 gets another each time. */
static int
open_with(struct tls_ticket_key *k, const struct tls_space *s,
    unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	return EVP_DecryptInit_ex2(cipher, cipher_of(s, k), k->aes, iv, NULL) ==
		    1 &&
		key_mac(mac, k)
	    ? 1
	    : -1;
}

int
tls_tickets_on_key(struct tls_tickets *t, const struct tls_space *s, SSL *ssl,
    unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int seal)
{
	struct tls_ticket_key k;
	enum tls_tickets_found found;
	int answer;

	if (seal) {
		tls_tickets_newest(t, now_s(), &k);
		memcpy(name, k.name, sizeof(k.name));
		answer = seal_with(&k, s, iv, cipher, mac);
	} else {
		found = tls_tickets_find(t, now_s(), name, &k);
		if (found == TLS_TICKETS_UNKNOWN)
			return 0;
		answer = open_with(&k, s, iv, cipher, mac);
		if (answer == 1 &&
		    (found == TLS_TICKETS_OLDER ||
			SSL_version(ssl) == TLS1_3_VERSION))
			answer = 2;
	}
	OPENSSL_cleanse(&k, sizeof(k));
	return answer;
}

/* ---- files ---- */

/* `len` bytes as nginx has them: name, then AES and HMAC in the small form,
 * HMAC and AES in the large one. */
static bool
take_key(struct tls_tickets *t, const unsigned char *p, size_t len)
{
	struct tls_ticket_key *k = &t->key[t->n];
	const unsigned char *first = p + sizeof(k->name);

	if (len != SMALL_BYTES && len != LARGE_BYTES)
		return false;
	memcpy(k->name, p, sizeof(k->name));
	k->len = (len - sizeof(k->name)) / 2;
	memcpy(len == SMALL_BYTES ? k->aes : k->mac, first, k->len);
	memcpy(len == SMALL_BYTES ? k->mac : k->aes, first + k->len, k->len);
	t->n++;
	return true;
}

/* NULL, or what is wrong with a line of text. */
static const char not_a_key[] =
    " is not base64 of 48 or 80 bytes (one key, one line: base64 -w 0)";

static const char *
take_line(struct tls_tickets *t, struct span line)
{
	unsigned char bytes[LINE_MAX_BYTES];
	size_t len = line.len / 4 * 3;
	const char *why = NULL;
	int n;

	if (line.len % 4 != 0 || line.len > LINE_MAX_BYTES)
		return not_a_key;
	n = EVP_DecodeBlock(
	    bytes, (const unsigned char *)line.ptr, (int)line.len);
	/* Padding counts as bytes there. */
	for (size_t i = 0;
	     i < 2 && len > 0 && line.ptr[line.len - 1 - i] == '='; i++)
		len--;
	if (n < 0 || (len != SMALL_BYTES && len != LARGE_BYTES))
		why = not_a_key;
	else if (t->n == TLS_TICKET_KEYS_MAX)
		why = " is one key too many: 16 are allowed";
	else if (!take_key(t, bytes, len))
		why = not_a_key;
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return why;
}

static bool
is_text(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if ((c < ' ' && c != '\t' && c != '\n' && c != '\r') ||
		    c >= 0x7f)
			return false;
	}
	return true;
}

static bool
take_text(struct tls_tickets *t, struct span rest, struct tls_report *r,
    const struct tls_place *at)
{
	for (uint64_t number = 1; rest.len > 0; number++) {
		size_t end = span_find(rest, '\n');
		struct span line = span_make(rest.ptr, end);
		const char *why = NULL;
		char digits[24];
		struct textbuf d = textbuf_make(digits, sizeof(digits) - 1);

		end += end < rest.len ? 1 : 0;
		rest = span_make(rest.ptr + end, rest.len - end);
		if (line.len > 0 && line.ptr[line.len - 1] == '\r')
			line.len--;
		line = span_trim(line);
		if (line.len > 0 && line.ptr[0] != '#')
			why = take_line(t, line);
		if (why == NULL)
			continue;
		textbuf_u64(&d, number);
		digits[d.len] = '\0';
		tls_error(r, at, "line ", digits, why, NULL);
		return false;
	}
	if (t->n == 0)
		tls_error(r, at, "no key in it", NULL);
	return t->n > 0;
}

struct tls_tickets *
tls_tickets_parse(
    const struct tls_file *f, struct tls_report *r, const struct tls_place *at)
{
	struct tls_tickets *t = create(true);
	bool ok;

	if (t == NULL) {
		tls_error(r, at, "no memory", NULL);
		return NULL;
	}
	if (is_text(tls_file_span(f))) {
		ok = take_text(t, tls_file_span(f), r, at);
	} else {
		ok = take_key(t, f->bytes, f->len);
		if (!ok)
			tls_error(r, at,
			    "is neither 48 or 80 bytes nor lines of base64 of "
			    "as many (head -c 80 /dev/urandom | base64 -w 0)",
			    NULL);
	}
	if (ok) {
		tls_file_warn_of_others(f, r, at);
		return t;
	}
	tls_tickets_free(t);
	return NULL;
}
