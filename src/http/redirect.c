#include "evenkeel/http/redirect.h"

unsigned
redirect_status(enum h1_method method)
{
	return method == H1_METHOD_GET || method == H1_METHOD_HEAD ? 301 : 308;
}

/* Without the port; a colon inside [v6] is not that of the port. */
static struct span
without_port(struct span host)
{
	size_t from =
	    host.len > 0 && host.ptr[0] == '[' ? span_find(host, ']') : 0;

	return span_make(host.ptr,
	    from + span_find(span_make(host.ptr + from, host.len - from), ':'));
}

struct redirect
redirect_make(const struct h1_head *h, const char *base,
    const struct h1_framing *f, uint16_t port)
{
	struct redirect r = {.host = without_port(h1_span(f->host, base)),
	    .path = h1_span(f->path, base),
	    .port = port};

	if (f->form == H1_ASTERISK_FORM)
		r.path = SPAN_NONE;
	/* RFC 9112 3.2.4: OPTIONS without a path means "*". */
	else if (r.path.len == 0)
		r.root = h->method != H1_METHOD_OPTIONS;
	else
		r.root = r.path.ptr[0] != '/';
	return r;
}

void
redirect_put(struct textbuf *out, const struct redirect *r)
{
	textbuf_lit(out, "https://");
	textbuf_put(out, r->host);
	if (r->port != REDIRECT_PORT) {
		textbuf_byte(out, ':');
		textbuf_u64(out, r->port);
	}
	if (r->root)
		textbuf_byte(out, '/');
	textbuf_put(out, r->path);
}
