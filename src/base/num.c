#include "evenkeel/base/num.h"

bool
num_parse_u64(struct span text, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;

	if (text.len == 0)
		return false;
	/*@ loop invariant 0 <= i <= text.len;
	    loop invariant num_digits(text.ptr, i);
	    loop invariant v == num_value(text.ptr, i) <= max;
	    loop assigns i, v;
	    loop variant text.len - i;
	*/
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		unsigned digit = (unsigned)(c - '0');

		if (c < '0' || c > '9')
			return false;
		/* Checked before the multiplication: v * 10 + digit <= max. */
		if (v > max / 10 || (v == max / 10 && digit > max % 10)) {
			/*@ assert num_value(text.ptr, i + 1) > max; */
			return false;
		}
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

	/*@ loop invariant 0 <= n < NUM_U64_DIGITS;
	    loop invariant value * num_tens(n) <= \at(value, Pre);
	    loop invariant num_digits(&tmp[0], n);
	    loop assigns n, value, tmp[0 .. NUM_U64_DIGITS - 1];
	    loop variant value;
	*/
	do {
		tmp[n++] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	/*@ loop invariant 0 <= i <= n <= NUM_U64_DIGITS;
	    loop invariant num_digits(&out[0], i);
	    loop assigns i, out[0 .. NUM_U64_DIGITS - 1];
	    loop variant n - i;
	*/
	for (size_t i = 0; i < n; i++)
		out[i] = tmp[n - 1 - i];
	return n;
}

size_t
num_put_hex(char *out, uint64_t value)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 1;

	/*@ loop invariant 1 <= n <= NUM_HEX_DIGITS;
	    loop assigns n;
	    loop variant NUM_HEX_DIGITS - n;
	*/
	while (n < NUM_HEX_DIGITS && (value >> (4 * n)) != 0)
		n++;
	/*@ loop invariant 0 <= i <= n <= NUM_HEX_DIGITS;
	    loop assigns i, out[0 .. NUM_HEX_DIGITS - 1];
	    loop variant n - i;
	*/
	for (size_t i = 0; i < n; i++)
		out[i] = digits[(value >> (4 * (n - 1 - i))) & 15];
	return n;
}

/* The eight digits of `value`, each in a byte, the first in the lowest. */
/*@ assigns \nothing;
    exits \false;
*/
static uint64_t
hex_digits(uint32_t value)
{
	const uint64_t ones = UINT64_MAX / 255;
	uint64_t x = __builtin_bswap32(value), above_9;

	x = (x | x << 16) & 0x0000ffff0000ffff;
	x = (x | x << 8) & 0x00ff00ff00ff00ff;
	x = (x >> 4 | x << 8) & 0x0f0f0f0f0f0f0f0f;
	above_9 = (x + ones * 6) >> 4 & ones;
	return x + ones * '0' + above_9 * ('a' - '9' - 1);
}

/* The lowest byte first; one store, as compilers see it when it stands alone:
 * two in a row they would build in a vector, byte by byte. */
/*@ requires \valid(out + (0 .. 7));
    assigns out[0 .. 7];
    exits \false;
*/
static void __attribute__((noinline)) put_bytes(char *out, uint64_t bytes)
{
	out[0] = (char)bytes;
	out[1] = (char)(bytes >> 8);
	out[2] = (char)(bytes >> 16);
	out[3] = (char)(bytes >> 24);
	out[4] = (char)(bytes >> 32);
	out[5] = (char)(bytes >> 40);
	out[6] = (char)(bytes >> 48);
	out[7] = (char)(bytes >> 56);
}

void
num_put_hex_padded(char *out, uint64_t value)
{
	put_bytes(out, hex_digits((uint32_t)(value >> 32)));
	put_bytes(out + NUM_HEX_DIGITS / 2, hex_digits((uint32_t)value));
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
