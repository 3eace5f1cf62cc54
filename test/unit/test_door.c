/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <sys/un.h>

#include "evenkeel/control/door.h"
#include "loop_until.h"

static char dir[64], path[DOOR_PATH_BYTES], beside[DOOR_PATH_BYTES + 1];
static char why_bytes[256];
static struct textbuf why;
static unsigned answered[2];

static void
on_request(const struct httpd_request *r, struct httpd_answer *a, void *arg)
{
	unsigned *n = arg;

	(void)r;
	(*n)++;
	textbuf_lit(a->body, "here\n");
}

static const struct httpd_ops ops = {.on_request = on_request};

static int
set_up(void **state)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/test_door.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/c", dir);
	(void)snprintf(beside, sizeof(beside), "%s~", path);
	why = textbuf_make(why_bytes, sizeof(why_bytes) - 1);
	answered[0] = answered[1] = 0;
	return open_loop(state);
}

static int
tear_down(void **state)
{
	return close_loop(state) == 0 ? rmdir(dir) : -1;
}

static struct door
door_of(unsigned who)
{
	return (struct door){
	    .path = path, .loop = loop, .ops = &ops, .arg = &answered[who]};
}

/* Asks at the path, and is answered by that one. */
static void
assert_answers(unsigned who)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unsigned before = answered[who], other = answered[1 - who];

	assert_true(fd >= 0);
	memcpy(un.sun_path, path, strlen(path) + 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(
	    send(fd, request, sizeof(request) - 1, 0), sizeof(request) - 1);
	TURN_UNTIL(answered[who] == before + 1);
	assert_int_equal(answered[1 - who], other);
	close(fd);
}

static void
one_takes_over_from_another(void **state)
{
	struct door old = door_of(0), new = door_of(1);
	struct stat st;

	(void)state;
	assert_true(door_open(&old, false, &why));
	assert_true(door_take(&old));
	assert_true(door_is_ours(&old));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_answers(0);
	assert_true(door_open(&new, true, &why));
	assert_false(door_is_ours(&new));
	assert_int_equal(access(beside, F_OK), 0);
	assert_answers(0);
	assert_true(door_take(&new));
	assert_int_equal(access(beside, F_OK), -1);
	assert_answers(1);
	assert_true(door_is_ours(&new));
	assert_false(door_is_ours(&old));
	/* The old one does not take the file of the new one away. */
	door_retire(&old);
	door_close(&old);
	assert_answers(1);
	door_close(&new);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(why.len, 0);
}

static void
one_that_gives_up_leaves_nothing(void **state)
{
	struct door old = door_of(0), new = door_of(1);

	(void)state;
	assert_true(door_open(&old, false, &why));
	assert_true(door_open(&new, true, &why));
	door_close(&new);
	assert_int_equal(access(beside, F_OK), -1);
	assert_answers(0);
	/* One that crashed is no obstacle to the next. */
	assert_true(door_open(&new, true, &why));
	httpd_free(new.httpd);
	assert_int_equal(access(beside, F_OK), 0);
	door_sweep(&old);
	assert_int_equal(access(beside, F_OK), -1);
	assert_answers(0);
	new = door_of(1);
	assert_true(door_open(&new, true, &why));
	httpd_free(new.httpd);
	new = door_of(1);
	assert_true(door_open(&new, true, &why));
	assert_true(door_take(&new));
	assert_answers(1);
	door_close(&old);
	door_close(&new);
}

static void
the_longest_path_has_no_room_beside(void **state)
{
	struct door old = door_of(0), new = door_of(1);
	size_t len = strlen(path);

	(void)state;
	memset(path + len, 'x', sizeof(path) - 1 - len);
	path[sizeof(path) - 1] = '\0';
	assert_true(door_open(&old, false, &why));
	assert_answers(0);
	assert_true(door_open(&new, true, &why));
	assert_true(door_take(&new));
	assert_answers(1);
	door_close(&old);
	door_close(&new);
	assert_int_equal(access(path, F_OK), -1);
}

static void
a_refusal_says_why(void **state)
{
	struct door d = door_of(0);

	(void)state;
	d.path = "/nonexistent/c";
	assert_false(door_open(&d, false, &why));
	why_bytes[why.len] = '\0';
	assert_string_equal(
	    why_bytes, "unix:/nonexistent/c: No such file or directory");
	door_close(&d);
}

#define LOOPED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    LOOPED(one_takes_over_from_another),
	    LOOPED(one_that_gives_up_leaves_nothing),
	    LOOPED(the_longest_path_has_no_room_beside),
	    LOOPED(a_refusal_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
