/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "evenkeel/control/admin.h"
#include "evenkeel/net/log_ring.h"
#include "loop_until.h"

#define FILES 1024

static char dir[64], path[96];
static struct log *logs;
static struct log_ring *ring;
static struct inherit nothing = {.ready_fd = -1};
static struct admin admin;
static char why_bytes[256];
static struct textbuf why;
static unsigned asked;

static void
on_request(const struct httpd_request *r, struct httpd_answer *a, void *arg)
{
	(void)r;
	assert_ptr_equal(arg, &asked);
	asked++;
	textbuf_lit(a->body, "hello");
}

static const struct httpd_ops ops = {.on_request = on_request};

static int
begin(void **state)
{
	struct log_options o = {.access = "off", .level = LOG_LEVEL_INFO};

	why = textbuf_make(why_bytes, sizeof(why_bytes));
	(void)snprintf(dir, sizeof(dir), "/tmp/test_admin.XXXXXX");
	if (mkdtemp(dir) == NULL || open_loop(state) != 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/log", dir);
	o.log = path;
	logs = log_create(&o, &why);
	ring = logs == NULL ? NULL : log_ring_create(logs, "main");
	admin_init(&admin, loop, &nothing, ring);
	admin_serve(&admin, &ops, &asked);
	asked = 0;
	return ring != NULL ? 0 : -1;
}

static int
end(void **state)
{
	admin_close(&admin);
	admin_close(&admin);
	loop_bury_all(loop);
	log_free(logs);
	(void)unlink(path);
	(void)rmdir(dir);
	return close_loop(state);
}

static struct cfg_admin
at_port(const char *host, uint16_t port)
{
	return (struct cfg_admin){.present = true,
	    .listen = {.kind = CFG_ADDR_INET4, .host = host, .port = port}};
}

static void
put(const struct cfg_admin *cfg)
{
	struct admin next;

	assert_true(admin_prepare(&next, &admin, cfg, &why));
	admin_commit(&admin, &next);
	loop_bury_all(loop);
}

static size_t
open_files(void)
{
	size_t n = 0;

	for (int fd = 0; fd < FILES; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int
connected(const struct address *a)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (connect(fd, &a->u.any, a->len) == 0)
		return fd;
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
	return -1;
}

static bool
listens(const struct address *a)
{
	int fd = connected(a);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void
ask(int fd)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
	unsigned before = asked;

	assert_int_equal(
	    send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL), sizeof(text) - 1);
	TURN_UNTIL(asked > before);
}

static size_t
messages(void)
{
	struct log_line line;
	size_t n = 0;

	for (; log_ring_peek(ring, log_ring_mark(ring), &line); n++)
		log_ring_pop(ring, &line);
	return n;
}

static const struct cfg_admin none;

static void
there_is_one(void **state)
{
	struct cfg_admin cfg = at_port("127.0.0.1", 0);
	int fd;

	(void)state;
	put(&none);
	assert_null(admin.httpd);
	assert_int_equal(messages(), 0);
	put(&cfg);
	assert_int_not_equal(address_port(&admin.bound), 0);
	assert_int_equal(messages(), 1);
	fd = connected(&admin.bound);
	assert_true(fd >= 0);
	ask(fd);
	close(fd);
}

/* The same once more: who is connected stays so. */
static void
the_same_is_kept(void **state)
{
	struct cfg_admin cfg = at_port("127.0.0.1", 0);
	struct address before;
	struct httpd *httpd;
	size_t files;
	int fd;

	(void)state;
	put(&cfg);
	before = admin.bound;
	httpd = admin.httpd;
	files = open_files();
	fd = connected(&before);
	ask(fd);
	messages();
	put(&cfg);
	assert_ptr_equal(admin.httpd, httpd);
	assert_true(address_equal(&admin.bound, &before));
	assert_int_equal(messages(), 0);
	ask(fd);
	close(fd);
	TURN_UNTIL(open_files() == files);
}

static void
it_moves_and_goes(void **state)
{
	struct cfg_admin cfg = at_port("127.0.0.1", 0);
	struct address before, after;
	struct admin next;
	size_t files;

	(void)state;
	files = open_files();
	put(&cfg);
	before = admin.bound;
	cfg.listen.host = "127.0.0.2";
	assert_true(admin_prepare(&next, &admin, &cfg, &why));
	/* Both, until it is in force. */
	assert_true(listens(&before) && listens(&next.bound));
	messages();
	admin_commit(&admin, &next);
	loop_bury_all(loop);
	after = admin.bound;
	assert_false(listens(&before));
	assert_true(listens(&after));
	assert_int_equal(messages(), 1);
	put(&none);
	assert_null(admin.httpd);
	assert_false(listens(&after));
	assert_int_equal(open_files(), files);
	/* Again at the address it had: nobody keeps that. */
	put(&cfg);
	assert_true(listens(&admin.bound));
}

static void
rolled_back(void **state)
{
	struct cfg_admin cfg = at_port("127.0.0.1", 0);
	struct cfg_admin other = at_port("127.0.0.2", 0);
	struct address bound;
	struct admin next;
	size_t files;

	(void)state;
	put(&cfg);
	files = open_files();
	assert_true(admin_prepare(&next, &admin, &other, &why));
	bound = next.bound;
	assert_true(listens(&bound));
	admin_rollback(&next, &admin);
	loop_bury_all(loop);
	assert_false(listens(&bound));
	assert_true(listens(&admin.bound));
	assert_int_equal(open_files(), files);
	/* What is kept, and what would go, too, stays. */
	assert_true(admin_prepare(&next, &admin, &cfg, &why));
	admin_rollback(&next, &admin);
	assert_true(admin_prepare(&next, &admin, &none, &why));
	admin_rollback(&next, &admin);
	assert_true(listens(&admin.bound));
	assert_int_equal(open_files(), files);
}

static void
in_use(void **state)
{
	struct cfg_admin cfg = at_port("127.0.0.1", 0), taken;
	struct address a = {.len = 0};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct admin next;
	size_t files;

	(void)state;
	put(&cfg);
	a = admin.bound;
	address_set_port(&a, 0);
	assert_int_equal(bind(fd, &a.u.any, a.len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_true(address_of_socket(&a, fd));
	files = open_files();
	taken = at_port("127.0.0.1", address_port(&a));
	assert_false(admin_prepare(&next, &admin, &taken, &why));
	assert_non_null(memmem(why.ptr, why.len, "Address already in use", 22));
	assert_int_equal(open_files(), files);
	assert_true(listens(&admin.bound));
	close(fd);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH(there_is_one),
	    WITH(the_same_is_kept),
	    WITH(it_moves_and_goes),
	    WITH(rolled_back),
	    WITH(in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
