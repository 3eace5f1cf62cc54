/*
 * sim_pick - who gets a simulated request, and on which connection: what
 * proxy/picker and proxy/pool do.
 *
 * Layer: control.  One thread.
 */
#ifndef EVENKEEL_CONTROL_SIM_PICK_H
#define EVENKEEL_CONTROL_SIM_PICK_H

#include "evenkeel/control/sim_request.h"
#include "evenkeel/proxy/picker.h"

/* Sets r->picked and r->reused unless it is PICKER_NONE. */
enum picker_result
sim_pick(struct sim_world *w, struct sim_request *r) WARN_UNUSED;

/* The same backend again, with a new connection. */
bool sim_pick_again(struct sim_request *r) WARN_UNUSED;

/* Whether a usable backend is untried. */
bool sim_pick_has_other(const struct sim_world *w, const struct sim_request *r);

/* The attempt is over; its connection is kept or closed. */
void sim_pick_done(struct sim_world *w, struct sim_request *r, bool keep);

#endif
