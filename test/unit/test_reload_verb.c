/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "evenkeel/control/reload_verb.h"

#define LENGTH  "HTTP/1.1 200 OK\r\nContent-Length: "
#define NUMBER  LENGTH "2\r\n\r\n7\n"
#define PENDING LENGTH "8\r\n\r\npending\n"
#define ASKED   "GET /reload?number=7 HTTP/1.1\r\n"

/* A process that gives these answers, one a connection, and ends. */
struct peer_script {
	const char *const *answers; /* NULL at the end */
	int fd;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	char folder[32];
	char requests[64][256]; /* that came */
	unsigned n;
};

static struct peer_script script;
static char said[8 << 20], complained[8 << 20];
static int code;

/* All of a request: up to its empty line. */
static void
take_request(int fd, char *bytes, size_t cap)
{
	size_t len = 0;

	while (len + 1 < cap) {
		ssize_t n = recv(fd, bytes + len, cap - 1 - len, 0);

		if (n <= 0)
			break;
		len += (size_t)n;
		bytes[len] = '\0';
		if (strstr(bytes, "\r\n\r\n") != NULL)
			break;
	}
}

static void *
peer_thread(void *arg)
{
	struct peer_script *p = arg;

	for (const char *const *a = p->answers; *a != NULL; a++) {
		int fd = accept(p->fd, NULL, NULL);
		size_t left = strlen(*a);
		const char *at = *a;

		take_request(
		    fd, p->requests[p->n % 64], sizeof(p->requests[0]));
		p->n++;
		while (left > 0) {
			ssize_t n = send(fd, at, left, MSG_NOSIGNAL);

			if (n <= 0)
				break;
			at += n;
			left -= (size_t)n;
		}
		close(fd);
	}
	close(p->fd);
	return NULL;
}

/* What went there, and the stream as it was before. */
static void
restore(FILE *stream, int fd, int kept, char *text, size_t cap)
{
	ssize_t n;

	fflush(stream);
	n = pread(fd, text, cap - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	dup2(kept, fileno(stream));
	close(kept);
	close(fd);
}

/* Sends a stream into a file; returns the descriptor it had. */
static int
redirect(FILE *stream, int *file)
{
	char name[] = "/tmp/evenkeel-test.XXXXXX";
	int kept;

	fflush(stream);
	*file = mkstemp(name);
	assert_true(*file >= 0);
	unlink(name);
	kept = dup(fileno(stream));
	dup2(*file, fileno(stream));
	return kept;
}

static void
run_verb(void)
{
	int out, err, out_kept, err_kept;

	out_kept = redirect(stdout, &out);
	err_kept = redirect(stderr, &err);
	code = reload_verb_run(script.path);
	restore(stdout, out, out_kept, said, sizeof(said));
	restore(stderr, err, err_kept, complained, sizeof(complained));
}

/* The verb, where somebody gives these answers. */
static void
play(const char *const *answers)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	pthread_t thread;

	script = (struct peer_script){
	    .answers = answers, .folder = "/tmp/evenkeel-test.XXXXXX"};
	assert_non_null(mkdtemp(script.folder));
	snprintf(script.path, sizeof(script.path), "%s/ctl", script.folder);
	memcpy(a.sun_path, script.path, sizeof(a.sun_path));
	script.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(script.fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(script.fd, 8), 0);
	assert_int_equal(
	    pthread_create(&thread, NULL, peer_thread, &script), 0);
	run_verb();
	pthread_join(thread, NULL);
	unlink(script.path);
	rmdir(script.folder);
}

#define PLAY(...) play((const char *const[]){__VA_ARGS__, NULL})

static void
applied(void **state)
{
	(void)state;
	PLAY(NUMBER, PENDING, PENDING,
	    LENGTH "21\r\n\r\napplied\npool web: +b\n");
	assert_int_equal(code, 0);
	assert_string_equal(said, "pool web: +b\n");
	assert_string_equal(complained, "");
	assert_int_equal(script.n, 4);
	assert_int_equal(
	    strncmp(script.requests[0], "POST /reload HTTP/1.1\r\n", 23), 0);
	for (unsigned i = 1; i < script.n; i++)
		assert_int_equal(
		    strncmp(script.requests[i], ASKED, strlen(ASKED)), 0);
}

static void
applied_without_a_difference(void **state)
{
	(void)state;
	PLAY(NUMBER, LENGTH "8\r\n\r\napplied\n");
	assert_int_equal(code, 0);
	assert_string_equal(said, "nothing has changed\n");
}

static void
refused(void **state)
{
	(void)state;
	PLAY(NUMBER,
	    LENGTH "38\r\n\r\nrefused\nlb.ini:3: bad\nlb.ini:4: worse\n");
	assert_int_equal(code, 2);
	assert_string_equal(said, "");
	assert_string_equal(complained,
	    "lb.ini:3: bad\nlb.ini:4: worse\n"
	    "evenkeel: refused; the configuration before stays in force\n");
}

static void
a_long_text_is_whole(void **state)
{
	size_t n = 5 << 20;
	char *answer = malloc(n + 100);
	int head = snprintf(answer, 100, LENGTH "%zu\r\n\r\napplied\n", n + 8);

	(void)state;
	memset(answer + head, 'd', n);
	answer[head + (int)n] = '\0';
	PLAY(NUMBER, answer);
	assert_int_equal(code, 0);
	assert_int_equal(strlen(said), n);
	free(answer);
}

static void
nobody_is_there(void **state)
{
	(void)state;
	snprintf(script.path, sizeof(script.path), "/nonexistent/ctl");
	run_verb();
	assert_int_equal(code, 1);
	assert_string_equal(complained,
	    "evenkeel: nobody is running: no answer at /nonexistent/ctl "
	    "(or its socket is another: -c FILE, --control PATH)\n");
}

/* Between two questions, and within an answer. */
static void
it_ends_meanwhile(void **state)
{
	(void)state;
	PLAY(NUMBER, PENDING);
	assert_int_equal(code, 1);
	assert_non_null(strstr(complained, "nobody is running any more"));
	PLAY(NUMBER, "");
	assert_int_equal(code, 1);
	assert_non_null(strstr(complained, "nobody is running any more"));
	PLAY(NUMBER, LENGTH "100\r\n\r\napplied\npool web: ");
	assert_int_equal(code, 1);
	assert_string_equal(said, "");
	assert_non_null(strstr(complained, "nobody is running any more"));
}

/* One answer that is lost is not the end. */
static void
a_question_is_asked_again(void **state)
{
	(void)state;
	PLAY(NUMBER, "", "", PENDING, "", "", LENGTH "8\r\n\r\napplied\n");
	assert_int_equal(code, 0);
	PLAY(NUMBER, "", "", "");
	assert_int_equal(code, 1);
	assert_non_null(strstr(complained, "what has come of the reload"));
}

static void
another_evenkeel_answers(void **state)
{
	(void)state;
	PLAY(NUMBER,
	    "HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\n404: none\n");
	assert_int_equal(code, 1);
	assert_string_equal(complained, "evenkeel: 404: none\n");
	PLAY("HTTP/1.1 405 Not Allowed\r\nContent-Length: 8\r\n\r\n405: no\n");
	assert_int_equal(code, 1);
	assert_string_equal(complained, "evenkeel: 405: no\n");
}

static void
answers_that_are_none(void **state)
{
	(void)state;
	PLAY(LENGTH "2\r\n\r\nx\n");
	assert_int_equal(code, 1);
	assert_non_null(strstr(complained, "another version"));
	PLAY(NUMBER, LENGTH "5\r\n\r\nwhat\n");
	assert_int_equal(code, 1);
	assert_non_null(strstr(complained, "another version"));
	PLAY("\x1b[2Jgarbage");
	assert_int_equal(code, 1);
	assert_null(strchr(complained, '\x1b'));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(applied),
	    cmocka_unit_test(applied_without_a_difference),
	    cmocka_unit_test(refused),
	    cmocka_unit_test(a_long_text_is_whole),
	    cmocka_unit_test(nobody_is_there),
	    cmocka_unit_test(it_ends_meanwhile),
	    cmocka_unit_test(a_question_is_asked_again),
	    cmocka_unit_test(another_evenkeel_answers),
	    cmocka_unit_test(answers_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
