/*
 * cfgfile - the configuration that the command line means, and the control
 * socket it leads to.
 *
 * Layer: control.  The main thread.
 */
#ifndef EVENKEEL_CONTROL_CFGFILE_H
#define EVENKEEL_CONTROL_CFGFILE_H

#include "evenkeel/control/args.h"
#include "evenkeel/net/inifile.h"

#define CFGFILE_PATH_BYTES 256

/* Of -c, else ./lb.ini, else /etc/evenkeel/lb.ini. */
const char *cfgfile_name(const struct args *a);

/* Reads it, and prints what is wrong or odd.  False: do not go on; there is
 * nothing to free. */
bool cfgfile_load(const struct args *a, struct inifile *f) WARN_UNUSED;

/* On standard error. */
void
cfgfile_print_problems(const char *file, const struct cfg_problem *problems);

/* The control socket of a configuration (or NULL), or the default.  `text` has
 * room for CFGFILE_PATH_BYTES and is where the answer may lie. */
const char *
cfgfile_control(const struct args *a, const struct cfg *cfg, char *text);

/* Where the running process listens.  The file is read tolerantly: one with
 * errors still leads there. */
const char *cfgfile_find_control(const struct args *a, char *text);

#endif
