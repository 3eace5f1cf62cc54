/*
 * server - the whole of a running evenkeel: starts it, waits, stops it.
 *
 * The control thread is the one that calls server_run.  It owns the signals,
 * the admin and control sockets, the snapshot, and the workers' lives.
 *
 * Layer: control.
 */
#ifndef EVENKEEL_CONTROL_SERVER_H
#define EVENKEEL_CONTROL_SERVER_H

#include <stdbool.h>

#include "evenkeel/base/check.h"
#include "evenkeel/config/build.h"
#include "evenkeel/control/upgrade.h"

struct server_options {
	const struct cfg *cfg;
	const char *file;    /* where it came from; empty: command line */
	const char *control; /* path of the control socket */
	const struct cfg_problem *warnings; /* logged at the start */
	struct inherit *inherit;            /* sockets that were handed over */
	const struct upgrade_program *program;
	bool demo; /* start the backends nobody else does */
};

enum server_end {
	SERVER_STOPPED, /* by a signal, in order */
	SERVER_FAILED,  /* it could not start or go on */
	SERVER_REFUSED  /* what the configuration names cannot be used */
};

/* Runs until a signal ends it; what is wrong is on standard error. */
enum server_end server_run(const struct server_options *o) WARN_UNUSED;

#endif
