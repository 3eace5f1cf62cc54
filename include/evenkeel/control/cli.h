/*
 * cli - from the command line to a verb, and what each verb does.
 *
 * Layer: control.  The main thread.
 */
#ifndef EVENKEEL_CONTROL_CLI_H
#define EVENKEEL_CONTROL_CLI_H

/* Does what the command line says; returns the exit code: 0 done, 1 a run-time
 * failure or nobody there, 2 a usage or configuration error. */
int cli_main(int argc, char **argv);

#endif
