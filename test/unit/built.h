/* built.h - a configuration from lines in a test, with its problems as text. */
#ifndef EVENKEEL_TEST_BUILT_H
#define EVENKEEL_TEST_BUILT_H

#include <stdlib.h>

#include "evenkeel/config/build.h"

#define BLOCKS_MAX 4096

/* Memory that can be told to end after some requests. */
struct memory {
	void *blocks[BLOCKS_MAX];
	size_t used;
	size_t allowed;
};

static inline void *
memory_more(void *arg, size_t bytes)
{
	struct memory *m = arg;

	if (m->used == m->allowed)
		return NULL;
	m->blocks[m->used] = calloc(1, bytes);
	assert_non_null(m->blocks[m->used]);
	return m->blocks[m->used++];
}

struct built {
	struct memory memory;
	struct arena arena;
	const struct cfg *cfg;
	const struct cfg_problem *problems;
	char text[16384]; /* of the problems */
};

static inline struct built *
built_create(void)
{
	struct built *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->memory.allowed = BLOCKS_MAX;
	return b;
}

static inline void
built_free(struct built *b)
{
	for (size_t i = 0; i < b->memory.used; i++)
		free(b->memory.blocks[i]);
	free(b);
}

/* Lines are "[section]" or "key=value"; NULL ends them. */
static inline void
feed(struct cfg_build *build, const char *const *lines)
{
	struct span section = SPAN_NONE;

	for (unsigned i = 0; lines[i] != NULL; i++) {
		struct span line = span_of(lines[i]);
		struct cfg_entry e = {.line = i + 1};
		size_t equals = span_find(line, '=');

		if (line.len > 0 && line.ptr[0] == '[') {
			section = span_make(line.ptr + 1, line.len - 2);
		} else {
			e.key = span_make(line.ptr, equals);
			e.value = span_make(
			    line.ptr + equals + 1, line.len - equals - 1);
		}
		e.section = section;
		cfg_build_entry(build, &e);
	}
}

static inline void
run(struct built *b, const char *const *lines)
{
	struct cfg_build *build;
	struct textbuf t = textbuf_make(b->text, sizeof(b->text) - 1);

	arena_init(&b->arena, memory_more, &b->memory);
	build = cfg_build_begin(&b->arena);
	if (build == NULL)
		return;
	feed(build, lines);
	b->cfg = cfg_build_end(build, &b->problems);
	cfg_put_problems(&t, "f", b->problems);
	assert_false(t.full);
	b->text[t.len] = '\0';
}

#define BUILD(...)                        \
	struct built *b = built_create(); \
	run(b, (const char *const[]){__VA_ARGS__, NULL})

#define WEB  "[listener web]", "bind=127.0.0.1:8080"
#define POOL "[pool web]", "backend=127.0.0.1:3001,127.0.0.1:3002"

#endif
