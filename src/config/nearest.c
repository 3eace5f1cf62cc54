#include "evenkeel/config/nearest.h"

#include "evenkeel/base/num.h"
#include "evenkeel/config/value.h"

void
nearest_init(struct nearest *n, struct span typo)
{
	size_t limit = typo.len < 5 ? 1 : typo.len / 3;

	if (typo.len >= 5 && limit < 2)
		limit = 2;
	*n = (struct nearest){
	    .typo = typo, .best = SPAN_NONE, .distance = limit + 1};
}

static bool
same(char a, char b)
{
	return span_lower_byte(a) == span_lower_byte(b);
}

/* Rows of the distance matrix: before[0] is the row above, before[1] the one
 * above that. */
static size_t
distance(struct span a, struct span b)
{
	size_t row[3][NEAREST_NAME_MAX + 1];

	for (size_t j = 0; j <= b.len; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t *now = row[i % 3], *up = row[(i + 2) % 3];
		const size_t *upper = row[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t d =
			    up[j - 1] + !same(a.ptr[i - 1], b.ptr[j - 1]);

			d = num_min_size(d, up[j] + 1);
			d = num_min_size(d, now[j - 1] + 1);
			if (i > 1 && j > 1 &&
			    same(a.ptr[i - 1], b.ptr[j - 2]) &&
			    same(a.ptr[i - 2], b.ptr[j - 1]))
				d = num_min_size(d, upper[j - 2] + 1);
			now[j] = d;
		}
	}
	return row[a.len % 3][b.len];
}

void
nearest_offer(struct nearest *n, struct span name)
{
	size_t apart, d;

	if (n->typo.len > NEAREST_NAME_MAX || name.len > NEAREST_NAME_MAX ||
	    n->offered == NEAREST_CANDIDATES_MAX)
		return;
	n->offered++;
	apart = n->typo.len > name.len ? n->typo.len - name.len
				       : name.len - n->typo.len;
	/* One of two letters is no typo of another one. */
	if (apart >= n->distance || name.len < 2)
		return;
	d = distance(n->typo, name);
	if (d < n->distance && d < name.len) {
		n->distance = d;
		n->best = name;
	}
}

void
nearest_offer_words(struct nearest *n, const char *words)
{
	struct span rest = span_of(words), word;

	while (value_next_word(&rest, &word))
		nearest_offer(n, word);
}
