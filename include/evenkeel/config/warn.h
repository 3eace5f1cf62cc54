/*
 * warn - what works as it is written, but is probably not what was meant.
 *
 * Layer: config.  Pure.  Internal to the layer.
 */
#ifndef EVENKEEL_CONFIG_WARN_H
#define EVENKEEL_CONFIG_WARN_H

#include "evenkeel/config/draft.h"

/* Warns of what is odd in a draft without errors.  A pool with the defaults
 * and two backends gives no warning. */
void warn_draft(struct cfg_build *b);

#endif
