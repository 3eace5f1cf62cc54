#include "evenkeel/http/framing.h"

#include "evenkeel/base/num.h"
#include "evenkeel/http/octets.h"

/* What the fields of one head say, before it is judged. */
struct seen {
	const struct h1_field *host, *length, *coding;
	unsigned hosts, lengths, codings;
	unsigned names; /* elements of Connection */
	bool close, keep_alive;
	bool upgrade_named;   /* by Connection */
	bool upgrade_offered; /* something other than h2c */
	bool continue_wanted, other_expectation;
	bool nominates;
	uint32_t keep_alive_timeout_s;
};

static bool
is_h16(struct span s)
{
	if (s.len == 0 || s.len > 4)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (num_hex_digit(s.ptr[i]) < 0)
			return false;
	return true;
}

/* Takes what stands before `mark`, or everything, off the front. */
static struct span
take_until(struct span *rest, char mark)
{
	size_t n = span_find(*rest, mark);
	struct span part = span_make(rest->ptr, n);

	if (n < rest->len)
		n++;
	*rest = span_make(rest->ptr + n, rest->len - n);
	return part;
}

/* RFC 3986 3.2.2: four dec-octets. */
static bool
is_ipv4(struct span s)
{
	uint64_t octet;

	for (int i = 0; i < 4; i++) {
		struct span part = take_until(&s, '.');
		bool dot = s.ptr != part.ptr + part.len;

		if (dot != (i < 3) || (part.len > 1 && part.ptr[0] == '0') ||
		    !num_parse_u64(part, 255, &octet))
			return false;
	}
	return true;
}

/* RFC 3986 3.2.2: up to eight groups, one run of them left out, the last two
 * perhaps as an IPv4 address. */
static bool
is_ipv6(struct span s)
{
	bool gap = span_starts_with(s, SPAN("::"));
	unsigned groups = 0;

	if (gap)
		s = span_make(s.ptr + 2, s.len - 2);
	while (s.len > 0 && groups < 8) {
		size_t n = span_find(s, ':');

		if (n == s.len && is_ipv4(s)) {
			groups += 2;
			s.len = 0;
			break;
		}
		if (!is_h16(span_make(s.ptr, n)))
			return false;
		groups++;
		if (n == s.len) {
			s.len = 0;
			break;
		}
		s = span_make(s.ptr + n + 1, s.len - n - 1);
		if (s.len == 0)
			return false;
		if (s.ptr[0] == ':') {
			if (gap)
				return false;
			gap = true;
			s = span_make(s.ptr + 1, s.len - 1);
		}
	}
	return s.len == 0 && (gap ? groups < 8 : groups == 8);
}

/* The length of the reg-name that `s` begins with. */
static size_t
reg_name_len(struct span s)
{
	const char *end = s.ptr + s.len, *p = s.ptr;

	for (;;) {
		p = octets_skip(p, end, OCTETS_REG_NAME);
		/* RFC 3986 2.1: pct-encoded. */
		if (end - p < 3 || *p != '%' || num_hex_digit(p[1]) < 0 ||
		    num_hex_digit(p[2]) < 0)
			return (size_t)(p - s.ptr);
		p += 3;
	}
}

/* RFC 3986 3.2.3: *DIGIT. */
static bool
is_port(struct span s)
{
	unsigned port = 0;

	if (s.len > 5)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (!octets_is_digit(s.ptr[i]))
			return false;
		port = port * 10 + (unsigned)(s.ptr[i] - '0');
	}
	return port <= 65535;
}

bool
h1_is_authority(struct span s)
{
	size_t n;

	if (s.len == 0)
		return false;
	if (s.ptr[0] == '[') {
		n = span_find(s, ']');
		if (n == s.len || !is_ipv6(span_make(s.ptr + 1, n - 1)))
			return false;
		n++;
	} else {
		n = reg_name_len(s);
		if (n == 0 || n > H1_HOST_NAME_BYTES)
			return false;
	}
	return n == s.len ||
	    (s.ptr[n] == ':' &&
		is_port(span_make(s.ptr + n + 1, s.len - n - 1)));
}

static void
see_connection_option(struct seen *seen, struct span option)
{
	if (option.len == 0)
		return;
	if (span_equal_nocase(option, SPAN("keep-alive")))
		seen->keep_alive = true;
	else if (span_equal_nocase(option, SPAN("close")))
		seen->close = true;
	else if (span_equal_nocase(option, SPAN("upgrade")))
		seen->upgrade_named = true;
	else if (h1_is_token(option))
		seen->nominates = true;
	else
		/* Who can't be understood gets no second message. */
		seen->close = true;
}

/* RFC 9110 7.6.1; empty elements are allowed (5.6.1.2). */
static void
see_connection(struct seen *seen, struct span value)
{
	struct span option;

	/* What nearly every one of them says. */
	if (span_equal(value, SPAN("keep-alive"))) {
		seen->keep_alive = true;
		seen->names++;
		return;
	}
	while (seen->names <= H1_CONNECTION_NAMES_MAX &&
	    span_next_element(&value, &option)) {
		seen->names++;
		see_connection_option(seen, option);
	}
}

/* RFC 9113 3.1 took `Upgrade: h2c` back. */
static void
see_upgrade(struct seen *seen, struct span value)
{
	struct span protocol;

	while (!seen->upgrade_offered && span_next_element(&value, &protocol))
		seen->upgrade_offered = protocol.len > 0 &&
		    !span_equal_nocase(protocol, SPAN("h2c"));
}

/* RFC 2068 19.7.1.1: Keep-Alive: timeout=5, max=100. */
static void
see_keep_alive(struct seen *seen, struct span value)
{
	const struct span name = SPAN("timeout=");
	struct span parameter;
	uint64_t seconds = 0;

	while (span_next_element(&value, &parameter)) {
		if (!span_starts_with_nocase(parameter, name))
			continue;
		parameter = span_make(
		    parameter.ptr + name.len, parameter.len - name.len);
		if (num_parse_u64(parameter, UINT32_MAX, &seconds))
			seen->keep_alive_timeout_s = (uint32_t)seconds;
		return;
	}
}

static void
see_field(struct seen *seen, const struct h1_field *f, const char *base)
{
	struct span value = h1_span(f->value, base);

	switch ((enum h1_field_id)f->id) {
	case H1_FIELD_HOST:
		seen->host = f;
		seen->hosts++;
		break;
	case H1_FIELD_CONTENT_LENGTH:
		seen->length = f;
		seen->lengths++;
		break;
	case H1_FIELD_TRANSFER_ENCODING:
		seen->coding = f;
		seen->codings++;
		break;
	case H1_FIELD_CONNECTION:
		see_connection(seen, value);
		break;
	case H1_FIELD_UPGRADE:
		see_upgrade(seen, value);
		break;
	case H1_FIELD_KEEP_ALIVE:
		see_keep_alive(seen, value);
		break;
	case H1_FIELD_EXPECT:
		if (span_equal_nocase(value, SPAN("100-continue")))
			seen->continue_wanted = true;
		else
			seen->other_expectation = true;
		break;
	default:
		break;
	}
}

#define BIT(id) (1U << (id))
#define FRAMING_FIELDS                                                   \
	(BIT(H1_FIELD_HOST) | BIT(H1_FIELD_CONTENT_LENGTH) |             \
	    BIT(H1_FIELD_TRANSFER_ENCODING) | BIT(H1_FIELD_CONNECTION) | \
	    BIT(H1_FIELD_UPGRADE) | BIT(H1_FIELD_KEEP_ALIVE) |           \
	    BIT(H1_FIELD_EXPECT))

static void
see_fields(struct seen *seen, const struct h1_head *h, const char *base)
{
	const struct h1_field *end = h->fields + h->n_fields;

	for (const struct h1_field *f = h->fields; f < end; f++)
		if ((FRAMING_FIELDS >> f->id & 1) != 0 && !f->underscore)
			see_field(seen, f, base);
}

/* RFC 9112 6.3 (5): the list that all of them may mean is refused too. */
static enum h1_error
judge_length(const struct seen *seen, const char *base, struct h1_framing *out)
{
	struct span value;

	if (seen->lengths == 0)
		return H1_OK;
	if (seen->lengths > 1)
		return H1_E_LENGTH_REPEATED;
	value = h1_span(seen->length->value, base);
	/* One bit is left free, so that sums of lengths do not wrap. */
	if (!num_parse_u64(value, INT64_MAX, &out->given_length))
		return span_find(value, ',') < value.len ? H1_E_LENGTH_REPEATED
							 : H1_E_LENGTH;
	out->has_length = true;
	return H1_OK;
}

/* A list of codings that are not ours to undo, or no list of codings? */
static enum h1_error
refuse_coding(const struct h1_head *h, const char *base)
{
	struct span value, coding;

	for (uint32_t i = 0; i < h->n_fields; i++) {
		const struct h1_field *f = &h->fields[i];

		if (f->id != H1_FIELD_TRANSFER_ENCODING || f->underscore)
			continue;
		value = h1_span(f->value, base);
		while (span_next_element(&value, &coding)) {
			coding = span_trim(take_until(&coding, ';'));
			if (!h1_is_token(coding))
				return H1_E_CODING;
		}
	}
	return H1_E_CODING_UNKNOWN;
}

/* RFC 9112 6.1, 6.3 (3, 4). */
static enum h1_error
judge_coding(const struct seen *seen, const struct h1_head *h, const char *base)
{
	if (seen->codings == 0)
		return H1_OK;
	/* RFC 9112 6.1: a sender of HTTP/1.0 does not know what it says. */
	if (h->minor == 0)
		return H1_E_CODING;
	if (seen->codings > 1 ||
	    !span_equal_nocase(
		h1_span(seen->coding->value, base), SPAN("chunked")))
		return refuse_coding(h, base);
	return H1_OK;
}

static enum h1_error
judge_body(const struct seen *seen, const struct h1_head *h, const char *base,
    struct h1_framing *out)
{
	enum h1_error e = judge_length(seen, base, out);

	if (e != H1_OK)
		return e;
	/* RFC 9112 6.3 (3): refuse, do not guess. */
	if (seen->lengths > 0 && seen->codings > 0)
		return H1_E_LENGTH_AND_CODING;
	e = judge_coding(seen, h, base);
	if (e != H1_OK)
		return e;
	if (seen->codings > 0) {
		out->body = H1_BODY_CHUNKED;
	} else if (out->given_length > 0) {
		out->body = H1_BODY_LENGTH;
		out->length = out->given_length;
	}
	return H1_OK;
}

/* RFC 9112 9.3. */
static void
judge_connection(
    const struct seen *seen, const struct h1_head *h, struct h1_framing *out)
{
	out->keep_alive = !seen->close && (h->minor > 0 || seen->keep_alive);
	out->nominates = seen->nominates;
}

/* RFC 9112 3.2.2: the authority of the target replaces the Host field. */
static enum h1_error
judge_absolute(struct h1_text target, size_t scheme_len, const char *base,
    struct h1_framing *out)
{
	struct span rest = h1_span(target, base);
	uint32_t n = (uint32_t)scheme_len;

	while (n < rest.len && rest.ptr[n] != '/' && rest.ptr[n] != '?')
		n++;
	out->form = H1_ABSOLUTE_FORM;
	out->host = (struct h1_text){
	    target.off + (uint32_t)scheme_len, n - (uint32_t)scheme_len};
	out->path = (struct h1_text){target.off + n, target.len - n};
	return h1_is_authority(h1_span(out->host, base)) ? H1_OK : H1_E_TARGET;
}

/* RFC 9112 3.2.  Expects out->host to be that of the Host field. */
static enum h1_error
judge_target(const struct h1_head *h, const char *base, struct h1_framing *out)
{
	const struct span http = SPAN("http://"), https = SPAN("https://");
	struct span target = h1_span(h->target, base);

	out->path = h->target;
	if (target.ptr[0] == '/') {
		out->form = H1_ORIGIN_FORM;
		return H1_OK;
	}
	if (h->method == H1_METHOD_OPTIONS && span_equal(target, SPAN("*"))) {
		out->form = H1_ASTERISK_FORM;
		return H1_OK;
	}
	if (span_starts_with_nocase(target, http))
		return judge_absolute(h->target, http.len, base, out);
	if (span_starts_with_nocase(target, https))
		return judge_absolute(h->target, https.len, base, out);
	return H1_E_TARGET;
}

/* RFC 9112 3.2: exactly one, also beside an absolute-form target; RFC 9110
 * 7.2 came with HTTP/1.1, so that HTTP/1.0 may have none. */
static enum h1_error
judge_host(const struct seen *seen, const struct h1_head *h, const char *base,
    struct h1_framing *out)
{
	if (seen->hosts != 1)
		return seen->hosts == 0 && h->minor == 0 ? H1_OK : H1_E_HOST;
	out->host = seen->host->value;
	return h1_is_authority(h1_span(out->host, base)) ? H1_OK : H1_E_HOST;
}

enum h1_error
h1_framing_request(
    const struct h1_head *h, const char *base, struct h1_framing *out)
{
	struct seen seen = {0};
	enum h1_error e;

	memset(out, 0, sizeof(*out));
	if (h->method == H1_METHOD_CONNECT || h->method == H1_METHOD_TRACE)
		return H1_E_METHOD_REFUSED;
	see_fields(&seen, h, base);
	if (seen.names > H1_CONNECTION_NAMES_MAX)
		return H1_E_FIELDS_MANY;
	if ((e = judge_host(&seen, h, base, out)) != H1_OK ||
	    (e = judge_target(h, base, out)) != H1_OK ||
	    (e = judge_body(&seen, h, base, out)) != H1_OK)
		return e;
	judge_connection(&seen, h, out);
	/* RFC 9110 7.8, 10.1.1: HTTP/1.0 knows neither; both are ignored. */
	if (h->minor == 0)
		return H1_OK;
	if (seen.other_expectation)
		return H1_E_EXPECT;
	out->expect_continue =
	    seen.continue_wanted && out->body != H1_BODY_NONE;
	out->upgrade = seen.upgrade_named && seen.upgrade_offered;
	return H1_OK;
}

enum h1_error
h1_framing_response(const struct h1_head *h, const char *base,
    enum h1_method method, struct h1_framing *out)
{
	bool bodyless = method == H1_METHOD_HEAD || h->status < 200 ||
	    h->status == 204 || h->status == 304;
	struct seen seen = {0};
	enum h1_error e;

	memset(out, 0, sizeof(*out));
	see_fields(&seen, h, base);
	if (seen.names > H1_CONNECTION_NAMES_MAX)
		return H1_E_FIELDS_MANY;
	e = judge_body(&seen, h, base, out);
	/* RFC 9112 6.3 (1): with no body its coding is but information. */
	if (bodyless && (e == H1_E_CODING || e == H1_E_CODING_UNKNOWN))
		e = H1_OK;
	if (e != H1_OK)
		return e;
	judge_connection(&seen, h, out);
	out->keep_alive_timeout_s = seen.keep_alive_timeout_s;
	if (bodyless) {
		out->body = H1_BODY_NONE;
		out->length = 0;
	} else if (out->body == H1_BODY_NONE && !out->has_length) {
		out->body = H1_BODY_UNTIL_CLOSE;
		out->keep_alive = false;
	}
	return H1_OK;
}
