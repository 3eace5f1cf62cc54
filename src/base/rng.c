#include "evenkeel/base/rng.h"

static uint64_t
splitmix(uint64_t *x)
{
	uint64_t z = (*x += 0x9e3779b97f4a7c15U);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

static uint64_t
rotate(uint64_t x, int bits)
{
	return (x << bits) | (x >> (64 - bits));
}

void
rng_init(struct rng *r, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		r->s[i] = splitmix(&seed);
	if ((r->s[0] | r->s[1] | r->s[2] | r->s[3]) == 0)
		r->s[0] = 1;
}

uint64_t
rng_next(struct rng *r)
{
	uint64_t *s = r->s;
	uint64_t result = rotate(s[0] + s[3], 23) + s[0];
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

uint64_t
rng_upto(struct rng *r, uint64_t bound)
{
	uint64_t range = bound + 1, limit, x;

	if (range == 0)
		return rng_next(r);
	/* The largest multiple of `range` below 2^64; draws above it are
	 * thrown away, fewer than half of them, so 64 rounds always suffice. */
	limit = UINT64_MAX - UINT64_MAX % range;
	for (int i = 0; i < 64; i++) {
		x = rng_next(r);
		if (x < limit)
			return x % range;
	}
	return 0;
}
