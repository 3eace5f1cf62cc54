#include "evenkeel/proxy/worker.h"

#include <stdlib.h>

#include "evenkeel/base/num.h"
#include "evenkeel/http/forward.h"
#include "evenkeel/proxy/pool.h"
#include "evenkeel/proxy/queue.h"

/* Room of the scratch beyond two heads: what is added to one, and data that
 * is copied behind it. */
#define SCRATCH_EXTRA_BYTES 16384
/* Between two warnings that accepting has stopped. */
#define TELL_PAUSE_MS 10000

static void
worker_on_accept(int fd, const struct sockaddr *peer, void *listener, void *arg)
{
	client_accept(arg, fd, peer, listener);
}

static bool
worker_may_accept(void *arg)
{
	struct worker *w = arg;

	return atomic_load_explicit(&w->shared->connections,
		   memory_order_relaxed) < w->shared->max_connections;
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
	atomic_fetch_add(&w->shared->paused, 1);
	/* Told now and then: at the limit this happens all the time. */
	if (w->told_pause_ms != 0 &&
	    loop_now_ms(w->loop) - w->told_pause_ms < TELL_PAUSE_MS)
		return;
	w->told_pause_ms = loop_now_ms(w->loop);
	log_message(w->log, LOG_LEVEL_WARN,
	    "no more connections are accepted for now: %u are open, "
	    "max_connections is %u",
	    atomic_load(&w->shared->connections), w->shared->max_connections);
}

static const struct acceptor_ops worker_acceptor_ops = {
    .on_accept = worker_on_accept,
    .may_accept = worker_may_accept,
    .on_pause = worker_on_pause};

static void
accept_again(struct worker *w)
{
	for (size_t i = 0; i < w->n_acceptors; i++)
		acceptor_resume(w->acceptors[i]);
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
	for (size_t i = 0; i < w->n_acceptors; i++)
		acceptor_free(w->acceptors[i]);
	w->n_acceptors = 0;
}

static void
drain(struct worker *w)
{
	struct list *link, *next;

	if (w->draining)
		return;
	/* Whoever the kernel has let in already is served. */
	for (size_t i = 0; i < w->n_acceptors; i++)
		acceptor_take_all(w->acceptors[i]);
	stop_accepting(w);
	w->draining = true;
	for (link = w->clients.next; link != &w->clients; link = next) {
		next = link->next;
		client_drain(client_of(link));
	}
	worker_client_ended(w);
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

static void
lane_on_task(struct loop_task *t)
{
	struct upstream_lane *lane =
	    LOOP_TASK_OWNER(t, struct upstream_lane, task);

	queue_run(lane->worker, lane->upstream);
}

static void
worker_on_mail(struct mail *m, void *arg)
{
	struct worker *w = arg;

	switch (m->kind) {
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

static bool
listen_all(struct worker *w, const struct worker_bind *binds, size_t n)
{
	bool all = true;

	/* Every descriptor is taken over, also behind a failure. */
	for (size_t i = 0; i < n; i++) {
		struct acceptor *a = acceptor_create(w->loop, binds[i].fd,
		    &worker_acceptor_ops, binds[i].front, w);

		if (a != NULL)
			w->acceptors[w->n_acceptors++] = a;
		else
			all = false;
	}
	return all;
}

static void
seed(struct worker *w)
{
	rng_init(&w->rng, w->shared->seed + w->index);
	num_put_hex_padded(w->id_prefix, rng_next(&w->rng));
}

static void
adopt_lanes(struct worker *w)
{
	for (size_t i = 0; i < w->snapshot->n_pools; i++) {
		struct upstream *u = w->snapshot->pools[i].upstream;
		struct upstream_lane *lane = &u->lanes[w->index];

		lane->worker = w;
		lane->upstream = u;
		loop_task_init(&lane->task, lane_on_task);
	}
}

struct worker *
worker_create(struct worker_shared *shared, uint32_t index,
    struct log_ring *log, const struct worker_bind *binds, size_t n_binds)
{
	struct worker *w = calloc(1, sizeof(*w));
	uint32_t head_bytes = shared->snapshot->head_bytes;

	if (w == NULL)
		return NULL;
	w->index = index;
	w->shared = shared;
	w->log = log;
	w->snapshot = shared->snapshot;
	list_init(&w->clients);
	adopt_lanes(w);
	seed(w);
	w->scratch_bytes = 2 * (size_t)head_bytes + SCRATCH_EXTRA_BYTES;
	w->scratch = malloc(w->scratch_bytes);
	w->acceptors = calloc(n_binds, sizeof(struct acceptor *));
	w->loop = loop_create(
	    head_bytes + H1_FORWARD_EXTRA_BYTES, &worker_loop_ops, w);
	if (w->loop != NULL)
		w->loop->pipes.max = shared->max_pipes;
	if (w->loop != NULL)
		w->mail = mailbox_create(w->loop, worker_on_mail, w);
	if (w->scratch != NULL && w->acceptors != NULL && w->mail != NULL &&
	    listen_all(w, binds, n_binds))
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
	for (size_t p = 0; p < w->snapshot->n_pools; p++) {
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
	mailbox_free(w->mail);
	if (w->loop != NULL) {
		loop_bury_all(w->loop);
		free_exchanges(w);
		loop_free(w->loop);
	}
	free(w->acceptors);
	free(w->scratch);
	free(w);
}
