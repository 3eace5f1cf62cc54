/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "evenkeel/net/clock.h"
#include "evenkeel/net/tls_tickets.h"
#include "tls_made.h"

static int
set_up(void **state)
{
	(void)state;
	made_begin();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	made_end();
	return 0;
}

/* ---- keys that are drawn ---- */

static void
test_turn(void **state)
{
	struct tls_tickets *t = tls_tickets_create();
	uint64_t now = clock_monotonic_us() / 1000000;
	struct tls_ticket_key a, b, c, d, got;

	(void)state;
	assert_non_null(t);
	tls_tickets_newest(t, now, &a);
	tls_tickets_newest(t, now + TLS_TICKET_TURN_S - 10, &b);
	assert_memory_equal(a.name, b.name, sizeof(a.name));
	now += TLS_TICKET_TURN_S;
	tls_tickets_newest(t, now, &b);
	assert_memory_not_equal(a.name, b.name, sizeof(a.name));
	assert_memory_not_equal(a.aes, b.aes, sizeof(a.aes));
	assert_memory_not_equal(a.mac, b.mac, sizeof(a.mac));
	assert_int_equal(
	    tls_tickets_find(t, now, b.name, &got), TLS_TICKETS_NEWEST);
	assert_int_equal(
	    tls_tickets_find(t, now, a.name, &got), TLS_TICKETS_OLDER);
	assert_memory_equal(got.aes, a.aes, sizeof(a.aes));
	now += TLS_TICKET_TURN_S;
	tls_tickets_newest(t, now, &c);
	assert_int_equal(
	    tls_tickets_find(t, now, a.name, &got), TLS_TICKETS_OLDER);
	/* What the first has sealed is as old as tickets get. */
	now += TLS_TICKET_TURN_S;
	tls_tickets_newest(t, now, &d);
	assert_int_equal(
	    tls_tickets_find(t, now, a.name, &got), TLS_TICKETS_UNKNOWN);
	assert_int_equal(
	    tls_tickets_find(t, now, b.name, &got), TLS_TICKETS_OLDER);
	/* Who was late for the lock with an earlier time changes nothing. */
	tls_tickets_newest(t, now - 1, &got);
	assert_memory_equal(got.name, d.name, sizeof(d.name));
	assert_int_equal(
	    tls_tickets_find(t, now - 1, b.name, &got), TLS_TICKETS_OLDER);
	/* Nobody came for a day. */
	now += MADE_DAY_S;
	assert_int_equal(
	    tls_tickets_find(t, now, d.name, &got), TLS_TICKETS_UNKNOWN);
	assert_ptr_equal(tls_tickets_hold(t), t);
	tls_tickets_free(t);
	tls_tickets_free(t);
	tls_tickets_free(NULL);
}

/* ---- files ---- */

static struct tls_tickets *
parse(const char *path)
{
	struct tls_report r = {.teller = made_teller()};
	const struct tls_place at = {.key = "tls_ticket_keys", .path = path};
	struct tls_file f;
	struct tls_tickets *t;

	assert_true(tls_file_read(&f, &r, &at));
	t = tls_tickets_parse(&f, &r, &at);
	assert_int_equal(t == NULL, r.bad);
	tls_file_free(&f);
	return t;
}

static void
fill(unsigned char *to, size_t n, unsigned from)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (unsigned char)(from + i);
}

static void
test_binary(void **state)
{
	unsigned char bytes[80];
	struct tls_ticket_key k;
	struct tls_tickets *t;
	uint64_t now = clock_monotonic_us() / 1000000;

	(void)state;
	fill(bytes, sizeof(bytes), 100);
	t = parse(made_bytes("48", bytes, 48));
	assert_non_null(t);
	tls_tickets_newest(t, now + 10 * MADE_DAY_S, &k); /* never turns */
	assert_memory_equal(k.name, bytes, 16);
	assert_int_equal(k.len, 16);
	assert_memory_equal(k.aes, bytes + 16, 16);
	assert_memory_equal(k.mac, bytes + 32, 16);
	tls_tickets_free(t);
	t = parse(made_bytes("80", bytes, 80));
	assert_non_null(t);
	tls_tickets_newest(t, now, &k);
	assert_int_equal(k.len, 32);
	assert_memory_equal(k.mac, bytes + 16, 32);
	assert_memory_equal(k.aes, bytes + 48, 32);
	tls_tickets_free(t);
}

static void
put_line(char *to, const unsigned char *bytes, int n)
{
	to += strlen(to);
	(void)EVP_EncodeBlock((unsigned char *)to, bytes, n);
}

static void
test_text(void **state)
{
	unsigned char a[80], b[48];
	char text[1024] = "# the keys\n\n  ";
	struct tls_ticket_key k;
	struct tls_tickets *t;

	(void)state;
	fill(a, sizeof(a), 1);
	fill(b, sizeof(b), 77);
	put_line(text, a, 80);
	(void)memcpy(text + strlen(text), "\r\n", 3);
	put_line(text, b, 48);
	t = parse(made_text("text", text));
	assert_non_null(t);
	tls_tickets_newest(t, 0, &k);
	assert_memory_equal(k.name, a, 16);
	assert_memory_equal(k.aes, a + 48, 32);
	assert_int_equal(tls_tickets_find(t, 0, b, &k), TLS_TICKETS_OLDER);
	assert_int_equal(k.len, 16);
	assert_memory_equal(k.mac, b + 32, 16);
	tls_tickets_free(t);
}

static void
expect_bad(const char *path, const char *why)
{
	char expected[512];

	assert_null(parse(path));
	(void)snprintf(expected, sizeof(expected),
	    "tls_ticket_keys[0] %s: %s\n", path, why);
	assert_string_equal(made_errors, expected);
}

static void
test_bad_files(void **state)
{
	unsigned char a[96];
	char text[4096] = "";

	(void)state;
	fill(a, sizeof(a), 200);
	expect_bad(made_bytes("96", a, 96),
	    "is neither 48 or 80 bytes nor lines of base64 of as many "
	    "(head -c 80 /dev/urandom | base64 -w 0)");
	expect_bad(made_text("t", "# none\n\n"), "no key in it");
	expect_bad(made_text("t", "\nAAAA\n"),
	    "line 2 is not base64 of 48 or 80 bytes (one key, one line: base64 "
	    "-w 0)");
	expect_bad(made_text("t", "not base64 at all!!!\n"),
	    "line 1 is not base64 of 48 or 80 bytes (one key, one line: base64 "
	    "-w 0)");
	put_line(text, a, 96);
	expect_bad(made_text("t", text),
	    "line 1 is not base64 of 48 or 80 bytes (one key, one line: base64 "
	    "-w 0)");
	text[0] = '\0';
	for (size_t i = 0; i < TLS_TICKET_KEYS_MAX + 1; i++) {
		a[0] = (unsigned char)i;
		put_line(text, a, 48);
		(void)memcpy(text + strlen(text), "\n", 2);
	}
	expect_bad(made_text("t", text),
	    "line 17 is one key too many: 16 are allowed");
}

static void
test_mode_is_told(void **state)
{
	unsigned char a[80];
	const char *path;
	char expected[512];

	(void)state;
	fill(a, sizeof(a), 200);
	path = made_bytes("80", a, 80);
	tls_tickets_free(parse(path));
	assert_string_equal(made_warnings, "");
	assert_int_equal(chmod(path, 0640), 0);
	tls_tickets_free(parse(path));
	assert_string_equal(made_warnings, "");
	assert_int_equal(chmod(path, 0644), 0);
	tls_tickets_free(parse(path));
	(void)snprintf(expected, sizeof(expected),
	    "tls_ticket_keys[0] %s: everybody may read it (mode 0644); chmod "
	    "640 or 600\n",
	    path);
	assert_string_equal(made_warnings, expected);
	assert_int_equal(chmod(path, 0660), 0);
	tls_tickets_free(parse(path));
	(void)snprintf(expected, sizeof(expected),
	    "tls_ticket_keys[0] %s: others than its owner may change it (mode "
	    "0660); chmod 640 or 600\n",
	    path);
	assert_string_equal(made_warnings, expected);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_turn),
	    cmocka_unit_test(test_binary),
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_bad_files),
	    cmocka_unit_test(test_mode_is_told),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
