#include "evenkeel/control/names_found.h"

#include <stdlib.h>
#include <string.h>

#include "evenkeel/base/num.h"

/* More would fill the log. */
#define LISTED 12

void
names_found_put(struct textbuf *out, const struct names_found *found, size_t n)
{
	size_t listed = num_min_size(n, LISTED);

	for (size_t i = 0; i < listed; i++) {
		textbuf_str(out, i > 0 ? ", " : "");
		address_put(out, &found[i].address);
		if (found[i].weight > 1) {
			textbuf_lit(out, " weight=");
			textbuf_u64(out, found[i].weight);
		}
		textbuf_str(out, found[i].backup ? " backup" : "");
	}
	if (listed < n) {
		textbuf_lit(out, " and ");
		textbuf_u64(out, n - listed);
		textbuf_lit(out, " more");
	}
}

static bool
same(const struct names_found *a, const struct names_found *b)
{
	return a->weight == b->weight && a->backup == b->backup &&
	    a->address.len == b->address.len &&
	    memcmp(&a->address.u, &b->address.u, a->address.len) == 0;
}

bool
names_found_same(const struct names_found *a, size_t n_a,
    const struct names_found *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (!same(&a[i], &b[i]))
			return false;
	return true;
}

struct names_found *
names_found_merge(const struct lookup_result *r,
    const struct names_found *before, size_t n_before, size_t *n)
{
	size_t kept = r->end == LOOKUP_ALL ? 0 : n_before;
	struct lookup_result all = {.n = 0};
	struct names_found *found = calloc(r->n + kept, sizeof(*found));

	all.found = calloc(r->n + kept, sizeof(*all.found));
	if (found == NULL || all.found == NULL) {
		free(found);
		free(all.found);
		return NULL;
	}
	for (size_t i = 0; i < r->n; i++)
		all.found[all.n++] = r->found[i];
	for (size_t i = 0; i < kept; i++)
		all.found[all.n++] =
		    (struct lookup_found){.address = before[i].address,
			.weight = before[i].weight,
			.backup = before[i].backup};
	lookup_tidy(&all);
	for (size_t i = 0; i < all.n; i++)
		found[i] = (struct names_found){.address = all.found[i].address,
		    .weight = all.found[i].weight,
		    .backup = all.found[i].backup};
	free(all.found);
	*n = all.n;
	return found;
}
