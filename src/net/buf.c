#include "evenkeel/net/buf.h"

#include <stdlib.h>

bool
buf_ok(const struct buf *b)
{
	return b->base <= b->start && b->start <= b->mid && b->mid <= b->raw &&
	    b->raw <= b->end && b->end <= b->cap;
}

void
buf_pool_init(struct buf_pool *p, uint32_t size)
{
	*p = (struct buf_pool){.size = size > BUF_BYTES ? size : BUF_BYTES};
}

static void
drop_free(struct buf_pool *p)
{
	while (p->free != NULL) {
		struct buf *b = p->free;

		p->free = b->next;
		free(b);
	}
	p->n_free = 0;
}

void
buf_pool_close(struct buf_pool *p)
{
	CHECK(p->n_lent == 0);
	drop_free(p);
}

void
buf_pool_grow(struct buf_pool *p, uint32_t size)
{
	if (size <= p->size)
		return;
	p->size = size;
	drop_free(p);
}

struct buf *
buf_new(struct buf_pool *p)
{
	struct buf *b = malloc(sizeof(*b) + p->size);

	if (b == NULL)
		return NULL;
	*b = (struct buf){.cap = p->size};
	p->n_lent++;
	return b;
}

void
buf_put(struct buf_pool *p, struct buf *b)
{
	if (b == NULL)
		return;
	CHECK(p->n_lent > 0);
	p->n_lent--;
	if (p->n_free >= BUF_POOL_KEEP || b->cap < p->size) {
		free(b);
		return;
	}
	b->next = p->free;
	p->free = b;
	p->n_free++;
}

void
buf_close_gap(struct buf *b)
{
	memmove(b->data + b->mid, b->data + b->raw, b->end - b->raw);
	b->end -= b->raw - b->mid;
	b->raw = b->mid;
}

void
buf_compact(struct buf *b)
{
	CHECK(buf_ready_len(b) == 0);
	if (b->raw == b->base)
		return;
	memmove(b->data + b->base, b->data + b->raw, b->end - b->raw);
	b->end = b->base + (b->end - b->raw);
	b->start = b->mid = b->raw = b->base;
}
