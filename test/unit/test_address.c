/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <stddef.h>
#include <unistd.h>

#include "evenkeel/net/address.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char why_bytes[256];

static bool
resolve(struct address *a, enum cfg_addr_kind kind, const char *host,
    uint16_t port, struct textbuf *why)
{
	const struct cfg_addr from = {.kind = kind, .host = host, .port = port};

	*why = textbuf_make(why_bytes, sizeof(why_bytes));
	return address_resolve(a, &from, why);
}

static void
assert_text(const struct address *a, const char *want)
{
	char bytes[ADDRESS_TEXT_BYTES];
	struct textbuf out = textbuf_make(bytes, sizeof(bytes));

	address_put(&out, a);
	assert_false(out.full);
	assert_int_equal(out.len, strlen(want));
	assert_memory_equal(out.ptr, want, out.len);
}

static void
there_and_back(void **state)
{
	static const struct {
		enum cfg_addr_kind kind;
		const char *host;
		uint16_t port;
		const char *text;
		bool loopback;
	} cases[] = {
	    {CFG_ADDR_INET4, "127.0.0.1", 80, "127.0.0.1:80", true},
	    {CFG_ADDR_INET4, "127.255.1.2", 65535, "127.255.1.2:65535", true},
	    {CFG_ADDR_INET4, "128.0.0.1", 1, "128.0.0.1:1", false},
	    {CFG_ADDR_INET4, "0.0.0.0", 0, "0.0.0.0:0", false},
	    {CFG_ADDR_INET4, "1.0.0.127", 80, "1.0.0.127:80", false},
	    {CFG_ADDR_INET6, "::1", 8080, "[::1]:8080", true},
	    {CFG_ADDR_INET6, "::", 443, "[::]:443", false},
	    {CFG_ADDR_INET6, "2001:db8:0:0::7", 9, "[2001:db8::7]:9", false},
	    {CFG_ADDR_INET6, "::ffff:255.255.255.255", 65535,
		"[::ffff:255.255.255.255]:65535", false},
	    {CFG_ADDR_UNIX, "/run/x.sock", 0, "unix:/run/x.sock", false},
	};
	struct textbuf why;
	struct address a;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_true(resolve(
		    &a, cases[i].kind, cases[i].host, cases[i].port, &why));
		assert_text(&a, cases[i].text);
		assert_int_equal(address_on_loopback(&a), cases[i].loopback);
		assert_int_equal(why.len, 0);
	}
}

static void
what_the_kernel_is_told(void **state)
{
	struct textbuf why;
	struct address a;
	const struct sockaddr_in *in4 = (const void *)&a.u.storage;
	const struct sockaddr_in6 *in6 = (const void *)&a.u.storage;

	(void)state;
	assert_true(resolve(&a, CFG_ADDR_INET4, "10.1.2.3", 8080, &why));
	assert_int_equal(a.len, sizeof(struct sockaddr_in));
	assert_int_equal(in4->sin_family, AF_INET);
	assert_int_equal(in4->sin_port, htons(8080));
	assert_int_equal(in4->sin_addr.s_addr, htonl(0x0a010203));
	assert_true(resolve(&a, CFG_ADDR_INET6, "::1", 443, &why));
	assert_int_equal(a.len, sizeof(struct sockaddr_in6));
	assert_int_equal(in6->sin6_family, AF_INET6);
	assert_int_equal(in6->sin6_port, htons(443));
	assert_int_equal(in6->sin6_scope_id, 0);
	assert_true(resolve(&a, CFG_ADDR_UNIX, "/a", 0, &why));
	assert_int_equal(a.len, offsetof(struct sockaddr_un, sun_path) + 3);
	assert_string_equal(a.u.un.sun_path, "/a");
}

static void
ip_alone(void **state)
{
	static const struct {
		enum cfg_addr_kind kind;
		const char *host, *ip;
	} cases[] = {
	    {CFG_ADDR_INET4, "10.1.2.3", "10.1.2.3"},
	    {CFG_ADDR_INET6, "2001:DB8::1", "2001:db8::1"},
	    {CFG_ADDR_UNIX, "/a", ""},
	};
	char bytes[ADDRESS_IP_BYTES];
	struct textbuf why;
	struct address a;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct textbuf out = textbuf_make(bytes, sizeof(bytes));

		assert_true(
		    resolve(&a, cases[i].kind, cases[i].host, 80, &why));
		address_put_ip(&out, &a.u.any);
		assert_true(
		    span_equal(textbuf_span(&out), span_of(cases[i].ip)));
	}
}

static void
not_addresses(void **state)
{
	static const struct {
		enum cfg_addr_kind kind;
		const char *host;
	} cases[] = {
	    {CFG_ADDR_INET4, "256.0.0.1"},
	    {CFG_ADDR_INET4, "1.2.3"},
	    {CFG_ADDR_INET4, "::1"},
	    {CFG_ADDR_INET4, ""},
	    {CFG_ADDR_INET6, "[::1]"},
	    {CFG_ADDR_INET6, "1.2.3.4"},
	};
	struct textbuf why;
	struct address a;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_false(
		    resolve(&a, cases[i].kind, cases[i].host, 80, &why));
		assert_true(span_starts_with(
		    textbuf_span(&why), SPAN("not an address: ")));
	}
}

/* The longest path that fits with its NUL, and one byte more. */
static void
long_paths(void **state)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
	struct textbuf why;
	struct address a;

	(void)state;
	memset(path, 'p', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_false(resolve(&a, CFG_ADDR_UNIX, path, 0, &why));
	assert_true(why.len > 0);
	path[sizeof(path) - 2] = '\0';
	assert_true(resolve(&a, CFG_ADDR_UNIX, path, 0, &why));
	assert_string_equal(a.u.un.sun_path, path);
}

/* They are looked up by others, who may wait. */
static void
names(void **state)
{
	struct textbuf why;
	struct address a;

	(void)state;
	assert_false(resolve(&a, CFG_ADDR_NAME, "localhost", 80, &why));
	assert_true(
	    span_equal(textbuf_span(&why), SPAN("not an address: localhost")));
	assert_false(resolve(&a, CFG_ADDR_SRV, "_http._tcp.a", 0, &why));
}

static void
of_a_socket(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct textbuf why;
	struct address a, bound;

	(void)state;
	assert_true(resolve(&a, CFG_ADDR_INET4, "127.0.0.1", 0, &why));
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, &a.u.any, a.len), 0);
	assert_true(address_of_socket(&bound, fd));
	assert_true(address_on_loopback(&bound));
	assert_int_equal(bound.len, sizeof(struct sockaddr_in));
	close(fd);
	assert_false(address_of_socket(&bound, fd));
}

/* Kind, address and port; nothing else. */
static void
equal(void **state)
{
	static const struct {
		enum cfg_addr_kind kind;
		const char *host;
		uint16_t port;
	} all[] = {
	    {CFG_ADDR_INET4, "127.0.0.1", 80},
	    {CFG_ADDR_INET4, "127.0.0.1", 81},
	    {CFG_ADDR_INET4, "127.0.0.2", 80},
	    {CFG_ADDR_INET4, "0.0.0.0", 80},
	    {CFG_ADDR_INET6, "::1", 80},
	    {CFG_ADDR_INET6, "::1", 81},
	    {CFG_ADDR_INET6, "::2", 80},
	    {CFG_ADDR_INET6, "::", 80},
	    {CFG_ADDR_INET6, "::ffff:127.0.0.1", 80},
	    {CFG_ADDR_UNIX, "/run/a", 0},
	    {CFG_ADDR_UNIX, "/run/b", 0},
	    {CFG_ADDR_UNIX, "/run/ab", 0},
	};
	struct textbuf why;
	struct address a, b;

	(void)state;
	for (size_t i = 0; i < COUNT(all); i++)
		for (size_t k = 0; k < COUNT(all); k++) {
			memset(&b, 0xff, sizeof(b));
			assert_true(resolve(
			    &a, all[i].kind, all[i].host, all[i].port, &why));
			assert_true(resolve(
			    &b, all[k].kind, all[k].host, all[k].port, &why));
			/* What lies behind its end does not matter. */
			memset((char *)&b.u + b.len, 0xee, sizeof(b.u) - b.len);
			assert_int_equal(address_equal(&a, &b), i == k);
		}
}

static void
any(void **state)
{
	static const struct {
		enum cfg_addr_kind kind;
		const char *host;
		bool any;
	} cases[] = {
	    {CFG_ADDR_INET4, "0.0.0.0", true},
	    {CFG_ADDR_INET4, "0.0.0.1", false},
	    {CFG_ADDR_INET4, "127.0.0.1", false},
	    {CFG_ADDR_INET6, "::", true},
	    {CFG_ADDR_INET6, "::1", false},
	    {CFG_ADDR_INET6, "1::", false},
	    {CFG_ADDR_INET6, "::ffff:0.0.0.0", false},
	    {CFG_ADDR_UNIX, "/run/a", false},
	};
	struct textbuf why;
	struct address a;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (uint16_t port = 0; port < 2; port++) {
			assert_true(resolve(
			    &a, cases[i].kind, cases[i].host, port, &why));
			if (address_is_any(&a) != cases[i].any)
				fail_msg("%s", cases[i].host);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(there_and_back),
	    cmocka_unit_test(what_the_kernel_is_told),
	    cmocka_unit_test(ip_alone),
	    cmocka_unit_test(not_addresses),
	    cmocka_unit_test(long_paths),
	    cmocka_unit_test(names),
	    cmocka_unit_test(of_a_socket),
	    cmocka_unit_test(equal),
	    cmocka_unit_test(any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
