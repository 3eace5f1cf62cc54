#include "evenkeel/proxy/pool.h"

#include <errno.h>
#include <stdlib.h>

#include "evenkeel/base/num.h"
#include "evenkeel/net/conn_tls.h"
#include "evenkeel/proxy/attempt.h"
#include "evenkeel/proxy/picker.h"
#include "evenkeel/proxy/queue.h"
#include "evenkeel/proxy/worker.h"

#define BACK_MAGIC 0x4261636bU

bool
back_ok(const struct back *b)
{
	return b->magic == BACK_MAGIC && conn_ok(&b->conn) &&
	    !(b->idle && b->user != NULL);
}

static void
back_free(struct loop_task *t)
{
	struct back *b = LOOP_TASK_OWNER(t, struct back, grave);

	b->magic = 0;
	free(b);
}

static void
off_idle(struct back *b)
{
	if (!b->idle)
		return;
	b->idle = false;
	list_remove(&b->link);
	b->lane->n_idle--;
}

void
pool_close(struct back *b)
{
	CHECK(back_ok(b));
	if (!conn_is_open(&b->conn))
		return;
	off_idle(b);
	b->user = NULL;
	wheel_remove(&b->w->loop->wheel, &b->age);
	counter_add(&b->w->stats.backends, (uint64_t)-1);
	conn_close(&b->conn);
	loop_bury(b->w->loop, &b->grave);
	picker_slot_freed(b->w, b->backend);
}

/* An idle connection was closed by its backend: that is how long it keeps
 * them. */
static void
learn(struct back *b)
{
	uint64_t age_ms = loop_now_ms(b->w->loop) - b->idle_since_ms;

	b->lane->kept_ms = age_ms > 0 ? age_ms : 1;
}

uint64_t
pool_sure_ms(const struct lane *lane)
{
	return lane->kept_ms == 0 ? POOL_FRESH_MS : lane->kept_ms / 2;
}

/* Of TLS something may have come that says nothing: a session ticket. */
static bool
is_quiet(struct conn *c)
{
	if (!conn_is_secure(c) || conn_fill(c) != CONN_AGAIN)
		return false;
	conn_release_in(c);
	return true;
}

static void
back_on_ready(struct conn *c, void *arg)
{
	struct back *b = arg;

	CHECK(back_ok(b));
	if (b->user != NULL)
		attempt_on_back(b->user);
	else if (c->readable && !is_quiet(c)) {
		learn(b);
		pool_close(b);
	}
}

static const struct conn_ops back_ops = {.on_ready = back_on_ready};

static void
back_on_age(struct wheel_timer *t, uint64_t now_ms)
{
	struct back *b =
	    (struct back *)(void *)((char *)t - offsetof(struct back, age));

	if (!b->idle)
		return;
	if (now_ms >= b->idle_since_ms + b->idle_limit_ms)
		pool_close(b);
	else
		loop_arm(
		    b->w->loop, &b->age, b->idle_since_ms + b->idle_limit_ms);
}

struct back *
pool_lease(struct worker *w, struct backend *backend, uint64_t max_idle_ms,
    uint64_t tls, struct attempt *user)
{
	struct lane *lane = &backend->lanes[w->index];
	uint64_t now_ms = loop_now_ms(w->loop);

	while (!list_empty(&lane->idle)) {
		struct back *b = LIST_OWNER(lane->idle.next, struct back, link);
		uint64_t age_ms = now_ms - b->idle_since_ms;

		if (b->conn.readable || age_ms >= b->idle_limit_ms ||
		    b->tls != tls) {
			pool_close(b);
			continue;
		}
		/* The newest is first: the others are older still. */
		if (age_ms >= max_idle_ms)
			return NULL;
		off_idle(b);
		b->user = user;
		return b;
	}
	return NULL;
}

static bool
out_of_files(int error)
{
	return error == EMFILE || error == ENFILE;
}

enum conn_io
pool_connect(struct worker *w, struct backend *backend, struct attempt *user,
    struct back **back, int *error)
{
	struct back *b = calloc(1, sizeof(*b));
	enum conn_io io;

	*back = NULL;
	*error = ENOMEM;
	if (b == NULL) {
		picker_slot_freed(w, backend);
		return CONN_ERROR;
	}
	b->magic = BACK_MAGIC;
	b->w = w;
	b->backend = backend;
	b->lane = &backend->lanes[w->index];
	b->user = user;
	list_init(&b->link);
	loop_task_init(&b->grave, back_free);
	wheel_timer_init(&b->age, back_on_age);
	io = conn_connect(&b->conn, w->loop, &backend->address.u.any,
	    backend->address.len, &back_ops, b);
	/* Idle connections must not keep active ones from being made. */
	if (io == CONN_ERROR && out_of_files(b->conn.error)) {
		worker_close_idle(w);
		io = conn_connect(&b->conn, w->loop, &backend->address.u.any,
		    backend->address.len, &back_ops, b);
	}
	if (io == CONN_ERROR) {
		*error = b->conn.error;
		free(b);
		picker_slot_freed(w, backend);
		return io;
	}
	counter_add(&w->stats.backends, 1);
	*back = b;
	return io;
}

/* It holds a slot that only other workers wait for. */
static bool
wanted_elsewhere(const struct back *b)
{
	struct upstream *u = b->backend->upstream;

	return atomic_load_explicit(&b->backend->max, memory_order_relaxed) !=
	    0 &&
	    atomic_load_explicit(&u->waiting, memory_order_relaxed) > 0 &&
	    list_empty(&u->lanes[b->w->index].queue);
}

void
pool_return(
    struct back *b, uint32_t share, uint64_t timeout_ms, uint32_t said_s)
{
	CHECK(back_ok(b));
	/* Anything that came beyond the response belongs to nobody. */
	if (b->conn.readable || !conn_out_empty(&b->conn) ||
	    b->conn.in != NULL || b->lane->n_idle >= share ||
	    (conn_is_secure(&b->conn) && conn_has_part(&b->conn)) ||
	    wanted_elsewhere(b) || picker_over_max(b->backend) ||
	    atomic_load(&b->backend->draining)) {
		pool_close(b);
		return;
	}
	b->user = NULL;
	b->idle = true;
	b->idle_since_ms = loop_now_ms(b->w->loop);
	/* A second before the backend would close: the request that is on its
	 * way just then would be lost. */
	if (said_s != 0)
		b->lane->kept_ms = said_s * 1000ULL;
	if (said_s != 0)
		timeout_ms = num_min_u64(
		    timeout_ms, said_s > 1 ? (said_s - 1) * 1000ULL : 500);
	b->idle_limit_ms = timeout_ms;
	list_push_front(&b->lane->idle, &b->link);
	b->lane->n_idle++;
	loop_arm(b->w->loop, &b->age, b->idle_since_ms + timeout_ms);
	if (atomic_load_explicit(&b->backend->max, memory_order_relaxed) != 0)
		queue_wake(b->w, b->backend->upstream);
}

void
pool_drain(struct lane *lane)
{
	while (!list_empty(&lane->idle))
		pool_close(LIST_OWNER(lane->idle.next, struct back, link));
}
