/*
 * sim_words - the words of a statement of a simulation's script: numbers,
 * times, shares, and what is said about mistakes.
 *
 * Words are separated by white space, commas and '='; a number and its unit
 * are one word even with a space between; a ':' at the end of a word is none
 * of it.
 *
 * Layer: control.  Any thread; no state of its own.
 */
#ifndef EVENKEEL_CONTROL_SIM_WORDS_H
#define EVENKEEL_CONTROL_SIM_WORDS_H

#include "evenkeel/base/check.h"
#include "evenkeel/base/textbuf.h"
#include "evenkeel/config/nearest.h"

/* Of a statement. */
#define SIM_WORDS_MAX   32
#define SIM_WORDS_BYTES 1024
#define SIM_TIME_MAX_US (24ULL * 3600 * 1000000)
#define SIM_WHOLE       1000000U /* of a share */

/* A time drawn evenly; both ends included. */
struct sim_range {
	uint64_t from_us, to_us;
};

struct sim_words {
	struct textbuf *why; /* gets the mistake */
	unsigned line;
	struct span words[SIM_WORDS_MAX];
	size_t n, at; /* at: the next word */
	char bytes[SIM_WORDS_BYTES];
};

/* Splits `text`; the words lie in `w`. */
bool sim_words_split(struct sim_words *w, struct span text) WARN_UNUSED;

/* ' ', ',' and others, not the end of a line. */
bool sim_words_separates(char c);

/* "line 3: "word": what"; the word may be empty.  Returns false. */
bool sim_words_bad(struct sim_words *w, struct span word, const char *what);
/* The same with "did you mean". */
bool sim_words_bad_near(
    struct sim_words *w, const char *what, const struct nearest *near);

/* Without case; `names` ends with NULL. */
bool sim_words_is(struct span word, const char *name);
bool sim_words_is_any(struct span word, const char *const *names);

/* The next word; false and an empty one when there is none. */
bool sim_words_take(struct sim_words *w, struct span *word);

/* How many digits a word begins with. */
size_t sim_words_digits(struct span word);

/* "12" or "1.5" in thousandths, off the front of `word`; digits beyond the
 * third do not count, and too large a number is UINT64_MAX. */
bool sim_words_take_number(struct span *word, uint64_t *milli) WARN_UNUSED;

/* "1.5s", and "5%" as a part of SIM_WHOLE; false: it is none. */
bool sim_words_time_of(struct span word, uint64_t *us) WARN_UNUSED;
bool sim_words_share_of(struct span word, uint32_t *share) WARN_UNUSED;

/* The next word is a time, or two: "5ms..20ms", "5..20ms"; up to
 * SIM_TIME_MAX_US.  False: the mistake is told. */
bool sim_words_take_time(struct sim_words *w, uint64_t *us) WARN_UNUSED;
bool
sim_words_take_range(struct sim_words *w, struct sim_range *range) WARN_UNUSED;

#endif
