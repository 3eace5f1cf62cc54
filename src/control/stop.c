#include "evenkeel/control/stop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "evenkeel/control/handover.h"
#include "evenkeel/net/clock.h"
#include "evenkeel/net/notify.h"
#include "evenkeel/net/system.h"

/* What a stop may take beyond shutdown_timeout. */
#define STOP_SPARE_MS 10000
/* After an upgrade an idle client may use its connection for so long: it is
 * told to close it with the next answer.  Closing at once would cross requests
 * that are on their way. */
#define LEAVE_MS 5000

const int stop_signals[RUNNING_SIGNALS] = {
    SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};

static void
order_all(struct server *s, enum worker_order order)
{
	for (uint32_t i = 0; i < s->n_threads; i++)
		worker_post(s->workers[i], order);
}

void
stop_on_deadline(struct wheel_timer *t, uint64_t now_ms)
{
	struct server *s = (struct server *)(void *)((char *)t -
	    offsetof(struct server, deadline));

	(void)now_ms;
	log_message(s->ring, LOG_LEVEL_WARN,
	    "shutdown_timeout is over: ending what is left");
	loop_stop(s->loop);
}

static uint64_t
stop_limit_ms(const struct server *s)
{
	return registry_snapshot(s->registry)->cfg->global.shutdown_timeout_ms;
}

static void
begin_drain(struct server *s, enum worker_order order)
{
	s->pages.draining = true;
	loop_arm(
	    s->loop, &s->deadline, loop_now_ms(s->loop) + stop_limit_ms(s));
	order_all(s, order);
}

void
stop_on_leave(struct wheel_timer *t, uint64_t now_ms)
{
	(void)now_ms;
	order_all((struct server *)(void *)((char *)t -
		      offsetof(struct server, leave)),
	    WORKER_DRAIN);
}

static void
begin_stop(struct server *s, int number)
{
	upgrade_cancel(s->upgrade);
	if (s->pages.draining) {
		log_message(s->ring, LOG_LEVEL_INFO,
		    "signal %d again: stopping at once", number);
		loop_stop(s->loop);
		return;
	}
	log_message(s->ring, LOG_LEVEL_INFO,
	    "signal %d: stopping; requests in flight may finish", number);
	reload_hold(s->reload, "evenkeel is stopping");
	begin_drain(s, WORKER_DRAIN);
	notify_stopping(stop_limit_ms(s) + STOP_SPARE_MS,
	    SPAN("stopping; requests in flight may finish"));
}

/* ---- upgrade ---- */

static const char *
why_no_upgrade(const struct server *s)
{
	if (s->handed_over)
		return "another process has taken over from this one already";
	if (s->pages.draining)
		return "this process stops";
	if (!s->ready)
		return "this process is not ready itself";
	if (s->demo != NULL)
		return "the demo backends of this process would be lost";
	return NULL;
}

static void
begin_upgrade(struct server *s)
{
	const struct handover h = {.upgrade = s->upgrade,
	    .binds = &s->binds,
	    .admin = &s->admin,
	    .reload = s->reload,
	    .guard = s->guard,
	    .log = s->ring};

	handover_begin(&h, why_no_upgrade(s));
}

/* The other process serves: this one ends as if told to. */
void
stop_on_upgraded(pid_t pid, struct span words, void *arg)
{
	struct server *s = arg;

	s->handed_over = true;
	log_message(s->ring, LOG_LEVEL_INFO,
	    "upgraded: process %d (version %.*s) has taken over; requests in "
	    "flight may finish here",
	    (int)pid, (int)words.len, words.ptr);
	notify_successor((uint64_t)pid, SPAN("ready: upgraded"));
	reload_hold(s->reload, "another process has taken over");
	door_retire(&s->door);
	admin_retire(&s->admin);
	if (s->pages.draining)
		return;
	begin_drain(s, WORKER_LEAVE);
	loop_arm(s->loop, &s->leave, loop_now_ms(s->loop) + LEAVE_MS);
}

/* It may have taken what only one process can have, and ended then. */
void
stop_on_upgrade_failed(void *arg)
{
	struct server *s = arg;

	if (s->pages.draining)
		return;
	reload_hold(s->reload, NULL);
	door_sweep(&s->door);
	if (s->pid_written && !system_write_pid(s->o->cfg->global.pid_file))
		log_message(s->ring, LOG_LEVEL_ERROR, "pid_file: %s: %s",
		    s->o->cfg->global.pid_file, strerror(errno));
	if (door_is_ours(&s->door))
		return;
	door_close(&s->door);
	s->why.len = 0;
	if (!door_open(&s->door, false, &s->why))
		log_message(s->ring, LOG_LEVEL_ERROR, "control: %.*s",
		    (int)s->why.len, s->why.ptr);
}

/* ---- events ---- */

void
stop_on_signal(int number, void *arg)
{
	struct server *s = arg;

	switch (number) {
	case SIGTERM:
	case SIGINT:
	case SIGQUIT:
		begin_stop(s, number);
		break;
	case SIGHUP:
		(void)reload_ask(s->reload, "SIGHUP");
		break;
	case SIGUSR1:
		log_reopen(s->log);
		log_message(s->ring, LOG_LEVEL_INFO, "log files opened anew");
		break;
	case SIGUSR2:
		begin_upgrade(s);
		break;
	default:
		CHECK(false);
	}
}

void
stop_workers(struct server *s)
{
	order_all(s, WORKER_STOP);
	for (uint32_t i = 0; i < s->n_threads; i++)
		pthread_join(s->threads[i], NULL);
	s->n_threads = 0;
}
