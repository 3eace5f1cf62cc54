#include "evenkeel/control/sim_words.h"

#include "evenkeel/base/num.h"

/* ---- mistakes ---- */

bool
sim_words_bad(struct sim_words *w, struct span word, const char *what)
{
	textbuf_lit(w->why, "line ");
	textbuf_u64(w->why, w->line);
	textbuf_lit(w->why, ": ");
	if (word.len > 0) {
		textbuf_byte(w->why, '"');
		textbuf_json(
		    w->why, span_make(word.ptr, num_min_size(word.len, 80)));
		textbuf_lit(w->why, "\": ");
	}
	textbuf_str(w->why, what);
	return false;
}

bool
sim_words_bad_near(
    struct sim_words *w, const char *what, const struct nearest *near)
{
	(void)sim_words_bad(w, near->typo, what);
	if (near->best.ptr != NULL) {
		textbuf_lit(w->why, " (did you mean ");
		textbuf_json(w->why, near->best);
		textbuf_lit(w->why, "?)");
	}
	return false;
}

/* ---- words ---- */

bool
sim_words_is(struct span word, const char *name)
{
	return span_equal_nocase(word, span_of(name));
}

bool
sim_words_is_any(struct span word, const char *const *names)
{
	for (; *names != NULL; names++)
		if (sim_words_is(word, *names))
			return true;
	return false;
}

bool
sim_words_take(struct sim_words *w, struct span *word)
{
	*word = w->at < w->n ? w->words[w->at] : SPAN_NONE;
	w->at++;
	return word->len > 0;
}

struct unit {
	const char *name;
	uint64_t us;
};

static const struct unit units[] = {{"us", 1}, {"ms", 1000}, {"s", 1000000},
    {"sec", 1000000}, {"second", 1000000}, {"seconds", 1000000},
    {"m", 60000000}, {"min", 60000000}, {"minute", 60000000},
    {"minutes", 60000000}, {"h", 3600000000}, {"hour", 3600000000},
    {"hours", 3600000000}};

static const struct unit *
unit_of(struct span word)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (sim_words_is(word, units[i].name))
			return &units[i];
	return NULL;
}

size_t
sim_words_digits(struct span word)
{
	size_t n = 0;

	while (n < word.len && word.ptr[n] >= '0' && word.ptr[n] <= '9')
		n++;
	return n;
}

bool
sim_words_take_number(struct span *word, uint64_t *milli)
{
	size_t whole = sim_words_digits(*word), n;
	uint64_t value, scale = 100;

	if (whole == 0)
		return false;
	if (!num_parse_u64(span_make(word->ptr, whole), UINT32_MAX, &value))
		value = UINT64_MAX;
	*milli = num_mul_capped(value, 1000);
	*word = span_make(word->ptr + whole, word->len - whole);
	if (word->len < 2 || word->ptr[0] != '.')
		return true;
	n = sim_words_digits(span_make(word->ptr + 1, word->len - 1));
	if (n == 0)
		return true;
	for (size_t i = 1; i <= n && scale > 0; i++, scale /= 10)
		*milli = num_add_capped(
		    *milli, (uint64_t)(word->ptr[i] - '0') * scale);
	*word = span_make(word->ptr + 1 + n, word->len - 1 - n);
	return true;
}

bool
sim_words_time_of(struct span word, uint64_t *us)
{
	const struct unit *unit;
	uint64_t milli;

	if (!sim_words_take_number(&word, &milli))
		return false;
	unit = unit_of(word);
	if (unit == NULL && !(word.len == 0 && milli == 0))
		return false;
	*us = unit == NULL ? 0 : num_mul_capped(milli, unit->us) / 1000;
	return true;
}

bool
sim_words_share_of(struct span word, uint32_t *share)
{
	uint64_t milli;

	if (!sim_words_take_number(&word, &milli) ||
	    !(sim_words_is(word, "%") || sim_words_is(word, "percent")) ||
	    milli > 100000)
		return false;
	*share = (uint32_t)(milli * 10);
	return true;
}

bool
sim_words_take_time(struct sim_words *w, uint64_t *us)
{
	struct span word;

	if (!sim_words_take(w, &word))
		return sim_words_bad(
		    w, SPAN_NONE, "a time is missing at the end, such as 30s");
	if (!sim_words_time_of(word, us))
		return sim_words_bad(w, word,
		    "not a time: a number with one of the units ms, s, m, h");
	if (*us > SIM_TIME_MAX_US)
		return sim_words_bad(w, word, "too long; allowed: 0..24h");
	return true;
}

/* Where ".." stands, or the length. */
static size_t
dots_of(struct span word)
{
	for (size_t i = 0; i + 1 < word.len; i++)
		if (word.ptr[i] == '.' && word.ptr[i + 1] == '.')
			return i;
	return word.len;
}

bool
sim_words_take_range(struct sim_words *w, struct sim_range *range)
{
	struct span word, from, to;
	size_t dots;
	char text[64];
	struct textbuf joined = textbuf_make(text, sizeof(text));

	if (!sim_words_take(w, &word))
		return sim_words_bad(
		    w, SPAN_NONE, "a time is missing at the end, such as 20ms");
	dots = dots_of(word);
	from = word;
	to = word;
	if (dots < word.len) {
		from = span_make(word.ptr, dots);
		to = span_make(word.ptr + dots + 2, word.len - dots - 2);
	}
	textbuf_put(&joined, from);
	if (sim_words_digits(from) == from.len)
		textbuf_put(&joined,
		    span_make(to.ptr + sim_words_digits(to),
			to.len - sim_words_digits(to)));
	if (joined.full ||
	    !sim_words_time_of(textbuf_span(&joined), &range->from_us) ||
	    !sim_words_time_of(to, &range->to_us))
		return sim_words_bad(w, word,
		    "not a time or two of them, such as 20ms or 5ms..20ms");
	if (range->from_us > range->to_us)
		return sim_words_bad(w, word, "the longer time comes second");
	if (range->to_us > SIM_TIME_MAX_US)
		return sim_words_bad(w, word, "too long; allowed: 0..24h");
	return true;
}

/* ---- statements ---- */

bool
sim_words_separates(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == ',' || c == '=';
}

static bool
is_unit(struct span word)
{
	static const char *const others[] = {
	    "%", "percent", "/s", "/m", "/min", "rps", NULL};

	return unit_of(word) != NULL || sim_words_is_any(word, others);
}

/* Whether `next` goes on with the number before: "30 s", "5 %", "5 .. 20". */
static bool
goes_on(struct span word, struct span next)
{
	size_t dots = dots_of(word);
	uint64_t milli;

	if (dots_of(next) == 0 && next.len > 0)
		return true;
	if (dots < word.len)
		word = span_make(word.ptr + dots + 2, word.len - dots - 2);
	if (dots > 0 && word.len == 0)
		return true;
	return sim_words_take_number(&word, &milli) && word.len == 0 &&
	    is_unit(span_make(next.ptr, dots_of(next)));
}

bool
sim_words_split(struct sim_words *w, struct span text)
{
	struct textbuf room = textbuf_make(w->bytes, sizeof(w->bytes));
	size_t i = 0;

	w->n = w->at = 0;
	while (i < text.len) {
		size_t begin = i;
		struct span word;

		while (i < text.len && !sim_words_separates(text.ptr[i]))
			i++;
		word = span_make(text.ptr + begin, i - begin);
		i += i < text.len;
		while (word.len > 0 && word.ptr[word.len - 1] == ':')
			word.len--;
		if (word.len == 0)
			continue;
		if (room.cap - room.len < word.len)
			return sim_words_bad(
			    w, word, "the statement is too long");
		if (w->n > 0 && goes_on(w->words[w->n - 1], word)) {
			textbuf_put(&room, word);
			w->words[w->n - 1].len += word.len;
			continue;
		}
		if (w->n == SIM_WORDS_MAX)
			return sim_words_bad(
			    w, word, "too many words in a statement");
		w->words[w->n++] = span_make(room.ptr + room.len, word.len);
		textbuf_put(&room, word);
	}
	return true;
}
