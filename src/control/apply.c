#include "evenkeel/control/apply.h"

#include <stdlib.h>

#include "evenkeel/base/num.h"
#include "evenkeel/config/option.h"
#include "evenkeel/control/sizes.h"

/* Between two looks for what may be freed. */
#define COLLECT_MS   1000U
#define REASON_BYTES 1024

/* What is made beside that which is in force. */
struct plan {
	struct snapshot *snapshot;
	struct guard_plan guard;
	struct binds binds;
	struct admin admin;
	struct log_change *log;
	bool guarded, bound, admitted, updated;
};

/* ---- updates of workers ---- */

/* A listener is not there any more, or a bind leads to another one. */
static bool
fronts_moved(const struct apply *a, const struct plan *p)
{
	const struct snapshot *now = registry_snapshot(a->registry);

	for (size_t i = 0; now != NULL && i < now->n_listeners; i++)
		if (snapshot_listener_of(
			p->snapshot, now->listeners[i].front) == NULL)
			return true;
	return binds_moved(a->binds, &p->binds);
}

static void
free_update(struct worker_update *u)
{
	free(u->binds);
	free(u->scratch);
	*u = (struct worker_update){.hold = NULL};
}

static bool
prepare_update(struct apply *a, struct plan *p, uint32_t worker)
{
	struct worker_update *u = &a->updates[worker];
	size_t scratch = worker_scratch_bytes(p->snapshot);

	*u = (struct worker_update){.hold = registry_hold(p->snapshot, worker),
	    .fronts_moved = fronts_moved(a, p),
	    .recount = registry_recounts(p->snapshot),
	    .scratch_bytes = scratch,
	    .buf_bytes = worker_buf_bytes(p->snapshot)};
	if (scratch > a->scratch_bytes) {
		u->scratch = malloc(scratch);
		if (u->scratch == NULL)
			return false;
	}
	if (binds_take(
		&p->binds, a->shared->all[worker], &u->binds, &u->n_binds))
		return true;
	u->binds = NULL;
	free_update(u);
	return false;
}

static void
rollback_updates(struct apply *a, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		binds_untake(a->updates[i].binds, a->updates[i].n_binds);
		a->updates[i].binds = NULL;
		free_update(&a->updates[i]);
	}
}

static bool
prepare_updates(struct apply *a, struct plan *p)
{
	for (uint32_t i = 0; i < a->shared->workers; i++)
		if (!prepare_update(a, p, i)) {
			rollback_updates(a, i);
			return false;
		}
	return true;
}

/* ---- query, rollback, commit ---- */

static void
rollback(struct apply *a, struct plan *p)
{
	if (p->updated)
		rollback_updates(a, a->shared->workers);
	if (p->log != NULL)
		log_rollback(p->log);
	if (p->admitted)
		admin_rollback(&p->admin, a->admin);
	if (p->bound)
		binds_rollback(&p->binds);
	if (p->guarded)
		guard_rollback(a->guard, &p->guard);
	if (p->snapshot != NULL)
		registry_rollback(a->registry, p->snapshot);
}

/* "FILE:3: [section] key: reason" and its end. */
static void
put_reason(struct apply *a, struct textbuf *why, unsigned line,
    const char *section, struct span reason)
{
	textbuf_str(why, a->file);
	if (line > 0) {
		textbuf_byte(why, ':');
		textbuf_u64(why, line);
	}
	textbuf_lit(why, ": ");
	textbuf_str(why, section);
	textbuf_put(why, reason);
	textbuf_byte(why, '\n');
}

static bool
query_objects(
    struct apply *a, struct plan *p, struct loaded *from, struct textbuf *why)
{
	char text[REASON_BYTES];
	struct textbuf reason = textbuf_make(text, sizeof(text));

	p->snapshot = registry_prepare(a->registry, from, &reason);
	if (p->snapshot != NULL)
		p->guarded = guard_prepare(a->guard, &p->guard, p->snapshot);
	if (p->snapshot != NULL && !p->guarded)
		textbuf_lit(&reason, "out of memory");
	if (!p->guarded)
		put_reason(a, why, 0, "", textbuf_span(&reason));
	return p->guarded;
}

static bool
query_log(
    struct apply *a, struct plan *p, const struct cfg *cfg, struct textbuf *why)
{
	const struct cfg_global *g = &cfg->global;
	const struct log_options options = {.log = g->log,
	    .access = g->access_log,
	    .level = (enum log_level)g->log_level,
	    .format = (enum log_format)g->log_format};
	char text[REASON_BYTES];
	struct textbuf reason = textbuf_make(text, sizeof(text));
	struct span key;

	p->log = log_prepare(a->log, &options, &reason);
	if (p->log != NULL)
		return true;
	/* It begins with the key. */
	key = span_make(text, span_find(textbuf_span(&reason), ':'));
	put_reason(a, why, option_global_line(cfg, key), "[global] ",
	    textbuf_span(&reason));
	return false;
}

static bool
query_admin(struct apply *a, struct plan *p, const struct cfg_admin *cfg,
    struct textbuf *why)
{
	char text[REASON_BYTES];
	struct textbuf reason = textbuf_make(text, sizeof(text));

	p->admitted = admin_prepare(&p->admin, a->admin, cfg, &reason);
	if (!p->admitted)
		put_reason(a, why, cfg->listen.line,
		    "[admin] listen: ", textbuf_span(&reason));
	return p->admitted;
}

/* All that can be wrong is told, so nothing ends the look early. */
static bool
query(struct apply *a, struct plan *p, struct loaded *from, struct textbuf *why)
{
	bool good = query_objects(a, p, from, why);

	good &= query_log(a, p, from->cfg, why);
	good &= query_admin(a, p, &from->cfg->admin, why);
	if (p->snapshot != NULL)
		p->bound = binds_prepare(
		    &p->binds, a->binds, p->snapshot, a->file, why);
	if (!good || !p->bound)
		return false;
	p->updated = prepare_updates(a, p);
	if (!p->updated)
		textbuf_lit(why, "out of memory\n");
	return p->updated;
}

static void
commit(struct apply *a, struct plan *p)
{
	const struct cfg *cfg = p->snapshot->cfg;
	uint32_t connections, pipes, workers = a->shared->workers;

	log_commit(a->log, p->log);
	registry_commit(a->registry, p->snapshot, loop_now_ms(a->loop));
	guard_commit(a->guard, &p->guard);
	binds_commit(a->binds, &p->binds);
	admin_commit(a->admin, &p->admin);
	sizes_share(cfg, workers,
	    (binds_count(a->binds) + workers - 1) / workers, &connections,
	    &pipes);
	atomic_store(&a->shared->max_connections, connections);
	a->scratch_bytes =
	    num_max_u64(a->scratch_bytes, worker_scratch_bytes(p->snapshot));
	a->pending = a->shared->workers;
	a->swap_us = 0;
	for (uint32_t i = 0; i < a->shared->workers; i++)
		worker_renew(a->shared->all[i], &a->updates[i]);
	alarm_arm(
	    a->loop, &a->collect, loop_now_us(a->loop) + COLLECT_MS * 1000);
}

bool
apply_config(struct apply *a, struct loaded *from, struct textbuf *why)
{
	struct plan p = {.snapshot = NULL};

	CHECK(!apply_pending(a));
	if (query(a, &p, from, why)) {
		commit(a, &p);
		return true;
	}
	rollback(a, &p);
	return false;
}

/* ---- what comes back ---- */

void
apply_updated(struct apply *a, struct worker_update *u)
{
	CHECK(a->pending > 0);
	a->swap_us = num_max_u64(a->swap_us, u->cpu_us);
	free_update(u);
	a->pending--;
	if (a->pending == 0 && a->on_done != NULL)
		a->on_done(a->arg);
}

void
apply_released(struct apply *a, struct snapshot_hold *hold)
{
	registry_released(a->registry, hold);
}

static void
apply_on_collect(struct alarm *alarm)
{
	struct apply *a = ALARM_OWNER(alarm, struct apply, collect);
	struct publish *p = guard_publish(a->guard);

	if (p == NULL || registry_collect(a->registry, p, loop_now_ms(a->loop)))
		alarm_arm(
		    a->loop, alarm, loop_now_us(a->loop) + COLLECT_MS * 1000);
}

bool
apply_init(struct apply *a)
{
	a->updates = calloc(a->shared->workers, sizeof(*a->updates));
	alarm_init(&a->collect, apply_on_collect);
	return a->updates != NULL;
}

void
apply_close(struct apply *a)
{
	if (a->loop != NULL)
		alarm_cancel(a->loop, &a->collect);
	for (uint32_t i = 0; a->updates != NULL && i < a->shared->workers; i++)
		free_update(&a->updates[i]);
	free(a->updates);
	a->updates = NULL;
}
