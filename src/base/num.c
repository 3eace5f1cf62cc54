#include "evenkeel/base/num.h"

bool
num_parse_u64(struct span text, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;

	if (text.len == 0)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		unsigned digit = (unsigned)(unsigned char)text.ptr[i] - '0';

		if (digit > 9)
			return false;
		/* Checked before the multiplication: v * 10 + digit <= max. */
		if (v > max / 10 || (v == max / 10 && digit > max % 10))
			return false;
		v = v * 10 + digit;
	}
	*value = v;
	return true;
}

int
num_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = span_lower_byte(c);
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

size_t
num_put_u64(char *out, uint64_t value)
{
	char tmp[NUM_U64_DIGITS];
	size_t n = 0;

	do {
		tmp[n++] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	for (size_t i = 0; i < n; i++)
		out[i] = tmp[n - 1 - i];
	return n;
}

size_t
num_put_hex(char *out, uint64_t value)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 1;

	while (n < NUM_HEX_DIGITS && (value >> (4 * n)) != 0)
		n++;
	for (size_t i = 0; i < n; i++)
		out[i] = digits[(value >> (4 * (n - 1 - i))) & 15];
	return n;
}

uint64_t
num_add_capped(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

uint64_t
num_mul_capped(uint64_t a, uint64_t b)
{
	return b != 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}
