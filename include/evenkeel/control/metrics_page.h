/*
 * metrics_page - /metrics: the families of evenkeel and their samples.
 *
 * Every family prints HELP and TYPE, also without samples; label values come
 * from the configuration alone, so their number is bounded.
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_METRICS_PAGE_H
#define EVENKEEL_CONTROL_METRICS_PAGE_H

#include "evenkeel/control/pages.h"

/* The whole page; out->full when it did not fit. */
void metrics_page_put(struct textbuf *out, const struct pages *p);

#endif
