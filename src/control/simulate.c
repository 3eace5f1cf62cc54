#include "evenkeel/control/simulate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "evenkeel/control/sim_world.h"

/* One more than is allowed, so that too long a script is seen. */
#define READ_BYTES (SIM_SCRIPT_BYTES + 1)

/* ---- the script ---- */

static bool
looks_like_text(const char *script)
{
	struct span s = span_of(script);

	return span_find(s, ' ') < s.len || span_find(s, ';') < s.len ||
	    span_find(s, '\n') < s.len;
}

static bool
bad_file(struct textbuf *why, const char *name, int error)
{
	textbuf_str(why, name);
	textbuf_lit(why, ": ");
	textbuf_str(why, strerror(error));
	return false;
}

static bool
read_all(FILE *f, const char *name, struct textbuf *text, struct textbuf *why)
{
	text->len = fread(text->ptr, 1, text->cap, f);
	return !ferror(f) || bad_file(why, name, errno);
}

static bool
read_script(const char *script, struct textbuf *text, struct textbuf *why)
{
	bool read;
	FILE *f;

	if (span_equal(span_of(script), SPAN("-")))
		return read_all(stdin, "standard input", text, why);
	f = fopen(script, "re");
	if (f == NULL && looks_like_text(script)) {
		textbuf_str(text, script);
		return true;
	}
	if (f == NULL)
		return bad_file(why, script, errno);
	read = read_all(f, script, text, why);
	(void)fclose(f);
	return read;
}

static bool
parse(struct simulate *s, const struct simulate_options *o, struct textbuf *why)
{
	struct textbuf text = textbuf_make(malloc(READ_BYTES), READ_BYTES);
	bool fine = text.ptr != NULL;

	if (!fine)
		textbuf_lit(why, "out of memory");
	fine = fine && read_script(o->script, &text, why);
	if (fine) {
		textbuf_lit(why, "script: ");
		fine = sim_script_parse(
		    &s->script, o->cfg, textbuf_span(&text), why);
	}
	free(text.ptr);
	return fine;
}

/* ---- playing it ---- */

static bool
play(struct simulate *s)
{
	size_t n = s->script.pool->n_backends;

	s->with = sim_tally_create(n);
	s->without = sim_tally_create(n);
	s->report = (struct sim_report){
	    .script = &s->script, .with = s->with, .without = s->without};
	return s->with != NULL && s->without != NULL &&
	    sim_world_play(&s->script, s->with) &&
	    sim_world_play(&s->calm, s->without);
}

struct simulate *
simulate_play(const struct simulate_options *o, struct textbuf *why)
{
	struct simulate *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		textbuf_lit(why, "out of memory");
		return NULL;
	}
	if (!parse(s, o, why)) {
		simulate_free(s);
		return NULL;
	}
	if (o->seed_given)
		s->script.seed = o->seed;
	s->calm = s->script;
	s->calm.n_faults = 0;
	if (play(s))
		return s;
	why->len = 0;
	textbuf_lit(why, "out of memory");
	simulate_free(s);
	return NULL;
}

void
simulate_free(struct simulate *s)
{
	if (s == NULL)
		return;
	sim_tally_free(s->with);
	sim_tally_free(s->without);
	free(s);
}
