#include "evenkeel/control/demo.h"

#include <stdlib.h>

#include "evenkeel/net/listener.h"

struct demo_backend {
	struct httpd *httpd;
	struct span name;
};

struct demo {
	size_t n;
	struct demo_backend backends[];
};

static void
demo_on_request(
    const struct httpd_request *r, struct httpd_answer *a, void *arg)
{
	const struct demo_backend *b = arg;

	textbuf_lit(a->body, "Hello from demo backend ");
	textbuf_put(a->body, b->name);
	textbuf_lit(a->body, ".\nYou asked for ");
	textbuf_put(a->body, r->target);
	textbuf_lit(a->body, "\n");
}

static const struct httpd_ops demo_ops = {.on_request = demo_on_request};

static void
start_one(struct demo *d, struct loop *l, const struct backend *b,
    struct log_ring *log)
{
	struct demo_backend *to = &d->backends[d->n];
	char text[256];
	struct textbuf why = textbuf_make(text, sizeof(text));
	struct address bound;
	int fd;

	if (!address_on_loopback(&b->address) ||
	    !listener_bind(&b->address, &fd, 1, &bound, &why))
		return;
	to->name = b->name_span;
	to->httpd = httpd_create(l, fd, &demo_ops, to);
	if (to->httpd == NULL)
		return;
	d->n++;
	log_message(log, LOG_LEVEL_INFO, "demo backend on %s", b->name);
}

struct demo *
demo_start(struct loop *l, const struct snapshot *s, struct log_ring *log)
{
	struct demo *d;
	size_t most = 0;

	for (size_t i = 0; i < s->n_pools; i++)
		most += s->pools[i].n_backends;
	d = calloc(1, sizeof(*d) + most * sizeof(d->backends[0]));
	if (d == NULL)
		return NULL;
	for (size_t i = 0; i < s->n_pools; i++)
		for (size_t k = 0; k < s->pools[i].n_backends; k++)
			start_one(d, l, s->pools[i].backends[k], log);
	return d;
}

void
demo_stop(struct demo *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->n; i++)
		httpd_free(d->backends[i].httpd);
	free(d);
}
