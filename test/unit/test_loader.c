/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/stat.h>

#include "evenkeel/control/loader.h"
#include "loop_until.h"

#define KIND 7

static char dir[64], path[96];
static struct mailbox *box;
static struct loader loader;
static struct secure_base base;
static unsigned delivered;

static void
on_mail(struct mail *m, void *arg)
{
	(void)arg;
	assert_int_equal(m->kind, KIND);
	assert_ptr_equal(m->body, &loader);
	delivered++;
}

static int
begin(void **state)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/test_loader.XXXXXX");
	if (mkdtemp(dir) == NULL || open_loop(state) != 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/lb.ini", dir);
	delivered = 0;
	secure_base_init(&base, 2);
	box = mailbox_create(loop, on_mail, NULL);
	return box != NULL ? 0 : -1;
}

static int
end(void **state)
{
	mailbox_free(box);
	secure_base_free(&base);
	(void)unlink(path);
	(void)rmdir(dir);
	return close_loop(state);
}

/* Reads a file of that text, by its thread and the loop. */
static struct loaded *
load(const char *text)
{
	FILE *f = text == NULL ? NULL : fopen(path, "we");

	if (f != NULL) {
		assert_true(fputs(text, f) >= 0);
		assert_int_equal(fclose(f), 0);
	}
	delivered = 0;
	assert_true(loader_start(&loader, path, &base, box, KIND));
	TURN_UNTIL(delivered == 1);
	loader_join(&loader);
	assert_false(loader.running);
	return loader.loaded;
}

static void
a_good_file(void **state)
{
	struct loaded *l = load("[listener web]\nbind = 127.0.0.1:80\n"
				"[pool web]\nbackend = 127.0.0.1:3001\n");

	(void)state;
	assert_non_null(l);
	assert_non_null(l->cfg);
	assert_int_equal(loader.why.len, 0);
	assert_int_equal(l->refs, 1);
	assert_true(l->owned);
	assert_string_equal(l->cfg->pools[0].name, "web");
	/* Freed with its last hold (AddressSanitizer looks). */
	assert_ptr_equal(loaded_hold(l), l);
	assert_int_equal(l->refs, 2);
	loaded_release(l);
	assert_string_equal(l->cfg->pools[0].name, "web");
	loaded_release(l);
	loaded_release(NULL);
}

/* With all its errors, and no configuration. */
static void
a_bad_file(void **state)
{
	struct loaded *l = load("[listener web]\nbind = 127.0.0.1:80\n"
				"colour = red\n[pool web]\nbackend = nine\n");
	unsigned n = 0;

	(void)state;
	assert_non_null(l);
	assert_null(l->cfg);
	assert_null(l->secure);
	assert_false(loaded_is_good(l));
	assert_false(l->file.no_memory);
	for (const struct cfg_problem *p = l->problems; p != NULL; p = p->next)
		n++;
	assert_true(n >= 2);
	loaded_release(l);
}

/* Twice in a row with the same loader: the second knows nothing of the first.
 */
static void
no_file(void **state)
{
	(void)state;
	assert_null(load(NULL));
	assert_true(loader.why.len > 0);
	loaded_release(load("[listener web]\nbind = 127.0.0.1:80\n"
			    "[pool web]\nbackend = 127.0.0.1:3001\n"));
	assert_int_equal(loader.why.len, 0);
	loader.loaded = NULL;
	assert_int_equal(unlink(path), 0);
	assert_null(load(NULL));
	assert_true(loader.why.len > 0);
}

/* What is not its own stays. */
static void
of_somebody_else(void **state)
{
	static const struct cfg cfg;
	static const struct cfg_problem problem;
	struct loaded *l = loaded_of(&cfg, &problem);

	(void)state;
	assert_ptr_equal(l->cfg, &cfg);
	assert_ptr_equal(l->problems, &problem);
	assert_int_equal(l->refs, 1);
	assert_false(l->owned);
	loaded_release(l);
}

/* Nothing runs: nothing is waited for. */
static void
joined_without_a_start(void **state)
{
	struct loader none = {.running = false};

	(void)state;
	loader_join(&none);
	assert_false(none.running);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH(a_good_file),
	    WITH(a_bad_file),
	    WITH(no_file),
	    WITH(of_somebody_else),
	    WITH(joined_without_a_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
