/*
 * Forwarding: what goes out is read by our own strict parser as what came in,
 * with the fields that must be there and without those that must not; sent on
 * once more, it gains a Via and nothing else, unless the peer is trusted.
 */
#include "fuzz_input.h"

#include "evenkeel/http/forward.h"
#include "evenkeel/http/redirect.h"

#define RESPONSE    1U
#define HTTPS       2U
#define REQUEST_ID  4U
#define TRAILER     8U
#define HEAD        16U /* of responses */
#define SUBJECT     16U /* of requests */
#define CONTINUE    32U
#define TRUSTED     64U
#define RFC7239     128U
#define MAX_FIELDS  64
#define OUT_BYTES   (2 * FUZZ_TEXT_BYTES)
#define MORE_FIELDS 8

struct message {
	struct h1_head h;
	struct h1_field fields[MAX_FIELDS + MORE_FIELDS];
	struct h1_framing f;
	struct textbuf out;
	char bytes[OUT_BYTES];
};

static bool
parse(struct message *m, enum h1_kind kind, enum h1_method method,
    struct span text)
{
	static const struct h1_limits limits = {
	    .head_bytes = OUT_BYTES, .fields = MAX_FIELDS + MORE_FIELDS};

	memset(m->fields, 0, sizeof(m->fields));
	m->out = textbuf_make(m->bytes, sizeof(m->bytes));
	h1_head_init(&m->h, kind, &limits, m->fields);
	if (h1_head_parse(&m->h, text.ptr, text.len) != H1_DONE)
		return false;
	return (kind == H1_REQUEST ? h1_framing_request(&m->h, text.ptr, &m->f)
				   : h1_framing_response(&m->h, text.ptr,
					 method, &m->f)) == H1_OK;
}

static unsigned
count(const struct message *m, enum h1_field_id id)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < m->h.n_fields; i++)
		n += m->fields[i].id == id;
	return n;
}

/* Line ends are CRLF, and the head is the whole text. */
static void
check_text(const struct message *m, struct span text)
{
	CHECK(m->h.len == text.len && m->h.start == 0 && m->h.minor == 1);
	for (size_t i = 0; i < text.len; i++) {
		CHECK(text.ptr[i] != '\r' || text.ptr[i + 1] == '\n');
		CHECK(text.ptr[i] != '\n' || text.ptr[i - 1] == '\r');
	}
	CHECK(count(m, H1_FIELD_KEEP_ALIVE) == 0);
	CHECK(count(m, H1_FIELD_UPGRADE) == 0);
	CHECK(count(m, H1_FIELD_TE) == 0);
	CHECK(count(m, H1_FIELD_PROXY_CONNECTION) == 0);
	CHECK(count(m, H1_FIELD_CONTENT_LENGTH) == m->f.has_length);
}

static struct h1_forward_request
request_options(unsigned flags)
{
	return (struct h1_forward_request){
	    .forwarded = {.mode =
			      flags & RFC7239 ? FORWARDED_BOTH : FORWARDED_X,
		.trusted = (flags & TRUSTED) != 0,
		.https = (flags & HTTPS) != 0,
		.client_ip = SPAN("10.1.2.3"),
		.subject =
		    flags & SUBJECT ? SPAN("CN=a\\, b,O=\xc3\xa9") : SPAN_NONE},
	    .request_id = flags & REQUEST_ID ? SPAN("0123456789") : SPAN_NONE,
	    .expect_continue = (flags & CONTINUE) != 0,
	};
}

/* Whatever came, the next hop finds our peer as the last one. */
static void
check_next_hop(
    const struct message *b, const char *text, enum forwarded_mode mode)
{
	const struct cidr us = {.base = {IP_V4, {10, 9, 9, 9}}, .bits = 32};
	const struct ip peer = {IP_V4, {10, 1, 2, 3}};
	const struct forwarded_walk w = {mode, us.base, &us, 1};
	struct ip found = forwarded_client(&b->h, text, &w);

	CHECK(ip_equal(&found, &peer));
}

/* Ours or none, whatever came. */
static void
check_subject(const struct message *b, const char *text, struct span subject)
{
	const struct h1_field *f =
	    h1_head_find(&b->h, H1_FIELD_X_CLIENT_CERT_SUBJECT);

	CHECK(count(b, H1_FIELD_X_CLIENT_CERT_SUBJECT) == (subject.len > 0));
	CHECK(f == NULL || span_equal(h1_span(f->value, text), subject));
}

/* The address is https://, of what the parser let through, and no longer than
 * promised. */
static void
check_redirect(const struct message *a, const char *text)
{
	static char bytes[OUT_BYTES];
	struct textbuf out = textbuf_make(bytes, sizeof(bytes));
	struct redirect r = redirect_make(&a->h, text, &a->f, 8443);
	struct span authority = h1_span(a->f.host, text);

	redirect_put(&out, &r);
	CHECK(!out.full);
	CHECK(out.len <= r.host.len + r.path.len + REDIRECT_EXTRA_BYTES);
	CHECK(span_starts_with(textbuf_span(&out), SPAN("https://")));
	CHECK(span_starts_with(authority, r.host) && r.host.len > 0);
	CHECK(h1_is_authority(r.host));
	for (size_t i = 0; i < out.len; i++)
		CHECK(bytes[i] > ' ' && bytes[i] < 0x7f && bytes[i] != '#');
}

static void
check_request(const struct message *a, const char *text,
    const struct message *b, const struct h1_forward_request *how)
{
	struct span out = textbuf_span(&a->out);
	struct span path = h1_span(a->f.path, text);
	struct span target = h1_span(b->h.target, out.ptr);

	check_text(b, out);
	CHECK(span_equal(h1_span(a->h.method_text, text),
	    h1_span(b->h.method_text, out.ptr)));
	CHECK(
	    span_equal(h1_span(a->f.host, text), h1_span(b->f.host, out.ptr)));
	CHECK(b->f.form != H1_ABSOLUTE_FORM);
	CHECK(
	    target.len - path.len <= 1 && span_ends_with_nocase(target, path));
	CHECK(a->f.body == b->f.body && a->f.length == b->f.length);
	CHECK(b->f.keep_alive && !b->f.nominates);
	CHECK(count(b, H1_FIELD_CONNECTION) == 0);
	CHECK(count(b, H1_FIELD_FORWARDED) ==
	    (how->forwarded.mode == FORWARDED_BOTH));
	CHECK(count(b, H1_FIELD_X_FORWARDED) == 3 || how->forwarded.trusted);
	CHECK(count(b, H1_FIELD_X_FORWARDED) >= 3);
	check_next_hop(b, out.ptr, FORWARDED_X);
	if (how->forwarded.mode == FORWARDED_BOTH)
		check_next_hop(b, out.ptr, FORWARDED_RFC7239);
	check_subject(b, out.ptr, how->forwarded.subject);
	CHECK(count(b, H1_FIELD_HOST) == 1);
	CHECK(count(b, H1_FIELD_VIA) >= 1);
}

static void
fuzz_request(const struct fuzz_input *in)
{
	static struct message a, b, c;
	struct h1_forward_request how = request_options(in->flags);
	struct span out;

	if (!parse(&a, H1_REQUEST, H1_METHOD_GET, in->text) ||
	    a.h.n_fields > MAX_FIELDS)
		return;
	h1_forward_request(&a.out, &a.h, in->text.ptr, &a.f, &how);
	out = textbuf_span(&a.out);
	CHECK(!a.out.full);
	CHECK(out.len <= a.h.len + how.forwarded.client_ip.len +
		how.request_id.len + how.forwarded.subject.len +
		H1_FORWARD_EXTRA_BYTES);
	/* HTTP/1.0 without Host goes out with an empty one. */
	if (a.f.host.len == 0)
		return;
	check_redirect(&a, in->text.ptr);
	CHECK(parse(&b, H1_REQUEST, H1_METHOD_GET, out));
	check_request(&a, in->text.ptr, &b, &how);
	h1_forward_request(&b.out, &b.h, out.ptr, &b.f, &how);
	CHECK(parse(&c, H1_REQUEST, H1_METHOD_GET, textbuf_span(&b.out)));
	CHECK(b.out.len == out.len + strlen("Via: 1.1 evenkeel\r\n") ||
	    how.forwarded.trusted);
}

static void
fuzz_response(const struct fuzz_input *in)
{
	static struct message a, b;
	enum h1_method method =
	    in->flags & HEAD ? H1_METHOD_HEAD : H1_METHOD_GET;
	struct h1_forward_response how = {
	    .chunked = true,
	    .request_id =
		in->flags & REQUEST_ID ? SPAN("0123456789") : SPAN_NONE,
	};
	struct span out;

	if (!parse(&a, H1_RESPONSE, method, in->text) ||
	    a.h.n_fields > MAX_FIELDS)
		return;
	h1_forward_response(&a.out, &a.h, in->text.ptr, &a.f, &how);
	out = textbuf_span(&a.out);
	CHECK(!a.out.full);
	CHECK(out.len <= a.h.len + how.request_id.len + H1_FORWARD_EXTRA_BYTES);
	CHECK(parse(&b, H1_RESPONSE, method, out));
	check_text(&b, out);
	CHECK(a.h.status == b.h.status);
	CHECK(span_equal(
	    h1_span(a.h.reason, in->text.ptr), h1_span(b.h.reason, out.ptr)));
	CHECK(b.f.body ==
	    (a.f.body == H1_BODY_UNTIL_CLOSE ? H1_BODY_CHUNKED : a.f.body));
	CHECK(a.f.length == b.f.length && b.f.keep_alive);
	CHECK(count(&b, H1_FIELD_TRANSFER_ENCODING) ==
	    (b.f.body == H1_BODY_CHUNKED));
	/* Once more changes nothing. */
	h1_forward_response(&b.out, &b.h, out.ptr, &b.f, &how);
	CHECK(b.out.len == out.len);
}

static void
fuzz_trailer(const struct fuzz_input *in)
{
	static char first[FUZZ_TEXT_BYTES + 2], second[FUZZ_TEXT_BYTES + 2];
	struct textbuf a = textbuf_make(first, sizeof(first));
	struct textbuf b = textbuf_make(second, sizeof(second));

	h1_forward_trailer(&a, in->text);
	CHECK(!a.full && a.len <= in->text.len);
	h1_forward_trailer(&b, textbuf_span(&a));
	CHECK(span_equal(textbuf_span(&a), textbuf_span(&b)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in;

	if (!fuzz_read(&in, data, size))
		return 0;
	if (in.flags & TRAILER)
		fuzz_trailer(&in);
	else if (in.flags & RESPONSE)
		fuzz_response(&in);
	else
		fuzz_request(&in);
	return 0;
}
