/*
 * problem - messages about a configuration, one piece after the other.
 *
 * "[pool web] key: "value": what is wrong; allowed: ..." is written by a begin,
 * some puts and an end.  (cfg_build_problem and cfg_put_problems, for those
 * outside the layer, are in config/build.h.)
 *
 * Layer: config.  Pure.  Internal to the layer.
 */
#ifndef EVENKEEL_CONFIG_PROBLEM_H
#define EVENKEEL_CONFIG_PROBLEM_H

#include "evenkeel/config/draft.h"
#include "evenkeel/config/nearest.h"

/* Quoted text is cut and names are short, so that every message fits. */
#define PROBLEM_TEXT_MAX 2048

/* One message being written; end every one with problem_end. */
struct problem {
	struct cfg_build *build;
	enum cfg_severity severity;
	unsigned line;
	struct textbuf text;
	char room[PROBLEM_TEXT_MAX];
};

/* Begins a message with "[pool web] ", when there is a section. */
void problem_begin(struct problem *m, struct cfg_build *b,
    enum cfg_severity severity, unsigned line, const struct draft_section *s);
/* Adds a name as it is, anything else in quotes. */
void problem_put_name(struct problem *m, struct span name);
/* Adds `key: "value": `. */
void
problem_put_value(struct problem *m, const struct option *o, struct span value);
/* Adds "; allowed: ..." for a value of the option. */
void problem_put_allowed(struct problem *m, const struct option *o);
/* Adds " (did you mean NAME?)" when a name is near; false when none is. */
bool problem_put_nearest(struct problem *m, const struct nearest *n);
void problem_end(struct problem *m);

#endif
