#include "evenkeel/net/spawn.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOW_BYTES 64

struct spawn {
	struct event event;
	int reading, writing; /* the pipe; writing -1: the child has it */
	pid_t pid;
	const struct spawn_ops *ops;
	void *arg;
	size_t len;
	bool skip; /* the rest of a line that was too long */
	char line[SPAWN_LINE_BYTES];
};

/* ---- its report ---- */

/* Hands out whole lines; what is left is the beginning of one. */
static void
take_lines(struct spawn *s)
{
	size_t from = 0;

	for (;;) {
		struct span rest = span_make(s->line + from, s->len - from);
		size_t end = span_find(rest, '\n');

		if (end == rest.len)
			break;
		if (!s->skip)
			s->ops->on_line(span_make(rest.ptr, end), s->arg);
		s->skip = false;
		from += end + 1;
	}
	memmove(s->line, s->line + from, s->len - from);
	s->len -= from;
	if (s->len < sizeof(s->line))
		return;
	if (!s->skip)
		s->ops->on_line(span_make(s->line, s->len), s->arg);
	s->skip = true;
	s->len = 0;
}

/* The pipe is closed: it has ended, or is about to.  Whoever lives without it
 * is ended, so this cannot wait long. */
static void
bury(struct spawn *s)
{
	char text[HOW_BYTES];
	struct textbuf how = textbuf_make(text, sizeof(text));
	int status = 0;
	pid_t pid;

	event_del(&s->event);
	kill(s->pid, SIGKILL);
	do
		pid = waitpid(s->pid, &status, 0);
	while (pid < 0 && errno == EINTR);
	s->pid = 0;
	if (pid < 0)
		textbuf_lit(&how, "unknown");
	else if (WIFSIGNALED(status)) {
		textbuf_lit(&how, "signal ");
		textbuf_u64(&how, (uint64_t)WTERMSIG(status));
	} else {
		textbuf_lit(&how, "exit code ");
		textbuf_u64(&how, (uint64_t)WEXITSTATUS(status));
	}
	s->ops->on_end(textbuf_span(&how), s->arg);
}

static void
spawn_on_event(evutil_socket_t fd, short what, void *arg)
{
	struct spawn *s = arg;
	ssize_t n = read(fd, s->line + s->len, sizeof(s->line) - s->len);

	(void)what;
	if (n > 0) {
		s->len += (size_t)n;
		take_lines(s);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		bury(s);
	}
}

/* ---- its life ---- */

struct spawn *
spawn_create(struct loop *l, const struct spawn_ops *ops, void *arg)
{
	struct spawn *s = calloc(1, sizeof(*s));
	int fds[2];

	if (s == NULL)
		return NULL;
	if (pipe2(fds, O_CLOEXEC) != 0) {
		free(s);
		return NULL;
	}
	s->reading = fds[0];
	s->writing = fds[1];
	s->ops = ops;
	s->arg = arg;
	if (fcntl(s->reading, F_SETFL, O_NONBLOCK) == 0 &&
	    event_assign(&s->event, l->base, s->reading, EV_READ | EV_PERSIST,
		spawn_on_event, s) == 0)
		return s;
	close(fds[0]);
	close(fds[1]);
	free(s);
	return NULL;
}

int
spawn_pipe(const struct spawn *s)
{
	return s->writing;
}

/* A descriptor that is dup'ed onto itself is inherited. */
static int
add_fds(posix_spawn_file_actions_t *actions, const struct spawn *s,
    const struct spawn_program *p)
{
	int error =
	    posix_spawn_file_actions_adddup2(actions, s->writing, s->writing);

	for (size_t i = 0; i < p->n_fds && error == 0; i++)
		error = posix_spawn_file_actions_adddup2(
		    actions, p->fds[i], p->fds[i]);
	return error;
}

/* The program begins with no signal blocked, and with SIGPIPE as usual. */
static int
set_signals(posix_spawnattr_t *attr)
{
	sigset_t none, usual;

	sigemptyset(&none);
	sigemptyset(&usual);
	sigaddset(&usual, SIGPIPE);
	(void)posix_spawnattr_setsigmask(attr, &none);
	(void)posix_spawnattr_setsigdefault(attr, &usual);
	return posix_spawnattr_setflags(
	    attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

static int
start(struct spawn *s, const struct spawn_program *p)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int error = posix_spawn_file_actions_init(&actions);

	if (error != 0)
		return error;
	error = posix_spawnattr_init(&attr);
	if (error == 0) {
		error = set_signals(&attr);
		if (error == 0)
			error = add_fds(&actions, s, p);
		if (error == 0)
			error = posix_spawn(&s->pid, p->path, &actions, &attr,
			    p->argv, p->envp);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

bool
spawn_run(struct spawn *s, const struct spawn_program *p, struct textbuf *why)
{
	int error;

	CHECK(s->writing >= 0 && s->pid == 0);
	/* First, for nothing may fail when there is a child. */
	error = event_add(&s->event, NULL) == 0 ? start(s, p) : ENOMEM;
	if (error == 0) {
		close(s->writing);
		s->writing = -1;
		return true;
	}
	s->pid = 0;
	textbuf_str(why, p->path);
	textbuf_lit(why, ": ");
	textbuf_str(why, strerror(error));
	return false;
}

pid_t
spawn_pid(const struct spawn *s)
{
	return s->pid;
}

void
spawn_signal(const struct spawn *s, int number)
{
	if (s->pid > 0)
		kill(s->pid, number);
}

void
spawn_free(struct spawn *s)
{
	if (s == NULL)
		return;
	event_del(&s->event);
	close(s->reading);
	if (s->writing >= 0)
		close(s->writing);
	free(s);
}
