/*
 * value - numbers, durations, sizes, words and paths as text, and back.
 *
 * Layer: config.  Pure.
 */
#ifndef EVENKEEL_CONFIG_VALUE_H
#define EVENKEEL_CONFIG_VALUE_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/config/arena.h"
#include "evenkeel/config/option.h"

/* What value_put writes at most: a value of one line of a file. */
#define VALUE_TEXT_MAX 4096

enum value_outcome {
	VALUE_OK,
	VALUE_BAD,
	VALUE_NO_MEMORY /* the arena has failed */
};

/* Parses `text` for a plain option into its field of `object`.  VALUE_BAD:
 * `why` got the reason, without the value and without what is allowed; the
 * field is untouched.  The arena is for texts alone, else it may be NULL. */
enum value_outcome value_parse(const struct option *o, struct arena *a,
    struct span text, void *object, struct textbuf *why) WARN_UNUSED;

/* The value of such an option, as value_parse reads it; nothing when it is not
 * set. */
void value_put(struct textbuf *out, const struct option *o, const void *object);

/* 0, or in the largest unit that divides it: "90s", "2m", "1500ms". */
void value_put_duration(struct textbuf *out, uint64_t ms);
/* In the largest unit that divides it: "16k", "8M", "1000". */
void value_put_size(struct textbuf *out, uint64_t bytes);

/* One value that needs nothing but itself: all types up to OPTION_TEXT. */
bool value_is_plain(const struct option *o);
/* Of those: the field is a const char *. */
bool value_is_text(const struct option *o);

/* Whether it may be the value of an OPTION_TEXT, OPTION_FILE or OPTION_FILES: a
 * path, or one of its words; else `why` got the reason. */
bool value_check_text(
    const struct option *o, struct span text, struct textbuf *why) WARN_UNUSED;
/* Whether it is one of the option's words. */
bool value_is_word(const struct option *o, struct span text);

/* A name of the configuration: letters, digits, '_', '.', '-'. */
bool value_is_name(struct span text);

/* What stands between two '|' of `words`, beginning at `*rest`; see
 * span_next_element. */
bool value_next_word(struct span *rest, struct span *word) WARN_UNUSED;

#endif
