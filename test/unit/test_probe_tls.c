/* layer: control */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "certificate.h"
#include "evenkeel/control/compile.h"
#include "evenkeel/control/probe.h"
#include "evenkeel/net/conn_tls.h"
#include "evenkeel/net/listener.h"
#include "evenkeel/net/tls.h"
#include "loaded_text.h"
#include "loop_until.h"

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define PROXY  "PROXY UNKNOWN\r\n"

/* What a configuration is here: a listener whose certificate the backend
 * shows, and a pool that checks it. */
struct edition {
	struct loaded *loaded;
	struct snapshot s;
};

static char dir[64];
static int listening;
static struct backend *backend;
static struct probe probe;
static struct secure_base base;
static struct edition first, second;
static struct conn peer;         /* the backend's side */
static struct tls_server *shows; /* NULL: it is plain */
static bool mute, shaken;
static char asked[4096];
static size_t n_asked, n_header;
static unsigned ended;
static enum probe_end how;
static char why_ended[256];

static void
on_end(struct probe *p, enum probe_end end, const char *why, void *arg)
{
	(void)p;
	(void)arg;
	ended++;
	how = end;
	(void)snprintf(why_ended, sizeof(why_ended), "%s", why);
}

static const struct probe_ops ops = {.on_end = on_end};

static void
load(struct edition *e, const char *crt, const char *lines)
{
	char text[2048];

	(void)snprintf(text, sizeof(text),
	    "[listener web]\nbind = 127.0.0.1:8443\npool = web\n"
	    "tls_certificate = %s/%s.crt\ntls_key = %s/%s.key\n"
	    "[pool web]\nbackend = https://127.0.0.1:3001 name=b\n"
	    "health = http\n%s",
	    dir, crt, dir, crt, lines);
	e->loaded = loaded_text(text);
	e->loaded->secure = secure_load(&base, e->loaded->cfg);
	assert_non_null(e->loaded->secure);
	assert_true(loaded_is_good(e->loaded));
	e->s = (struct snapshot){.cfg = NULL};
	assert_true(compile_snapshot(&e->s, e->loaded->cfg, 1));
	compile_secure(&e->s, e->loaded->secure);
}

static void
unload(struct edition *e)
{
	if (e->loaded == NULL)
		return;
	compile_free(&e->s);
	loaded_release(e->loaded);
	e->loaded = NULL;
}

static int
begin(void **state)
{
	const struct cfg_addr from = {
	    .kind = CFG_ADDR_INET4, .host = "127.0.0.1", .port = 0};
	char bytes[256];
	struct textbuf why = textbuf_make(bytes, sizeof(bytes));
	struct address a, bound;

	(void)snprintf(dir, sizeof(dir), "/tmp/test_probe.XXXXXX");
	if (mkdtemp(dir) == NULL || open_loop(state) != 0 ||
	    !certificate_write(certificate_path(dir, "a.crt"),
		certificate_path(dir, "a.key"), 365) ||
	    !certificate_write(certificate_path(dir, "b.crt"),
		certificate_path(dir, "b.key"), -1) ||
	    !address_resolve(&a, &from, &why) ||
	    !listener_bind(&a, &listening, 1, &bound, &why))
		return -1;
	secure_base_init(&base, 1);
	peer.fd = -1;
	shows = NULL;
	mute = shaken = false;
	n_asked = n_header = ended = 0;
	backend = backend_create("b", SPAN_NONE, &bound, "127.0.0.1", 1, 1);
	return backend != NULL ? 0 : -1;
}

static int
end(void **state)
{
	static const char *const names[] = {"a.crt", "a.key", "b.crt", "b.key"};

	probe_stop(&probe);
	if (conn_is_open(&peer))
		conn_close(&peer);
	unload(&first);
	unload(&second);
	secure_base_free(&base);
	backend_free(backend);
	close(listening);
	for (size_t i = 0; i < 4; i++)
		(void)unlink(certificate_path(dir, names[i]));
	/* It keeps a buffer for what is sealed. */
	tls_io_free(loop->tls);
	loop->tls = NULL;
	return rmdir(dir) != 0 ? -1 : close_loop(state);
}

/* ---- the backend ---- */

static void
peer_answer(void)
{
	asked[n_asked] = '\0';
	if (strstr(asked, "\r\n\r\n") != NULL)
		assert_int_equal(conn_write(&peer, SPAN(ANSWER)), CONN_OK);
}

static void
peer_read(void)
{
	size_t got;

	while (conn_recv(&peer, asked + n_asked, sizeof(asked) - 1 - n_asked,
		   &got) == CONN_OK)
		n_asked += got;
	peer_answer();
}

/* The PROXY header is before TLS, and not a byte more is taken. */
static bool
peer_take_header(void)
{
	size_t got;

	while (n_header > 0 &&
	    conn_recv(&peer, asked + n_asked, n_header, &got) == CONN_OK) {
		n_asked += got;
		n_header -= got;
	}
	return n_header == 0;
}

static void
peer_on_ready(struct conn *c, void *arg)
{
	(void)arg;
	if (mute || !peer_take_header())
		return;
	if (shows != NULL && !shaken) {
		if (!conn_is_secure(c))
			assert_true(conn_secure_server(c, shows));
		switch (conn_handshake(c)) {
		case CONN_OK:
			shaken = true;
			break;
		case CONN_AGAIN:
			return;
		default:
			conn_close(c);
			return;
		}
	}
	if (shows != NULL)
		peer_read();
	else
		assert_int_equal(
		    conn_write(c, SPAN("HTTP/1.1 400 Bad Request\r\n\r\n")),
		    CONN_OK);
}

static const struct conn_ops peer_ops = {.on_ready = peer_on_ready};

/* One check, to its end or until the backend has been reached. */
static void
check(bool whole)
{
	int fd;

	if (conn_is_open(&peer))
		conn_close(&peer);
	shaken = false;
	n_asked = ended = 0;
	probe_start(&probe);
	do {
		turn_once();
		fd = accept4(
		    listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	} while (fd < 0);
	assert_true(conn_open(&peer, loop, fd, &peer_ops, NULL));
	if (whole)
		TURN_UNTIL(ended == 1);
}

static void
set_out(const char *crt, const char *lines)
{
	load(&first, crt, lines);
	shows = first.loaded->secure->servers[0][0];
	probe_init(&probe, loop, &first.s.pools[0], backend, &ops, NULL);
}

/* ---- tests ---- */

static void
asks_over_tls(void **state)
{
	char lines[256];

	(void)state;
	(void)snprintf(lines, sizeof(lines),
	    "tls_ca = %s/a.crt\ntls_server_name = web.test\n"
	    "health_path = /fine\n",
	    dir);
	set_out("a", lines);
	/* Twice: a whole handshake each time. */
	for (int i = 0; i < 2; i++) {
		check(true);
		assert_string_equal(why_ended, "");
		assert_int_equal(how, PROBE_OK);
		assert_non_null(strstr(asked, "GET /fine HTTP/1.1\r\n"));
		assert_false(conn_resumed(&peer));
	}
}

static void
header_before_tls(void **state)
{
	(void)state;
	set_out("a", "tls_verify = off\nproxy_protocol = v1\n");
	n_header = strlen(PROXY);
	check(true);
	assert_string_equal(why_ended, "");
	assert_int_equal(how, PROBE_OK);
	assert_int_equal(strncmp(asked, PROXY "GET / ", strlen(PROXY) + 6), 0);
}

static void
plain_words(void **state)
{
	static const struct {
		const char *crt, *lines, *why;
	} cases[] = {
	    {"a", "tls_ca = %s/a.crt\n",
		"TLS: the IP address is not in the certificate"},
	    {"a", "tls_ca = %s/a.crt\ntls_server_name = other.test\n",
		"TLS: the name is not in the certificate"},
	    {"a", "tls_ca = %s/b.crt\ntls_server_name = web.test\n",
		"TLS: self-signed certificate"},
	    {"b", "tls_ca = %s/b.crt\ntls_server_name = web.test\n",
		"TLS: certificate has expired"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char lines[256];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		(void)snprintf(lines, sizeof(lines), cases[i].lines, dir);
#pragma GCC diagnostic pop
		set_out(cases[i].crt, lines);
		check(true);
		assert_int_equal(how, PROBE_FAILED);
		assert_string_equal(why_ended, cases[i].why);
		assert_int_equal(n_asked, 0);
		conn_close(&peer);
		unload(&first);
	}
}

static void
a_plain_backend(void **state)
{
	(void)state;
	set_out("a", "tls_verify = off\n");
	shows = NULL;
	check(true);
	assert_int_equal(how, PROBE_FAILED);
	assert_int_equal(strncmp(why_ended, "TLS: ", 5), 0);
}

static void
no_handshake(void **state)
{
	(void)state;
	set_out("a", "tls_verify = off\nhealth_timeout = 1500ms\n");
	mute = true;
	check(false);
	TURN_UNTIL(probe.state == PROBE_HANDSHAKE);
	probe_time_out(&probe);
	assert_int_equal(how, PROBE_TIMEOUT);
	assert_string_equal(
	    why_ended, "timed out after 1.5 s (no TLS handshake)");
	/* Or it leaves. */
	check(false);
	TURN_UNTIL(probe.state == PROBE_HANDSHAKE);
	conn_close(&peer);
	TURN_UNTIL(ended == 1);
	assert_int_equal(how, PROBE_FAILED);
}

/* `health = tcp` says nothing, and needs nothing, of TLS. */
static void
a_connection_alone(void **state)
{
	(void)state;
	set_out("a", "");
	first.loaded->cfg->pools[0].health = CFG_HEALTH_TCP;
	assert_false(probe_follow(&probe, &first.s.pools[0], backend));
	mute = true;
	check(true);
	assert_int_equal(how, PROBE_OK);
}

/* Another CA, with the same words: one under way ends without a word. */
static void
follows_what_files_say(void **state)
{
	char lines[256];

	(void)state;
	(void)snprintf(lines, sizeof(lines),
	    "tls_ca = %s/a.crt\ntls_server_name = web.test\n", dir);
	set_out("a", lines);
	mute = true;
	check(false);
	TURN_UNTIL(probe.state == PROBE_HANDSHAKE);
	load(&second, "a", lines);
	assert_true(probe_follow(&probe, &second.s.pools[0], backend));
	assert_int_equal(probe.state, PROBE_HANDSHAKE);
	assert_true(probe_follow(&probe, &first.s.pools[0], backend));
	unload(&second);
	assert_true(certificate_write(certificate_path(dir, "a.crt"),
	    certificate_path(dir, "a.key"), 365));
	load(&second, "a", lines);
	assert_false(probe_follow(&probe, &second.s.pools[0], backend));
	assert_int_equal(probe.state, PROBE_IDLE);
	assert_int_equal(ended, 0);
	/* The backend shows the old one. */
	mute = false;
	check(true);
	assert_int_equal(how, PROBE_FAILED);
	shows = second.loaded->secure->servers[0][0];
	check(true);
	assert_int_equal(how, PROBE_OK);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH(asks_over_tls),
	    WITH(header_before_tls),
	    WITH(plain_words),
	    WITH(a_plain_backend),
	    WITH(no_handshake),
	    WITH(a_connection_alone),
	    WITH(follows_what_files_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
