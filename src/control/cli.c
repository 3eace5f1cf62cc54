#include "evenkeel/control/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "evenkeel/base/num.h"
#include "evenkeel/config/print.h"
#include "evenkeel/control/cfgfile.h"
#include "evenkeel/control/drain.h"
#include "evenkeel/control/long_text.h"
#include "evenkeel/control/rehearse.h"
#include "evenkeel/control/reload_verb.h"
#include "evenkeel/control/report.h"
#include "evenkeel/control/secure.h"
#include "evenkeel/control/server.h"
#include "evenkeel/control/sim_json.h"
#include "evenkeel/control/simulate.h"
#include "evenkeel/control/verbs.h"

#define EXIT_FAILED 1
#define EXIT_USAGE  2
#define WHY_BYTES   1024

static int
run_with(const struct args *a, struct inherit *in)
{
	struct inifile f;
	struct upgrade_program program;
	struct server_options o;
	char control[CFGFILE_PATH_BYTES];
	int code = EXIT_FAILED;

	if (!cfgfile_load(a, &f)) {
		inherit_tell_failed(in,
		    SPAN("its configuration is refused; standard error and "
			 "`evenkeel check` say why"));
		return EXIT_USAGE;
	}
	upgrade_find_program(&program, a->argv);
	o = (struct server_options){.cfg = f.cfg,
	    .file = a->verb == ARGS_INLINE ? "" : cfgfile_name(a),
	    .control = cfgfile_control(a, f.cfg, control),
	    .warnings = f.problems,
	    .inherit = in,
	    .program = &program,
	    .demo = a->demo};
	switch (server_run(&o)) {
	case SERVER_STOPPED:
		code = 0;
		break;
	case SERVER_FAILED:
		break;
	case SERVER_REFUSED:
		code = EXIT_USAGE;
		break;
	}
	inifile_free(&f);
	return code;
}

static int
verb_run(const struct args *a)
{
	char text[WHY_BYTES];
	struct textbuf why = textbuf_make(text, sizeof(text));
	struct inherit in;
	int code = EXIT_FAILED;

	if (inherit_read(&in, &why))
		code = run_with(a, &in);
	else
		fprintf(stderr, "evenkeel: %.*s\n", (int)why.len, why.ptr);
	inherit_close(&in);
	return code;
}

/* Reads the configuration and prints what `put` makes of it. */
static int
print_config(const struct args *a,
    void (*put)(
	struct textbuf *out, const struct args *a, const struct cfg *cfg))
{
	struct inifile f;
	struct long_text t = {.bytes = NULL};

	if (!cfgfile_load(a, &f))
		return EXIT_USAGE;
	do {
		if (!long_text_more(&t))
			break;
		put(&t.out, a, f.cfg);
	} while (t.out.full);
	inifile_free(&f);
	if (t.bytes == NULL) {
		long_text_no_memory();
		return EXIT_FAILED;
	}
	long_text_print(&t, stdout);
	return 0;
}

static void
put_report(struct textbuf *out, const struct args *a, const struct cfg *cfg)
{
	report_put(out, cfgfile_name(a), cfg);
}

static void
put_ini(struct textbuf *out, const struct args *a, const struct cfg *cfg)
{
	print_ini(out, cfg, a->defaults);
}

/* Reads the certificates and keys, and prints what is wrong with them. */
static bool
try_secure(const char *file, const struct cfg *cfg)
{
	struct secure_base base;
	struct secure *s;
	bool good = false;

	secure_base_init(&base, 1);
	s = secure_load(&base, cfg);
	if (s == NULL)
		long_text_no_memory();
	else
		cfgfile_print_problems(file, s->problems);
	good = s != NULL && !s->failed;
	secure_free(s);
	secure_base_free(&base);
	return good;
}

/* What the user of the configuration could not open or use, as errors. */
static int
rehearse(const struct args *a)
{
	struct inifile f;
	char control[CFGFILE_PATH_BYTES], text[WHY_BYTES * 4];
	struct textbuf out = textbuf_make(text, sizeof(text));
	struct args silent = *a;
	bool good;

	/* Warnings come with the report. */
	silent.verb = ARGS_RUN;
	if (!cfgfile_load(&silent, &f))
		return EXIT_USAGE;
	good = rehearse_put(
	    &out, cfgfile_name(a), f.cfg, cfgfile_control(a, f.cfg, control));
	fwrite(out.ptr, 1, out.len, stderr);
	good &= try_secure(cfgfile_name(a), f.cfg);
	inifile_free(&f);
	return good ? 0 : EXIT_USAGE;
}

static int
verb_check(const struct args *a)
{
	int exit = rehearse(a);

	return exit != 0 ? exit : print_config(a, put_report);
}

static int
verb_status(const struct args *a)
{
	char text[CFGFILE_PATH_BYTES];
	const char *path = cfgfile_find_control(a, text), *why;
	char *answer;
	size_t len;

	switch (verbs_get(
	    path, a->json ? "/status.json" : "/status", &answer, &len, &why)) {
	case ASK_OK:
		fwrite(answer, 1, len, stdout);
		free(answer);
		return 0;
	case ASK_NOBODY:
		fprintf(stderr,
		    "evenkeel: nobody is running: no answer at %s "
		    "(or its socket is another: -c FILE, --control PATH)\n",
		    path);
		return EXIT_FAILED;
	case ASK_FAILED:
		fprintf(stderr, "evenkeel: %s: %s\n", path, why);
		return EXIT_FAILED;
	}
	return EXIT_FAILED;
}

static int
print_simulation(const struct args *a, const struct simulate *s)
{
	struct long_text t = {.bytes = NULL};

	do {
		if (!long_text_more(&t)) {
			long_text_no_memory();
			return EXIT_FAILED;
		}
		if (a->json)
			sim_json_put(&t.out, &s->report);
		else
			sim_report_put(&t.out, &s->report);
	} while (t.out.full);
	long_text_print(&t, stdout);
	return 0;
}

static int
verb_simulate(const struct args *a)
{
	char text[WHY_BYTES];
	struct textbuf why = textbuf_make(text, sizeof(text));
	struct simulate_options o = {
	    .script = a->script, .seed_given = a->seed != NULL};
	struct inifile f;
	struct simulate *s;
	int code = EXIT_USAGE;

	if (a->seed != NULL &&
	    !num_parse_u64(span_of(a->seed), UINT64_MAX, &o.seed))
		return args_usage_error(
		    "--seed: allowed: a whole number", a->seed);
	if (!cfgfile_load(a, &f))
		return EXIT_USAGE;
	o.cfg = f.cfg;
	s = simulate_play(&o, &why);
	if (s == NULL)
		fprintf(stderr, "evenkeel: %.*s\n", (int)why.len, why.ptr);
	else
		code = print_simulation(a, s);
	simulate_free(s);
	inifile_free(&f);
	return code;
}

static int
verb_drain(const struct args *a)
{
	char text[CFGFILE_PATH_BYTES];
	const struct drain_request d = {
	    .control = cfgfile_find_control(a, text),
	    .whom = a->whom,
	    .wait_ms = a->wait_ms};

	return a->verb == ARGS_DRAIN ? drain_run(&d) : drain_undo(&d);
}

static int
verb_reload(const struct args *a)
{
	char text[CFGFILE_PATH_BYTES];

	return reload_verb_run(cfgfile_find_control(a, text));
}

static int
do_verb(const struct args *a)
{
	switch (a->verb) {
	case ARGS_RUN:
	case ARGS_INLINE:
		return verb_run(a);
	case ARGS_CHECK:
		return verb_check(a);
	case ARGS_CONFIG:
		return print_config(a, put_ini);
	case ARGS_RELOAD:
		return verb_reload(a);
	case ARGS_STATUS:
		return verb_status(a);
	case ARGS_SIMULATE:
		return verb_simulate(a);
	case ARGS_DRAIN:
	case ARGS_UNDRAIN:
		return verb_drain(a);
	}
	return EXIT_USAGE;
}

int
cli_main(int argc, char **argv)
{
	struct args a;

	args_parse(&a, argc, argv);
	if (a.exit < 0)
		a.exit = do_verb(&a);
	/* What was asked for and did not arrive is not done. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(
		    stderr, "evenkeel: standard output: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	return a.exit;
}
