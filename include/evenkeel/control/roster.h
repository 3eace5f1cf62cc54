/*
 * roster - the condition of every backend, and what follows from it: which of
 * them stand in their pool's rotation, and with what weight.
 *
 * Three things may take a backend out: checks that fail (policy/health),
 * requests that fail (policy/eject), and somebody who wants it drained.  Usable
 * is whom none of them holds.  Of several the state names one: draining before
 * down before ejected.  Who comes back from down or ejected takes traffic up
 * slowly when the pool has slow_start.
 *
 * A change marks the pool; control/lineup then makes its rotations anew.
 *
 * An ejection ends when its time is over; at once when no other backend of the
 * pool is usable; and, when it was for connections that failed, as soon as
 * health_rise checks in a row have shown that connections work.
 *
 * Ejections are limited among peers: those of a pool that are not backups, and
 * its backups.  At most eject_max of the peers are out at a time, and the last
 * usable backend of the pool is never ejected, whoever its peers are.
 *
 * Layer: control.  The control thread; time comes from the caller.
 */
#ifndef EVENKEEL_CONTROL_ROSTER_H
#define EVENKEEL_CONTROL_ROSTER_H

#include "evenkeel/control/publish.h"
#include "evenkeel/net/log.h"
#include "evenkeel/policy/eject.h"
#include "evenkeel/policy/health.h"
#include "evenkeel/proxy/snapshot.h"

/* A reason, or a message, in words. */
#define ROSTER_WHY_BYTES 256
/* Slow start: in at most so many steps, each at least so long, at multiples of
 * that time. */
#define ROSTER_STEPS   20U
#define ROSTER_STEP_MS 100U
/* ...and it begins with this much of the weight. */
#define ROSTER_FIRST_PCT 10U
/* Between two complaints about one that may not be ejected. */
#define ROSTER_TELL_MS 10000U
#define ROSTER_NEVER   UINT64_MAX

enum roster_state {
	ROSTER_UP,
	ROSTER_DOWN,
	ROSTER_EJECTED,
	ROSTER_DRAINING,
	ROSTER_STATES
};

/* Peers: see above. */
enum roster_peers { ROSTER_MAIN, ROSTER_BACKUP, ROSTER_PEERS };

struct roster_pool;
struct check;

/* What is known of a backend as long as the configuration in force has it;
 * its backend->keeper. */
struct roster_member {
	struct backend *backend;
	struct roster_pool *pool;
	size_t index;        /* in pool->members */
	struct check *check; /* the checker's; NULL: none */
	enum roster_peers peers;
	bool checked; /* by active checks */
	bool draining;
	bool been_up; /* at some time: coming up then is a recovery */
	struct health health;
	struct eject eject;
	bool unreachable;  /* ejected because connects failed */
	uint32_t good_row; /* good checks in a row since it was ejected */
	enum roster_state state;
	uint64_t since_ms;          /* of `state` */
	uint64_t down_since_ms;     /* of the health */
	uint64_t ramp_ms;           /* when its slow start began; ROSTER_NEVER:
				       it is in none */
	uint64_t told_ms;           /* that it may not be ejected; 0: never */
	struct list busy;           /* ejected, or in its slow start */
	uint64_t next_ms;           /* while busy: when something is due */
	uint64_t answered;          /* ok attempts at the last check */
	char why[ROSTER_WHY_BYTES]; /* it is in `state`; may be empty */
	char last_why[ROSTER_WHY_BYTES]; /* of the last check; empty: ok */
};

struct roster_pool {
	const struct snapshot_pool *pool;
	struct health_rules health;
	struct eject_rules eject;
	struct roster_member **members; /* [backend] */
	size_t n_members;
	uint32_t n[ROSTER_PEERS];
	uint32_t in_state[ROSTER_PEERS][ROSTER_STATES];
	uint32_t n_ejected[ROSTER_PEERS];
	bool marked;         /* its rotations are to be made anew */
	uint64_t generation; /* that told its present rotations */
	bool told_up;        /* it was usable when that was last said */
	bool told_backup;
};

struct roster_ops {
	/* Pools are marked, or roster_next_ms has changed: lineup_publish is
	 * wanted soon. */
	void (*on_change)(void *arg);
	/* Something to be logged. */
	void (*say)(enum log_level level, const char *text, void *arg);
};

struct roster {
	const struct roster_ops *ops;
	void *arg;
	struct publish *publish;
	struct roster_pool *pools; /* in the order of the snapshot */
	size_t n_pools;
	struct list busy; /* of struct roster_member */
};

/* NULL: it is gone (control/registry). */
static inline struct roster_member *
roster_member_of(const struct backend *b)
{
	return b->keeper;
}

/* A check has ended; `why` says how unless it is HEALTH_OK. */
void roster_checked(struct roster *r, struct roster_member *m,
    enum health_result result, const char *why, uint64_t now_ms);

/* As many attempts on `b` as the pool says may have failed in a row. */
void roster_failing(struct roster *r, struct backend *b, uint64_t now_ms);

/* Somebody wants it drained, or no longer; `who` says who in a few words, or is
 * empty. */
void roster_drain(struct roster *r, struct roster_member *m, bool draining,
    const char *who, uint64_t now_ms);

/* It is draining, and no request is in flight on it nor can one come: no worker
 * looks at a rotation with it any more. */
bool roster_drained(const struct roster *r, const struct roster_member *m);

/* The pool's `eject_failures` is off, and `m` was ejected: it comes back. */
void roster_pardon(struct roster *r, struct roster_member *m, uint64_t now_ms);

/* When no backend of the pool is usable: those that are only ejected come back.
 */
void roster_recall(struct roster *r, struct roster_pool *p, uint64_t now_ms);

/* Takes it out of all lists: it is about to be freed. */
void roster_forget(struct roster_member *m);

/* What is due: ejections that are over, steps of a slow start. */
void roster_tick(struct roster *r, uint64_t now_ms);

/* When roster_tick has something to do; ROSTER_NEVER: not before a change. */
uint64_t roster_next_ms(const struct roster *r);

/* How many of the pool's backends may get requests now, backups included. */
uint32_t roster_usable(const struct roster_pool *p);

/* What health, ejection and draining come to. */
enum roster_state roster_state_of(const struct roster_member *m);

/* The words of metrics and status. */
const char *roster_state_text(enum roster_state s);

const char *roster_check_text(enum health_result h);

/* Length of a step of its slow start. */
uint64_t roster_step_ms(const struct roster_member *m);

/* Sees to it that it is among the busy ones if something is due. */
void
roster_note_busy(struct roster *r, struct roster_member *m, uint64_t now_ms);

/* Logs a line, cut to LOG_LINE_BYTES. */
void roster_say(struct roster *r, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

bool roster_member_ok(const struct roster_member *m);

#endif
