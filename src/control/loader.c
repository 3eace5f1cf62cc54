#include "evenkeel/control/loader.h"

#include <stdlib.h>

struct loaded *
loaded_of(const struct cfg *cfg, const struct cfg_problem *problems)
{
	struct loaded *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	*l = (struct loaded){.cfg = cfg, .problems = problems, .refs = 1};
	return l;
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
	if (to->file.no_memory)
		textbuf_lit(&l->why, "out of memory");
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
loader_start(struct loader *l, const char *path, struct mailbox *to, int kind)
{
	CHECK(!l->running);
	*l = (struct loader){
	    .path = path, .to = to, .mail = {.kind = kind, .body = l}};
	l->why = textbuf_make(l->why_bytes, sizeof(l->why_bytes));
	l->running = pthread_create(&l->thread, NULL, thread, l) == 0;
	return l->running;
}

void
loader_join(struct loader *l)
{
	if (l->running)
		pthread_join(l->thread, NULL);
	l->running = false;
}
