/*
 * orders - what the control socket takes besides reading: drain, undrain and
 * reload.
 *
 *   POST /drain?pool=P&backend=B     no new requests; says so in words
 *   GET  /drain?pool=P&backend=B     "draining N", "drained 0" or "serving N":
 *                                    N requests are in flight
 *   POST /undrain?pool=P&backend=B
 *   POST /reload                     the number of the reload
 *   GET  /reload?number=N            a line "pending", "applied" or "refused";
 *                                    then the differences, or all errors
 *
 * Who wants to wait asks again: nobody's wait is kept here.  What nobody knows
 * is 404, with the nearest known name in the text.
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_ORDERS_H
#define EVENKEEL_CONTROL_ORDERS_H

#include "evenkeel/control/guard.h"
#include "evenkeel/control/pages.h"
#include "evenkeel/control/reload.h"

struct orders {
	struct guard *guard;
	struct reload *reload; /* NULL: nothing can be reloaded */
	struct pages *pages;   /* for everything that is only read */
	uint64_t asked;        /* the highest number given out here */
};

/* The control socket's handler; `arg` is the struct orders. */
void orders_on_control(
    const struct httpd_request *r, struct httpd_answer *a, void *arg);

#endif
