#include "evenkeel/control/start.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "evenkeel/base/num.h"
#include "evenkeel/control/cfgfile.h"
#include "evenkeel/control/handover.h"
#include "evenkeel/control/sizes.h"
#include "evenkeel/control/stop.h"
#include "evenkeel/control/verbs.h"
#include "evenkeel/net/clock.h"
#include "evenkeel/net/listener.h"
#include "evenkeel/net/privileges.h"
#include "evenkeel/net/system.h"
#include "evenkeel/net/thread.h"

/* The start waits so long for the names of backends; then the rest serves. */
#define NAMES_WAIT_MS 2000

static const struct httpd_ops admin_ops = {.on_request = pages_on_admin};
static const struct httpd_ops control_ops = {.on_request = orders_on_control};

/* Each step leaves its result in `s`, or a reason in s->why. */

static bool
fail(struct server *s, const char *why)
{
	textbuf_str(&s->why, why);
	return false;
}

static bool
fail_path(struct server *s, const char *what, const char *path)
{
	int error = errno;

	textbuf_str(&s->why, what);
	textbuf_str(&s->why, path);
	textbuf_lit(&s->why, ": ");
	return fail(s, strerror(error));
}

/* As messages name the configuration. */
static const char *
file_of(const struct server *s)
{
	return s->o->file[0] != '\0' ? s->o->file : "command line";
}

/* Nobody but the process that this one takes over from. */
static bool
nobody_runs(struct server *s)
{
	char *answer;
	size_t len;
	const char *why;
	uint64_t pid;

	if (verbs_get(s->o->control, "/pid", &answer, &len, &why) != ASK_OK)
		return true;
	if (num_parse_u64(span_make(answer, len), INT32_MAX, &pid) &&
	    pid == (uint64_t)s->o->inherit->old_pid) {
		free(answer);
		return true;
	}
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
	return s->pid_written || fail_path(s, "pid_file: ", path);
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
	return log_start(s->log) || fail(s, "no thread for the log to be had");
}

/* All are printed; what is told to others is the first. */
static bool
refuse(struct server *s)
{
	const struct cfg_problem *p = s->secure->problems;
	const char *file = file_of(s);

	cfgfile_print_problems(file, s->secure->problems);
	s->refused = true;
	textbuf_str(&s->why, file);
	textbuf_byte(&s->why, ':');
	textbuf_u64(&s->why, p->line);
	textbuf_lit(&s->why, ": ");
	return fail(s, p->text);
}

/* As the user that reads them again at each reload. */
static bool
load_secure(struct server *s)
{
	secure_base_init(&s->base, s->n_workers);
	s->secure = secure_load(&s->base, s->o->cfg);
	if (s->secure == NULL)
		return fail(s, "out of memory");
	return !s->secure->failed || refuse(s);
}

static const struct names_ops server_names_ops = {
    .on_change = server_on_change, .on_settled = server_on_settled};
static const struct upgrade_ops server_upgrade_ops = {
    .on_done = stop_on_upgraded, .on_failed = stop_on_upgrade_failed};
static const struct loop_ops server_loop_ops = {.on_turn = server_on_turn};

static bool
make_loop(struct server *s)
{
	s->loop = loop_create(BUF_BYTES, &server_loop_ops, s);
	if (s->loop == NULL)
		return fail(s, "no event loop to be had");
	wheel_timer_init(&s->deadline, stop_on_deadline);
	alarm_init(&s->patience, server_on_patience);
	wheel_timer_init(&s->leave, stop_on_leave);
	s->mail = mailbox_create(s->loop, server_on_mail, s);
	if (s->mail == NULL)
		return fail(s, "out of memory");
	for (size_t i = 0; i < RUNNING_SIGNALS; i++) {
		s->signals[i] = signal_watch_create(
		    s->loop, stop_signals[i], stop_on_signal, s);
		if (s->signals[i] == NULL)
			return fail(s, "out of memory");
	}
	s->upgrade = upgrade_create(
	    s->loop, s->ring, s->o->program, &server_upgrade_ops, s);
	return s->upgrade != NULL || fail(s, "out of memory");
}

static void
init_shared(struct server *s)
{
	uint32_t connections;

	s->shared.workers = s->n_workers;
	s->shared.seed = system_seed();
	s->shared.on_drained = server_on_drained;
	s->shared.on_updated = server_on_updated;
	s->shared.on_released = server_on_released;
	s->shared.on_failing = server_on_failing;
	s->shared.on_short = server_on_short;
	s->shared.arg = s;
	sizes_share(
	    s->o->cfg, s->n_workers, 0, &connections, &s->shared.max_pipes);
}

static bool
make_workers(struct server *s)
{
	s->workers = calloc(s->n_workers, sizeof(struct worker *));
	s->threads = calloc(s->n_workers, sizeof(*s->threads));
	if (s->workers == NULL || s->threads == NULL)
		return fail(s, "out of memory");
	init_shared(s);
	s->shared.all = s->workers;
	for (uint32_t i = 0; i < s->n_workers; i++) {
		s->workers[i] = worker_create(&s->shared, i, s->rings[i]);
		if (s->workers[i] == NULL)
			return fail(s, "out of memory or descriptors");
	}
	return true;
}

/* All that a configuration is put into force on. */
static bool
make_parts(struct server *s)
{
	struct reload_parts parts = {.loop = s->loop,
	    .apply = &s->apply,
	    .file = s->o->file,
	    .mail = s->mail,
	    .kind = SERVER_LOADED,
	    .log = s->ring,
	    .first = s->o->cfg,
	    .base = &s->base,
	    .on_applied = server_on_applied,
	    .arg = s};

	s->names = names_create(s->loop, s->ring, &server_names_ops, s);
	if (s->names == NULL)
		return fail(s, "out of memory or descriptors");
	parts.names = s->names;
	s->registry = registry_create(s->n_workers, s->workers, s->names);
	s->guard = guard_create(s->loop, &s->shared, s->ring);
	s->reload = reload_create(&parts);
	if (s->registry == NULL || s->guard == NULL || s->reload == NULL)
		return fail(s, "out of memory");
	binds_init(&s->binds, s->n_workers, s->o->inherit, s->ring);
	admin_init(&s->admin, s->loop, s->o->inherit, s->ring);
	admin_serve(&s->admin, &admin_ops, &s->pages);
	s->apply = (struct apply){.loop = s->loop,
	    .file = file_of(s),
	    .registry = s->registry,
	    .guard = s->guard,
	    .shared = &s->shared,
	    .log = s->log,
	    .binds = &s->binds,
	    .admin = &s->admin,
	    .on_done = server_on_done,
	    .arg = s};
	s->pages = (struct pages){.workers = s->workers,
	    .n_workers = s->n_workers,
	    .file = s->o->file,
	    .start_us = clock_monotonic_us(),
	    .log = s->log,
	    .registry = s->registry,
	    .guard = s->guard,
	    .reload = s->reload};
	s->door = (struct door){.path = s->o->control,
	    .loop = s->loop,
	    .ops = &control_ops,
	    .arg = &s->orders};
	s->orders = (struct orders){
	    .guard = s->guard, .pages = &s->pages, .reload = s->reload};
	return apply_init(&s->apply) || fail(s, "out of memory");
}

/* Nobody listens yet.  What is not known in time comes later. */
static bool
look_up_names(struct server *s)
{
	if (!names_prepare(s->names, s->o->cfg))
		return fail(s, "out of memory");
	if (names_settled(s->names))
		return true;
	alarm_arm(
	    s->loop, &s->patience, loop_now_us(s->loop) + NAMES_WAIT_MS * 1000);
	loop_run(s->loop);
	s->loop->stopping = false;
	alarm_cancel(s->loop, &s->patience);
	return true;
}

static bool
apply_first(struct server *s)
{
	struct loaded *first = loaded_of(s->o->cfg, s->o->warnings);
	bool applied;

	if (first == NULL)
		return fail(s, "out of memory");
	first->secure = s->secure;
	s->secure = NULL;
	applied = apply_config(&s->apply, first, &s->why);
	if (applied)
		names_commit(s->names, s->o->cfg);
	loaded_release(first);
	/* Whoever prints it ends the line. */
	if (!applied && s->why.len > 0)
		s->why.len--;
	if (applied)
		handover_take(s->guard, s->o->inherit->more);
	return applied;
}

/* Whoever asks is answered from what is in force, so not before there is. */
static bool
open_door(struct server *s)
{
	return door_open(&s->door, s->o->inherit->old_pid != 0, &s->why);
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
	for (uint32_t i = 0; i < s->n_workers; i++) {
		if (!thread_start(&s->threads[i], worker_thread, s->workers[i]))
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
	s->demo = demo_create(s->loop, s->ring);
	if (s->demo == NULL)
		return fail(s, "out of memory");
	demo_serve(s->demo, registry_snapshot(s->registry));
	return true;
}

/* What only one process can have; from here on this one serves. */
static bool
take_place(struct server *s)
{
	return write_pid(s) &&
	    (door_take(&s->door) || fail_path(s, "control: ", s->door.path)) &&
	    binds_start(&s->binds, &s->why) && start_threads(s);
}

bool
start_all(struct server *s)
{
	s->n_workers = sizes_workers(s->o->cfg);
	return nobody_runs(s) && change_user(s) && load_secure(s) &&
	    open_logs(s) && make_loop(s) && make_workers(s) && make_parts(s) &&
	    look_up_names(s) && apply_first(s) && open_door(s) &&
	    start_demo(s) && take_place(s);
}
