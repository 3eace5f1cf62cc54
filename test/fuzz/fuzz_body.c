/*
 * Framing and bodies: a request's body, or bytes taken as a chunked one, give
 * the same data however they are cut; what was decoded, encoded anew, decodes
 * to itself.
 */
#include "fuzz_input.h"

#include "evenkeel/http/body.h"

#define RAW          1U /* no head: a chunked body */
#define KEEP_TRAILER 2U
#define MAX_FIELDS   64

struct run {
	struct h1_body b;
	enum h1_body_result result;
	size_t consumed, len;
	char data[FUZZ_TEXT_BYTES + 64];
	struct textbuf trailer;
	char trailer_bytes[H1_TRAILER_BYTES];
};

static void
begin(struct run *r, const struct h1_framing *f, bool keep)
{
	h1_body_init(&r->b, f, keep);
	r->result = H1_BODY_MORE;
	r->consumed = r->len = 0;
	r->trailer = textbuf_make(r->trailer_bytes, sizeof(r->trailer_bytes));
}

static void
feed(struct run *r, const char *bytes, size_t len)
{
	char *copy = fuzz_copy(bytes, len), *at = copy;
	struct h1_body_step step;

	while (r->result == H1_BODY_MORE) {
		r->result = h1_body_decode(&r->b, at, len, &step);
		CHECK(step.consumed <= len && step.produced <= step.consumed);
		memcpy(r->data + r->len, at, step.produced);
		r->len += step.produced;
		r->consumed += step.consumed;
		at += step.consumed;
		len -= step.consumed;
		if (r->result != H1_BODY_TRAILER)
			break;
		h1_body_trailer(&r->b, &r->trailer);
		r->result = H1_BODY_MORE;
	}
	CHECK(r->result != H1_BODY_MORE || len == 0);
	free(copy);
}

static void
check_same(const struct run *a, const struct run *b)
{
	CHECK(a->result == b->result && a->b.error == b->b.error);
	CHECK(a->consumed == b->consumed && a->len == b->len);
	CHECK(memcmp(a->data, b->data, a->len) == 0);
	CHECK(!a->trailer.full && a->trailer.len == b->trailer.len);
	CHECK(memcmp(a->trailer_bytes, b->trailer_bytes, a->trailer.len) == 0);
}

/* One chunk of all the data, and the trailer section. */
static void
check_encoded_anew(const struct run *r)
{
	static const struct h1_framing chunked = {.body = H1_BODY_CHUNKED};
	static char text[FUZZ_TEXT_BYTES + H1_TRAILER_BYTES + 64];
	static struct run again;
	struct textbuf t = textbuf_make(text, sizeof(text));

	if (r->len > 0) {
		textbuf_hex(&t, r->len);
		textbuf_lit(&t, "\r\n");
		textbuf_put(&t, span_make(r->data, r->len));
		textbuf_lit(&t, "\r\n");
	}
	textbuf_lit(&t, "0\r\n");
	textbuf_put(&t, textbuf_span(&r->trailer));
	textbuf_lit(&t, "\r\n");
	CHECK(!t.full);
	begin(&again, &chunked, true);
	feed(&again, t.ptr, t.len);
	CHECK(again.result == H1_BODY_END && again.consumed == t.len);
	CHECK(again.len == r->len && again.trailer.len == r->trailer.len);
	CHECK(memcmp(again.data, r->data, r->len) == 0);
}

static bool
read_head(struct fuzz_input *in, struct h1_framing *f)
{
	static const struct h1_limits limits = {
	    .head_bytes = 16384, .fields = MAX_FIELDS};
	static struct h1_field fields[MAX_FIELDS];
	struct h1_head h;

	h1_head_init(&h, H1_REQUEST, &limits, fields);
	if (h1_head_parse(&h, in->text.ptr, in->text.len) != H1_DONE ||
	    h1_framing_request(&h, in->text.ptr, f) != H1_OK)
		return false;
	CHECK((f->body == H1_BODY_LENGTH) == (f->length > 0));
	CHECK(f->body != H1_BODY_UNTIL_CLOSE);
	CHECK(f->body != H1_BODY_CHUNKED || !f->has_length);
	CHECK(f->host.len == 0 ||
	    h1_is_authority(h1_span(f->host, in->text.ptr)));
	in->text = span_make(in->text.ptr + h.len, in->text.len - h.len);
	in->cut %= in->text.len + 1;
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run whole, cut;
	struct h1_framing f = {.body = H1_BODY_CHUNKED};
	struct fuzz_input in;
	bool keep;

	if (!fuzz_read(&in, data, size))
		return 0;
	keep = (in.flags & KEEP_TRAILER) != 0;
	if (!(in.flags & RAW) && !read_head(&in, &f))
		return 0;
	begin(&whole, &f, keep);
	feed(&whole, in.text.ptr, in.text.len);
	begin(&cut, &f, keep);
	feed(&cut, in.text.ptr, in.cut);
	feed(&cut, in.text.ptr + in.cut, in.text.len - in.cut);
	check_same(&whole, &cut);
	if (in.text.len < 512) {
		begin(&cut, &f, keep);
		for (size_t n = 0; n < in.text.len; n++)
			feed(&cut, in.text.ptr + n, 1);
		feed(&cut, in.text.ptr, 0);
		check_same(&whole, &cut);
	}
	if (whole.result == H1_BODY_END && f.body == H1_BODY_CHUNKED)
		check_encoded_anew(&whole);
	return 0;
}
