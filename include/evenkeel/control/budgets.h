/*
 * budgets - the retry budgets of all pools: what workers may spend, set anew
 * ten times a second.
 *
 * Workers take retries from two numbers of the pool, share_left and floor_left.
 * What they took since the last step is what is missing there, so nothing that
 * is spent can be overlooked, and nothing that was allowed be taken back while
 * somebody takes it.
 *
 * When nothing has happened for BUDGETS_QUIET_MS, a step comes only once a
 * second.  That allows no retry too many (requests and retries count as of the
 * step that sees them, later than they were), and the first burst has the whole
 * floor at once; whoever finds nothing left asks for a step (control/guard).
 *
 * Layer: control.  The control thread; time comes from the caller.
 */
#ifndef EVENKEEL_CONTROL_BUDGETS_H
#define EVENKEEL_CONTROL_BUDGETS_H

#include "evenkeel/base/check.h"
#include "evenkeel/proxy/snapshot.h"

#define BUDGETS_STEP_MS       100U
#define BUDGETS_QUIET_MS      10000U
#define BUDGETS_QUIET_STEP_MS 1000U

struct budgets;

/*
 * Of the pools that have a limit.  Those that `old` has, too, go on with what
 * was asked and spent there; the floors of the others may be spent at once.
 * `old` may be NULL, and is not changed.  NULL: no memory.
 */
struct budgets *budgets_create(const struct snapshot *s,
    const struct budgets *old, uint64_t now_ms) WARN_UNUSED;
void budgets_free(struct budgets *b);

/* Sets the allowances.  Returns when the next step is wanted; UINT64_MAX:
 * never. */
uint64_t budgets_step(struct budgets *b, uint64_t now_ms);

#endif
