#include "evenkeel/http/field.h"

#include "evenkeel/http/octets.h"

/* Longest name of the table below; same_nocase compares up to 24 bytes. */
#define NAME_LONGEST 19

/* Of X-Forwarded-* and X-Request-Id; of X-Client-Cert-Subject. */
#define X_NAME_SHORTEST 12
#define X_NAME_LONGEST  21

struct known {
	char name[X_NAME_LONGEST + 1]; /* in lower case */
	uint8_t id;
};

/* By length; no two of the same length begin with the same letter. */
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
    {"authorization", H1_FIELD_AUTHORIZATION},
    {"content-length", H1_FIELD_CONTENT_LENGTH},
    {"http2-settings", H1_FIELD_HTTP2_SETTINGS},
    {"idempotency-key", H1_FIELD_IDEMPOTENCY_KEY},
    {"proxy-connection", H1_FIELD_PROXY_CONNECTION},
    {"transfer-encoding", H1_FIELD_TRANSFER_ENCODING},
    {"proxy-authenticate", H1_FIELD_PROXY_AUTHENTICATE},
    {"proxy-authorization", H1_FIELD_PROXY_AUTHORIZATION},
};

#define BIT(length) (1U << (length))

/* The lengths of the names that begin with a letter (its low five bits): most
 * names are told apart by this alone. */
static const uint32_t lengths_of[32] = {
    ['a' & 31] = BIT(13),
    ['c' & 31] = BIT(10) | BIT(14),
    ['d' & 31] = BIT(4),
    ['e' & 31] = BIT(6),
    ['f' & 31] = BIT(9),
    ['h' & 31] = BIT(4) | BIT(14),
    ['i' & 31] = BIT(15),
    ['k' & 31] = BIT(10),
    ['p' & 31] = BIT(16) | BIT(18) | BIT(19),
    ['r' & 31] = BIT(7) | BIT(11),
    ['t' & 31] = BIT(2) | BIT(7) | BIT(17),
    ['u' & 31] = BIT(7) | BIT(10),
    ['v' & 31] = BIT(3),
};

/* known[first_of[n]] up to known[first_of[n + 1]] have n bytes. */
static const uint8_t first_of[NAME_LONGEST + 2] = {
    0, 0, 0, 1, 2, 4, 4, 5, 8, 8, 9, 12, 13, 13, 14, 16, 17, 18, 19, 20, 21};

/* In a token `| 0x20` makes letters lower case and gives no other byte that
 * is a letter or '-'.  So a name matches when all these differences are 0. */
static inline uint64_t
diff8(const char *name, const char *text)
{
	return (octets_load(name) | (UINT64_MAX / 255 * 0x20)) ^
	    octets_load(text);
}

static inline uint32_t
diff4(const char *name, const char *text)
{
	uint32_t a, b;

	memcpy(&a, name, sizeof(a));
	memcpy(&b, text, sizeof(b));
	return (a | 0x20202020U) ^ b;
}

/* `name` is `text` (lower case, of the same length) but for case; loads
 * overlap where the length is no multiple of theirs. */
static inline bool
same_nocase(const char *name, const char *text, size_t len)
{
	uint64_t diff;

	if (len >= 8) {
		diff =
		    diff8(name, text) | diff8(name + len - 8, text + len - 8);
		if (len > 16)
			diff |= diff8(name + 8, text + 8);
		return diff == 0;
	}
	if (len >= 4)
		return (diff4(name, text) |
			   diff4(name + len - 4, text + len - 4)) == 0;
	for (size_t i = 0; i < len; i++)
		if ((name[i] | 0x20) != text[i])
			return false;
	return true;
}

/* The same, with '_' read as '-' and at least one of them. */
static bool __attribute__((noinline))
same_underscored(const char *name, const char *text, size_t len)
{
	bool under = false;

	for (size_t i = 0; i < len; i++) {
		if ((name[i] | 0x20) == text[i])
			continue;
		if (name[i] != '_' || text[i] != '-')
			return false;
		under = true;
	}
	return under;
}

static inline bool
same(const char *name, const char *text, size_t len, bool *underscore)
{
	*underscore = false;
	if (same_nocase(name, text, len))
		return true;
	*underscore = same_underscored(name, text, len);
	return *underscore;
}

static enum h1_field_id __attribute__((noinline))
confirm(struct span name, const struct known *k, bool *underscore)
{
	return same(name.ptr, k->name, name.len, underscore)
	    ? (enum h1_field_id)k->id
	    : H1_FIELD_OTHER;
}

/* Names of at least 12 bytes that begin with 'x'. */
static enum h1_field_id __attribute__((noinline))
lookup_x(struct span name, bool *underscore)
{
	static const char prefix[] = "x-forwarded-";
	static const struct known request_id = {
	    "x-request-id", H1_FIELD_X_REQUEST_ID};
	static const struct known subject = {
	    "x-client-cert-subject", H1_FIELD_X_CLIENT_CERT_SUBJECT};

	if (name.len == X_NAME_LONGEST && (name.ptr[2] | 0x20) == 'c')
		return confirm(name, &subject, underscore);
	if (!same(name.ptr, prefix, X_NAME_SHORTEST, underscore))
		return name.len == X_NAME_SHORTEST
		    ? confirm(name, &request_id, underscore)
		    : H1_FIELD_OTHER;
	/* X-Forwarded-For_Real: the prefix is not the whole name. */
	*underscore = memchr(name.ptr, '_', name.len) != NULL;
	return H1_FIELD_X_FORWARDED;
}

enum h1_field_id
h1_field_lookup(struct span name, bool *underscore)
{
	char first;

	*underscore = false;
	if (name.len == 0)
		return H1_FIELD_OTHER;
	first = (char)(name.ptr[0] | 0x20);
	if (first == 'x' && name.len >= X_NAME_SHORTEST)
		return lookup_x(name, underscore);
	if (name.len > NAME_LONGEST ||
	    (lengths_of[first & 31] & BIT(name.len)) == 0)
		return H1_FIELD_OTHER;
	for (size_t i = first_of[name.len]; i < first_of[name.len + 1]; i++)
		if (first == known[i].name[0])
			return confirm(name, &known[i], underscore);
	return H1_FIELD_OTHER;
}

bool
h1_is_token(struct span s)
{
	const char *end = s.ptr + s.len;

	return s.len > 0 && octets_skip_token(s.ptr, end) == end;
}

enum h1_error
h1_field_line(struct span line, struct h1_field *out)
{
	const char *end = line.ptr + line.len, *p;
	struct span value;

	p = octets_skip_token(line.ptr, end);
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
