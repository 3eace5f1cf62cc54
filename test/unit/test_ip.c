/* layer: http */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "evenkeel/http/ip.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The text that is written for a text that is read; NULL: it is not read. */
struct row {
	const char *in, *out;
};

static const struct row rows[] = {
    {"1.2.3.4", "1.2.3.4"},
    {"0.0.0.0", "0.0.0.0"},
    {"255.255.255.255", "255.255.255.255"},
    {"::", "::"},
    {"::1", "::1"},
    {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
    {"::ffff:1.2.3.4", "::ffff:1.2.3.4"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
	"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"", NULL},
    {"1.2.3", NULL},
    {"1.2.3.4.5", NULL},
    {"1.2.3.256", NULL},
    {"01.2.3.4", NULL},
    {"0x1.2.3.4", NULL},
    {"1.2.3.4 ", NULL},
    {" 1.2.3.4", NULL},
    {"+1.2.3.4", NULL},
    {"1.2.3.4\n", NULL},
    {"16909060", NULL},
    {"[::1]", NULL},
    {"::1%lo", NULL},
    {":::", NULL},
    {"1::2::3", NULL},
    {"1:2:3:4:5:6:7", NULL},
    {"1:2:3:4:5:6:7:8:9", NULL},
    {"12345::", NULL},
    {"::g", NULL},
    {"1.2.3.4:80", NULL},
    {"localhost", NULL},
    {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555", NULL},
};

static void
test_rows(void **state)
{
	char room[IP_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct textbuf t = textbuf_make(room, sizeof(room));
		struct ip ip = {.family = 77};

		if (ip_parse(span_of(rows[i].in), &ip) != (rows[i].out != NULL))
			fail_msg("%s", rows[i].in);
		if (rows[i].out == NULL) {
			assert_int_equal(ip.family, 77);
			continue;
		}
		ip_put(&t, &ip);
		assert_true(span_equal(textbuf_span(&t), span_of(rows[i].out)));
	}
}

static void
test_nul(void **state)
{
	struct ip ip;

	(void)state;
	assert_false(ip_parse(SPAN("1.2.3.4\0"), &ip));
	assert_false(ip_parse(SPAN("1.2.3.4\0evil"), &ip));
	assert_false(ip_parse(SPAN("\0"), &ip));
	assert_false(ip_parse(SPAN_NONE, &ip));
}

static struct ip
parsed(const char *text)
{
	struct ip ip = {.family = IP_NONE};

	assert_true(ip_parse(span_of(text), &ip));
	return ip;
}

static void
test_unmap(void **state)
{
	struct ip v4 = parsed("1.2.3.4"), v6 = parsed("::1.2.3.4");
	struct ip mapped = ip_unmap(parsed("::ffff:1.2.3.4"));
	struct ip same = ip_unmap(v6), none = {.family = IP_NONE};

	(void)state;
	assert_true(ip_equal(&mapped, &v4));
	assert_true(ip_equal(&same, &v6));
	assert_false(ip_equal(&v4, &v6));
	v4 = parsed("0.0.0.0");
	v6 = parsed("::");
	assert_false(ip_equal(&v4, &v6));
	v6 = parsed("::1.2.3.4");
	same = ip_unmap(v6);
	assert_true(ip_equal(&same, &v6));
	same = ip_unmap(v4);
	assert_true(ip_equal(&same, &v4));
	same = ip_unmap(none);
	assert_true(ip_equal(&same, &none));
	v6 = ip_unmap(parsed("::fffe:1.2.3.4"));
	assert_int_equal(v6.family, IP_V6);
	v6 = ip_unmap(parsed("1::ffff:1.2.3.4"));
	assert_int_equal(v6.family, IP_V6);
}

static void
test_none(void **state)
{
	const struct ip none = {.family = IP_NONE};
	struct textbuf t = textbuf_make(NULL, 0);

	(void)state;
	ip_put(&t, &none);
	assert_false(t.full);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_nul),
	    cmocka_unit_test(test_unmap),
	    cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
