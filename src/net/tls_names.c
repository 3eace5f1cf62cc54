#include "evenkeel/net/tls_names.h"

#include <stdlib.h>

#include <openssl/x509v3.h>

#include "evenkeel/base/num.h"

#define CAP_FIRST 16

bool
tls_names_kind(EVP_PKEY *key, unsigned *kind)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		*kind = 0;
		return true;
	case EVP_PKEY_RSA_PSS:
		*kind = 1;
		return true;
	case EVP_PKEY_EC:
		*kind = 2;
		return true;
	case EVP_PKEY_ED25519:
		*kind = 3;
		return true;
	case EVP_PKEY_ED448:
		*kind = 4;
		return true;
	default:
		return false;
	}
}

/* ---- gathering ---- */

/* Letters, digits, '-', '_' and dots; '*' as the whole first label. */
static bool
is_name(struct span s)
{
	size_t from = span_starts_with(s, SPAN("*.")) ? 2 : 0;

	if (s.len <= from || s.len > TLS_NAME_BYTES)
		return false;
	for (size_t i = from; i < s.len; i++) {
		char c = span_lower_byte(s.ptr[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
			c == '-' || c == '_' || c == '.'))
			return false;
	}
	return true;
}

static bool
grow(struct tls_names *t)
{
	size_t cap = t->cap == 0 ? CAP_FIRST : t->cap * 2;
	struct tls_name *names;

	if (t->n < t->cap)
		return true;
	names = (struct tls_name *)realloc(t->names, cap * sizeof(*names));
	if (names == NULL)
		return false;
	t->names = names;
	t->cap = cap;
	return true;
}

static struct span
without_dot(struct span s)
{
	if (s.len > 0 && s.ptr[s.len - 1] == '.')
		s.len--;
	return s;
}

static bool
add(struct tls_names *t, struct span s, size_t pair, unsigned kind)
{
	char *text;

	s = without_dot(s);
	if (!is_name(s)) /* nobody can ask for it */
		return true;
	if (!grow(t) || (text = (char *)malloc(s.len + 1)) == NULL)
		return false;
	for (size_t i = 0; i < s.len; i++)
		text[i] = span_lower_byte(s.ptr[i]);
	text[s.len] = '\0';
	t->names[t->n++] =
	    (struct tls_name){.text = text, .pair = pair, .kind = kind};
	return true;
}

static struct span
span_of_asn1(const ASN1_STRING *s)
{
	return span_make((const char *)ASN1_STRING_get0_data(s),
	    (size_t)ASN1_STRING_length(s));
}

/* The last one, which is the most specific (RFC 6125 6.4.4). */
static bool
add_common_name(struct tls_names *t, X509 *leaf, size_t pair, unsigned kind)
{
	X509_NAME *subject = X509_get_subject_name(leaf);
	int at = -1, last = -1;

	while (
	    (at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0)
		last = at;
	if (last < 0)
		return true;
	return add(t,
	    span_of_asn1(
		X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last))),
	    pair, kind);
}

bool
tls_names_add(struct tls_names *t, X509 *leaf, size_t pair, unsigned kind)
{
	int critical = 0;
	GENERAL_NAMES *all = (GENERAL_NAMES *)X509_get_ext_d2i(
	    leaf, NID_subject_alt_name, &critical, NULL);
	bool ok = all != NULL || critical == -1; /* -1: there is none */
	bool any = false;

	for (int i = 0; ok && i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *one = sk_GENERAL_NAME_value(all, i);

		if (one->type != GEN_DNS)
			continue;
		any = true;
		ok = add(t, span_of_asn1(one->d.dNSName), pair, kind);
	}
	GENERAL_NAMES_free(all);
	return ok && (any || add_common_name(t, leaf, pair, kind));
}

/* ---- sorting ---- */

static int
compare(const void *a, const void *b)
{
	const struct tls_name *x = (const struct tls_name *)a;
	const struct tls_name *y = (const struct tls_name *)b;
	int order = strcmp(x->text, y->text);

	if (order != 0)
		return order;
	return x->pair < y->pair ? -1 : x->pair > y->pair;
}

static struct tls_set
no_pairs(void)
{
	struct tls_set set;

	for (size_t k = 0; k < TLS_KEY_KINDS; k++)
		set.pair[k] = TLS_PAIR_NONE;
	return set;
}

static void
take_least(struct tls_set *set, const struct tls_set *from)
{
	for (size_t k = 0; k < TLS_KEY_KINDS; k++)
		set->pair[k] = num_min_size(set->pair[k], from->pair[k]);
}

static int
compare_sets(const void *a, const void *b)
{
	const struct tls_set *x = (const struct tls_set *)a;
	const struct tls_set *y = (const struct tls_set *)b;

	for (size_t k = 0; k < TLS_KEY_KINDS; k++)
		if (x->pair[k] != y->pair[k])
			return x->pair[k] < y->pair[k] ? -1 : 1;
	return 0;
}

/* Names that are equal become one; its set is put where the name is, in
 * t->sets, and what pair 0 shares a name with in sets[n]. */
static void
merge_names(struct tls_names *t, struct tls_set *sets, struct tls_set *first)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n;) {
		struct tls_set set = no_pairs();
		bool with_first = false;
		size_t j = i;

		for (; j < t->n &&
		     strcmp(t->names[j].text, t->names[i].text) == 0;
		     j++) {
			const struct tls_name *one = &t->names[j];

			with_first = with_first || one->pair == 0;
			set.pair[one->kind] =
			    num_min_size(set.pair[one->kind], one->pair);
			if (j > i)
				free(one->text);
		}
		if (with_first)
			take_least(first, &set);
		t->names[n] = t->names[i];
		sets[n++] = set;
		i = j;
	}
	t->n = n;
}

/* Which of the sorted sets [1..n_sets) it is, or the first one. */
static size_t
place_of(const struct tls_names *t, const struct tls_set *set)
{
	const struct tls_set *at;

	if (compare_sets(set, &t->sets[0]) == 0)
		return 0;
	at = (const struct tls_set *)bsearch(
	    set, t->sets + 1, t->n_sets - 1, sizeof(*set), compare_sets);
	CHECK(at != NULL);
	return (size_t)(at - t->sets);
}

static void
keep_distinct(struct tls_names *t, const struct tls_set *of_names)
{
	size_t n = 1;

	memcpy(t->sets + 1, of_names, t->n * sizeof(*of_names));
	qsort(t->sets + 1, t->n, sizeof(*t->sets), compare_sets);
	for (size_t i = 1; i <= t->n; i++) {
		if (compare_sets(&t->sets[i], &t->sets[0]) == 0 ||
		    (n > 1 && compare_sets(&t->sets[i], &t->sets[n - 1]) == 0))
			continue;
		t->sets[n++] = t->sets[i];
	}
	t->n_sets = n;
}

bool
tls_names_sort(struct tls_names *t, unsigned first_kind)
{
	struct tls_set *of_names;

	of_names = (struct tls_set *)calloc(t->n + 1, sizeof(*of_names));
	t->sets = (struct tls_set *)calloc(t->n + 1, sizeof(*t->sets));
	if (of_names == NULL || t->sets == NULL) {
		free(of_names);
		return false;
	}
	if (t->n > 0)
		qsort(t->names, t->n, sizeof(*t->names), compare);
	t->sets[0] = no_pairs();
	t->sets[0].pair[first_kind] = 0;
	merge_names(t, of_names, &t->sets[0]);
	keep_distinct(t, of_names);
	for (size_t i = 0; i < t->n; i++)
		t->names[i].set = place_of(t, &of_names[i]);
	free(of_names);
	return true;
}

/* ---- asking ---- */

static int
compare_text(const void *text, const void *name)
{
	return strcmp(
	    (const char *)text, ((const struct tls_name *)name)->text);
}

static size_t
look_up(const struct tls_names *t, const char *text)
{
	const struct tls_name *found = t->n == 0
	    ? NULL
	    : (const struct tls_name *)bsearch(
		  text, t->names, t->n, sizeof(*t->names), compare_text);

	return found != NULL ? found->set : SIZE_MAX;
}

size_t
tls_names_find(const struct tls_names *t, struct span name)
{
	char room[TLS_NAME_BYTES + 1];
	size_t found, dot;

	name = without_dot(name);
	if (name.len == 0 || name.len > TLS_NAME_BYTES)
		return SIZE_MAX;
	for (size_t i = 0; i < name.len; i++)
		room[i] = span_lower_byte(name.ptr[i]);
	room[name.len] = '\0';
	found = look_up(t, room);
	dot = span_find(name, '.');
	/* RFC 6125 6.4.3: a wildcard stands for one label, not for none. */
	if (found != SIZE_MAX || dot == 0 || dot == name.len)
		return found;
	room[dot - 1] = '*';
	return look_up(t, room + dot - 1);
}

bool
tls_names_used(const struct tls_names *t, size_t pair)
{
	for (size_t i = 0; i < t->n_sets; i++)
		for (size_t k = 0; k < TLS_KEY_KINDS; k++)
			if (t->sets[i].pair[k] == pair)
				return true;
	return false;
}

void
tls_names_free(struct tls_names *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->names[i].text);
	free(t->names);
	free(t->sets);
	*t = (struct tls_names){.n = 0};
}
