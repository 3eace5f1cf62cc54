#include "evenkeel/proxy/pump.h"

/* A chunk line with CRLF, the CRLF behind the data, the last chunk. */
#define LINE_BYTES  (NUM_HEX_DIGITS + 2)
#define FRAME_BYTES 64

#include "evenkeel/base/num.h"
#include "evenkeel/http/forward.h"

void
pump_init(
    struct pump *p, const struct h1_framing *f, bool chunked, bool keep_trailer)
{
	*p = (struct pump){.chunked = chunked};
	h1_body_init(&p->body, f, keep_trailer);
	p->ended = f->body == H1_BODY_NONE;
}

static uint32_t
ready_len(const struct conn *c)
{
	return c->in == NULL ? 0 : buf_ready_len(c->in);
}

bool
pump_can_rewind(const struct pump *p, const struct conn *source)
{
	if (p->trailer != NULL)
		return false;
	return p->bytes ==
	    (source->in == NULL ? 0 : source->in->mid - source->in->base);
}

void
pump_rewind(struct pump *p, struct conn *source)
{
	CHECK(pump_can_rewind(p, source));
	if (source->in != NULL)
		source->in->start = source->in->base;
	p->closed = p->discard = false;
}

void
pump_close(struct pump *p, struct buf_pool *bufs)
{
	buf_put(bufs, p->trailer);
	p->trailer = NULL;
}

/* A trailer section begins: somewhere to keep it until the end. */
static bool
begin_trailer(struct pump *p, struct conn *source)
{
	p->trailer = buf_get(&source->loop->bufs);
	if (p->trailer == NULL)
		return false;
	p->trailer_text = textbuf_make(p->trailer->data, p->trailer->cap);
	h1_body_trailer(&p->body, &p->trailer_text);
	return true;
}

static enum pump_result
account(struct pump *p, struct buf *in, const struct h1_body_step *step)
{
	in->mid += (uint32_t)step->produced;
	in->raw += (uint32_t)step->consumed;
	p->bytes += step->produced;
	if (p->discard)
		in->start = in->mid;
	return p->limit != 0 && p->bytes > p->limit ? PUMP_TOO_LARGE
						    : PUMP_DONE;
}

/* Decodes the raw bytes of the source's buffer.  PUMP_DONE: went well. */
static enum pump_result
decode(struct pump *p, struct conn *source)
{
	struct buf *in = source->in;
	enum h1_body_result result = H1_BODY_MORE;
	enum pump_result verdict = PUMP_DONE;
	struct h1_body_step step;

	while (verdict == PUMP_DONE && !p->ended && in != NULL &&
	    buf_raw_len(in) > 0) {
		/* Decoded data has to follow the data that is ready: between
		 * them there is no gap while a body goes on. */
		CHECK(in->mid == in->raw);
		result = h1_body_decode(
		    &p->body, buf_raw(in), buf_raw_len(in), &step);
		verdict = account(p, in, &step);
		if (result == H1_BODY_BAD)
			return PUMP_MALFORMED;
		if (result == H1_BODY_TRAILER && !begin_trailer(p, source))
			return PUMP_NO_MEMORY;
		p->ended = result == H1_BODY_END;
		if (in->raw == in->end)
			in->raw = in->end = in->mid;
		else if (!p->ended && in->raw != in->mid)
			buf_close_gap(in);
	}
	return verdict;
}

/* Puts the end of a chunked body: the last chunk and the trailer section. */
static void
put_last_chunk(struct pump *p, struct textbuf *t)
{
	textbuf_lit(t, "0\r\n");
	if (p->trailer != NULL)
		h1_forward_trailer(t, textbuf_span(&p->trailer_text));
	textbuf_lit(t, "\r\n");
}

struct pieces {
	struct iovec piece[3];
	int n;
	size_t data; /* which one is the data in the source's buffer; or 3 */
};

/* What goes out next: the head, then framed data, then the body's end.  The
 * texts are in `head` and `tail`. */
static void
compose(struct pump *p, struct buf *in, uint32_t len, struct textbuf *head,
    struct textbuf *tail, struct pieces *out)
{
	bool last = p->ended && (in == NULL || len == buf_ready_len(in));

	if (p->chunked && len > 0) {
		textbuf_hex(head, len);
		textbuf_lit(head, "\r\n");
		textbuf_lit(tail, "\r\n");
	}
	if (p->chunked && last)
		put_last_chunk(p, tail);
	out->data = 3;
	out->n = 0;
	if (len > 0 && len <= PUMP_COPY_BYTES) {
		textbuf_put(head, span_make(in->data + in->start, len));
		textbuf_put(head, textbuf_span(tail));
		tail->len = 0;
		len = 0;
	}
	if (head->len > 0)
		out->piece[out->n++] = (struct iovec){head->ptr, head->len};
	if (len > 0) {
		out->data = (size_t)out->n;
		out->piece[out->n++] =
		    (struct iovec){in->data + in->start, len};
	}
	if (tail->len > 0)
		out->piece[out->n++] = (struct iovec){tail->ptr, tail->len};
}

/* Keeps what the sink did not take of the pieces; of plain data it stays
 * where it is: *kept_data says how much of it was kept. */
static bool
keep_rest(struct pump *p, struct conn *sink, const struct pieces *out,
    size_t sent, size_t *data_done)
{
	*data_done = 0;
	for (int i = 0; i < out->n; i++) {
		const struct iovec *piece = &out->piece[i];
		size_t took = num_min_size(sent, piece->iov_len);
		bool is_data = (size_t)i == out->data;

		sent -= took;
		if (is_data)
			*data_done = p->chunked ? piece->iov_len : took;
		if (took == piece->iov_len || (is_data && !p->chunked))
			continue;
		if (!conn_keep(sink,
			span_make((char *)piece->iov_base + took,
			    piece->iov_len - took)))
			return false;
	}
	return true;
}

static size_t
total(const struct pieces *out)
{
	size_t sum = 0;

	for (int i = 0; i < out->n; i++)
		sum += out->piece[i].iov_len;
	return sum;
}

/* What a chunk leaves over is kept whole, behind what is left of the head: all
 * of it must fit one buffer. */
static size_t
chunk_room(const struct buf *in, const struct textbuf *head)
{
	size_t others = head->len + H1_TRAILER_BYTES + 2 * FRAME_BYTES;

	return in->cap > others ? in->cap - others : 0;
}

/*
 * Hands the head, the ready data and the end over to the sink.
 * PUMP_DONE: went well, though not all data may be taken.
 */
static enum pump_result
hand_over(struct pump *p, struct conn *source, struct conn *sink,
    struct textbuf *head)
{
	struct buf *in = source->in;
	uint32_t len = ready_len(source);
	char tail_bytes[H1_TRAILER_BYTES + FRAME_BYTES];
	struct textbuf tail = textbuf_make(tail_bytes, sizeof(tail_bytes));
	bool had_head = head->len > 0;
	struct pieces out;
	size_t sent, data_done;
	enum conn_io io;

	if (p->chunked && in != NULL)
		len = (uint32_t)num_min_size(len, chunk_room(in, head));
	if (p->chunked && !had_head && !sink->writable)
		return PUMP_WANT_SINK;
	compose(p, in, len, head, &tail, &out);
	CHECK(!head->full && !tail.full);
	io = conn_send(sink, out.piece, out.n, &sent);
	if (io == CONN_ERROR)
		return PUMP_SINK_ERROR;
	if (sent == total(&out)) {
		data_done = len;
	} else {
		if (!keep_rest(p, sink, &out, sent, &data_done))
			return PUMP_NO_MEMORY;
		if (out.data == 3)
			data_done = len;
	}
	head->len = 0;
	if (in != NULL)
		in->start += (uint32_t)data_done;
	p->closed = p->ended && ready_len(source) == 0;
	return io == CONN_AGAIN ? PUMP_WANT_SINK : PUMP_DONE;
}

/* Takes more from the source.  PUMP_DONE: came or ended well. */
static enum pump_result
take(struct pump *p, struct conn *source)
{
	switch (conn_fill(source)) {
	case CONN_OK:
		return PUMP_DONE;
	case CONN_AGAIN:
		conn_release_in(source);
		return PUMP_WANT_SOURCE;
	case CONN_EOF:
		if (!h1_body_complete_at_eof(&p->body))
			return PUMP_TRUNCATED;
		p->ended = true;
		return PUMP_DONE;
	case CONN_ERROR:
		break;
	}
	return PUMP_SOURCE_ERROR;
}

static bool
has_something(
    const struct pump *p, const struct conn *source, const struct textbuf *head)
{
	if (p->discard)
		return false;
	return head->len > 0 || ready_len(source) > 0 ||
	    (p->ended && p->chunked && !p->closed);
}

static enum pump_result
round_trip(struct pump *p, struct conn *source, struct conn *sink,
    struct textbuf *head)
{
	enum pump_result result = decode(p, source);

	if (result != PUMP_DONE)
		return result;
	if (has_something(p, source, head))
		return hand_over(p, source, sink, head);
	if (p->ended)
		return PUMP_DONE;
	return take(p, source);
}

/* What waits in front of the body: 1xx heads, the rest of a head or chunk. */
static enum pump_result
flush_first(struct pump *p, struct conn *sink, struct textbuf *head)
{
	enum conn_io io;

	if (p->discard || conn_out_empty(sink))
		return PUMP_DONE;
	io = conn_flush(sink);
	if (io == CONN_ERROR)
		return PUMP_SINK_ERROR;
	if (io == CONN_OK)
		return PUMP_DONE;
	if (!conn_keep(sink, textbuf_span(head)))
		return PUMP_NO_MEMORY;
	head->len = 0;
	return PUMP_WANT_SINK;
}

static bool
finished(const struct pump *p, const struct conn *source,
    const struct conn *sink, const struct textbuf *head)
{
	return p->ended && !has_something(p, source, head) &&
	    (p->discard || conn_out_empty(sink));
}

enum pump_result
pump_run(struct pump *p, struct conn *source, struct conn *sink,
    struct textbuf *head)
{
	enum pump_result result;

	for (int i = 0; i < PUMP_ROUNDS; i++) {
		result = flush_first(p, sink, head);
		if (result != PUMP_DONE)
			return result;
		result = round_trip(p, source, sink, head);
		if (result == PUMP_WANT_SINK && finished(p, source, sink, head))
			return PUMP_DONE;
		if (result != PUMP_DONE)
			return result;
		if (finished(p, source, sink, head))
			return PUMP_DONE;
	}
	return PUMP_YIELD;
}
