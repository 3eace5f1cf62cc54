/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "evenkeel/config/option.h"
#include "evenkeel/net/inifile.h"
#include "evenkeel/net/tls_context.h"

#define BROKEN       "test/ini/broken"
#define EXPECTED     "test/ini/broken.expected"
#define TEXT_MAX     (1 << 18)
#define BROKEN_LEAST 110

#define WEB  "[listener web]\nbind = 127.0.0.1:8080\n"
#define POOL "[pool web]\nbackend = 127.0.0.1:3001, 127.0.0.1:3002\n"

#define POOL_KEYS                                                             \
	"backend, resolve, balance, hash_on, queue_timeout, queue_size, "     \
	"host_header, tls_verify, tls_ca, tls_server_name, tls_certificate, " \
	"tls_key, proxy_protocol, connect_timeout, response_timeout, "        \
	"stream_timeout, request_timeout, max_header_size, max_headers, "     \
	"keepalive, keepalive_timeout, slow_start, retry_attempts, "          \
	"retry_on, retry_base, retry_cap, retry_jitter, retry_first_wait, "   \
	"retry_budget, retry_budget_min, retry_non_idempotent, "              \
	"retry_body_limit, attempt_timeout, health, health_path, "            \
	"health_method, health_host, health_status, health_body, "            \
	"health_port, health_interval, health_interval_down, "                \
	"health_timeout, health_rise, health_fall, health_initial, "          \
	"eject_failures, eject_base, eject_cap, eject_max"

static char text[TEXT_MAX], expected[TEXT_MAX];

/* The problems of a text, as lines of file "f". */
static const char *
problems_of(struct span ini)
{
	struct textbuf t = textbuf_make(text, sizeof(text) - 1);
	struct inifile f;
	bool error = false;

	assert_true(inifile_parse(&f, ini));
	assert_false(f.no_memory);
	cfg_put_problems(&t, "f", f.problems);
	for (const struct cfg_problem *p = f.problems; p; p = p->next)
		error = error || p->severity == CFG_ERROR;
	assert_int_equal(f.cfg == NULL, error);
	assert_false(t.full);
	text[t.len] = '\0';
	inifile_free(&f);
	return text;
}

static void
well_formed_texts(void **state)
{
	static const char *const texts[] = {
	    WEB POOL,
	    POOL WEB,
	    /* No end of the last line. */
	    WEB POOL "keepalive = 1",
	    "\xef\xbb\xbf" WEB POOL,
	    "\xef\xbb\xbf[global]\r\nworkers = 2\r\n\r\n" WEB POOL,
	    "[listener web]\r\nbind = *:80\r\n[pool web]\r\n"
	    "backend = a:1,b:1\r",
	    "   [listener web]\n\tbind = *:80\n  [pool web]   \n"
	    "\t \tbackend=a:1,b:1\t\n",
	    "[listener  \t web]\nbind=*:80\n[ pool web ]\nbackend=a:1,b:1\n",
	    "; c\n# c\n  ; c\n\t# c\n" WEB "; c\n" POOL "keepalive = 1 ; c\n"
	    "balance = round_robin\t# c\n",
	    "[listener web] ; c\nbind = *:80 # c\n" POOL,
	    ";\xff\xfe latin\n" WEB POOL,
	    WEB POOL "; [pool web]\n#[pool web]\n",
	    "\n\n\n" WEB "\n \n\t\n" POOL "\n\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_string_equal(problems_of(span_of(texts[i])), "");
}

static void
comments_need_white_space(void **state)
{
	struct inifile f;
	struct span ini = SPAN("[global]\nlog = /a;b#c ;d\n"
			       "access_log = /x=[y]\tz #\n" WEB POOL);

	(void)state;
	assert_true(inifile_parse(&f, ini));
	assert_non_null(f.cfg);
	assert_string_equal(f.cfg->global.log, "/a;b#c");
	assert_string_equal(f.cfg->global.access_log, "/x=[y]\tz");
	inifile_free(&f);
}

/* A file whose line 4 is `n` bytes. */
static const char *
problems_with_line_of(size_t n)
{
	static char ini[8192];
	struct textbuf t = textbuf_make(ini, sizeof(ini));

	textbuf_lit(&t, WEB "[global]\nlog = /");
	for (size_t i = 7; i < n; i++)
		textbuf_byte(&t, i < 500 ? 'x' : ' ');
	textbuf_lit(&t, "\r\n" POOL);
	assert_false(t.full);
	return problems_of(textbuf_span(&t));
}

static void
lines_have_4096_bytes(void **state)
{
	(void)state;
	assert_string_equal(problems_with_line_of(4096), "");
	assert_string_equal(problems_with_line_of(4097),
	    "f:4: [global] \"log = /xxxxxxxxxxxxx\": the line is too long; "
	    "allowed: at most 4096 bytes\n");
}

static void
names_have_48_bytes(void **state)
{
	(void)state;
	assert_string_equal(
	    problems_of(
		SPAN(WEB "[pool 6789012345678901234567890123456789012345678]\n"
			 "backend = a:1,b:1\n")),
	    "");
	assert_string_equal(
	    problems_of(SPAN(WEB POOL
		"k23456789012345678901234567890123456789012345678 = 1\n")),
	    "f:5: [pool web] "
	    "k23456789012345678901234567890123456789012345678: unknown key; "
	    "allowed: " POOL_KEYS "\n");
}

static void
line_numbers_are_of_physical_lines(void **state)
{
	(void)state;
	assert_string_equal(problems_of(SPAN("\xef\xbb\xbf\r\n; c\r\n" WEB
					     "\n\n" POOL "\r\nx=1\r\n")),
	    "f:10: [pool web] x: unknown key; allowed: " POOL_KEYS "\n");
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of the broken files, in order; the caller frees them. */
static size_t
broken_names(char **names, size_t max)
{
	DIR *dir = opendir(BROKEN);
	const struct dirent *d;
	size_t n = 0;

	assert_non_null(dir);
	while ((d = readdir(dir)) != NULL) {
		if (d->d_name[0] == '.')
			continue;
		assert_true(n < max);
		names[n] = strdup(d->d_name);
		assert_non_null(names[n++]);
	}
	closedir(dir);
	qsort(names, n, sizeof(*names), by_name);
	return n;
}

/* Every error tells what would be right. */
static void
assert_helpful(const struct cfg_problem *p)
{
	if (strstr(p->text, "allowed: ") == NULL &&
	    strstr(p->text, "(did you mean ") == NULL &&
	    strstr(p->text, "required") == NULL)
		fail_msg("not helpful: %s", p->text);
	assert_null(strchr(p->text, '\n'));
}

static void
put_broken(struct textbuf *t, const char *name)
{
	struct textbuf none = textbuf_make(NULL, 0);
	struct inifile f;
	char path[512];

	(void)snprintf(path, sizeof(path), BROKEN "/%s", name);
	assert_true(inifile_read(&f, path, &none));
	assert_false(f.no_memory);
	if (f.cfg != NULL)
		fail_msg("%s is not broken", name);
	assert_non_null(f.problems);
	for (const struct cfg_problem *p = f.problems; p; p = p->next)
		assert_helpful(p);
	cfg_put_problems(t, name, f.problems);
	inifile_free(&f);
}

static void
read_expected(void)
{
	FILE *f = fopen(EXPECTED, "rb");
	size_t n;

	assert_non_null(f);
	n = fread(expected, 1, sizeof(expected) - 1, f);
	expected[n] = '\0';
	fclose(f);
}

/* The line at which the first difference is, for a message one can use. */
static void
assert_same_lines(const char *have, const char *want)
{
	while (*have != '\0' || *want != '\0') {
		size_t n = strcspn(have, "\n"), m = strcspn(want, "\n");

		if (n != m || memcmp(have, want, n) != 0)
			fail_msg("\nhave %.*s\nwant %.*s", (int)n, have, (int)m,
			    want);
		have += n + (have[n] == '\n');
		want += m + (want[m] == '\n');
	}
}

static void
broken_files_are_explained(void **state)
{
	struct textbuf t = textbuf_make(text, sizeof(text) - 1);
	char *names[256];
	size_t n = broken_names(names, 256);

	(void)state;
	assert_true(n >= BROKEN_LEAST);
	for (size_t i = 0; i < n; i++) {
		put_broken(&t, names[i]);
		free(names[i]);
	}
	assert_false(t.full);
	text[t.len] = '\0';
	read_expected();
	assert_same_lines(text, expected);
}

static void
example_is_valid(void **state)
{
	struct textbuf none = textbuf_make(NULL, 0);
	struct inifile f;

	(void)state;
	assert_true(inifile_read(&f, "lb.ini", &none));
	assert_non_null(f.cfg);
	assert_null(f.problems);
	assert_int_equal(f.cfg->n_listeners, 1);
	assert_string_equal(
	    f.cfg->listeners[0].binds[0].text, "127.0.0.1:8080");
	assert_true(f.cfg->admin.present);
	assert_int_equal(f.cfg->n_pools, 1);
	assert_int_equal(f.cfg->pools[0].n_backends, 3);
	assert_string_equal(
	    f.cfg->pools[0].backends[2].addr.text, "127.0.0.1:3003");
	inifile_free(&f);
}

/* "; key = value" or "; [section]": an option of the example that is off. */
static bool
is_off(const char *line)
{
	size_t n;

	if (strncmp(line, "; ", 2) != 0)
		return false;
	n = strspn(line + 2, "abcdefghijklmnopqrstuvwxyz_");
	return line[2] == '[' || strncmp(line + 2 + n, " = ", 3) == 0;
}

static void
example_is_valid_with_all_that_is_off(void **state)
{
	static char ini[TEXT_MAX];
	FILE *in = fopen("lb.ini", "rb");
	struct textbuf t = textbuf_make(ini, sizeof(ini));
	struct inifile f;
	char line[256];

	(void)state;
	assert_non_null(in);
	while (fgets(line, sizeof(line), in) != NULL)
		textbuf_str(&t, is_off(line) ? line + 2 : line);
	fclose(in);
	assert_string_equal(problems_of(textbuf_span(&t)), "");
	assert_true(inifile_parse(&f, textbuf_span(&t)));
	assert_non_null(f.cfg);
	assert_int_equal(f.cfg->n_routes, 1);
	assert_int_equal(f.cfg->pools[0].n_backends, 8);
	assert_int_equal(f.cfg->n_listeners, 3);
	assert_int_equal(f.cfg->listeners[1].n_tls_certificates, 2);
	assert_int_equal(f.cfg->listeners[2].redirect_port, 443);
	assert_string_equal(f.cfg->global.control, "/run/evenkeel.sock");
	inifile_free(&f);
}

/* The words of OpenSSL, with commas, in the help of the option. */
static void
assert_documented(const char *key, const char *ciphers)
{
	const struct option *o = option_find(OPTION_LISTENER, span_of(key));
	char room[512];
	struct textbuf t = textbuf_make(room, sizeof(room) - 1);

	assert_non_null(o);
	textbuf_lit(&t, "Without it: ");
	for (const char *c = ciphers; *c != '\0'; c++)
		if (*c == ':')
			textbuf_lit(&t, ", ");
		else
			textbuf_byte(&t, *c);
	textbuf_byte(&t, '.');
	assert_false(t.full);
	room[t.len] = '\0';
	assert_non_null(strstr(o->help, room));
}

static void
default_ciphers_are_documented(void **state)
{
	(void)state;
	assert_documented("tls_ciphers", TLS_CIPHERS);
	assert_documented("tls_ciphersuites", TLS_CIPHERSUITES);
}

static void
assert_unreadable(const char *path, int error, const char *why)
{
	char room[512];
	struct textbuf t = textbuf_make(room, sizeof(room) - 1);
	struct inifile f;

	errno = 0;
	assert_false(inifile_read(&f, path, &t));
	assert_int_equal(errno, error);
	assert_false(t.full);
	room[t.len] = '\0';
	assert_string_equal(room, why);
}

static void
unreadable_files(void **state)
{
	char path[] = "/tmp/evenkeel-test-XXXXXX", want[128];
	int fd = mkstemp(path);

	(void)state;
	assert_unreadable("test/nowhere.ini", ENOENT,
	    "test/nowhere.ini: No such file or directory");
	assert_unreadable("test", EISDIR, "test: is a directory, not a file");
	assert_unreadable(
	    "/dev/null", EINVAL, "/dev/null: is not a regular file");
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (64 << 20) + 1), 0);
	(void)snprintf(want, sizeof(want), "%s: is larger than 64 MiB", path);
	assert_unreadable(path, EFBIG, want);
	close(fd);
	unlink(path);
	/* A FIFO that nobody writes to must not keep us waiting. */
	assert_int_equal(mkfifo(path, 0600), 0);
	(void)snprintf(want, sizeof(want), "%s: is not a regular file", path);
	assert_unreadable(path, EINVAL, want);
	unlink(path);
}

/* Every prefix of a file, and every file with one byte changed, is taken or
 * refused with a reason; problems_of asserts that it is one of them. */
static void
damaged_texts_are_survived(void **state)
{
	static const char good[] = "\xef\xbb\xbf[global]\r\nworkers = 2 ; x\n"
				   "[listener web]\nbind = [::1]:80, *:81\n"
				   "[route r]\nhost = *.a.b\npool = web\n"
				   "[pool web]\nbackend = a:1 weight=2\n";
	static const char bytes[] = {'\0', '\n', '[', ']', '=', ';', '#', ',',
	    ':', ' ', '\t', '\r', '9', '\xff', '-', '"'};
	char copy[sizeof(good)];

	(void)state;
	for (size_t i = 0; i < sizeof(good); i++)
		(void)problems_of(span_make(good, i));
	for (size_t i = 0; i < sizeof(good) - 1; i++)
		for (size_t k = 0; k < sizeof(bytes); k++) {
			memcpy(copy, good, sizeof(good));
			copy[i] = bytes[k];
			(void)problems_of(span_make(copy, sizeof(good) - 1));
		}
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Under 50 ms in a release build; with sanitizers, far from the seconds that
 * a comparison of every pair would take. */
static void
many_backends_are_quick(void **state)
{
	size_t size = 1 << 20;
	char *ini = malloc(size);
	struct textbuf t = textbuf_make(ini, size);
	struct inifile f;
	double begin;

	(void)state;
	assert_non_null(ini);
	textbuf_lit(&t, WEB "[pool web]\n");
	for (unsigned i = 0; i < 10000; i++) {
		textbuf_lit(&t, "backend = host-");
		textbuf_u64(&t, i);
		textbuf_lit(&t, ".example.com:3000 name=n");
		textbuf_u64(&t, i);
		textbuf_lit(&t, "\n");
	}
	assert_false(t.full);
	begin = seconds();
	assert_true(inifile_parse(&f, textbuf_span(&t)));
	assert_true(seconds() - begin < 1);
	assert_non_null(f.cfg);
	assert_int_equal(f.cfg->pools[0].n_backends, 10000);
	inifile_free(&f);
	free(ini);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(well_formed_texts),
	    cmocka_unit_test(comments_need_white_space),
	    cmocka_unit_test(lines_have_4096_bytes),
	    cmocka_unit_test(names_have_48_bytes),
	    cmocka_unit_test(line_numbers_are_of_physical_lines),
	    cmocka_unit_test(broken_files_are_explained),
	    cmocka_unit_test(example_is_valid),
	    cmocka_unit_test(example_is_valid_with_all_that_is_off),
	    cmocka_unit_test(default_ciphers_are_documented),
	    cmocka_unit_test(unreadable_files),
	    cmocka_unit_test(damaged_texts_are_survived),
	    cmocka_unit_test(many_backends_are_quick),
	};

	return cmocka_run_group_tests_name("inifile", tests, NULL, NULL);
}
