#include "evenkeel/control/answer.h"

#include <stdio.h>

#include "evenkeel/base/num.h"
#include "evenkeel/config/policies.h"

/* Of health_body in a message. */
#define SHOWN_BYTES 60

size_t
answer_bytes(const struct cfg_pool *cfg)
{
	return sizeof(struct answer) +
	    cfg->max_headers * sizeof(struct h1_field);
}

void
answer_init(struct answer *a, const struct cfg_pool *cfg, uint32_t buf_bytes)
{
	a->cfg = cfg;
	/* A head has to fit into a buffer. */
	a->limits = (struct h1_limits){.head_bytes = (uint32_t)num_min_u64(
					   cfg->max_header_size, buf_bytes),
	    .fields = cfg->max_headers};
	a->in_body = false;
	a->interim_bytes = a->text_len = 0;
	a->why[0] = '\0';
	h1_head_init(&a->head, H1_RESPONSE, &a->limits, a->fields);
}

static enum answer_verdict
bad(struct answer *a, const char *why)
{
	snprintf(a->why, sizeof(a->why), "%s", why);
	return ANSWER_BAD;
}

static enum answer_verdict
malformed(struct answer *a, unsigned error)
{
	snprintf(a->why, sizeof(a->why), "malformed answer: %s",
	    h1_error_text((enum h1_error)error));
	return ANSWER_BAD;
}

static enum answer_verdict
not_contained(struct answer *a)
{
	size_t len = strlen(a->cfg->health_body);

	snprintf(a->why, sizeof(a->why), "body does not contain \"%.*s%s\"",
	    SHOWN_BYTES, a->cfg->health_body, len > SHOWN_BYTES ? "..." : "");
	return ANSWER_BAD;
}

/* Appends what fits of the data; true: the text is there. */
static bool
found_in(struct answer *a, const char *data, size_t len)
{
	size_t want = strlen(a->cfg->health_body), from = 0;

	len = num_min_size(len, ANSWER_BODY_BYTES - a->text_len);
	/* What ends before the new data has been looked for already. */
	if (a->text_len >= want)
		from = a->text_len - want + 1;
	memcpy(a->text + a->text_len, data, len);
	a->text_len += (uint32_t)len;
	return memmem(a->text + from, a->text_len - from, a->cfg->health_body,
		   want) != NULL;
}

static enum answer_verdict
take_body(struct answer *a, struct buf *in)
{
	struct h1_body_step step;
	enum h1_body_result result;

	if (buf_raw_len(in) == 0)
		return ANSWER_MORE;
	result = h1_body_decode(&a->body, buf_raw(in), buf_raw_len(in), &step);
	if (found_in(a, buf_raw(in), step.produced))
		return ANSWER_GOOD;
	in->raw += (uint32_t)step.consumed;
	if (result == H1_BODY_BAD)
		return malformed(a, a->body.error);
	if (result == H1_BODY_END || a->text_len == ANSWER_BODY_BYTES)
		return not_contained(a);
	return ANSWER_MORE;
}

/* A final head. */
static enum answer_verdict
judge(struct answer *a, struct buf *in)
{
	char why[sizeof("status 65535")];

	if (!policies_health_status(a->cfg, a->head.status)) {
		snprintf(why, sizeof(why), "status %u", a->head.status);
		return bad(a, why);
	}
	if (a->cfg->health_body[0] == '\0')
		return ANSWER_GOOD;
	in->raw += a->head.len;
	if (a->framing.body == H1_BODY_NONE)
		return not_contained(a);
	h1_body_init(&a->body, &a->framing, false);
	a->in_body = true;
	return take_body(a, in);
}

static enum h1_method
method_of(const struct cfg_pool *cfg)
{
	switch (cfg->health_method) {
	case CFG_HEALTH_HEAD:
		return H1_METHOD_HEAD;
	case CFG_HEALTH_OPTIONS:
		return H1_METHOD_OPTIONS;
	case CFG_HEALTH_GET:
		break;
	}
	return H1_METHOD_GET;
}

/* A whole head, final or not. */
static enum answer_verdict
head_done(struct answer *a, struct buf *in)
{
	enum h1_error e = h1_framing_response(
	    &a->head, buf_raw(in), method_of(a->cfg), &a->framing);

	if (e != H1_OK)
		return malformed(a, e);
	/* A 101 that nobody asked for is as final as any other answer. */
	if (a->head.status >= 200 || a->head.status == 101)
		return judge(a, in);
	a->interim_bytes += a->head.len;
	if (a->interim_bytes > ANSWER_INTERIM_BYTES)
		return bad(a, "too many informational responses");
	in->raw += a->head.len;
	h1_head_init(&a->head, H1_RESPONSE, &a->limits, a->fields);
	return ANSWER_MORE;
}

enum answer_verdict
answer_take(struct answer *a, struct buf *in)
{
	enum answer_verdict v = ANSWER_MORE;

	if (a->in_body)
		return take_body(a, in);
	/* Each round takes a head off the buffer, or is the last. */
	while (
	    v == ANSWER_MORE && !a->in_body && buf_raw_len(in) > a->head.pos) {
		switch (h1_head_parse(&a->head, buf_raw(in), buf_raw_len(in))) {
		case H1_BAD:
			return malformed(a, a->head.error);
		case H1_DONE:
			v = head_done(a, in);
			break;
		case H1_MORE:
			if (buf_room(in) == 0)
				buf_compact(in);
			return ANSWER_MORE;
		}
	}
	return v;
}

void
answer_ended(struct answer *a, bool any)
{
	if (!any)
		(void)bad(a, "closed without an answer");
	else if (!a->in_body)
		(void)bad(a, "closed inside the response head");
	else if (h1_body_complete_at_eof(&a->body))
		(void)not_contained(a);
	else
		(void)bad(a, "closed inside the body");
}
