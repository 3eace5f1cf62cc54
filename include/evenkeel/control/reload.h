/*
 * reload - puts another configuration in force while everything goes on.
 *
 * Query, commit, rollback: the file is read and checked in a thread of its own
 * (control/loader), then all that the new configuration needs is made beside
 * the old; a failure undoes that and nobody has noticed.  The commit cannot
 * fail.  One reload runs at a time; who asks meanwhile gets the next one, which
 * reads the file after he has asked.
 *
 * Reloads are numbered from 1.  The start is none of them.
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_RELOAD_H
#define EVENKEEL_CONTROL_RELOAD_H

#include "evenkeel/control/apply.h"

enum reload_result {
	RELOAD_NONE, /* there was none yet */
	RELOAD_APPLIED,
	RELOAD_REFUSED, /* the configuration before stays in force */
	RELOAD_RESULTS
};

/* The last one that has ended. */
struct reload_last {
	uint64_t number; /* 0: there was none yet */
	enum reload_result result;
	uint64_t unix_ms; /* when it ended */
	uint32_t took_ms; /* from the request to in force in all workers */
	uint64_t swap_us; /* processor time of the change on a worker, at most;
			     0 when it was refused */
	/* Lines, each with its '\n': the differences, or all errors.  Lives
	 * until the next one ends. */
	struct span text;
};

/* Names that are new are waited for so long; then the configuration is in force
 * without those that nobody has answered for. */
#define RELOAD_NAMES_MS 5000U

struct reload;

struct reload_parts {
	struct loop *loop;
	struct apply *apply;
	struct names *names;
	const char *file;     /* empty: there is none (the one-liner) */
	struct mailbox *mail; /* where the loader's mail goes, of this kind */
	int kind;
	struct log_ring *log;
	const struct cfg *first;  /* of the start; outlives it */
	struct secure_base *base; /* the loader's while it runs */
	/* Another configuration was put in force (but for the workers, who
	 * get it now). */
	void (*on_applied)(void *arg);
	void *arg;
};

/* NULL: no memory. */
struct reload *reload_create(const struct reload_parts *parts) WARN_UNUSED;

/* Waits for its thread, if it reads just now: nothing more comes from there.
 * NULL is allowed, as in reload_free. */
void reload_join(struct reload *r);

void reload_free(struct reload *r);

/* The loader's mail has come. */
void reload_loaded(struct reload *r);

/* All workers have what was applied last (apply.on_done). */
void reload_done(struct reload *r);

/* What it may have waited for is there: names_settled, or no apply_pending. */
void reload_go_on(struct reload *r);

/* What is asked for from now on is refused, for this reason, which must live as
 * long; NULL: not any more. */
void reload_hold(struct reload *r, const char *why);

/* Whether one is under way. */
bool reload_busy(const struct reload *r);

/* Asks for one; `who` says who in a few words ("SIGHUP", "root (pid 7)").
 * Returns the number of the reload that answers him. */
uint64_t reload_ask(struct reload *r, const char *who);

/* Whether the reload of that number has ended; its result is in reload_last,
 * unless a later one has ended since. */
bool reload_ended(const struct reload *r, uint64_t number);

const struct reload_last *reload_last(const struct reload *r);

/* How many have ended so. */
uint64_t reload_count(const struct reload *r, enum reload_result result);

/* Of the configuration in force: 1 after the start, one more with each reload
 * that was applied. */
uint64_t reload_generation(const struct reload *r);

/* "applied", "refused". */
const char *reload_result_text(enum reload_result result);

#endif
