#include "evenkeel/net/pipe.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void
pipe_pool_init(struct pipe_pool *p, uint32_t max)
{
	*p = (struct pipe_pool){.max = max};
}

static void
destroy(struct pipe *pipe)
{
	close(pipe->in);
	close(pipe->out);
	free(pipe);
}

void
pipe_pool_close(struct pipe_pool *p)
{
	CHECK(p->n_lent == 0);
	while (p->free != NULL) {
		struct pipe *pipe = p->free;

		p->free = pipe->next;
		destroy(pipe);
	}
	p->n_free = 0;
}

/* Past pipe-user-pages-soft the kernel hands out tiny pipes and refuses to
 * make them larger. */
static struct pipe *
create(void)
{
	struct pipe *pipe = malloc(sizeof(*pipe));
	int fds[2], cap;

	if (pipe == NULL)
		return NULL;
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0) {
		free(pipe);
		return NULL;
	}
	cap = fcntl(fds[0], F_SETPIPE_SZ, (int)PIPE_BYTES);
	if (cap < 0)
		cap = fcntl(fds[0], F_GETPIPE_SZ);
	*pipe =
	    (struct pipe){.in = fds[1], .out = fds[0], .cap = (uint32_t)cap};
	if (cap >= (int)PIPE_MIN_BYTES)
		return pipe;
	destroy(pipe);
	return NULL;
}

struct pipe *
pipe_get(struct pipe_pool *p)
{
	struct pipe *pipe = p->free;

	if (pipe != NULL) {
		p->free = pipe->next;
		p->n_free--;
		p->n_lent++;
		return pipe;
	}
	if (p->n_lent >= p->max)
		return NULL;
	if (p->pause > 0) {
		p->pause--;
		return NULL;
	}
	pipe = create();
	if (pipe != NULL)
		p->n_lent++;
	else
		p->pause = PIPE_POOL_PAUSE;
	return pipe;
}

void
pipe_put(struct pipe_pool *p, struct pipe *pipe)
{
	if (pipe == NULL)
		return;
	CHECK(p->n_lent > 0);
	p->n_lent--;
	if (pipe->len > 0 || p->n_free >= PIPE_POOL_KEEP) {
		destroy(pipe);
		return;
	}
	pipe->next = p->free;
	p->free = pipe;
	p->n_free++;
}
