/*
 * log_text - the form of a message in the log: text or json.
 *
 * Layer: net, for `log` alone.  Any thread.
 */
#ifndef EVENKEEL_NET_LOG_TEXT_H
#define EVENKEEL_NET_LOG_TEXT_H

#include <stdbool.h>

#include "evenkeel/base/span.h"
#include "evenkeel/base/textbuf.h"
#include "evenkeel/net/log.h"

/* A message with every byte escaped, its time, level and punctuation. */
#define LOG_TEXT_BYTES (6 * LOG_LINE_BYTES + 128)

/*
 * Appends `message` as one line with the current time; with LOG_TEXT_BYTES of
 * room a message of LOG_LINE_BYTES fits.  Without `stamp` a text line has no
 * time and level: syslog brings its own.
 */
void log_text_put(struct textbuf *t, enum log_format format, bool stamp,
    enum log_level level, struct span message);

#endif
