#include "evenkeel/control/admin.h"

#include <stdlib.h>

#include "evenkeel/control/sockets.h"

#define LABEL SPAN("[admin]")

void
admin_init(
    struct admin *a, struct loop *l, struct inherit *in, struct log_ring *log)
{
	*a = (struct admin){.loop = l, .log = log, .inherit = in};
}

void
admin_serve(struct admin *a, const struct httpd_ops *ops, void *arg)
{
	a->ops = ops;
	a->arg = arg;
}

static bool
open_next(struct admin *next, struct textbuf *why)
{
	const struct sockets_want want = {.inherit = next->inherit,
	    .asked = next->asked,
	    .label = LABEL,
	    .workers = 1};
	struct sockets k;

	if (!sockets_open(&k, &want, why))
		return false;
	next->fd = k.fds[0];
	next->kind = k.kind;
	next->bound = k.bound;
	free(k.fds);
	next->httpd = httpd_create(next->loop, next->fd, next->ops, next->arg);
	if (next->httpd == NULL)
		textbuf_lit(why, "out of memory");
	return next->httpd != NULL;
}

bool
admin_prepare(struct admin *next, const struct admin *now,
    const struct cfg_admin *cfg, struct textbuf *why)
{
	*next = *now;
	next->httpd = NULL;
	if (!cfg->present)
		return true;
	if (!address_resolve(&next->asked, &cfg->listen, why))
		return false;
	if (now->httpd != NULL && address_equal(&next->asked, &now->asked)) {
		next->httpd = now->httpd;
		return true;
	}
	return open_next(next, why);
}

void
admin_rollback(struct admin *next, const struct admin *now)
{
	if (next->httpd != now->httpd)
		httpd_free(next->httpd);
	next->httpd = NULL;
}

void
admin_commit(struct admin *now, struct admin *next)
{
	char text[ADDRESS_TEXT_BYTES];
	struct textbuf shown = textbuf_make(text, sizeof(text) - 1);

	if (next->httpd == now->httpd)
		return;
	httpd_free(now->httpd);
	*now = *next;
	if (now->httpd == NULL)
		return;
	address_put(&shown, &now->bound);
	text[shown.len] = '\0';
	log_message(now->log, LOG_LEVEL_INFO, "admin on %s", text);
}

size_t
admin_hand_over(const struct admin *a, struct inherit_socket *to)
{
	if (a->httpd == NULL)
		return 0;
	*to = (struct inherit_socket){
	    .fd = a->fd, .kind = a->kind, .label = LABEL};
	return 1;
}

void
admin_retire(struct admin *a)
{
	httpd_retire(a->httpd);
}

void
admin_close(struct admin *a)
{
	httpd_free(a->httpd);
	a->httpd = NULL;
}
