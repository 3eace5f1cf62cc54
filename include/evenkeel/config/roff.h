/*
 * roff - the manual page lb.ini(5), from the option table.
 *
 * The words around the options are those of docs/config.md; the little
 * Markdown in them is turned into macros of man(7).
 *
 * Layer: config.  Pure.
 *
 * Sources: man(7), groff_char(7).
 */
#ifndef EVENKEEL_CONFIG_ROFF_H
#define EVENKEEL_CONFIG_ROFF_H

#include "evenkeel/base/textbuf.h"

/* docs/man/lb.ini.5: the whole page. */
void roff_put_options(struct textbuf *out);

#endif
