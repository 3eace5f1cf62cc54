/*
 * log_text - the form of a message in the log: text or json.
 *
 * Layer: net, for `log` alone.  Any thread.
 */
#ifndef EVENKEEL_NET_LOG_TEXT_H
#define EVENKEEL_NET_LOG_TEXT_H

#include <stdint.h>

#include "evenkeel/base/span.h"
#include "evenkeel/base/textbuf.h"
#include "evenkeel/net/log.h"

/* A message with every byte escaped, its time, level and punctuation. */
#define LOG_TEXT_BYTES (6 * LOG_LINE_BYTES + 128)

/*
 * Appends `message` as one line with the current time; with LOG_TEXT_BYTES of
 * room a message of LOG_LINE_BYTES fits.  Returns how many bytes at its front
 * are for files alone: time and level of a text line, for syslog brings its
 * own.
 */
uint8_t log_text_put(struct textbuf *t, enum log_format format,
    enum log_level level, struct span message);

#endif
