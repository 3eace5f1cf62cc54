/*
 * handover - what another process is to have when it takes over: collects it
 * at the one side, and takes it at the other what is not a socket (drains).
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_HANDOVER_H
#define EVENKEEL_CONTROL_HANDOVER_H

#include "evenkeel/control/admin.h"
#include "evenkeel/control/binds.h"
#include "evenkeel/control/guard.h"
#include "evenkeel/control/reload.h"
#include "evenkeel/control/upgrade.h"

struct handover {
	struct upgrade *upgrade;
	const struct binds *binds;
	const struct admin *admin;
	struct reload *reload;
	struct guard *guard;
	struct log_ring *log;
};

/* Starts the other process, and has reloads refused while it starts.  If that
 * cannot be now, or `why_not` says that it must not be, the log tells why;
 * NULL: nothing is against it. */
void handover_begin(const struct handover *h, const char *why_not);

/* At the other side, when the first configuration is in force: drains what the
 * process before had draining (`more` of inherit). */
void handover_take(struct guard *g, struct span more);

#endif
