/*
 * long_text - a text of any length for a terminal or a pipe: written into a
 * buffer that is made larger, and written anew, until it fits.
 *
 * Begins as {.bytes = NULL}.
 *
 * Layer: control.  Any thread.
 */
#ifndef EVENKEEL_CONTROL_LONG_TEXT_H
#define EVENKEEL_CONTROL_LONG_TEXT_H

#include <stdio.h>

#include "evenkeel/base/check.h"
#include "evenkeel/base/textbuf.h"

struct long_text {
	struct textbuf out;
	char *bytes;
};

/* Empty, with room for the next try.  False: no memory, or too large; nothing
 * is kept. */
bool long_text_more(struct long_text *t) WARN_UNUSED;

/* Writes it and frees it. */
void long_text_print(struct long_text *t, FILE *to);

/* Says that there is no memory. */
void long_text_no_memory(void);

#endif
