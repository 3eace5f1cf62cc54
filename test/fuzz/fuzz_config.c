/*
 * Any text as a configuration file: there is a configuration exactly when no
 * error was listed and memory sufficed, problems come in the order of lines,
 * and what is printed reads back as the same, which diff confirms.
 */
#include <stdint.h>
#include <stdlib.h>

#include "evenkeel/base/check.h"
#include "evenkeel/config/diff.h"
#include "evenkeel/config/option.h"
#include "evenkeel/net/inifile.h"
#include "evenkeel/config/print.h"

#define PRINTED_MAX (1 << 22)
#define WORK_MAX    (1 << 24)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_problems(const struct inifile *f)
{
	size_t errors = 0, n = 0;
	unsigned line = 0;

	for (const struct cfg_problem *p = f->problems; p; p = p->next) {
		CHECK(p->line >= line);
		for (const char *c = p->text; *c != '\0'; c++)
			CHECK(*c >= 0x20 && *c < 0x7f);
		errors += p->severity == CFG_ERROR;
		line = p->line;
		n++;
	}
	CHECK(n <= CFG_PROBLEMS_MAX + 1);
	CHECK((f->cfg == NULL) == (errors > 0 || f->no_memory));
}

/* One block after the other; none is given back before the next diff. */
struct work {
	size_t used;
	_Alignas(16) char room[WORK_MAX];
};

static void *
work_more(void *arg, size_t bytes)
{
	struct work *w = arg;
	void *p = w->room + w->used;

	CHECK(bytes % 16 == 0);
	if (sizeof(w->room) - w->used < bytes)
		return NULL;
	w->used += bytes;
	memset(p, 0, bytes);
	return p;
}

/* Nothing differs where both print the same. */
static void
check_diff(const struct cfg *cfg, const struct cfg *again)
{
	static struct work work;
	struct arena a;
	const struct diff d = {.old = cfg, .new = again, .work = &a};

	work.used = 0;
	arena_init(&a, work_more, &work);
	CHECK(!diff_any(&d));
	CHECK(diff_put_restarts(&(struct textbuf){0}, cfg, again) == 0);
}

static void
check_round_trip(const struct cfg *cfg, bool defaults)
{
	static char first[PRINTED_MAX], second[PRINTED_MAX];
	struct textbuf t = textbuf_make(first, sizeof(first));
	struct textbuf u = textbuf_make(second, sizeof(second));
	struct inifile f;

	print_ini(&t, cfg, defaults);
	CHECK(!t.full);
	CHECK(inifile_parse(&f, textbuf_span(&t)));
	CHECK(f.cfg != NULL);
	print_ini(&u, f.cfg, defaults);
	CHECK(span_equal(textbuf_span(&t), textbuf_span(&u)));
	check_diff(cfg, f.cfg);
	inifile_free(&f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct inifile f;

	CHECK(inifile_parse(&f, span_make((const char *)data, size)));
	check_problems(&f);
	if (f.cfg != NULL) {
		check_round_trip(f.cfg, false);
		check_round_trip(f.cfg, true);
	}
	inifile_free(&f);
	return 0;
}
