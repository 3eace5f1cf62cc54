#include "evenkeel/control/query.h"

#include "evenkeel/base/num.h"

struct span
query_path(struct span target)
{
	return span_make(target.ptr, span_find(target, '?'));
}

static bool
decode(struct span text, struct textbuf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		int high, low;

		if (text.ptr[i] != '%') {
			textbuf_byte(out, text.ptr[i]);
			continue;
		}
		if (text.len - i < 3)
			return false;
		high = num_hex_digit(text.ptr[i + 1]);
		low = num_hex_digit(text.ptr[i + 2]);
		if (high < 0 || low < 0)
			return false;
		textbuf_byte(out, (char)(high * 16 + low));
		i += 2;
	}
	return !out->full;
}

/* What stands before the next `c` of *rest, which goes on behind it. */
static struct span
cut(struct span *rest, char c)
{
	size_t at = span_find(*rest, c);
	struct span part = span_make(rest->ptr, at);

	*rest = at == rest->len
	    ? span_make(rest->ptr + at, 0)
	    : span_make(rest->ptr + at + 1, rest->len - at - 1);
	return part;
}

bool
query_get(struct span target, struct span key, struct textbuf *out)
{
	struct span value = SPAN_NONE;

	(void)cut(&target, '?');
	while (target.len > 0) {
		struct span pair = cut(&target, '&');

		if (!span_equal(cut(&pair, '='), key))
			continue;
		if (value.ptr != NULL)
			return false;
		value = pair;
	}
	return value.ptr != NULL && decode(value, out);
}

static bool
is_unreserved(char c)
{
	char lower = span_lower_byte(c);

	return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
	    c == '-' || c == '.' || c == '_' || c == '~';
}

void
query_put(struct textbuf *out, struct span value)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.ptr[i];

		if (is_unreserved(value.ptr[i])) {
			textbuf_byte(out, value.ptr[i]);
			continue;
		}
		textbuf_byte(out, '%');
		textbuf_byte(out, digits[c >> 4]);
		textbuf_byte(out, digits[c & 15]);
	}
}
