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

/* 1*DIGIT, at most `max`.  Leading zeros are accepted. */
bool num_parse_u64(struct span text, uint64_t max, uint64_t *value) WARN_UNUSED;

/* Value of a hexadecimal digit, or -1. */
int num_hex_digit(char c);

/* Decimal and lower-case hexadecimal without leading zeros; returns how many
 * bytes were written to `out`, which has room for NUM_U64_DIGITS or
 * NUM_HEX_DIGITS. */
size_t num_put_u64(char *out, uint64_t value);
size_t num_put_hex(char *out, uint64_t value);

/* a + b and a * b, or UINT64_MAX when that does not fit. */
uint64_t num_add_capped(uint64_t a, uint64_t b);
uint64_t num_mul_capped(uint64_t a, uint64_t b);

static inline uint64_t
num_min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t
num_max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline size_t
num_min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

#endif
