/* The list of errors and warnings of a build, and how it is shown. */
#include "evenkeel/config/problem.h"

#include "evenkeel/config/value.h"

/* Bytes of a value that a message shows. */
#define QUOTED_MAX 80

static void
problem_add(struct cfg_build *b, enum cfg_severity severity, unsigned line,
    struct span text)
{
	struct cfg_problem *p = arena_get(b->arena, 1, sizeof(*p));

	if (p == NULL)
		return;
	p->severity = severity;
	p->line = line;
	p->text = arena_text(b->arena, text);
	if (p->text == NULL)
		return;
	*b->last_problem = p;
	b->last_problem = &p->next;
}

static void
report(struct cfg_build *b, enum cfg_severity severity, unsigned line,
    struct span text)
{
	b->n_errors += severity == CFG_ERROR;
	b->n_problems++;
	if (b->n_problems <= CFG_PROBLEMS_MAX)
		problem_add(b, severity, line, text);
	else if (b->n_problems == CFG_PROBLEMS_MAX + 1)
		problem_add(b, severity, line,
		    SPAN("too many problems; the others are not listed"));
}

void
cfg_build_problem(struct cfg_build *b, enum cfg_severity severity,
    unsigned line, struct span text)
{
	if (severity == CFG_ERROR) {
		b->lost = true;
		if (b->current != NULL)
			b->current->damaged = true;
	}
	report(b, severity, line, text);
}

void
problem_begin(struct problem *m, struct cfg_build *b,
    enum cfg_severity severity, unsigned line, const struct draft_section *s)
{
	m->build = b;
	m->severity = severity;
	m->line = line;
	m->text = textbuf_make(m->room, sizeof(m->room));
	if (s == NULL)
		return;
	textbuf_byte(&m->text, '[');
	textbuf_str(&m->text, option_section_word(s->kind));
	if (option_section_named(s->kind)) {
		textbuf_byte(&m->text, ' ');
		problem_put_name(m, span_of(s->name));
	}
	textbuf_lit(&m->text, "] ");
}

void
problem_put_name(struct problem *m, struct span name)
{
	if (value_is_name(name))
		textbuf_put(&m->text, name);
	else
		cfg_put_quoted(&m->text, name);
}

void
problem_put_value(struct problem *m, const struct option *o, struct span value)
{
	textbuf_str(&m->text, o->name);
	textbuf_lit(&m->text, ": ");
	cfg_put_quoted(&m->text, value);
	textbuf_lit(&m->text, ": ");
}

void
problem_put_allowed(struct problem *m, const struct option *o)
{
	textbuf_lit(&m->text, "; allowed: ");
	option_put_allowed(&m->text, o);
}

bool
problem_put_nearest(struct problem *m, const struct nearest *n)
{
	if (n->best.ptr == NULL)
		return false;
	textbuf_lit(&m->text, " (did you mean ");
	textbuf_put(&m->text, n->best);
	textbuf_lit(&m->text, "?)");
	return true;
}

void
problem_end(struct problem *m)
{
	/* Every part of a message is bounded by less than its room. */
	CHECK(!m->text.full);
	report(m->build, m->severity, m->line, textbuf_span(&m->text));
}

void
cfg_put_quoted(struct textbuf *out, struct span bytes)
{
	static const char digits[] = "0123456789abcdef";
	bool cut = bytes.len > QUOTED_MAX;

	if (cut)
		bytes.len = QUOTED_MAX;
	textbuf_byte(out, '"');
	for (size_t i = 0; i < bytes.len; i++) {
		unsigned char c = (unsigned char)bytes.ptr[i];

		if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
			textbuf_byte(out, bytes.ptr[i]);
			continue;
		}
		textbuf_lit(out, "\\x");
		textbuf_byte(out, digits[c >> 4]);
		textbuf_byte(out, digits[c & 15]);
	}
	textbuf_str(out, cut ? "...\"" : "\"");
}

void
cfg_put_problems(
    struct textbuf *out, const char *file, const struct cfg_problem *problems)
{
	for (const struct cfg_problem *p = problems; p != NULL; p = p->next) {
		textbuf_str(out, file);
		textbuf_byte(out, ':');
		if (p->line > 0) {
			textbuf_u64(out, p->line);
			textbuf_byte(out, ':');
		}
		textbuf_byte(out, ' ');
		if (p->severity == CFG_WARNING)
			textbuf_lit(out, "warning: ");
		textbuf_str(out, p->text);
		textbuf_byte(out, '\n');
	}
}
