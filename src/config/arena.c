#include "evenkeel/config/arena.h"

#include <stdalign.h>
#include <stdint.h>

/* What is asked of `more` at once: a small configuration fits into one. */
#define ARENA_BLOCK_BYTES 16384
/* Larger requests get a block of their own, so that little is left unused. */
#define ARENA_LARGE_BYTES (ARENA_BLOCK_BYTES / 4)

void
arena_init(struct arena *a, arena_more *more, void *arg)
{
	*a = (struct arena){.more = more, .arg = arg};
}

static void *
arena_ask(struct arena *a, size_t bytes)
{
	void *p = a->more(a->arg, bytes);

	if (p == NULL)
		a->failed = true;
	return p;
}

void *
arena_get(struct arena *a, size_t n, size_t size)
{
	const size_t align = alignof(max_align_t);
	size_t bytes;
	void *p;

	if (size != 0 && n > (SIZE_MAX - align) / size) {
		a->failed = true;
		return NULL;
	}
	/* Even nothing has an address of its own. */
	bytes = n * size > 0 ? n * size : 1;
	bytes = (bytes + align - 1) / align * align;
	if (bytes > a->left) {
		if (bytes > ARENA_LARGE_BYTES)
			return arena_ask(a, bytes);
		p = arena_ask(a, ARENA_BLOCK_BYTES);
		if (p == NULL)
			return NULL;
		a->at = p;
		a->left = ARENA_BLOCK_BYTES;
	}
	p = a->at;
	a->at += bytes;
	a->left -= bytes;
	return p;
}

char *
arena_text(struct arena *a, struct span s)
{
	char *text = arena_get(a, s.len + 1, 1);

	if (text != NULL && s.len > 0)
		memcpy(text, s.ptr, s.len);
	return text;
}
