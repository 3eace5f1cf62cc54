#include "evenkeel/control/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "evenkeel/base/num.h"
#include "evenkeel/config/option.h"
#include "evenkeel/config/value.h"
#include "evenkeel/control/drain.h"
#include "evenkeel/control/rehearse.h"
#include "evenkeel/control/report.h"
#include "evenkeel/control/server.h"
#include "evenkeel/control/sim_json.h"
#include "evenkeel/control/simulate.h"
#include "evenkeel/control/verbs.h"
#include "evenkeel/net/inifile.h"
#include "evenkeel/config/print.h"

#define EXIT_FAILED      1
#define EXIT_USAGE       2
#define WHY_BYTES        1024
#define FIRST_TEXT_BYTES 65536U
#define TEXT_BYTES       (64U << 20)
/* What fits an address of a unix socket. */
#define CONTROL_BYTES 107U
#define PATH_BYTES    256
#define INLINE_BYTES  65536
/* Of --wait. */
#define WAIT_MAX_MS (7U * 24 * 3600 * 1000)

static const char usage_text[] =
    "usage: evenkeel [-c FILE] [VERB] [OPTIONS]\n"
    "       evenkeel LISTEN BACKEND...\n"
    "\n"
    "  run [--demo]          run in the foreground (this is the default);\n"
    "                        --demo also starts small backends at the\n"
    "                        loopback addresses where nobody listens\n"
    "  check, -t             read the configuration, print what is wrong or\n"
    "                        what it comes to\n"
    "  status [--json]       pools, backends and connections of the running\n"
    "                        process\n"
    "  drain POOL/BACKEND [--wait D]\n"
    "                        no new requests for that backend, named as in\n"
    "                        status; returns when none is in flight, or after\n"
    "                        D (5s, 2m); it drains until undrain, though\n"
    "  undrain POOL/BACKEND  it gets requests again, at once\n"
    "  config [--defaults]   print the configuration as INI, with --defaults\n"
    "                        also the keys that have their default\n"
    "  simulate SCRIPT [--json] [--seed N]\n"
    "                        what an outage would do to the requests of a\n"
    "                        pool: SCRIPT is a file, - or text such as\n"
    "                        'backend 1 down 30 s; backend 2 5 % 503'\n"
    "\n"
    "  -c FILE               the configuration; else ./lb.ini, else\n"
    "                        /etc/evenkeel/lb.ini\n"
    "  --control PATH        the control socket of the running process\n"
    "  --help, --version\n"
    "\n"
    "Without a file: `evenkeel 8080 3000 3001` balances 127.0.0.1:3000 and\n"
    ":3001 on 127.0.0.1:8080; `:8080` listens on all addresses.\n"
    "\n"
    "Signals: TERM, INT, QUIT stop in order (a second one at once); USR1 "
    "opens\n"
    "the log files anew.\n";

enum verb {
	VERB_RUN,
	VERB_CHECK,
	VERB_STATUS,
	VERB_DRAIN,
	VERB_UNDRAIN,
	VERB_CONFIG,
	VERB_SIMULATE,
	VERB_INLINE
};

struct cli {
	const char *file;    /* of -c, or NULL */
	const char *control; /* of --control, or NULL */
	enum verb verb;
	bool verb_given;
	bool demo, json, defaults;
	const char *script; /* of simulate, or NULL */
	const char *seed;   /* of --seed, or NULL */
	const char *whom;   /* POOL/BACKEND, or NULL */
	uint32_t wait_ms;   /* of --wait, or DRAIN_FOREVER */
	char **words;       /* LISTEN BACKEND... */
	int n_words;
	int exit; /* when parsing ends the program; else -1 */
};

/* ---- the command line ---- */

static int
usage_error(const char *what, const char *word)
{
	fprintf(stderr, "evenkeel: %s%s%s\nTry evenkeel --help\n", what,
	    word[0] != '\0' ? ": " : "", word);
	return EXIT_USAGE;
}

static bool
is(const char *word, const char *name)
{
	return span_equal(span_of(word), span_of(name));
}

static bool
verb_of(const char *word, enum verb *verb)
{
	static const struct {
		const char *name;
		enum verb verb;
	} verbs[] = {{"run", VERB_RUN}, {"check", VERB_CHECK},
	    {"-t", VERB_CHECK}, {"status", VERB_STATUS}, {"drain", VERB_DRAIN},
	    {"undrain", VERB_UNDRAIN}, {"config", VERB_CONFIG},
	    {"simulate", VERB_SIMULATE}};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (is(word, verbs[i].name)) {
			*verb = verbs[i].verb;
			return true;
		}
	return false;
}

/* LISTEN begins with a digit, ':', '[', '*' or "unix:". */
static bool
looks_like_listen(const char *word)
{
	return (word[0] >= '0' && word[0] <= '9') || word[0] == ':' ||
	    word[0] == '[' || word[0] == '*' ||
	    span_starts_with(span_of(word), SPAN("unix:"));
}

/* An option that stands alone.  False: it is none of this verb. */
static bool
take_flag(struct cli *c, const char *word)
{
	if (is(word, "--demo") && c->verb == VERB_RUN)
		c->demo = true;
	else if (is(word, "--json") &&
	    (c->verb == VERB_STATUS || c->verb == VERB_SIMULATE))
		c->json = true;
	else if (is(word, "--defaults") && c->verb == VERB_CONFIG)
		c->defaults = true;
	else
		return false;
	return true;
}

/* What stands behind `simulate`.  False: it is nothing of it. */
static bool
take_simulate(struct cli *c, char **argv, int *i, int argc)
{
	if (c->verb != VERB_SIMULATE)
		return false;
	if (is(argv[*i], "--seed") && c->seed == NULL && *i + 1 < argc)
		c->seed = argv[++*i];
	else if (c->script == NULL && (argv[*i][0] != '-' || is(argv[*i], "-")))
		c->script = argv[*i];
	else
		return false;
	return true;
}

/* The POOL/BACKEND of a verb.  False: the word is none, or one too many. */
static bool
take_whom(struct cli *c, const char *word)
{
	if ((c->verb != VERB_DRAIN && c->verb != VERB_UNDRAIN) ||
	    c->whom != NULL || word[0] == '-')
		return false;
	if (drain_names_both(word))
		c->whom = word;
	else
		c->exit = usage_error("allowed: POOL/BACKEND", word);
	return true;
}

static void
take_wait(struct cli *c, const char *text)
{
	static const struct option limit = {.name = "--wait",
	    .type = OPTION_DURATION,
	    .min = 0,
	    .max = WAIT_MAX_MS};
	char bytes[WHY_BYTES];
	struct textbuf why = textbuf_make(bytes, sizeof(bytes) - 1);

	if (value_parse(&limit, NULL, span_of(text), &c->wait_ms, &why) ==
	    VALUE_OK)
		return;
	textbuf_lit(&why, "; allowed after --wait: ");
	option_put_allowed(&why, &limit);
	bytes[why.len] = '\0';
	c->exit = usage_error(bytes, text);
}

static void
take_word(struct cli *c, char **argv, int *i, int argc)
{
	const char *word = argv[*i];

	if (is(word, "--help") || is(word, "-h")) {
		fputs(usage_text, stdout);
		c->exit = 0;
	} else if (is(word, "--version")) {
		puts("evenkeel " EVENKEEL_VERSION);
		c->exit = 0;
	} else if (is(word, "-c") || is(word, "--control")) {
		if (*i + 1 >= argc) {
			c->exit = usage_error("a path must follow", word);
			return;
		}
		*(is(word, "-c") ? &c->file : &c->control) = argv[++*i];
	} else if (!c->verb_given && verb_of(word, &c->verb)) {
		c->verb_given = true;
	} else if (!c->verb_given && looks_like_listen(word)) {
		c->verb = VERB_INLINE;
		c->words = argv + *i;
		c->n_words = argc - *i;
		*i = argc;
	} else if (is(word, "--wait") && c->verb == VERB_DRAIN) {
		if (*i + 1 < argc)
			take_wait(c, argv[++*i]);
		else
			c->exit = usage_error("a duration must follow", word);
	} else if (!take_flag(c, word) && !take_whom(c, word) &&
	    !take_simulate(c, argv, i, argc)) {
		c->exit = usage_error("unknown word or option", word);
	}
}

static void
parse(struct cli *c, int argc, char **argv)
{
	c->exit = -1;
	for (int i = 1; i < argc && c->exit < 0; i++)
		take_word(c, argv, &i, argc);
	if (c->exit < 0 && c->control != NULL &&
	    span_of(c->control).len > CONTROL_BYTES)
		c->exit = usage_error(
		    "--control: allowed: a path of at most 107 bytes", "");
	if (c->exit < 0 && c->verb == VERB_INLINE && c->n_words < 2)
		c->exit = usage_error("LISTEN needs at least one BACKEND", "");
	if (c->exit < 0 && c->verb == VERB_INLINE && c->file != NULL)
		c->exit =
		    usage_error("either -c FILE or LISTEN BACKEND...", "");
	if (c->exit < 0 && c->verb == VERB_SIMULATE && c->script == NULL)
		c->exit = usage_error("simulate needs a SCRIPT", "");
	if (c->exit < 0 && c->whom == NULL &&
	    (c->verb == VERB_DRAIN || c->verb == VERB_UNDRAIN))
		c->exit = usage_error(
		    "which one? allowed: POOL/BACKEND, as in status", "");
}

/* ---- texts of any length ---- */

struct text {
	struct textbuf out;
	char *bytes;
};

/* Room for the next try; false: no memory, or too large. */
static bool
text_more(struct text *t)
{
	size_t cap = t->bytes == NULL ? FIRST_TEXT_BYTES : 4 * t->out.cap;

	free(t->bytes);
	t->bytes = cap > TEXT_BYTES ? NULL : malloc(cap);
	t->out = textbuf_make(t->bytes, t->bytes == NULL ? 0 : cap);
	return t->bytes != NULL;
}

static void
text_print(struct text *t, FILE *to)
{
	fwrite(t->out.ptr, 1, t->out.len, to);
	free(t->bytes);
	t->bytes = NULL;
}

static void
no_memory(void)
{
	fputs("evenkeel: out of memory\n", stderr);
}

static void
print_problems(const char *file, const struct inifile *f)
{
	struct text t = {.bytes = NULL};

	do {
		if (!text_more(&t)) {
			no_memory();
			return;
		}
		cfg_put_problems(&t.out, file, f->problems);
	} while (t.out.full);
	text_print(&t, stderr);
}

/* ---- the configuration ---- */

static const char *
config_file(const struct cli *c)
{
	if (c->file != NULL)
		return c->file;
	return access("lb.ini", F_OK) == 0 ||
		access("/etc/evenkeel/lb.ini", F_OK) != 0
	    ? "lb.ini"
	    : "/etc/evenkeel/lb.ini";
}

/* "8080" is 127.0.0.1:8080, ":8080" all addresses (of a listener). */
static void
put_address(struct textbuf *t, const char *word)
{
	uint64_t port;

	if (num_parse_u64(span_of(word), 65535, &port))
		textbuf_lit(t, "127.0.0.1:");
	else if (word[0] == ':')
		textbuf_byte(t, '*');
	textbuf_str(t, word);
	textbuf_byte(t, '\n');
}

static bool
parse_inline(const struct cli *c, struct inifile *f, struct textbuf *why)
{
	static char bytes[INLINE_BYTES];
	struct textbuf t = textbuf_make(bytes, sizeof(bytes));

	textbuf_lit(&t, "[listener main]\nbind = ");
	put_address(&t, c->words[0]);
	textbuf_lit(&t, "[pool main]\n");
	for (int i = 1; i < c->n_words; i++) {
		textbuf_lit(&t, "backend = ");
		put_address(&t, c->words[i]);
	}
	if (t.full)
		textbuf_lit(why, "the command line is too long");
	else if (inifile_parse(f, textbuf_span(&t)))
		return true;
	else
		textbuf_lit(why, "out of memory");
	return false;
}

/* Reads it, and prints what is wrong or odd.  False: do not go on. */
static bool
load(const struct cli *c, struct inifile *f)
{
	const char *file =
	    c->verb == VERB_INLINE ? "command line" : config_file(c);
	char text[WHY_BYTES];
	struct textbuf why = textbuf_make(text, sizeof(text));
	bool read = c->verb == VERB_INLINE ? parse_inline(c, f, &why)
					   : inifile_read(f, file, &why);

	if (!read) {
		fprintf(stderr, "evenkeel: %.*s\n", (int)why.len, why.ptr);
		if (c->verb != VERB_INLINE && c->file == NULL &&
		    access(file, F_OK) != 0)
			fputs("There is no /etc/evenkeel/lb.ini either; -c "
			      "FILE names another file.\nTry evenkeel "
			      "--help\n",
			    stderr);
		return false;
	}
	if (f->no_memory)
		fprintf(stderr, "evenkeel: %s: out of memory\n", file);
	/* A running process has its warnings in its log. */
	if (f->cfg == NULL || c->verb == VERB_CHECK)
		print_problems(file, f);
	if (f->cfg != NULL)
		return true;
	inifile_free(f);
	return false;
}

/* The control socket of a configuration, or the default.  `text` has room for
 * PATH_BYTES. */
static const char *
control_path(const struct cli *c, const struct cfg *cfg, char *text)
{
	struct textbuf out = textbuf_make(text, PATH_BYTES);

	if (c->control != NULL)
		return c->control;
	if (cfg != NULL && cfg->global.control[0] != '\0')
		return cfg->global.control;
	verbs_put_default_path(&out);
	return text;
}

/* ---- verbs ---- */

static int
verb_run(const struct cli *c)
{
	struct inifile f;
	struct server_options o;
	char control[PATH_BYTES];
	bool stopped_well;

	if (!load(c, &f))
		return EXIT_USAGE;
	o = (struct server_options){.cfg = f.cfg,
	    .file = c->verb == VERB_INLINE ? "" : config_file(c),
	    .control = control_path(c, f.cfg, control),
	    .warnings = f.problems,
	    .demo = c->demo};
	stopped_well = server_run(&o);
	inifile_free(&f);
	return stopped_well ? 0 : EXIT_FAILED;
}

/* Reads the configuration and prints what `put` makes of it. */
static int
print_config(const struct cli *c,
    void (*put)(
	struct textbuf *out, const struct cli *c, const struct cfg *cfg))
{
	struct inifile f;
	struct text t = {.bytes = NULL};

	if (!load(c, &f))
		return EXIT_USAGE;
	do {
		if (!text_more(&t))
			break;
		put(&t.out, c, f.cfg);
	} while (t.out.full);
	inifile_free(&f);
	if (t.bytes == NULL) {
		no_memory();
		return EXIT_FAILED;
	}
	text_print(&t, stdout);
	return 0;
}

static void
put_report(struct textbuf *out, const struct cli *c, const struct cfg *cfg)
{
	report_put(out, config_file(c), cfg);
}

static void
put_ini(struct textbuf *out, const struct cli *c, const struct cfg *cfg)
{
	print_ini(out, cfg, c->defaults);
}

/* What the user of the configuration could not open, as errors. */
static int
rehearse(const struct cli *c)
{
	struct inifile f;
	char control[PATH_BYTES], text[WHY_BYTES * 4];
	struct textbuf out = textbuf_make(text, sizeof(text));
	struct cli silent = *c;
	bool good;

	/* Warnings come with the report. */
	silent.verb = VERB_RUN;
	if (!load(&silent, &f))
		return EXIT_USAGE;
	good = rehearse_put(
	    &out, config_file(c), f.cfg, control_path(c, f.cfg, control));
	inifile_free(&f);
	fwrite(out.ptr, 1, out.len, stderr);
	return good ? 0 : EXIT_USAGE;
}

static int
verb_check(const struct cli *c)
{
	int exit = rehearse(c);

	return exit != 0 ? exit : print_config(c, put_report);
}

/* Where the running process listens.  The file is read tolerantly: one with
 * errors still leads there. */
static const char *
find_control(const struct cli *c, char *text)
{
	struct textbuf out = textbuf_make(text, PATH_BYTES);

	if (c->control != NULL)
		return c->control;
	if (!inifile_find(
		config_file(c), SPAN("global"), SPAN("control"), &out))
		verbs_put_default_path(&out);
	return text;
}

static int
verb_status(const struct cli *c)
{
	char text[PATH_BYTES];
	const char *path = find_control(c, text), *why;
	char *answer;
	size_t len;

	switch (verbs_get(
	    path, c->json ? "/status.json" : "/status", &answer, &len, &why)) {
	case ASK_OK:
		fwrite(answer, 1, len, stdout);
		free(answer);
		return 0;
	case ASK_NOBODY:
		fprintf(stderr,
		    "evenkeel: nobody is running: no answer at %s\n", path);
		return EXIT_FAILED;
	case ASK_FAILED:
		fprintf(stderr, "evenkeel: %s: %s\n", path, why);
		return EXIT_FAILED;
	}
	return EXIT_FAILED;
}

static int
print_simulation(const struct cli *c, const struct simulate *s)
{
	struct text t = {.bytes = NULL};

	do {
		if (!text_more(&t)) {
			no_memory();
			return EXIT_FAILED;
		}
		if (c->json)
			sim_json_put(&t.out, &s->report);
		else
			sim_report_put(&t.out, &s->report);
	} while (t.out.full);
	text_print(&t, stdout);
	return 0;
}

static int
verb_simulate(const struct cli *c)
{
	char text[WHY_BYTES];
	struct textbuf why = textbuf_make(text, sizeof(text));
	struct simulate_options o = {
	    .script = c->script, .seed_given = c->seed != NULL};
	struct inifile f;
	struct simulate *s;
	int code = EXIT_USAGE;

	if (c->seed != NULL &&
	    !num_parse_u64(span_of(c->seed), UINT64_MAX, &o.seed))
		return usage_error("--seed: allowed: a whole number", c->seed);
	if (!load(c, &f))
		return EXIT_USAGE;
	o.cfg = f.cfg;
	s = simulate_play(&o, &why);
	if (s == NULL)
		fprintf(stderr, "evenkeel: %.*s\n", (int)why.len, why.ptr);
	else
		code = print_simulation(c, s);
	simulate_free(s);
	inifile_free(&f);
	return code;
}

static int
verb_drain(const struct cli *c)
{
	char text[PATH_BYTES];
	const struct drain_request d = {.control = find_control(c, text),
	    .whom = c->whom,
	    .wait_ms = c->wait_ms};

	return c->verb == VERB_DRAIN ? drain_run(&d) : drain_undo(&d);
}

static int
do_verb(const struct cli *c)
{
	switch (c->verb) {
	case VERB_RUN:
	case VERB_INLINE:
		return verb_run(c);
	case VERB_CHECK:
		return verb_check(c);
	case VERB_CONFIG:
		return print_config(c, put_ini);
	case VERB_STATUS:
		return verb_status(c);
	case VERB_SIMULATE:
		return verb_simulate(c);
	case VERB_DRAIN:
	case VERB_UNDRAIN:
		return verb_drain(c);
	}
	return EXIT_USAGE;
}

int
cli_main(int argc, char **argv)
{
	struct cli c = {.verb = VERB_RUN, .wait_ms = DRAIN_FOREVER};

	parse(&c, argc, argv);
	if (c.exit < 0)
		c.exit = do_verb(&c);
	/* What was asked for and did not arrive is not done. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(
		    stderr, "evenkeel: standard output: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	return c.exit;
}
