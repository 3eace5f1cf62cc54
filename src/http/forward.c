#include "evenkeel/http/forward.h"

#include "evenkeel/base/num.h"

#define BIT(id) (1U << (id))

/* RFC 9110 7.6.1, and those that were never registered but behave so. */
#define HOP_BY_HOP                                                    \
	(BIT(H1_FIELD_CONNECTION) | BIT(H1_FIELD_KEEP_ALIVE) |        \
	    BIT(H1_FIELD_PROXY_CONNECTION) | BIT(H1_FIELD_TE) |       \
	    BIT(H1_FIELD_TRANSFER_ENCODING) | BIT(H1_FIELD_UPGRADE) | \
	    BIT(H1_FIELD_HTTP2_SETTINGS))

/* Written anew, or by evenkeel alone.  Request trailers are dropped, and so
 * is their announcement. */
#define REQUEST_DROPS                                                     \
	(HOP_BY_HOP | BIT(H1_FIELD_HOST) | BIT(H1_FIELD_CONTENT_LENGTH) | \
	    BIT(H1_FIELD_TRAILER) | BIT(H1_FIELD_EXPECT) |                \
	    BIT(H1_FIELD_X_FORWARDED) | BIT(H1_FIELD_FORWARDED) |         \
	    BIT(H1_FIELD_X_REQUEST_ID) | BIT(H1_FIELD_X_CLIENT_CERT_SUBJECT))

#define RESPONSE_DROPS (HOP_BY_HOP | BIT(H1_FIELD_CONTENT_LENGTH))

/* How the fields of one head are copied. */
struct copy {
	const struct h1_head *h;
	const char *base;
	uint32_t drops;       /* BIT(id) of those that do not pass */
	uint32_t under_drops; /* the same for names spelled with '_' */
	bool nominates;       /* Connection may name others */
	uint32_t run;         /* start of bytes that wait for being copied */
};

/* Where the line behind that of `f` begins. */
static inline uint32_t
line_end(const struct h1_head *h, const struct h1_field *f)
{
	return f + 1 < h->fields + h->n_fields ? f[1].name.off : h->len - 2;
}

/* The line can go as it is: at most one space before the value, none behind. */
static inline bool
is_tidy(const struct h1_field *f, uint32_t end)
{
	return f->value.off - (f->name.off + f->name.len) <= 2 &&
	    f->value.off + f->value.len + 2 == end;
}

/* RFC 9110 7.6.1: Connection names this field too. */
static bool
is_nominated(const struct copy *c, const struct h1_field *f)
{
	struct span name = h1_span(f->name, c->base), rest, option;

	/* Loops are seen by Via: nobody takes it off. */
	if (f->id == H1_FIELD_VIA)
		return false;
	for (uint32_t i = 0; i < c->h->n_fields; i++) {
		const struct h1_field *by = &c->h->fields[i];

		if (by->id != H1_FIELD_CONNECTION || by->underscore)
			continue;
		rest = h1_span(by->value, c->base);
		while (span_next_element(&rest, &option))
			if (span_equal_nocase(option, name))
				return true;
	}
	return false;
}

static void
put_tidy(struct textbuf *out, const struct h1_field *f, const char *base)
{
	textbuf_put(out, h1_span(f->name, base));
	textbuf_lit(out, ": ");
	textbuf_put(out, h1_span(f->value, base));
	textbuf_lit(out, "\r\n");
}

static void
flush_run(struct textbuf *out, const struct copy *c, uint32_t end)
{
	if (end > c->run)
		textbuf_put(out, span_make(c->base + c->run, end - c->run));
}

static bool
is_dropped(const struct copy *c, const struct h1_field *f)
{
	uint32_t drops = f->underscore ? c->under_drops : c->drops;

	return (drops >> f->id & 1) != 0 ||
	    (c->nominates && is_nominated(c, f));
}

/* Copies the fields from `f` on, and what waits before them.  Lines that stay
 * lie side by side in the source, so they go in runs. */
static void
copy_fields(struct textbuf *out, struct copy *c, const struct h1_field *f)
{
	const struct h1_field *last = c->h->fields + c->h->n_fields;
	/* What is in neither set and named by nobody needs no second look. */
	uint32_t drops = c->nominates ? UINT32_MAX : c->drops | c->under_drops;

	for (; f < last; f++) {
		uint32_t end = line_end(c->h, f);
		bool drop = (drops >> f->id & 1) != 0 && is_dropped(c, f);

		if (!drop && is_tidy(f, end))
			continue;
		flush_run(out, c, f->name.off);
		if (!drop)
			put_tidy(out, f, c->base);
		c->run = end;
	}
	flush_run(out, c, c->h->len - 2);
}

/* RFC 9112 2.3, 3.2.1: the request line and Host that came are those that
 * would be written, and can go as they are. */
static bool
starts_well(
    const struct h1_head *h, const char *base, const struct h1_framing *f)
{
	const struct h1_field *host = h->fields;

	return f->form == H1_ORIGIN_FORM && h->n_fields > 0 &&
	    host->id == H1_FIELD_HOST && !host->underscore &&
	    is_tidy(host, line_end(h, host)) && base[host->name.off - 3] == '1';
}

/* RFC 9112 3.2.1, 3.2.4: an absolute-form without a path means "/", or "*"
 * with OPTIONS. */
static void
put_path(struct textbuf *out, const struct h1_head *h, struct span path)
{
	if (path.len == 0 && h->method == H1_METHOD_OPTIONS)
		textbuf_lit(out, "*");
	else if (path.len == 0 || path.ptr[0] == '?')
		textbuf_lit(out, "/");
	textbuf_put(out, path);
}

static void
put_request_line(struct textbuf *out, const struct h1_head *h, const char *base,
    const struct h1_framing *f, const struct h1_forward_request *how)
{
	struct span host = h1_span(f->host, base);

	textbuf_put(out, h1_span(h->method_text, base));
	textbuf_lit(out, " ");
	put_path(out, h, h1_span(f->path, base));
	textbuf_lit(out, " HTTP/1.1\r\nHost: ");
	if (how->host.len > 0)
		host = how->host;
	textbuf_put(out, host.len > 0 ? host : how->default_host);
	textbuf_lit(out, "\r\n");
}

/* A line whose name, colon and space are a literal. */
static inline void
put_line(struct textbuf *out, struct span name, struct span value)
{
	char *p = textbuf_claim(out, name.len + value.len + 2);

	if (p == NULL)
		return;
	p = textbuf_part(textbuf_part(p, name), value);
	(void)textbuf_part(p, SPAN("\r\n"));
}

static void
put_length(struct textbuf *out, uint64_t length)
{
	char digits[NUM_U64_DIGITS];

	put_line(out, SPAN("Content-Length: "),
	    span_make(digits, num_put_u64(digits, length)));
}

static void
put_request_id(struct textbuf *out, struct span id)
{
	if (id.len > 0)
		put_line(out, SPAN("X-Request-Id: "), id);
}

/* RFC 9110 7.8: Upgrade goes hop by hop, so that it is written anew.  h2c is
 * never asked for: nobody here would speak it. */
static void
put_upgrade(struct textbuf *out, const struct h1_head *h, const char *base)
{
	bool first = true;

	for (uint32_t i = 0; i < h->n_fields; i++) {
		struct span rest = h1_span(h->fields[i].value, base), protocol;

		if (h->fields[i].id != H1_FIELD_UPGRADE ||
		    h->fields[i].underscore)
			continue;
		while (span_next_element(&rest, &protocol)) {
			if (protocol.len == 0 ||
			    span_equal_nocase(protocol, SPAN("h2c")))
				continue;
			textbuf_str(out,
			    first ? "Connection: Upgrade\r\nUpgrade: " : ", ");
			textbuf_put(out, protocol);
			first = false;
		}
	}
	if (!first)
		textbuf_lit(out, "\r\n");
}

void
h1_forward_request(struct textbuf *out, const struct h1_head *h,
    const char *base, const struct h1_framing *f,
    const struct h1_forward_request *how)
{
	struct copy c = {.h = h,
	    .base = base,
	    .drops = REQUEST_DROPS,
	    .under_drops = REQUEST_DROPS | BIT(H1_FIELD_VIA),
	    .nominates = f->nominates};

	if (how->host.len == 0 && starts_well(h, base, f)) {
		c.run = h->start;
		copy_fields(out, &c, h->fields + 1);
	} else {
		put_request_line(out, h, base, f, how);
		c.run = h->n_fields > 0 ? h->fields[0].name.off : h->len - 2;
		copy_fields(out, &c, h->fields);
	}
	/* RFC 9110 7.6.3: appended, as a field of its own. */
	textbuf_lit(out, "Via: 1.1 evenkeel\r\n");
	forwarded_put(out, &how->forwarded, h, base, h1_span(f->host, base));
	put_request_id(out, how->request_id);
	if (how->expect_continue)
		textbuf_lit(out, "Expect: 100-continue\r\n");
	if (how->upgrade)
		put_upgrade(out, h, base);
	if (f->body == H1_BODY_CHUNKED)
		textbuf_lit(out, "Transfer-Encoding: chunked\r\n");
	else if (f->has_length)
		put_length(out, f->given_length);
	textbuf_lit(out, "\r\n");
}

/* RFC 9112 4: the status line as it came is the one that would be written. */
static bool
status_line_is_ours(const struct h1_head *h, const char *base)
{
	/* HTTP/1.1 SP 3DIGIT SP reason */
	return base[h->start + 7] == '1' && base[h->start + 12] == ' ';
}

static void
put_status_line(struct textbuf *out, const struct h1_head *h, const char *base)
{
	textbuf_lit(out, "HTTP/1.1 ");
	textbuf_u64(out, h->status);
	textbuf_lit(out, " ");
	textbuf_put(out, h1_span(h->reason, base));
	textbuf_lit(out, "\r\n");
}

/* RFC 9110 8.6, RFC 9112 6.1: neither length nor coding with 1xx and 204; no
 * coding where there is no body to be coded. */
static void
put_response_framing(struct textbuf *out, const struct h1_head *h,
    const struct h1_framing *f, bool chunked)
{
	if (h->status < 200 || h->status == 204)
		return;
	if (f->has_length)
		put_length(out, f->given_length);
	else if (chunked)
		textbuf_lit(out, "Transfer-Encoding: chunked\r\n");
}

void
h1_forward_response(struct textbuf *out, const struct h1_head *h,
    const char *base, const struct h1_framing *f,
    const struct h1_forward_response *how)
{
	bool chunked =
	    how->chunked && f->body != H1_BODY_NONE && !f->has_length;
	struct copy c = {.h = h,
	    .base = base,
	    .drops = RESPONSE_DROPS,
	    .nominates = f->nominates,
	    .run = h->start};

	if (!chunked)
		c.drops |= BIT(H1_FIELD_TRAILER);
	if (how->request_id.len > 0)
		c.drops |= BIT(H1_FIELD_X_REQUEST_ID);
	c.under_drops = c.drops | BIT(H1_FIELD_TRAILER);
	if (!status_line_is_ours(h, base)) {
		put_status_line(out, h, base);
		c.run = h->n_fields > 0 ? h->fields[0].name.off : h->len - 2;
	}
	copy_fields(out, &c, h->fields);
	put_response_framing(out, h, f, chunked);
	put_request_id(out, how->request_id);
	if (how->upgrade)
		put_upgrade(out, h, base);
	else if (how->connection == H1_CONNECTION_CLOSE)
		textbuf_lit(out, "Connection: close\r\n");
	else if (how->connection == H1_CONNECTION_KEEPALIVE)
		textbuf_lit(out, "Connection: keep-alive\r\n");
	textbuf_lit(out, "\r\n");
}

void
h1_forward_trailer(struct textbuf *out, struct span section)
{
	struct h1_field f;

	while (section.len > 0) {
		size_t n = span_find(section, '\n');
		struct span line;

		if (n == section.len || n == 0)
			return;
		line = span_make(section.ptr, n - 1);
		/* RFC 9110 6.5.1: the names that evenkeel knows frame, route,
		 * authenticate or control; none belongs behind a body. */
		if (h1_field_line(line, &f) == H1_OK &&
		    f.id == H1_FIELD_OTHER) {
			textbuf_put(out, line);
			textbuf_lit(out, "\r\n");
		}
		section = span_make(section.ptr + n + 1, section.len - n - 1);
	}
}
