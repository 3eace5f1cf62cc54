#include "evenkeel/net/buf.h"

#include <stdlib.h>
#include <string.h>

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
drop_list(struct buf **list)
{
	while (*list != NULL) {
		struct buf *b = *list;

		*list = b->next;
		free(b);
	}
}

static void
drop_free(struct buf_pool *p)
{
	drop_list(&p->free);
	p->n_free = 0;
}

void
buf_pool_close(struct buf_pool *p)
{
	CHECK(p->n_lent == 0 && p->n_lent_large == 0);
	drop_free(p);
	drop_list(&p->free_large);
	p->n_free_large = 0;
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

struct buf *
buf_get_large(struct buf_pool *p)
{
	struct buf *b = p->free_large;

	if (b != NULL) {
		p->free_large = b->next;
		p->n_free_large--;
	} else {
		if (p->n_lent_large >= BUF_LARGE_MAX)
			return NULL;
		b = malloc(sizeof(*b) + BUF_LARGE_BYTES);
		if (b == NULL)
			return NULL;
	}
	*b = (struct buf){.cap = BUF_LARGE_BYTES, .large = true};
	p->n_lent++;
	p->n_lent_large++;
	return b;
}

bool
buf_extend(struct buf_pool *p, struct buf **b, uint32_t cap)
{
	struct buf *from = *b, *to;

	if (from->cap >= cap)
		return true;
	to = malloc(sizeof(*to) + cap);
	if (to == NULL)
		return false;
	*to = *from;
	to->cap = cap;
	to->large = false;
	memcpy(to->data, from->data, from->end);
	p->n_lent++;
	buf_put(p, from);
	*b = to;
	return true;
}

static void
put_large(struct buf_pool *p, struct buf *b)
{
	CHECK(p->n_lent_large > 0);
	p->n_lent_large--;
	if (p->n_free_large >= BUF_LARGE_KEEP) {
		free(b);
		return;
	}
	b->next = p->free_large;
	p->free_large = b;
	p->n_free_large++;
}

void
buf_put(struct buf_pool *p, struct buf *b)
{
	if (b == NULL)
		return;
	CHECK(p->n_lent > 0);
	p->n_lent--;
	if (b->large) {
		put_large(p, b);
		return;
	}
	/* Of another size: from before the pool grew, or extended. */
	if (p->n_free >= BUF_POOL_KEEP || b->cap != p->size) {
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
