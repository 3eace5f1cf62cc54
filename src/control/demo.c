#include "evenkeel/control/demo.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "evenkeel/net/listener.h"

struct demo_backend {
	struct demo_backend *next;
	struct httpd *httpd;
	char *name;
};

struct demo {
	struct loop *loop;
	struct log_ring *log;
	struct demo_backend *first;
};

static void
demo_on_request(
    const struct httpd_request *r, struct httpd_answer *a, void *arg)
{
	const struct demo_backend *b = arg;

	textbuf_lit(a->body, "Hello from demo backend ");
	textbuf_str(a->body, b->name);
	textbuf_lit(a->body, ".\nYou asked for ");
	textbuf_put(a->body, r->target);
	textbuf_lit(a->body, "\n");
}

static const struct httpd_ops demo_ops = {.on_request = demo_on_request};

static void
free_one(struct demo_backend *b)
{
	if (b == NULL)
		return;
	httpd_free(b->httpd);
	free(b->name);
	free(b);
}

/* On a listening socket, which is taken over. */
static struct demo_backend *
make_one(struct demo *d, int fd, const struct backend *b)
{
	struct demo_backend *to = calloc(1, sizeof(*to));

	if (to == NULL) {
		close(fd);
		return NULL;
	}
	to->httpd = httpd_create(d->loop, fd, &demo_ops, to);
	if (to->httpd != NULL)
		to->name = strdup(b->name);
	if (to->name != NULL)
		return to;
	free_one(to);
	return NULL;
}

static void
start_one(struct demo *d, const struct backend *b)
{
	struct demo_backend *to;
	char text[256];
	struct textbuf why = textbuf_make(text, sizeof(text));
	struct address bound;
	int fd;

	/* Certificates are nothing that could be guessed; and an address that
	 * has a demo backend is not free, either. */
	if (b->server_name != NULL || !address_on_loopback(&b->address) ||
	    !listener_bind(&b->address, &fd, 1, &bound, &why))
		return;
	to = make_one(d, fd, b);
	if (to == NULL)
		return;
	to->next = d->first;
	d->first = to;
	log_message(d->log, LOG_LEVEL_INFO, "demo backend on %s", b->name);
}

struct demo *
demo_create(struct loop *l, struct log_ring *log)
{
	struct demo *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->loop = l;
	d->log = log;
	return d;
}

void
demo_serve(struct demo *d, const struct snapshot *s)
{
	for (size_t i = 0; d != NULL && i < s->n_pools; i++)
		for (size_t k = 0; k < s->pools[i].n_backends; k++)
			start_one(d, s->pools[i].backends[k]);
}

void
demo_free(struct demo *d)
{
	if (d == NULL)
		return;
	while (d->first != NULL) {
		struct demo_backend *b = d->first;

		d->first = b->next;
		free_one(b);
	}
	free(d);
}
