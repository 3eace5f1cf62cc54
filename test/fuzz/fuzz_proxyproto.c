/*
 * PROXY protocol: the verdict does not depend on how the bytes are cut, what
 * is read can be written and read again, and nothing behind the bytes is
 * looked at.
 */
#include "fuzz_input.h"

#include "evenkeel/http/proxyproto.h"

static bool
same(const struct proxyproto_addr *a, const struct proxyproto_addr *b)
{
	return ip_equal(&a->ip, &b->ip) && a->port == b->port &&
	    span_equal(a->path, b->path);
}

static void
check_written(const struct proxyproto *p, bool v2)
{
	char room[PROXYPROTO_WRITE_BYTES];
	struct textbuf t = textbuf_make(room, sizeof(room));
	struct proxyproto_parsed again;

	(v2 ? proxyproto_put_v2 : proxyproto_put_v1)(&t, p);
	CHECK(!t.full && (v2 || t.len <= PROXYPROTO_V1_BYTES));
	CHECK(proxyproto_parse(textbuf_span(&t), &again) == PROXYPROTO_DONE);
	CHECK(again.len == t.len);
	if (!v2 && p->family == PROXYPROTO_UNIX)
		return;
	CHECK(again.header.family == p->family);
	CHECK(same(&again.header.source, &p->source));
	CHECK(same(&again.header.destination, &p->destination));
}

static void
check_cut(struct span text, size_t cut, enum proxyproto_result want,
    const struct proxyproto_parsed *whole)
{
	char *copy = fuzz_copy(text.ptr, cut);
	struct proxyproto_parsed part;
	enum proxyproto_result r =
	    proxyproto_parse(span_make(copy, cut), &part);

	CHECK((part.error != PROXYPROTO_OK) == (r == PROXYPROTO_BAD));
	if (r != PROXYPROTO_MORE)
		CHECK(r == want && part.len == whole->len &&
		    part.error == whole->error);
	else
		CHECK(want != PROXYPROTO_DONE || cut < whole->len);
	CHECK(r != PROXYPROTO_DONE || part.len <= cut);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in;
	struct proxyproto_parsed out;
	enum proxyproto_result r;

	if (!fuzz_read(&in, data, size))
		return 0;
	r = proxyproto_parse(in.text, &out);
	CHECK(r != PROXYPROTO_MORE || in.text.len < PROXYPROTO_READ_BYTES);
	check_cut(in.text, in.cut, r, &out);
	for (size_t cut = 0; cut < in.text.len && cut < 160; cut++)
		check_cut(in.text, cut, r, &out);
	if (r != PROXYPROTO_DONE)
		return 0;
	CHECK(out.len <= PROXYPROTO_READ_BYTES && proxyproto_ok(&out.header));
	check_written(&out.header, false);
	check_written(&out.header, true);
	return 0;
}
