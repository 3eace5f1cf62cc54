#include "evenkeel/proxy/pump.h"

/* A chunk line with CRLF, the CRLF behind the data, the last chunk. */
#define LINE_BYTES  (NUM_HEX_DIGITS + 2)
#define FRAME_BYTES 64
/* Room for them around the data of a large buffer. */
#define FRONT_ROOM 24
#define BACK_ROOM  2

#include <errno.h>

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
	if (p->trailer != NULL || p->forgotten)
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
pump_release(struct pump *p, struct loop *l)
{
	buf_put(&l->bufs, p->trailer);
	pipe_put(&l->pipes, p->pipe);
	p->trailer = NULL;
	p->pipe = NULL;
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
 * of it must fit one small buffer. */
static size_t
chunk_room(const struct conn *sink, const struct textbuf *head)
{
	size_t others = head->len + H1_TRAILER_BYTES + 2 * FRAME_BYTES;
	size_t cap = sink->loop->bufs.size;

	return cap > others ? cap - others : 0;
}

/* Makes one chunk of the ready data where it lies, when there is room around
 * it: it goes out in plain sends then, and what is not taken stays.  False:
 * there is no room. */
static bool __attribute__((noinline)) is_framed(struct pump *p, struct buf *in)
{
	char line[LINE_BYTES];
	struct textbuf t = textbuf_make(line, sizeof(line));
	uint32_t len = buf_ready_len(in);

	if (p->framed)
		return true;
	if (in->start - in->base < LINE_BYTES)
		return false;
	if (in->raw == in->end && in->cap - in->mid >= BACK_ROOM)
		in->raw = in->end = in->mid + BACK_ROOM;
	if (in->raw - in->mid < BACK_ROOM)
		return false;
	textbuf_hex(&t, len);
	textbuf_lit(&t, "\r\n");
	in->start -= (uint32_t)t.len;
	memcpy(in->data + in->start, line, t.len);
	memcpy(in->data + in->mid, "\r\n", BACK_ROOM);
	in->mid += BACK_ROOM;
	p->framed = true;
	return true;
}

/* Hands over a chunk that was framed in place; the body's end follows in a
 * round of its own. */
static enum pump_result __attribute__((noinline))
hand_over_framed(struct pump *p, struct buf *in, struct conn *sink)
{
	const struct iovec piece = {in->data + in->start, buf_ready_len(in)};
	size_t sent;
	enum conn_io io = conn_send(sink, &piece, 1, &sent);

	in->start += (uint32_t)sent;
	p->framed = in->start < in->mid;
	if (io == CONN_ERROR)
		return PUMP_SINK_ERROR;
	return io == CONN_AGAIN ? PUMP_WANT_SINK : PUMP_DONE;
}

/* Hands over the head and data that goes out as it is and is short enough to
 * be copied behind it. */
static enum pump_result
hand_over_text(struct pump *p, struct conn *source, struct conn *sink,
    struct textbuf *head)
{
	struct buf *in = source->in;
	enum conn_io io;
	size_t sent;

	if (in != NULL) {
		textbuf_put(
		    head, span_make(in->data + in->start, buf_ready_len(in)));
		in->start = in->mid;
	}
	CHECK(!head->full);
	io = conn_send(sink, &(struct iovec){head->ptr, head->len}, 1, &sent);
	if (io == CONN_ERROR)
		return PUMP_SINK_ERROR;
	if (!conn_keep(sink, span_make(head->ptr + sent, head->len - sent)))
		return PUMP_NO_MEMORY;
	head->len = 0;
	p->closed = p->ended;
	return io == CONN_AGAIN ? PUMP_WANT_SINK : PUMP_DONE;
}

/*
 * Hands the head, the ready data and the end over to the sink.
 * PUMP_DONE: went well, though not all data may be taken.
 */
static enum pump_result
hand_over_pieces(struct pump *p, struct conn *source, struct conn *sink,
    struct textbuf *head)
{
	struct buf *in = source->in;
	uint32_t len = ready_len(source);
	char tail_bytes[H1_TRAILER_BYTES + FRAME_BYTES];
	struct textbuf tail = textbuf_make(tail_bytes, sizeof(tail_bytes));
	struct pieces out;
	size_t sent, data_done;
	enum conn_io io;

	if (p->chunked) {
		if (head->len == 0 && !sink->writable)
			return PUMP_WANT_SINK;
		/* What is kept in front of it must stay as it is. */
		if (p->bulk && p->forgotten && head->len == 0 && len > 0 &&
		    is_framed(p, in))
			return hand_over_framed(p, in, sink);
		len = (uint32_t)num_min_size(len, chunk_room(sink, head));
	}
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

/* What a read says about the next one: a trickle is cheaper to copy, and a
 * read that left something in the socket may be the first of many. */
static void
learn(struct pump *p, const struct conn *source, uint64_t got)
{
	/* One of known length stays in bulk: under load its pieces come
	 * small, and the copies in between cost more than they save. */
	if (p->bulk)
		p->bulk =
		    p->body.kind == H1_BODY_LENGTH || got >= PUMP_TRICKLE_BYTES;
	else
		p->bulk = source->readable && got >= PUMP_TRICKLE_BYTES &&
		    p->bytes >= PUMP_BULK_BYTES;
}

/* Behind what is kept; the buffer grows for it. */
static enum conn_io
fill_kept(struct pump *p, struct conn *source)
{
	struct buf *in = source->in;
	uint32_t most = in->base + p->keep + BUF_BYTES;

	if (buf_room(in) == 0 &&
	    !buf_extend(&source->loop->bufs, &source->in,
		(uint32_t)num_min_u64(most, 2ULL * in->cap))) {
		p->forgotten = true;
		return conn_fill(source);
	}
	return conn_watch(source);
}

static bool
is_kept(struct pump *p, const struct conn *source)
{
	if (p->keep == 0 || p->forgotten || source->in == NULL)
		return false;
	if (p->bytes <= p->keep && pump_can_rewind(p, source))
		return true;
	p->forgotten = true;
	return false;
}

/* Takes more into a buffer. */
static enum conn_io
fill(struct pump *p, struct conn *source)
{
	uint64_t before = source->bytes_in;
	enum conn_io io;

	if (is_kept(p, source)) {
		io = fill_kept(p, source);
	} else if (p->bulk) {
		p->forgotten = true;
		io = conn_fill_large(source, p->chunked ? FRONT_ROOM : 0,
		    p->chunked ? BACK_ROOM : 0);
	} else {
		io = conn_fill(source);
	}
	if (io == CONN_OK)
		learn(p, source, source->bytes_in - before);
	return io;
}

/* How many of the bytes to come are to pass through a pipe. */
static uint64_t
pipe_share(struct pump *p, const struct conn *source)
{
	uint64_t ahead = h1_body_ahead(&p->body);

	if (!p->bulk || p->chunked || p->discard || p->unpiped ||
	    ahead <= 2 * PUMP_TAIL_BYTES || is_kept(p, source))
		return 0;
	return ahead - PUMP_TAIL_BYTES;
}

static enum pump_result
ended(struct pump *p, const struct conn *source, enum conn_io io)
{
	switch (io) {
	case CONN_OK:
		return PUMP_DONE;
	case CONN_AGAIN:
		return PUMP_WANT_SOURCE;
	case CONN_EOF:
		/* RFC 9112 9.8: cut off, maybe by somebody in between. */
		if (!h1_body_complete_at_eof(&p->body) ||
		    (source->cut && !p->loose))
			return PUMP_TRUNCATED;
		p->ended = true;
		return PUMP_DONE;
	case CONN_ERROR:
		break;
	}
	return source->error == ENOMEM ? PUMP_NO_MEMORY : PUMP_SOURCE_ERROR;
}

/* Takes up to `share` bytes into a pipe, which stands empty in p->pipe. */
static enum pump_result
take_into_pipe(struct pump *p, struct conn *source, uint64_t share)
{
	size_t got;
	enum conn_io io = conn_splice_in(
	    source, p->pipe, num_min_u64(share, PIPE_BYTES), &got);

	if (io == CONN_ERROR && source->error == EINVAL) {
		p->unpiped = true;
		return PUMP_DONE;
	}
	h1_body_pass(&p->body, got);
	p->bytes += got;
	p->forgotten = true;
	if (io == CONN_OK)
		learn(p, source, got);
	if (p->limit != 0 && p->bytes > p->limit)
		return PUMP_TOO_LARGE;
	return ended(p, source, io);
}

/* Takes more from the source, of which nothing is left.  PUMP_DONE: came or
 * ended well. */
static enum pump_result __attribute__((noinline))
take(struct pump *p, struct conn *source, const struct conn *sink)
{
	enum pump_result result;
	uint64_t share;

	/* The length says it before anything was read. */
	if (p->body.kind == H1_BODY_LENGTH && !p->forgotten &&
	    source->readable && h1_body_ahead(&p->body) >= PUMP_BULK_BYTES)
		p->bulk = true;
	if (conn_is_secure(source) || conn_is_secure(sink))
		p->unpiped = true;
	share = pipe_share(p, source);
	if (share > 0 && p->pipe == NULL)
		p->pipe = pipe_get(&source->loop->pipes);
	if (share > 0 && p->pipe != NULL) {
		if (source->in != NULL)
			buf_settle(source->in);
		conn_release_in(source);
		return take_into_pipe(p, source, share);
	}
	result = ended(p, source, fill(p, source));
	if (result == PUMP_WANT_SOURCE)
		conn_release_in(source);
	return result;
}

static enum pump_result __attribute__((noinline))
empty_pipe(struct pump *p, struct conn *sink)
{
	switch (conn_splice_out(sink, p->pipe)) {
	case CONN_OK:
		return PUMP_DONE;
	case CONN_AGAIN:
		return PUMP_WANT_SINK;
	default:
		break;
	}
	if (sink->error != EINVAL)
		return PUMP_SINK_ERROR;
	p->unpiped = true;
	return PUMP_DONE;
}

static bool
pipe_has_some(const struct pump *p)
{
	return p->pipe != NULL && p->pipe->len > 0;
}

static bool
has_something(
    const struct pump *p, const struct conn *source, const struct textbuf *head)
{
	if (p->discard)
		return false;
	if (pipe_has_some(p))
		return true;
	return head->len > 0 || ready_len(source) > 0 ||
	    (p->ended && p->chunked && !p->closed);
}

static enum pump_result
hand_over(struct pump *p, struct conn *source, struct conn *sink,
    struct textbuf *head)
{
	if (!p->chunked && ready_len(source) <= PUMP_COPY_BYTES)
		return hand_over_text(p, source, sink, head);
	return hand_over_pieces(p, source, sink, head);
}

static enum pump_result
round_trip(struct pump *p, struct conn *source, struct conn *sink,
    struct textbuf *head)
{
	bool piped = pipe_has_some(p) && !p->discard;
	enum pump_result result;

	/* Whatever lay in a buffer went before. */
	if (piped && !p->unpiped)
		return empty_pipe(p, sink);
	if (piped && ready_len(source) == 0 && !conn_unload(source, p->pipe))
		return PUMP_NO_MEMORY;
	/* Nobody takes what was ready when the sink broke. */
	if (p->discard && source->in != NULL)
		source->in->start = source->in->mid;
	result = decode(p, source);
	if (result != PUMP_DONE)
		return result;
	if (has_something(p, source, head))
		return hand_over(p, source, sink, head);
	if (p->ended)
		return PUMP_DONE;
	return take(p, source, sink);
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

static enum pump_result
run(struct pump *p, struct conn *source, struct conn *sink,
    struct textbuf *head)
{
	uint64_t before = p->bytes;
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
		if (p->bytes - before >= PUMP_SHARE_BYTES)
			break;
	}
	return PUMP_YIELD;
}

enum pump_result
pump_run(struct pump *p, struct conn *source, struct conn *sink,
    struct textbuf *head)
{
	enum pump_result result = run(p, source, sink, head);

	/* While it waits it owns no more than what is in the way. */
	if (p->pipe != NULL && (p->pipe->len == 0 || p->discard)) {
		pipe_put(&source->loop->pipes, p->pipe);
		p->pipe = NULL;
	}
	return result;
}
