#include "evenkeel/control/cfgfile.h"

#include <stdio.h>
#include <unistd.h>

#include "evenkeel/base/num.h"
#include "evenkeel/control/long_text.h"
#include "evenkeel/control/verbs.h"

#define WHY_BYTES    1024
#define INLINE_BYTES 65536

void
cfgfile_print_problems(const char *file, const struct cfg_problem *problems)
{
	struct long_text t = {.bytes = NULL};

	do {
		if (!long_text_more(&t)) {
			long_text_no_memory();
			return;
		}
		cfg_put_problems(&t.out, file, problems);
	} while (t.out.full);
	long_text_print(&t, stderr);
}

const char *
cfgfile_name(const struct args *a)
{
	if (a->file != NULL)
		return a->file;
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
parse_inline(const struct args *a, struct inifile *f, struct textbuf *why)
{
	static char bytes[INLINE_BYTES];
	struct textbuf t = textbuf_make(bytes, sizeof(bytes));

	textbuf_lit(&t, "[listener main]\nbind = ");
	put_address(&t, a->words[0]);
	textbuf_lit(&t, "[pool main]\n");
	for (int i = 1; i < a->n_words; i++) {
		textbuf_lit(&t, "backend = ");
		put_address(&t, a->words[i]);
	}
	if (t.full)
		textbuf_lit(why, "the command line is too long");
	else if (inifile_parse(f, textbuf_span(&t)))
		return true;
	else
		textbuf_lit(why, "out of memory");
	return false;
}

bool
cfgfile_load(const struct args *a, struct inifile *f)
{
	const char *file =
	    a->verb == ARGS_INLINE ? "command line" : cfgfile_name(a);
	char text[WHY_BYTES];
	struct textbuf why = textbuf_make(text, sizeof(text));
	bool read = a->verb == ARGS_INLINE ? parse_inline(a, f, &why)
					   : inifile_read(f, file, &why);

	if (!read) {
		fprintf(stderr, "evenkeel: %.*s\n", (int)why.len, why.ptr);
		if (a->verb != ARGS_INLINE && a->file == NULL &&
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
	if (f->cfg == NULL || a->verb == ARGS_CHECK)
		cfgfile_print_problems(file, f->problems);
	if (f->cfg != NULL)
		return true;
	inifile_free(f);
	return false;
}

const char *
cfgfile_control(const struct args *a, const struct cfg *cfg, char *text)
{
	struct textbuf out = textbuf_make(text, CFGFILE_PATH_BYTES);

	if (a->control != NULL)
		return a->control;
	if (cfg != NULL && cfg->global.control[0] != '\0')
		return cfg->global.control;
	verbs_put_default_path(&out);
	return text;
}

const char *
cfgfile_find_control(const struct args *a, char *text)
{
	struct textbuf out = textbuf_make(text, CFGFILE_PATH_BYTES);

	if (a->control != NULL)
		return a->control;
	if (!inifile_find(
		cfgfile_name(a), SPAN("global"), SPAN("control"), &out))
		verbs_put_default_path(&out);
	return text;
}
