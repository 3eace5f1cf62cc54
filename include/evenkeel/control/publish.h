/*
 * publish - puts new rotations in the place of old ones, and frees the old when
 * no worker can be looking at them any more.
 *
 * Layer: control.  The control thread.
 *
 * Why it is safe.  A worker loads a pool's pointer each time it picks and
 * forgets it before it returns to its loop.  To replace rotations, control
 *   (1) exchanges the pointers,
 *   (2) counts the generation up, and
 *   (3) mails each worker that there is a new one;
 * the worker, in a callback of its own where it holds no rotation,
 *   (4) loads the generation, and
 *   (5) stores it as passed.
 * A load of the pointer before (4) belongs to a callback that has ended; one
 * after (4) sees what (1) wrote, because (1) comes before (2) and (4) has read
 * what (2) wrote.  So when control finds (5), whatever the worker did with the
 * old rotation happened before, and nothing comes after.  A worker that is
 * parked in its poll is woken by (3); one that is stuck in a callback keeps
 * what was replaced meanwhile from being freed, and publish_crowded then says
 * that changes should come less often.
 */
#ifndef EVENKEEL_CONTROL_PUBLISH_H
#define EVENKEEL_CONTROL_PUBLISH_H

#include "evenkeel/proxy/backend.h"

/* So many replaced rotations that wait are too many. */
#define PUBLISH_CROWD 64

struct publish_ops {
	/* (2) and (3). */
	void (*tell)(uint64_t generation, void *arg);
	/* The lowest generation that a reader has passed; UINT64_MAX: nobody
	 * reads. */
	uint64_t (*passed)(void *arg);
};

struct publish {
	const struct publish_ops *ops;
	void *arg;
	uint64_t generation; /* the last that was told */
	bool changed;        /* since then */
	struct rotation *retired;
	uint32_t n_retired;
};

void publish_init(struct publish *p, const struct publish_ops *ops, void *arg);

/* Nobody reads any more: frees all that wait. */
void publish_close(struct publish *p);

/* (1): `r`, which may be NULL, in the place of what is there. */
void publish_swap(
    struct publish *p, struct rotation *_Atomic *place, struct rotation *r);

/* After the last of some swaps: tells the readers, and frees what it can. */
void publish_tell(struct publish *p);

/* Has the next publish_tell tell the readers even when nothing was swapped;
 * returns the generation it will tell. */
uint64_t publish_next(struct publish *p);

/* Whether no worker can be looking at what `generation` has replaced. */
bool publish_passed(const struct publish *p, uint64_t generation);

/* Frees what it can.  True: something is left to be freed. */
bool publish_collect(struct publish *p);

static inline bool
publish_crowded(const struct publish *p)
{
	return p->n_retired > PUBLISH_CROWD;
}

#endif
