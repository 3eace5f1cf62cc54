/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdlib.h>

#include "evenkeel/net/lookup.h"

#define SHOWN_BYTES 4096

static _Atomic bool never;

/* Each result as "address weight backup". */
static const char *
shown(const struct lookup_result *r)
{
	static char bytes[SHOWN_BYTES];
	struct textbuf t = textbuf_make(bytes, sizeof(bytes) - 1);

	for (size_t i = 0; i < r->n; i++) {
		textbuf_str(&t, i > 0 ? ", " : "");
		address_put(&t, &r->found[i].address);
		if (r->found[i].weight > 0) {
			textbuf_byte(&t, ' ');
			textbuf_u64(&t, r->found[i].weight);
		}
		textbuf_str(&t, r->found[i].backup ? " backup" : "");
	}
	assert_false(t.full);
	bytes[t.len] = '\0';
	return bytes;
}

static struct lookup_found
found(const char *ip, uint16_t port, uint16_t weight, bool backup)
{
	struct lookup_found f = {.weight = weight, .backup = backup};
	struct sockaddr_in *in4 = (void *)&f.address.u.storage;
	struct sockaddr_in6 *in6 = (void *)&f.address.u.storage;

	if (strchr(ip, ':') == NULL) {
		in4->sin_family = AF_INET;
		assert_int_equal(inet_pton(AF_INET, ip, &in4->sin_addr), 1);
		f.address.len = sizeof(*in4);
	} else {
		in6->sin6_family = AF_INET6;
		assert_int_equal(inet_pton(AF_INET6, ip, &in6->sin6_addr), 1);
		f.address.len = sizeof(*in6);
	}
	address_set_port(&f.address, port);
	return f;
}

/* ---- order ---- */

static void
the_same_set_is_the_same_list(void **state)
{
	struct lookup_found all[] = {found("10.0.0.2", 80, 0, false),
	    found("::2", 80, 0, false), found("10.0.0.1", 81, 0, false),
	    found("10.0.0.1", 80, 0, false), found("::1", 80, 0, false),
	    found("9.0.0.1", 90, 0, false), found("10.0.0.2", 80, 0, false)};
	size_t n = sizeof(all) / sizeof(all[0]);

	(void)state;
	/* Whatever comes first. */
	for (size_t i = 0; i < n; i++) {
		struct lookup_result r = {.found = all, .n = n};
		struct lookup_found first = all[0];

		memmove(&all[0], &all[1], (n - 1) * sizeof(all[0]));
		all[n - 1] = first;
		lookup_tidy(&r);
		assert_string_equal(shown(&r),
		    "9.0.0.1:90, 10.0.0.1:80, 10.0.0.1:81, 10.0.0.2:80, "
		    "[::1]:80, [::2]:80");
		all[n - 1] = found("10.0.0.2", 80, 0, false);
	}
}

static void
an_address_stands_once(void **state)
{
	struct lookup_found all[] = {found("10.0.0.1", 80, 9, true),
	    found("10.0.0.1", 80, 3, false), found("10.0.0.1", 80, 5, false),
	    found("10.0.0.2", 80, 1, true), found("10.0.0.2", 80, 2, true)};
	struct lookup_result r = {.found = all, .n = 5};

	(void)state;
	lookup_tidy(&r);
	assert_string_equal(shown(&r), "10.0.0.1:80 5, 10.0.0.2:80 2 backup");
}

static void
there_are_not_too_many(void **state)
{
	static struct lookup_found all[LOOKUP_FOUND_MAX + 10];
	struct lookup_result r = {.found = all, .n = LOOKUP_FOUND_MAX + 10};
	char ip[32];

	(void)state;
	for (size_t i = 0; i < r.n; i++) {
		snprintf(ip, sizeof(ip), "10.0.%u.%u", (unsigned)i / 250,
		    (unsigned)i % 250);
		all[r.n - 1 - i] = found(ip, 80, 0, false);
	}
	lookup_tidy(&r);
	assert_int_equal(r.n, LOOKUP_FOUND_MAX);
	r.n = 2;
	assert_string_equal(shown(&r), "10.0.0.0:80, 10.0.0.1:80");
	r.n = 0;
	lookup_tidy(&r);
	assert_int_equal(r.n, 0);
}

/* ---- routes ---- */

static bool
no_route(const struct address *a)
{
	assert_int_equal(a->u.any.sa_family, AF_INET6);
	return false;
}

static bool
route_to_two(const struct address *a)
{
	char bytes[ADDRESS_TEXT_BYTES];
	struct textbuf t = textbuf_make(bytes, sizeof(bytes));

	address_put_ip(&t, &a->u.any);
	return span_equal(textbuf_span(&t), SPAN("::2"));
}

static void
addresses_out_of_reach(void **state)
{
	struct lookup_found all[] = {found("::1", 80, 0, false),
	    found("10.0.0.2", 80, 0, false), found("::2", 80, 0, false),
	    found("10.0.0.1", 80, 0, false)};
	struct lookup_result r = {.found = all, .n = 4};
	struct lookup_result six = {.found = &all[2], .n = 1};

	(void)state;
	lookup_leave_out(&r, route_to_two);
	assert_int_equal(r.n, 4);
	/* There is nothing else. */
	lookup_leave_out(&six, no_route);
	assert_int_equal(six.n, 1);
	lookup_leave_out(&r, no_route);
	assert_string_equal(shown(&r), "10.0.0.2:80, 10.0.0.1:80");
	r.n = 0;
	lookup_leave_out(&r, no_route);
	assert_int_equal(r.n, 0);
}

/* ---- weights ---- */

static void
weights_and_priorities(void **state)
{
	static const struct {
		uint16_t priority, weight, got;
		bool backup;
	} all[] = {
	    {10, 0, 1, false},
	    {10, 1, 1, false},
	    {10, 2, 1, false},
	    {10, 600, 256, false},
	    {10, 300, 128, false},
	    {20, 256, 256, true},
	    {30, 7, 7, true},
	    {65535, 0, 1, true},
	};
	struct lookup_record records[8];
	struct lookup_found f;

	(void)state;
	for (size_t i = 0; i < 8; i++)
		records[i] = (struct lookup_record){
		    .priority = all[i].priority, .weight = all[i].weight};
	for (size_t i = 0; i < 8; i++) {
		lookup_weigh(records, 8, i, &f);
		assert_int_equal(f.weight, all[i].got);
		assert_int_equal(f.backup, all[i].backup);
	}
	records[0].weight = UINT16_MAX;
	lookup_weigh(records, 1, 0, &f);
	assert_int_equal(f.weight, LOOKUP_WEIGHT_MAX);
	/* Only backups, by their numbers: the first of them is none. */
	lookup_weigh(&records[6], 1, 0, &f);
	assert_false(f.backup);
}

/* ---- messages ---- */

/* Question _http._tcp.a.b IN SRV; answers: a CNAME (passed over), two SRV, the
 * second with a compressed target and one with the root. */
static const unsigned char answer[] = {0x12, 0x34, 0x81, 0x80, 0, 1, 0, 4, 0, 0,
    0, 0,
    /* at 12 */ 5, '_', 'h', 't', 't', 'p', 4, '_', 't', 'c', 'p', 1, 'a', 1,
    'b', 0, 0, 33, 0, 1,
    /* CNAME */ 0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 4, 1, 'x', 0xc0, 25,
    /* SRV 1 2 80 web.b */ 0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 13, 0, 1, 0,
    2, 0, 80, 3, 'w', 'e', 'b', 1, 'b', 0,
    /* SRV 65535 256 8080 c.(a.b) */ 0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 10,
    255, 255, 1, 0, 31, 144, 1, 'c', 0xc0, 23,
    /* SRV 0 0 0 . */ 0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 7, 0, 0, 0, 0, 0,
    0, 0};

static void
records_are_read(void **state)
{
	struct lookup_record records[8];

	(void)state;
	assert_int_equal(
	    lookup_read_srv(answer, sizeof(answer), records, 8), 3);
	assert_int_equal(records[0].priority, 1);
	assert_int_equal(records[0].weight, 2);
	assert_int_equal(records[0].port, 80);
	assert_string_equal(records[0].target, "web.b");
	assert_int_equal(records[1].priority, 65535);
	assert_int_equal(records[1].weight, 256);
	assert_int_equal(records[1].port, 8080);
	assert_string_equal(records[1].target, "c.a.b");
	assert_string_equal(records[2].target, "");
	assert_int_equal(
	    lookup_read_srv(answer, sizeof(answer), records, 2), 2);
	assert_int_equal(lookup_read_srv(NULL, 0, records, 8), 0);
}

/* Cut anywhere, and with any byte turned over: nothing is read beyond it (the
 * sanitizers look), and no more comes out than was there. */
static void
damaged_messages_do_no_harm(void **state)
{
	struct lookup_record records[8];

	(void)state;
	for (size_t len = 0; len < sizeof(answer); len++) {
		unsigned char *cut = malloc(len + 1);

		assert_non_null(cut);
		memcpy(cut, answer, len);
		assert_true(lookup_read_srv(cut, len, records, 8) <= 2);
		free(cut);
	}
	for (size_t at = 0; at < sizeof(answer); at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			unsigned char *bad = malloc(sizeof(answer));

			assert_non_null(bad);
			memcpy(bad, answer, sizeof(answer));
			bad[at] ^= (unsigned char)(1U << bit);
			assert_true(lookup_read_srv(
					bad, sizeof(answer), records, 8) <= 4);
			free(bad);
		}
}

/* ---- as it is on this machine ---- */

static bool
has(const struct lookup_result *r, const char *address)
{
	return strstr(shown(r), address) != NULL;
}

static void
localhost_is_this_machine(void **state)
{
	struct lookup_result r;

	(void)state;
	lookup(&r, LOOKUP_HOST, "localhost", 8080, &never);
	assert_int_equal(r.end, LOOKUP_ALL);
	assert_true(has(&r, "127.0.0.1:8080") || has(&r, "[::1]:8080"));
	for (size_t i = 0; i < r.n; i++) {
		assert_true(address_on_loopback(&r.found[i].address));
		assert_int_equal(r.found[i].weight, 0);
		assert_false(r.found[i].backup);
	}
	free(r.found);
}

/* No name server is asked for a name with an empty label. */
static void
failures_have_a_reason(void **state)
{
	struct lookup_result r;

	(void)state;
	lookup(&r, LOOKUP_HOST, "a..b", 80, &never);
	assert_int_equal(r.end, LOOKUP_FAILED);
	assert_int_equal(r.n, 0);
	assert_true(strlen(r.why) > 5);
	free(r.found);
	/* Blocked names get such an answer. */
	for (size_t i = 0; i < 2; i++) {
		lookup(&r, LOOKUP_HOST, i == 0 ? "0.0.0.0" : "::", 80, &never);
		assert_int_equal(r.end, LOOKUP_FAILED);
		assert_int_equal(r.n, 0);
		assert_string_equal(r.why, "the name has no address");
		free(r.found);
	}
	lookup(&r, LOOKUP_SRV, "_http._tcp..b", 0, &never);
	assert_int_equal(r.end, LOOKUP_FAILED);
	assert_int_equal(r.n, 0);
	assert_true(strlen(r.why) > 5);
	free(r.found);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_same_set_is_the_same_list),
	    cmocka_unit_test(an_address_stands_once),
	    cmocka_unit_test(there_are_not_too_many),
	    cmocka_unit_test(addresses_out_of_reach),
	    cmocka_unit_test(weights_and_priorities),
	    cmocka_unit_test(records_are_read),
	    cmocka_unit_test(damaged_messages_do_no_harm),
	    cmocka_unit_test(localhost_is_this_machine),
	    cmocka_unit_test(failures_have_a_reason),
	};

	return cmocka_run_group_tests_name("lookup", tests, NULL, NULL);
}
