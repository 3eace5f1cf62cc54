/* layer: config */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "built.h"
#include "evenkeel/config/address.h"
#include "evenkeel/config/diff.h"
#include "evenkeel/config/print.h"

#define MAIN  "[listener main]", "bind=*:443"
#define PAIR  "tls_certificate=c.pem", "tls_key=c.key"
#define INNER "[pool web]", "backend=https://a:1, https://b:1"
#define ALLOWED_PAIRS \
	"allowed: one tls_key for each tls_certificate, in the same order\n"
#define NO_TLS                                                         \
	": the listener has no tls_certificate, so it does not speak " \
	"TLS; allowed: with tls_certificate\n"
#define NO_HTTPS                                                           \
	": no backend of the pool is written as https://host:port, so it " \
	"has no effect\n"

static void
assert_file(const struct cfg_file *f, const char *path, unsigned line)
{
	assert_string_equal(f->path, path);
	assert_int_equal(f->line, line);
}

static void
a_listener_has_pairs_in_order(void **state)
{
	const struct cfg_listener *l;

	(void)state;
	BUILD(MAIN, "tls_certificate=z.pem, a.pem", "tls_key=z.key",
	    "tls_certificate=m.pem", "tls_key=/k/a.key,m.key",
	    "tls_ocsp_staple=none", "tls_ocsp_staple=a.der",
	    "tls_ticket_keys=t", "tls_min_version=1.3", "tls_ciphers=A:B",
	    "tls_ciphersuites=C", "tls_client_ca=ca", "alpn=http/1.1", POOL);
	assert_string_equal(b->text, "");
	l = &b->cfg->listeners[0];
	assert_int_equal(l->n_tls_certificates, 3);
	assert_file(&l->tls_certificates[0], "z.pem", 3);
	assert_file(&l->tls_certificates[1], "a.pem", 3);
	assert_file(&l->tls_certificates[2], "m.pem", 5);
	assert_int_equal(l->n_tls_keys, 3);
	assert_file(&l->tls_keys[0], "z.key", 4);
	assert_file(&l->tls_keys[1], "/k/a.key", 6);
	assert_file(&l->tls_keys[2], "m.key", 6);
	assert_int_equal(l->n_tls_staples, 2);
	assert_file(&l->tls_staples[0], "", 7);
	assert_file(&l->tls_staples[1], "a.der", 8);
	assert_file(&l->tls_ticket_keys, "t", 9);
	assert_int_equal(l->tls_min_version, CFG_TLS_1_3);
	assert_string_equal(l->tls_ciphers, "A:B");
	assert_string_equal(l->tls_ciphersuites, "C");
	assert_file(&l->tls_client_ca, "ca", 13);
	assert_int_equal(l->alpn, CFG_ALPN_HTTP_1_1);
	assert_int_equal(l->redirect_port, 0);
	built_free(b);
}

static void
without_a_word_there_is_none(void **state)
{
	const struct cfg_listener *l;
	const struct cfg_pool *p;

	(void)state;
	BUILD(WEB, POOL);
	l = &b->cfg->listeners[0];
	assert_int_equal(l->n_tls_certificates, 0);
	assert_int_equal(l->n_tls_keys, 0);
	assert_int_equal(l->n_tls_staples, 0);
	assert_int_equal(l->tls_min_version, CFG_TLS_1_2);
	assert_string_equal(l->tls_ciphers, "");
	assert_string_equal(l->tls_ciphersuites, "");
	assert_file(&l->tls_client_ca, "", 0);
	assert_file(&l->tls_ticket_keys, "", 0);
	assert_int_equal(l->redirect_port, 0);
	p = &b->cfg->pools[0];
	assert_false(p->backends[0].https);
	assert_int_equal(p->tls_verify, CFG_ON);
	assert_file(&p->tls_ca, "", 0);
	assert_string_equal(p->tls_server_name, "");
	assert_file(&p->tls_certificate, "", 0);
	assert_file(&p->tls_key, "", 0);
	built_free(b);
}

static void
backends_behind_tls(void **state)
{
	static const struct {
		const char *name, *text, *host;
		enum cfg_addr_kind kind;
		bool https;
	} want[] = {
	    {"https://app.example:8443", "app.example:8443", "app.example",
		CFG_ADDR_NAME, true},
	    {"https://[::1]:443", "[::1]:443", "::1", CFG_ADDR_INET6, true},
	    {"v4", "10.0.0.1:443", "10.0.0.1", CFG_ADDR_INET4, true},
	    {"10.0.0.1:443", "10.0.0.1:443", "10.0.0.1", CFG_ADDR_INET4, false},
	    {"unix:/s", "unix:/s", "/s", CFG_ADDR_UNIX, false},
	};
	const struct cfg_pool *p;

	(void)state;
	BUILD(WEB, "[pool web]",
	    "backend=https://App.Example:8443, HTTPS://[0:0::1]:443 weight=3",
	    "backend=hTTps://10.0.0.1:443 name=v4, 10.0.0.1:443, unix:/s",
	    "tls_ca=ca.pem", "tls_server_name=In.Example",
	    "tls_certificate=c.pem", "tls_key=c.key");
	assert_string_equal(b->text,
	    "f:5: warning: [pool web] backend: \"10.0.0.1:443\": it is spoken "
	    "to in plain HTTP; TLS is written as https://host:443\n");
	p = &b->cfg->pools[0];
	assert_int_equal(p->n_backends, 5);
	for (size_t i = 0; i < 5; i++) {
		assert_string_equal(p->backends[i].name, want[i].name);
		assert_string_equal(p->backends[i].addr.text, want[i].text);
		assert_string_equal(p->backends[i].addr.host, want[i].host);
		assert_int_equal(p->backends[i].addr.kind, want[i].kind);
		assert_int_equal(p->backends[i].https, want[i].https);
	}
	assert_int_equal(p->backends[1].weight, 3);
	assert_file(&p->tls_ca, "ca.pem", 6);
	assert_string_equal(p->tls_server_name, "In.Example");
	assert_file(&p->tls_certificate, "c.pem", 8);
	assert_file(&p->tls_key, "c.key", 9);
	built_free(b);
}

static void
an_https_address_stands_once_in_a_pool(void **state)
{
	(void)state;
	BUILD(WEB, "[pool web]", "backend=https://A:1, a:1, HTTPS://a:1");
	assert_string_equal(b->text,
	    "f:4: [pool web] backend: \"HTTPS://a:1\": the same address is "
	    "already at line 4; allowed: once\n");
	built_free(b);
}

/* Values of a key, and what is said about each at line 3. */
static void
assert_refused(const char *section, const char *line, const char *why)
{
	char want[256];
	const char *value = strchr(line, '=') + 1;

	BUILD(section, "bind=*:1, *:2", line, POOL);
	(void)snprintf(want, sizeof(want), "\"%s\": %s; allowed: ", value, why);
	if (strstr(b->text, want) == NULL)
		fail_msg("%s: %s: %s", line, want, b->text);
	built_free(b);
}

static void
what_is_no_address(void **state)
{
	static const struct {
		const char *line, *why;
	} cases[] = {
	    {"backend=http://a:80", "plain HTTP is written without http://"},
	    {"backend=tcp://a:80",
		"not an address (of the schemes only https://, unix:/path and "
		"srv: are known)"},
	    {"backend=https://a:443/",
		"a backend is an address, and nothing may stand behind its "
		"port"},
	    {"backend=https://a", "the port is missing"},
	    {"backend=https://", "the port is missing"},
	    {"backend=https://:443", "the host is missing"},
	    {"backend=https://a:0", "no backend listens on port 0"},
	    {"backend=https://::1:443",
		"an IPv6 address stands in brackets, as in [::1]:8080"},
	    {"backend=https://u@a:443", "not a host name"},
	    {"backend=https://unix:/s", "there is no TLS over a unix socket"},
	    {"backend=https://srv:_http._tcp.a",
		"TLS to the servers of an SRV record is not offered; a backend "
		"each, as https://host:port, is"},
	    {"bind=https://127.0.0.1:443",
		"a listener speaks TLS by its tls_certificate"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool bind = cases[i].line[1] == 'i';

		assert_refused(bind ? "[listener x]" : "[pool x]",
		    cases[i].line, cases[i].why);
	}
}

static void
words_of_listeners(void **state)
{
	static const struct {
		const char *line, *why;
	} cases[] = {
	    {"redirect=yes", "unknown word"},
	    {"redirect=http", "unknown word (did you mean https?)"},
	    {"redirect=https:", "the port is not a number from 1 to 65535"},
	    {"redirect=https:0", "the port is not a number from 1 to 65535"},
	    {"redirect=https:65536",
		"the port is not a number from 1 to 65535"},
	    {"redirect=https://a", "clients go to the host they asked for"},
	    {"tls_min_version=1.1", "unknown word (did you mean 1.2?)"},
	    {"alpn=h2", "unknown word"},
	    {"tls_ocsp_staple=non",
		"unknown word; a file of that name is written with a slash, as "
		"in ./NAME (did you mean none?)"},
	    {"tls_ocsp_staple=off",
		"unknown word; a file of that name is written with a slash, as "
		"in ./NAME"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_refused("[listener x]", cases[i].line, cases[i].why);
}

static void
server_names(void **state)
{
	static const char *const good[] = {
	    "a", "A.example", "10.0.0.1", "::1", "2001:DB8::1", "a_b-c.d"};
	static const char *const bad[] = {"", "a:443", "[::1]", "*.a", "a.",
	    "a/b", "1.2.3", "300.0.0.1", "a b", "a..b", ".", "g::"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!address_is_server_name(span_of(good[i])))
			fail_msg("%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (address_is_server_name(span_of(bad[i])))
			fail_msg("%s", bad[i]);
	assert_refused("[pool x]", "tls_server_name=a:443",
	    "not a host name and not an IP address");
}

/* Lines below a listener at line 1; the whole of what is said. */
static const struct {
	const char *lines[8];
	const char *said;
} listeners[] = {
    {{PAIR}, ""},
    {{PAIR, "tls_ocsp_staple=none"}, ""},
    {{"tls_certificate=c.pem"},
	"f:3: [listener main] tls_certificate: \"c.pem\": there is no tls_key "
	"for it (1 tls_certificate, 0 tls_key); " ALLOWED_PAIRS},
    {{"tls_certificate=a", "tls_key=k", "tls_certificate=b,c"},
	"f:5: [listener main] tls_certificate: \"b\": there is no tls_key for "
	"it (3 tls_certificate, 1 tls_key); " ALLOWED_PAIRS},
    {{"tls_key=k,l", "tls_certificate=a", "tls_key=m"},
	"f:3: [listener main] tls_key: \"l\": there is no tls_certificate for "
	"it (3 tls_key, 1 tls_certificate); " ALLOWED_PAIRS},
    {{PAIR, "tls_ocsp_staple=none", "tls_ocsp_staple=x"},
	"f:6: [listener main] tls_ocsp_staple: \"x\": there is no "
	"tls_certificate for it (2 tls_ocsp_staple, 1 tls_certificate); "
	"allowed: at most one tls_ocsp_staple for each tls_certificate, in the "
	"same order\n"},
    /* Each key that does nothing. */
    {{"tls_key=k"}, "f:3: [listener main] tls_key" NO_TLS},
    {{"alpn=http/1.1", "tls_min_version=1.2", "tls_ciphers=A"},
	"f:3: [listener main] alpn" NO_TLS
	"f:4: [listener main] tls_min_version" NO_TLS
	"f:5: [listener main] tls_ciphers" NO_TLS},
    {{"tls_client_ca=x", "tls_ticket_keys=x", "tls_ciphersuites=x",
	 "tls_ocsp_staple=none"},
	"f:3: [listener main] tls_client_ca" NO_TLS
	"f:4: [listener main] tls_ticket_keys" NO_TLS
	"f:5: [listener main] tls_ciphersuites" NO_TLS
	"f:6: [listener main] tls_ocsp_staple" NO_TLS},
    {{"redirect=https", PAIR},
	"f:3: [listener main] redirect: the listener speaks TLS already, by "
	"its tls_certificate at line 4; allowed: on a listener without "
	"tls_certificate\n"},
    /* One mistake is told once. */
    {{"tls_certificates=a", "tls_key=k", "alpn=http/1.1"},
	"f:3: [listener main] tls_certificates: unknown key (did you mean "
	"tls_certificate?)\n"},
    {{"tls_certificate=a", "tls_keys=k"},
	"f:4: [listener main] tls_keys: unknown key (did you mean tls_key?)\n"},
    {{"tls_certificate=a,", "tls_key=k,l"},
	"f:3: [listener main] tls_certificate: \"\": empty; allowed: the path "
	"of a PEM file\n"},
    {{"tls_certificate=a", "tls_key="},
	"f:4: [listener main] tls_key: \"\": the value is missing; allowed: "
	"the path of a PEM file without a passphrase\n"},
    {{"redirect=https:8443"}, ""},
    {{"redirect=https"},
	"f:3: warning: [listener main] redirect: listener main has port 443 "
	"and speaks no TLS, so clients get nowhere\n"},
    {{"redirect=https:8443", "[listener b]", "bind=*:8443", PAIR}, ""},
    {{"redirect=https:81", "[listener b]", "bind=*:81"},
	"f:3: warning: [listener main] redirect: listener b has port 81 and "
	"speaks no TLS, so clients get nowhere\n"},
    {{"redirect=https:81", "[listener b]", "bind=*:81", "[listener c]",
	 "bind=127.0.0.1:81", PAIR},
	""},
    {{"redirect=https:8443", "pool=web"},
	"f:4: warning: [listener main] pool: the listener redirects every "
	"request, so none gets to a pool\n"},
};

static void
what_goes_together_in_a_listener(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(listeners) / sizeof(listeners[0]); i++) {
		const char *lines[16] = {MAIN};
		static const char *const pool[] = {POOL, NULL};
		struct built *b = built_create();
		size_t n = 2;

		for (size_t k = 0; k < 8 && listeners[i].lines[k] != NULL; k++)
			lines[n++] = listeners[i].lines[k];
		for (size_t k = 0; pool[k] != NULL; k++)
			lines[n++] = pool[k];
		run(b, lines);
		assert_string_equal(b->text, listeners[i].said);
		built_free(b);
	}
}

/* Lines below a pool at lines 1 and 2; the whole of what is said. */
static const struct {
	const char *lines[8];
	const char *said;
} pools[] = {
    {{INNER}, ""},
    {{INNER, "tls_verify=yes", "tls_ca=x", "tls_server_name=y", PAIR}, ""},
    {{INNER, "tls_certificate=x"},
	"f:5: [pool web] tls_certificate: there is no tls_key for it; allowed: "
	"both or neither\n"},
    {{INNER, "tls_key=x"},
	"f:5: [pool web] tls_key: there is no tls_certificate for it; allowed: "
	"both or neither\n"},
    {{INNER, "tls_key=x", "tls_certifcate=y"},
	"f:6: [pool web] tls_certifcate: unknown key (did you mean "
	"tls_certificate?)\n"},
    {{INNER, "tls_verify=no"},
	"f:5: warning: [pool web] tls_verify: no, so anybody between here and "
	"the backends can read and change what is sent; tls_ca is for "
	"certificates of one's own\n"},
    {{INNER, "tls_ca=x", "tls_verify=no"},
	"f:5: warning: [pool web] tls_ca: it is not used, as tls_verify is "
	"no\n"
	"f:6: warning: [pool web] tls_verify: no, so anybody between here and "
	"the backends can read and change what is sent; tls_ca is for "
	"certificates of one's own\n"},
    {{INNER, "tls_verify=no", "tls_server_name=x", "backend=a:1"},
	"f:5: warning: [pool web] tls_verify: no, so anybody between here and "
	"the backends can read and change what is sent; tls_ca is for "
	"certificates of one's own\n"},
    {{POOL, "tls_verify=yes", "tls_ca=x", "tls_server_name=y"},
	"f:5: warning: [pool web] tls_verify" NO_HTTPS
	"f:6: warning: [pool web] tls_ca" NO_HTTPS
	"f:7: warning: [pool web] tls_server_name" NO_HTTPS},
    {{POOL, PAIR},
	"f:5: warning: [pool web] tls_certificate" NO_HTTPS
	"f:6: warning: [pool web] tls_key" NO_HTTPS},
    {{"[pool web]", "backend=a:443, https://a:443, b:8443, unix:/443"},
	"f:4: warning: [pool web] backend: \"a:443\": it is spoken to in "
	"plain HTTP; TLS is written as https://host:443\n"},
    {{"[pool web]", "backend=srv:_HTTPS._tcp.a, srv:_https2._tcp.a"},
	"f:4: warning: [pool web] backend: \"srv:_HTTPS._tcp.a\": the servers "
	"of an SRV record are spoken to in plain HTTP, whatever the name of "
	"the service\n"},
};

static void
what_goes_together_in_a_pool(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
		const char *lines[16] = {WEB};
		struct built *b = built_create();

		for (size_t k = 0; k < 8; k++)
			lines[2 + k] = pools[i].lines[k];
		run(b, lines);
		assert_string_equal(b->text, pools[i].said);
		built_free(b);
	}
}

/* With several pools, a listener is to name one or have a route. */
static void
who_redirects_needs_no_pool(void **state)
{
	(void)state;
	BUILD("[listener one]", "bind=*:80", "redirect=https", "[listener two]",
	    "bind=*:81", "redirect=https:8443", WEB, "pool=web", POOL,
	    "[pool b]", "backend=x:1", "[route r]", "listener=web", "path=/b",
	    "pool=b");
	assert_string_equal(b->text, "");
	assert_int_equal(b->cfg->listeners[0].redirect_port, 443);
	assert_int_equal(b->cfg->listeners[1].redirect_port, 8443);
	assert_null(b->cfg->listeners[0].pool);
	built_free(b);
}

/* Nor is it given the only one. */
static void
who_redirects_has_no_pool(void **state)
{
	(void)state;
	BUILD("[listener one]", "bind=*:80", "redirect=https", POOL);
	assert_string_equal(b->text, "");
	assert_null(b->cfg->listeners[0].pool);
	built_free(b);
}

static const char *const whole[] = {MAIN, "tls_certificate=z, a", "tls_key=z",
    "tls_key=a", "tls_ocsp_staple=none,s", "tls_min_version=1.3",
    "[listener plain]", "bind=*:80", "redirect=https:8443", "[listener short]",
    "bind=*:81", "redirect=https:443", INNER, "backend=c:1 name=c",
    "backend=HTTPS://d:1 name=d backup", "tls_verify=no", "tls_ca=;ca", NULL};

static const char *
printed(struct built *b, char *room, size_t size, bool defaults)
{
	struct textbuf t = textbuf_make(room, size - 1);

	print_ini(&t, b->cfg, defaults);
	assert_false(t.full);
	room[t.len] = '\0';
	return room;
}

static void
the_order_survives_printing(void **state)
{
	static char room[4096];
	struct built *b = built_create();

	(void)state;
	run(b, whole);
	assert_string_equal(printed(b, room, sizeof(room), false),
	    "[listener main]\nbind = 0.0.0.0:443\ntls_certificate = z\n"
	    "tls_certificate = a\ntls_key = z\ntls_key = a\n"
	    "tls_ocsp_staple = none\ntls_ocsp_staple = s\n"
	    "tls_min_version = 1.3\n\n"
	    "[listener plain]\nbind = 0.0.0.0:80\nredirect = https:8443\n\n"
	    "[listener short]\nbind = 0.0.0.0:81\nredirect = https\n\n"
	    "[pool web]\nbackend = https://a:1\nbackend = https://b:1\n"
	    "backend = c:1 name=c\nbackend = https://d:1 backup name=d\n"
	    "tls_verify = no\ntls_ca =;ca\n");
	built_free(b);
}

/* A default that would be an error, or warned of, is a comment. */
static void
defaults_of_tls_are_not_said_without(void **state)
{
	static char room[16384];

	(void)state;
	BUILD(WEB, POOL);
	printed(b, room, sizeof(room), true);
	assert_non_null(strstr(room, "\n; tls_min_version = (1.2)\n"));
	assert_non_null(strstr(room, "\n; alpn = (http/1.1)\n"));
	assert_non_null(strstr(room, "\n; tls_verify = (yes)\n"));
	assert_null(strstr(room, "\ntls_"));
	assert_null(strstr(room, "\nalpn"));
	built_free(b);
}

static void
changes_are_told(void **state)
{
	static const char *const later[] = {MAIN, "tls_certificate=z, b",
	    "tls_key=z", "tls_key=b", "[listener plain]", "bind=*:80",
	    "redirect=https", "[listener short]", "bind=*:81", "[pool web]",
	    "backend=https://a:1, b:1", "backend=c:1 name=c",
	    "backend=https://d:1", "tls_server_name=x", NULL};
	struct built *old = built_create(), *new = built_create();
	static char room[4096];
	struct textbuf t = textbuf_make(room, sizeof(room) - 1);
	const struct diff d = {.work = &new->arena};
	struct diff between = d;

	(void)state;
	run(old, whole);
	run(new, later);
	between.old = old->cfg;
	between.new = new->cfg;
	assert_true(diff_put(&t, &between));
	room[t.len] = '\0';
	assert_string_equal(room,
	    "listener main: tls_certificate z,a -> z,b, tls_key z,a -> z,b, "
	    "tls_ocsp_staple none,s -> (none is sent), tls_min_version 1.3 -> "
	    "1.2\n"
	    "listener plain: redirect https:8443 -> https\n"
	    "listener short: pool (none) -> web, redirect https -> (requests "
	    "are answered)\n"
	    "pool web: + b:1, - https://b:1 (draining), https://d:1 backup yes "
	    "-> no and name d -> https://d:1, tls_verify no -> yes, tls_ca ;ca "
	    "-> (what the system trusts), tls_server_name (the host of the "
	    "backend) -> x\n");
	built_free(old);
	built_free(new);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_listener_has_pairs_in_order),
	    cmocka_unit_test(without_a_word_there_is_none),
	    cmocka_unit_test(backends_behind_tls),
	    cmocka_unit_test(an_https_address_stands_once_in_a_pool),
	    cmocka_unit_test(what_is_no_address),
	    cmocka_unit_test(words_of_listeners),
	    cmocka_unit_test(server_names),
	    cmocka_unit_test(what_goes_together_in_a_listener),
	    cmocka_unit_test(what_goes_together_in_a_pool),
	    cmocka_unit_test(who_redirects_needs_no_pool),
	    cmocka_unit_test(who_redirects_has_no_pool),
	    cmocka_unit_test(the_order_survives_printing),
	    cmocka_unit_test(defaults_of_tls_are_not_said_without),
	    cmocka_unit_test(changes_are_told),
	};

	return cmocka_run_group_tests_name("check_tls", tests, NULL, NULL);
}
