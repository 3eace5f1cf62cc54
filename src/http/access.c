#include "evenkeel/http/access.h"

#include "evenkeel/base/check.h"
#include "evenkeel/base/num.h"

/*
 * Room of each field in a line, in bytes after escaping.  The target has room
 * for the longest request line we accept; the others for any honest value.
 * The sums are checked below, so that ACCESS_LINE_BYTES always suffices.
 */
#define TARGET_ROOM    8192
#define HOST_ROOM      512
#define WHY_ROOM       512
#define ID_ROOM        256
#define NAME_ROOM      256 /* of a pool, a backend, a listener; an address */
#define METHOD_ROOM    64
#define PROTOCOL_ROOM  32
#define FREE_TEXT_ROOM 3072 /* Referer, User-Agent */

/* What stands around the fields: keys, quotes, numbers of any size, time. */
#define JSON_FIXED     512
#define ATTEMPT_FIXED  180
#define COMBINED_FIXED 128

_Static_assert(JSON_FIXED + TARGET_ROOM + HOST_ROOM + WHY_ROOM + ID_ROOM +
	    4 * NAME_ROOM + METHOD_ROOM + PROTOCOL_ROOM +
	    ACCESS_ATTEMPTS_MAX * (NAME_ROOM + ATTEMPT_FIXED) <=
	ACCESS_LINE_BYTES,
    "the longest json record fits a line");
_Static_assert(COMBINED_FIXED + NAME_ROOM + METHOD_ROOM + TARGET_ROOM +
	    PROTOCOL_ROOM + 2 * FREE_TEXT_ROOM <=
	ACCESS_LINE_BYTES,
    "the longest combined record fits a line");

#define CUT_MARK       "..."
#define CUT_MARK_BYTES 3

/* Widest escapes: \u00NN in json, \xNN in combined. */
#define JSON_ESCAPE_BYTES     6
#define COMBINED_ESCAPE_BYTES 4

/* 9999-12-31T23:59:59.999Z: RFC 3339 has four digits for the year. */
#define TIME_MAX_MS  253402300799999ULL
#define MS_PER_DAY   86400000ULL
#define DAYS_PER_ERA 146097U /* 400 years of the Gregorian calendar */
#define DAYS_TO_1970 719468U /* from 0000-03-01 */

struct civil {
	unsigned year, month, day; /* month 1..12, day 1..31 */
	unsigned hour, minute, second, ms;
};

static const char *const outcome_texts[ACCESS_OUTCOMES] = {
    [ACCESS_OK] = "ok",
    [ACCESS_STATUS] = "status",
    [ACCESS_CONNECT_REFUSED] = "connect_refused",
    [ACCESS_CONNECT_TIMEOUT] = "connect_timeout",
    [ACCESS_CONNECT_FAILED] = "connect_failed",
    [ACCESS_TLS_FAILED] = "tls_failed",
    [ACCESS_STALE] = "stale",
    [ACCESS_RESET] = "reset",
    [ACCESS_BAD_RESPONSE] = "bad_response",
    [ACCESS_TIMEOUT] = "timeout",
    [ACCESS_CANCELLED] = "cancelled",
};

static const char *const end_texts[ACCESS_ENDS] = {
    [ACCESS_END_OK] = "ok",
    [ACCESS_END_CLIENT_BAD] = "client_bad",
    [ACCESS_END_CLIENT_SLOW] = "client_slow",
    [ACCESS_END_CLIENT_GONE] = "client_gone",
    [ACCESS_END_NO_ROUTE] = "no_route",
    [ACCESS_END_NO_BACKEND] = "no_backend",
    [ACCESS_END_BACKEND_FAILED] = "backend_failed",
    [ACCESS_END_BACKEND_SLOW] = "backend_slow",
    [ACCESS_END_BACKEND_BROKE_OFF] = "backend_broke_off",
    [ACCESS_END_SHUTDOWN] = "shutdown",
    [ACCESS_END_INTERNAL] = "internal",
};

const char *
access_outcome_text(enum access_outcome o)
{
	CHECK((unsigned)o < ACCESS_OUTCOMES);
	return outcome_texts[o];
}

const char *
access_end_text(enum access_end e)
{
	CHECK((unsigned)e < ACCESS_ENDS);
	return end_texts[e];
}

/*
 * Date and time of day, by counting days in eras of 400 years that begin on
 * 1 March, so that the leap day is the last of its year.  Source: Howard
 * Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
 */
static struct civil
civil_from_ms(uint64_t unix_ms)
{
	uint64_t ms = num_min_u64(unix_ms, TIME_MAX_MS);
	unsigned days = (unsigned)(ms / MS_PER_DAY) + DAYS_TO_1970;
	unsigned left = (unsigned)(ms % MS_PER_DAY);
	unsigned era = days / DAYS_PER_ERA;
	unsigned doe = days % DAYS_PER_ERA;
	unsigned yoe =
	    (doe - doe / 1460 + doe / 36524 - doe / (DAYS_PER_ERA - 1)) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned mp = (5 * doy + 2) / 153; /* 0 is March */
	unsigned month = mp < 10 ? mp + 3 : mp - 9;

	return (struct civil){
	    .year = era * 400 + yoe + (month <= 2 ? 1 : 0),
	    .month = month,
	    .day = doy - (153 * mp + 2) / 5 + 1,
	    .hour = left / 3600000,
	    .minute = left / 60000 % 60,
	    .second = left / 1000 % 60,
	    .ms = left % 1000,
	};
}

/* `value` < 100 in two digits at `at`. */
static void
two_digits(char *at, unsigned value)
{
	at[0] = (char)('0' + value / 10);
	at[1] = (char)('0' + value % 10);
}

void
access_put_time(struct textbuf *out, uint64_t unix_ms)
{
	char text[] = "0000-00-00T00:00:00.000Z";
	struct civil c = civil_from_ms(unix_ms);

	two_digits(text, c.year / 100);
	two_digits(text + 2, c.year % 100);
	two_digits(text + 5, c.month);
	two_digits(text + 8, c.day);
	two_digits(text + 11, c.hour);
	two_digits(text + 14, c.minute);
	two_digits(text + 17, c.second);
	text[20] = (char)('0' + c.ms / 100);
	two_digits(text + 21, c.ms % 100);
	textbuf_put(out, span_make(text, sizeof(text) - 1));
}

/* How many bytes textbuf_json makes of one. */
static size_t
json_width(char c)
{
	if (c == '"' || c == '\\')
		return 2;
	return (unsigned char)c < 0x20 || (unsigned char)c > 0x7e
	    ? JSON_ESCAPE_BYTES
	    : 1;
}

/*
 * A string with its quotes, of at most `room` bytes between them.  Cut where
 * the escaped text and the mark fill the room, never inside an escape.
 */
static void
json_string(struct textbuf *out, struct span s, size_t room)
{
	size_t width = 0, keep = 0, i = 0;

	textbuf_lit(out, "\"");
	if (s.len <= room / JSON_ESCAPE_BYTES) {
		textbuf_json(out, s);
		textbuf_lit(out, "\"");
		return;
	}
	for (; i < s.len && width <= room; i++) {
		width += json_width(s.ptr[i]);
		if (width <= room - CUT_MARK_BYTES)
			keep = i + 1;
	}
	if (width <= room) {
		textbuf_json(out, s);
	} else {
		textbuf_json(out, span_make(s.ptr, keep));
		textbuf_lit(out, CUT_MARK);
	}
	textbuf_lit(out, "\"");
}

/* `key` is a literal with its punctuation: ,"name": */
#define JSON_STRING(out, key, value, room)         \
	do {                                       \
		textbuf_lit((out), key);           \
		json_string((out), (value), room); \
	} while (0)
#define JSON_NUMBER(out, key, value)         \
	do {                                 \
		textbuf_lit((out), key);     \
		textbuf_u64((out), (value)); \
	} while (0)

static void
json_attempt(struct textbuf *out, const struct access_attempt *a)
{
	JSON_STRING(out, "{\"backend\":", a->backend, NAME_ROOM);
	textbuf_lit(out, ",\"outcome\":\"");
	textbuf_str(out, access_outcome_text(a->outcome));
	JSON_NUMBER(out, "\",\"status\":", a->status);
	textbuf_lit(out, ",\"reused\":");
	textbuf_str(out, a->reused ? "true" : "false");
	JSON_NUMBER(out, ",\"wait_ms\":", a->wait_ms);
	JSON_NUMBER(out, ",\"connect_ms\":", a->connect_ms);
	JSON_NUMBER(out, ",\"head_ms\":", a->head_ms);
	textbuf_lit(out, "}");
}

static void
json_request(struct textbuf *out, const struct access_record *r)
{
	textbuf_lit(out, "{\"time\":\"");
	access_put_time(out, r->time_ms);
	JSON_STRING(out, "\",\"id\":", r->id, ID_ROOM);
	JSON_STRING(out, ",\"listener\":", r->listener, NAME_ROOM);
	JSON_STRING(out, ",\"client\":", r->client, NAME_ROOM);
	JSON_STRING(out, ",\"method\":", r->method, METHOD_ROOM);
	JSON_STRING(out, ",\"target\":", r->target, TARGET_ROOM);
	JSON_STRING(out, ",\"protocol\":", r->protocol, PROTOCOL_ROOM);
	JSON_STRING(out, ",\"host\":", r->host, HOST_ROOM);
}

static void
json_result(struct textbuf *out, const struct access_record *r)
{
	JSON_NUMBER(out, ",\"status\":", r->status);
	JSON_NUMBER(out, ",\"bytes_in\":", r->bytes_in);
	JSON_NUMBER(out, ",\"bytes_out\":", r->bytes_out);
	JSON_NUMBER(out, ",\"duration_ms\":", r->duration_ms);
	JSON_STRING(out, ",\"pool\":", r->pool, NAME_ROOM);
	JSON_STRING(out, ",\"backend\":", r->backend, NAME_ROOM);
	JSON_NUMBER(out, ",\"retries\":", r->retries);
	textbuf_lit(out, ",\"end\":\"");
	textbuf_str(out, access_end_text(r->end));
	JSON_STRING(out, "\",\"why\":", r->why, WHY_ROOM);
}

void
access_put_json(struct textbuf *out, const struct access_record *r)
{
	CHECK(r->n_attempts <= ACCESS_ATTEMPTS_MAX);
	json_request(out, r);
	json_result(out, r);
	textbuf_lit(out, ",\"attempts\":[");
	for (size_t i = 0; i < r->n_attempts; i++) {
		if (i > 0)
			textbuf_lit(out, ",");
		json_attempt(out, &r->attempts[i]);
	}
	textbuf_lit(out, "]}\n");
}

/* Bytes that would end a quoted string or a line, or start an escape; and
 * `also`, for fields that a space would split. */
static bool
combined_plain(char c, char also)
{
	return (unsigned char)c >= 0x20 && (unsigned char)c <= 0x7e &&
	    c != '"' && c != '\\' && c != also;
}

static void
combined_escape(struct textbuf *out, char c)
{
	static const char digits[] = "0123456789abcdef";
	char text[COMBINED_ESCAPE_BYTES] = {'\\', 'x'};

	text[2] = digits[((unsigned char)c >> 4) & 15];
	text[3] = digits[(unsigned char)c & 15];
	textbuf_put(out, span_make(text, sizeof(text)));
}

static void
combined_bytes(struct textbuf *out, struct span s, char also)
{
	size_t from = 0;

	for (size_t i = 0; i < s.len; i++) {
		if (combined_plain(s.ptr[i], also))
			continue;
		textbuf_put(out, span_make(s.ptr + from, i - from));
		combined_escape(out, s.ptr[i]);
		from = i + 1;
	}
	if (from < s.len)
		textbuf_put(out, span_make(s.ptr + from, s.len - from));
}

/* A field of at most `room` bytes; "-" when there is none. */
static void
combined_field(struct textbuf *out, struct span s, size_t room, char also)
{
	size_t width = 0, keep = 0;

	if (s.len == 0)
		textbuf_lit(out, "-");
	for (size_t i = 0; i < s.len && width <= room; i++) {
		width +=
		    combined_plain(s.ptr[i], also) ? 1 : COMBINED_ESCAPE_BYTES;
		if (width <= room - CUT_MARK_BYTES)
			keep = i + 1;
	}
	if (width <= room) {
		combined_bytes(out, s, also);
	} else {
		combined_bytes(out, span_make(s.ptr, keep), also);
		textbuf_lit(out, CUT_MARK);
	}
}

/* 22/Nov/2026:15:30:37 +0000 */
static void
combined_time(struct textbuf *out, uint64_t unix_ms)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char text[] = "00/Jan/0000:00:00:00 +0000";
	struct civil c = civil_from_ms(unix_ms);
	size_t month = (c.month - 1) * 3;

	two_digits(text, c.day);
	memcpy(text + 3, months + month, 3);
	two_digits(text + 7, c.year / 100);
	two_digits(text + 9, c.year % 100);
	two_digits(text + 12, c.hour);
	two_digits(text + 15, c.minute);
	two_digits(text + 18, c.second);
	textbuf_put(out, span_make(text, sizeof(text) - 1));
}

/* The request line; a request that had none readable is "-", as in Apache. */
static void
combined_request(struct textbuf *out, const struct access_record *r)
{
	combined_field(out, r->method, METHOD_ROOM, ' ');
	if (r->method.len == 0)
		return;
	textbuf_lit(out, " ");
	combined_field(out, r->target, TARGET_ROOM, ' ');
	textbuf_lit(out, " ");
	combined_field(out, r->protocol, PROTOCOL_ROOM, ' ');
}

void
access_put_combined(struct textbuf *out, const struct access_record *r)
{
	combined_field(out, r->client, NAME_ROOM, ' ');
	textbuf_lit(out, " - - [");
	combined_time(out, r->time_ms);
	textbuf_lit(out, "] \"");
	combined_request(out, r);
	textbuf_lit(out, "\" ");
	textbuf_u64(out, r->status);
	textbuf_lit(out, " ");
	/* %b of Apache: no body at all is "-", not 0. */
	if (r->body_out == 0)
		textbuf_lit(out, "-");
	else
		textbuf_u64(out, r->body_out);
	textbuf_lit(out, " \"");
	combined_field(out, r->referer, FREE_TEXT_ROOM, '"');
	textbuf_lit(out, "\" \"");
	combined_field(out, r->user_agent, FREE_TEXT_ROOM, '"');
	textbuf_lit(out, "\"\n");
}
