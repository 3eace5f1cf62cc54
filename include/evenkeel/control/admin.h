/*
 * admin - the listener of the pages that are only read, and how it moves when
 * the configuration does.
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_ADMIN_H
#define EVENKEEL_CONTROL_ADMIN_H

#include "evenkeel/control/httpd.h"
#include "evenkeel/net/address.h"
#include "evenkeel/net/inherit.h"
#include "evenkeel/net/log.h"

struct admin {
	struct loop *loop;
	struct log_ring *log;
	const struct httpd_ops *ops;
	void *arg;
	struct inherit *inherit; /* what was handed over at the start */
	struct address asked, bound;
	int fd; /* the httpd's */
	enum inherit_kind kind;
	struct httpd *httpd; /* NULL: there is none */
};

/* None yet.  `in` must live as long. */
void admin_init(
    struct admin *a, struct loop *l, struct inherit *in, struct log_ring *log);
/* Who answers. */
void admin_serve(struct admin *a, const struct httpd_ops *ops, void *arg);

/* What `cfg` says beside what is: the same, or another one that is bound.
 * False: it could not be, `why` says so; nothing has changed. */
bool admin_prepare(struct admin *next, const struct admin *now,
    const struct cfg_admin *cfg, struct textbuf *why) WARN_UNUSED;
void admin_rollback(struct admin *next, const struct admin *now);
void admin_commit(struct admin *now, struct admin *next);

/* What another process is to inherit: at most one socket.  How many. */
size_t admin_hand_over(const struct admin *a, struct inherit_socket *to);

/* Accepts nobody any more; who is there is served. */
void admin_retire(struct admin *a);

void admin_close(struct admin *a);

#endif
