/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "evenkeel/control/orders.h"

#include "fake_reload.h"

#define ERRORS "lb.ini:3: bad\nlb.ini:4: worse\n"

static struct reload reload;
static struct pages pages;
static struct orders orders;
static char text[1 << 22];
static struct textbuf body;
static struct httpd_answer answer;

static int
set_up(void **state)
{
	(void)state;
	reload = (struct reload){.generation = 1};
	orders = (struct orders){.reload = &reload, .pages = &pages};
	return 0;
}

/* What is said to that; the status is in `answer`. */
static const char *
told(enum h1_method method, const char *target)
{
	const struct httpd_request r = {.method = method,
	    .target = span_of(target),
	    .peer = {.known = true, .pid = 7, .uid = 1000}};

	body = textbuf_make(text, sizeof(text) - 1);
	answer = (struct httpd_answer){
	    .status = 200, .allow = "GET, HEAD", .body = &body};
	orders_on_control(&r, &answer, &orders);
	assert_false(body.full);
	text[body.len] = '\0';
	return text;
}

static void
the_number_is_told(void **state)
{
	(void)state;
	assert_string_equal(told(H1_METHOD_POST, "/reload"), "1\n");
	assert_int_equal(answer.status, 200);
	assert_string_equal(
	    reload.who, "uid 1000, pid 7 over the control socket");
	assert_string_equal(told(H1_METHOD_POST, "/reload"), "2\n");
}

static void
results(void **state)
{
	(void)state;
	told(H1_METHOD_POST, "/reload");
	assert_string_equal(
	    told(H1_METHOD_GET, "/reload?number=1"), "pending\n");
	fake_end(&reload, 1, RELOAD_REFUSED, ERRORS);
	assert_string_equal(
	    told(H1_METHOD_GET, "/reload?number=1"), "refused\n" ERRORS);
	told(H1_METHOD_POST, "/reload");
	assert_string_equal(
	    told(H1_METHOD_GET, "/reload?number=2"), "pending\n");
	fake_end(&reload, 2, RELOAD_APPLIED, "");
	assert_string_equal(
	    told(H1_METHOD_GET, "/reload?number=2"), "applied\n");
	assert_int_equal(answer.status, 200);
}

/* A later one has read a newer file. */
static void
a_later_one_counts(void **state)
{
	(void)state;
	told(H1_METHOD_POST, "/reload");
	told(H1_METHOD_POST, "/reload");
	fake_end(&reload, 1, RELOAD_REFUSED, ERRORS);
	fake_end(&reload, 2, RELOAD_APPLIED, "pool web: added\n");
	assert_string_equal(told(H1_METHOD_GET, "/reload?number=1"),
	    "applied\nreload 1 was followed by reload 2, which this is "
	    "about:\npool web: added\n");
}

/* Asked for by a signal, it has a number, too. */
static void
one_that_was_not_asked_for_here(void **state)
{
	(void)state;
	reload_ask(&reload, "SIGHUP");
	told(H1_METHOD_GET, "/reload?number=1");
	assert_int_equal(answer.status, 404);
	fake_end(&reload, 1, RELOAD_APPLIED, "x\n");
	assert_string_equal(
	    told(H1_METHOD_GET, "/reload?number=1"), "applied\nx\n");
}

/* A number of the process before would wait for ever. */
static void
unknown_numbers(void **state)
{
	static const char *const none[] = {"/reload?number=2",
	    "/reload?number=0", "/reload?number=18446744073709551615"};
	static const char *const bad[] = {"/reload",
	    "/reload?number=", "/reload?number=x", "/reload?number=-1",
	    "/reload?number=1&number=1", "/reload?number=18446744073709551616",
	    "/reload?number=%31%"};

	(void)state;
	told(H1_METHOD_POST, "/reload");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		assert_non_null(strstr(told(H1_METHOD_GET, none[i]), "404: "));
		assert_int_equal(answer.status, 404);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_non_null(strstr(told(H1_METHOD_GET, bad[i]), "400: "));
		assert_int_equal(answer.status, 400);
	}
}

static void
only_post_orders(void **state)
{
	static const enum h1_method others[] = {
	    H1_METHOD_PUT, H1_METHOD_DELETE, H1_METHOD_OPTIONS};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		told(others[i], "/reload");
		assert_int_equal(answer.status, 405);
		assert_string_equal(answer.allow, "GET, HEAD, POST");
	}
	told(H1_METHOD_HEAD, "/reload");
	assert_int_equal(reload.asked, 0);
}

static void
nothing_to_reload(void **state)
{
	(void)state;
	orders.reload = NULL;
	told(H1_METHOD_POST, "/reload");
	assert_int_equal(answer.status, 503);
	told(H1_METHOD_GET, "/reload?number=1");
	assert_int_equal(answer.status, 503);
}

static void
a_long_text_is_whole(void **state)
{
	static char errors[3 << 20];
	size_t at = strlen("refused\n");

	(void)state;
	for (size_t i = 0; i < sizeof(errors) - 1; i++)
		errors[i] = i % 80 == 79 ? '\n' : 'e';
	told(H1_METHOD_POST, "/reload");
	fake_end(&reload, 1, RELOAD_REFUSED, errors);
	told(H1_METHOD_GET, "/reload?number=1");
	assert_int_equal(body.len, at + sizeof(errors) - 1);
	assert_memory_equal(text + at, errors, sizeof(errors) - 1);
}

/* The admin listener reads only. */
static void
admin_takes_no_order(void **state)
{
	const struct httpd_request r = {
	    .method = H1_METHOD_POST, .target = SPAN("/reload")};

	(void)state;
	pages.reload = &reload;
	body = textbuf_make(text, sizeof(text));
	answer = (struct httpd_answer){.status = 200, .body = &body};
	pages_on_admin(&r, &answer, &pages);
	assert_int_equal(answer.status, 405);
	assert_int_equal(reload.asked, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(the_number_is_told, set_up),
	    cmocka_unit_test_setup(results, set_up),
	    cmocka_unit_test_setup(a_later_one_counts, set_up),
	    cmocka_unit_test_setup(one_that_was_not_asked_for_here, set_up),
	    cmocka_unit_test_setup(unknown_numbers, set_up),
	    cmocka_unit_test_setup(only_post_orders, set_up),
	    cmocka_unit_test_setup(nothing_to_reload, set_up),
	    cmocka_unit_test_setup(a_long_text_is_whole, set_up),
	    cmocka_unit_test_setup(admin_takes_no_order, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
