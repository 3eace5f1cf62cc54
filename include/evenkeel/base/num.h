/*
 * num - numbers from text and back, with bounds, without locale or errno.
 *
 * Every parser takes a whole span: a sign, white space, an empty span, a
 * trailing byte or a value above the caller's maximum is a failure, and the
 * result is then untouched.
 *
 * Layer: base.  Pure.
 */
#ifndef EVENKEEL_BASE_NUM_H
#define EVENKEEL_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "evenkeel/base/check.h"
#include "evenkeel/base/span.h"

/* Digits of UINT64_MAX: what num_put_u64 needs at most. */
#define NUM_U64_DIGITS 20
/* Hexadecimal digits of UINT64_MAX: what num_put_hex needs at most. */
#define NUM_HEX_DIGITS 16

/*@ predicate num_digits(char *text, integer n) =
      \forall integer i; 0 <= i < n ==> '0' <= text[i] <= '9';

    logic integer num_value{L}(char *text, integer n) =
      n <= 0 ? 0 : num_value(text, n - 1) * 10 + (text[n - 1] - '0');
*/

/* 1*DIGIT, at most `max`.  Leading zeros are accepted. */
/*@ requires \valid(value) && \valid_read(text.ptr + (0 .. text.len - 1));
    requires \separated(value, text.ptr + (0 .. text.len - 1));
    assigns *value;
    ensures \result ==> text.len > 0 && num_digits(text.ptr, text.len);
    ensures \result ==> *value == num_value(text.ptr, text.len) <= max;
    ensures !\result ==> *value == \old(*value);
    ensures !\result ==> text.len == 0 || !num_digits(text.ptr, text.len) ||
      \exists integer n; 0 < n <= text.len && num_value(text.ptr, n) > max;
*/
bool num_parse_u64(struct span text, uint64_t max, uint64_t *value) WARN_UNUSED;

/* Value of a hexadecimal digit, or -1. */
/*@ assigns \nothing;
    ensures '0' <= c <= '9' ==> \result == c - '0';
    ensures 'a' <= c <= 'f' ==> \result == c - 'a' + 10;
    ensures 'A' <= c <= 'F' ==> \result == c - 'A' + 10;
    ensures !('0' <= c <= '9') && !('a' <= c <= 'f') && !('A' <= c <= 'F') ==>
      \result == -1;
*/
int num_hex_digit(char c);

/* Decimal and lower-case hexadecimal without leading zeros; returns how many
 * bytes were written to `out`, which has room for NUM_U64_DIGITS or
 * NUM_HEX_DIGITS. */
/*@ logic integer num_tens(integer n) = n <= 0 ? 1 : 10 * num_tens(n - 1); */
/*@ requires \valid(out + (0 .. NUM_U64_DIGITS - 1));
    assigns out[0 .. NUM_U64_DIGITS - 1];
    ensures 1 <= \result <= NUM_U64_DIGITS;
    ensures num_digits(out, \result);
*/
size_t num_put_u64(char *out, uint64_t value);
/*@ requires \valid(out + (0 .. NUM_HEX_DIGITS - 1));
    assigns out[0 .. NUM_HEX_DIGITS - 1];
    ensures 1 <= \result <= NUM_HEX_DIGITS;
*/
size_t num_put_hex(char *out, uint64_t value);

/* The same with leading zeros: always NUM_HEX_DIGITS bytes. */
/*@ requires \valid(out + (0 .. NUM_HEX_DIGITS - 1));
    assigns out[0 .. NUM_HEX_DIGITS - 1];
*/
void num_put_hex_padded(char *out, uint64_t value);

/* a + b and a * b, or UINT64_MAX when that does not fit. */
/*@ assigns \nothing;
    ensures \result == \min(a + b, UINT64_MAX);
*/
uint64_t num_add_capped(uint64_t a, uint64_t b);
/*@ assigns \nothing;
    ensures \result == \min(a * b, UINT64_MAX);
*/
uint64_t num_mul_capped(uint64_t a, uint64_t b);

/*@ assigns \nothing; ensures \result == \min(a, b); */
static inline uint64_t
num_min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*@ assigns \nothing; ensures \result == \max(a, b); */
static inline uint64_t
num_max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/*@ assigns \nothing; ensures \result == \min(a, b); */
static inline size_t
num_min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

#endif
