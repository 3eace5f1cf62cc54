/* layer: config */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "evenkeel/base/num.h"
#include "evenkeel/config/nearest.h"
#include "evenkeel/config/option.h"
#include "evenkeel/config/value.h"
#include "evenkeel/config/markdown.h"
#include "evenkeel/config/roff.h"

#define FILE_MAX 65536

/* One block, which is all that the texts here need. */
static void *
one_block(void *arg, size_t bytes)
{
	static _Alignas(max_align_t) char block[16384];

	(void)arg;
	memset(block, 0, sizeof(block));
	return bytes <= sizeof(block) ? block : NULL;
}

static struct span
read_file(const char *path, char *room)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	assert_non_null(f);
	n = fread(room, 1, FILE_MAX, f);
	assert_true(n < FILE_MAX);
	fclose(f);
	return span_make(room, n);
}

static const struct option *
find(enum option_section s, const char *name)
{
	const struct option *o = option_find(s, span_of(name));

	assert_non_null(o);
	return o;
}

/* Parses a number; returns it, or UINT64_MAX when it is refused. */
static uint64_t
parse(const struct option *o, const char *text)
{
	struct option alone = *o;
	char room[256];
	struct textbuf why = textbuf_make(room, sizeof(room));
	uint64_t value = 0;

	alone.offset = 0;
	if (value_parse(&alone, NULL, span_of(text), &value, &why) ==
	    VALUE_OK) {
		assert_int_equal(why.len, 0);
		return value;
	}
	assert_true(why.len > 0 && !why.full);
	return UINT64_MAX;
}

static void
table_is_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < option_count; i++) {
		const struct option *o = &option_table[i];

		if (i > 0)
			assert_true(o->section >= option_table[i - 1].section);
		assert_ptr_equal(find(o->section, o->name), o);
		assert_true(value_is_name(span_of(o->name)));
		assert_true(strlen(o->name) <= 48);
		/* A sentence. */
		assert_int_equal(o->help[strlen(o->help) - 1], '.');
		assert_null(strchr(o->help, '|'));
		/* One of three says what holds when the key is missing. */
		assert_int_equal(
		    (o->preset != NULL) + (o->without != NULL) + o->required,
		    1);
		assert_true(o->type != OPTION_ENUM || o->words != NULL);
		assert_true(o->type <= OPTION_ENUM || o->allowed != NULL);
		assert_true(o->type > OPTION_PORT || o->min < o->max);
	}
}

/* What a process cannot change about itself: its threads, who it is, and where
 * others find it. */
static void
few_options_need_a_restart(void **state)
{
	static const char *const keys[] = {
	    "workers", "user", "group", "control", "pid_file"};
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		assert_false(find(OPTION_GLOBAL, keys[i])->reloadable);
	for (size_t i = 0; i < option_count; i++)
		n += !option_table[i].reloadable;
	assert_int_equal(n, sizeof(keys) / sizeof(keys[0]));
}

static bool
is_number(const struct option *o)
{
	return o->type <= OPTION_PORT;
}

static void
put_number(struct textbuf *t, const struct option *o, uint64_t n)
{
	textbuf_u64(t, n);
	textbuf_str(t, o->type == OPTION_DURATION ? "ms" : "");
	textbuf_str(t, o->type == OPTION_PERCENT ? "%" : "");
	textbuf_byte(t, '\0');
}

/* Both bounds are in, their neighbours are not: for every number there is. */
static void
bounds_hold(void **state)
{
	(void)state;
	for (size_t i = 0; i < option_count; i++) {
		const struct option *o = &option_table[i];
		const uint64_t in[] = {o->min, o->max};
		const uint64_t out[] = {o->min - 1, o->max + 1};

		for (size_t k = 0; is_number(o) && k < 2; k++) {
			char room[64];
			struct textbuf t = textbuf_make(room, sizeof(room));

			put_number(&t, o, in[k]);
			assert_int_equal(parse(o, room), in[k]);
			t.len = 0;
			put_number(&t, o, out[k]);
			if (out[k] != UINT64_MAX)
				assert_int_equal(parse(o, room), UINT64_MAX);
		}
	}
}

static void
presets_print_as_they_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < option_count; i++) {
		struct option o = option_table[i];
		char room[64];
		struct textbuf t = textbuf_make(room, sizeof(room));
		uint64_t value;

		if (!is_number(&o) || o.preset == NULL)
			continue;
		value = parse(&o, o.preset);
		assert_true(value != UINT64_MAX);
		o.offset = 0;
		value_put(&t, &o, &value);
		textbuf_byte(&t, '\0');
		assert_int_equal(parse(&o, room), value);
	}
}

static void
durations_and_sizes(void **state)
{
	const struct option *d = find(OPTION_POOL, "connect_timeout");
	const struct option *zero = find(OPTION_GLOBAL, "shutdown_timeout");
	const struct option *s = find(OPTION_LISTENER, "max_body_size");
	static const char *const bad_durations[] = {"", "2", "2 s", "-1s",
	    "+1s", "1d", "1.5s", "s", "1S", "1sec", "1s ", " 1s", "0x1s",
	    "99999999999999999999h", "18446744073709551615h",
	    "5124095576030432h", "1ms1s"};
	static const char *const bad_sizes[] = {"", "k", "16kb", "16K", "1m",
	    "-1", "1 k", "5%", "1.5k", "18446744073709551616", "16777216T"};

	(void)state;
	assert_int_equal(parse(d, "250ms"), 250);
	assert_int_equal(parse(d, "2s"), 2000);
	assert_int_equal(parse(d, "1m"), 60000);
	assert_int_equal(parse(d, "24h"), 86400000);
	assert_int_equal(parse(d, "0"), UINT64_MAX);
	assert_int_equal(parse(zero, "0"), 0);
	assert_int_equal(parse(zero, "0s"), 0);
	assert_int_equal(parse(s, "16k"), 16384);
	assert_int_equal(parse(s, "8M"), 8388608);
	assert_int_equal(parse(s, "1G"), 1073741824);
	assert_int_equal(parse(s, "1024T"), (uint64_t)1 << 50);
	assert_int_equal(parse(s, "1000"), 1000);
	for (size_t i = 0; i < sizeof(bad_durations) / sizeof(char *); i++)
		assert_int_equal(parse(d, bad_durations[i]), UINT64_MAX);
	for (size_t i = 0; i < sizeof(bad_sizes) / sizeof(char *); i++)
		assert_int_equal(parse(s, bad_sizes[i]), UINT64_MAX);
}

static void
percentages_need_their_sign(void **state)
{
	const struct option *o = find(OPTION_POOL, "retry_budget");
	static const char *const bad[] = {"", "20", "0", "%", "101%", "20 %",
	    "2.5%", "-1%", "%20", "20%%", "18446744073709551616%", "0x1%",
	    "all"};

	(void)state;
	assert_int_equal(parse(o, "20%"), 20);
	assert_int_equal(parse(o, "0%"), 0);
	assert_int_equal(parse(o, "100%"), 100);
	assert_int_equal(parse(o, "007%"), 7);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(o, bad[i]), UINT64_MAX);
}

/* Without a default 0 stands for no value, and can neither be said nor is it
 * shown. */
static void
what_is_not_set_is_not_shown(void **state)
{
	struct option port = *find(OPTION_POOL, "health_port");
	struct option down = *find(OPTION_POOL, "health_interval_down");
	uint64_t value = 0;
	char room[64];
	struct textbuf t = textbuf_make(room, sizeof(room));

	(void)state;
	port.offset = 0;
	down.offset = 0;
	value_put(&t, &port, &value);
	value_put(&t, &down, &value);
	assert_int_equal(t.len, 0);
	assert_int_equal(parse(&port, "0"), UINT64_MAX);
	assert_int_equal(parse(&down, "0"), UINT64_MAX);
	value = 65535;
	value_put(&t, &port, &value);
	assert_true(span_equal(textbuf_span(&t), SPAN("65535")));
}

static void
switches_have_many_words(void **state)
{
	static const char *const names[] = {
	    "retry_first_wait", "retry_non_idempotent"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct option *o = find(OPTION_POOL, names[i]);

		assert_int_equal(parse(o, "yes"), CFG_ON);
		assert_int_equal(parse(o, "on"), CFG_ON);
		assert_int_equal(parse(o, "true"), CFG_ON);
		assert_int_equal(parse(o, "no"), CFG_OFF);
		assert_int_equal(parse(o, "off"), CFG_OFF);
		assert_int_equal(parse(o, "false"), CFG_OFF);
		assert_int_equal(parse(o, "1"), UINT64_MAX);
		assert_int_equal(parse(o, "Yes"), UINT64_MAX);
	}
}

static void
words_and_auto(void **state)
{
	const struct option *level = find(OPTION_GLOBAL, "log_level");
	const struct option *workers = find(OPTION_GLOBAL, "workers");

	(void)state;
	assert_int_equal(parse(level, "error"), CFG_LOG_ERROR);
	assert_int_equal(parse(level, "debug"), CFG_LOG_DEBUG);
	assert_int_equal(parse(level, "Debug"), UINT64_MAX);
	assert_int_equal(parse(level, "debugg"), UINT64_MAX);
	assert_int_equal(parse(level, "error|warn"), UINT64_MAX);
	assert_int_equal(parse(level, ""), UINT64_MAX);
	assert_int_equal(parse(workers, "auto"), CFG_AUTO);
	assert_int_equal(parse(workers, "0"), UINT64_MAX);
	assert_int_equal(parse(workers, "256"), 256);
	assert_int_equal(parse(find(OPTION_LISTENER, "request_id"), "both"),
	    CFG_REQUEST_ID_BOTH);
	assert_int_equal(parse(find(OPTION_LISTENER, "forwarded"), "off"),
	    CFG_FORWARDED_OFF);
}

static void
texts_keep_typos_from_becoming_files(void **state)
{
	static const char *const good[] = {
	    "stderr", "syslog", "/var/log/x", "./stderr", "evenkeel.log"};
	static const char *const bad[] = {
	    "sdterr", "sysog", "stdout", "off", "Stderr"};
	struct option o = *find(OPTION_GLOBAL, "log");
	char room[256];
	struct textbuf why = textbuf_make(room, sizeof(room));
	struct arena a;
	const char *text = NULL;

	(void)state;
	o.offset = 0;
	arena_init(&a, one_block, NULL);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(
		    value_parse(&o, &a, span_of(good[i]), &text, &why),
		    VALUE_OK);
		assert_string_equal(text, good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
		    value_parse(&o, &a, span_of(bad[i]), &text, &why),
		    VALUE_BAD);
}

static void
nearest_names(void **state)
{
	static const struct {
		enum option_section section;
		const char *typo, *meant;
	} cases[] = {
	    {OPTION_POOL, "conect_timeout", "connect_timeout"},
	    {OPTION_POOL, "keepalvie", "keepalive"},
	    {OPTION_POOL, "Backend", "backend"},
	    {OPTION_POOL, "backends", "backend"},
	    {OPTION_POOL, "balanse", "balance"},
	    {OPTION_POOL, "retry_atempts", "retry_attempts"},
	    {OPTION_POOL, "health_intervall", "health_interval"},
	    {OPTION_POOL, "ejct_base", "eject_base"},
	    {OPTION_POOL, "tls_verfy", "tls_verify"},
	    {OPTION_POOL, "tls_session", NULL},
	    {OPTION_POOL, "colour", NULL},
	    {OPTION_GLOBAL, "lgo", "log"},
	    {OPTION_GLOBAL, "foo", NULL},
	    {OPTION_GLOBAL, "wrokers", "workers"},
	    {OPTION_ROUTE, "paths", "path"},
	    {OPTION_LISTENER, "bnd", "bind"},
	    {OPTION_LISTENER, "tls_cert", NULL},
	    {OPTION_LISTENER, "tls_certificates", "tls_certificate"},
	    {OPTION_LISTENER, "tls_keys", "tls_key"},
	    {OPTION_LISTENER, "tls_cipher", "tls_ciphers"},
	    {OPTION_LISTENER, "", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *near =
		    option_nearest(cases[i].section, span_of(cases[i].typo));

		if (cases[i].meant == NULL)
			assert_null(near);
		else
			assert_string_equal(near, cases[i].meant);
	}
}

static void
nearest_takes_any_length(void **state)
{
	char typo[200];
	struct nearest n;

	(void)state;
	memset(typo, 'a', sizeof(typo));
	for (size_t len = 0; len <= sizeof(typo); len++) {
		nearest_init(&n, span_make(typo, len));
		for (size_t k = 0; k <= sizeof(typo); k++)
			nearest_offer(&n, span_make(typo, k));
		if (len >= 2 && len <= NEAREST_NAME_MAX)
			assert_int_equal(n.best.len, len);
		else if (len > NEAREST_NAME_MAX)
			assert_null(n.best.ptr);
	}
}

static void
only_known_names_are_found(void **state)
{
	(void)state;
	assert_null(option_find(OPTION_POOL, SPAN("bind")));
	assert_null(option_find(OPTION_POOL, SPAN("backen")));
	assert_null(option_find(OPTION_POOL, SPAN("")));
	assert_null(option_find(OPTION_GLOBAL, SPAN("users")));
	assert_null(option_find(OPTION_POOL, SPAN("resolves")));
}

/* `path` is what `put` writes; with EVENKEEL_WRITE_DOCS it is made so. */
static void
is_up_to_date(const char *path, void (*put)(struct textbuf *out))
{
	static char room[FILE_MAX], file[FILE_MAX];
	struct textbuf out = textbuf_make(room, sizeof(room) - 1);
	struct span have;
	FILE *f;

	put(&out);
	assert_false(out.full);
	room[out.len] = '\0';
	if (getenv("EVENKEEL_WRITE_DOCS") != NULL) {
		f = fopen(path, "wb");
		assert_non_null(f);
		assert_int_equal(fwrite(room, 1, out.len, f), out.len);
		fclose(f);
	}
	have = read_file(path, file);
	file[have.len] = '\0';
	assert_string_equal(room, file);
}

static void
documentation_is_up_to_date(void **state)
{
	(void)state;
	is_up_to_date("docs/config.md", markdown_put_options);
	is_up_to_date("docs/man/lb.ini.5", roff_put_options);
}

/* A line "NAME = VALUE", or the same behind "; ". */
static bool
names_option(struct span file, const struct option *o)
{
	char room[64];
	struct textbuf t = textbuf_make(room, sizeof(room));

	textbuf_str(&t, o->name);
	textbuf_lit(&t, " = ");
	while (file.len > 0) {
		size_t n = span_find(file, '\n');
		struct span line = span_make(file.ptr, n);

		n += n < file.len;
		file = span_make(file.ptr + n, file.len - n);
		if (span_starts_with(line, SPAN("; ")))
			line = span_make(line.ptr + 2, line.len - 2);
		if (!span_starts_with(line, textbuf_span(&t)))
			continue;
		line = span_make(line.ptr + t.len, line.len - t.len);
		/* A default that is shown is the true one. */
		if (o->preset == NULL ||
		    span_starts_with(line, span_of(o->preset)))
			return true;
	}
	return false;
}

/* The part of the file from a section's header, in a comment or not, to the
 * next header. */
static struct span
section_of(struct span file, enum option_section s)
{
	const char *word = option_section_word(s);
	size_t from = 0, to;

	for (; from < file.len; from++)
		if (file.ptr[from] == '[' &&
		    span_starts_with(
			span_make(file.ptr + from + 1, file.len - from - 1),
			span_of(word)))
			break;
	assert_true(from < file.len);
	for (to = from + 1; to < file.len; to++)
		if (file.ptr[to] == '[' &&
		    (file.ptr[to - 1] == '\n' ||
			(file.ptr[to - 1] == ' ' && file.ptr[to + 1] == 'r')))
			break;
	return span_make(file.ptr + from, to - from);
}

static void
example_names_every_option(void **state)
{
	static char room[FILE_MAX];
	struct span file = read_file("lb.ini", room);

	(void)state;
	for (size_t i = 0; i < option_count; i++) {
		const struct option *o = &option_table[i];

		if (!names_option(section_of(file, o->section), o))
			fail_msg("lb.ini: %s: not there, or with another "
				 "default",
			    o->name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(table_is_sound),
	    cmocka_unit_test(few_options_need_a_restart),
	    cmocka_unit_test(bounds_hold),
	    cmocka_unit_test(presets_print_as_they_parse),
	    cmocka_unit_test(durations_and_sizes),
	    cmocka_unit_test(percentages_need_their_sign),
	    cmocka_unit_test(what_is_not_set_is_not_shown),
	    cmocka_unit_test(switches_have_many_words),
	    cmocka_unit_test(words_and_auto),
	    cmocka_unit_test(texts_keep_typos_from_becoming_files),
	    cmocka_unit_test(nearest_names),
	    cmocka_unit_test(nearest_takes_any_length),
	    cmocka_unit_test(only_known_names_are_found),
	    cmocka_unit_test(documentation_is_up_to_date),
	    cmocka_unit_test(example_names_every_option),
	};

	return cmocka_run_group_tests_name("option", tests, NULL, NULL);
}
