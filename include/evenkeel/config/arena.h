/*
 * arena - memory that is given out piece by piece and taken back as a whole.
 *
 * Layer: config.  Pure: more memory comes from a function of the caller, who
 * also frees it.
 */
#ifndef EVENKEEL_CONFIG_ARENA_H
#define EVENKEEL_CONFIG_ARENA_H

#include <stddef.h>

#include "evenkeel/base/check.h"
#include "evenkeel/base/span.h"

/* Returns `bytes` zeroed bytes aligned for any type, or NULL. */
typedef void *arena_more(void *arg, size_t bytes);

struct arena {
	arena_more *more;
	void *arg;
	char *at;
	size_t left;
	bool failed; /* some request was not met; sticky */
};

void arena_init(struct arena *a, arena_more *more, void *arg);

/* Zeroed, aligned memory for `n` objects of `size` bytes; NULL when there is
 * none or n * size overflows (a->failed is then set).  n may be 0. */
void *arena_get(struct arena *a, size_t n, size_t size) WARN_UNUSED;

/* A NUL-terminated copy; NULL when there is no memory. */
char *arena_text(struct arena *a, struct span s) WARN_UNUSED;

#endif
