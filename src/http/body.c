#include "evenkeel/http/body.h"

#include "evenkeel/base/num.h"
#include "evenkeel/http/octets.h"

/* Of the chunk decoder, in the order of the bytes. */
enum state {
	SIZE_FIRST, /* a hexadecimal digit must come */
	SIZE,
	SIZE_BLANK, /* white space after the size: an extension must come */
	EXTENSION,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER_FIRST, /* of a trailer line, or the last CR */
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	LAST_LF,
	END,
	BAD
};

/* One call: data is read at `p` and moved to `out`, which never overtakes. */
struct decode {
	struct h1_body *b;
	char *p, *end, *out;
};

void
h1_body_init(struct h1_body *b, const struct h1_framing *f, bool keep_trailer)
{
	memset(b, 0, sizeof(*b));
	b->kind = (uint8_t)f->body;
	b->keep_trailer = keep_trailer;
	if (f->body == H1_BODY_LENGTH) {
		CHECK(f->length > 0);
		b->left = f->length;
	}
}

void
h1_body_trailer(struct h1_body *b, struct textbuf *t)
{
	CHECK(b->trailer_set);
	b->trailer = t;
}

static enum state
bad(struct decode *d, enum h1_error e)
{
	d->b->error = (uint8_t)e;
	return BAD;
}

static enum state
expect(struct decode *d, char want, enum state then, enum h1_error e)
{
	if (*d->p != want)
		return bad(d, e);
	d->p++;
	return then;
}

/* Counts a byte of the chunk line.  RFC 9112 7.1: no limit is given; nobody
 * needs much, so a small one is safe. */
static bool
line_is_full(struct h1_body *b)
{
	return b->line_bytes++ == H1_CHUNK_LINE_BYTES;
}

static enum state
on_size(struct decode *d, enum state state)
{
	struct h1_body *b = d->b;
	int digit = num_hex_digit(*d->p);

	if (digit >= 0) {
		/* RFC 9112 7.1: checked before the shift.  One bit is left
		 * free, so that sums of sizes do not wrap. */
		if (line_is_full(b) || b->left > (uint64_t)INT64_MAX >> 4)
			return bad(d, H1_E_CHUNK_SIZE);
		b->left = b->left << 4 | (uint64_t)digit;
		d->p++;
		return SIZE;
	}
	if (state == SIZE_FIRST)
		return bad(d, H1_E_CHUNK_SIZE);
	if (*d->p == ';' || octets_is_blank(*d->p))
		return *d->p == ';' ? EXTENSION : SIZE_BLANK;
	return expect(
	    d, '\r', SIZE_LF, *d->p == '\n' ? H1_E_LINE_END : H1_E_CHUNK_SIZE);
}

static bool
extensions_are_full(struct h1_body *b)
{
	return line_is_full(b) ||
	    b->extension_bytes++ == H1_CHUNK_EXTENSIONS_BYTES;
}

/* RFC 9112 7.1.1: BWS before the semicolon, and nowhere else behind a size. */
static enum state
on_size_blank(struct decode *d)
{
	if (!octets_is_blank(*d->p) && *d->p != ';')
		return bad(d, H1_E_CHUNK_SIZE);
	if (*d->p == ';')
		return EXTENSION;
	if (extensions_are_full(d->b))
		return bad(d, H1_E_CHUNK_EXTENSION);
	d->p++;
	return SIZE_BLANK;
}

/* RFC 9112 7.1.1: unknown extensions are ignored, and so all are; CRLF ends
 * the line whatever stands in quotes, because both kinds of readers agree
 * that no quoted string holds one. */
static enum state
on_extension(struct decode *d)
{
	if (*d->p == '\r') {
		d->p++;
		return SIZE_LF;
	}
	if (!octets_is_text(*d->p))
		return bad(
		    d, *d->p == '\n' ? H1_E_LINE_END : H1_E_CHUNK_EXTENSION);
	if (extensions_are_full(d->b))
		return bad(d, H1_E_CHUNK_EXTENSION);
	d->p++;
	return EXTENSION;
}

static enum state
on_size_lf(struct decode *d)
{
	d->b->line_bytes = 0;
	return expect(
	    d, '\n', d->b->left > 0 ? DATA : TRAILER_FIRST, H1_E_LINE_END);
}

static enum state
on_data(struct decode *d)
{
	size_t n = (size_t)num_min_u64(d->b->left, (uint64_t)(d->end - d->p));

	if (d->out != d->p)
		memmove(d->out, d->p, n);
	d->out += n;
	d->p += n;
	d->b->left -= n;
	return d->b->left > 0 ? DATA : DATA_CR;
}

/* Counts the byte at d->p and, where a trailer is wanted, keeps it. */
static enum state
take_trailer_byte(struct decode *d, enum state then)
{
	if (d->b->trailer_bytes++ == H1_TRAILER_BYTES)
		return bad(d, H1_E_TRAILER);
	if (d->b->trailer != NULL)
		textbuf_byte(d->b->trailer, *d->p);
	d->p++;
	return then;
}

/* The same grammar as h1_field_line, which needs the line in one piece. */
static enum state
on_trailer_byte(struct decode *d, enum state state)
{
	switch (state) {
	case TRAILER_FIRST:
	case TRAILER_NAME:
		if (octets_is(*d->p, OCTETS_TOKEN))
			return take_trailer_byte(d, TRAILER_NAME);
		if (*d->p == ':' && state == TRAILER_NAME)
			return take_trailer_byte(d, TRAILER_VALUE);
		return bad(d, H1_E_TRAILER);
	case TRAILER_VALUE:
		if (octets_is_text(*d->p))
			return take_trailer_byte(d, TRAILER_VALUE);
		if (*d->p == '\r')
			return take_trailer_byte(d, TRAILER_LF);
		return bad(d, H1_E_TRAILER);
	default:
		if (*d->p == '\n')
			return take_trailer_byte(d, TRAILER_FIRST);
		return bad(d, H1_E_TRAILER);
	}
}

/* One step; there is a byte at d->p. */
static inline enum state
step(struct decode *d, enum state state)
{
	switch (state) {
	case SIZE_FIRST:
	case SIZE:
		return on_size(d, state);
	case SIZE_BLANK:
		return on_size_blank(d);
	case EXTENSION:
		return on_extension(d);
	case SIZE_LF:
		return on_size_lf(d);
	case DATA:
		return on_data(d);
	case DATA_CR:
		return expect(d, '\r', DATA_LF, H1_E_CHUNK_END);
	case DATA_LF:
		return expect(d, '\n', SIZE_FIRST, H1_E_CHUNK_END);
	case TRAILER_FIRST:
		if (*d->p == '\r') {
			d->p++;
			return LAST_LF;
		}
		return on_trailer_byte(d, state);
	case LAST_LF:
		return expect(d, '\n', END, H1_E_LINE_END);
	default:
		return on_trailer_byte(d, state);
	}
}

static enum h1_body_result
decode_chunked(struct decode *d)
{
	struct h1_body *b = d->b;
	enum state state = (enum state)b->state;

	while (d->p < d->end && state < END) {
		if (state == TRAILER_FIRST && *d->p != '\r' &&
		    b->keep_trailer && !b->trailer_set) {
			b->trailer_set = true;
			b->state = TRAILER_FIRST;
			return H1_BODY_TRAILER;
		}
		state = step(d, state);
	}
	b->state = (uint8_t)state;
	return state == END ? H1_BODY_END
	    : state == BAD  ? H1_BODY_BAD
			    : H1_BODY_MORE;
}

enum h1_body_result
h1_body_decode(
    struct h1_body *b, char *buf, size_t len, struct h1_body_step *step_out)
{
	struct decode d = {b, buf, buf + len, buf};
	enum h1_body_result result;
	size_t n;

	if (b->kind == H1_BODY_CHUNKED) {
		CHECK(b->state < END);
		result = decode_chunked(&d);
		step_out->consumed = (size_t)(d.p - buf);
		step_out->produced = (size_t)(d.out - buf);
		return result;
	}
	n = len;
	if (b->kind != H1_BODY_UNTIL_CLOSE) {
		n = (size_t)num_min_u64(b->left, len);
		b->left -= n;
	}
	*step_out = (struct h1_body_step){.consumed = n, .produced = n};
	return h1_body_complete_at_eof(b) && b->kind != H1_BODY_UNTIL_CLOSE
	    ? H1_BODY_END
	    : H1_BODY_MORE;
}

bool
h1_body_complete_at_eof(const struct h1_body *b)
{
	switch ((enum h1_body_kind)b->kind) {
	case H1_BODY_NONE:
	case H1_BODY_UNTIL_CLOSE:
		return true;
	case H1_BODY_LENGTH:
		return b->left == 0;
	case H1_BODY_CHUNKED:
		return b->state == END;
	}
	return false;
}

uint64_t
h1_body_ahead(const struct h1_body *b)
{
	switch ((enum h1_body_kind)b->kind) {
	case H1_BODY_UNTIL_CLOSE:
		return UINT64_MAX;
	case H1_BODY_LENGTH:
		return b->left;
	case H1_BODY_NONE:
	case H1_BODY_CHUNKED:
		break;
	}
	return 0;
}

void
h1_body_pass(struct h1_body *b, uint64_t n)
{
	CHECK(n <= h1_body_ahead(b));
	if (b->kind == H1_BODY_LENGTH)
		b->left -= n;
}
