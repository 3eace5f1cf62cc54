/*
 * teller - the lines of a diff, one for each section, and rows of names in
 * them.
 *
 * Layer: config.  Pure.  Internal to the layer: of config/diff.
 */
#ifndef EVENKEEL_CONFIG_TELLER_H
#define EVENKEEL_CONFIG_TELLER_H

#include "evenkeel/base/check.h"
#include "evenkeel/base/textbuf.h"
#include "evenkeel/config/option.h"

struct teller {
	struct textbuf *out;
	size_t lines;
	/* The section that is looked at. */
	enum option_section kind;
	const char *name;
	bool begun; /* its line has its beginning */
	/* Its name stands before the next element; NULL: it has been said. */
	const struct option *naming;
};

/* From here on it is about this section; nothing is written yet. */
void teller_begin(struct teller *t, enum option_section kind, const char *name);

/* One more thing in its line: "pool web: " or ", ". */
void teller_part(struct teller *t);

/* One more element of the list in t->naming. */
void teller_element(struct teller *t);

/* The line, if there is one, is over. */
void teller_end(struct teller *t);

/* Names in a row. */
struct teller_row {
	size_t listed, more;
};

/* Whether the next one is listed, too. */
bool teller_row_next(struct teller_row *r) WARN_UNUSED;

/* The same, with ", " between those that are. */
bool teller_row_comma(struct teller_row *r, struct textbuf *out) WARN_UNUSED;

/* ", and 9980 more". */
void teller_row_end(const struct teller_row *r, struct textbuf *out);

#endif
