/*
 * verbs - talking to the running process through its control socket.
 *
 * The control socket speaks HTTP (try curl --unix-socket); it is mode 0600, so
 * who may open it may also order.
 *
 * Layer: control.  Blocking; not for a thread that runs a loop.
 */
#ifndef EVENKEEL_CONTROL_VERBS_H
#define EVENKEEL_CONTROL_VERBS_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/net/ask.h"

/* GET `target` from the process at the control socket `path`.  ASK_OK:
 * *answer is the text of its answer, to be freed. */
enum ask_result verbs_get(const char *path, const char *target, char **answer,
    size_t *len, const char **why) WARN_UNUSED;

/* The default control path for this user, with a NUL. */
void verbs_put_default_path(struct textbuf *out);

#endif
