/*
 * start - the steps from a configuration to a process that serves.
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_START_H
#define EVENKEEL_CONTROL_START_H

#include "evenkeel/control/running.h"

/* Takes them all: the workers run then.  False: `s->why` says what is wrong,
 * and what there is is for the stop. */
bool start_all(struct server *s) WARN_UNUSED;

#endif
