/*
 * query - values in the query of a target: "/drain?pool=web&backend=b1".
 *
 * Values are percent-encoded; a plus sign is a plus sign.
 *
 * Layer: control.  Touches only its arguments.
 *
 * Sources: RFC 3986 2.1 (percent-encoding), 2.3 (unreserved).
 */
#ifndef EVENKEEL_CONTROL_QUERY_H
#define EVENKEEL_CONTROL_QUERY_H

#include "evenkeel/base/check.h"
#include "evenkeel/base/textbuf.h"

/* The part of `target` before its query. */
struct span query_path(struct span target);

/* Appends the value of `key`, decoded.  False: it is not there, or twice, or
 * not well encoded, or `out` is full. */
bool
query_get(struct span target, struct span key, struct textbuf *out) WARN_UNUSED;

/* Appends `value`, encoded. */
void query_put(struct textbuf *out, struct span value);

#endif
