/*
 * markdown - docs/config.md, from the option table.
 *
 * Layer: config.  Pure.
 */
#ifndef EVENKEEL_CONFIG_MARKDOWN_H
#define EVENKEEL_CONFIG_MARKDOWN_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/config/option.h"

/* docs/config.md: the whole reference, in Markdown. */
void markdown_put_options(struct textbuf *out);

/* Its parts that are not from the table: what comes before the sections, and
 * the heading and first words of a section. */
struct span markdown_intro(void);
struct span markdown_about(enum option_section s);

#endif
