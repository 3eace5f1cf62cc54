#include "evenkeel/net/blocks.h"

#include <stdint.h>
#include <stdlib.h>

struct block {
	struct block *next;
	_Alignas(max_align_t) char bytes[];
};

void *
blocks_more(void *arg, size_t bytes)
{
	struct blocks *all = arg;
	struct block *b;

	if (bytes > SIZE_MAX - sizeof(*b))
		return NULL;
	b = calloc(1, sizeof(*b) + bytes);
	if (b == NULL)
		return NULL;
	b->next = all->first;
	all->first = b;
	return b->bytes;
}

void
blocks_free(struct blocks *b)
{
	while (b->first != NULL) {
		struct block *next = b->first->next;

		free(b->first);
		b->first = next;
	}
}
