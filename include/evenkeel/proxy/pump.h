/*
 * pump - moves a body from one connection to another.
 *
 * Decodes what the source frames, frames what the sink needs, and moves only
 * as much as the sink takes: what it does not take stays in the source's one
 * buffer, and nothing more is read until there is room.  So the memory of a
 * body is bounded however slow the reader is.
 *
 * Layer: proxy.  One worker.
 *
 * Sources: RFC 9112 6, 7.1 (chunked), 8 (incomplete messages).
 */
#ifndef EVENKEEL_PROXY_PUMP_H
#define EVENKEEL_PROXY_PUMP_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/http/body.h"
#include "evenkeel/net/conn.h"

/* Reads and writes in one call, so that one body does not hold up the others;
 * with full buffers this is about a megabyte. */
#define PUMP_ROUNDS 32
/* Data up to this is copied behind the head or chunk line it follows and sent
 * with it in one send; above it, sendmsg with pieces is cheaper. */
#define PUMP_COPY_BYTES 4096

enum pump_result {
	PUMP_DONE,         /* everything is with the sink */
	PUMP_WANT_SOURCE,  /* waits for the source to send */
	PUMP_WANT_SINK,    /* waits for the sink to take */
	PUMP_YIELD,        /* had its share; call again soon */
	PUMP_MALFORMED,    /* see body.error */
	PUMP_TOO_LARGE,    /* more than `limit` */
	PUMP_TRUNCATED,    /* the source ended inside the body */
	PUMP_SOURCE_ERROR, /* the source is broken */
	PUMP_SINK_ERROR,   /* the sink is broken */
	PUMP_NO_MEMORY
};

struct pump {
	struct h1_body body;
	bool chunked;   /* how the sink gets it */
	bool discard;   /* the sink is gone: read, check and forget */
	bool ended;     /* the source's part is complete */
	bool closed;    /* the sink's last byte was handed over */
	uint64_t limit; /* of body bytes; 0: none */
	uint64_t bytes; /* of the body, decoded so far */
	struct buf *trailer;
	struct textbuf trailer_text;
};

/* A body as `f` has it, whose first bytes may lie in the source's buffer as
 * raw bytes.  `keep_trailer`: pass a trailer section on (chunked only). */
void pump_init(struct pump *p, const struct h1_framing *f, bool chunked,
    bool keep_trailer);

/*
 * Moves what can be moved.  `head` is worker scratch that may hold a head to
 * be sent first, with room behind it; it is empty afterwards.
 */
enum pump_result pump_run(struct pump *p, struct conn *source,
    struct conn *sink, struct textbuf *head) WARN_UNUSED;

/* Every byte of the body so far still lies in the source's buffer: it can be
 * sent a second time. */
bool pump_can_rewind(const struct pump *p, const struct conn *source);

/* Makes the pump ready to send it again from the start, to another sink. */
void pump_rewind(struct pump *p, struct conn *source);

/* Gives back what it holds. */
void pump_close(struct pump *p, struct buf_pool *bufs);

#endif
