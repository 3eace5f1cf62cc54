/*
 * blocks - memory for an arena (config/arena), from the heap and freed as a
 * whole.
 *
 * Layer: net.  One thread at a time.
 */
#ifndef EVENKEEL_NET_BLOCKS_H
#define EVENKEEL_NET_BLOCKS_H

#include <stddef.h>

struct block;

/* Begins as {NULL}. */
struct blocks {
	struct block *first;
};

/* An arena_more; `arg` is the struct blocks. */
void *blocks_more(void *arg, size_t bytes);

/* Frees all, and begins anew. */
void blocks_free(struct blocks *b);

#endif
