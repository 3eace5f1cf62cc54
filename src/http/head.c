#include "evenkeel/http/head.h"

#include "evenkeel/http/octets.h"

/*
 * The states stand in the order of the bytes; MORE and behind end a call of
 * h1_head_parse.
 */
enum state {
	START,
	START_LF,
	METHOD,
	TARGET,
	VERSION,
	REQUEST_CR,
	STATUS_VERSION,
	STATUS_SPACE,
	STATUS_CODE,
	STATUS_AFTER,
	REASON,
	FIRST_LF, /* of either first line */
	LINE,
	NAME,
	SPACE,
	VALUE,
	VALUE_LF,
	LAST_LF,
	MORE,
	DONE,
	BAD
};

/* What one call works on: `end` is where the bytes stop or the limit of the
 * head does, whichever comes first.  `mark` and `f` are the parser's own,
 * taken out of the head for the time of the call. */
struct scan {
	struct h1_head *h;
	const char *base, *p, *end;
	const char *mark;   /* start of the token being read */
	struct h1_field *f; /* the next field, or the one being read */
};

static inline uint32_t
offset(const struct scan *s)
{
	return (uint32_t)(s->p - s->base);
}

static inline struct h1_text
text_from_mark(const struct scan *s)
{
	return (struct h1_text){
	    (uint32_t)(s->mark - s->base), (uint32_t)(s->p - s->mark)};
}

static enum state
bad(struct h1_head *h, enum h1_error e)
{
	h->error = (uint8_t)e;
	return BAD;
}

/* Takes the byte `want`, or refuses: a lone LF is always a bad line end. */
static inline enum state
expect(struct scan *s, char want, enum state then, enum h1_error e)
{
	if (s->p == s->end)
		return MORE;
	if (*s->p != want)
		return bad(s->h, *s->p == '\n' ? H1_E_LINE_END : e);
	s->p++;
	return then;
}

/* Where the bytes of the request line must have stopped. */
static inline const char *
line_end(const struct scan *s)
{
	const char *limit = s->base + s->h->start + H1_REQUEST_LINE_BYTES;

	return limit < s->end ? limit : s->end;
}

/* RFC 8446 5.1: the first byte of a handshake. */
#define TLS_RECORD 0x16

static enum state
on_start(struct scan *s)
{
	struct h1_head *h = s->h;

	if (s->p == s->end)
		return MORE;
	/* RFC 9112 2.2: an empty line before a request is skipped. */
	if (*s->p == '\r' && h->empty_lines < H1_LEADING_EMPTY_LINES) {
		h->empty_lines++;
		s->p++;
		return START_LF;
	}
	if (!octets_is(*s->p, OCTETS_TOKEN))
		return bad(s->h,
		    *s->p == '\n'             ? H1_E_LINE_END
			: *s->p == TLS_RECORD ? H1_E_TLS
					      : H1_E_METHOD);
	h->start = offset(s);
	s->mark = s->p;
	return METHOD;
}

/* RFC 9110 9.1: methods are case-sensitive. */
static enum h1_method
lookup_method(struct span s)
{
	switch (s.len) {
	case 3:
		return memcmp(s.ptr, "GET", 3) == 0 ? H1_METHOD_GET
		    : memcmp(s.ptr, "PUT", 3) == 0  ? H1_METHOD_PUT
						    : H1_METHOD_OTHER;
	case 4:
		return memcmp(s.ptr, "POST", 4) == 0 ? H1_METHOD_POST
		    : memcmp(s.ptr, "HEAD", 4) == 0  ? H1_METHOD_HEAD
						     : H1_METHOD_OTHER;
	case 5:
		return memcmp(s.ptr, "PATCH", 5) == 0 ? H1_METHOD_PATCH
		    : memcmp(s.ptr, "TRACE", 5) == 0  ? H1_METHOD_TRACE
						      : H1_METHOD_OTHER;
	case 6:
		return memcmp(s.ptr, "DELETE", 6) == 0 ? H1_METHOD_DELETE
						       : H1_METHOD_OTHER;
	case 7:
		return memcmp(s.ptr, "OPTIONS", 7) == 0 ? H1_METHOD_OPTIONS
		    : memcmp(s.ptr, "CONNECT", 7) == 0  ? H1_METHOD_CONNECT
							: H1_METHOD_OTHER;
	default:
		return H1_METHOD_OTHER;
	}
}

static enum state
on_method(struct scan *s)
{
	struct h1_head *h = s->h;
	const char *end = line_end(s);

	s->p = octets_skip_token(s->p, end);
	if (s->p == end)
		return MORE;
	if (*s->p != ' ')
		return bad(s->h, H1_E_METHOD);
	h->method_text = text_from_mark(s);
	h->method = (uint8_t)lookup_method(h1_span(h->method_text, s->base));
	s->mark = ++s->p;
	return TARGET;
}

static enum state
on_target(struct scan *s)
{
	struct h1_head *h = s->h;
	const char *end = line_end(s);

	s->p = octets_skip_target(s->p, end);
	if (s->p == end)
		return MORE;
	if (*s->p != ' ' || s->p == s->mark)
		return bad(s->h, H1_E_TARGET);
	h->target = text_from_mark(s);
	s->mark = ++s->p;
	return VERSION;
}

/* RFC 9112 2.3: "HTTP/" DIGIT "." DIGIT; `end` stops before s->end where the
 * request line does. */
static inline enum state
version(struct scan *s, const char *end, enum state then)
{
	static const char form[8] = "HTTP/0.0";
	struct h1_head *h = s->h;
	const char *start = s->mark;

	if (s->p == start && end - start >= 8 &&
	    memcmp(start, "HTTP/1.1", 8) == 0) {
		s->p += 8;
		h->minor = 1;
		return then;
	}
	for (; s->p < end && s->p - start < 8; s->p++) {
		char want = form[s->p - start];

		if (want == '0' ? *s->p < '0' || *s->p > '9' : *s->p != want)
			return bad(s->h, H1_E_VERSION);
	}
	if (s->p - start < 8)
		return MORE;
	if (start[5] != '1')
		return bad(s->h, H1_E_VERSION_HIGH);
	h->minor = start[7] != '0';
	return then;
}

static enum state
on_status_code(struct scan *s)
{
	struct h1_head *h = s->h;

	for (; s->p < s->end && s->p - s->mark < 3; s->p++) {
		if (*s->p < '0' || *s->p > '9')
			return bad(s->h, H1_E_STATUS);
		h->status = (uint16_t)(h->status * 10 + (*s->p - '0'));
	}
	if (s->p - s->mark < 3)
		return MORE;
	if (h->status < 100 || h->status > 599)
		return bad(s->h, H1_E_STATUS);
	return STATUS_AFTER;
}

/* RFC 9112 4 wants a space even before an empty reason; servers forget it. */
static enum state
on_status_after(struct scan *s)
{
	if (s->p == s->end)
		return MORE;
	s->mark = s->p + 1;
	if (*s->p == '\r') {
		s->h->reason = (struct h1_text){offset(s), 0};
		s->p++;
		return FIRST_LF;
	}
	return expect(s, ' ', REASON, H1_E_STATUS);
}

static enum state
on_reason(struct scan *s)
{
	s->p = octets_skip_text(s->p, s->end);
	if (s->p == s->end)
		return MORE;
	s->h->reason = text_from_mark(s);
	return expect(s, '\r', FIRST_LF, H1_E_STATUS);
}

static enum state
on_line(struct scan *s)
{
	struct h1_head *h = s->h;

	if (s->p == s->end)
		return MORE;
	if (!octets_is(*s->p, OCTETS_TOKEN)) {
		/* RFC 9112 5.2: obs-fold is refused, not unfolded. */
		if (octets_is_blank(*s->p))
			return bad(s->h, H1_E_FOLD);
		return expect(s, '\r', LAST_LF, H1_E_FIELD_NAME);
	}
	if (s->f == h->fields + h->limits.fields)
		return bad(h, H1_E_FIELDS_MANY);
	s->mark = s->p;
	return NAME;
}

static enum state
on_name(struct scan *s)
{
	s->p = octets_skip_token(s->p, s->end);
	if (s->p == s->end)
		return MORE;
	/* RFC 9112 5.1: no white space before the colon. */
	if (*s->p != ':')
		return bad(s->h, H1_E_FIELD_NAME);
	s->f->name = text_from_mark(s);
	s->f->id = (uint8_t)h1_field_lookup(
	    h1_span(s->f->name, s->base), &s->f->underscore);
	s->p++;
	return SPACE;
}

static enum state
on_space(struct scan *s)
{
	while (s->p < s->end && octets_is_blank(*s->p))
		s->p++;
	if (s->p == s->end)
		return MORE;
	s->mark = s->p;
	return VALUE;
}

static enum state
on_value(struct scan *s)
{
	const char *end;

	s->p = octets_skip_text(s->p, s->end);
	if (s->p == s->end)
		return MORE;
	end = s->p;
	while (end > s->mark && octets_is_blank(end[-1]))
		end--;
	s->f->value.off = (uint32_t)(s->mark - s->base);
	s->f->value.len = (uint32_t)(end - s->mark);
	return expect(s, '\r', VALUE_LF, H1_E_FIELD_VALUE);
}

static enum state
on_value_lf(struct scan *s)
{
	enum state next = expect(s, '\n', LINE, H1_E_LINE_END);

	if (next == LINE)
		s->f++;
	return next;
}

static inline enum state
step(struct scan *s, enum state state)
{
	switch (state) {
	case START:
		return on_start(s);
	case START_LF:
		return expect(s, '\n', START, H1_E_LINE_END);
	case METHOD:
		return on_method(s);
	case TARGET:
		return on_target(s);
	case VERSION:
		return version(s, line_end(s), REQUEST_CR);
	case REQUEST_CR:
		return expect(s, '\r', FIRST_LF, H1_E_VERSION);
	case FIRST_LF:
		return expect(s, '\n', LINE, H1_E_LINE_END);
	case STATUS_VERSION:
		return version(s, s->end, STATUS_SPACE);
	case STATUS_SPACE:
		s->mark = s->p + 1;
		return expect(s, ' ', STATUS_CODE, H1_E_STATUS);
	case STATUS_CODE:
		return on_status_code(s);
	case STATUS_AFTER:
		return on_status_after(s);
	case REASON:
		return on_reason(s);
	case LINE:
		return on_line(s);
	case NAME:
		return on_name(s);
	case SPACE:
		return on_space(s);
	case VALUE:
		return on_value(s);
	case VALUE_LF:
		return on_value_lf(s);
	case LAST_LF:
		return expect(s, '\n', DONE, H1_E_LINE_END);
	default:
		return bad(s->h, H1_E_METHOD);
	}
}

/* All of the window is used.  The verdict at a limit must not wait for the
 * byte behind it: that is never looked at. */
static enum h1_result
pause_or_refuse(struct h1_head *h, enum state state)
{
	bool request_line = h->kind == H1_REQUEST && state <= FIRST_LF;

	h->state = (uint8_t)state;
	if (h->pos == h->limits.head_bytes)
		bad(h, request_line ? H1_E_LINE_LONG : H1_E_HEAD_LONG);
	else if (state >= METHOD && state <= VERSION &&
	    h->pos == h->start + H1_REQUEST_LINE_BYTES)
		bad(h, H1_E_LINE_LONG);
	return h->error == H1_OK ? H1_MORE : H1_BAD;
}

enum h1_result
h1_head_parse(struct h1_head *h, const char *base, size_t len)
{
	size_t window = len < h->limits.head_bytes ? len : h->limits.head_bytes;
	struct scan s = {h, base, base + h->pos, base + window, base + h->mark,
	    h->fields + h->n_fields};
	enum state state, next = (enum state)h->state;

	CHECK(h->state < MORE && h->pos <= window);
	do {
		state = next;
		next = step(&s, state);
	} while (next < MORE);
	h->pos = offset(&s);
	h->mark = (uint32_t)(s.mark - base);
	h->n_fields = (uint32_t)(s.f - h->fields);
	if (next == MORE)
		return pause_or_refuse(h, state);
	h->state = (uint8_t)next;
	if (next == BAD)
		return H1_BAD;
	h->len = h->pos;
	return H1_DONE;
}

void
h1_head_init(struct h1_head *h, enum h1_kind kind,
    const struct h1_limits *limits, struct h1_field *fields)
{
	CHECK(
	    limits->head_bytes >= 1 && limits->head_bytes <= H1_HEAD_BYTES_MAX);
	CHECK(limits->fields >= 1 && limits->fields <= H1_FIELDS_MAX);
	memset(h, 0, sizeof(*h));
	h->kind = (uint8_t)kind;
	h->state = kind == H1_REQUEST ? START : STATUS_VERSION;
	h->limits = *limits;
	h->fields = fields;
}

bool
h1_head_begun(const struct h1_head *h)
{
	return h->state > START_LF && (h->kind == H1_REQUEST || h->pos > 0);
}

const struct h1_field *
h1_head_find(const struct h1_head *h, enum h1_field_id id)
{
	for (uint32_t i = 0; i < h->n_fields; i++)
		if (h->fields[i].id == id && !h->fields[i].underscore)
			return &h->fields[i];
	return NULL;
}

bool
h1_method_idempotent(enum h1_method m)
{
	switch (m) {
	case H1_METHOD_GET:
	case H1_METHOD_HEAD:
	case H1_METHOD_OPTIONS:
	case H1_METHOD_PUT:
	case H1_METHOD_DELETE:
	case H1_METHOD_TRACE:
		return true;
	default:
		return false;
	}
}
