/*
 * Heads: the verdict does not depend on the cut, and what is found lies inside
 * the head and is what it is said to be.
 */
#include "fuzz_input.h"

#include "evenkeel/http/head.h"
#include "evenkeel/http/octets.h"

#define RESPONSE   1U
#define TIGHT      2U /* small limits, so that they are met */
#define MAX_FIELDS 64

struct run {
	struct h1_head h;
	struct h1_field fields[MAX_FIELDS];
	enum h1_result result;
};

static void
begin(struct run *r, const struct fuzz_input *in)
{
	struct h1_limits limits = {.head_bytes = 16384, .fields = MAX_FIELDS};

	if (in->flags & TIGHT)
		limits = (struct h1_limits){
		    .head_bytes = 1 + in->flags, .fields = 1 + in->flags / 64};
	memset(r, 0, sizeof(*r));
	h1_head_init(&r->h, in->flags & RESPONSE ? H1_RESPONSE : H1_REQUEST,
	    &limits, r->fields);
	r->result = H1_MORE;
}

static void
feed(struct run *r, const struct fuzz_input *in, size_t len)
{
	char *copy = fuzz_copy(in->text.ptr, len);

	if (r->result == H1_MORE)
		r->result = h1_head_parse(&r->h, copy, len);
	free(copy);
}

static void
check_same(const struct run *a, const struct run *b)
{
	CHECK(a->result == b->result);
	CHECK(a->h.error == b->h.error);
	CHECK(a->h.pos == b->h.pos && a->h.len == b->h.len);
	CHECK(a->h.start == b->h.start && a->h.status == b->h.status);
	CHECK(a->h.method == b->h.method && a->h.minor == b->h.minor);
	CHECK(memcmp(&a->h.method_text, &b->h.method_text,
		  sizeof(struct h1_text)) == 0);
	CHECK(memcmp(&a->h.target, &b->h.target, sizeof(struct h1_text)) == 0);
	CHECK(memcmp(&a->h.reason, &b->h.reason, sizeof(struct h1_text)) == 0);
	CHECK(a->h.n_fields == b->h.n_fields);
	CHECK(memcmp(a->fields, b->fields,
		  a->h.n_fields * sizeof(a->fields[0])) == 0);
}

static void
check_field(const struct h1_field *f, const char *base, uint32_t end)
{
	struct span value = h1_span(f->value, base);
	struct span line = span_make(base + f->name.off, end - f->name.off);
	struct h1_field alone;

	CHECK(f->name.off + f->name.len < f->value.off);
	CHECK(f->value.off + f->value.len <= end);
	CHECK(h1_is_token(h1_span(f->name, base)));
	CHECK(base[f->name.off + f->name.len] == ':');
	for (size_t i = 0; i < value.len; i++)
		CHECK(octets_is_text(value.ptr[i]));
	CHECK(span_trim(value).len == value.len);
	/* The same line, judged alone. */
	CHECK(h1_field_line(line, &alone) == H1_OK);
	CHECK(alone.name.len == f->name.len);
	CHECK(alone.value.off + f->name.off == f->value.off);
	CHECK(alone.value.len == f->value.len);
	CHECK(alone.id == f->id && alone.underscore == f->underscore);
}

static void
check_done(const struct run *r, const struct fuzz_input *in)
{
	const struct h1_head *h = &r->h;
	const char *base = in->text.ptr;

	CHECK(h->len <= in->text.len && h->len <= h->limits.head_bytes);
	CHECK(h->len >= 4 && memcmp(base + h->len - 4, "\r\n\r\n", 4) == 0);
	CHECK(h->n_fields <= h->limits.fields);
	if (h->kind == H1_REQUEST) {
		CHECK(h1_is_token(h1_span(h->method_text, base)));
		CHECK(h->target.len > 0);
	} else {
		CHECK(h->status >= 100 && h->status <= 599);
	}
	for (uint32_t i = 0; i < h->n_fields; i++)
		check_field(&r->fields[i], base,
		    (i + 1 < h->n_fields ? r->fields[i + 1].name.off
					 : h->len - 2) -
			2);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run whole, cut;
	struct fuzz_input in;

	if (!fuzz_read(&in, data, size))
		return 0;
	begin(&whole, &in);
	feed(&whole, &in, in.text.len);
	begin(&cut, &in);
	feed(&cut, &in, in.cut);
	feed(&cut, &in, in.text.len);
	check_same(&whole, &cut);
	if (in.text.len < 512) {
		begin(&cut, &in);
		for (size_t n = 0; n <= in.text.len; n++)
			feed(&cut, &in, n);
		check_same(&whole, &cut);
	}
	if (whole.result == H1_DONE)
		check_done(&whole, &in);
	return 0;
}
