#include "evenkeel/control/server.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "evenkeel/control/binds.h"
#include "evenkeel/control/demo.h"
#include "evenkeel/control/guard.h"
#include "evenkeel/control/orders.h"
#include "evenkeel/control/pages.h"
#include "evenkeel/control/registry.h"
#include "evenkeel/control/sizes.h"
#include "evenkeel/control/verbs.h"
#include "evenkeel/net/clock.h"
#include "evenkeel/net/notify.h"
#include "evenkeel/net/privileges.h"
#include "evenkeel/net/signals.h"
#include "evenkeel/net/system.h"

#define WHY_BYTES 1024
/* What a stop may take beyond shutdown_timeout. */
#define STOP_SPARE_MS 10000

static const int watched[] = {
    SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};
#define WATCHED (sizeof(watched) / sizeof(watched[0]))

/* Mail from workers. */
enum server_mail { SERVER_DRAINED, SERVER_FAILING, SERVER_SHORT };

struct server {
	const struct server_options *o;
	char why_bytes[WHY_BYTES];
	struct textbuf why;
	struct log *log;
	struct log_ring *ring;
	struct loop *loop;
	struct mailbox *mail;
	struct registry *registry;
	struct worker_shared shared;
	struct worker **workers;
	struct log_ring **rings; /* of the workers */
	pthread_t *threads;
	uint32_t n_workers, n_threads;
	struct binds binds;
	struct guard *guard;
	struct pages pages;
	struct orders orders;
	struct httpd *admin, *control;
	struct demo *demo;
	struct signal_watch *signals[WATCHED];
	struct wheel_timer deadline; /* shutdown_timeout */
	uint32_t n_drained;
	bool pid_written;
};

static const struct httpd_ops admin_ops = {.on_request = pages_on_admin};
static const struct httpd_ops control_ops = {.on_request = orders_on_control};

/* ---- start: each step leaves its result in `s`, or a reason in s->why ---- */

static bool
fail(struct server *s, const char *why)
{
	textbuf_str(&s->why, why);
	return false;
}

static bool
nobody_runs(struct server *s)
{
	char *answer;
	size_t len;
	const char *why;

	if (verbs_get(s->o->control, "/pid", &answer, &len, &why) != ASK_OK)
		return true;
	textbuf_lit(&s->why, "already running, pid ");
	textbuf_put(&s->why, span_make(answer, len));
	textbuf_lit(&s->why, " (control socket ");
	textbuf_str(&s->why, s->o->control);
	textbuf_lit(&s->why, ")");
	free(answer);
	return false;
}

/* Before anything is opened: what can be opened now can be opened later. */
static bool
change_user(struct server *s)
{
	const struct cfg_global *g = &s->o->cfg->global;
	struct privileges p;

	return privileges_find(&p, g->user, g->group, &s->why) &&
	    privileges_drop(&p, &s->why);
}

static bool
write_pid(struct server *s)
{
	const char *path = s->o->cfg->global.pid_file;

	if (path[0] == '\0')
		return true;
	s->pid_written = system_write_pid(path);
	if (s->pid_written)
		return true;
	textbuf_lit(&s->why, "pid_file: ");
	textbuf_str(&s->why, path);
	textbuf_lit(&s->why, ": ");
	return fail(s, strerror(errno));
}

static bool
open_logs(struct server *s)
{
	const struct cfg_global *g = &s->o->cfg->global;
	const struct log_options options = {.log = g->log,
	    .access = g->access_log,
	    .level = (enum log_level)g->log_level,
	    .format = (enum log_format)g->log_format};
	char name[32];

	s->log = log_create(&options, &s->why);
	if (s->log == NULL)
		return false;
	s->ring = log_ring_create(s->log, "control");
	s->rings = calloc(s->n_workers, sizeof(struct log_ring *));
	if (s->ring == NULL || s->rings == NULL)
		return fail(s, "out of memory");
	for (uint32_t i = 0; i < s->n_workers; i++) {
		snprintf(name, sizeof(name), "worker %u", i);
		s->rings[i] = log_ring_create(s->log, name);
		if (s->rings[i] == NULL)
			return fail(s, "out of memory");
	}
	return true;
}

/* A server on one listening socket of the control thread's loop. */
static struct httpd *
serve(struct server *s, const struct cfg_addr *addr,
    const struct httpd_ops *ops, void *arg, const char *shown_as)
{
	char text[ADDRESS_TEXT_BYTES];
	struct textbuf shown = textbuf_make(text, sizeof(text) - 1);
	struct address a, bound;
	struct httpd *h;
	int fd;

	if (!address_resolve(&a, addr, &s->why) ||
	    !listener_bind(&a, &fd, 1, &bound, &s->why))
		return NULL;
	h = httpd_create(s->loop, fd, ops, arg);
	if (h == NULL)
		(void)fail(s, "out of memory");
	address_put(&shown, &bound);
	text[shown.len] = '\0';
	if (shown_as != NULL)
		log_message(
		    s->ring, LOG_LEVEL_INFO, "%s on %s", shown_as, text);
	return h;
}

static bool
open_control(struct server *s)
{
	const struct cfg_addr at = {
	    .kind = CFG_ADDR_UNIX, .host = s->o->control, .text = ""};
	/* Born private: whoever may open it may give orders. */
	mode_t old = umask(0177);

	s->control = serve(s, &at, &control_ops, &s->orders, NULL);
	umask(old);
	return s->control != NULL;
}

static bool
open_admin(struct server *s)
{
	const struct cfg_admin *admin = &s->o->cfg->admin;

	if (!admin->present)
		return true;
	s->admin = serve(s, &admin->listen, &admin_ops, &s->pages, "admin");
	return s->admin != NULL;
}

static void server_on_signal(int number, void *arg);
static void server_on_drained(struct worker *w, void *arg);
static void server_on_failing(struct backend *b, void *arg);
static void server_on_short(void *arg);
static void server_on_mail(struct mail *m, void *arg);
static void server_on_deadline(struct wheel_timer *t, uint64_t now_ms);
static void server_on_turn(void *arg);

static const struct loop_ops server_loop_ops = {.on_turn = server_on_turn};

static bool
make_loop(struct server *s)
{
	s->loop = loop_create(BUF_BYTES, &server_loop_ops, s);
	if (s->loop == NULL)
		return fail(s, "no event loop to be had");
	wheel_timer_init(&s->deadline, server_on_deadline);
	s->mail = mailbox_create(s->loop, server_on_mail, s);
	if (s->mail == NULL)
		return fail(s, "out of memory");
	for (size_t i = 0; i < WATCHED; i++) {
		s->signals[i] = signal_watch_create(
		    s->loop, watched[i], server_on_signal, s);
		if (s->signals[i] == NULL)
			return fail(s, "out of memory");
	}
	return true;
}

static bool
build_snapshot(struct server *s)
{
	s->registry = registry_create(s->n_workers);
	if (s->registry == NULL)
		return fail(s, "out of memory");
	s->shared.snapshot = registry_build(s->registry, s->o->cfg, &s->why);
	if (s->shared.snapshot == NULL)
		return false;
	s->shared.workers = s->n_workers;
	s->shared.access_json =
	    s->o->cfg->global.access_log_format == CFG_ACCESS_JSON;
	s->shared.seed = system_seed();
	s->shared.on_drained = server_on_drained;
	s->shared.on_failing = server_on_failing;
	s->shared.on_short = server_on_short;
	s->shared.arg = s;
	s->guard = guard_create(s->loop, &s->shared, s->ring);
	return s->guard != NULL || fail(s, "out of memory");
}

static bool
make_workers(struct server *s)
{
	s->workers = calloc(s->n_workers, sizeof(struct worker *));
	s->threads = calloc(s->n_workers, sizeof(*s->threads));
	if (s->workers == NULL || s->threads == NULL)
		return fail(s, "out of memory");
	s->shared.all = s->workers;
	sizes_share(s->o->cfg, s->n_workers, s->binds.n,
	    &s->shared.max_connections, &s->shared.max_pipes);
	for (uint32_t i = 0; i < s->n_workers; i++) {
		s->workers[i] = worker_create(&s->shared, i, s->rings[i],
		    binds_of(&s->binds, i), s->binds.n);
		binds_taken(&s->binds, i);
		if (s->workers[i] == NULL)
			return fail(s, "out of memory or descriptors");
	}
	s->pages = (struct pages){.snapshot = s->shared.snapshot,
	    .workers = s->workers,
	    .n_workers = s->n_workers,
	    .file = s->o->file,
	    .start_us = clock_monotonic_us(),
	    .log = s->log,
	    .guard = s->guard};
	s->orders = (struct orders){.guard = s->guard, .pages = &s->pages};
	return true;
}

static void *
worker_thread(void *arg)
{
	worker_run(arg);
	return NULL;
}

static bool
start_threads(struct server *s)
{
	if (!log_start(s->log))
		return fail(s, "no thread for the log to be had");
	if (!guard_start(s->guard))
		return fail(s, "out of memory");
	for (uint32_t i = 0; i < s->n_workers; i++) {
		if (pthread_create(&s->threads[i], NULL, worker_thread,
			s->workers[i]) != 0)
			return fail(s, "no thread for a worker to be had");
		s->n_threads++;
	}
	return true;
}

static bool
start_demo(struct server *s)
{
	if (!s->o->demo)
		return true;
	s->demo = demo_start(s->loop, s->shared.snapshot, s->ring);
	return s->demo != NULL || fail(s, "out of memory");
}

static void
log_warnings(struct server *s)
{
	const struct cfg_problem *p;

	for (p = s->o->warnings; p != NULL; p = p->next)
		log_message(s->ring, LOG_LEVEL_WARN, "%s:%u: %s", s->o->file,
		    p->line, p->text);
}

static bool
start(struct server *s)
{
	s->n_workers = sizes_workers(s->o->cfg);
	return nobody_runs(s) && change_user(s) && open_logs(s) &&
	    make_loop(s) && build_snapshot(s) &&
	    binds_open(&s->binds, s->shared.snapshot, s->n_workers, s->ring,
		&s->why) &&
	    make_workers(s) && open_control(s) && open_admin(s) &&
	    start_demo(s) && write_pid(s) && start_threads(s);
}

/* ---- stop ---- */

static void
order_all(struct server *s, enum worker_order order)
{
	for (uint32_t i = 0; i < s->n_threads; i++)
		worker_post(s->workers[i], order);
}

static void
server_on_deadline(struct wheel_timer *t, uint64_t now_ms)
{
	struct server *s = (struct server *)(void *)((char *)t -
	    offsetof(struct server, deadline));

	(void)now_ms;
	log_message(s->ring, LOG_LEVEL_WARN,
	    "shutdown_timeout is over: ending what is left");
	loop_stop(s->loop);
}

static void
begin_stop(struct server *s, int number)
{
	uint64_t until_ms =
	    loop_now_ms(s->loop) + s->o->cfg->global.shutdown_timeout_ms;

	if (s->pages.draining) {
		log_message(s->ring, LOG_LEVEL_INFO,
		    "signal %d again: stopping at once", number);
		loop_stop(s->loop);
		return;
	}
	s->pages.draining = true;
	log_message(s->ring, LOG_LEVEL_INFO,
	    "signal %d: stopping; requests in flight may finish", number);
	loop_arm(s->loop, &s->deadline, until_ms);
	order_all(s, WORKER_DRAIN);
	notify_stopping(
	    s->o->cfg->global.shutdown_timeout_ms + (uint64_t)STOP_SPARE_MS,
	    SPAN("stopping; requests in flight may finish"));
}

static void
server_on_signal(int number, void *arg)
{
	struct server *s = arg;

	switch (number) {
	case SIGTERM:
	case SIGINT:
	case SIGQUIT:
		begin_stop(s, number);
		break;
	case SIGUSR1:
		log_reopen(s->log);
		log_message(s->ring, LOG_LEVEL_INFO, "log files opened anew");
		break;
	default:
		log_message(s->ring, LOG_LEVEL_WARN,
		    "signal %d: not available in this version, ignored",
		    number);
		break;
	}
}

/* In the worker's thread. */
static void
server_on_drained(struct worker *w, void *arg)
{
	struct server *s = arg;

	w->drained_mail.kind = SERVER_DRAINED;
	mailbox_post(s->mail, &w->drained_mail);
}

/* In a worker's thread. */
static void
server_on_failing(struct backend *b, void *arg)
{
	struct server *s = arg;

	if (atomic_exchange(&b->failing_sent, true))
		return;
	b->failing.kind = SERVER_FAILING;
	b->failing.body = b;
	mailbox_post(s->mail, &b->failing);
}

/* In a worker's thread. */
static void
server_on_short(void *arg)
{
	struct server *s = arg;

	s->shared.short_mail.kind = SERVER_SHORT;
	mailbox_post(s->mail, &s->shared.short_mail);
}

static void
server_on_mail(struct mail *m, void *arg)
{
	struct server *s = arg;

	if (m->kind == SERVER_FAILING) {
		guard_failing(s->guard, m->body);
		return;
	}
	if (m->kind == SERVER_SHORT) {
		guard_short(s->guard);
		return;
	}
	s->n_drained++;
	if (s->n_drained == s->n_workers)
		loop_stop(s->loop);
}

static void
server_on_turn(void *arg)
{
	struct server *s = arg;

	log_flush(s->ring);
}

static void
join_workers(struct server *s)
{
	order_all(s, WORKER_STOP);
	for (uint32_t i = 0; i < s->n_threads; i++)
		pthread_join(s->threads[i], NULL);
	s->n_threads = 0;
}

static void
take_down(struct server *s)
{
	join_workers(s);
	if (s->pid_written)
		system_remove_pid(s->o->cfg->global.pid_file);
	if (s->control != NULL)
		unlink(s->o->control);
	binds_unlink(&s->binds, s->o->cfg);
	demo_stop(s->demo);
	httpd_free(s->admin);
	httpd_free(s->control);
	if (s->loop != NULL) {
		for (size_t i = 0; i < WATCHED; i++)
			signal_watch_free(s->signals[i]);
		wheel_remove(&s->loop->wheel, &s->deadline);
		mailbox_free(s->mail);
		guard_free(s->guard);
		loop_free(s->loop);
	}
	/* Mail from the workers lies in them: after the mailbox. */
	for (uint32_t i = 0; s->workers != NULL && i < s->n_workers; i++)
		worker_free(s->workers[i]);
	binds_close(&s->binds);
	registry_free(s->registry);
	if (s->log != NULL)
		log_free(s->log);
	free(s->workers);
	free(s->rings);
	free(s->threads);
}

bool
server_run(const struct server_options *o)
{
	struct server *s = calloc(1, sizeof(*s));
	bool started = false;

	if (s == NULL) {
		fputs("evenkeel: out of memory\n", stderr);
		return false;
	}
	s->o = o;
	s->why = textbuf_make(s->why_bytes, sizeof(s->why_bytes));
	signals_block();
	started = start(s);
	if (started) {
		signals_allow();
		log_warnings(s);
		log_message(s->ring, LOG_LEVEL_INFO,
		    "evenkeel ready: version " EVENKEEL_VERSION
		    ", pid %d, %u worker%s",
		    (int)getpid(), s->n_workers, s->n_workers == 1 ? "" : "s");
		/* The first poll may be a long one. */
		log_flush(s->ring);
		notify_ready(SPAN("ready: version " EVENKEEL_VERSION));
		loop_run(s->loop);
		/* From here on another signal changes nothing. */
		signals_block();
		log_message(s->ring, LOG_LEVEL_INFO, "evenkeel stopped");
	}
	take_down(s);
	if (!started)
		fprintf(
		    stderr, "evenkeel: %.*s\n", (int)s->why.len, s->why.ptr);
	free(s);
	return started;
}
