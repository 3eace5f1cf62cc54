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

#define VERBS_TARGET_BYTES 2048

struct verbs_answer {
	unsigned status;
	char *text; /* to be freed; no NUL at its end */
	size_t len;
};

/* Sends `method` and `target`, at most VERBS_TARGET_BYTES, to the process at
 * the control socket `path`.  ASK_OK: *answer is its answer, whatever its
 * status; else *why. */
enum ask_result
verbs_call(const char *path, const char *method, struct span target,
    struct verbs_answer *answer, const char **why) WARN_UNUSED;

/* GET `target` from the process at the control socket `path`.  ASK_OK:
 * *answer is the text of its answer, to be freed. */
enum ask_result verbs_get(const char *path, const char *target, char **answer,
    size_t *len, const char **why) WARN_UNUSED;

/* The default control path for this user, with a NUL. */
void verbs_put_default_path(struct textbuf *out);

#endif
