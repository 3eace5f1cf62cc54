/*
 * answer - judges the response to an active check, as far as it has come.
 *
 * Heads and bodies go through the same strict parsers as everybody's, with the
 * pool's limits.  Nothing is asked for beyond what the verdict takes: with a
 * final head and no health_body there is one already.
 *
 * Layer: control.  Pure, but for the buffer it takes bytes from.
 */
#ifndef EVENKEEL_CONTROL_ANSWER_H
#define EVENKEEL_CONTROL_ANSWER_H

#include "evenkeel/config/config.h"
#include "evenkeel/http/body.h"
#include "evenkeel/net/buf.h"

/* health_body must occur in so much of the decoded body. */
#define ANSWER_BODY_BYTES 4096
/* All 1xx heads of one answer together. */
#define ANSWER_INTERIM_BYTES 65536
#define ANSWER_WHY_BYTES     192

enum answer_verdict { ANSWER_MORE, ANSWER_GOOD, ANSWER_BAD };

struct answer {
	const struct cfg_pool *cfg;
	struct h1_limits limits;
	struct h1_head head;
	struct h1_framing framing;
	struct h1_body body;
	bool in_body; /* behind a final head */
	uint32_t interim_bytes;
	uint32_t text_len;
	char why[ANSWER_WHY_BYTES];   /* of ANSWER_BAD, in words */
	char text[ANSWER_BODY_BYTES]; /* the decoded body, from its start */
	struct h1_field fields[];     /* as many as the pool's max_headers */
};

/* What an answer to a check of that pool needs. */
size_t answer_bytes(const struct cfg_pool *cfg);

/* Ready for the first byte.  `buf_bytes`: how much a buffer holds. */
void
answer_init(struct answer *a, const struct cfg_pool *cfg, uint32_t buf_bytes);

/* Takes the raw bytes of `in` that it can use.  After ANSWER_GOOD or ANSWER_BAD
 * it must not be called again. */
enum answer_verdict answer_take(struct answer *a, struct buf *in) WARN_UNUSED;

/* The connection has ended; `any`: some byte had come.  The verdict is always
 * that it is bad: an answer that is good was good before. */
void answer_ended(struct answer *a, bool any);

#endif
