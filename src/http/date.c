#include "evenkeel/http/date.h"

#include "evenkeel/base/num.h"

#define DAY_S 86400U
/* Years that a two-digit one may lie ahead (RFC 9110 5.6.7). */
#define AHEAD_YEARS 50U

/* What is left to read. */
struct reader {
	struct span rest;
	bool bad;
};

static void
take(struct reader *r, struct span what)
{
	if (r->bad || !span_starts_with(r->rest, what)) {
		r->bad = true;
		return;
	}
	r->rest = span_make(r->rest.ptr + what.len, r->rest.len - what.len);
}

/* `digits` decimal digits; `pad`: the first may be a space. */
static unsigned
take_number(struct reader *r, size_t digits, bool pad)
{
	struct span text;
	uint64_t value = 0;

	if (r->bad || r->rest.len < digits) {
		r->bad = true;
		return 0;
	}
	text = span_make(r->rest.ptr, digits);
	r->rest = span_make(r->rest.ptr + digits, r->rest.len - digits);
	if (pad && text.ptr[0] == ' ')
		text = span_make(text.ptr + 1, text.len - 1);
	if (!num_parse_u64(text, 9999, &value))
		r->bad = true;
	return (unsigned)value;
}

/* One of `n` words: its number. */
static unsigned
take_word(struct reader *r, const char *const *words, unsigned n)
{
	for (unsigned i = 0; i < n && !r->bad; i++)
		if (span_starts_with(r->rest, span_of(words[i]))) {
			take(r, span_of(words[i]));
			return i;
		}
	r->bad = true;
	return 0;
}

static unsigned
take_month(struct reader *r)
{
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May",
	    "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

	return take_word(r, months, 12) + 1;
}

struct moment {
	unsigned year, month, day, hour, minute, second;
};

static void
take_time(struct reader *r, struct moment *m)
{
	m->hour = take_number(r, 2, false);
	take(r, SPAN(":"));
	m->minute = take_number(r, 2, false);
	take(r, SPAN(":"));
	m->second = take_number(r, 2, false);
}

/* Days from 1970-01-01 to the first of March of `year` - 1 or so: the usual
 * count in years that begin in March, so that a leap day is the last. */
static uint64_t
days_of(const struct moment *m)
{
	unsigned year = m->month <= 2 ? m->year - 1 : m->year;
	unsigned month = m->month <= 2 ? m->month + 9 : m->month - 3;
	uint64_t days = (uint64_t)year * 365 + year / 4 - year / 100 +
	    year / 400 + (month * 153 + 2) / 5 + m->day - 1;

	return days - 719468; /* of 1970-01-01 */
}

static bool
in_range(const struct moment *m)
{
	static const unsigned char days[] = {
	    31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return m->year >= 1970 && m->month >= 1 && m->month <= 12 &&
	    m->day >= 1 && m->day <= days[m->month - 1] && m->hour < 24 &&
	    m->minute < 60 && m->second <= 60;
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static void
take_imf(struct reader *r, struct moment *m)
{
	take(r, SPAN(", "));
	m->day = take_number(r, 2, false);
	take(r, SPAN(" "));
	m->month = take_month(r);
	take(r, SPAN(" "));
	m->year = take_number(r, 4, false);
	take(r, SPAN(" "));
	take_time(r, m);
	take(r, SPAN(" GMT"));
}

/* Sunday, 06-Nov-94 08:49:37 GMT */
static void
take_rfc850(struct reader *r, struct moment *m, uint64_t now_s)
{
	unsigned this_year = 1970 + (unsigned)(now_s / 31556952);

	take(r, SPAN(", "));
	m->day = take_number(r, 2, false);
	take(r, SPAN("-"));
	m->month = take_month(r);
	take(r, SPAN("-"));
	m->year = this_year - this_year % 100 + take_number(r, 2, false);
	/* RFC 9110 5.6.7: more than 50 years ahead is the past. */
	if (m->year > this_year + AHEAD_YEARS)
		m->year -= 100;
	take(r, SPAN(" "));
	take_time(r, m);
	take(r, SPAN(" GMT"));
}

/* Sun Nov  6 08:49:37 1994 */
static void
take_asctime(struct reader *r, struct moment *m)
{
	take(r, SPAN(" "));
	m->month = take_month(r);
	take(r, SPAN(" "));
	m->day = take_number(r, 2, true);
	take(r, SPAN(" "));
	take_time(r, m);
	take(r, SPAN(" "));
	m->year = take_number(r, 4, false);
}

bool
date_parse(struct span text, uint64_t now_s, uint64_t *seconds)
{
	static const char *const days[] = {"Monday", "Tuesday", "Wednesday",
	    "Thursday", "Friday", "Saturday", "Sunday", "Mon", "Tue", "Wed",
	    "Thu", "Fri", "Sat", "Sun"};
	struct reader r = {.rest = text};
	struct moment m = {0};
	unsigned day = take_word(&r, days, 14);

	if (day < 7)
		take_rfc850(&r, &m, now_s);
	else if (span_starts_with(r.rest, SPAN(",")))
		take_imf(&r, &m);
	else
		take_asctime(&r, &m);
	if (r.bad || r.rest.len > 0 || !in_range(&m))
		return false;
	*seconds = days_of(&m) * DAY_S + m.hour * 3600ULL + m.minute * 60ULL +
	    m.second;
	return true;
}

uint64_t
date_retry_after_ms(struct span value, uint64_t now_ms)
{
	uint64_t seconds, at;
	bool digits = value.len > 0;

	value = span_trim(value);
	for (size_t i = 0; i < value.len; i++)
		digits &= value.ptr[i] >= '0' && value.ptr[i] <= '9';
	if (digits) {
		/* As many digits as they like: it is long. */
		if (!num_parse_u64(
			value, DATE_RETRY_AFTER_MAX_MS / 1000, &seconds))
			return DATE_RETRY_AFTER_MAX_MS;
		return seconds * 1000;
	}
	if (!date_parse(value, now_ms / 1000, &at) || at * 1000 <= now_ms)
		return 0;
	return num_min_u64(at * 1000 - now_ms, DATE_RETRY_AFTER_MAX_MS);
}
