/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "evenkeel/control/binds.h"
#include "evenkeel/control/registry.h"
#include "evenkeel/net/log_ring.h"
#include "loaded_text.h"

#define WORKERS 2
#define POOL    "[pool web]\nbackend = 127.0.0.1:3001\n"
#define FILES   1024

static char dir[64], path[96], path2[96];
static struct log *logs;
static struct log_ring *ring;
static char said[4096];
static struct worker workers[WORKERS];
static struct worker *all[WORKERS] = {&workers[0], &workers[1]};
static struct registry *registry;
static struct binds binds;
static struct inherit nothing = {.ready_fd = -1};
/* What each worker has. */
static struct worker_bind *lists[WORKERS];
static size_t n_lists[WORKERS];
static char why_bytes[2048];

/* ---- what is there ---- */

static size_t
open_files(void)
{
	size_t n = 0;

	for (int fd = 0; fd < FILES; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static bool
reaches(const struct sockaddr *a, socklen_t len)
{
	int fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool good;

	assert_true(fd >= 0);
	good = connect(fd, a, len) == 0;
	assert_true(good || errno == ECONNREFUSED || errno == ENOENT);
	close(fd);
	return good;
}

static bool
listens(uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};

	return reaches((struct sockaddr *)&in, sizeof(in));
}

static bool
listens_at(const char *file)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", file);
	return reaches((struct sockaddr *)&un, sizeof(un));
}

/* A port that nobody has, and that stays so: it is not one the system gives to
 * whom asks for any. */
static uint16_t
free_port(void)
{
	static uint16_t last;
	struct sockaddr_in in = {.sin_family = AF_INET};

	if (last == 0)
		last = (uint16_t)(12000 + getpid() % 15000);
	for (int i = 0; i < 1000; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		bool good;

		in.sin_port = htons(++last);
		good = bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0;
		close(fd);
		if (good)
			return last;
	}
	fail_msg("no free port");
	return 0;
}

/* The messages since the last time, a line each. */
static const char *
heard(void)
{
	struct log_line line;

	said[0] = '\0';
	while (log_ring_peek(ring, log_ring_mark(ring), &line)) {
		size_t len = strlen(said);

		snprintf(said + len, sizeof(said) - len, "%.*s%.*s",
		    (int)line.first.len, line.first.ptr, (int)line.second.len,
		    line.second.ptr);
		log_ring_pop(ring, &line);
	}
	return said;
}

static void
assert_heard(const char *what, const struct address *a)
{
	char text[ADDRESS_TEXT_BYTES + 64];
	struct textbuf t = textbuf_make(text, sizeof(text) - 1);

	textbuf_str(&t, what);
	textbuf_byte(&t, ' ');
	address_put(&t, a);
	textbuf_byte(&t, '\n');
	text[t.len] = '\0';
	if (strstr(said, text) == NULL)
		fail_msg("%s is not in %s", text, said);
}

/* ---- begin and end ---- */

static int
begin(void **state)
{
	static char log_path[96];
	struct log_options o = {.access = "off", .level = LOG_LEVEL_INFO};
	struct textbuf why = textbuf_make(why_bytes, sizeof(why_bytes));

	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/test_binds.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/socket", dir);
	(void)snprintf(path2, sizeof(path2), "%s/other", dir);
	(void)snprintf(log_path, sizeof(log_path), "%s/log", dir);
	o.log = log_path;
	logs = log_create(&o, &why);
	ring = logs == NULL ? NULL : log_ring_create(logs, "main");
	for (uint32_t i = 0; i < WORKERS; i++)
		workers[i].index = i;
	registry = registry_create(WORKERS, all, NULL);
	binds_init(&binds, WORKERS, &nothing, ring);
	return ring != NULL && registry != NULL ? 0 : -1;
}

/* As a worker does it with another list. */
static void
give(uint32_t worker, struct worker_bind *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n_lists[worker]; k++) {
			struct worker_bind *old = &lists[worker][k];

			if (list[i].id != old->id)
				continue;
			assert_null(list[i].acceptor);
			assert_int_equal(list[i].bind, old->bind);
			list[i].acceptor = old->acceptor;
			old->acceptor = NULL;
		}
	for (size_t i = 0; i < n; i++)
		assert_non_null(list[i].acceptor);
	for (size_t k = 0; k < n_lists[worker]; k++)
		acceptor_free(lists[worker][k].acceptor);
	free(lists[worker]);
	lists[worker] = list;
	n_lists[worker] = n;
}

static int
end(void **state)
{
	(void)state;
	binds_unlink(&binds, true);
	binds_free(&binds);
	for (uint32_t i = 0; i < WORKERS; i++) {
		give(i, NULL, 0);
		lists[i] = NULL;
	}
	registry_free(registry);
	log_free(logs);
	(void)snprintf(path, sizeof(path), "%s/log", dir);
	(void)unlink(path);
	return rmdir(dir);
}

/* ---- configurations ---- */

static struct snapshot *
snapshot_of(const char *listeners)
{
	char text[2048];
	struct textbuf why = textbuf_make(why_bytes, sizeof(why_bytes));
	struct loaded *l;
	struct snapshot *s;

	(void)snprintf(text, sizeof(text), "%s" POOL, listeners);
	l = loaded_text(text);
	s = registry_prepare(registry, l, &why);
	loaded_release(l);
	assert_non_null(s);
	return s;
}

static struct snapshot *
prepare(struct binds *next, const char *listeners)
{
	struct snapshot *s = snapshot_of(listeners);
	struct textbuf why = textbuf_make(why_bytes, sizeof(why_bytes));

	if (!binds_prepare(next, &binds, s, "lb.ini", &why))
		fail_msg("%.*s", (int)why.len, why.ptr);
	assert_int_equal(why.len, 0);
	return s;
}

static void
in_force(struct binds *next, struct snapshot *s)
{
	struct snapshot *old =
	    (struct snapshot *)(uintptr_t)registry_snapshot(registry);
	struct worker_bind *list[WORKERS];
	size_t n[WORKERS];

	for (uint32_t i = 0; i < WORKERS; i++)
		assert_true(binds_take(next, &workers[i], &list[i], &n[i]));
	registry_commit(registry, s, 0);
	binds_commit(&binds, next);
	for (uint32_t i = 0; i < WORKERS; i++) {
		give(i, list[i], n[i]);
		if (old != NULL)
			registry_released(registry, registry_hold(old, i));
	}
	heard();
}

static void
put(const char *listeners)
{
	struct binds next;
	struct snapshot *s = prepare(&next, listeners);

	in_force(&next, s);
}

/* "[listener NAME]" with one bind. */
static const char *
listener(const char *name, const char *host, uint16_t port)
{
	static char text[8][192];
	static unsigned turn;
	char *t = text[turn++ % 8];

	(void)snprintf(t, sizeof(text[0]), "[listener %s]\nbind = %s:%u\n",
	    name, host, port);
	return t;
}

static const char *
two(const char *one, const char *other)
{
	static char text[4][400];
	static unsigned turn;
	char *t = text[turn++ % 4];

	(void)snprintf(t, sizeof(text[0]), "%s%s", one, other);
	return t;
}

static const char *
at_file(const char *name, const char *file)
{
	static char text[2][192];
	static unsigned turn;
	char *t = text[turn++ % 2];

	(void)snprintf(
	    t, sizeof(text[0]), "[listener %s]\nbind = unix:%s\n", name, file);
	return t;
}

static uint16_t
port_of(size_t i)
{
	return address_port(&binds.list[i].bound);
}

/* ---- tests ---- */

static void
the_first_time(void **state)
{
	(void)state;
	put("[listener web]\nbind = 127.0.0.1:0, 127.0.0.1:0\n"
	    "[listener other]\nbind = 127.0.0.1:0\n");
	assert_int_equal(binds.n, 3);
	for (size_t i = 0; i < 3; i++) {
		const struct bind *b = &binds.list[i];

		assert_int_equal(b->n_sockets, WORKERS);
		assert_true(listens(port_of(i)));
		assert_heard("listening on", &b->bound);
		for (size_t k = 0; k < i; k++) {
			assert_int_not_equal(port_of(i), port_of(k));
			assert_int_not_equal(b->id, binds.list[k].id);
		}
		for (uint32_t w = 0; w < WORKERS; w++) {
			assert_int_equal(b->sockets[w].worker, w);
			assert_int_equal(lists[w][i].id, b->sockets[w].id);
			assert_int_equal(lists[w][i].bind, b->id);
			assert_ptr_equal(lists[w][i].front, b->front);
		}
		assert_string_equal(b->front->name, i < 2 ? "web" : "other");
	}
}

/* Those with any port, too, each of them once. */
static void
unchanged_are_kept(void **state)
{
	const char *same = "[listener web]\n"
			   "bind = 127.0.0.1:0, 127.0.0.1:0\n";
	struct binds next;
	struct snapshot *s;
	uint16_t ports[2];
	size_t files;

	(void)state;
	put(same);
	ports[0] = port_of(0);
	ports[1] = port_of(1);
	files = open_files();
	s = prepare(&next, same);
	assert_int_equal(open_files(), files);
	assert_false(binds_moved(&binds, &next));
	in_force(&next, s);
	assert_string_equal(said, "");
	assert_int_equal(open_files(), files);
	assert_int_equal(port_of(0), ports[0]);
	assert_int_equal(port_of(1), ports[1]);
	assert_true(listens(ports[0]) && listens(ports[1]));
	/* One of them goes. */
	put("[listener web]\nbind = 127.0.0.1:0\n");
	assert_int_equal(binds.n, 1);
	assert_int_equal(open_files(), files - WORKERS);
	assert_true(listens(port_of(0)));
	assert_int_equal(listens(ports[0]) + listens(ports[1]), 1);
}

static void
from_one_listener_to_another(void **state)
{
	uint16_t one = free_port(), other = free_port();
	struct binds next;
	struct snapshot *s;
	uint64_t id;

	(void)state;
	put(two(listener("web", "127.0.0.1", one),
	    listener("api", "127.0.0.1", other)));
	id = binds.list[0].id;
	s = prepare(&next,
	    two(listener("api", "127.0.0.1", one),
		listener("new", "127.0.0.1", other)));
	assert_true(binds_moved(&binds, &next));
	in_force(&next, s);
	assert_string_equal(said, "");
	assert_int_equal(binds.list[0].id, id);
	assert_string_equal(binds.list[0].front->name, "api");
	assert_string_equal(binds.list[1].front->name, "new");
	assert_string_equal(lists[1][0].front->name, "api");
	assert_true(listens(one) && listens(other));
}

static void
new_and_gone(void **state)
{
	uint16_t one = free_port(), other = free_port();
	struct address gone;
	struct binds next;
	struct snapshot *s;

	(void)state;
	put(listener("web", "127.0.0.1", one));
	gone = binds.list[0].bound;
	s = prepare(&next, listener("web", "127.0.0.1", other));
	/* Both, until it is in force. */
	assert_true(listens(one) && listens(other));
	assert_false(binds_moved(&binds, &next));
	in_force(&next, s);
	assert_heard("listening on", &binds.list[0].bound);
	assert_heard("not listening any more on", &gone);
	assert_false(listens(one));
	assert_true(listens(other));
}

static void
rolled_back(void **state)
{
	uint16_t one = free_port(), other = free_port();
	char text[600];
	struct worker_bind *list;
	struct binds next;
	struct snapshot *s;
	size_t files, n;

	(void)state;
	put(listener("web", "127.0.0.1", one));
	files = open_files();
	(void)snprintf(text, sizeof(text), "%s%s%s",
	    listener("web", "127.0.0.1", other),
	    listener("old", "127.0.0.1", one), at_file("path", path));
	s = prepare(&next, text);
	assert_true(listens(other) && listens_at(path));
	/* The sockets stay the plan's when it does not come to an update. */
	assert_true(binds_take(&next, &workers[1], &list, &n));
	assert_int_equal(n, 3);
	binds_untake(list, n);
	assert_true(listens(other) && listens(one) && listens_at(path));
	binds_rollback(&next);
	registry_rollback(registry, s);
	assert_false(listens(other));
	assert_int_equal(access(path, F_OK), -1);
	assert_true(listens(one));
	assert_int_equal(open_files(), files);
	assert_string_equal(heard(), "");
	assert_int_equal(binds.n, 1);
	assert_string_equal(binds.list[0].front->name, "web");
}

/* Each that could not be bound is told, and what could be is closed again. */
static void
all_that_is_in_use_is_told(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
	    .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(in);
	uint16_t mine = free_port(), taken[2];
	struct textbuf why = textbuf_make(why_bytes, sizeof(why_bytes));
	char text[512], want[512];
	struct snapshot *s;
	struct binds next;
	size_t files;
	int fds[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		in.sin_port = 0;
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(bind(fds[i], (void *)&in, len), 0);
		assert_int_equal(listen(fds[i], 1), 0);
		assert_int_equal(getsockname(fds[i], (void *)&in, &len), 0);
		taken[i] = ntohs(in.sin_port);
	}
	put(at_file("path", path));
	files = open_files();
	(void)snprintf(text, sizeof(text),
	    "[listener a]\nbind = 127.0.0.1:%u\n"
	    "bind = 127.0.0.1:%u\n"
	    "[listener b]\nbind = 127.0.0.1:%u\n"
	    "bind = unix:%s/none/socket\n",
	    taken[0], mine, taken[1], dir);
	s = snapshot_of(text);
	assert_false(binds_prepare(&next, &binds, s, "lb.ini", &why));
	(void)snprintf(want, sizeof(want),
	    "lb.ini:2: [listener a] bind: 127.0.0.1:%u: Address already in "
	    "use\n"
	    "lb.ini:5: [listener b] bind: 127.0.0.1:%u: Address already in "
	    "use\n"
	    "lb.ini:6: [listener b] bind: unix:%s/none/socket: No such file "
	    "or directory\n",
	    taken[0], taken[1], dir);
	assert_int_equal(why.len, strlen(want));
	assert_memory_equal(why.ptr, want, why.len);
	registry_rollback(registry, s);
	assert_int_equal(open_files(), files);
	assert_false(listens(mine));
	assert_true(listens_at(path));
	close(fds[0]);
	close(fds[1]);
}

/* All addresses and one of them, with the same port. */
static void
beside_our_own(void **state)
{
	uint16_t port = free_port();
	struct binds next;
	struct snapshot *s;

	(void)state;
	put(listener("web", "127.0.0.1", port));
	s = prepare(&next, listener("web", "0.0.0.0", port));
	binds_rollback(&next);
	registry_rollback(registry, s);
	assert_true(listens(port));
	put(listener("web", "0.0.0.0", port));
	assert_true(address_is_any(&binds.list[0].bound));
	assert_true(listens(port));
	put(listener("web", "127.0.0.1", port));
	assert_false(address_is_any(&binds.list[0].bound));
	assert_true(listens(port));
	assert_int_equal(binds.n, 1);
}

/* Files of unix sockets are there as long as their sockets. */
static void
files_of_unix_sockets(void **state)
{
	(void)state;
	put(at_file("web", path));
	assert_true(listens_at(path));
	put(two(at_file("api", path), at_file("web", path2)));
	assert_string_equal(binds.list[0].front->name, "api");
	assert_true(listens_at(path) && listens_at(path2));
	put(at_file("web", path2));
	assert_int_equal(access(path, F_OK), -1);
	assert_true(listens_at(path2));
	put(at_file("web", path));
	assert_int_equal(access(path2, F_OK), -1);
	binds_unlink(&binds, true);
	assert_int_equal(access(path, F_OK), -1);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH(the_first_time),
	    WITH(unchanged_are_kept),
	    WITH(from_one_listener_to_another),
	    WITH(new_and_gone),
	    WITH(rolled_back),
	    WITH(all_that_is_in_use_is_told),
	    WITH(beside_our_own),
	    WITH(files_of_unix_sockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
