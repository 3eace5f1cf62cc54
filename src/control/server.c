#include "evenkeel/control/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "evenkeel/control/start.h"
#include "evenkeel/control/stop.h"
#include "evenkeel/net/notify.h"
#include "evenkeel/net/system.h"

/* Between attempts to put other addresses in force, for want of memory. */
#define REFRESH_AGAIN_MS 1000

/* From the worker threads; at the very end from this one, when nobody reads any
 * more. */
static void
post(struct server *s, struct mail *m, enum server_mail kind, void *body)
{
	m->kind = (int)kind;
	m->body = body;
	if (s->mail != NULL)
		mailbox_post(s->mail, m);
}

/* In the worker's thread. */
void
server_on_drained(struct worker *w, void *arg)
{
	struct server *s = arg;

	post(s, &w->drained_mail, SERVER_DRAINED, w);
}

/* In a worker's thread. */
void
server_on_failing(struct backend *b, void *arg)
{
	struct server *s = arg;

	if (atomic_exchange(&b->failing_sent, true))
		return;
	post(s, &b->failing, SERVER_FAILING, b);
}

/* In a worker's thread. */
void
server_on_short(void *arg)
{
	struct server *s = arg;

	post(s, &s->shared.short_mail, SERVER_SHORT, NULL);
}

/* In a worker's thread. */
void
server_on_updated(struct worker_update *u, void *arg)
{
	struct server *s = arg;

	post(s, &u->mail, SERVER_UPDATED, u);
}

/* In a worker's thread. */
void
server_on_released(struct snapshot_hold *hold, void *arg)
{
	struct server *s = arg;

	post(s, &hold->mail, SERVER_RELEASED, hold);
}

static void
note_drained(struct server *s)
{
	s->n_drained++;
	if (s->n_drained == s->n_workers)
		loop_stop(s->loop);
}

void
server_on_mail(struct mail *m, void *arg)
{
	struct server *s = arg;

	switch ((enum server_mail)m->kind) {
	case SERVER_DRAINED:
		note_drained(s);
		break;
	case SERVER_FAILING:
		guard_failing(s->guard, m->body);
		break;
	case SERVER_SHORT:
		guard_short(s->guard);
		break;
	case SERVER_UPDATED:
		apply_updated(&s->apply, m->body);
		break;
	case SERVER_RELEASED:
		apply_released(&s->apply, m->body);
		break;
	case SERVER_LOADED:
		reload_loaded(s->reload);
		break;
	}
}

/* Who hands over is gone, or would wait in vain and end this process then. */
static void
not_told(struct server *s, int error)
{
	log_message(s->ring, LOG_LEVEL_WARN,
	    "process %d, which this one takes over from, cannot be told: %s",
	    (int)s->o->inherit->old_pid, strerror(error));
	if (error != EPIPE)
		loop_stop(s->loop);
}

/* A service manager hears it from the process it knows. */
static void
tell_who_waits(struct server *s)
{
	struct inherit *in = s->o->inherit;

	inherit_drop_rest(in, s->ring);
	if (in->old_pid == 0)
		notify_ready(SPAN("ready: version " EVENKEEL_VERSION));
	else if (!inherit_tell_ready(in, SPAN(EVENKEEL_VERSION)))
		not_told(s, errno);
}

static void
log_warning(const struct cfg_problem *p, void *arg)
{
	const struct server *s = arg;

	log_message(s->ring, LOG_LEVEL_WARN, "%s:%u: %s", s->apply.file,
	    p->line, p->text);
}

static void
log_warnings(struct server *s)
{
	loaded_each_warning(registry_loaded(s->registry), log_warning, s);
}

/* All workers have the first configuration. */
static void
tell_ready(struct server *s)
{
	if (s->pages.draining)
		return;
	s->ready = true;
	log_warnings(s);
	log_message(s->ring, LOG_LEVEL_INFO,
	    "evenkeel ready: version " EVENKEEL_VERSION ", pid %d, %u worker%s",
	    (int)getpid(), s->n_workers, s->n_workers == 1 ? "" : "s");
	tell_who_waits(s);
}

/* The configuration in force with the addresses that its names have now. */
static void
refresh(struct server *s)
{
	char bytes[RUNNING_WHY_BYTES];
	struct textbuf why = textbuf_make(bytes, sizeof(bytes));

	if (!s->stale || !s->ready || apply_pending(&s->apply) ||
	    s->pages.draining)
		return;
	s->stale = false;
	if (apply_config(&s->apply, registry_loaded(s->registry), &why)) {
		server_on_applied(s);
		return;
	}
	log_message(s->ring, LOG_LEVEL_ERROR,
	    "addresses have changed, but the backends stay as they are for "
	    "now: %.*s",
	    (int)(why.len > 0 ? why.len - 1 : 0), why.ptr);
	s->stale = true;
	alarm_arm(s->loop, &s->patience,
	    loop_now_us(s->loop) + REFRESH_AGAIN_MS * 1000);
}

void
server_on_done(void *arg)
{
	struct server *s = arg;

	if (s->ready)
		reload_done(s->reload);
	else
		tell_ready(s);
	reload_go_on(s->reload);
	refresh(s);
}

void
server_on_settled(void *arg)
{
	struct server *s = arg;

	if (s->n_threads == 0)
		loop_stop(s->loop);
	else
		reload_go_on(s->reload);
}

void
server_on_change(void *arg)
{
	struct server *s = arg;

	s->stale = true;
	refresh(s);
}

void
server_on_patience(struct alarm *a)
{
	struct server *s = ALARM_OWNER(a, struct server, patience);

	if (s->n_threads == 0)
		loop_stop(s->loop);
	else
		refresh(s);
}

void
server_on_applied(void *arg)
{
	struct server *s = arg;

	demo_serve(s->demo, registry_snapshot(s->registry));
}

void
server_on_turn(void *arg)
{
	struct server *s = arg;

	log_flush(s->ring);
}

static void
take_down(struct server *s)
{
	stop_workers(s);
	if (s->pid_written)
		system_remove_pid(s->o->cfg->global.pid_file);
	if (!s->handed_over)
		binds_unlink(&s->binds, s->ready);
	demo_free(s->demo);
	admin_close(&s->admin);
	door_close(&s->door);
	if (s->loop != NULL) {
		for (size_t i = 0; i < RUNNING_SIGNALS; i++)
			signal_watch_free(s->signals[i]);
		wheel_remove(&s->loop->wheel, &s->deadline);
		wheel_remove(&s->loop->wheel, &s->leave);
		alarm_cancel(s->loop, &s->patience);
		upgrade_free(s->upgrade);
		/* The loader posts, too; what it has posted is delivered. */
		reload_join(s->reload);
		mailbox_free(s->mail);
		s->mail = NULL;
		reload_free(s->reload);
		names_free(s->names);
	}
	/* Mail from the workers lies in them: after the mailbox. */
	for (uint32_t i = 0; s->workers != NULL && i < s->n_workers; i++)
		worker_free(s->workers[i]);
	if (s->loop != NULL) {
		apply_close(&s->apply);
		guard_free(s->guard);
		loop_free(s->loop);
	}
	binds_free(&s->binds);
	registry_free(s->registry);
	secure_free(s->secure);
	secure_base_free(&s->base);
	if (s->log != NULL)
		log_free(s->log);
	free(s->workers);
	free(s->rings);
	free(s->threads);
}

static enum server_end
end_of(const struct server *s, bool started)
{
	if (started)
		return SERVER_STOPPED;
	return s->refused ? SERVER_REFUSED : SERVER_FAILED;
}

enum server_end
server_run(const struct server_options *o)
{
	struct server *s = calloc(1, sizeof(*s));
	enum server_end result;
	bool started = false;

	if (s == NULL) {
		fputs("evenkeel: out of memory\n", stderr);
		return SERVER_FAILED;
	}
	s->o = o;
	s->why = textbuf_make(s->why_bytes, sizeof(s->why_bytes));
	signals_block();
	started = start_all(s);
	if (started) {
		signals_allow();
		loop_run(s->loop);
		/* From here on another signal changes nothing. */
		signals_block();
		log_message(s->ring, LOG_LEVEL_INFO, "evenkeel stopped");
	}
	take_down(s);
	result = end_of(s, started);
	if (result == SERVER_FAILED)
		fprintf(
		    stderr, "evenkeel: %.*s\n", (int)s->why.len, s->why.ptr);
	if (!started)
		inherit_tell_failed(s->o->inherit, textbuf_span(&s->why));
	free(s);
	return result;
}
