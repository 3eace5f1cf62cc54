/* layer: http */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "evenkeel/base/num.h"
#include "evenkeel/base/rng.h"
#include "evenkeel/http/access.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char line_bytes[ACCESS_LINE_BYTES];

static struct textbuf
fresh(void)
{
	memset(line_bytes, 0x55, sizeof(line_bytes));
	return textbuf_make(line_bytes, sizeof(line_bytes));
}

static void
assert_text(const struct textbuf *t, const char *want)
{
	assert_false(t->full);
	if (!span_equal(textbuf_span(t), span_of(want)))
		fail_msg("got  %.*s\nwant %s", (int)t->len, t->ptr, want);
}

/* ---- a small strict checker of RFC 8259 ---- */

#define JSON_DEPTH 8

struct json {
	const char *at, *end;
};

static bool json_value(struct json *j, unsigned depth);

static bool
json_take(struct json *j, char c)
{
	if (j->at == j->end || *j->at != c)
		return false;
	j->at++;
	return true;
}

static bool
json_word(struct json *j, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(j->end - j->at) < n || memcmp(j->at, word, n) != 0)
		return false;
	j->at += n;
	return true;
}

static bool
json_escape(struct json *j)
{
	if (j->at == j->end)
		return false;
	if (*j->at != 'u')
		return memchr("\"\\/bfnrt", *j->at++, 8) != NULL;
	j->at++;
	for (int i = 0; i < 4; i++)
		if (j->at == j->end || num_hex_digit(*j->at++) < 0)
			return false;
	return true;
}

/* Stricter than the RFC: printable ASCII only. */
static bool
json_text(struct json *j)
{
	if (!json_take(j, '"'))
		return false;
	while (j->at < j->end && *j->at != '"') {
		char c = *j->at++;

		if (c < 0x20 || c > 0x7e || (c == '\\' && !json_escape(j)))
			return false;
	}
	return json_take(j, '"');
}

static bool
json_number(struct json *j)
{
	const char *from = j->at;

	while (j->at < j->end && *j->at >= '0' && *j->at <= '9')
		j->at++;
	return j->at > from && (j->at == from + 1 || *from != '0');
}

static bool
json_list(struct json *j, unsigned depth)
{
	if (json_take(j, ']'))
		return true;
	do {
		if (!json_value(j, depth))
			return false;
	} while (json_take(j, ','));
	return json_take(j, ']');
}

static bool
json_object(struct json *j, unsigned depth)
{
	if (json_take(j, '}'))
		return true;
	do {
		if (!json_text(j) || !json_take(j, ':') ||
		    !json_value(j, depth))
			return false;
	} while (json_take(j, ','));
	return json_take(j, '}');
}

static bool
json_value(struct json *j, unsigned depth)
{
	if (depth == JSON_DEPTH || j->at == j->end)
		return false;
	if (json_take(j, '{'))
		return json_object(j, depth + 1);
	if (json_take(j, '['))
		return json_list(j, depth + 1);
	if (*j->at == '"')
		return json_text(j);
	return json_word(j, "true") || json_word(j, "false") || json_number(j);
}

static bool
json_line(struct span s)
{
	struct json j = {s.ptr, s.ptr + s.len};

	return json_take(&j, '{') && json_object(&j, 1) &&
	    json_take(&j, '\n') && j.at == j.end;
}

static void
checker_is_strict(void **state)
{
	static const char *const good[] = {"{}\n", "{\"a\":[]}\n",
	    "{\"a\":[1,20,{\"b\":\"\\u00ff\\\"\"}],\"c\":false}\n"};
	static const char *const bad[] = {"", "{}", "{}\n\n", "{\"a\":01}\n",
	    "{\"a\":1,}\n", "{\"a\":[1,]}\n", "{\"a\":\"\x01\"}\n",
	    "{\"a\":\"\xff\"}\n", "{\"a\":\"\\x41\"}\n",
	    "{\"a\":\"\\u12g4\"}\n", "{\"a\":\"}\n", "{\"a\":}\n", "{a:1}\n",
	    "{\"a\":[1}\n", "{\"a\":\"\\\"}\n"};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(json_line(span_of(good[i])));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(json_line(span_of(bad[i])));
}

/* ---- time ---- */

static void
time_table(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} rows[] = {
	    {0, "1970-01-01T00:00:00.000Z"},
	    {1, "1970-01-01T00:00:00.001Z"},
	    {946684799000, "1999-12-31T23:59:59.000Z"},
	    {951782400000, "2000-02-29T00:00:00.000Z"},
	    {1735689599999, "2024-12-31T23:59:59.999Z"},
	    {1795361437123, "2026-11-22T15:30:37.123Z"},
	    {4107542399999, "2100-02-28T23:59:59.999Z"},
	    {4107542400000, "2100-03-01T00:00:00.000Z"},
	    {253402300799999, "9999-12-31T23:59:59.999Z"},
	    {253402300800000, "9999-12-31T23:59:59.999Z"},
	    {UINT64_MAX, "9999-12-31T23:59:59.999Z"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct textbuf t = fresh();

		access_put_time(&t, rows[i].ms);
		assert_text(&t, rows[i].text);
	}
}

static unsigned
days_of_month(unsigned year, unsigned month)
{
	static const unsigned char days[] = {
	    31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap ? 1U : 0U);
}

/* Every day of more than 400 years, counted the simple way. */
static void
time_of_every_day(void **state)
{
	uint64_t ms = 0;

	(void)state;
	for (unsigned year = 1970; year < 2410; year++)
		for (unsigned month = 1; month <= 12; month++)
			for (unsigned day = 1;
			     day <= days_of_month(year, month); day++) {
				struct textbuf t = fresh();
				char want[64];

				(void)snprintf(want, sizeof(want),
				    "%04u-%02u-%02uT00:00:00.000Z", year, month,
				    day);
				access_put_time(&t, ms);
				assert_text(&t, want);
				ms += 86400000;
			}
}

/* ---- words ---- */

static void
words(void **state)
{
	static const char *const outcomes[] = {"ok", "status",
	    "connect_refused", "connect_timeout", "connect_failed",
	    "tls_failed", "stale", "reset", "bad_response", "timeout",
	    "cancelled"};
	static const char *const ends[] = {"ok", "client_bad", "client_slow",
	    "client_gone", "no_route", "no_backend", "backend_failed",
	    "backend_slow", "backend_broke_off", "shutdown", "internal"};

	(void)state;
	assert_int_equal(COUNT(outcomes), ACCESS_OUTCOMES);
	assert_int_equal(COUNT(ends), ACCESS_ENDS);
	for (size_t i = 0; i < COUNT(outcomes); i++)
		assert_string_equal(
		    access_outcome_text((enum access_outcome)i), outcomes[i]);
	for (size_t i = 0; i < COUNT(ends); i++)
		assert_string_equal(
		    access_end_text((enum access_end)i), ends[i]);
}

/* ---- json ---- */

static const struct access_attempt two_attempts[] = {
    {SPAN("web1"), ACCESS_CONNECT_REFUSED, 0, false, 0, 3, 0},
    {SPAN("web2"), ACCESS_OK, 200, true, 17, 0, 42},
};

static struct access_record
sample(void)
{
	return (struct access_record){
	    .time_ms = 1795361437123,
	    .id = SPAN("4bf92f3577b34da6"),
	    .listener = SPAN("main"),
	    .client = SPAN("192.0.2.7"),
	    .method = SPAN("GET"),
	    .target = SPAN("/x?y=1"),
	    .protocol = SPAN("HTTP/1.1"),
	    .host = SPAN("example.com"),
	    .referer = SPAN("http://example.com/"),
	    .user_agent = SPAN("curl/8.0"),
	    .status = 200,
	    .bytes_in = 120,
	    .bytes_out = 1402,
	    .body_out = 1234,
	    .duration_ms = 63,
	    .pool = SPAN("web"),
	    .backend = SPAN("web2"),
	    .retries = 1,
	    .end = ACCESS_END_OK,
	    .why = SPAN("answered by web2 after 1 retry"),
	    .attempts = two_attempts,
	    .n_attempts = COUNT(two_attempts),
	};
}

static void
json_golden(void **state)
{
	struct access_record r = sample();
	struct textbuf t = fresh();

	(void)state;
	access_put_json(&t, &r);
	assert_text(&t,
	    "{\"time\":\"2026-11-22T15:30:37.123Z\","
	    "\"id\":\"4bf92f3577b34da6\",\"listener\":\"main\","
	    "\"client\":\"192.0.2.7\",\"method\":\"GET\","
	    "\"target\":\"/x?y=1\",\"protocol\":\"HTTP/1.1\","
	    "\"host\":\"example.com\",\"status\":200,\"bytes_in\":120,"
	    "\"bytes_out\":1402,\"duration_ms\":63,\"pool\":\"web\","
	    "\"backend\":\"web2\",\"retries\":1,\"end\":\"ok\","
	    "\"why\":\"answered by web2 after 1 retry\",\"attempts\":["
	    "{\"backend\":\"web1\",\"outcome\":\"connect_refused\","
	    "\"status\":0,\"reused\":false,\"wait_ms\":0,\"connect_ms\":3,"
	    "\"head_ms\":0},{\"backend\":\"web2\",\"outcome\":\"ok\","
	    "\"status\":200,\"reused\":true,\"wait_ms\":17,"
	    "\"connect_ms\":0,\"head_ms\":42}]}\n");
	assert_true(json_line(textbuf_span(&t)));
}

/* Every field is there although nothing is known. */
static void
json_empty(void **state)
{
	struct access_record r = {.end = ACCESS_END_CLIENT_BAD};
	struct textbuf t = fresh();

	(void)state;
	access_put_json(&t, &r);
	assert_text(&t,
	    "{\"time\":\"1970-01-01T00:00:00.000Z\",\"id\":\"\","
	    "\"listener\":\"\",\"client\":\"\",\"method\":\"\","
	    "\"target\":\"\",\"protocol\":\"\",\"host\":\"\",\"status\":0,"
	    "\"bytes_in\":0,\"bytes_out\":0,\"duration_ms\":0,\"pool\":\"\","
	    "\"backend\":\"\",\"retries\":0,\"end\":\"client_bad\","
	    "\"why\":\"\",\"attempts\":[]}\n");
}

static void
json_escapes(void **state)
{
	struct access_record r = {0};
	struct textbuf t = fresh();

	(void)state;
	r.host = SPAN("a\"b\\c\n\x7f\xc3\xa9~");
	access_put_json(&t, &r);
	assert_true(json_line(textbuf_span(&t)));
	line_bytes[t.len] = '\0';
	assert_non_null(strstr(line_bytes,
	    "\"host\":\"a\\\"b\\\\c\\u000a\\u007f\\u00c3\\u00a9~\""));
}

/* ---- lengths ---- */

#define LONG_BYTES 20000
static char long_bytes[LONG_BYTES];

static void
fill_long(struct access_record *r, struct access_attempt *attempts)
{
	struct span s = span_make(long_bytes, LONG_BYTES);

	for (size_t i = 0; i < ACCESS_ATTEMPTS_MAX; i++)
		attempts[i] = (struct access_attempt){s, ACCESS_CONNECT_REFUSED,
		    UINT32_MAX, false, UINT32_MAX, UINT32_MAX, UINT32_MAX};
	*r = (struct access_record){UINT64_MAX, s, s, s, s, s, s, s, s, s,
	    UINT32_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT32_MAX, s, s,
	    UINT32_MAX, ACCESS_END_BACKEND_BROKE_OFF, s, attempts,
	    ACCESS_ATTEMPTS_MAX};
}

static void
longest_fits(void **state)
{
	static const char fills[] = {'a', '"', '\\', '\x01', '\x7f', '\xff'};
	struct access_attempt attempts[ACCESS_ATTEMPTS_MAX];
	struct access_record r;

	(void)state;
	for (size_t i = 0; i < COUNT(fills); i++) {
		struct textbuf t = fresh();

		memset(long_bytes, fills[i], LONG_BYTES);
		fill_long(&r, attempts);
		access_put_json(&t, &r);
		assert_false(t.full);
		assert_true(json_line(textbuf_span(&t)));
		t = fresh();
		access_put_combined(&t, &r);
		assert_false(t.full);
		assert_int_equal(t.ptr[t.len - 1], '\n');
		assert_null(memchr(t.ptr, '\n', t.len - 1));
	}
}

/* The target has room for 8192 bytes: one more and it is cut. */
static void
cut_is_exact(void **state)
{
	struct access_record r = {0};

	(void)state;
	memset(long_bytes, 'a', LONG_BYTES);
	for (size_t len = 8185; len < 8200; len++) {
		struct textbuf t = fresh();
		size_t as = num_min_size(len, 8192);

		if (len > 8192)
			as = 8189;
		r.method = SPAN("GET");
		r.target = span_make(long_bytes, len);
		access_put_json(&t, &r);
		line_bytes[t.len] = '\0';
		assert_int_equal(
		    strspn(strstr(line_bytes, "target\":\"") + 9, "a"), as);
		assert_int_equal(
		    len > 8192, strstr(line_bytes, "aaa...\"") != NULL);
		t = fresh();
		access_put_combined(&t, &r);
		line_bytes[t.len] = '\0';
		assert_int_equal(
		    strspn(strstr(line_bytes, "GET ") + 4, "a"), as);
		assert_int_equal(
		    len > 8192, strstr(line_bytes, "aaa... ") != NULL);
	}
}

/* ---- combined ---- */

static void
combined_golden(void **state)
{
	struct access_record r = sample();
	struct textbuf t = fresh();

	(void)state;
	access_put_combined(&t, &r);
	assert_text(&t,
	    "192.0.2.7 - - [22/Nov/2026:15:30:37 +0000] "
	    "\"GET /x?y=1 HTTP/1.1\" 200 1234 \"http://example.com/\" "
	    "\"curl/8.0\"\n");
}

static void
combined_of_nothing(void **state)
{
	struct access_record r = {.status = 400};
	struct textbuf t = fresh();

	(void)state;
	access_put_combined(&t, &r);
	assert_text(
	    &t, "- - - [01/Jan/1970:00:00:00 +0000] \"-\" 400 - \"-\" \"-\"\n");
	r.method = SPAN("GET");
	t = fresh();
	access_put_combined(&t, &r);
	assert_text(&t,
	    "- - - [01/Jan/1970:00:00:00 +0000] \"GET - -\" 400 - \"-\" "
	    "\"-\"\n");
}

static void
combined_escapes(void **state)
{
	struct access_record r = sample();
	struct textbuf t = fresh();

	(void)state;
	r.target = SPAN("/a b\n\xff");
	r.user_agent = SPAN("x\" 200 1 \"y\\\r\n1.2.3.4 - -");
	access_put_combined(&t, &r);
	assert_text(&t,
	    "192.0.2.7 - - [22/Nov/2026:15:30:37 +0000] "
	    "\"GET /a\\x20b\\x0a\\xff HTTP/1.1\" 200 1234 "
	    "\"http://example.com/\" "
	    "\"x\\x22 200 1 \\x22y\\x5c\\x0d\\x0a1.2.3.4 - -\"\n");
}

/* ---- random records ---- */

#define RANDOM_RECORDS 20000

static struct span
random_span(struct rng *rng, uint64_t max)
{
	/* Mostly short, so that all fields get past their rooms now and then
	 * but the loop stays quick. */
	uint64_t len = rng_upto(rng, rng_upto(rng, 15) == 0 ? max : 24);

	return span_make(
	    long_bytes + rng_upto(rng, LONG_BYTES - max), (size_t)len);
}

static void
random_record(
    struct rng *rng, struct access_record *r, struct access_attempt *attempts)
{
	fill_long(r, attempts);
	for (size_t i = 0; i < ACCESS_ATTEMPTS_MAX; i++) {
		attempts[i].backend = random_span(rng, 400);
		attempts[i].outcome =
		    (enum access_outcome)rng_upto(rng, ACCESS_OUTCOMES - 1);
		attempts[i].status = (unsigned)rng_upto(rng, 999);
		attempts[i].reused = rng_upto(rng, 1) != 0;
	}
	r->n_attempts = (size_t)rng_upto(rng, ACCESS_ATTEMPTS_MAX);
	r->time_ms = rng_next(rng) >> rng_upto(rng, 63);
	r->bytes_in = rng_next(rng) >> rng_upto(rng, 63);
	r->body_out = rng_next(rng) >> rng_upto(rng, 63);
	r->end = (enum access_end)rng_upto(rng, ACCESS_ENDS - 1);
	r->id = random_span(rng, 400);
	r->listener = random_span(rng, 400);
	r->client = random_span(rng, 400);
	r->method = random_span(rng, 400);
	r->target = random_span(rng, 9000);
	r->protocol = random_span(rng, 400);
	r->host = random_span(rng, 1000);
	r->pool = random_span(rng, 400);
	r->backend = random_span(rng, 400);
	r->why = random_span(rng, 1000);
	r->referer = random_span(rng, 4000);
	r->user_agent = random_span(rng, 4000);
}

/* One line, four quotes around three strings, nothing but printable ASCII. */
static void
assert_combined(const struct textbuf *t)
{
	unsigned quotes = 0;

	assert_int_equal(t->ptr[t->len - 1], '\n');
	for (size_t i = 0; i + 1 < t->len; i++) {
		assert_in_range((unsigned char)t->ptr[i], 0x20, 0x7e);
		quotes += t->ptr[i] == '"';
	}
	assert_int_equal(quotes, 6);
}

static void
random_records(void **state)
{
	struct access_attempt attempts[ACCESS_ATTEMPTS_MAX];
	struct access_record r;
	struct rng rng;

	(void)state;
	rng_init(&rng, 20261122);
	for (size_t i = 0; i < LONG_BYTES; i++)
		long_bytes[i] = (char)rng_next(&rng);
	for (int i = 0; i < RANDOM_RECORDS; i++) {
		struct textbuf t = textbuf_make(line_bytes, ACCESS_LINE_BYTES);

		random_record(&rng, &r, attempts);
		access_put_json(&t, &r);
		assert_false(t.full);
		assert_true(json_line(textbuf_span(&t)));
		t.len = 0;
		access_put_combined(&t, &r);
		assert_false(t.full);
		assert_combined(&t);
	}
}

/* A buffer without room is marked, and nothing is written behind it. */
static void
short_buffer(void **state)
{
	struct access_record r = sample();

	(void)state;
	for (size_t cap = 0; cap < 400; cap++) {
		struct textbuf t = fresh();

		t.cap = cap;
		access_put_json(&t, &r);
		assert_true(t.full);
		assert_in_range(t.len, 0, cap);
		assert_int_equal(line_bytes[cap], 0x55);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(checker_is_strict),
	    cmocka_unit_test(time_table),
	    cmocka_unit_test(time_of_every_day),
	    cmocka_unit_test(words),
	    cmocka_unit_test(json_golden),
	    cmocka_unit_test(json_empty),
	    cmocka_unit_test(json_escapes),
	    cmocka_unit_test(longest_fits),
	    cmocka_unit_test(cut_is_exact),
	    cmocka_unit_test(combined_golden),
	    cmocka_unit_test(combined_of_nothing),
	    cmocka_unit_test(combined_escapes),
	    cmocka_unit_test(random_records),
	    cmocka_unit_test(short_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
