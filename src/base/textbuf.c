#include "evenkeel/base/textbuf.h"

#include "evenkeel/base/num.h"

void
textbuf_str(struct textbuf *t, const char *text)
{
	textbuf_put(t, span_of(text));
}

void
textbuf_byte(struct textbuf *t, char c)
{
	textbuf_put(t, span_make(&c, 1));
}

void
textbuf_u64(struct textbuf *t, uint64_t value)
{
	char digits[NUM_U64_DIGITS];

	textbuf_put(t, span_make(digits, num_put_u64(digits, value)));
}

void
textbuf_hex(struct textbuf *t, uint64_t value)
{
	char digits[NUM_HEX_DIGITS];

	textbuf_put(t, span_make(digits, num_put_hex(digits, value)));
}

void
textbuf_u64_padded(struct textbuf *t, uint64_t value, unsigned width)
{
	char digits[NUM_U64_DIGITS];
	size_t n = num_put_u64(digits, value);

	for (size_t i = n; i < width && i < NUM_U64_DIGITS; i++)
		textbuf_byte(t, '0');
	textbuf_put(t, span_make(digits, n));
}

static bool
json_plain(char c)
{
	return (unsigned char)c >= 0x20 && (unsigned char)c < 0x7f &&
	    c != '"' && c != '\\';
}

static void
json_escape(struct textbuf *t, char c)
{
	static const char digits[] = "0123456789abcdef";
	char text[6] = {'\\', 'u', '0', '0', 0, 0};

	if (c == '"' || c == '\\') {
		text[1] = c;
		textbuf_put(t, span_make(text, 2));
		return;
	}
	text[4] = digits[((unsigned char)c >> 4) & 15];
	text[5] = digits[(unsigned char)c & 15];
	textbuf_put(t, span_make(text, 6));
}

void
textbuf_json(struct textbuf *t, struct span s)
{
	size_t from = 0;

	for (size_t i = 0; i < s.len; i++) {
		if (json_plain(s.ptr[i]))
			continue;
		textbuf_put(t, span_make(s.ptr + from, i - from));
		json_escape(t, s.ptr[i]);
		from = i + 1;
	}
	if (from < s.len)
		textbuf_put(t, span_make(s.ptr + from, s.len - from));
}
