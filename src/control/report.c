#include "evenkeel/control/report.h"

static void
put_ms(struct textbuf *out, uint32_t ms)
{
	textbuf_u64(out, ms / 1000);
	if (ms % 1000 != 0) {
		textbuf_byte(out, '.');
		textbuf_u64_padded(out, ms % 1000, 3);
	}
	textbuf_lit(out, " s");
}

static void
put_listener(struct textbuf *out, const struct cfg_listener *l)
{
	textbuf_lit(out, "listener ");
	textbuf_str(out, l->name);
	textbuf_lit(out, ":");
	for (size_t i = 0; i < l->n_binds; i++) {
		textbuf_byte(out, ' ');
		textbuf_str(out, l->binds[i].text);
	}
	if (l->pool != NULL) {
		textbuf_lit(out, " -> pool ");
		textbuf_str(out, l->pool->name);
	}
	textbuf_byte(out, '\n');
}

static void
put_pool(struct textbuf *out, const struct cfg_pool *p)
{
	textbuf_lit(out, "pool ");
	textbuf_str(out, p->name);
	textbuf_lit(out, ": ");
	textbuf_u64(out, p->n_backends);
	textbuf_str(out, p->n_backends == 1 ? " backend" : " backends");
	textbuf_lit(out, "; a client waits at most ");
	put_ms(out, p->request_timeout_ms);
	textbuf_lit(out, " for a response head; 1 attempt per request\n");
}

void
report_put(struct textbuf *out, const char *file, const struct cfg *cfg)
{
	textbuf_str(out, file);
	textbuf_lit(out, ": valid\n");
	for (size_t i = 0; i < cfg->n_listeners; i++)
		put_listener(out, &cfg->listeners[i]);
	for (size_t i = 0; i < cfg->n_pools; i++)
		put_pool(out, &cfg->pools[i]);
}
