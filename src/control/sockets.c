#include "evenkeel/control/sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "evenkeel/config/config.h"

/* A group of which each has a worker, while there are most of them. */
#define TAKE_MAX CFG_WORKERS_MAX

static bool
make_room(struct sockets *s, size_t n, struct textbuf *why)
{
	s->fds = calloc(n, sizeof(*s->fds));
	if (s->fds == NULL) {
		textbuf_lit(why, "out of memory");
		return false;
	}
	for (size_t i = 0; i < n; i++)
		s->fds[i] = -1;
	return true;
}

static bool
fail(const struct address *a, const char *what, struct textbuf *why)
{
	address_put(why, a);
	textbuf_lit(why, ": ");
	textbuf_str(why, what);
	return false;
}

static bool
open_new(struct sockets *s, const struct sockets_want *w, struct textbuf *why)
{
	if (!make_room(s, w->workers, why))
		return false;
	s->kind =
	    w->asked.u.any.sa_family == AF_UNIX ? INHERIT_ALONE : INHERIT_GROUP;
	if (w->beside
		? !listener_bind_beside(
		      &w->asked, s->fds, w->workers, &s->bound, why)
		: !listener_bind(&w->asked, s->fds, w->workers, &s->bound, why))
		return false;
	s->n = s->n_listen = w->workers;
	return true;
}

/* One of them is for all workers. */
static bool
share(struct sockets *s, uint32_t workers, struct textbuf *why)
{
	for (s->n = 1; s->n < workers; s->n++) {
		s->fds[s->n] = listener_share(s->fds[0]);
		if (s->fds[s->n] < 0)
			return fail(&s->bound, strerror(errno), why);
	}
	s->n_listen = s->n;
	return true;
}

static bool
grow(struct sockets *s, uint32_t workers, struct textbuf *why)
{
	s->n_listen = s->n;
	if (s->n >= workers)
		return true;
	if (!listener_join(
		&s->bound, s->fds + s->n, workers - (uint32_t)s->n, why))
		return false;
	s->n = workers;
	return true;
}

static bool
adopt(struct sockets *s, const struct inherit_socket *taken, size_t n,
    uint32_t workers, struct textbuf *why)
{
	s->inherited = true;
	s->kind = taken[0].kind;
	s->bound = taken[0].bound;
	if (!make_room(s, n > workers ? n : workers, why)) {
		for (size_t i = 0; i < n; i++)
			close(taken[i].fd);
		return false;
	}
	for (s->n = 0; s->n < n; s->n++)
		s->fds[s->n] = taken[s->n].fd;
	if (s->kind == INHERIT_GROUP)
		return grow(s, workers, why);
	if (n > 1)
		return fail(&s->bound,
		    "handed over more than once (in systemd: ReusePort=)", why);
	return share(s, workers, why);
}

bool
sockets_open(
    struct sockets *s, const struct sockets_want *w, struct textbuf *why)
{
	struct inherit_socket taken[TAKE_MAX];
	size_t n = 0;
	bool good;

	*s = (struct sockets){.bound = w->asked};
	if (w->inherit != NULL)
		n = inherit_take(
		    w->inherit, &w->asked, w->label, taken, TAKE_MAX);
	good =
	    n > 0 ? adopt(s, taken, n, w->workers, why) : open_new(s, w, why);
	if (!good)
		sockets_close(s);
	return good;
}

void
sockets_close(struct sockets *s)
{
	for (size_t i = 0; i < s->n; i++)
		close(s->fds[i]);
	free(s->fds);
	s->fds = NULL;
	s->n = s->n_listen = 0;
}
