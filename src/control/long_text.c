#include "evenkeel/control/long_text.h"

#include <stdlib.h>

#define FIRST_BYTES 65536U
#define MAX_BYTES   (64U << 20)

bool
long_text_more(struct long_text *t)
{
	size_t cap = t->bytes == NULL ? FIRST_BYTES : 4 * t->out.cap;

	free(t->bytes);
	t->bytes = cap > MAX_BYTES ? NULL : malloc(cap);
	t->out = textbuf_make(t->bytes, t->bytes == NULL ? 0 : cap);
	return t->bytes != NULL;
}

void
long_text_print(struct long_text *t, FILE *to)
{
	fwrite(t->out.ptr, 1, t->out.len, to);
	free(t->bytes);
	t->bytes = NULL;
}

void
long_text_no_memory(void)
{
	fputs("evenkeel: out of memory\n", stderr);
}
