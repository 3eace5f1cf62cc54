#include "evenkeel/config/teller.h"

#include "evenkeel/config/diff.h"

void
teller_begin(struct teller *t, enum option_section kind, const char *name)
{
	t->kind = kind;
	t->name = name;
	t->begun = false;
}

void
teller_part(struct teller *t)
{
	if (t->begun) {
		textbuf_lit(t->out, ", ");
		return;
	}
	t->begun = true;
	t->lines++;
	textbuf_str(t->out, option_section_word(t->kind));
	if (option_section_named(t->kind)) {
		textbuf_byte(t->out, ' ');
		textbuf_str(t->out, t->name);
	}
	textbuf_lit(t->out, ": ");
}

void
teller_element(struct teller *t)
{
	teller_part(t);
	if (t->naming == NULL)
		return;
	textbuf_str(t->out, t->naming->name);
	textbuf_byte(t->out, ' ');
	t->naming = NULL;
}

void
teller_end(struct teller *t)
{
	if (t->begun)
		textbuf_byte(t->out, '\n');
	t->begun = false;
}

bool
teller_row_next(struct teller_row *r)
{
	if (r->listed == DIFF_LISTED_MAX) {
		r->more++;
		return false;
	}
	r->listed++;
	return true;
}

bool
teller_row_comma(struct teller_row *r, struct textbuf *out)
{
	if (!teller_row_next(r))
		return false;
	if (r->listed > 1)
		textbuf_lit(out, ", ");
	return true;
}

void
teller_row_end(const struct teller_row *r, struct textbuf *out)
{
	if (r->more == 0)
		return;
	textbuf_lit(out, ", and ");
	textbuf_u64(out, r->more);
	textbuf_lit(out, " more");
}
