#include "evenkeel/policy/health.h"

#include "evenkeel/base/check.h"

/*@ requires \valid_read(r);
    assigns \nothing;
    ensures \result <==> health_rules_valid(r);
*/
static bool
rules_ok(const struct health_rules *r)
{
	return r->rise >= 1 && r->rise <= HEALTH_ROW_MAX && r->fall >= 1 &&
	    r->fall <= HEALTH_ROW_MAX;
}

/* The end of the range: up for long. */
/*@ requires \valid_read(r) && health_rules_valid(r);
    assigns \nothing;
    ensures \result == r->rise + r->fall - 1;
*/
static uint32_t
top(const struct health_rules *r)
{
	return r->rise + r->fall - 1;
}

bool
health_ok(const struct health *h, const struct health_rules *r)
{
	return rules_ok(r) && h->level <= top(r);
}

void
health_init(struct health *h, const struct health_rules *r, bool up)
{
	CHECK(rules_ok(r));
	h->level = up ? top(r) : 0;
}

bool
health_is_up(const struct health *h, const struct health_rules *r)
{
	return h->level >= r->rise;
}

void
health_adapt(struct health *h, const struct health_rules *old,
    const struct health_rules *now)
{
	uint32_t bad;

	CHECK(health_ok(h, old) && rules_ok(now));
	if (health_is_up(h, old)) {
		bad = top(old) - h->level;
		if (bad > now->fall - 1)
			bad = now->fall - 1;
		h->level = top(now) - bad;
	} else if (h->level > now->rise - 1) {
		h->level = now->rise - 1;
	}
}

/*@ requires \valid(h) && \valid_read(r) && \separated(h, r);
    requires health_valid(h, r);
    assigns h->level;
    ensures \old(h->level) + 1 < r->rise ==>
      h->level == \old(h->level) + 1 && \result == HEALTH_SAME;
    ensures \old(h->level) + 1 >= r->rise ==>
      h->level == r->rise + r->fall - 1 &&
      \result == (\old(h->level) >= r->rise ? HEALTH_SAME : HEALTH_WENT_UP);
*/
static enum health_change
good(struct health *h, const struct health_rules *r)
{
	bool was_up = health_is_up(h, r);

	h->level++;
	if (h->level < r->rise)
		return HEALTH_SAME;
	h->level = top(r);
	return was_up ? HEALTH_SAME : HEALTH_WENT_UP;
}

/*@ requires \valid(h) && \valid_read(r) && \separated(h, r);
    requires health_valid(h, r);
    assigns h->level;
    ensures \old(h->level) > r->rise ==>
      h->level == \old(h->level) - 1 && \result == HEALTH_SAME;
    ensures \old(h->level) <= r->rise ==> h->level == 0 &&
      \result == (\old(h->level) == r->rise ? HEALTH_WENT_DOWN : HEALTH_SAME);
*/
static enum health_change
bad(struct health *h, const struct health_rules *r)
{
	bool was_up = health_is_up(h, r);

	if (h->level > r->rise) {
		h->level--;
		return HEALTH_SAME;
	}
	h->level = 0;
	return was_up ? HEALTH_WENT_DOWN : HEALTH_SAME;
}

enum health_change
health_report(struct health *h, const struct health_rules *r,
    enum health_result result, bool answered)
{
	CHECK(health_ok(h, r) && result < HEALTH_RESULTS);
	if (result == HEALTH_OK)
		return good(h, r);
	if (result == HEALTH_TIMEOUT && answered)
		return HEALTH_SAME;
	return bad(h, r);
}

uint32_t
health_next_ms(uint32_t interval_ms, uint64_t random)
{
	uint32_t tenth = interval_ms / 10;

	CHECK(interval_ms >= 1 && interval_ms <= HEALTH_INTERVAL_MAX_MS);
	return interval_ms - tenth + (uint32_t)(random % (2 * tenth + 1));
}

uint32_t
health_first_ms(uint32_t interval_ms, uint64_t index, uint64_t n)
{
	CHECK(interval_ms <= HEALTH_INTERVAL_MAX_MS && index < n &&
	    n <= UINT32_MAX);
	if (index < HEALTH_AT_ONCE)
		return 0;
	return (uint32_t)(interval_ms * (index - HEALTH_AT_ONCE) /
	    (n - HEALTH_AT_ONCE));
}
