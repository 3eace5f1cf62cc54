/*
 * rehearse - would the user that evenkeel is to become get at its files?
 *
 * `check` asks it, so that a start, a reload or a rotation of logs does not
 * have to find out.
 *
 * Layer: control.  Becomes that user: for a process that ends soon.
 */
#ifndef EVENKEEL_CONTROL_REHEARSE_H
#define EVENKEEL_CONTROL_REHEARSE_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/config/config.h"

/*
 * Appends a line for each thing that would fail: the user itself, log,
 * access_log, pid_file, and the directory of `control`.  True: nothing would,
 * or nobody but root could find out.
 */
bool rehearse_put(struct textbuf *out, const char *file, const struct cfg *cfg,
    const char *control);

#endif
