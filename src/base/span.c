#include "evenkeel/base/span.h"

static bool
same_nocase(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (span_lower_byte(a[i]) != span_lower_byte(b[i]))
			return false;
	return true;
}

bool
span_equal_nocase(struct span a, struct span b)
{
	return a.len == b.len && same_nocase(a.ptr, b.ptr, a.len);
}

bool
span_starts_with(struct span s, struct span prefix)
{
	return s.len >= prefix.len &&
	    span_equal(span_make(s.ptr, prefix.len), prefix);
}

bool
span_starts_with_nocase(struct span s, struct span prefix)
{
	return s.len >= prefix.len &&
	    same_nocase(s.ptr, prefix.ptr, prefix.len);
}

bool
span_ends_with_nocase(struct span s, struct span suffix)
{
	return s.len >= suffix.len &&
	    same_nocase(s.ptr + (s.len - suffix.len), suffix.ptr, suffix.len);
}

size_t
span_find(struct span s, char needle)
{
	const char *hit = s.len ? memchr(s.ptr, needle, s.len) : NULL;

	return hit ? (size_t)(hit - s.ptr) : s.len;
}

size_t
span_find_last(struct span s, char needle)
{
	for (size_t i = s.len; i > 0; i--)
		if (s.ptr[i - 1] == needle)
			return i - 1;
	return s.len;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct span
span_trim(struct span s)
{
	while (s.len > 0 && is_blank(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

bool
span_next_element(struct span *rest, struct span *element)
{
	size_t comma;

	/* A spent list is marked by a NULL pointer, an empty one is not. */
	if (rest->ptr == NULL)
		return false;
	comma = span_find(*rest, ',');
	*element = span_trim(span_make(rest->ptr, comma));
	if (comma == rest->len)
		*rest = SPAN_NONE;
	else
		*rest = span_make(rest->ptr + comma + 1, rest->len - comma - 1);
	return true;
}
