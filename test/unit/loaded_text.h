/* loaded_text.h - a configuration from the text of a file; it is freed, with
 * its memory, when nobody holds it any more. */
#ifndef EVENKEEL_TEST_LOADED_TEXT_H
#define EVENKEEL_TEST_LOADED_TEXT_H

#include "evenkeel/config/problem.h"
#include "evenkeel/control/loader.h"

#define LOADED_TEXT_BYTES 4096

static inline struct loaded *
loaded_text(const char *text)
{
	struct loaded *l = loaded_of(NULL, NULL);
	char bytes[LOADED_TEXT_BYTES];
	struct textbuf t = textbuf_make(bytes, sizeof(bytes));

	assert_non_null(l);
	assert_true(inifile_parse(&l->file, span_of(text)));
	l->owned = true;
	l->cfg = l->file.cfg;
	l->problems = l->file.problems;
	if (l->cfg == NULL) {
		cfg_put_problems(&t, "text", l->problems);
		fail_msg("%.*s", (int)t.len, t.ptr);
	}
	return l;
}

#endif
