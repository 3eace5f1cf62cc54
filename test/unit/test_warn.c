/* layer: config */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "built.h"

/* Lines below a pool of two backends, which stand at line 4 and on; the whole
 * of what is said about them. */
static const struct {
	const char *lines[5]; /* NULL: none */
	const char *said;
} cases[] = {
    {{NULL}, ""},
    /* Where one attempt just fits, and where it does not. */
    {{"request_timeout=32s"}, ""},
    {{"request_timeout=31999ms"},
	"f:5: warning: [pool web] request_timeout: 31999ms is shorter than "
	"one attempt may take: connect_timeout (2s) and response_timeout "
	"(30s); a request to a backend that hangs ends without a retry\n"},
    {{"response_timeout=90s"},
	"f:3: warning: [pool web] request_timeout: 1m is shorter than one "
	"attempt may take: connect_timeout (2s) and response_timeout (90s); a "
	"request to a backend that hangs ends without a retry\n"},
    {{"retry_attempts=0", "request_timeout=31s"},
	"f:6: warning: [pool web] request_timeout: 31s is shorter than one "
	"attempt may take: connect_timeout (2s) and response_timeout (30s); "
	"it ends the attempt\n"},
    {{"attempt_timeout=3s", "request_timeout=3s"}, ""},
    {{"attempt_timeout=3s", "request_timeout=2999ms"},
	"f:6: warning: [pool web] request_timeout: 2999ms is shorter than one "
	"attempt may take: attempt_timeout (3s); a request to a backend that "
	"hangs ends without a retry\n"},
    /* A limit of attempts that another one always or mostly precedes. */
    {{"attempt_timeout=30s"}, ""},
    {{"attempt_timeout=31s"},
	"f:5: warning: [pool web] attempt_timeout: 31s is longer than "
	"response_timeout (30s), which ends nearly every attempt before it "
	"does\n"},
    {{"attempt_timeout=32s"},
	"f:5: warning: [pool web] attempt_timeout: 32s is longer than "
	"response_timeout (30s), which ends every attempt before it does: it "
	"has no effect\n"},
    /* Waits: 1 + 2 + 4 + 8 + 16 + 32 s. */
    {{"retry_base=1s", "retry_cap=1h", "retry_attempts=5"}, ""},
    {{"retry_base=1s", "retry_cap=1h", "retry_attempts=6"},
	"f:7: warning: [pool web] retry_attempts: the waits before 6 retries "
	"may take 63s, but the request has ended by then: request_timeout "
	"(1m)\n"},
    {{"retry_base=1m", "retry_cap=1m", "retry_attempts=1"},
	"f:7: warning: [pool web] retry_attempts: the waits before 1 retry "
	"may take 1m, but the request has ended by then: request_timeout "
	"(1m)\n"},
    {{"retry_base=1h", "retry_cap=1h", "retry_attempts=0"}, ""},
    {{"retry_non_idempotent=no"}, ""},
    {{"retry_non_idempotent=yes"},
	"f:5: warning: [pool web] retry_non_idempotent: POST and PATCH are "
	"sent again although a backend may have carried them out: an order "
	"can be placed twice\n"},
    {{"retry_non_idempotent=yes", "retry_attempts=0"}, ""},
    {{"keepalive_timeout=75s"}, ""},
    {{"keepalive_timeout=75001ms"},
	"f:5: warning: [pool web] keepalive_timeout: 75001ms is longer than "
	"most servers keep an idle connection (by default nginx 75s, Apache "
	"and Node.js 5s); a request may meet one that the backend is just "
	"closing\n"},
    {{"keepalive_timeout=2m", "keepalive=0"}, ""},
    {{"health=off"},
	"f:5: warning: [pool web] health: off, so only requests that fail on "
	"a backend take it out\n"},
    {{"eject_failures=0"}, ""},
    {{"eject_failures=0", "health=off"},
	"f:6: warning: [pool web] health: off, and failing requests take no "
	"backend out either: one that is down goes on getting its share of "
	"the requests\n"},
    {{"health_timeout=2s"}, ""},
    {{"health_timeout=2001ms"},
	"f:5: warning: [pool web] health_timeout: 2001ms is longer than "
	"health_interval (2s); checks that time out are therefore further "
	"apart\n"},
    {{"health_interval=500ms"},
	"f:3: warning: [pool web] health_timeout: 1s is longer than "
	"health_interval (500ms); checks that time out are therefore further "
	"apart\n"},
    {{"health=off", "health_timeout=1m"},
	"f:5: warning: [pool web] health: off, so only requests that fail on "
	"a backend take it out\n"},
    /* A page to look at, and nobody who looks. */
    {{"health_path=/health", "health_body=ok"},
	"f:5: warning: [pool web] health_path: checks only connect, as health "
	"is tcp by default, and do not look at this; health = http does\n"},
    {{"health_status=200"},
	"f:5: warning: [pool web] health_status: checks only connect, as "
	"health is tcp by default, and do not look at this; health = http "
	"does\n"},
    {{"health=http", "health_path=/health", "health_body=ok"}, ""},
    {{"health=tcp", "health_path=/health"}, ""},
};

static void
each_is_said_where_it_is_meant(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *lines[10] = {WEB, POOL};
		struct built *b = built_create();

		for (size_t k = 0; k < 5; k++)
			lines[4 + k] = cases[i].lines[k];
		run(b, lines);
		assert_non_null(b->cfg);
		assert_string_equal(b->text, cases[i].said);
		built_free(b);
	}
}

/* One backend is never ejected: without checks nothing takes it out. */
static void
one_backend_is_never_ejected(void **state)
{
	(void)state;
	BUILD(WEB, "[pool web]", "backend=10.0.0.1:1", "health=off");
	assert_string_equal(b->text,
	    "f:3: warning: [pool web] backend: there is one; when it fails "
	    "there is no other backend to turn to\n"
	    "f:5: warning: [pool web] health: off, and failing requests take "
	    "no backend out either: one that is down goes on getting its "
	    "share of the requests\n");
	built_free(b);
}

/* A name may have many addresses. */
static void
a_name_is_not_one_backend(void **state)
{
	static const char *const names[] = {
	    "backend=a:1", "backend=srv:_http._tcp.a"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		BUILD(WEB, "[pool web]", names[i], "health=off");
		assert_string_equal(b->text,
		    "f:5: warning: [pool web] health: off, so only requests "
		    "that fail on a backend take it out\n");
		built_free(b);
	}
}

/* With an error in the file, warnings would only distract. */
static void
errors_come_alone(void **state)
{
	(void)state;
	BUILD(WEB, POOL, "health=off", "keepalive=x");
	assert_null(b->cfg);
	assert_null(strstr(b->text, "warning"));
	built_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_is_said_where_it_is_meant),
	    cmocka_unit_test(one_backend_is_never_ejected),
	    cmocka_unit_test(a_name_is_not_one_backend),
	    cmocka_unit_test(errors_come_alone),
	};

	return cmocka_run_group_tests_name("warn", tests, NULL, NULL);
}
