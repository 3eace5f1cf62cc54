/*
 * sim_report - what a simulation has shown, as a table for people.
 *
 * Layer: control.  Pure.
 */
#ifndef EVENKEEL_CONTROL_SIM_REPORT_H
#define EVENKEEL_CONTROL_SIM_REPORT_H

#include "evenkeel/control/sim_script.h"
#include "evenkeel/control/sim_tally.h"

struct sim_report {
	const struct sim_script *script;
	const struct sim_tally *with;    /* the faults of the script */
	const struct sim_tally *without; /* the same, were there none */
};

void sim_report_put(struct textbuf *out, const struct sim_report *r);
#endif
