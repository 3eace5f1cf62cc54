/*
 * simulate - the verb: what the policies of a configuration make of an outage
 * that a script tells (sim_script), beside the same time without it.
 *
 * Layer: control.  One thread; reads a file, else nothing outside.
 */
#ifndef EVENKEEL_CONTROL_SIMULATE_H
#define EVENKEEL_CONTROL_SIMULATE_H

#include "evenkeel/control/sim_report.h"

struct simulate_options {
	const struct cfg *cfg; /* outlives the simulation */
	/* A file, or "-" for standard input, or the text itself: when there is
	 * no such file and it has a space or a ';'. */
	const char *script;
	bool seed_given; /* `seed` holds, whatever the script says */
	uint64_t seed;
};

struct simulate {
	struct sim_script script, calm; /* calm: without faults */
	struct sim_report report;
	struct sim_tally *with, *without;
};

/* Plays it.  NULL: `why` says why not.  To be freed with simulate_free. */
struct simulate *simulate_play(
    const struct simulate_options *o, struct textbuf *why) WARN_UNUSED;
void simulate_free(struct simulate *s);

#endif
