#include "evenkeel/net/tls_words.h"

#include <openssl/err.h>

/* A name that OpenSSL has; what is longer is none. */
#define WORD_BYTES 128

/* Names of what is gone from OpenSSL; lists still say that they don't want
 * it. */
static const char *const gone[] = {"RC2", "RC4", "IDEA", "SEED", "DES", "3DES",
    "MD5", "EXP", "EXPORT", "EXPORT40", "EXPORT56", "LOW", "SSLv2", "SSLv3",
    "KRB5", "DSS", "aDSS", "aECDH", "aDH", "kRSA", "DH", "GOST", "aGOST",
    "kGOST", "EDH-DSS-DES-CBC3-SHA", "EDH-RSA-DES-CBC3-SHA",
    "KRB5-DES-CBC3-SHA", "DES-CBC3-SHA", "ECDHE-RSA-DES-CBC3-SHA"};

static bool
is_gone(struct span name)
{
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		if (span_equal(name, span_of(gone[i])))
			return true;
	return false;
}

/* Terminated; false when it is too long for that. */
static bool
copy_word(char room[WORD_BYTES], struct span s)
{
	if (s.len >= WORD_BYTES)
		return false;
	if (s.len > 0)
		memcpy(room, s.ptr, s.len);
	room[s.len] = '\0';
	return true;
}

static bool
is_suite(SSL_CTX *ctx, const char *name)
{
	const STACK_OF(SSL_CIPHER) * all;

	if (SSL_CTX_set_ciphersuites(ctx, name) != 1)
		return false;
	all = SSL_CTX_get_ciphers(ctx);
	for (int i = 0; i < sk_SSL_CIPHER_num(all); i++)
		if (strcmp(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(all, i)),
			name) == 0)
			return true;
	return false;
}

struct list {
	SSL_CTX *scratch;
	struct tls_report *r;
	struct tls_place at;
};

static void
refuse(struct list *l, struct span word, const char *why)
{
	char room[WORD_BYTES];

	if (!copy_word(room, word))
		(void)copy_word(room, SPAN("(a long word)"));
	tls_error(l->r, &l->at, "\"", room, "\": ", why, NULL);
}

/* One name of a word such as ECDHE+AESGCM. */
static bool
check_name(struct list *l, struct span name, bool removes)
{
	char room[WORD_BYTES];
	bool known = name.len > 0 && copy_word(room, name);

	known = known && SSL_CTX_set_cipher_list(l->scratch, room) == 1;
	if (known || (removes && is_gone(name)))
		return true;
	if (copy_word(room, name) && is_suite(l->scratch, room))
		refuse(
		    l, name, "belongs in tls_ciphersuites: it is of TLS 1.3");
	else
		refuse(l, name, "OpenSSL knows no such cipher");
	return false;
}

static void
check_command(struct list *l, struct span word)
{
	static const char all[] = "ALL:";
	char room[WORD_BYTES + sizeof(all)];
	struct textbuf t = textbuf_make(room, sizeof(room) - 1);

	textbuf_str(&t, all);
	textbuf_put(&t, word);
	room[t.len] = '\0';
	if (t.full || SSL_CTX_set_cipher_list(l->scratch, room) != 1)
		refuse(l, word, "OpenSSL knows no such command");
}

static void
check_word(struct list *l, struct span word)
{
	bool removes = word.ptr[0] == '!' || word.ptr[0] == '-';
	struct span rest = word;

	if (word.ptr[0] == '@') {
		check_command(l, word);
		return;
	}
	if (removes || word.ptr[0] == '+')
		rest = span_make(word.ptr + 1, word.len - 1);
	do {
		size_t end = span_find(rest, '+');

		if (!check_name(l, span_make(rest.ptr, end), removes))
			return;
		end += end < rest.len ? 1 : 0;
		rest = span_make(rest.ptr + end, rest.len - end);
	} while (rest.len > 0);
}

static void
check_suite(struct list *l, struct span word)
{
	char room[WORD_BYTES];

	if (copy_word(room, word) && is_suite(l->scratch, room))
		return;
	if (copy_word(room, word) &&
	    SSL_CTX_set_cipher_list(l->scratch, room) == 1)
		refuse(l, word, "belongs in tls_ciphers: it is of TLS 1.2");
	else
		refuse(
		    l, word, "OpenSSL knows no such cipher suite of TLS 1.3");
}

/* The words of `text`, and whether there are any. */
static bool
each_word(struct list *l, const char *text,
    void (*check)(struct list *l, struct span word))
{
	struct span rest = span_of(text);
	bool any = false;

	while (rest.len > 0) {
		size_t n = 0;

		while (n < rest.len && strchr(": ,;\t", rest.ptr[n]) == NULL)
			n++;
		if (n > 0) {
			any = true;
			check(l, span_make(rest.ptr, n));
		} else {
			n = 1;
		}
		rest = span_make(rest.ptr + n, rest.len - n);
	}
	return any;
}

/* The list as a whole: its words may be good and leave nothing. */
static void
check_whole(struct list *l, const char *text, bool suites)
{
	bool ok = suites ? SSL_CTX_set_ciphersuites(l->scratch, text) == 1
			 : SSL_CTX_set_cipher_list(l->scratch, text) == 1;

	if (!ok)
		tls_error(l->r, &l->at, "leaves no cipher", NULL);
}

static void
check_list(SSL_CTX *scratch, const char *key, const char *text, bool suites,
    struct tls_report *r)
{
	struct tls_report own = {.teller = r->teller};
	struct list l = {.scratch = scratch, .r = &own, .at = {.key = key}};

	if (text == NULL || text[0] == '\0')
		return;
	if (!each_word(&l, text, suites ? check_suite : check_word))
		tls_error(&own, &l.at, "has no cipher in it", NULL);
	else if (!own.bad)
		check_whole(&l, text, suites);
	r->bad = r->bad || own.bad;
}

void
tls_words_check(const struct tls_space *s, const struct tls_settings *t,
    struct tls_report *r)
{
	SSL_CTX *scratch = SSL_CTX_new_ex(s->lib, NULL, TLS_method());

	if (scratch == NULL) {
		tls_error(r, &(struct tls_place){.key = "tls_ciphers"},
		    "no memory", NULL);
	} else {
		check_list(scratch, "tls_ciphers", t->ciphers, false, r);
		check_list(
		    scratch, "tls_ciphersuites", t->ciphersuites, true, r);
	}
	SSL_CTX_free(scratch);
	ERR_clear_error();
}
