#include "evenkeel/net/loop.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "evenkeel/net/clock.h"
#include "evenkeel/net/tls.h"

/* What an event base opens at most. */
#define LOOP_FILES 4

static void
loop_on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	(void)fd;
	(void)what;
	wheel_advance(&l->wheel, loop_now_ms(l));
	if (l->wheel.linked == 0) {
		event_del(l->tick);
		l->tick_pending = false;
	}
}

static const struct timeval tick = {0, WHEEL_TICK_MS * 1000};

/* libevent keeps the room that the first timer takes: with that, starting the
 * tick cannot fail for want of memory while clients depend on it. */
static bool
make_tick(struct loop *l)
{
	l->tick = event_new(l->base, -1, EV_PERSIST, loop_on_tick, l);
	return l->tick != NULL && event_add(l->tick, &tick) == 0 &&
	    event_del(l->tick) == 0;
}

void
loop_tick_start(struct loop *l)
{
	/* The wheel stood still: it has nothing filed and may jump to now. */
	l->wheel.tick = loop_now_ms(l) / WHEEL_TICK_MS;
	if (event_add(l->tick, &tick) == 0)
		l->tick_pending = true;
}

/* libevent ends the process when it finds no descriptors for its own use (an
 * epoll and a pair of sockets): find out before. */
static bool
files_left(void)
{
	int fds[LOOP_FILES], n = 0;

	while (n < LOOP_FILES && (fds[n] = eventfd(0, EFD_CLOEXEC)) >= 0)
		n++;
	for (int i = 0; i < n; i++)
		close(fds[i]);
	return n == LOOP_FILES;
}

/* libevent warns on standard error of what it also returns; those who called
 * it say so, in the log. */
static void
loop_on_libevent_log(int severity, const char *text)
{
	(void)severity;
	(void)text;
}

static struct event_base *
make_base(void)
{
	struct event_config *config = NULL;
	struct event_base *base = NULL;

	event_set_log_callback(loop_on_libevent_log);
	if (files_left())
		config = event_config_new();
	if (config == NULL)
		return NULL;
	/* One thread, edge-triggered epoll, EV_CLOSED for half-closes. */
	if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0 &&
	    event_config_require_features(config,
		EV_FEATURE_ET | EV_FEATURE_O1 | EV_FEATURE_EARLY_CLOSE) == 0)
		base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

struct loop *
loop_create(uint32_t buf_bytes, const struct loop_ops *ops, void *arg)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->ops = ops;
	l->arg = arg;
	list_init(&l->ready);
	list_init(&l->graveyard);
	buf_pool_init(&l->bufs, buf_bytes);
	pipe_pool_init(&l->pipes, PIPE_POOL_MAX);
	wheel_init(&l->wheel, clock_monotonic_us() / 1000);
	l->base = make_base();
	if (l->base != NULL && make_tick(l) && alarms_open(l))
		return l;
	if (l->tick != NULL)
		event_free(l->tick);
	if (l->base != NULL)
		event_base_free(l->base);
	free(l);
	return NULL;
}

static void
run_tasks(struct list *queue)
{
	struct list now;
	struct list *link;

	list_init(&now);
	list_splice_back(&now, queue);
	while ((link = list_pop_front(&now)) != NULL) {
		struct loop_task *t = LIST_OWNER(link, struct loop_task, link);

		t->run(t);
	}
}

void
loop_bury_all(struct loop *l)
{
	/* Freeing one object may end another; both end in this turn. */
	while (!list_empty(&l->graveyard))
		run_tasks(&l->graveyard);
}

static void
turn(struct loop *l)
{
	int flags = EVLOOP_ONCE;

	if (!list_empty(&l->ready))
		flags |= EVLOOP_NONBLOCK;
	l->now_us = 0;
	l->turn++;
	/* The descriptor and the time are good; should it fail all the same,
	 * it is tried again at once. */
	if (!alarms_set(l))
		flags |= EVLOOP_NONBLOCK;
	event_base_loop(l->base, flags);
	/* Tasks that queue themselves again wait for the next turn, so that
	 * the poll is never starved. */
	if (!list_empty(&l->ready))
		run_tasks(&l->ready);
	if (l->ops != NULL)
		l->ops->on_turn(l->arg);
	loop_bury_all(l);
}

void
loop_run(struct loop *l)
{
	while (!l->stopping)
		turn(l);
}

void
loop_stop(struct loop *l)
{
	l->stopping = true;
}

uint64_t
loop_clock(struct loop *l)
{
	l->now_us = clock_monotonic_us();
	return l->now_us;
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	loop_bury_all(l);
	event_free(l->tick);
	alarms_close(l);
	event_base_free(l->base);
	tls_io_free(l->tls);
	buf_pool_close(&l->bufs);
	pipe_pool_close(&l->pipes);
	free(l);
}
