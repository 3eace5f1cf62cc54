#include "evenkeel/control/args.h"

#include <stdio.h>

#include "evenkeel/base/textbuf.h"
#include "evenkeel/config/option.h"
#include "evenkeel/config/value.h"
#include "evenkeel/control/drain.h"

#define EXIT_USAGE 2
#define WHY_BYTES  1024
/* What fits an address of a unix socket. */
#define CONTROL_BYTES 107U
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
    "  reload                the running process reads its configuration\n"
    "                        again; prints what has changed, or every error:\n"
    "                        then the one before stays in force\n"
    "  status [--json]       pools, backends and connections of the running\n"
    "                        process, and its last reload\n"
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
    "Signals: HUP reloads; USR1 opens the log files anew; USR2 starts the\n"
    "program's file anew, which takes over; TERM, INT and QUIT stop in order\n"
    "(a second one at once).\n";

int
args_usage_error(const char *what, const char *word)
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
verb_of(const char *word, enum args_verb *verb)
{
	static const struct {
		const char *name;
		enum args_verb verb;
	} verbs[] = {{"run", ARGS_RUN}, {"check", ARGS_CHECK},
	    {"-t", ARGS_CHECK}, {"reload", ARGS_RELOAD},
	    {"status", ARGS_STATUS}, {"drain", ARGS_DRAIN},
	    {"undrain", ARGS_UNDRAIN}, {"config", ARGS_CONFIG},
	    {"simulate", ARGS_SIMULATE}};

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
take_flag(struct args *a, const char *word)
{
	if (is(word, "--demo") && a->verb == ARGS_RUN)
		a->demo = true;
	else if (is(word, "--json") &&
	    (a->verb == ARGS_STATUS || a->verb == ARGS_SIMULATE))
		a->json = true;
	else if (is(word, "--defaults") && a->verb == ARGS_CONFIG)
		a->defaults = true;
	else
		return false;
	return true;
}

/* What stands behind `simulate`.  False: it is nothing of it. */
static bool
take_simulate(struct args *a, char **argv, int *i, int argc)
{
	if (a->verb != ARGS_SIMULATE)
		return false;
	if (is(argv[*i], "--seed") && a->seed == NULL && *i + 1 < argc)
		a->seed = argv[++*i];
	else if (a->script == NULL && (argv[*i][0] != '-' || is(argv[*i], "-")))
		a->script = argv[*i];
	else
		return false;
	return true;
}

/* The POOL/BACKEND of a verb.  False: the word is none, or one too many. */
static bool
take_whom(struct args *a, const char *word)
{
	if ((a->verb != ARGS_DRAIN && a->verb != ARGS_UNDRAIN) ||
	    a->whom != NULL || word[0] == '-')
		return false;
	if (drain_names_both(word))
		a->whom = word;
	else
		a->exit =
		    args_usage_error("not POOL/BACKEND, as in status", word);
	return true;
}

static void
take_wait(struct args *a, const char *text)
{
	static const struct option limit = {.name = "--wait",
	    .type = OPTION_DURATION,
	    .min = 0,
	    .max = WAIT_MAX_MS};
	char bytes[WHY_BYTES];
	struct textbuf why = textbuf_make(bytes, sizeof(bytes) - 1);

	if (value_parse(&limit, NULL, span_of(text), &a->wait_ms, &why) ==
	    VALUE_OK)
		return;
	textbuf_lit(&why, "; allowed after --wait: ");
	option_put_allowed(&why, &limit);
	bytes[why.len] = '\0';
	a->exit = args_usage_error(bytes, text);
}

static void
take_word(struct args *a, char **argv, int *i, int argc)
{
	const char *word = argv[*i];

	if (is(word, "--help") || is(word, "-h")) {
		fputs(usage_text, stdout);
		a->exit = 0;
	} else if (is(word, "--version")) {
		puts("evenkeel " EVENKEEL_VERSION);
		a->exit = 0;
	} else if (is(word, "-c") || is(word, "--control")) {
		if (*i + 1 >= argc) {
			a->exit = args_usage_error("a path must follow", word);
			return;
		}
		*(is(word, "-c") ? &a->file : &a->control) = argv[++*i];
	} else if (!a->verb_given && verb_of(word, &a->verb)) {
		a->verb_given = true;
	} else if (!a->verb_given && looks_like_listen(word)) {
		a->verb = ARGS_INLINE;
		a->words = argv + *i;
		a->n_words = argc - *i;
		*i = argc;
	} else if (is(word, "--wait") && a->verb == ARGS_DRAIN) {
		if (*i + 1 < argc)
			take_wait(a, argv[++*i]);
		else
			a->exit =
			    args_usage_error("a duration must follow", word);
	} else if (!take_flag(a, word) && !take_whom(a, word) &&
	    !take_simulate(a, argv, i, argc)) {
		a->exit = args_usage_error("unknown word or option", word);
	}
}

void
args_parse(struct args *a, int argc, char **argv)
{
	*a = (struct args){.argv = argv,
	    .verb = ARGS_RUN,
	    .wait_ms = DRAIN_FOREVER,
	    .exit = -1};
	for (int i = 1; i < argc && a->exit < 0; i++)
		take_word(a, argv, &i, argc);
	if (a->exit < 0 && a->control != NULL &&
	    span_of(a->control).len > CONTROL_BYTES)
		a->exit = args_usage_error(
		    "--control: allowed: a path of at most 107 bytes", "");
	if (a->exit < 0 && a->verb == ARGS_INLINE && a->n_words < 2)
		a->exit =
		    args_usage_error("LISTEN needs at least one BACKEND", "");
	if (a->exit < 0 && a->verb == ARGS_INLINE && a->file != NULL)
		a->exit =
		    args_usage_error("either -c FILE or LISTEN BACKEND...", "");
	if (a->exit < 0 && a->verb == ARGS_SIMULATE && a->script == NULL)
		a->exit = args_usage_error("simulate needs a SCRIPT", "");
	if (a->exit < 0 && a->whom == NULL &&
	    (a->verb == ARGS_DRAIN || a->verb == ARGS_UNDRAIN))
		a->exit = args_usage_error(
		    "which one? allowed: POOL/BACKEND, as in status", "");
}
