/*
 * metrics_health - the families of /metrics about backends that fail and what
 * is done about it: states, checks, retries.
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_METRICS_HEALTH_H
#define EVENKEEL_CONTROL_METRICS_HEALTH_H

#include "evenkeel/control/pages.h"

/* Appends these families. */
void metrics_health_put(struct textbuf *out, const struct pages *p);

#endif
