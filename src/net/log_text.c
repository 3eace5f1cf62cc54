#include "evenkeel/net/log_text.h"

#include <string.h>

#include "evenkeel/http/access.h"
#include "evenkeel/net/clock.h"

static const char *const words[] = {"error", "warn", "info", "debug"};

static void
put_escaped(struct textbuf *t, struct span s)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		/* From 0x7f up too: terminals obey C1 controls. */
		if (c >= 0x20 && c < 0x7f) {
			textbuf_byte(t, s.ptr[i]);
			continue;
		}
		textbuf_lit(t, "\\x");
		textbuf_byte(t, digits[c >> 4]);
		textbuf_byte(t, digits[c & 15]);
	}
}

uint8_t
log_text_put(struct textbuf *t, enum log_format format, enum log_level level,
    struct span message)
{
	size_t begin = t->len, stamp;

	if (format == LOG_FORMAT_JSON) {
		textbuf_lit(t, "{\"time\":\"");
		access_put_time(t, clock_unix_ms());
		textbuf_lit(t, "\",\"level\":\"");
		textbuf_str(t, words[level]);
		textbuf_lit(t, "\",\"message\":\"");
		textbuf_json(t, message);
		textbuf_lit(t, "\"}\n");
		return 0;
	}
	access_put_time(t, clock_unix_ms());
	textbuf_lit(t, " ");
	textbuf_str(t, words[level]);
	textbuf_put(t, span_make("  ", 6 - strlen(words[level])));
	stamp = t->len - begin;
	put_escaped(t, message);
	textbuf_lit(t, "\n");
	return (uint8_t)stamp;
}
