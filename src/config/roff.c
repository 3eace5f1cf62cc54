/* docs/man/lb.ini.5, from the table and the words of docs/config.md. */
#include "evenkeel/config/roff.h"

#include "evenkeel/base/check.h"
#include "evenkeel/config/markdown.h"
#include "evenkeel/config/option.h"

static const char head[] =
    ".\\\" Generated from the option table, src/config/option.c.\n"
    ".TH LB.INI 5 \"\" evenkeel \"evenkeel manual\"\n"
    ".ad l\n"
    ".nh\n"
    ".SH NAME\n"
    "lb.ini \\- configuration file of evenkeel\n"
    ".SH DESCRIPTION\n";

static const char tail[] = ".SH FILES\n"
			   ".TP\n"
			   ".I ./lb.ini\n"
			   "is read when it is there.\n"
			   ".TP\n"
			   ".I /etc/evenkeel/lb.ini\n"
			   "is read when there is no\n"
			   ".I ./lb.ini\n"
			   "and no\n"
			   ".B \\-c\n"
			   "names a file.\n"
			   ".SH SEE ALSO\n"
			   ".BR evenkeel (1)\n";

enum roff_block { ROFF_HEADING, ROFF_GAP, ROFF_TEXT, ROFF_ITEM, ROFF_CODE };

/* One text on its way from Markdown. */
struct roff {
	struct textbuf *out;
	enum roff_block block; /* the line before */
	bool fenced;           /* the code lasts until ``` */
	bool section;          /* headings are .SH, not .SS */
	char mark;             /* an open '`', '*' or 'b' (for **), or 0 */
};

/* ---- within a line ---- */

static void
put_code_byte(struct textbuf *out, char c)
{
	switch (c) {
	case '\\':
		textbuf_lit(out, "\\e");
		break;
	case '-':
		textbuf_lit(out, "\\-");
		break;
	case '\'':
		textbuf_lit(out, "\\(aq");
		break;
	case '`':
		textbuf_lit(out, "\\(ga");
		break;
	case '^':
		textbuf_lit(out, "\\(ha");
		break;
	case '~':
		textbuf_lit(out, "\\(ti");
		break;
	default:
		textbuf_byte(out, c);
		break;
	}
}

static void
put_code(struct textbuf *out, struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		put_code_byte(out, text.ptr[i]);
}

/* At the start of a line these two would begin a request. */
static void
guard_line(struct textbuf *out, struct span line)
{
	if (line.len > 0 && (line.ptr[0] == '.' || line.ptr[0] == '\''))
		textbuf_lit(out, "\\&");
}

/* The mark at `at`, and its length in *len; 0: none. */
static char
mark_at(const struct roff *r, struct span text, size_t at, size_t *len)
{
	char c = text.ptr[at];

	*len = 1;
	if (r->mark == '`')
		return c == '`' ? c : 0;
	if (c == '*' && at + 1 < text.len && text.ptr[at + 1] == '*') {
		*len = 2;
		return 'b';
	}
	return c == '`' || c == '*' ? c : 0;
}

static void
put_mark(struct roff *r, char mark)
{
	bool ends = r->mark == mark;

	r->mark = ends ? 0 : mark;
	textbuf_str(r->out, ends ? "\\fR" : mark == '*' ? "\\fI" : "\\fB");
}

static void
put_inline(struct roff *r, struct span text)
{
	size_t len;

	guard_line(r->out, text);
	for (size_t i = 0; i < text.len; i += len) {
		char mark = mark_at(r, text, i, &len);

		if (mark != 0) {
			put_mark(r, mark);
		} else if (r->mark == '`') {
			put_code_byte(r->out, text.ptr[i]);
		} else if (text.ptr[i] == '\\' && i + 1 < text.len) {
			put_code_byte(r->out, text.ptr[i + 1]);
			len = 2;
		} else if (text.ptr[i] == '-') {
			/* A hyphen, where lines may break. */
			textbuf_byte(r->out, '-');
		} else {
			put_code_byte(r->out, text.ptr[i]);
		}
	}
	textbuf_byte(r->out, '\n');
}

/* ---- lines ---- */

static struct span
behind(struct span line, size_t n)
{
	return span_make(line.ptr + n, line.len - n);
}

static void
put_heading(struct roff *r, struct span title)
{
	textbuf_str(r->out, r->section ? ".SH " : ".SS ");
	for (size_t i = 0; i < title.len; i++) {
		char c = title.ptr[i];

		if (r->section && c >= 'a' && c <= 'z')
			c = (char)(c - ('a' - 'A'));
		textbuf_byte(r->out, c);
	}
	textbuf_byte(r->out, '\n');
	r->block = ROFF_HEADING;
}

static void
begin_code(struct roff *r)
{
	textbuf_lit(r->out, ".PP\n.RS 4\n.nf\n");
	r->block = ROFF_CODE;
}

static void
end_code(struct roff *r)
{
	textbuf_lit(r->out, ".fi\n.RE\n");
	r->fenced = false;
	r->block = ROFF_GAP;
}

static void
put_code_line(struct roff *r, struct span line)
{
	guard_line(r->out, line);
	put_code(r->out, line);
	textbuf_byte(r->out, '\n');
}

static void
put_text_line(struct roff *r, struct span line)
{
	if (span_starts_with(line, SPAN("- "))) {
		textbuf_lit(r->out, ".IP \\(bu 2\n");
		put_inline(r, behind(line, 2));
		r->block = ROFF_ITEM;
		return;
	}
	if (r->block == ROFF_GAP) {
		textbuf_lit(r->out, ".PP\n");
		r->block = ROFF_TEXT;
	} else if (r->block == ROFF_HEADING) {
		r->block = ROFF_TEXT;
	}
	put_inline(r, span_trim(line));
}

static void
put_line(struct roff *r, struct span line)
{
	bool fence = span_starts_with(line, SPAN("```"));
	bool indented = span_starts_with(line, SPAN("    "));

	if (r->block == ROFF_CODE && (r->fenced ? fence : !indented)) {
		end_code(r);
		if (fence)
			return;
	}
	if (r->block == ROFF_CODE) {
		put_code_line(r, r->fenced ? line : behind(line, 4));
	} else if (fence) {
		begin_code(r);
		r->fenced = true;
	} else if (indented) {
		begin_code(r);
		put_code_line(r, behind(line, 4));
	} else if (span_starts_with(line, SPAN("## "))) {
		put_heading(r, behind(line, 3));
	} else if (line.len == 0) {
		if (r->block != ROFF_HEADING)
			r->block = ROFF_GAP;
	} else if (!span_starts_with(line, SPAN("# ")) &&
	    !span_starts_with(line, SPAN("<!--"))) {
		put_text_line(r, line);
	}
}

static void
put_markdown(struct textbuf *out, struct span text, bool section)
{
	struct roff r = {.out = out, .block = ROFF_HEADING, .section = section};

	while (text.len > 0) {
		size_t n = span_find(text, '\n');

		put_line(&r, span_make(text.ptr, n));
		text = behind(text, n + (n < text.len));
	}
	if (r.block == ROFF_CODE)
		end_code(&r);
}

/* ---- options ---- */

static void
put_default(struct textbuf *out, const struct option *o)
{
	textbuf_lit(out, ".br\n");
	if (o->preset == NULL && o->required) {
		textbuf_lit(out, "Required");
	} else {
		textbuf_str(
		    out, o->preset == NULL ? "Default: " : "Default: \\fB");
		put_code(
		    out, span_of(o->preset == NULL ? o->without : o->preset));
		textbuf_str(out, o->preset == NULL ? "" : "\\fR");
	}
	textbuf_str(out, o->reloadable ? ".\n" : " (\\fIrestart\\fR).\n");
}

static void
put_option(struct textbuf *out, const struct option *o)
{
	char room[256];
	struct textbuf allowed = textbuf_make(room, sizeof(room));
	struct roff r = {.out = out, .block = ROFF_TEXT};

	option_put_allowed(&allowed, o);
	CHECK(!allowed.full);
	textbuf_str(out, o->repeats ? ".TP\n.BR " : ".TP\n.B ");
	textbuf_str(out, o->name);
	textbuf_str(out, o->repeats ? " \" *\"\n" : "\n");
	put_inline(&r, span_of(o->help));
	textbuf_lit(out, ".br\nAllowed: ");
	put_code(out, textbuf_span(&allowed));
	textbuf_lit(out, ".\n");
	put_default(out, o);
}

void
roff_put_options(struct textbuf *out)
{
	textbuf_str(out, head);
	put_markdown(out, markdown_intro(), true);
	textbuf_lit(out, ".SH OPTIONS\n");
	for (enum option_section s = 0; s < OPTION_SECTIONS; s++) {
		put_markdown(out, markdown_about(s), false);
		for (size_t i = 0; i < option_count; i++)
			if (option_table[i].section == s)
				put_option(out, &option_table[i]);
	}
	textbuf_str(out, tail);
}
