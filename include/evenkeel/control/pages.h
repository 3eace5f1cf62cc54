/*
 * pages - what evenkeel tells about itself: status as JSON and as a table, and
 * metrics.
 *
 * Adds up what the workers count.  Values are read without stopping anybody,
 * so sums of different counters may be a request apart.
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_PAGES_H
#define EVENKEEL_CONTROL_PAGES_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/control/guard.h"
#include "evenkeel/control/httpd.h"
#include "evenkeel/proxy/worker.h"

struct pages {
	const struct snapshot *snapshot;
	struct worker *const *workers;
	uint32_t n_workers;
	const char *file;  /* the configuration's; empty: the command line */
	uint64_t start_us; /* monotonic */
	bool draining;
	const struct log *log;
	const struct guard *guard;
};

void pages_put_status_json(struct textbuf *out, const struct pages *p);
void pages_put_status_text(struct textbuf *out, const struct pages *p);

/* The admin listener's handler; `arg` is the struct pages. */
void pages_on_admin(
    const struct httpd_request *r, struct httpd_answer *a, void *arg);

/* The control socket's handler; `arg` is the struct pages. */
void pages_on_control(
    const struct httpd_request *r, struct httpd_answer *a, void *arg);

#endif
