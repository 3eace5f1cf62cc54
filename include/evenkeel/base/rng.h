/*
 * rng - reproducible pseudo-random numbers for jitter and identifiers.
 *
 * Not for secrets: whoever sees some outputs can compute the others.
 *
 * Layer: base.  Pure: the state is the caller's.
 *
 * Sources: xoshiro256++ 1.0 and splitmix64, Blackman and Vigna, "Scrambled
 * Linear Pseudorandom Number Generators", 2021.
 */
#ifndef EVENKEEL_BASE_RNG_H
#define EVENKEEL_BASE_RNG_H

#include <stdint.h>

struct rng {
	uint64_t s[4]; /* never all zero */
};

/* Any seed is good; equal seeds give equal sequences. */
void rng_init(struct rng *r, uint64_t seed);

/* Uniform over all 64-bit values. */
uint64_t rng_next(struct rng *r);

/* Uniform in [0, bound]; without the bias of a plain remainder. */
uint64_t rng_upto(struct rng *r, uint64_t bound);

#endif
