/*
 * span - a read-only run of bytes that somebody else owns.
 *
 * Bytes are not terminated and may be any of the 256; letter case is folded
 * for ASCII only, whatever the locale.
 *
 * Layer: base.  Pure.
 */
#ifndef EVENKEEL_BASE_SPAN_H
#define EVENKEEL_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
	const char *ptr; /* may be NULL when len is 0 */
	size_t len;
};

/* A span over a string literal, without its NUL; anything else does not
 * compile. */
#define SPAN(literal) ((struct span){"" literal, sizeof(literal) - 1})
#define SPAN_NONE     ((struct span){NULL, 0})

static inline struct span
span_make(const char *ptr, size_t len)
{
	return (struct span){ptr, len};
}

/* The span of a NUL-terminated string; NULL gives the empty span. */
static inline struct span
span_of(const char *text)
{
	return (struct span){text, text ? strlen(text) : 0};
}

/* 'A'..'Z' as lower case, every other byte unchanged. */
/*@ assigns \nothing;
    ensures 'A' <= c <= 'Z' ==> \result == c + ('a' - 'A');
    ensures !('A' <= c <= 'Z') ==> \result == c;
*/
static inline char
span_lower_byte(char c)
{
	return (c >= 'A' && c <= 'Z') ? (char)(c + ('a' - 'A')) : c;
}

static inline bool
span_equal(struct span a, struct span b)
{
	return a.len == b.len &&
	    (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Equal but for the case of ASCII letters. */
bool span_equal_nocase(struct span a, struct span b);

/* `s` begins with `prefix` (the empty prefix always fits). */
bool span_starts_with(struct span s, struct span prefix);
bool span_starts_with_nocase(struct span s, struct span prefix);
bool span_ends_with_nocase(struct span s, struct span suffix);

/* Where `needle` first occurs in `s`, or s.len when it does not. */
size_t span_find(struct span s, char needle);
size_t span_find_last(struct span s, char needle);

/* `s` without leading and trailing SP and HTAB (RFC 9110 5.6.3 OWS). */
struct span span_trim(struct span s);

/*
 * Takes the next element off a comma-separated list: returns true and the
 * trimmed element (possibly empty) while there is one, and moves `*rest`
 * behind it.  Every call that returns true shortens `*rest`, or was the last.
 * Start with the whole list; an empty list has one empty element.
 */
bool span_next_element(struct span *rest, struct span *element)
    __attribute__((warn_unused_result));

#endif
