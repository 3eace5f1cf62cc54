/*
 * octets - which bytes may stand where in HTTP/1, and fast scans over them.
 *
 * One table holds the classes of single bytes and decides in the end; before
 * it comes a look at eight or sixteen bytes at a time, which most bytes of a
 * head pass at once.
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

/* OCTETS_PORTABLE: the test of what other machines do. */
#if defined(__SSE2__) && !defined(OCTETS_PORTABLE)
#define OCTETS_SSE2 1
#include <emmintrin.h>
#endif

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

/*
 * octets_jump_x passes over bytes that are surely of class x, many at a time.
 * It may stop before others that are too, when they are rare or few are left.
 */
#ifdef OCTETS_SSE2

/* Bytes that lie in [low, low + width], as 0xff. */
static inline __m128i
octets_between(__m128i bytes, char low, char width)
{
	__m128i above = _mm_sub_epi8(bytes, _mm_set1_epi8(low));

	return _mm_cmpeq_epi8(_mm_min_epu8(above, _mm_set1_epi8(width)), above);
}

/* Letters, digits, '-' and '.'. */
static inline __m128i
octets_token_bytes(__m128i bytes)
{
	__m128i lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
	__m128i letters = octets_between(lower, 'a', 25);
	__m128i digits = octets_between(bytes, '0', 9);
	__m128i others = octets_between(bytes, '-', 1);

	return _mm_or_si128(_mm_or_si128(letters, digits), others);
}

static inline __m128i
octets_target_bytes(__m128i bytes)
{
	return _mm_andnot_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('#')),
	    octets_between(bytes, '!', '~' - '!'));
}

/* All but control bytes: 0x20 and up, to the end of obs-text. */
static inline __m128i
octets_text_bytes(__m128i bytes)
{
	return _mm_andnot_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)),
	    octets_between(bytes, ' ', (char)(0xff - ' ')));
}

#define OCTETS_JUMP(name)                                                      \
	static inline const char *octets_jump_##name(                          \
	    const char *p, const char *end)                                    \
	{                                                                      \
		for (; end - p >= 16; p += 16) {                               \
			__m128i bytes =                                        \
			    _mm_loadu_si128((const __m128i *)(const void *)p); \
			unsigned good = (unsigned)_mm_movemask_epi8(           \
			    octets_##name##_bytes(bytes));                     \
                                                                               \
			if (good != 0xffff)                                    \
				return p + __builtin_ctz(~good);               \
		}                                                              \
		return p;                                                      \
	}

OCTETS_JUMP(token)
OCTETS_JUMP(target)
OCTETS_JUMP(text)
#undef OCTETS_JUMP

#else

static inline const char *
octets_jump_token(const char *p, const char *end)
{
	(void)end;
	return p;
}

static inline const char *
octets_jump_target(const char *p, const char *end)
{
	(void)end;
	return p;
}

static inline const char *
octets_jump_text(const char *p, const char *end)
{
	uint64_t flags;

	for (; end - p >= 8; p += 8) {
		flags = octets_flag_controls(octets_load(p));
		if (flags != 0)
			return p + __builtin_ctzll(flags) / 8;
	}
	return p;
}

#endif

/* The first byte in [p, end) that is no tchar, or end. */
static inline const char *
octets_skip_token(const char *p, const char *end)
{
	return octets_skip(octets_jump_token(p, end), end, OCTETS_TOKEN);
}

/* The first byte in [p, end) that no request target has, or end. */
static inline const char *
octets_skip_target(const char *p, const char *end)
{
	return octets_skip(octets_jump_target(p, end), end, OCTETS_TARGET);
}

/* The first byte in [p, end) for which octets_is_text is false, or end. */
static inline const char *
octets_skip_text(const char *p, const char *end)
{
	p = octets_jump_text(p, end);
	while (p < end && octets_is_text(*p)) {
		p++;
		if (p[-1] == '\t')
			p = octets_jump_text(p, end);
	}
	return p;
}

#endif
