/* control/reload.h without a configuration: what has come of reloads is what
 * the test says. */
#ifndef TEST_FAKE_RELOAD_H
#define TEST_FAKE_RELOAD_H

#include <stdio.h>

#include "evenkeel/control/reload.h"

struct reload {
	uint64_t asked, generation;
	uint64_t counts[RELOAD_RESULTS];
	struct reload_last last;
	char who[128]; /* of the last one who asked */
};

/* The reload `number` ends. */
static inline void
fake_end(struct reload *r, uint64_t number, enum reload_result result,
    const char *text)
{
	r->last = (struct reload_last){.number = number,
	    .result = result,
	    .unix_ms = 1795361437123, /* 2026-11-22T15:30:37.123Z */
	    .took_ms = 12,
	    .text = span_of(text)};
	r->counts[result]++;
	r->generation += result == RELOAD_APPLIED;
}

uint64_t
reload_ask(struct reload *r, const char *who)
{
	snprintf(r->who, sizeof(r->who), "%s", who);
	return ++r->asked;
}

bool
reload_ended(const struct reload *r, uint64_t number)
{
	return r->last.number >= number;
}

const struct reload_last *
reload_last(const struct reload *r)
{
	return &r->last;
}

uint64_t
reload_count(const struct reload *r, enum reload_result result)
{
	return r->counts[result];
}

uint64_t
reload_generation(const struct reload *r)
{
	return r->generation;
}

const char *
reload_result_text(enum reload_result result)
{
	return result == RELOAD_APPLIED ? "applied" : "refused";
}

#endif
