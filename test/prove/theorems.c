/*
 * What follows from the contracts over more than one call.  Nothing here runs:
 * each function is a theorem, its contract what is claimed, its body the proof.
 */
#include "evenkeel/policy/backoff.h"
#include "evenkeel/policy/health.h"

/* A later retry never waits below a lower ceiling than an earlier one. */
/*@ requires \valid_read(p) && backoff_valid(p) && m <= n;
    assigns \nothing;
    ensures 1 <= backoff_at(p->base_ms, p->cap_ms, m);
    ensures backoff_at(p->base_ms, p->cap_ms, m) <=
      backoff_at(p->base_ms, p->cap_ms, n) <= p->cap_ms;
*/
void
ceiling_never_falls(const struct backoff_policy *p, uint32_t m, uint32_t n)
{
	uint32_t low = backoff_ceiling_ms(p, m);

	/*@ loop invariant m <= i <= n;
	    loop invariant 1 <= low <=
	      backoff_at(p->base_ms, p->cap_ms, i) <= p->cap_ms;
	    loop assigns i;
	    loop variant n - i;
	*/
	for (uint32_t i = m; i < n; i++)
		;
}

/* The world: any result at any time. */
/*@ assigns \result \from \nothing;
    ensures \result \in {HEALTH_OK, HEALTH_FAILED, HEALTH_TIMEOUT};
*/
enum health_result any_result(void);
/*@ assigns \result \from \nothing; */
bool any_answer(void);

/*
 * Whatever the checks say: a backend goes down only at the end of a row of
 * exactly `fall` bad checks or more, and up only at the end of one of `rise`
 * good ones.  A check that does not count (see health_counts) is in no row.
 */
/*@ requires \valid(h) && \valid_read(r) && \separated(h, r);
    requires health_rules_valid(r) && checks < UINT32_MAX;
    assigns h->level;
*/
void
changes_end_rows(
    struct health *h, const struct health_rules *r, bool up, uint32_t checks)
{
	uint64_t bad = 0, good = 0;

	health_init(h, r, up);
	/*@ loop invariant 0 <= i <= checks && health_valid(h, r);
	    loop invariant bad <= i && good <= i;
	    loop invariant health_up(h, r) ==> health_against(h, r) == bad;
	    loop invariant !health_up(h, r) ==> health_against(h, r) == good;
	    loop assigns i, h->level, bad, good;
	    loop variant checks - i;
	*/
	for (uint32_t i = 0; i < checks; i++) {
		enum health_result result = any_result();
		bool answered = any_answer();
		enum health_change change =
		    health_report(h, r, result, answered);

		if (result == HEALTH_OK) {
			good++;
			bad = 0;
		} else if (result == HEALTH_FAILED || !answered) {
			bad++;
			good = 0;
		}
		/*@ assert change == HEALTH_WENT_DOWN ==> bad >= r->fall; */
		/*@ assert change == HEALTH_WENT_UP ==> good >= r->rise; */
		/*@ assert bad >= r->fall ==> !health_up(h, r); */
		/*@ assert good >= r->rise ==> health_up(h, r); */
	}
}
