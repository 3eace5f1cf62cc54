#include "evenkeel/control/upgrade.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "evenkeel/base/num.h"
#include "evenkeel/net/spawn.h"

#define REASON_BYTES 1024

struct upgrade {
	struct loop *loop;
	struct log_ring *log;
	const struct upgrade_program *program;
	const struct upgrade_ops *ops;
	void *arg;
	enum upgrade_state state;
	bool cancelled;
	struct spawn *spawn;
	struct wheel_timer limit;
	uint32_t limit_ms;
	char **envp;
	int *fds;
	char reason_bytes[REASON_BYTES];
	struct textbuf reason; /* why it cannot; empty: nobody said */
};

/* ---- which file ---- */

static void
clear(struct textbuf *out, char *path)
{
	*out = textbuf_make(path, UPGRADE_PATH_BYTES - 1);
}

static bool
is_program(char *path, const struct textbuf *out)
{
	path[out->full ? 0 : out->len] = '\0';
	return path[0] == '/' && access(path, X_OK) == 0;
}

/* The link's text; the kernel marks a file that was replaced. */
static void
running_file(struct textbuf *out)
{
	static const char mark[] = " (deleted)";
	ssize_t n = readlink("/proc/self/exe", out->ptr, out->cap);
	size_t len = n > 0 ? (size_t)n : 0, mark_len = sizeof(mark) - 1;

	if (len > mark_len &&
	    memcmp(out->ptr + len - mark_len, mark, mark_len) == 0)
		len -= mark_len;
	out->len = len;
}

void
upgrade_find_program(struct upgrade_program *p, char *const *argv)
{
	struct textbuf out;
	struct span word = span_of(argv[0]);

	p->argv = argv;
	clear(&out, p->path);
	if (word.len > 0 && word.ptr[0] != '/' &&
	    getcwd(p->path, UPGRADE_PATH_BYTES / 2) != NULL) {
		out.len = strlen(p->path);
		textbuf_byte(&out, '/');
	}
	textbuf_put(&out, word);
	if (span_find(word, '/') < word.len && is_program(p->path, &out))
		return;
	clear(&out, p->path);
	running_file(&out);
	if (!is_program(p->path, &out))
		p->path[0] = '\0';
}

/* ---- one attempt ---- */

static void
forget(struct upgrade *u)
{
	wheel_remove(&u->loop->wheel, &u->limit);
	spawn_free(u->spawn);
	free(u->envp);
	free(u->fds);
	u->spawn = NULL;
	u->envp = NULL;
	u->fds = NULL;
}

static void
fail(struct upgrade *u)
{
	forget(u);
	u->state = UPGRADE_IDLE;
	if (u->cancelled) {
		log_message(u->log, LOG_LEVEL_INFO,
		    "the upgrade is given up, for this process stops");
		return;
	}
	log_message(u->log, LOG_LEVEL_ERROR,
	    "upgrade failed, this process goes on: %.*s", (int)u->reason.len,
	    u->reason.ptr);
}

static void
upgrade_on_line(struct span line, void *arg)
{
	struct upgrade *u = arg;
	size_t word = span_find(line, ' ');
	size_t skip = word < line.len ? word + 1 : word;
	struct span first = span_make(line.ptr, word);
	struct span rest = span_make(line.ptr + skip, line.len - skip);

	if (u->state != UPGRADE_STARTING)
		return;
	if (span_equal(first, SPAN("ready"))) {
		u->state = UPGRADE_DONE;
		wheel_remove(&u->loop->wheel, &u->limit);
		u->ops->on_done(spawn_pid(u->spawn), rest, u->arg);
	} else if (span_equal(first, SPAN("failed")) && u->reason.len == 0) {
		rest.len = num_min_size(rest.len, u->reason.cap);
		textbuf_put(&u->reason, rest);
	}
}

static void
upgrade_on_end(struct span how, void *arg)
{
	struct upgrade *u = arg;

	if (u->state == UPGRADE_DONE) {
		log_message(u->log, LOG_LEVEL_ERROR,
		    "the process that took over has ended (%.*s) before this "
		    "one has; nobody listens now",
		    (int)how.len, how.ptr);
		forget(u);
		return;
	}
	if (u->reason.len == 0) {
		textbuf_lit(&u->reason, "the new process ended (");
		textbuf_put(&u->reason, how);
		textbuf_lit(&u->reason, ") before it served");
	}
	fail(u);
	u->ops->on_failed(u->arg);
}

static const struct spawn_ops upgrade_spawn_ops = {
    .on_line = upgrade_on_line, .on_end = upgrade_on_end};

static void
upgrade_on_limit(struct wheel_timer *t, uint64_t now_ms)
{
	struct upgrade *u = (struct upgrade *)(void *)((char *)t -
	    offsetof(struct upgrade, limit));

	(void)now_ms;
	if (u->reason.len == 0) {
		textbuf_lit(
		    &u->reason, "the new process did not serve within ");
		textbuf_u64(&u->reason, u->limit_ms / 1000);
		textbuf_lit(&u->reason, " s and was ended");
	}
	spawn_signal(u->spawn, SIGKILL);
}

static bool
prepare(struct upgrade *u, const struct inherit_socket *list, size_t n,
    struct span more)
{
	u->spawn = spawn_create(u->loop, &upgrade_spawn_ops, u);
	if (u->spawn == NULL) {
		textbuf_lit(&u->reason, "out of memory or descriptors");
		return false;
	}
	u->envp = inherit_environment(list, n, spawn_pipe(u->spawn), more);
	u->fds = calloc(n + 1, sizeof(*u->fds));
	if (u->envp == NULL || u->fds == NULL) {
		textbuf_lit(&u->reason, "out of memory");
		return false;
	}
	for (size_t i = 0; i < n; i++)
		u->fds[i] = list[i].fd;
	return true;
}

static bool
may_start(struct upgrade *u)
{
	if (u->program->path[0] == '\0')
		textbuf_lit(&u->reason, "the program's file cannot be found");
	else if (getpid() == 1)
		textbuf_lit(&u->reason,
		    "this is process 1 (of a container), with whose end "
		    "everything else would end, too");
	return u->reason.len == 0;
}

void
upgrade_start(struct upgrade *u, const struct inherit_socket *list, size_t n,
    struct span more)
{
	struct spawn_program p = {
	    .path = u->program->path, .argv = u->program->argv, .n_fds = n};

	CHECK(u->state == UPGRADE_IDLE);
	u->reason = textbuf_make(u->reason_bytes, sizeof(u->reason_bytes));
	if (!may_start(u) || !prepare(u, list, n, more)) {
		fail(u);
		return;
	}
	p.envp = u->envp;
	p.fds = u->fds;
	log_message(
	    u->log, LOG_LEVEL_INFO, "upgrade: starting %s", u->program->path);
	if (!spawn_run(u->spawn, &p, &u->reason)) {
		fail(u);
		return;
	}
	u->state = UPGRADE_STARTING;
	loop_arm(u->loop, &u->limit, loop_now_ms(u->loop) + u->limit_ms);
}

/* ---- its life ---- */

struct upgrade *
upgrade_create(struct loop *l, struct log_ring *log,
    const struct upgrade_program *p, const struct upgrade_ops *ops, void *arg)
{
	struct upgrade *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return NULL;
	u->loop = l;
	u->log = log;
	u->program = p;
	u->ops = ops;
	u->arg = arg;
	u->limit_ms = UPGRADE_LIMIT_MS;
	wheel_timer_init(&u->limit, upgrade_on_limit);
	return u;
}

void
upgrade_set_limit(struct upgrade *u, uint32_t limit_ms)
{
	u->limit_ms = limit_ms;
}

enum upgrade_state
upgrade_state(const struct upgrade *u)
{
	return u->state;
}

void
upgrade_cancel(struct upgrade *u)
{
	if (u->state != UPGRADE_STARTING || u->cancelled)
		return;
	u->cancelled = true;
	spawn_signal(u->spawn, SIGTERM);
}

void
upgrade_free(struct upgrade *u)
{
	if (u == NULL)
		return;
	if (u->state == UPGRADE_STARTING)
		spawn_signal(u->spawn, SIGKILL);
	forget(u);
	free(u);
}
