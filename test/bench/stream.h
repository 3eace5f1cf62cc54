/*
 * stream - a client's connection to 127.0.0.1, plain or with TLS.
 *
 * With TLS it takes nothing but TLS 1.3, AES-128-GCM and X25519, so that all
 * that are compared do the same work, and says when something else came.
 */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ssl_st;
struct ssl_session_st;

enum stream_result { STREAM_DONE, STREAM_WAIT, STREAM_BAD };

struct stream {
	int fd;
	struct ssl_st *ssl;             /* NULL: plain */
	struct ssl_session_st *session; /* the newest ticket, if wanted */
};

/* Before any is opened; without it they are plain.  `resume`: each uses the
 * ticket that the connection before it on the same stream got. */
bool stream_use_tls(bool resume);

/* Connects; a plain socket blocks, one for TLS does not. */
bool stream_open(struct stream *s, unsigned port);

/* The handshake, as far as it goes; a plain stream is done at once. */
enum stream_result stream_shake(struct stream *s);

/* Was a ticket taken?  After the handshake. */
bool stream_resumed(const struct stream *s);

/* All of them, or false. */
bool stream_send(struct stream *s, const void *p, size_t len);

/* As recv: 0 is the end; -1 with EAGAIN: nothing now.  p may be NULL: the
 * bytes are thrown away. */
ssize_t stream_recv(struct stream *s, void *p, size_t len);

/* The next stream_recv may find more without the socket. */
bool stream_pending(const struct stream *s);

/* Says that nothing more comes: close_notify, and the socket's end. */
bool stream_end(struct stream *s);

/* After stream_end: DONE when the other side has ended, too. */
enum stream_result stream_ended(struct stream *s);

void stream_close(struct stream *s); /* the ticket stays */

#endif
