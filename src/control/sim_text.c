#include "evenkeel/control/sim_text.h"

#include "evenkeel/base/num.h"

static void
pad(struct textbuf *out, size_t from, size_t width)
{
	while (out->len < from + width && !out->full)
		textbuf_byte(out, ' ');
}

void
sim_text_put_right(struct textbuf *out, struct span text, size_t width)
{
	if (text.len < width)
		pad(out, out->len, width - text.len);
	textbuf_put(out, text);
}

void
sim_text_put_count(struct textbuf *out, uint64_t n, size_t width)
{
	char digits[NUM_U64_DIGITS];

	sim_text_put_right(
	    out, span_make(digits, num_put_u64(digits, n)), width);
}

void
sim_text_put_name(struct textbuf *out, const char *name, size_t width)
{
	size_t from = out->len;

	textbuf_str(out, name);
	textbuf_byte(out, ' ');
	pad(out, from, width);
}

void
sim_text_put_decimal(
    struct textbuf *out, uint64_t n, uint64_t unit, unsigned places)
{
	uint64_t scale = 1;

	for (unsigned i = 0; i < places; i++)
		scale *= 10;
	n = (n * scale + unit / 2) / unit;
	textbuf_u64(out, n / scale);
	if (places == 0)
		return;
	textbuf_byte(out, '.');
	textbuf_u64_padded(out, n % scale, places);
}

void
sim_text_put_time(struct textbuf *out, uint64_t us)
{
	uint64_t unit = us < 1000000 ? 1000 : 1000000;
	unsigned places = us < 10 * unit ? 2 : us < 100 * unit ? 1 : 0;

	if (us % unit == 0)
		places = 0;
	sim_text_put_decimal(out, us, unit, places);
	textbuf_str(out, unit == 1000 ? " ms" : " s");
}

void
sim_text_put_time_right(struct textbuf *out, const char *sign, uint64_t us)
{
	char bytes[40];
	struct textbuf t = textbuf_make(bytes, sizeof(bytes));

	textbuf_str(&t, sign);
	sim_text_put_time(&t, us);
	sim_text_put_right(out, textbuf_span(&t), 11);
}

void
sim_text_put_share(struct textbuf *out, uint64_t part, uint64_t whole)
{
	uint64_t unit = 10000;
	unsigned places = 4;
	uint64_t share = whole == 0
	    ? 1000000
	    : (uint64_t)((double)part * 1e6 / (double)whole);

	for (; places > 0 && share % 10 == 0; places--) {
		share /= 10;
		unit /= 10;
	}
	sim_text_put_decimal(out, share, unit, places);
	textbuf_lit(out, " %");
}

void
sim_text_put_ratio(
    struct textbuf *out, uint64_t part, uint64_t whole, size_t width)
{
	char bytes[40];
	struct textbuf t = textbuf_make(bytes, sizeof(bytes));

	if (whole == 0)
		textbuf_byte(&t, '-');
	else
		sim_text_put_decimal(&t, part, whole, 3);
	sim_text_put_right(out, textbuf_span(&t), width);
}
