#include "evenkeel/control/words.h"

const char *
words_seconds(char out[WORDS_SECONDS_BYTES], uint64_t ms)
{
	struct textbuf t = textbuf_make(out, WORDS_SECONDS_BYTES - 1);
	uint64_t rest = ms % 1000;
	unsigned width = 3;

	textbuf_u64(&t, ms / 1000);
	for (; rest > 0 && rest % 10 == 0; width--)
		rest /= 10;
	if (rest > 0) {
		textbuf_byte(&t, '.');
		textbuf_u64_padded(&t, rest, width);
	}
	textbuf_lit(&t, " s");
	out[t.len] = '\0';
	return out;
}
