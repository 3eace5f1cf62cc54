/*
 * octets - which bytes may stand where in HTTP/1, and fast scans over them.
 *
 * One table for the classes that are looked up byte by byte; field values,
 * which are long and may hold nearly anything, are scanned eight bytes at a
 * time for what they may not hold.
 *
 * Layer: http.  Pure.  Inline, because the scans are the hottest loops.
 *
 * Sources: RFC 9110 5.5 (field values), 5.6.2 (tokens); RFC 5234 B.1 (VCHAR).
 */
#ifndef EVENKEEL_HTTP_OCTETS_H
#define EVENKEEL_HTTP_OCTETS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* RFC 9110 5.6.2: tchar. */
#define OCTETS_TOKEN 1U
/* Visible ASCII but '#': what a request target may be made of.  RFC 3986
 * allows less, but browsers send `"<>[]^{|}` as they are. */
#define OCTETS_TARGET 2U
/* RFC 3986 3.2.2: unreserved and sub-delims, without the comma (a Host is no
 * list) and without '%', which needs a look at what follows. */
#define OCTETS_REG_NAME 4U

extern const unsigned char octets_class[256];

static inline bool
octets_is(char c, unsigned class)
{
	return (octets_class[(unsigned char)c] & class) != 0;
}

static inline bool
octets_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* SP or HTAB. */
static inline bool
octets_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* RFC 9110 5.5: SP, HTAB, VCHAR or obs-text. */
static inline bool
octets_is_text(char c)
{
	return c == '\t' || ((unsigned char)c >= 0x20 && c != 0x7f);
}

/* The first byte in [p, end) that is not of `class`, or end. */
static inline const char *
octets_skip(const char *p, const char *end, unsigned class)
{
	while (p < end && octets_is(*p, class))
		p++;
	return p;
}

/* Eight bytes, the first of them lowest; `p` need not be aligned. */
static inline uint64_t
octets_load(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	word = __builtin_bswap64(word);
#endif
	return word;
}

/*
 * Flags the control bytes among eight (HTAB too) in their top bits.  The
 * subtractions borrow into bytes above a flagged one only, so the lowest flag
 * is always right.
 */
static inline uint64_t
octets_flag_controls(uint64_t word)
{
	const uint64_t ones = UINT64_MAX / 255;
	uint64_t del = word ^ (ones * 0x7f);

	return (((word - ones * 0x20) & ~word) | ((del - ones) & ~del)) &
	    (ones * 0x80);
}

/* The first byte in [p, end) for which octets_is_text is false, or end. */
static inline const char *
octets_skip_text(const char *p, const char *end)
{
	uint64_t flags;

	while (end - p >= 8) {
		flags = octets_flag_controls(octets_load(p));
		if (flags == 0) {
			p += 8;
			continue;
		}
		p += __builtin_ctzll(flags) / 8;
		if (*p != '\t')
			return p;
		p++;
	}
	while (p < end && octets_is_text(*p))
		p++;
	return p;
}

#endif
