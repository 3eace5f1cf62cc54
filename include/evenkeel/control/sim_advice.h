/*
 * sim_advice - what a simulation suggests: one line about what lost the most
 * requests, or else cost the most time, and the options it hangs on.
 *
 * Layer: control.  Pure.
 */
#ifndef EVENKEEL_CONTROL_SIM_ADVICE_H
#define EVENKEEL_CONTROL_SIM_ADVICE_H

#include "evenkeel/control/sim_report.h"

/* From then on waiting sticks out. */
#define SIM_ADVICE_ADDED_US 500000U

/* Nothing when nothing sticks out; no end of line. */
void sim_advice_put(struct textbuf *out, const struct sim_report *r);

#endif
