/*
 * nearest - "did you mean ...?": the known name that is closest to a typo.
 *
 * Names are compared without case by the optimal string alignment distance:
 * one for a byte too many, too few or wrong, and for two neighbours that
 * changed places.  A name of under five bytes may be one edit away, a longer
 * one two, or a third of its length.
 *
 * Layer: config.  Pure.
 */
#ifndef EVENKEEL_CONFIG_NEAREST_H
#define EVENKEEL_CONFIG_NEAREST_H

#include <stddef.h>

#include "evenkeel/base/span.h"

/* A longer name has no nearest one. */
#define NEAREST_NAME_MAX 64
/* Candidates looked at for one typo. */
#define NEAREST_CANDIDATES_MAX 200

struct nearest {
	struct span typo;
	struct span best; /* SPAN_NONE: no candidate was near */
	size_t distance;  /* of the best, or one more than is allowed */
	size_t offered;
};

void nearest_init(struct nearest *n, struct span typo);

/* Keeps `name` when it is nearer than all before it. */
void nearest_offer(struct nearest *n, struct span name);

/* The same for each of the words that '|' separates. */
void nearest_offer_words(struct nearest *n, const char *words);

#endif
