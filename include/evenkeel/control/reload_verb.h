/*
 * reload_verb - the verb reload, on the side of who asks.
 *
 * The order is given once; then the running process is asked what has come of
 * it, at first after RELOAD_VERB_FIRST_MS, later every RELOAD_VERB_ASK_MS.  Who
 * stops waiting does not stop the reload.
 *
 * Layer: control.  Blocking; not for a thread that runs a loop.
 */
#ifndef EVENKEEL_CONTROL_RELOAD_VERB_H
#define EVENKEEL_CONTROL_RELOAD_VERB_H

#include "evenkeel/base/check.h"

#define RELOAD_VERB_FIRST_MS 5U
#define RELOAD_VERB_ASK_MS   100U
/* Less than the 90 s after which systemd ends an ExecReload that says nothing.
 */
#define RELOAD_VERB_WAIT_MS 80000U
/* Questions without an answer, one after the other, until it gives up. */
#define RELOAD_VERB_TRIES 3U

/*
 * Asks the process at the control socket `control` to reload, waits, and prints
 * what has changed, or all errors on standard error.  The exit code: 0 applied;
 * 1 nobody there, it ended meanwhile, or the time is up; 2 refused.
 */
int reload_verb_run(const char *control) WARN_UNUSED;

#endif
