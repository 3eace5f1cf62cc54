#include "evenkeel/control/publish.h"

#include <stdlib.h>

void
publish_init(struct publish *p, const struct publish_ops *ops, void *arg)
{
	*p = (struct publish){.ops = ops, .arg = arg};
}

/* Those that were replaced before `generation` was told. */
static void
free_passed(struct publish *p, uint64_t generation)
{
	struct rotation **at = &p->retired;

	while (*at != NULL) {
		struct rotation *r = *at;

		if (r->generation > generation) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		p->n_retired--;
		rotation_free(r);
	}
}

void
publish_close(struct publish *p)
{
	free_passed(p, UINT64_MAX);
}

void
publish_swap(
    struct publish *p, struct rotation *_Atomic *place, struct rotation *r)
{
	struct rotation *old = atomic_exchange(place, r);

	p->changed = true;
	if (old == NULL)
		return;
	old->generation = p->generation + 1;
	old->next = p->retired;
	p->retired = old;
	p->n_retired++;
}

void
publish_tell(struct publish *p)
{
	if (!p->changed)
		return;
	p->changed = false;
	p->generation++;
	p->ops->tell(p->generation, p->arg);
	(void)publish_collect(p);
}

uint64_t
publish_next(struct publish *p)
{
	p->changed = true;
	return p->generation + 1;
}

bool
publish_passed(const struct publish *p, uint64_t generation)
{
	return p->ops->passed(p->arg) >= generation;
}

bool
publish_collect(struct publish *p)
{
	if (p->retired != NULL)
		free_passed(p, p->ops->passed(p->arg));
	return p->retired != NULL;
}
