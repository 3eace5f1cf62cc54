#include "evenkeel/config/value.h"

#include "evenkeel/base/num.h"
#include "evenkeel/config/address.h"
#include "evenkeel/config/build.h"
#include "evenkeel/config/nearest.h"

struct unit {
	const char *name;
	uint64_t factor; /* 0 ends a list */
};

/* Where https is when no port is said. */
#define HTTPS_PORT 443

/* From small to large. */
static const struct unit durations[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"", 0}};
static const struct unit sizes[] = {{"", 1}, {"k", 1 << 10}, {"M", 1 << 20},
    {"G", 1 << 30}, {"T", (uint64_t)1 << 40}, {"", 0}};

bool
value_next_word(struct span *rest, struct span *word)
{
	size_t bar;

	if (rest->ptr == NULL)
		return false;
	bar = span_find(*rest, '|');
	*word = span_make(rest->ptr, bar);
	*rest = bar == rest->len
	    ? SPAN_NONE
	    : span_make(rest->ptr + bar + 1, rest->len - bar - 1);
	return true;
}

bool
value_is_name(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = span_lower_byte(text.ptr[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    c != '_' && c != '.' && c != '-')
			return false;
	}
	return text.len > 0;
}

static bool
bad(struct textbuf *why, const char *reason)
{
	textbuf_str(why, reason);
	return false;
}

/* Digits, then the name of a unit; a number beyond 64 bits is UINT64_MAX and
 * so out of every range. */
static bool
parse_units(struct span text, const struct unit *units, uint64_t *value,
    struct textbuf *why)
{
	struct span unit;
	size_t n = 0;

	while (n < text.len && text.ptr[n] >= '0' && text.ptr[n] <= '9')
		n++;
	if (n == 0)
		return bad(why, "not a number");
	if (!num_parse_u64(span_make(text.ptr, n), UINT64_MAX, value))
		*value = UINT64_MAX;
	unit = span_make(text.ptr + n, text.len - n);
	for (size_t i = 0; units[i].factor > 0; i++)
		if (span_equal(unit, span_of(units[i].name))) {
			*value = num_mul_capped(*value, units[i].factor);
			return true;
		}
	if (units == sizes)
		return bad(
		    why, "not a number with one of the units k, M, G, T");
	if (unit.len > 0)
		return bad(
		    why, "not a number with one of the units ms, s, m, h");
	/* "2" is seconds to one reader and milliseconds to the next. */
	return *value == 0 || bad(why, "a unit is required: ms, s, m or h");
}

/* A number beyond 64 bits is out of every range, too. */
static bool
parse_digits(struct span text, uint64_t *value)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
	if (!num_parse_u64(text, UINT64_MAX, value))
		*value = UINT64_MAX;
	return text.len > 0;
}

static bool
parse_percent(struct span text, uint64_t *value, struct textbuf *why)
{
	bool sign = text.len > 0 && text.ptr[text.len - 1] == '%';

	if (!parse_digits(span_make(text.ptr, text.len - sign), value))
		return bad(why, "not a whole number with %");
	/* "20" is a share to one reader and a number to the next. */
	return sign || bad(why, "the % is required");
}

static bool
parse_number(const struct option *o, struct span text, uint64_t *value,
    struct textbuf *why)
{
	if (o->auto_word != NULL && span_equal(text, span_of(o->auto_word))) {
		*value = CFG_AUTO;
		return true;
	}
	if (o->type == OPTION_DURATION) {
		if (!parse_units(text, durations, value, why))
			return false;
		if (*value == 0 && o->min > 0)
			return bad(why,
			    "0 is no time to wait, and waiting "
			    "without end is not offered");
	} else if (o->type == OPTION_PERCENT) {
		if (!parse_percent(text, value, why))
			return false;
	} else if (o->type == OPTION_COUNT || o->type == OPTION_PORT) {
		if (!parse_digits(text, value))
			return bad(why, "not a whole number");
	} else if (!parse_units(text, sizes, value, why)) {
		return false;
	}
	if (*value < o->min)
		return bad(why, "too small");
	return *value <= o->max || bad(why, "too large");
}

static void
put_nearest(struct textbuf *why, const struct nearest *n)
{
	if (n->best.ptr == NULL)
		return;
	textbuf_lit(why, " (did you mean ");
	textbuf_put(why, n->best);
	textbuf_lit(why, "?)");
}

static bool
is_one_of(struct span text, const char *words)
{
	struct span rest = span_of(words), word;

	while (value_next_word(&rest, &word))
		if (span_equal(text, word))
			return true;
	return false;
}

static bool
is_switch(const struct option *o)
{
	return span_equal(span_of(o->words), SPAN("off|on")) ||
	    span_equal(span_of(o->words), SPAN("no|yes"));
}

static bool
parse_enum(
    const struct option *o, struct span text, int *value, struct textbuf *why)
{
	struct span rest = span_of(o->words), word;
	struct nearest near;

	for (int i = 0; value_next_word(&rest, &word); i++)
		if (span_equal(text, word)) {
			*value = i;
			return true;
		}
	/* A switch may be written in other words, too. */
	if (is_switch(o) && is_one_of(text, "on|yes|true|off|no|false")) {
		*value = is_one_of(text, "on|yes|true");
		return true;
	}
	nearest_init(&near, text);
	nearest_offer_words(&near, o->words);
	textbuf_lit(why, "unknown word");
	put_nearest(why, &near);
	return false;
}

bool
value_is_word(const struct option *o, struct span text)
{
	return o->words != NULL && is_one_of(text, o->words);
}

/* https, or https:PORT. */
static bool
parse_redirect(struct span text, uint16_t *port, struct textbuf *why)
{
	size_t colon = span_find(text, ':');
	struct span scheme = span_make(text.ptr, colon);
	struct nearest near;
	uint64_t number = HTTPS_PORT;

	if (!span_equal(scheme, SPAN("https"))) {
		nearest_init(&near, scheme);
		nearest_offer_words(&near, "https");
		textbuf_lit(why, "unknown word");
		put_nearest(why, &near);
		return false;
	}
	text = span_make(text.ptr + colon, text.len - colon);
	if (span_starts_with(text, SPAN("://")))
		return bad(why, "clients go to the host they asked for");
	if (text.len > 0 &&
	    (!num_parse_u64(
		 span_make(text.ptr + 1, text.len - 1), UINT16_MAX, &number) ||
		number == 0))
		return bad(why, "the port is not a number from 1 to 65535");
	*port = (uint16_t)number;
	return true;
}

/* A path, or one of the words.  A path without a slash that looks like a word
 * would quietly make a file named "sdterr". */
bool
value_check_text(const struct option *o, struct span text, struct textbuf *why)
{
	struct nearest near;

	if (text.len > o->max)
		return bad(why, "too long");
	if (o->words == NULL || is_one_of(text, o->words) ||
	    span_find(text, '/') < text.len)
		return true;
	nearest_init(&near, text);
	nearest_offer_words(&near, o->words);
	if (near.best.ptr == NULL &&
	    !is_one_of(text, "stderr|stdout|syslog|off|on|none|no|yes"))
		return true;
	textbuf_lit(why,
	    "unknown word; a file of that name is written with a "
	    "slash, as in ./NAME");
	put_nearest(why, &near);
	return false;
}

/* client_ip, path, header:NAME or cookie:NAME. */
static bool
check_hash_on(struct span text, struct textbuf *why)
{
	size_t colon = span_find(text, ':');
	struct span kind = span_make(text.ptr, colon), name;

	if (span_equal(text, SPAN("client_ip")) ||
	    span_equal(text, SPAN("path")))
		return true;
	if (!span_equal(kind, SPAN("header")) &&
	    !span_equal(kind, SPAN("cookie")))
		return bad(why, "unknown word");
	if (colon == text.len)
		return bad(why, "the name behind the colon is missing");
	name = span_make(text.ptr + colon + 1, text.len - colon - 1);
	return value_is_name(name) ||
	    bad(why, "the name is not letters, digits, _ . -");
}

/* keep, backend, or a host with or without a port. */
static bool
check_host(struct span text, struct textbuf *why)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (!value_is_name(span_make(&c, 1)) && c != ':' && c != '[' &&
		    c != ']')
			return bad(why, "not a host name");
	}
	return text.len <= 255 || bad(why, "too long");
}

/* What may stand in a request line behind the method. */
static bool
check_target(const struct option *o, struct span text, struct textbuf *why)
{
	if (text.len == 0 || text.ptr[0] != '/')
		return bad(why, "a path begins with /");
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		/* RFC 9112 3.2: such bytes never stand in a target. */
		if (c <= 0x20 || c >= 0x7f || c == '#')
			return bad(why,
			    "white space, # or a byte that is not ASCII in a "
			    "path");
	}
	return text.len <= o->max || bad(why, "too long");
}

static bool
check_any_text(const struct option *o, struct span text, struct textbuf *why)
{
	if (o->type == OPTION_HASH_ON)
		return check_hash_on(text, why);
	if (o->type == OPTION_HOST)
		return check_host(text, why);
	if (o->type == OPTION_TARGET)
		return check_target(o, text, why);
	if (o->type == OPTION_SERVER_NAME)
		return address_is_server_name(text) ||
		    bad(why, "not a host name and not an IP address");
	return value_check_text(o, text, why);
}

bool
value_is_plain(const struct option *o)
{
	return o->type <= OPTION_TEXT;
}

bool
value_is_text(const struct option *o)
{
	return o->type >= OPTION_HASH_ON && o->type <= OPTION_TEXT;
}

static void *
field_of(const struct option *o, void *object)
{
	return (char *)object + o->offset;
}

static enum value_outcome
parse_text(const struct option *o, struct arena *a, struct span text,
    void *object, struct textbuf *why)
{
	const char *copy;

	if (!check_any_text(o, text, why))
		return VALUE_BAD;
	copy = arena_text(a, text);
	if (copy == NULL)
		return VALUE_NO_MEMORY;
	memcpy(field_of(o, object), &copy, sizeof(copy));
	return VALUE_OK;
}

enum value_outcome
value_parse(const struct option *o, struct arena *a, struct span text,
    void *object, struct textbuf *why)
{
	uint64_t number;
	uint32_t number32;
	uint16_t number16;
	int word;

	if (value_is_text(o))
		return parse_text(o, a, text, object, why);
	if (o->type == OPTION_ENUM) {
		if (!parse_enum(o, text, &word, why))
			return VALUE_BAD;
		memcpy(field_of(o, object), &word, sizeof(word));
		return VALUE_OK;
	}
	if (o->type == OPTION_REDIRECT) {
		if (!parse_redirect(text, &number16, why))
			return VALUE_BAD;
		memcpy(field_of(o, object), &number16, sizeof(number16));
		return VALUE_OK;
	}
	if (!parse_number(o, text, &number, why))
		return VALUE_BAD;
	if (o->type == OPTION_SIZE64) {
		memcpy(field_of(o, object), &number, sizeof(number));
		return VALUE_OK;
	}
	if (o->type == OPTION_PORT) {
		CHECK(number <= UINT16_MAX);
		number16 = (uint16_t)number;
		memcpy(field_of(o, object), &number16, sizeof(number16));
		return VALUE_OK;
	}
	CHECK(number <= UINT32_MAX);
	number32 = (uint32_t)number;
	memcpy(field_of(o, object), &number32, sizeof(number32));
	return VALUE_OK;
}

static void
put_units(struct textbuf *out, const struct unit *units, uint64_t value)
{
	const struct unit *best = &units[0];

	for (size_t i = 0; units[i].factor > 0; i++)
		if (value % units[i].factor == 0)
			best = &units[i];
	textbuf_u64(out, value / best->factor);
	if (value > 0)
		textbuf_str(out, best->name);
}

void
value_put_duration(struct textbuf *out, uint64_t ms)
{
	put_units(out, durations, ms);
}

void
value_put_size(struct textbuf *out, uint64_t bytes)
{
	put_units(out, sizes, bytes);
}

static void
put_word(struct textbuf *out, const char *words, int index)
{
	struct span rest = span_of(words), word;

	for (int i = 0; value_next_word(&rest, &word); i++)
		if (i == index)
			textbuf_put(out, word);
}

static uint64_t
number_of(const struct option *o, const void *field)
{
	uint64_t number;
	uint32_t number32;
	uint16_t number16;

	if (o->type == OPTION_SIZE64) {
		memcpy(&number, field, sizeof(number));
		return number;
	}
	if (o->type == OPTION_PORT || o->type == OPTION_REDIRECT) {
		memcpy(&number16, field, sizeof(number16));
		return number16;
	}
	memcpy(&number32, field, sizeof(number32));
	return number32;
}

static void
put_redirect(struct textbuf *out, uint64_t port)
{
	textbuf_lit(out, "https");
	if (port == HTTPS_PORT)
		return;
	textbuf_byte(out, ':');
	textbuf_u64(out, port);
}

static void
put_number(struct textbuf *out, const struct option *o, uint64_t number)
{
	/* Without a default, 0 is no value. */
	if (number == 0 && o->preset == NULL)
		return;
	if (o->type == OPTION_REDIRECT)
		put_redirect(out, number);
	else if (o->type == OPTION_DURATION)
		value_put_duration(out, number);
	else if (o->type == OPTION_SIZE || o->type == OPTION_SIZE64)
		value_put_size(out, number);
	else if (o->auto_word != NULL && number == CFG_AUTO)
		textbuf_str(out, o->auto_word);
	else
		textbuf_u64(out, number);
	if (o->type == OPTION_PERCENT)
		textbuf_byte(out, '%');
}

void
value_put(struct textbuf *out, const struct option *o, const void *object)
{
	const void *field = (const char *)object + o->offset;
	const char *text;
	int word;

	if (value_is_text(o)) {
		memcpy(&text, field, sizeof(text));
		textbuf_str(out, text);
	} else if (o->type == OPTION_ENUM) {
		memcpy(&word, field, sizeof(word));
		put_word(out, o->words, word);
	} else {
		put_number(out, o, number_of(o, field));
	}
}
