#include "evenkeel/http/forwarded.h"

#include "evenkeel/base/num.h"
#include "evenkeel/http/octets.h"

/* The part of the name that X-Forwarded-For, -Proto and -Host share. */
#define X_PREFIX_BYTES 12

static bool
is_of(const struct h1_field *field, enum h1_field_id id)
{
	return field->id == id && !field->underscore;
}

/* Of an H1_FIELD_X_FORWARDED: "For", "Proto", ... */
static struct span
x_name(const struct h1_field *field, const char *base)
{
	struct span name = h1_span(field->name, base);

	return span_make(name.ptr + X_PREFIX_BYTES, name.len - X_PREFIX_BYTES);
}

static bool
is_x_for(const struct h1_field *field, const char *base)
{
	return is_of(field, H1_FIELD_X_FORWARDED) &&
	    span_equal_nocase(x_name(field, base), SPAN("For"));
}

/* ---- nodes ---- */

/* RFC 7239 6: a node-port is 1*5DIGIT here; a hidden one makes no address. */
static bool
is_port_or_none(struct span s)
{
	uint64_t port;

	return s.len == 0 ||
	    (s.ptr[0] == ':' && s.len <= 6 &&
		num_parse_u64(
		    span_make(s.ptr + 1, s.len - 1), UINT16_MAX, &port));
}

/* RFC 7239 6: IPv4 or [IPv6], perhaps with a port. */
static bool
parse_node(struct span s, struct ip *ip)
{
	bool brackets = s.len > 0 && s.ptr[0] == '[';
	size_t end = span_find(s, brackets ? ']' : ':');
	size_t behind = brackets ? end + 1 : end;

	if (brackets && end == s.len)
		return false;
	return is_port_or_none(span_make(s.ptr + behind, s.len - behind)) &&
	    ip_parse(span_make(s.ptr + brackets, end - brackets), ip) &&
	    ip->family == (brackets ? IP_V6 : IP_V4);
}

/* ---- Forwarded: syntax ---- */

/* RFC 9110 5.6.4, without its quotes: the length of what is between them in
 * `s`, which begins behind the first; s.len: there is no second. */
static size_t
quoted_len(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '"')
			return i;
		if (s.ptr[i] == '\\')
			i++;
	}
	return s.len;
}

/* token or quoted-string; moves *s behind it. */
static bool
take_value(struct span *s, struct span *value)
{
	bool quoted = s->len > 0 && s->ptr[0] == '"';
	size_t n;

	if (quoted) {
		*s = span_make(s->ptr + 1, s->len - 1);
		n = quoted_len(*s);
		if (n == s->len)
			return false;
	} else {
		n = (size_t)(octets_skip_token(s->ptr, s->ptr + s->len) -
		    s->ptr);
		if (n == 0)
			return false;
	}
	*value = span_make(s->ptr, n);
	*s = span_make(s->ptr + n + quoted, s->len - n - quoted);
	return true;
}

static void
skip_blanks(struct span *s)
{
	while (s->len > 0 && octets_is_blank(s->ptr[0]))
		*s = span_make(s->ptr + 1, s->len - 1);
}

/* RFC 7239 4: forwarded-pair.  *node is set if it is "for", which may come
 * once. */
static bool
take_pair(struct span *s, struct span *node)
{
	size_t n =
	    (size_t)(octets_skip_token(s->ptr, s->ptr + s->len) - s->ptr);
	struct span name = span_make(s->ptr, n), value;

	if (n == 0 || n == s->len || s->ptr[n] != '=')
		return false;
	*s = span_make(s->ptr + n + 1, s->len - n - 1);
	if (!take_value(s, &value))
		return false;
	if (!span_equal_nocase(name, SPAN("for")))
		return true;
	if (node->ptr != NULL)
		return false;
	*node = value;
	return true;
}

/*
 * Takes a forwarded-element and the comma behind it; *node is its "for", or
 * none.  White space around ';' is not in the grammar, but widely sent.
 * False: malformed.
 */
static bool
take_element(struct span *s, struct span *node)
{
	*node = SPAN_NONE;
	for (;;) {
		skip_blanks(s);
		if (s->len > 0 && s->ptr[0] != ';' && s->ptr[0] != ',' &&
		    !take_pair(s, node))
			return false;
		skip_blanks(s);
		if (s->len == 0)
			return true;
		if (s->ptr[0] != ';' && s->ptr[0] != ',')
			return false;
		*s = span_make(s->ptr + 1, s->len - 1);
		if (s->ptr[-1] == ',')
			return true;
	}
}

/* The nodes that were seen last, at [i % FORWARDED_HOPS_MAX]. */
struct hops {
	struct span node[FORWARDED_HOPS_MAX];
	size_t n;
};

/* Adds the nodes of one field; an element without "for" has an empty one,
 * which is no address.  False: malformed. */
static bool
add_nodes(struct hops *hops, struct span value)
{
	struct span node, before;

	while (value.len > 0) {
		before = value;
		if (!take_element(&value, &node))
			return false;
		/* RFC 9110 5.6.1.2: empty elements do not count. */
		before.len -= value.len;
		before = span_trim(before);
		if (before.len > 0 && before.ptr[0] != ',')
			hops->node[hops->n++ % FORWARDED_HOPS_MAX] = node;
	}
	return true;
}

/* Reads all Forwarded fields into `hops`; returns the index of the first that
 * has no malformed one at or behind it. */
static uint32_t
read_forwarded(const struct h1_head *h, const char *base, struct hops *hops)
{
	uint32_t first = 0;

	hops->n = 0;
	for (uint32_t i = 0; i < h->n_fields; i++) {
		const struct h1_field *field = &h->fields[i];

		if (!is_of(field, H1_FIELD_FORWARDED) ||
		    add_nodes(hops, h1_span(field->value, base)))
			continue;
		hops->n = 0;
		first = i + 1;
	}
	return first;
}

/* ---- the client behind proxies ---- */

/* Takes one step back.  False: *client is final. */
static bool
step_back(
    struct ip *client, const struct ip *ip, const struct forwarded_walk *w)
{
	*client = ip_unmap(*ip);
	return cidr_contains(w->trusted, w->n_trusted, client);
}

/* The last element of a list, which it loses; false when none is left. */
static bool
take_last(struct span *list, struct span *element)
{
	size_t comma;

	if (list->len == 0)
		return false;
	comma = span_find_last(*list, ',');
	if (comma == list->len) {
		*element = span_trim(*list);
		list->len = 0;
	} else {
		*element = span_trim(
		    span_make(list->ptr + comma + 1, list->len - comma - 1));
		list->len = comma;
	}
	return true;
}

/* Walks one X-Forwarded-For back, which has bare IPv6 addresses, too; false:
 * the walk is over.  *left counts the elements, empty ones included. */
static bool
walk_x_for(struct span list, unsigned *left, struct ip *client,
    const struct forwarded_walk *w)
{
	struct span element;
	struct ip ip;

	while (take_last(&list, &element)) {
		if ((*left)-- == 0)
			return false;
		if (element.len > 0 &&
		    ((!ip_parse(element, &ip) && !parse_node(element, &ip)) ||
			!step_back(client, &ip, w)))
			return false;
	}
	return true;
}

static bool
walk_x(const struct h1_head *h, const char *base,
    const struct forwarded_walk *w, struct ip *client)
{
	unsigned left = FORWARDED_HOPS_MAX;
	bool found = false;

	for (uint32_t i = h->n_fields; i > 0; i--) {
		const struct h1_field *field = &h->fields[i - 1];

		if (!is_x_for(field, base))
			continue;
		found = true;
		if (!walk_x_for(h1_span(field->value, base), &left, client, w))
			break;
	}
	return found;
}

static void
walk_forwarded(const struct h1_head *h, const char *base,
    const struct forwarded_walk *w, struct ip *client)
{
	struct hops hops;
	struct ip ip;
	size_t oldest;

	(void)read_forwarded(h, base, &hops);
	oldest = hops.n > FORWARDED_HOPS_MAX ? hops.n - FORWARDED_HOPS_MAX : 0;
	for (size_t i = hops.n; i > oldest; i--)
		if (!parse_node(hops.node[(i - 1) % FORWARDED_HOPS_MAX], &ip) ||
		    !step_back(client, &ip, w))
			return;
}

struct ip
forwarded_client(
    const struct h1_head *h, const char *base, const struct forwarded_walk *w)
{
	struct ip client = ip_unmap(w->peer);
	bool found =
	    w->mode != FORWARDED_RFC7239 && walk_x(h, base, w, &client);

	if (!found && (w->mode & FORWARDED_RFC7239) != 0)
		walk_forwarded(h, base, w, &client);
	return client;
}

struct span
forwarded_request_id(const struct h1_head *h, const char *base)
{
	const struct h1_field *found = NULL;
	struct span id;

	for (uint32_t i = 0; i < h->n_fields; i++) {
		if (!is_of(&h->fields[i], H1_FIELD_X_REQUEST_ID))
			continue;
		if (found != NULL)
			return SPAN_NONE;
		found = &h->fields[i];
	}
	if (found == NULL)
		return SPAN_NONE;
	id = h1_span(found->value, base);
	return id.len <= FORWARDED_ID_BYTES && h1_is_token(id) ? id : SPAN_NONE;
}

/* ---- what goes out ---- */

/* Puts `name` before the first of the values of one line, ", " before every
 * other. */
static void
put_element(
    struct textbuf *out, bool *begun, struct span name, struct span value)
{
	if (value.len == 0)
		return;
	textbuf_put(out, *begun ? SPAN(", ") : name);
	textbuf_put(out, value);
	*begun = true;
}

static void
put_x_proto(struct textbuf *out, bool https)
{
	if (https)
		textbuf_lit(out, "X-Forwarded-Proto: https\r\n");
	else
		textbuf_lit(out, "X-Forwarded-Proto: http\r\n");
}

static void
put_x_host(struct textbuf *out, struct span host)
{
	if (host.len == 0)
		return;
	textbuf_lit(out, "X-Forwarded-Host: ");
	textbuf_put(out, host);
	textbuf_lit(out, "\r\n");
}

static void
put_x_new(struct textbuf *out, const struct forwarded *f, struct span host)
{
	if (f->client_ip.len > 0) {
		textbuf_lit(out, "X-Forwarded-For: ");
		textbuf_put(out, f->client_ip);
		textbuf_lit(out, "\r\n");
	}
	put_x_proto(out, f->https);
	put_x_host(out, host);
}

#define X_FOR   "X-Forwarded-For: "
#define X_HTTP  "\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: "
#define X_HTTPS "\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: "

/* The same on the way of nearly every request: both are known. */
static inline void
put_x_usual(struct textbuf *out, const struct forwarded *f, struct span host)
{
	const size_t fixed = SPAN(X_FOR X_HTTP "\r\n").len;
	char *p =
	    textbuf_claim(out, fixed + f->https + f->client_ip.len + host.len);

	if (p == NULL)
		return;
	p = textbuf_part(p, SPAN(X_FOR));
	p = textbuf_part(p, f->client_ip);
	if (f->https)
		p = textbuf_part(p, SPAN(X_HTTPS));
	else
		p = textbuf_part(p, SPAN(X_HTTP));
	p = textbuf_part(p, host);
	(void)textbuf_part(p, SPAN("\r\n"));
}

static void
put_x_for(struct textbuf *out, const struct forwarded *f,
    const struct h1_head *h, const char *base)
{
	const struct span name = SPAN("X-Forwarded-For: ");
	bool begun = false;

	for (uint32_t i = 0; i < h->n_fields; i++)
		if (is_x_for(&h->fields[i], base))
			put_element(out, &begun, name,
			    h1_span(h->fields[i].value, base));
	put_element(out, &begun, name, f->client_ip);
	if (begun)
		textbuf_lit(out, "\r\n");
}

/* Whether a field other than X-Forwarded-For says something. */
static bool
is_x_kept(const struct h1_field *field, const char *base)
{
	return is_of(field, H1_FIELD_X_FORWARDED) && field->value.len > 0 &&
	    !is_x_for(field, base);
}

/* With a space only where there was one: no line gets longer. */
static void
put_kept(struct textbuf *out, const struct h1_field *field, const char *base)
{
	bool space = field->value.off > field->name.off + field->name.len + 1;

	textbuf_put(out, h1_span(field->name, base));
	textbuf_put(out, space ? SPAN(": ") : SPAN(":"));
	textbuf_put(out, h1_span(field->value, base));
	textbuf_lit(out, "\r\n");
}

static void
put_x_extended(struct textbuf *out, const struct forwarded *f,
    const struct h1_head *h, const char *base, struct span host)
{
	bool has_proto = false, has_host = false;

	put_x_for(out, f, h, base);
	for (uint32_t i = 0; i < h->n_fields; i++) {
		const struct h1_field *field = &h->fields[i];
		struct span name;

		if (!is_x_kept(field, base))
			continue;
		name = x_name(field, base);
		has_proto |= span_equal_nocase(name, SPAN("Proto"));
		has_host |= span_equal_nocase(name, SPAN("Host"));
		put_kept(out, field, base);
	}
	if (!has_proto)
		put_x_proto(out, f->https);
	if (!has_host)
		put_x_host(out, host);
}

/* RFC 7239 4: what is no token is quoted.  An authority holds neither quotes
 * nor backslashes; what does is left out. */
static void
put_forwarded_host(struct textbuf *out, struct span host)
{
	bool token = h1_is_token(host);

	if (host.len == 0 || span_find(host, '"') < host.len ||
	    span_find(host, '\\') < host.len)
		return;
	textbuf_str(out, token ? ";host=" : ";host=\"");
	textbuf_put(out, host);
	textbuf_str(out, token ? "" : "\"");
}

/* RFC 7239 6: IPv6 in brackets and quotes; 6.2: unknown. */
static void
put_hop(struct textbuf *out, const struct forwarded *f, struct span host)
{
	bool v6 = span_find(f->client_ip, ':') < f->client_ip.len;

	textbuf_str(out, v6 ? "for=\"[" : "for=");
	textbuf_put(out, f->client_ip.len > 0 ? f->client_ip : SPAN("unknown"));
	textbuf_str(out, v6 ? "]\"" : "");
	textbuf_str(out, f->https ? ";proto=https" : ";proto=http");
	put_forwarded_host(out, host);
}

static void
put_forwarded(struct textbuf *out, const struct forwarded *f,
    const struct h1_head *h, const char *base, struct span host)
{
	const struct span name = SPAN("Forwarded: ");
	uint32_t i = h->n_fields;
	struct hops hops;
	bool begun = false;

	if (f->trusted)
		i = read_forwarded(h, base, &hops);
	for (; i < h->n_fields; i++)
		if (is_of(&h->fields[i], H1_FIELD_FORWARDED))
			put_element(out, &begun, name,
			    h1_span(h->fields[i].value, base));
	textbuf_put(out, begun ? SPAN(", ") : name);
	put_hop(out, f, host);
	textbuf_lit(out, "\r\n");
}

/* RFC 9110 5.5: it was made of what somebody else signed, so that it is looked
 * at once more before it becomes a line of ours. */
static void
put_subject(struct textbuf *out, struct span subject)
{
	const char *end;

	if (subject.len == 0)
		return;
	end = subject.ptr + subject.len;
	if (octets_skip_text(subject.ptr, end) != end)
		return;
	textbuf_lit(out, "X-Client-Cert-Subject: ");
	textbuf_put(out, subject);
	textbuf_lit(out, "\r\n");
}

/* All but the usual case, which shall not pay for them. */
static void __attribute__((noinline))
put_unusual(struct textbuf *out, const struct forwarded *f,
    const struct h1_head *h, const char *base, struct span host)
{
	if ((f->mode & FORWARDED_X) != 0) {
		if (f->trusted)
			put_x_extended(out, f, h, base, host);
		else
			put_x_new(out, f, host);
	}
	if ((f->mode & FORWARDED_RFC7239) != 0)
		put_forwarded(out, f, h, base, host);
	put_subject(out, f->subject);
}

void
forwarded_put(struct textbuf *out, const struct forwarded *f,
    const struct h1_head *h, const char *base, struct span host)
{
	if (f->mode == FORWARDED_X && !f->trusted && f->subject.len == 0 &&
	    f->client_ip.len > 0 && host.len > 0)
		put_x_usual(out, f, host);
	else
		put_unusual(out, f, h, base, host);
}
