/*
 * args - what the command line asks for.
 *
 * Layer: control.  The main thread.
 */
#ifndef EVENKEEL_CONTROL_ARGS_H
#define EVENKEEL_CONTROL_ARGS_H

#include <stdbool.h>
#include <stdint.h>

enum args_verb {
	ARGS_RUN,
	ARGS_CHECK,
	ARGS_RELOAD,
	ARGS_STATUS,
	ARGS_DRAIN,
	ARGS_UNDRAIN,
	ARGS_CONFIG,
	ARGS_SIMULATE,
	ARGS_INLINE /* LISTEN BACKEND... */
};

struct args {
	char **argv;         /* all of it */
	const char *file;    /* of -c, or NULL */
	const char *control; /* of --control, or NULL */
	enum args_verb verb;
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

/* Everything in `a` points into argv.  Help, the version and mistakes are
 * printed here; a->exit is the exit code then. */
void args_parse(struct args *a, int argc, char **argv);

/* Says what is wrong with `word`, which may be empty.  The exit code. */
int args_usage_error(const char *what, const char *word);

#endif
