#include "evenkeel/control/binds.h"

#include <stdlib.h>
#include <unistd.h>

static bool
bind_one(struct binds *b, size_t at, const struct cfg_addr *addr,
    struct front *front, struct textbuf *why)
{
	int fds[CFG_WORKERS_MAX];
	char text[ADDRESS_TEXT_BYTES];
	struct textbuf shown = textbuf_make(text, sizeof(text) - 1);
	struct address a, bound;

	if (!address_resolve(&a, addr, why) ||
	    !listener_bind(&a, fds, b->workers, &bound, why))
		return false;
	b->n_bound++;
	for (uint32_t i = 0; i < b->workers; i++)
		binds_of(b, i)[at] =
		    (struct worker_bind){.fd = fds[i], .front = front};
	address_put(&shown, &bound);
	text[shown.len] = '\0';
	log_message(b->log, LOG_LEVEL_INFO, "listening on %s", text);
	return true;
}

bool
binds_open(struct binds *b, const struct snapshot *s, uint32_t workers,
    struct log_ring *log, struct textbuf *why)
{
	size_t at = 0;

	*b = (struct binds){.workers = workers, .log = log};
	for (size_t l = 0; l < s->n_listeners; l++)
		b->n += s->listeners[l].cfg->n_binds;
	b->list = calloc(b->n * workers, sizeof(*b->list));
	if (b->list == NULL) {
		textbuf_lit(why, "out of memory");
		return false;
	}
	for (size_t i = 0; i < b->n * workers; i++)
		b->list[i].fd = -1;
	for (size_t l = 0; l < s->n_listeners; l++) {
		const struct snapshot_listener *sl = &s->listeners[l];

		for (size_t i = 0; i < sl->cfg->n_binds; i++, at++) {
			if (!bind_one(
				b, at, &sl->cfg->binds[i], sl->front, why))
				return false;
		}
	}
	return true;
}

void
binds_taken(struct binds *b, uint32_t worker)
{
	for (size_t i = 0; i < b->n; i++)
		binds_of(b, worker)[i].fd = -1;
}

void
binds_unlink(const struct binds *b, const struct cfg *cfg)
{
	size_t left = b->n_bound;

	/* In the order they were bound: the others are somebody else's. */
	for (size_t l = 0; l < cfg->n_listeners; l++)
		for (size_t i = 0; i < cfg->listeners[l].n_binds && left > 0;
		     i++, left--) {
			const struct cfg_addr *a = &cfg->listeners[l].binds[i];

			if (a->kind == CFG_ADDR_UNIX)
				unlink(a->host);
		}
}

void
binds_close(struct binds *b)
{
	for (size_t i = 0; b->list != NULL && i < b->n * b->workers; i++)
		if (b->list[i].fd >= 0)
			close(b->list[i].fd);
	free(b->list);
	b->list = NULL;
}
