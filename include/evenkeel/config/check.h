/*
 * check - what only the whole configuration can tell.
 *
 * Layer: config.  Pure.  Internal to the layer.
 */
#ifndef EVENKEEL_CONFIG_CHECK_H
#define EVENKEEL_CONFIG_CHECK_H

#include "evenkeel/config/draft.h"

/* Reports required keys that lack, names that lead nowhere, binds and backends
 * that stand twice; warns of what works but is odd. */
void check_draft(struct cfg_build *b);

#endif
