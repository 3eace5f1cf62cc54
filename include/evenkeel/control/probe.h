/*
 * probe - one active check of a backend: a connection of its own, and with
 * `health = http` a request and as much of the answer as it takes to judge.
 *
 * An https backend is asked over TLS, with a whole handshake each time: what a
 * resumed session would not show, such as a certificate that has expired, is
 * seen.
 *
 * What no client would be sent is no good answer to a check (control/answer).
 * A probe holds no descriptor, and no memory but its own, while none is under
 * way.
 *
 * Layer: control.  The thread of its loop.  How long it may take is the
 * caller's business (probe_time_out).
 */
#ifndef EVENKEEL_CONTROL_PROBE_H
#define EVENKEEL_CONTROL_PROBE_H

#include "evenkeel/control/answer.h"
#include "evenkeel/net/conn.h"
#include "evenkeel/proxy/backend.h"
#include "evenkeel/proxy/snapshot.h"

enum probe_end {
	PROBE_OK,
	PROBE_FAILED,
	PROBE_TIMEOUT,
	PROBE_SKIPPED /* it could not be made here: no descriptors, memory or
			 ports; says nothing about the backend */
};

enum probe_state {
	PROBE_IDLE,
	PROBE_CONNECTING,
	PROBE_HANDSHAKE,
	PROBE_ANSWER /* is awaited, or coming */
};

struct probe;

struct probe_ops {
	/* It is over, and may be started again; `why` says why unless PROBE_OK,
	 * and lives through the call. */
	void (*on_end)(
	    struct probe *p, enum probe_end end, const char *why, void *arg);
};

struct probe {
	enum probe_state state;
	struct conn conn;
	struct loop *loop;
	const struct cfg_pool *cfg;
	struct tls_client *tls;  /* NULL: plain */
	const char *server_name; /* of TLS */
	uint64_t identity;       /* of it; 0: plain */
	struct span host;        /* of the request */
	struct address address;  /* with health_port */
	const struct probe_ops *ops;
	void *arg;
	struct answer *answer; /* of PROBE_ANSWER */
};

void
probe_init(struct probe *p, struct loop *l, const struct snapshot_pool *pool,
    const struct backend *b, const struct probe_ops *ops, void *arg);

/*
 * From now on as `pool` has it.  True: what it asks and how it judges is the
 * same, and one under way goes on.  False: it is not, and one under way was
 * ended without a word.
 */
bool probe_follow(struct probe *p, const struct snapshot_pool *pool,
    const struct backend *b) WARN_UNUSED;

/* Begins; may end before it returns.  It must be idle. */
void probe_start(struct probe *p);

/* Its time is over: ends it as PROBE_TIMEOUT.  It must be under way. */
void probe_time_out(struct probe *p);

/* Ends it without a word; harmless when it is idle. */
void probe_stop(struct probe *p);

#endif
