/*
 * ask - one request and its answer over a unix socket, waiting for both.
 *
 * Layer: net.  Blocking; not for a thread that runs a loop.
 */
#ifndef EVENKEEL_NET_ASK_H
#define EVENKEEL_NET_ASK_H

#include <stddef.h>

#include "evenkeel/base/check.h"
#include "evenkeel/base/span.h"

/* How long the other side may be silent. */
#define ASK_TIMEOUT_MS   5000
#define ASK_ANSWER_BYTES (256U << 20)

enum ask_result {
	ASK_OK,     /* *answer is all that came until the end; to be freed */
	ASK_NOBODY, /* nobody listens at that path */
	ASK_FAILED  /* *why says what went wrong */
};

enum ask_result ask_unix(const char *path, struct span request, char **answer,
    size_t *len, const char **why) WARN_UNUSED;

#endif
