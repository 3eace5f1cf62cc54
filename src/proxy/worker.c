#include "evenkeel/proxy/worker.h"

#include <stdlib.h>

#include "evenkeel/base/num.h"
#include "evenkeel/http/forward.h"
#include "evenkeel/net/clock.h"
#include "evenkeel/proxy/greeting.h"
#include "evenkeel/proxy/pool.h"
#include "evenkeel/proxy/queue.h"

/* Room of the scratch beyond two heads: what is added to one, and data that
 * is copied behind it. */
#define SCRATCH_EXTRA_BYTES 16384
/* Between two warnings that accepting has stopped. */
#define TELL_PAUSE_MS 10000

const struct front *
worker_front(const struct worker *w, uint64_t bind)
{
	for (size_t i = 0; i < w->n_binds; i++)
		if (w->binds[i].bind == bind)
			return w->binds[i].front;
	return NULL;
}

static void
worker_on_accept(int fd, const struct sockaddr *peer, void *bind, void *arg)
{
	client_accept(arg, fd, peer, (uintptr_t)bind);
}

static bool
worker_may_accept(void *arg)
{
	struct worker *w = arg;

	return atomic_load_explicit(
		   &w->shared->connections, memory_order_relaxed) <
	    atomic_load_explicit(
		&w->shared->max_connections, memory_order_relaxed);
}

static void
worker_on_pause(bool paused, void *arg)
{
	struct worker *w = arg;

	if (atomic_exchange(&w->paused, paused) == paused)
		return;
	if (!paused) {
		atomic_fetch_sub(&w->shared->paused, 1);
		return;
	}
	/* Not for the limit but for want of descriptors, or memory: idle
	 * connections to backends must not keep clients out. */
	if (worker_may_accept(w))
		worker_close_idle(w);
	atomic_fetch_add(&w->shared->paused, 1);
	/* Told now and then: at the limit this happens all the time. */
	if (w->told_pause_ms != 0 &&
	    loop_now_ms(w->loop) - w->told_pause_ms < TELL_PAUSE_MS)
		return;
	w->told_pause_ms = loop_now_ms(w->loop);
	log_message(w->log, LOG_LEVEL_WARN,
	    "no more connections are accepted for now: %u are open, "
	    "max_connections is %u",
	    atomic_load(&w->shared->connections),
	    atomic_load(&w->shared->max_connections));
}

static const struct acceptor_ops worker_acceptor_ops = {
    .on_accept = worker_on_accept,
    .may_accept = worker_may_accept,
    .on_pause = worker_on_pause};

static void
accept_again(struct worker *w)
{
	for (size_t i = 0; i < w->n_binds; i++)
		acceptor_resume(w->binds[i].acceptor);
}

/* A connection has ended: those who stopped accepting try again. */
static void
tell_room(struct worker *w)
{
	struct worker_shared *s = w->shared;

	if (atomic_load_explicit(&s->paused, memory_order_relaxed) == 0)
		return;
	for (uint32_t i = 0; i < s->workers; i++) {
		struct worker *other = s->all[i];

		if (!atomic_load(&other->paused) ||
		    atomic_exchange(&other->room_sent, true))
			continue;
		other->room_mail.kind = WORKER_ACCEPT;
		mailbox_post(other->mail, &other->room_mail);
	}
}

static void
worker_on_turn(void *arg)
{
	struct worker *w = arg;

	log_flush(w->log);
}

static const struct loop_ops worker_loop_ops = {.on_turn = worker_on_turn};

void
worker_client_ended(struct worker *w)
{
	tell_room(w);
	if (!w->draining || w->drained || w->n_clients > 0)
		return;
	w->drained = true;
	w->shared->on_drained(w, w->shared->arg);
}

static void
stop_accepting(struct worker *w)
{
	for (size_t i = 0; i < w->n_binds; i++)
		acceptor_free(w->binds[i].acceptor);
	w->n_binds = 0;
}

static void
leave(struct worker *w)
{
	if (w->draining)
		return;
	/* Whoever the kernel has let in already is served. */
	for (size_t i = 0; i < w->n_binds; i++)
		acceptor_take_all(w->binds[i].acceptor);
	stop_accepting(w);
	w->draining = true;
	worker_client_ended(w);
}

static void
drain(struct worker *w)
{
	struct list *link, *next;

	leave(w);
	w->hurrying = true;
	for (link = w->clients.next; link != &w->clients; link = next) {
		next = link->next;
		client_drain(client_of(link));
	}
}

static void
stop(struct worker *w)
{
	struct list *link, *next;

	stop_accepting(w);
	for (link = w->clients.next; link != &w->clients; link = next) {
		next = link->next;
		client_stop(client_of(link));
	}
	loop_stop(w->loop);
}

/* The flag goes first: what is freed from now on is told anew. */
static void
woken(struct worker *w, struct upstream *u)
{
	atomic_store(&u->lanes[w->index].wake_sent, false);
	queue_run(w, u);
}

static void
evict(struct worker *w, struct backend *b)
{
	struct lane *lane = &b->lanes[w->index];

	atomic_store(&lane->evict_sent, false);
	pool_drain(lane);
}

/*
 * Rotations are used inside of one callback only, and this is another one: what
 * was replaced before the generation was counted up is in nobody's hand here
 * any more, and what is looked at from now on is newer.  The flag goes first:
 * a generation this load does not see is told anew.
 */
static void
pass(struct worker *w)
{
	uint64_t generation;

	atomic_store(&w->pass_sent, false);
	generation = atomic_load(&w->shared->generation);
	atomic_store(&w->passed, generation);
	queue_run_all(w);
}

/* ---- another snapshot ---- */

static struct worker_bind *
find_bind(struct worker_bind *list, size_t n, uint64_t id)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].id == id)
			return &list[i];
	return NULL;
}

/* From the list that was to the list that is to be. */
static void
change_binds(struct worker *w, struct worker_update *u)
{
	struct worker_bind *old = w->binds;
	size_t n_old = w->n_binds;

	for (size_t i = 0; i < u->n_binds; i++) {
		struct worker_bind *b = &u->binds[i], *stays;

		if (b->acceptor != NULL) {
			acceptor_begin(b->acceptor, w->loop);
			continue;
		}
		stays = find_bind(old, n_old, b->id);
		CHECK(stays != NULL);
		b->acceptor = stays->acceptor;
		stays->acceptor = NULL;
	}
	for (size_t i = 0; i < n_old; i++) {
		if (old[i].acceptor == NULL)
			continue;
		/* Whoever the kernel has let in already is served. */
		acceptor_take_all(old[i].acceptor);
		acceptor_free(old[i].acceptor);
		old[i].acceptor = NULL;
	}
	w->binds = u->binds;
	w->n_binds = u->n_binds;
	u->binds = old;
	u->n_binds = n_old;
	/* It may be that one which waited for room has gone. */
	worker_on_pause(false, w);
}

/* It stops: nothing new is listened on. */
static void
refuse_binds(struct worker_update *u)
{
	for (size_t i = 0; i < u->n_binds; i++) {
		acceptor_free(u->binds[i].acceptor);
		u->binds[i].acceptor = NULL;
	}
}

/* Before the worker has another snapshot, and while it still listens as it
 * did. */
static void
move_clients(struct worker *w, const struct snapshot *next)
{
	struct list *link, *n;

	for (link = w->clients.next; link != &w->clients; link = n) {
		n = link->next;
		client_move(client_of(link), next);
	}
}

static void
recount(struct worker *w)
{
	LIST_EACH(link, &w->clients)
	client_recount(client_of(link));
}

static void
take_scratch(struct worker *w, struct worker_update *u)
{
	char *old = w->scratch;

	if (u->scratch == NULL)
		return;
	w->scratch = u->scratch;
	w->scratch_bytes = u->scratch_bytes;
	u->scratch = old;
}

static void
update(struct worker *w, struct worker_update *u)
{
	struct snapshot_hold *old = w->hold;
	uint64_t start_us = clock_thread_us();

	if (w->draining)
		refuse_binds(u);
	else
		change_binds(w, u);
	if (u->fronts_moved)
		move_clients(w, u->hold->snapshot);
	w->hold = u->hold;
	w->snapshot = u->hold->snapshot;
	take_scratch(w, u);
	buf_pool_grow(&w->loop->bufs, u->buf_bytes);
	if (u->recount)
		recount(w);
	/* It may accept more than before. */
	accept_again(w);
	if (old != NULL)
		worker_hold_used(w, old);
	u->cpu_us = clock_thread_us() - start_us;
	w->shared->on_updated(u, w->shared->arg);
}

static void
worker_on_mail(struct mail *m, void *arg)
{
	struct worker *w = arg;

	switch (m->kind) {
	case WORKER_LEAVE:
		leave(w);
		break;
	case WORKER_DRAIN:
		drain(w);
		break;
	case WORKER_STOP:
		stop(w);
		break;
	case WORKER_ACCEPT:
		/* The flag goes first: room made from now on is told anew. */
		atomic_store(&w->room_sent, false);
		accept_again(w);
		break;
	case WORKER_WAKE:
		woken(w, m->body);
		break;
	case WORKER_EVICT:
		evict(w, m->body);
		break;
	case WORKER_PASS:
		pass(w);
		break;
	case WORKER_UPDATE:
		update(w, m->body);
		break;
	default:
		CHECK(false);
	}
}

void
worker_post(struct worker *w, enum worker_order order)
{
	if (w->given[order])
		return;
	w->given[order] = true;
	w->orders[order].kind = (int)order;
	mailbox_post(w->mail, &w->orders[order]);
}

void
worker_pass(struct worker *w)
{
	if (atomic_exchange(&w->pass_sent, true))
		return;
	w->pass_mail.kind = WORKER_PASS;
	mailbox_post(w->mail, &w->pass_mail);
}

void
worker_evict(struct worker *w, struct backend *b)
{
	struct lane *lane = &b->lanes[w->index];

	if (atomic_exchange(&lane->evict_sent, true))
		return;
	lane->evict.kind = WORKER_EVICT;
	lane->evict.body = b;
	mailbox_post(w->mail, &lane->evict);
}

void
worker_renew(struct worker *w, struct worker_update *u)
{
	u->mail.kind = WORKER_UPDATE;
	u->mail.body = u;
	mailbox_post(w->mail, &u->mail);
}

struct acceptor *
worker_acceptor(struct worker *w, int fd, uint64_t bind)
{
	return acceptor_make(
	    fd, &worker_acceptor_ops, (void *)(uintptr_t)bind, w);
}

size_t
worker_scratch_bytes(const struct snapshot *s)
{
	return 2 * (size_t)s->head_bytes + SCRATCH_EXTRA_BYTES;
}

uint32_t
worker_buf_bytes(const struct snapshot *s)
{
	uint32_t extra = H1_FORWARD_EXTRA_BYTES;

	for (size_t i = 0; i < s->n_listeners; i++)
		if (s->listeners[i].cfg->tls_client_ca.path[0] != '\0') {
			extra += GREETING_SUBJECT_BYTES;
			break;
		}
	return s->head_bytes + extra;
}

static void
seed(struct worker *w)
{
	rng_init(&w->rng, w->shared->seed + w->index);
	num_put_hex_padded(w->id_prefix, rng_next(&w->rng));
}

struct worker *
worker_create(
    struct worker_shared *shared, uint32_t index, struct log_ring *log)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->index = index;
	w->shared = shared;
	w->log = log;
	list_init(&w->clients);
	seed(w);
	w->loop = loop_create(BUF_BYTES, &worker_loop_ops, w);
	if (w->loop != NULL)
		w->loop->pipes.max = shared->max_pipes;
	if (w->loop != NULL)
		w->mail = mailbox_create(w->loop, worker_on_mail, w);
	if (w->mail != NULL)
		return w;
	worker_free(w);
	return NULL;
}

void
worker_run(struct worker *w)
{
	loop_run(w->loop);
}

static void
free_exchanges(struct worker *w)
{
	while (w->free_exchanges != NULL) {
		struct exchange *x = w->free_exchanges;

		w->free_exchanges = x->next_free;
		wheel_remove(&w->loop->wheel, &x->timer);
		free(x);
	}
}

void
worker_close_idle(struct worker *w)
{
	for (size_t p = 0; w->snapshot != NULL && p < w->snapshot->n_pools;
	     p++) {
		const struct snapshot_pool *pool = &w->snapshot->pools[p];

		for (size_t b = 0; b < pool->n_backends; b++)
			pool_drain(&pool->backends[b]->lanes[w->index]);
	}
}

void
worker_free(struct worker *w)
{
	if (w == NULL)
		return;
	stop_accepting(w);
	worker_close_idle(w);
	/* What comes now is not begun with any more. */
	w->draining = true;
	mailbox_free(w->mail);
	if (w->loop != NULL) {
		loop_bury_all(w->loop);
		free_exchanges(w);
		loop_free(w->loop);
	}
	free(w->binds);
	free(w->scratch);
	free(w);
}
