/*
 * names_found - the addresses that a name has: lists of them compared, put
 * together, and written down.
 *
 * Layer: control.  Any thread.
 */
#ifndef EVENKEEL_CONTROL_NAMES_FOUND_H
#define EVENKEEL_CONTROL_NAMES_FOUND_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/net/lookup.h"

struct names_found {
	struct address address;
	uint16_t weight; /* 1..CFG_WEIGHT_MAX; 0: the record says nothing */
	bool backup;     /* by the record */
};

/* "10.0.0.1:80, 10.0.0.2:80 weight=3 backup and 7 more". */
void
names_found_put(struct textbuf *out, const struct names_found *found, size_t n);

/* The same addresses, weights and ranks; both lists are in order. */
bool names_found_same(const struct names_found *a, size_t n_a,
    const struct names_found *b, size_t n_b);

/*
 * What an answer makes of what was known: it alone when it is whole, else both
 * together.  `*n` of them, in order, each address once, for free().  NULL: no
 * memory.
 */
struct names_found *names_found_merge(const struct lookup_result *r,
    const struct names_found *before, size_t n_before, size_t *n) WARN_UNUSED;

#endif
