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
#include "evenkeel/control/registry.h"
#include "evenkeel/control/reload.h"
#include "evenkeel/proxy/worker.h"

struct pages {
	const struct registry *registry; /* of what is in force */
	struct worker *const *workers;
	uint32_t n_workers;
	const char *file;  /* the configuration's; empty: the command line */
	uint64_t start_us; /* monotonic */
	bool draining;
	const struct log *log;
	const struct guard *guard;
	const struct reload *reload; /* NULL: nothing can be reloaded */
};

void pages_put_status_json(struct textbuf *out, const struct pages *p);
void pages_put_status_text(struct textbuf *out, const struct pages *p);

/* What is in force now. */
static inline const struct snapshot *
pages_snapshot(const struct pages *p)
{
	return registry_snapshot(p->registry);
}

/* The certificates of it; NULL: there are none. */
static inline const struct secure *
pages_secure(const struct pages *p)
{
	const struct loaded *l = registry_loaded(p->registry);

	return l == NULL ? NULL : l->secure;
}

/* The clock by which the registry knows since when something is gone. */
uint64_t pages_now_ms(void);

/* Calls `put` for every pool that metrics tell of. */
void pages_each_upstream(struct textbuf *out, const struct pages *p,
    void (*put)(struct textbuf *out, const struct upstream *u));

/* The same for every backend, with its pool's name. */
void pages_each_backend(struct textbuf *out, const struct pages *p,
    void (*put)(
	struct textbuf *out, struct span pool, const struct backend *b));

/* The admin listener's handler; `arg` is the struct pages. */
void pages_on_admin(
    const struct httpd_request *r, struct httpd_answer *a, void *arg);

/* The control socket's handler; `arg` is the struct pages. */
void pages_on_control(
    const struct httpd_request *r, struct httpd_answer *a, void *arg);

#endif
