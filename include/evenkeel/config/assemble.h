/*
 * assemble - arrays and pointers from the lists of a draft.
 *
 * Layer: config.  Pure.  Internal to the layer.
 */
#ifndef EVENKEEL_CONFIG_ASSEMBLE_H
#define EVENKEEL_CONFIG_ASSEMBLE_H

#include "evenkeel/config/draft.h"

/* After a check without an error: makes b->cfg of the sections.  Without
 * memory b->arena->failed is set. */
void assemble_draft(struct cfg_build *b);

#endif
