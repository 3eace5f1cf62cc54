/*
 * httpd - a small HTTP server for the pages of the control thread: admin,
 * control socket, demo backends.
 *
 * Stands on the same strict parser as the proxy.  Answers come whole from a
 * handler that writes text; a request's body is read and forgotten.  Few
 * connections at a time, short timeouts: a stuck client harms nobody.
 *
 * Layer: control.  The thread of its loop.
 */
#ifndef EVENKEEL_CONTROL_HTTPD_H
#define EVENKEEL_CONTROL_HTTPD_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/http/head.h"
#include "evenkeel/net/loop.h"
#include "evenkeel/net/peer.h"

/* Connections at a time; for one more the oldest that is silent has to go. */
#define HTTPD_CONNECTIONS 256
/* A head, a body, an answer: each within this. */
#define HTTPD_LINGER_MS  2000
#define HTTPD_TIMEOUT_MS 10000
/* An answer is not larger. */
#define HTTPD_ANSWER_BYTES (256U << 20)

struct httpd_request {
	enum h1_method method;
	struct span target; /* with its query */
	struct peer peer;   /* of what is not only read: who asks */
};

struct httpd_answer {
	unsigned status;      /* 200 unless the handler says otherwise */
	const char *type;     /* Content-Type; text/plain unless it says so */
	const char *allow;    /* of a 405; "GET, HEAD" unless it says so */
	struct textbuf *body; /* appended to; when it gets full the handler is
				 called again with more room */
};

struct httpd_ops {
	void (*on_request)(
	    const struct httpd_request *r, struct httpd_answer *a, void *arg);
};

struct httpd;

/* Takes a listening descriptor over.  NULL: no memory; it is closed then. */
struct httpd *httpd_create(
    struct loop *l, int fd, const struct httpd_ops *ops, void *arg) WARN_UNUSED;

/* Accepts nobody any more; who is there already is served.  NULL is fine. */
void httpd_retire(struct httpd *h);

/* Closes everything. */
void httpd_free(struct httpd *h);

#endif
