/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "evenkeel/control/reload_page.h"

#include "fake_reload.h"

#define THREE "lb.ini:3: \"bad\"\nlb.ini:4: worse\nlb.ini:9: worst\n"

static struct reload reload;
static char text[1 << 18];

static int
set_up(void **state)
{
	(void)state;
	reload = (struct reload){.generation = 1};
	return 0;
}

static const char *
json_of(const struct reload *r)
{
	struct textbuf t = textbuf_make(text, sizeof(text) - 1);

	reload_page_put_json(&t, r);
	assert_false(t.full);
	text[t.len] = '\0';
	return text;
}

/* `later_ms` after the last reload has ended. */
static const char *
line_of(const struct reload *r, int64_t later_ms)
{
	struct textbuf t = textbuf_make(text, sizeof(text) - 1);
	uint64_t ended_ms = r == NULL ? 0 : r->last.unix_ms;

	reload_page_put_text(&t, r, ended_ms + (uint64_t)later_ms);
	assert_false(t.full);
	text[t.len] = '\0';
	return text;
}

static const char *
metrics_of(const struct reload *r)
{
	struct textbuf t = textbuf_make(text, sizeof(text) - 1);

	reload_page_put_metrics(&t, r);
	assert_false(t.full);
	text[t.len] = '\0';
	return text;
}

static void
none_yet(void **state)
{
	const struct reload *const both[] = {NULL, &reload};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(json_of(both[i]),
		    ",\"config_generation\":1,\"last_reload\":null");
		assert_string_equal(line_of(both[i], 0), "");
		assert_string_equal(metrics_of(both[i]),
		    "# HELP evenkeel_reloads_total Reloads that have ended: "
		    "applied, or refused with the configuration before still "
		    "in force.\n"
		    "# TYPE evenkeel_reloads_total counter\n"
		    "evenkeel_reloads_total{result=\"applied\"} 0\n"
		    "evenkeel_reloads_total{result=\"refused\"} 0\n"
		    "# HELP evenkeel_config_generation Configurations since "
		    "the start, this one included: one more with each reload "
		    "that was applied.\n"
		    "# TYPE evenkeel_config_generation gauge\n"
		    "evenkeel_config_generation 1\n");
	}
}

static void
applied(void **state)
{
	(void)state;
	fake_end(&reload, 1, RELOAD_APPLIED, "pool web: backend b2 added\n");
	assert_string_equal(json_of(&reload),
	    ",\"config_generation\":2,\"last_reload\":{\"number\":1,"
	    "\"result\":\"applied\",\"time\":\"2026-11-22T15:30:37.123Z\","
	    "\"took_ms\":12,\"swap_us\":0,\"text\":\"pool web: backend b2 "
	    "added\\u000a\"}");
	assert_string_equal(line_of(&reload, 3999),
	    "reload   applied 3 s ago (generation 2)\n");
	/* The clock was set back. */
	assert_string_equal(line_of(&reload, -5000),
	    "reload   applied 0 s ago (generation 2)\n");
}

static void
refused(void **state)
{
	static const struct {
		const char *text, *line;
	} samples[] = {
	    {THREE, "lb.ini:3: \"bad\" (and 2 more errors)\n"},
	    {"lb.ini:3: bad\nlb.ini:4: worse\n",
		"lb.ini:3: bad (and 1 more error)\n"},
	    {"lb.ini:3: bad\n", "lb.ini:3: bad\n"},
	    {"lb.ini:3: no end", "lb.ini:3: no end\n"},
	    {"", "\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		char expected[256];

		fake_end(&reload, 7, RELOAD_REFUSED, samples[i].text);
		snprintf(expected, sizeof(expected),
		    "reload   REFUSED 12 s ago, the configuration before is "
		    "in force: %s",
		    samples[i].line);
		assert_string_equal(line_of(&reload, 12000), expected);
	}
	fake_end(&reload, 7, RELOAD_REFUSED, THREE);
	assert_string_equal(json_of(&reload),
	    ",\"config_generation\":1,\"last_reload\":{\"number\":7,"
	    "\"result\":\"refused\",\"time\":\"2026-11-22T15:30:37.123Z\","
	    "\"took_ms\":12,\"swap_us\":0,\"text\":\"lb.ini:3: "
	    "\\\"bad\\\"\\u000alb.ini:4: "
	    "worse\\u000alb.ini:9: worst\\u000a\"}");
}

static void
counted(void **state)
{
	(void)state;
	fake_end(&reload, 1, RELOAD_APPLIED, "");
	fake_end(&reload, 2, RELOAD_REFUSED, THREE);
	fake_end(&reload, 3, RELOAD_APPLIED, "");
	metrics_of(&reload);
	assert_non_null(
	    strstr(text, "\nevenkeel_reloads_total{result=\"applied\"} 2\n"));
	assert_non_null(
	    strstr(text, "\nevenkeel_reloads_total{result=\"refused\"} 1\n"));
	assert_non_null(strstr(text, "\nevenkeel_config_generation 3\n"));
}

/* Lines of 100 bytes: 655 of them fit. */
static void
a_long_text_is_cut_between_lines(void **state)
{
	static char errors[100 * 1000 + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(errors) - 1; i++)
		errors[i] = i % 100 == 99 ? '\n' : 'e';
	fake_end(&reload, 1, RELOAD_REFUSED, errors);
	json_of(&reload);
	assert_non_null(strstr(text, "ee\\u000a... and 345 more lines\\n\"}"));
	errors[RELOAD_PAGE_TEXT_BYTES / 100 * 100] = '\0';
	fake_end(&reload, 1, RELOAD_REFUSED, errors);
	assert_null(strstr(json_of(&reload), "more lines"));
	assert_non_null(strstr(text, "ee\\u000a\"}"));
}

/* Not one line end within the limit. */
static void
a_long_line_is_cut(void **state)
{
	static char line[RELOAD_PAGE_TEXT_BYTES + 2];

	(void)state;
	memset(line, 'e', sizeof(line) - 1);
	fake_end(&reload, 1, RELOAD_REFUSED, line);
	assert_non_null(strstr(json_of(&reload), "eee... and 1 more line"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(none_yet, set_up),
	    cmocka_unit_test_setup(applied, set_up),
	    cmocka_unit_test_setup(refused, set_up),
	    cmocka_unit_test_setup(counted, set_up),
	    cmocka_unit_test_setup(a_long_text_is_cut_between_lines, set_up),
	    cmocka_unit_test_setup(a_long_line_is_cut, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
