#include "evenkeel/control/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evenkeel/base/num.h"
#include "evenkeel/config/address.h"
#include "evenkeel/config/diff.h"
#include "evenkeel/control/loader.h"
#include "evenkeel/control/long_text.h"
#include "evenkeel/net/clock.h"
#include "evenkeel/net/notify.h"

#define WHO_BYTES 128
/* Between attempts to tell a service manager that is busy. */
#define TELL_AGAIN_MS 200

enum reload_state {
	RELOAD_IDLE,
	RELOAD_LOADING,  /* the loader reads */
	RELOAD_WAITING,  /* for names, or for workers that get other addresses
			  */
	RELOAD_SWAPPING, /* the workers change over */
};

struct reload {
	struct reload_parts parts;
	enum reload_state state;
	const char *held; /* why it refuses; NULL: it does not */
	uint64_t number;  /* of the one under way, or of the last */
	bool again;       /* somebody has asked meanwhile */
	char who[WHO_BYTES], who_next[WHO_BYTES];
	uint64_t asked_us;
	struct loaded *coming; /* while WAITING */
	struct alarm patience; /* pending: names are waited for */
	struct alarm untold;   /* pending: the manager was busy at the end */
	char status[WHO_BYTES];
	struct loader loader;
	struct long_text text, next; /* of the last, of the one under way */
	struct reload_last last;
	uint64_t counts[RELOAD_RESULTS];
	uint64_t generation;
};

const char *
reload_result_text(enum reload_result result)
{
	static const char *const text[] = {"none", "applied", "refused"};

	CHECK(result < RELOAD_RESULTS);
	return text[result];
}

/* ---- texts ---- */

static void
text_clear(struct long_text *t)
{
	free(t->bytes);
	*t = (struct long_text){.bytes = NULL};
	t->out = textbuf_make(NULL, 0);
}

/* Each line as a message of its own. */
static void
log_lines(
    struct reload *r, enum log_level level, const char *what, struct span text)
{
	while (text.len > 0) {
		size_t end = span_find(text, '\n');

		log_message(
		    r->parts.log, level, "%s%.*s", what, (int)end, text.ptr);
		end += end < text.len;
		text = span_make(text.ptr + end, text.len - end);
	}
}

/* ---- the end of one ---- */

static void start(struct reload *r);

/* A manager that knows of the beginning waits for it. */
static void
tell_end(struct reload *r)
{
	struct loop *loop = r->parts.loop;

	/* Who stops is not ready any more. */
	if (r->held == NULL && !notify_reloaded(span_of(r->status)))
		alarm_arm(
		    loop, &r->untold, loop_now_us(loop) + TELL_AGAIN_MS * 1000);
}

static void
reload_on_untold(struct alarm *a)
{
	tell_end(ALARM_OWNER(a, struct reload, untold));
}

static void
end(struct reload *r, enum reload_result result)
{
	text_clear(&r->text);
	r->text = r->next;
	r->next = (struct long_text){.bytes = NULL};
	r->state = RELOAD_IDLE;
	r->counts[result]++;
	r->last = (struct reload_last){.number = r->number,
	    .result = result,
	    .unix_ms = clock_unix_ms(),
	    .took_ms = (uint32_t)((clock_monotonic_us() - r->asked_us) / 1000),
	    .swap_us = result == RELOAD_APPLIED ? r->parts.apply->swap_us : 0,
	    .text = textbuf_span(&r->text.out)};
	snprintf(r->status, sizeof(r->status), "ready: generation %llu%s",
	    (unsigned long long)r->generation,
	    result == RELOAD_APPLIED
		? ""
		: "; the last reload was refused, see the log");
	tell_end(r);
	if (r->again)
		start(r);
}

static void
refuse(struct reload *r)
{
	log_message(r->parts.log, LOG_LEVEL_ERROR,
	    "reload (%s) refused: the configuration before stays in force",
	    r->who);
	log_lines(
	    r, LOG_LEVEL_ERROR, "reload refused: ", textbuf_span(&r->next.out));
	end(r, RELOAD_REFUSED);
}

static void
refuse_with(struct reload *r, const char *file, struct span why)
{
	if (!long_text_more(&r->next)) {
		refuse(r);
		return;
	}
	if (file[0] != '\0') {
		textbuf_str(&r->next.out, file);
		textbuf_lit(&r->next.out, ": ");
	}
	textbuf_put(&r->next.out, why);
	textbuf_byte(&r->next.out, '\n');
	refuse(r);
}

/* ---- a configuration was read ---- */

/* `b` is what the line of the configuration has become, or one of its
 * addresses. */
static bool
is_of(const struct backend *b, const struct cfg_backend *cfg)
{
	struct span name = b->name_span;

	if (address_is_name(&cfg->addr))
		name.len = num_min_size(name.len, span_find_last(name, '@'));
	return span_equal(name, span_of(cfg->name));
}

static uint64_t
in_flight(const char *pool, const struct cfg_backend *b, void *arg)
{
	const struct reload *r = arg;
	const struct roster *roster = guard_roster(r->parts.apply->guard);
	uint64_t n = 0;

	for (size_t i = 0; i < roster->n_pools; i++) {
		const struct roster_pool *p = &roster->pools[i];

		if (!span_equal(p->pool->upstream->name_span, span_of(pool)))
			continue;
		for (size_t k = 0; k < p->n_members; k++)
			if (is_of(p->members[k]->backend, b))
				n += backend_in_flight(p->members[k]->backend);
	}
	return n;
}

/* What needs a restart is in force as it was at the start, whatever the files
 * since have said. */
static void
keep_restarts(const struct reload *r, struct cfg_global *g)
{
	const struct cfg_global *first = &r->parts.first->global;

	g->workers = first->workers;
	g->user = first->user;
	g->group = first->group;
	g->control = first->control;
	g->pid_file = first->pid_file;
}

/* What the files say, and then what is in others that they name. */
static bool
put_differences(struct textbuf *out, const struct diff *d,
    const struct secure *now, const struct secure *next)
{
	bool good = true;

	/* Else it would say that nothing has changed. */
	if (!secure_changed(now, next) || diff_any(d))
		good = diff_put(out, d);
	secure_put_changes(out, now, next);
	return good;
}

/* What is different, as text.  False: no memory. */
static bool
compare(struct reload *r, const struct loaded *next)
{
	static const struct diff_ops ops = {.in_flight = in_flight};
	struct blocks memory = {NULL};
	struct arena work;
	const struct loaded *now = registry_loaded(r->parts.apply->registry);
	struct cfg old = *now->cfg;
	struct diff d = {.old = &old,
	    .new = next->cfg,
	    .work = &work,
	    .ops = &ops,
	    .arg = r};
	bool good;

	keep_restarts(r, &old.global);
	do {
		if (!long_text_more(&r->next))
			return false;
		arena_init(&work, blocks_more, &memory);
		good = put_differences(
		    &r->next.out, &d, now->secure, next->secure);
		blocks_free(&memory);
	} while (good && r->next.out.full);
	return good;
}

static void
log_warning(const struct cfg_problem *p, void *arg)
{
	const struct reload *r = arg;

	log_message(r->parts.log, LOG_LEVEL_WARN, "%s:%u: %s", r->parts.file,
	    p->line, p->text);
}

/* All errors, as text. */
static void
put_problems(struct reload *r, const struct loaded *l)
{
	do {
		if (!long_text_more(&r->next))
			return;
		loaded_put_errors(&r->next.out, r->parts.file, l);
	} while (r->next.out.full);
}

static void
apply(struct reload *r, struct loaded *l)
{
	struct long_text why = {.bytes = NULL};
	bool applied = compare(r, l);

	if (!applied) {
		names_rollback(r->parts.names);
		text_clear(&r->next);
		refuse_with(r, "", SPAN("out of memory"));
		return;
	}
	if (!long_text_more(&why) ||
	    !apply_config(r->parts.apply, l, &why.out)) {
		names_rollback(r->parts.names);
		text_clear(&r->next);
		r->next = why;
		refuse(r);
		return;
	}
	names_commit(r->parts.names, l->cfg);
	text_clear(&why);
	r->generation++;
	r->state = RELOAD_SWAPPING;
	loaded_each_warning(l, log_warning, r);
	r->parts.on_applied(r->parts.arg);
}

/* Takes the hold on `l`. */
static void
wait_for_names(struct reload *r, struct loaded *l)
{
	struct loop *loop = r->parts.loop;

	if (!names_prepare(r->parts.names, l->cfg)) {
		loaded_release(l);
		refuse_with(r, "", SPAN("out of memory"));
		return;
	}
	r->state = RELOAD_WAITING;
	r->coming = l;
	alarm_arm(
	    loop, &r->patience, loop_now_us(loop) + RELOAD_NAMES_MS * 1000);
	reload_go_on(r);
}

void
reload_go_on(struct reload *r)
{
	struct loaded *l = r->coming;

	if (r->state != RELOAD_WAITING || apply_pending(r->parts.apply) ||
	    (r->patience.pending && !names_settled(r->parts.names)))
		return;
	alarm_cancel(r->parts.loop, &r->patience);
	r->coming = NULL;
	if (r->held != NULL) {
		names_rollback(r->parts.names);
		refuse_with(r, "", span_of(r->held));
	} else {
		apply(r, l);
	}
	loaded_release(l);
}

static void
reload_on_patience(struct alarm *a)
{
	reload_go_on(ALARM_OWNER(a, struct reload, patience));
}

void
reload_loaded(struct reload *r)
{
	struct loaded *l;

	loader_join(&r->loader);
	l = r->loader.loaded;
	r->loader.loaded = NULL;
	if (r->held != NULL)
		refuse_with(r, "", span_of(r->held));
	else if (l == NULL)
		refuse_with(r, "", textbuf_span(&r->loader.why));
	else if (loaded_is_good(l)) {
		wait_for_names(r, l);
		return;
	} else {
		put_problems(r, l);
		refuse(r);
	}
	loaded_release(l);
}

void
reload_done(struct reload *r)
{
	if (r->state != RELOAD_SWAPPING)
		return;
	log_message(r->parts.log, LOG_LEVEL_INFO,
	    "reload (%s) applied: generation %llu is in force", r->who,
	    (unsigned long long)r->generation);
	log_lines(r, LOG_LEVEL_INFO, "reload: ", textbuf_span(&r->next.out));
	end(r, RELOAD_APPLIED);
}

/* ---- the beginning of one ---- */

static void
start(struct reload *r)
{
	r->again = false;
	r->number++;
	memcpy(r->who, r->who_next, sizeof(r->who));
	r->asked_us = clock_monotonic_us();
	r->state = RELOAD_LOADING;
	/* If the manager is too busy for it, there is no end to tell either,
	 * but for the one before, which may be untold still. */
	if (r->held == NULL && notify_reloading())
		alarm_cancel(r->parts.loop, &r->untold);
	if (r->held != NULL)
		refuse_with(r, "", span_of(r->held));
	else if (r->parts.file[0] == '\0')
		refuse_with(r, "",
		    SPAN("started without a file: there is nothing to read "
			 "again"));
	else if (!loader_start(&r->loader, r->parts.file, r->parts.base,
		     r->parts.mail, r->parts.kind))
		refuse_with(r, "", SPAN("no thread to be had"));
}

uint64_t
reload_ask(struct reload *r, const char *who)
{
	snprintf(r->who_next, sizeof(r->who_next), "%s", who);
	if (r->state != RELOAD_IDLE) {
		r->again = true;
		return r->number + 1;
	}
	start(r);
	return r->number;
}

bool
reload_ended(const struct reload *r, uint64_t number)
{
	return r->last.number >= number;
}

const struct reload_last *
reload_last(const struct reload *r)
{
	return &r->last;
}

uint64_t
reload_count(const struct reload *r, enum reload_result result)
{
	CHECK(result < RELOAD_RESULTS);
	return r->counts[result];
}

uint64_t
reload_generation(const struct reload *r)
{
	return r->generation;
}

void
reload_hold(struct reload *r, const char *why)
{
	r->held = why;
}

bool
reload_busy(const struct reload *r)
{
	return r->state != RELOAD_IDLE;
}

struct reload *
reload_create(const struct reload_parts *parts)
{
	struct reload *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->parts = *parts;
	r->generation = 1;
	alarm_init(&r->patience, reload_on_patience);
	alarm_init(&r->untold, reload_on_untold);
	return r;
}

void
reload_join(struct reload *r)
{
	if (r != NULL)
		loader_join(&r->loader);
}

void
reload_free(struct reload *r)
{
	if (r == NULL)
		return;
	reload_join(r);
	loaded_release(r->loader.loaded);
	alarm_cancel(r->parts.loop, &r->patience);
	alarm_cancel(r->parts.loop, &r->untold);
	loaded_release(r->coming);
	text_clear(&r->text);
	text_clear(&r->next);
	free(r);
}
