/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "certificate.h"
#include "evenkeel/control/compile.h"
#include "evenkeel/control/secure_page.h"
#include "loaded_text.h"

#define WORKERS 2
#define DAY     CERTIFICATE_DAY_S
/* DIR stands for the directory of the test. */
#define PLAIN "[listener plain]\nbind = 127.0.0.1:8080\npool = web\n"
#define MAIN  "[listener main]\nbind = 127.0.0.1:8443\npool = web\n"
#define A     "tls_certificate = DIR/a.crt\ntls_key = DIR/a.key\n"
#define B     "tls_certificate = DIR/b.crt\ntls_key = DIR/b.key\n"
#define WEB   "[pool web]\nbackend = 127.0.0.1:3001\nbackend = 127.0.0.1:3002\n"
#define API                                                     \
	"[pool api]\nbackend = https://127.0.0.1:3443 name=s\n" \
	"backend = 127.0.0.1:3443 name=p\n"

static char dir[64], text[8192];
static struct secure_base base;
static struct loaded *loaded, *other;

static int
begin(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/test_secure.XXXXXX");
	if (mkdtemp(dir) == NULL ||
	    !certificate_write(certificate_path(dir, "a.crt"),
		certificate_path(dir, "a.key"), 365) ||
	    !certificate_write(certificate_path(dir, "b.crt"),
		certificate_path(dir, "b.key"), 10))
		return -1;
	secure_base_init(&base, WORKERS);
	return 0;
}

static int
end(void **state)
{
	static const char *const names[] = {"a.crt", "a.key", "b.crt", "b.key"};

	(void)state;
	loaded_release(loaded);
	loaded_release(other);
	loaded = other = NULL;
	secure_base_free(&base);
	for (size_t i = 0; i < 4; i++)
		(void)unlink(certificate_path(dir, names[i]));
	return rmdir(dir);
}

/* The configuration of these lines, with what it names. */
static struct loaded *
load(const char *lines)
{
	char with_dir[4096];
	struct textbuf t = textbuf_make(with_dir, sizeof(with_dir) - 1);
	struct loaded *l;
	const char *at;

	while ((at = strstr(lines, "DIR")) != NULL) {
		textbuf_put(&t, span_make(lines, (size_t)(at - lines)));
		textbuf_str(&t, dir);
		lines = at + 3;
	}
	textbuf_str(&t, lines);
	assert_false(t.full);
	with_dir[t.len] = '\0';
	l = loaded_text(with_dir);
	l->secure = secure_load(&base, l->cfg);
	assert_non_null(l->secure);
	return l;
}

static const char *
problems(const struct loaded *l)
{
	struct textbuf t = textbuf_make(text, sizeof(text) - 1);

	cfg_put_problems(&t, "lb.ini", l->secure->problems);
	assert_false(t.full);
	text[t.len] = '\0';
	return text;
}

static const char *
changes(void)
{
	struct textbuf t = textbuf_make(text, sizeof(text) - 1);

	secure_put_changes(&t, loaded->secure, other->secure);
	text[t.len] = '\0';
	assert_int_equal(
	    secure_changed(loaded->secure, other->secure), t.len > 0);
	return text;
}

/* Nothing of OpenSSL is made, not even what lasts. */
static void
without_tls(void **state)
{
	(void)state;
	loaded = load(PLAIN WEB);
	assert_null(base.spaces);
	assert_null(base.tickets);
	assert_null(loaded->secure->problems);
	assert_null(loaded->secure->servers[0]);
	assert_null(loaded->secure->clients[0]);
	assert_int_equal(loaded->secure->n_certificates, 0);
	assert_int_equal(loaded->secure->n_files, 0);
	assert_true(loaded_is_good(loaded));
}

/* One for each worker, and control's for pools with an https backend. */
static void
one_for_each_thread(void **state)
{
	struct secure *s;

	(void)state;
	loaded = load(PLAIN MAIN A WEB API "tls_verify = off\n");
	s = loaded->secure;
	assert_string_equal(problems(loaded), "");
	assert_null(s->servers[0]);
	for (size_t i = 0; i < WORKERS; i++)
		assert_non_null(s->servers[1][i]);
	assert_ptr_not_equal(s->servers[1][0], s->servers[1][1]);
	assert_null(s->clients[0]);
	for (size_t i = 0; i <= WORKERS; i++)
		assert_non_null(s->clients[1][i]);
	assert_int_equal(s->n_certificates, 1);
	assert_string_equal(s->certificates[0].section, "listener");
	assert_string_equal(s->certificates[0].name, "main");
	assert_string_equal(
	    s->certificates[0].file, certificate_path(dir, "a.crt"));
	assert_true(llabs(s->certificates[0].expires_s -
			(time(NULL) + 365 * DAY)) < DAY);
	assert_int_equal(
	    secure_next_expiry(s, "main"), s->certificates[0].expires_s);
	assert_int_equal(secure_next_expiry(s, "plain"), 0);
	assert_int_equal(secure_next_expiry(NULL, "main"), 0);
}

/* All of all sections, each at its line; what is there already is kept. */
static void
all_that_is_wrong_is_told(void **state)
{
	struct secure *s;

	(void)state;
	assert_int_equal(unlink(certificate_path(dir, "b.crt")), 0);
	assert_int_equal(chmod(certificate_path(dir, "a.key"), 0644), 0);
	loaded = load(
	    MAIN "tls_certificate = DIR/a.crt\ntls_key = DIR/b.key\n"
		 "[listener two]\nbind = 127.0.0.1:9443\npool = web\n" B WEB API
		 "tls_ca = DIR/none.pem\n"
		 "[pool good]\nbackend = https://127.0.0.1:3444\n"
		 "backend = https://127.0.0.1:3445\n"
		 "tls_ca = DIR/a.crt\n"
		 "[route x]\npath = /x\npool = api\n"
		 "[route y]\npath = /y\npool = good\n");
	s = loaded->secure;
	assert_true(s->failed);
	assert_false(loaded_is_good(loaded));
	(void)problems(loaded);
	assert_non_null(strstr(text, "lb.ini:5: [listener main] tls_key: "));
	assert_non_null(
	    strstr(text, "lb.ini:9: [listener two] tls_certificate: "));
	assert_non_null(strstr(text, "lb.ini:17: [pool api] tls_ca: "));
	assert_non_null(strstr(text, certificate_path(dir, "none.pem")));
	assert_null(strstr(text, "[pool good]"));
	assert_null(strstr(text, "warning"));
	assert_null(s->servers[0]);
	assert_null(s->servers[1]);
	assert_null(s->clients[1]);
	assert_non_null(s->clients[2]);
}

/* Nothing is refused for what will only be wrong some day. */
static void
warnings(void **state)
{
	(void)state;
	assert_int_equal(chmod(certificate_path(dir, "b.key"), 0644), 0);
	loaded = load(MAIN A B WEB);
	assert_true(loaded_is_good(loaded));
	(void)problems(loaded);
	assert_non_null(strstr(
	    text, "lb.ini:6: warning: [listener main] tls_certificate: "));
	assert_non_null(
	    strstr(text, "lb.ini:7: warning: [listener main] tls_key: "));
	assert_true(strstr(text, "lb.ini:6: ") < strstr(text, "lb.ini:7: "));
	assert_null(strstr(text, "lb.ini:4: "));
	assert_null(strstr(text, "lb.ini:5: "));
	/* The first that expires. */
	assert_int_equal(loaded->secure->n_certificates, 2);
	assert_true(llabs(secure_next_expiry(loaded->secure, "main") -
			(time(NULL) + 10 * DAY)) < DAY);
}

/* One for the section that names it twice. */
static void
a_certificate_is_listed_once(void **state)
{
	(void)state;
	loaded = load(MAIN A A
	    "[listener two]\nbind = 127.0.0.1:9443\npool = web\n" A WEB);
	assert_true(loaded_is_good(loaded));
	assert_int_equal(loaded->secure->n_certificates, 2);
	assert_string_equal(loaded->secure->certificates[0].name, "main");
	assert_string_equal(loaded->secure->certificates[1].name, "two");
}

/* Equal terms: the same objects, and each pool has its files. */
static void
pools_share(void **state)
{
	struct secure *s;

	(void)state;
	loaded =
	    load(PLAIN WEB API "tls_ca = DIR/a.crt\n"
			       "[pool twin]\nbackend = https://127.0.0.1:3445\n"
			       "tls_ca = DIR/a.crt\n"
			       "[pool lone]\nbackend = https://127.0.0.1:3446\n"
			       "tls_ca = DIR/b.crt\n");
	s = loaded->secure;
	for (size_t i = 0; i <= WORKERS; i++) {
		assert_ptr_equal(s->clients[1][i], s->clients[2][i]);
		assert_ptr_not_equal(s->clients[1][i], s->clients[3][i]);
	}
	assert_int_equal(s->n_files, 3);
	assert_string_equal(s->files[1].name, "twin");
	assert_string_equal(s->files[1].key, "tls_ca");
	assert_string_equal(s->files[1].path, certificate_path(dir, "a.crt"));
	assert_true(s->files[0].digest == s->files[1].digest);
	assert_true(s->files[0].digest != s->files[2].digest);
}

static void
new_content_is_seen(void **state)
{
	char expected[512];

	(void)state;
	loaded = load(MAIN A B WEB API "tls_ca = DIR/a.crt\n");
	other = load(MAIN A B WEB API "tls_ca = DIR/a.crt\n");
	assert_string_equal(changes(), "");
	loaded_release(other);
	assert_true(certificate_write(certificate_path(dir, "a.crt"),
	    certificate_path(dir, "a.key"), 365));
	other = load(MAIN B A WEB API "tls_ca = DIR/a.crt\n");
	(void)snprintf(expected, sizeof(expected),
	    "listener main: tls_certificate %s has new content\n"
	    "listener main: tls_key %s has new content\n",
	    certificate_path(dir, "a.crt"), certificate_path(dir, "a.key"));
	(void)snprintf(expected + strlen(expected),
	    sizeof(expected) - strlen(expected),
	    "pool api: tls_ca %s has new content\n",
	    certificate_path(dir, "a.crt"));
	assert_string_equal(changes(), expected);
	/* What was not there, or is not any more, is the file's to tell. */
	loaded_release(other);
	other = load(MAIN B WEB);
	assert_string_equal(changes(), "");
	assert_false(secure_changed(NULL, other->secure));
	assert_false(secure_changed(other->secure, NULL));
}

/* What the request path goes by. */
static void
compiled(void **state)
{
	struct snapshot s = {.cfg = NULL};

	(void)state;
	loaded = load(PLAIN MAIN A WEB API "tls_verify = off\n");
	assert_true(compile_snapshot(&s, loaded->cfg, WORKERS));
	compile_secure(&s, NULL);
	assert_null(s.listeners[1].tls);
	compile_secure(&s, loaded->secure);
	assert_null(s.listeners[0].tls);
	assert_ptr_equal(s.listeners[1].tls, loaded->secure->servers[1]);
	assert_null(s.pools[0].tls);
	assert_int_equal(s.pools[0].terms.tls, 0);
	assert_ptr_equal(s.pools[1].tls, loaded->secure->clients[1]);
	assert_true(s.pools[1].terms.tls != 0);
	compile_free(&s);
}

/* ---- pages ---- */

static void
pages_tell(void **state)
{
	struct textbuf t = textbuf_make(text, sizeof(text) - 1);
	struct snapshot s = {.cfg = NULL};
	int64_t expires_s;

	(void)state;
	loaded = load(PLAIN MAIN A WEB);
	assert_true(compile_snapshot(&s, loaded->cfg, WORKERS));
	compile_secure(&s, loaded->secure);
	secure_page_put_json(&t, &s, loaded->secure);
	text[t.len] = '\0';
	assert_non_null(strstr(text,
	    ",\"listeners\":[{\"name\":\"plain\",\"tls\":false},"
	    "{\"name\":\"main\",\"tls\":true,\"certificate_expires\":\"2"));
	expires_s = secure_next_expiry(loaded->secure, "main");
	t.len = 0;
	secure_page_put_text(&t, &s, loaded->secure, expires_s - 54 * DAY - 7);
	secure_page_put_text(&t, &s, loaded->secure, expires_s - 3700);
	secure_page_put_text(&t, &s, loaded->secure, expires_s + 2 * DAY);
	text[t.len] = '\0';
	assert_non_null(strstr(
	    text, "listener main, tls, certificate valid for 54 days ("));
	assert_non_null(
	    strstr(text, "listener main, tls, certificate valid for 1 hour ("));
	assert_non_null(strstr(
	    text, "listener main, tls, certificate EXPIRED 2 days ago ("));
	assert_null(strstr(text, "plain"));
	compile_free(&s);
}

static void
metrics_tell(void **state)
{
	struct textbuf t = textbuf_make(text, sizeof(text) - 1);
	char expected[512];

	(void)state;
	loaded = load(MAIN A WEB);
	secure_page_put_expiries(&t, loaded->secure);
	text[t.len] = '\0';
	(void)snprintf(expected, sizeof(expected),
	    "\nevenkeel_tls_certificate_expiry_timestamp_seconds{"
	    "section=\"listener\",name=\"main\",file=\"%s\"} %lld\n",
	    certificate_path(dir, "a.crt"),
	    (long long)loaded->secure->certificates[0].expires_s);
	assert_non_null(strstr(text, expected));
	t.len = 0;
	/* A family is there also without samples. */
	secure_page_put_expiries(&t, NULL);
	text[t.len] = '\0';
	assert_non_null(strstr(text, "# HELP evenkeel_tls_certificate_expiry"));
	assert_null(strstr(text, "{"));
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH(without_tls),
	    WITH(one_for_each_thread),
	    WITH(all_that_is_wrong_is_told),
	    WITH(warnings),
	    WITH(a_certificate_is_listed_once),
	    WITH(pools_share),
	    WITH(new_content_is_seen),
	    WITH(compiled),
	    WITH(pages_tell),
	    WITH(metrics_tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
