/*
 * drain - the verbs drain and undrain, on the side of who asks.
 *
 * The order is given once; then the running process is asked every
 * DRAIN_ASK_MS how many requests are left.  The wait is this process' alone:
 * when it ends, by its time or by a signal, the backend stays draining.
 *
 * Layer: control.  Blocking; not for a thread that runs a loop.
 */
#ifndef EVENKEEL_CONTROL_DRAIN_H
#define EVENKEEL_CONTROL_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "evenkeel/base/check.h"

#define DRAIN_ASK_MS 50U
/* Between two lines about what is left. */
#define DRAIN_SAY_MS 1000U
/* When the time is up and nothing is in flight, workers may take this much
 * longer to take notice of the drain. */
#define DRAIN_GRACE_MS 1000U
#define DRAIN_FOREVER  UINT32_MAX

struct drain_request {
	const char *control; /* path of the control socket */
	const char *whom;    /* POOL/BACKEND */
	uint32_t wait_ms;    /* or DRAIN_FOREVER */
};

/* POOL/BACKEND, neither of them empty. */
bool drain_names_both(const char *whom);

/* Both want drain_names_both.  The exit code: 0 done; 1 time is up, unknown
 * name, nobody there, or the drain was ended by somebody else. */
int drain_run(const struct drain_request *d) WARN_UNUSED;
int drain_undo(const struct drain_request *d) WARN_UNUSED;

#endif
