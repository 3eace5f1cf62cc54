/*
 * sim_text - numbers, times and shares as a simulation's report shows them.
 *
 * Layer: control.  Pure.
 */
#ifndef EVENKEEL_CONTROL_SIM_TEXT_H
#define EVENKEEL_CONTROL_SIM_TEXT_H

#include "evenkeel/base/textbuf.h"

/* `width`: with spaces in front (right, count, ratio) or behind (name; at least
 * one). */
void sim_text_put_right(struct textbuf *out, struct span text, size_t width);
void sim_text_put_count(struct textbuf *out, uint64_t n, size_t width);
void sim_text_put_name(struct textbuf *out, const char *name, size_t width);

/* n / `unit`, rounded to `places` decimals. */
void sim_text_put_decimal(
    struct textbuf *out, uint64_t n, uint64_t unit, unsigned places);

/* "0.35 ms", "12.4 ms", "1.25 s", "30 s"; or in a column of 11 with a sign. */
void sim_text_put_time(struct textbuf *out, uint64_t us);
void
sim_text_put_time_right(struct textbuf *out, const char *sign, uint64_t us);

/* "99.97 %"; never 100 % of less than the whole.  100 % of nothing. */
void sim_text_put_share(struct textbuf *out, uint64_t part, uint64_t whole);

/* "1.034"; "-" of nothing. */
void sim_text_put_ratio(
    struct textbuf *out, uint64_t part, uint64_t whole, size_t width);

#endif
