#include "evenkeel/http/field.h"

#include "evenkeel/http/octets.h"

/* Longest name of the table below. */
#define NAME_LONGEST 19

struct known {
	char name[NAME_LONGEST + 1]; /* in lower case */
	uint8_t id;
};

/* By length. */
static const struct known known[] = {
    {"te", H1_FIELD_TE},
    {"via", H1_FIELD_VIA},
    {"host", H1_FIELD_HOST},
    {"date", H1_FIELD_DATE},
    {"expect", H1_FIELD_EXPECT},
    {"trailer", H1_FIELD_TRAILER},
    {"upgrade", H1_FIELD_UPGRADE},
    {"referer", H1_FIELD_REFERER},
    {"forwarded", H1_FIELD_FORWARDED},
    {"connection", H1_FIELD_CONNECTION},
    {"user-agent", H1_FIELD_USER_AGENT},
    {"keep-alive", H1_FIELD_KEEP_ALIVE},
    {"retry-after", H1_FIELD_RETRY_AFTER},
    {"x-request-id", H1_FIELD_X_REQUEST_ID},
    {"authorization", H1_FIELD_AUTHORIZATION},
    {"content-length", H1_FIELD_CONTENT_LENGTH},
    {"http2-settings", H1_FIELD_HTTP2_SETTINGS},
    {"idempotency-key", H1_FIELD_IDEMPOTENCY_KEY},
    {"proxy-connection", H1_FIELD_PROXY_CONNECTION},
    {"transfer-encoding", H1_FIELD_TRANSFER_ENCODING},
    {"proxy-authenticate", H1_FIELD_PROXY_AUTHENTICATE},
    {"proxy-authorization", H1_FIELD_PROXY_AUTHORIZATION},
};

/* known[first_of[n]] up to known[first_of[n + 1]] have n bytes. */
static const uint8_t first_of[NAME_LONGEST + 2] = {
    0, 0, 0, 1, 2, 4, 4, 5, 8, 8, 9, 12, 13, 14, 15, 17, 18, 19, 20, 21, 22};

/*
 * `name` is `text` (lower case, of the same length) but for case and '_'.
 * In a token `| 0x20` folds letters and nothing else onto letters and '-'.
 */
static inline bool
same(const char *name, const char *text, size_t len, bool *underscore)
{
	bool under = false;

	for (size_t i = 0; i < len; i++) {
		if ((name[i] | 0x20) == text[i])
			continue;
		if (name[i] != '_' || text[i] != '-')
			return false;
		under = true;
	}
	*underscore = under;
	return true;
}

enum h1_field_id
h1_field_lookup(struct span name, bool *underscore)
{
	static const char prefix[] = "x-forwarded-";
	const size_t prefix_len = sizeof(prefix) - 1;

	*underscore = false;
	if (name.len >= prefix_len && (name.ptr[0] | 0x20) == 'x' &&
	    same(name.ptr, prefix, prefix_len, underscore)) {
		/* X-Forwarded_For: same() saw the prefix only. */
		if (memchr(name.ptr, '_', name.len) != NULL)
			*underscore = true;
		return H1_FIELD_X_FORWARDED;
	}
	if (name.len > NAME_LONGEST)
		return H1_FIELD_OTHER;
	for (size_t i = first_of[name.len]; i < first_of[name.len + 1]; i++)
		if ((name.ptr[0] | 0x20) == known[i].name[0] &&
		    same(name.ptr, known[i].name, name.len, underscore))
			return (enum h1_field_id)known[i].id;
	return H1_FIELD_OTHER;
}

bool
h1_is_token(struct span s)
{
	const char *end = s.ptr + s.len;

	return s.len > 0 && octets_skip(s.ptr, end, OCTETS_TOKEN) == end;
}

enum h1_error
h1_field_line(struct span line, struct h1_field *out)
{
	const char *end = line.ptr + line.len, *p;
	struct span value;

	p = octets_skip(line.ptr, end, OCTETS_TOKEN);
	if (p == line.ptr || p == end || *p != ':')
		return line.len > 0 && octets_is_blank(*line.ptr)
		    ? H1_E_FOLD
		    : H1_E_FIELD_NAME;
	out->name = (struct h1_text){0, (uint32_t)(p - line.ptr)};
	out->id = (uint8_t)h1_field_lookup(
	    span_make(line.ptr, out->name.len), &out->underscore);
	value = span_trim(span_make(p + 1, (size_t)(end - p - 1)));
	out->value = (struct h1_text){
	    (uint32_t)(value.ptr - line.ptr), (uint32_t)value.len};
	p = octets_skip_text(p, end);
	if (p != end)
		return *p == '\r' || *p == '\n' ? H1_E_LINE_END
						: H1_E_FIELD_VALUE;
	return H1_OK;
}
