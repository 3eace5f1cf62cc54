/*
 * sim_json - what a simulation has shown, as JSON; docs/simulate.md lists the
 * keys.
 *
 * Layer: control.  Pure.
 */
#ifndef EVENKEEL_CONTROL_SIM_JSON_H
#define EVENKEEL_CONTROL_SIM_JSON_H

#include "evenkeel/control/sim_report.h"

/* One object and an end of line. */
void sim_json_put(struct textbuf *out, const struct sim_report *r);

#endif
