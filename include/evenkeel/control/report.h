/*
 * report - what a valid configuration comes to: the answer of `check`.
 *
 * Layer: control.  Pure.
 */
#ifndef EVENKEEL_CONTROL_REPORT_H
#define EVENKEEL_CONTROL_REPORT_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/config/config.h"

/* One line that it is valid, one per listener, and the worst case of each
 * pool: the longest a client can wait, the most attempts, the load while all
 * backends fail, and how soon a dead backend is out and a live one back. */
void report_put(struct textbuf *out, const char *file, const struct cfg *cfg);

#endif
