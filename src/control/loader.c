#include "evenkeel/control/loader.h"

#include <stdlib.h>

#include "evenkeel/net/thread.h"

struct loaded *
loaded_of(const struct cfg *cfg, const struct cfg_problem *problems)
{
	struct loaded *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	*l = (struct loaded){.cfg = cfg, .problems = problems, .refs = 1};
	return l;
}

bool
loaded_is_good(const struct loaded *l)
{
	return l->cfg != NULL && (l->secure == NULL || !l->secure->failed);
}

void
loaded_put_errors(struct textbuf *out, const char *file, const struct loaded *l)
{
	bool secure = l->secure != NULL && l->secure->failed;

	cfg_put_problems(out, file, secure ? l->secure->problems : l->problems);
}

static void
each_warning(const struct cfg_problem *p,
    void (*each)(const struct cfg_problem *p, void *arg), void *arg)
{
	for (; p != NULL; p = p->next)
		if (p->severity == CFG_WARNING)
			each(p, arg);
}

void
loaded_each_warning(const struct loaded *l,
    void (*each)(const struct cfg_problem *p, void *arg), void *arg)
{
	each_warning(l->problems, each, arg);
	if (l->secure != NULL)
		each_warning(l->secure->problems, each, arg);
}

struct loaded *
loaded_hold(struct loaded *l)
{
	l->refs++;
	return l;
}

void
loaded_release(struct loaded *l)
{
	if (l == NULL || --l->refs > 0)
		return;
	secure_free(l->secure);
	if (l->owned)
		inifile_free(&l->file);
	free(l);
}

static void
load(struct loader *l)
{
	struct loaded *to = loaded_of(NULL, NULL);

	if (to == NULL) {
		textbuf_lit(&l->why, "out of memory");
		return;
	}
	if (!inifile_read(&to->file, l->path, &l->why)) {
		free(to);
		return;
	}
	to->owned = true;
	to->cfg = to->file.cfg;
	to->problems = to->file.problems;
	if (to->cfg != NULL)
		to->secure = secure_load(l->base, to->cfg);
	if (to->file.no_memory || (to->cfg != NULL && to->secure == NULL)) {
		textbuf_lit(&l->why, "out of memory");
		loaded_release(to);
		return;
	}
	l->loaded = to;
}

static void *
thread(void *arg)
{
	struct loader *l = arg;

	load(l);
	mailbox_post(l->to, &l->mail);
	return NULL;
}

bool
loader_start(struct loader *l, const char *path, struct secure_base *base,
    struct mailbox *to, int kind)
{
	CHECK(!l->running);
	*l = (struct loader){.path = path,
	    .base = base,
	    .to = to,
	    .mail = {.kind = kind, .body = l}};
	l->why = textbuf_make(l->why_bytes, sizeof(l->why_bytes));
	l->running = thread_start(&l->thread, thread, l);
	return l->running;
}

void
loader_join(struct loader *l)
{
	if (l->running)
		pthread_join(l->thread, NULL);
	l->running = false;
}
