#include "evenkeel/policy/eject.h"

#include "evenkeel/base/check.h"
#include "evenkeel/base/num.h"

bool
eject_rules_ok(const struct eject_rules *r)
{
	return r->base_ms >= 1 && r->base_ms <= r->cap_ms &&
	    r->cap_ms <= EJECT_TIME_MAX_MS && r->max_pct <= 100;
}

bool
eject_ok(const struct eject *e)
{
	return e->in_a_row <= EJECT_ROW_MAX &&
	    (!e->out || (e->in_a_row >= 1 && e->since_ms <= e->until_ms));
}

void
eject_init(struct eject *e)
{
	e->out = false;
	e->in_a_row = 0;
	e->since_ms = 0;
	e->until_ms = 0;
	e->settled_ms = 0;
}

bool
eject_counts(enum access_outcome o, unsigned status)
{
	switch (o) {
	case ACCESS_OK:
	case ACCESS_STALE:
	case ACCESS_CANCELLED:
	case ACCESS_OUTCOMES:
		return false;
	case ACCESS_STATUS:
		/* RFC 6585 4: it speaks about a client. */
		return status != 429;
	case ACCESS_CONNECT_REFUSED:
	case ACCESS_CONNECT_TIMEOUT:
	case ACCESS_CONNECT_FAILED:
	case ACCESS_TLS_FAILED:
	case ACCESS_RESET:
	case ACCESS_BAD_RESPONSE:
	case ACCESS_TIMEOUT:
		break;
	}
	return true;
}

uint32_t
eject_limit(const struct eject_rules *r, uint32_t n)
{
	uint32_t limit;

	CHECK(eject_rules_ok(r));
	if (n < 2)
		return 0;
	limit = (uint32_t)((uint64_t)n * r->max_pct / 100);
	if (limit == 0)
		return 1;
	return limit == n ? n - 1 : limit;
}

/* Ejections that a new one at `now_ms` follows. */
/*@ requires \valid_read(e);
    assigns \nothing;
    ensures \result == eject_row(e, now_ms);
*/
static uint32_t
row(const struct eject *e, uint64_t now_ms)
{
	return e->out || now_ms < e->settled_ms ? e->in_a_row : 0;
}

uint32_t
eject_time_ms(
    const struct eject_rules *r, const struct eject *e, uint64_t now_ms)
{
	struct backoff_policy doubling = {
	    .base_ms = r->base_ms, .cap_ms = r->cap_ms, .jitter = BACKOFF_NONE};

	CHECK(eject_rules_ok(r) && eject_ok(e));
	return backoff_ceiling_ms(&doubling, row(e, now_ms) + 1);
}

void
eject_out(struct eject *e, const struct eject_rules *r, uint64_t now_ms,
    uint64_t asked_ms)
{
	uint64_t time = eject_time_ms(r, e, now_ms);

	if (e->out)
		return;
	if (asked_ms > time)
		time = num_min_u64(asked_ms, time + EJECT_ASKED_MS);
	e->in_a_row = row(e, now_ms) + 1;
	if (e->in_a_row > EJECT_ROW_MAX)
		e->in_a_row = EJECT_ROW_MAX;
	e->out = true;
	e->since_ms = now_ms;
	e->until_ms = num_add_capped(now_ms, time);
}

bool
eject_due(const struct eject *e, uint64_t now_ms)
{
	return e->out && now_ms >= e->until_ms;
}

void
eject_back(struct eject *e, uint64_t now_ms)
{
	CHECK(eject_ok(e));
	if (!e->out)
		return;
	e->out = false;
	e->settled_ms = num_add_capped(
	    now_ms, now_ms > e->since_ms ? now_ms - e->since_ms : 0);
}
