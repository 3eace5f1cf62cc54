/* layer: http */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "evenkeel/http/cidr.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct row {
	const char *in;
	enum cidr_error error;
	const char *out;
};

static const struct row rows[] = {
    {"10.0.0.0/8", CIDR_OK, "10.0.0.0/8"},
    {"0.0.0.0/0", CIDR_OK, "0.0.0.0/0"},
    {"1.2.3.4", CIDR_OK, "1.2.3.4"},
    {"1.2.3.4/32", CIDR_OK, "1.2.3.4"},
    {"1.2.3.4/31", CIDR_OK, "1.2.3.4/31"},
    {"128.0.0.0/1", CIDR_OK, "128.0.0.0/1"},
    {"::/0", CIDR_OK, "::/0"},
    {"::1/128", CIDR_OK, "::1"},
    {"::1", CIDR_OK, "::1"},
    {"2001:DB8::/32", CIDR_OK, "2001:db8::/32"},
    {"fe80::/10", CIDR_OK, "fe80::/10"},
    {"::ffff:10.0.0.0/104", CIDR_OK, "10.0.0.0/8"},
    {"::ffff:0.0.0.0/96", CIDR_OK, "0.0.0.0/0"},
    {"::ffff:1.2.3.4", CIDR_OK, "1.2.3.4"},
    {"1.2.3.4/31 ", CIDR_E_BITS, NULL},
    {"1.2.3.5/31", CIDR_E_HOST_BITS, NULL},
    {"10.1.2.3/8", CIDR_E_HOST_BITS, NULL},
    {"10.0.0.1/0", CIDR_E_HOST_BITS, NULL},
    {"192.0.0.0/1", CIDR_E_HOST_BITS, NULL},
    {"::1/127", CIDR_E_HOST_BITS, NULL},
    {"::1/64", CIDR_E_HOST_BITS, NULL},
    {"2001:db8::100:0/64", CIDR_E_HOST_BITS, NULL},
    {"fe80::/8", CIDR_E_HOST_BITS, NULL},
    {"::ffff:0:0/95", CIDR_E_HOST_BITS, NULL},
    {"1.2.3.4/33", CIDR_E_BITS, NULL},
    {"::/129", CIDR_E_BITS, NULL},
    {"1.2.3.4/", CIDR_E_BITS, NULL},
    {"1.2.3.4/-1", CIDR_E_BITS, NULL},
    {"1.2.3.4/+8", CIDR_E_BITS, NULL},
    {"10.0.0.0/08", CIDR_E_BITS, NULL},
    {"0.0.0.0/00", CIDR_E_BITS, NULL},
    {"1.2.3.4/32/32", CIDR_E_BITS, NULL},
    {"1.2.3.4/18446744073709551648", CIDR_E_BITS, NULL},
    {"10.0.0.0/255.0.0.0", CIDR_E_BITS, NULL},
    {"", CIDR_E_ADDRESS, NULL},
    {"/8", CIDR_E_ADDRESS, NULL},
    {"10/8", CIDR_E_ADDRESS, NULL},
    {"[::1]/128", CIDR_E_ADDRESS, NULL},
    {"example.com", CIDR_E_ADDRESS, NULL},
    {" 10.0.0.0/8", CIDR_E_ADDRESS, NULL},
};

static void
test_parse(void **state)
{
	char room[CIDR_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct textbuf t = textbuf_make(room, sizeof(room));
		struct cidr c = {.bits = 255};
		enum cidr_error e = cidr_parse(span_of(rows[i].in), &c);

		if (e != rows[i].error)
			fail_msg("%s: %d", rows[i].in, e);
		assert_int_equal(strlen(cidr_error_text(e)) > 0, e != CIDR_OK);
		if (e != CIDR_OK) {
			assert_int_equal(c.bits, 255);
			continue;
		}
		cidr_put(&t, &c);
		if (!span_equal(textbuf_span(&t), span_of(rows[i].out)))
			fail_msg("%s: %.*s", rows[i].in, (int)t.len, t.ptr);
	}
}

static bool
contains(const char *block, const char *address)
{
	struct cidr c;
	struct ip ip;

	assert_int_equal(cidr_parse(span_of(block), &c), CIDR_OK);
	assert_true(ip_parse(span_of(address), &ip));
	return cidr_contains(&c, 1, &ip);
}

struct place {
	const char *block, *in, *out; /* NULL: nothing to ask */
};

static const struct place places[] = {
    {"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
    {"10.0.0.0/8", "10.0.0.0", "9.255.255.255"},
    {"10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"},
    {"10.0.0.0/8", NULL, "a00::"},
    {"0.0.0.0/0", "255.1.2.3", "::1"},
    {"0.0.0.0/0", "::ffff:1.2.3.4", NULL},
    {"::/0", "ffff::1", "1.2.3.4"},
    {"::/0", "::1.2.3.4", "::ffff:1.2.3.4"},
    {"1.2.3.4", "1.2.3.4", "1.2.3.5"},
    {"1.2.3.4/31", "1.2.3.5", "1.2.3.6"},
    {"1.2.3.128/25", "1.2.3.129", "1.2.3.127"},
    {"172.16.0.0/12", "172.31.255.255", "172.32.0.0"},
    {"::1/128", "::1", "::2"},
    {"fe80::/10", "febf:ffff::1", "fec0::"},
    {"2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"},
    {"::ffff:10.0.0.0/104", "10.1.1.1", "::ffff:11.0.0.0"},
};

static void
test_contains(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(places); i++) {
		const struct place *p = &places[i];

		if ((p->in != NULL && !contains(p->block, p->in)) ||
		    (p->out != NULL && contains(p->block, p->out)))
			fail_msg("%s", p->block);
	}
}

/* Every length of a prefix: the address with the bit behind it turned is in,
 * the one with its last bit turned is out. */
static void
test_each_length(void **state)
{
	static const uint8_t ones[16] = {[0 ... 15] = 0xff};

	(void)state;
	for (unsigned bits = 0; bits <= 128; bits++) {
		struct cidr c = {
		    .base = {.family = IP_V6}, .bits = (uint8_t)bits};
		struct ip ip;

		for (unsigned i = 0; i < bits; i++)
			c.base.bytes[i / 8] |= (uint8_t)(0x80 >> i % 8);
		ip = ip_make(IP_V6, ones);
		assert_true(cidr_contains(&c, 1, &ip));
		if (bits == 0)
			continue;
		ip.bytes[(bits - 1) / 8] ^= (uint8_t)(0x80 >> (bits - 1) % 8);
		assert_false(cidr_contains(&c, 1, &ip));
	}
}

static void
test_list(void **state)
{
	static const struct cidr list[] = {
	    {.base = {.family = IP_V4, .bytes = {10}}, .bits = 8},
	    {.base = {.family = IP_V6}, .bits = 64},
	    {.base = {.family = IP_V4, .bytes = {192, 168}}, .bits = 16},
	};
	const struct ip none = {.family = IP_NONE};
	struct ip ip;

	(void)state;
	assert_true(ip_parse(SPAN("192.168.4.5"), &ip));
	assert_true(cidr_contains(list, 3, &ip));
	assert_false(cidr_contains(list, 2, &ip));
	assert_false(cidr_contains(NULL, 0, &ip));
	assert_false(cidr_contains(list, 3, &none));
	assert_true(ip_parse(SPAN("::5"), &ip));
	assert_true(cidr_contains(list, 3, &ip));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_contains),
	    cmocka_unit_test(test_each_length),
	    cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
