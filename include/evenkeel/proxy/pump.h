/*
 * pump - moves a body from one connection to another.
 *
 * Decodes what the source frames, frames what the sink needs, and moves only
 * as much as the sink takes: what it does not take stays in the source's one
 * buffer, and nothing more is read until there is room.  So the memory of a
 * body is bounded however slow the reader is.
 *
 * A body in bulk, one that fills buffers, passes through a pipe without being
 * copied when its bytes go out as they came, and else through a large buffer.
 * Both are few; who gets none goes on with the small one.
 *
 * A body may be kept: then its first bytes stay in the source's buffer, which
 * grows for them, and can be sent a second time (pump_rewind).
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
/* The same in bytes, for bodies in bulk. */
#define PUMP_SHARE_BYTES 1048576U
/* A body is in bulk with this much to come, or, when its length is not known,
 * with this much behind it and more in the socket. */
#define PUMP_BULK_BYTES 65536U
/* A read that brings less ends that: a trickle is cheaper to copy. */
#define PUMP_TRICKLE_BYTES 16384U
/* The end of a body of known length is copied: a short read tells whether
 * anything lies behind it. */
#define PUMP_TAIL_BYTES 16384U
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
	bool chunked;      /* how the sink gets it */
	bool discard;      /* the sink is gone: read, check and forget */
	bool ended;        /* the source's part is complete */
	bool closed;       /* the sink's last byte was handed over */
	bool bulk;         /* large pieces are to be had */
	bool framed;       /* what is ready stands in its chunk already */
	bool forgotten;    /* bytes of the body are in no buffer any more */
	bool unpiped;      /* it cannot be done with a pipe */
	bool loose;        /* an end without TLS's close_notify is an end */
	uint64_t limit;    /* of body bytes; 0: none */
	uint32_t keep;     /* bytes to keep, as long as there are no more */
	uint64_t bytes;    /* of the body, decoded so far */
	struct pipe *pipe; /* NULL but while bytes lie in it */
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

void pump_release(struct pump *p, struct loop *l);

/* Gives back what it holds. */
static inline void
pump_close(struct pump *p, struct loop *l)
{
	if (p->trailer != NULL || p->pipe != NULL)
		pump_release(p, l);
}

#endif
