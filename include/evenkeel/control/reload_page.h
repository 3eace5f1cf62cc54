/*
 * reload_page - what the pages tell of reloads: which configuration is in
 * force, and what came of the last attempt at another one.
 *
 * Where nothing can be reloaded `r` is NULL: the configuration in force is the
 * first, and there was no reload.
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_RELOAD_PAGE_H
#define EVENKEEL_CONTROL_RELOAD_PAGE_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/control/reload.h"

/* So much of the last reload's text is in the status, in whole lines. */
#define RELOAD_PAGE_TEXT_BYTES 65536U

/* The members config_generation and last_reload (null: none has ended yet),
 * each with a comma in front. */
void reload_page_put_json(struct textbuf *out, const struct reload *r);

/* A line about the last reload; nothing when none has ended yet. */
void reload_page_put_text(
    struct textbuf *out, const struct reload *r, uint64_t now_unix_ms);

/* The families evenkeel_reloads_total and evenkeel_config_generation. */
void reload_page_put_metrics(struct textbuf *out, const struct reload *r);

#endif
