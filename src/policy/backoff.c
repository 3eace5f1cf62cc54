#include "evenkeel/policy/backoff.h"

#include "evenkeel/base/check.h"

bool
backoff_ok(const struct backoff_policy *p)
{
	return p->base_ms >= 1 && p->base_ms <= p->cap_ms &&
	    p->cap_ms <= BACKOFF_LIMIT_MS && p->jitter <= BACKOFF_NONE;
}

uint32_t
backoff_ceiling_ms(const struct backoff_policy *p, uint32_t n)
{
	uint32_t ceiling, i;

	CHECK(backoff_ok(p));
	ceiling = p->base_ms;
	/* Ends at the cap: base_ms >= 1 reaches any in 27 rounds. */
	/*@ loop invariant 1 <= i && (i <= n || i == 1);
	    loop invariant p->base_ms <= ceiling <= p->cap_ms;
	    loop invariant ceiling == backoff_at(p->base_ms, p->cap_ms, i);
	    loop assigns i, ceiling;
	    loop variant n - i;
	*/
	for (i = 1; i < n && ceiling < p->cap_ms; i++)
		ceiling = ceiling > p->cap_ms / 2 ? p->cap_ms : 2 * ceiling;
	/*@ ghost
	    /@ loop invariant ceiling == backoff_at(p->base_ms, p->cap_ms, j);
	       loop invariant j >= n || ceiling == p->cap_ms;
	       loop invariant j <= n || j == 1;
	       loop assigns j;
	       loop variant n - j;
	    @/
	    for (uint32_t j = i; j < n; j++);
	*/
	return ceiling;
}

/* In [low, high]; a remainder of 64 bits by at most 2^27 has a bias of 2^-37.
 */
/*@ requires low <= high < UINT32_MAX;
    assigns \nothing;
    ensures low <= \result <= high;
*/
static uint32_t
between(uint32_t low, uint32_t high, uint64_t random)
{
	return low + (uint32_t)(random % (high - low + 1));
}

uint32_t
backoff_wait_ms(const struct backoff_policy *p, uint32_t n, uint64_t random)
{
	uint32_t ceiling = backoff_ceiling_ms(p, n);

	switch (p->jitter) {
	case BACKOFF_FULL:
		return between(0, ceiling, random);
	case BACKOFF_EQUAL:
		return between(ceiling / 2, ceiling, random);
	case BACKOFF_NONE:
		break;
	}
	return ceiling;
}
