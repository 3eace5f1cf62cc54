/*
 * markdown - docs/config.md, from the option table.
 *
 * Layer: config.  Pure.
 */
#ifndef EVENKEEL_CONFIG_MARKDOWN_H
#define EVENKEEL_CONFIG_MARKDOWN_H

#include "evenkeel/base/textbuf.h"

/* docs/config.md: the whole reference, in Markdown. */
void markdown_put_options(struct textbuf *out);

#endif
