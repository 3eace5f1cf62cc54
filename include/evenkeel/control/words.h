/*
 * words - how control says things to people.
 *
 * Layer: control.  Pure.
 */
#ifndef EVENKEEL_CONTROL_WORDS_H
#define EVENKEEL_CONTROL_WORDS_H

#include "evenkeel/base/textbuf.h"

/* Any time in words, with a NUL. */
#define WORDS_SECONDS_BYTES 32

/* "12.3 s", "10 s", "0.25 s"; returns `out`. */
const char *words_seconds(char out[WORDS_SECONDS_BYTES], uint64_t ms);

#endif
