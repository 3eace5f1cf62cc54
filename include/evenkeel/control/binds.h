/*
 * binds - the listening sockets of all listeners.
 *
 * A bind has a socket of its own for each worker; it may have more, and then a
 * worker accepts from several.  The worker owns the acceptor and closes the
 * descriptor; control remembers which it is.
 *
 * A new configuration keeps the sockets of binds that it has, too: those that
 * were asked for with the same address.  The others are bound beside them and
 * begin to accept with the commit; those it does not have are closed by the
 * workers, who first accept whom the kernel has let in already.
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_BINDS_H
#define EVENKEEL_CONTROL_BINDS_H

#include "evenkeel/net/inherit.h"
#include "evenkeel/net/log.h"
#include "evenkeel/proxy/worker.h"

/* A listener's name and an address. */
#define BINDS_LABEL_BYTES 256

struct bind_socket {
	int fd;
	uint64_t id; /* no other socket of this process ever has it */
	uint32_t worker;
};

struct bind {
	struct address asked; /* as the configuration has it; port 0: any */
	struct address bound;
	uint64_t id; /* no other bind or socket of this process ever has it */
	struct front *front;
	enum inherit_kind kind;
	bool inherited;
	struct bind_socket *sockets;
	size_t n_sockets;
	size_t n_listen; /* those behind do not listen yet */
	bool kept; /* of a plan: the sockets are those of the bind in force */
};

struct binds {
	struct bind *list;
	size_t n;
	uint32_t workers;
	uint64_t last_id;
	struct inherit *inherit; /* what was handed over at the start */
	struct log_ring *log;
};

/* `in` must live as long. */
void binds_init(struct binds *b, uint32_t workers, struct inherit *in,
    struct log_ring *log);

/*
 * The binds of a snapshot beside those in force.  False: nothing has changed,
 * and `why` says of each that could not be bound, in a line of its own, why:
 * "FILE:3: [listener web] bind: 127.0.0.1:80: Address already in use".
 */
bool binds_prepare(struct binds *next, const struct binds *now,
    const struct snapshot *s, const char *file,
    struct textbuf *why) WARN_UNUSED;

/* Instead of binds_commit: closes what was bound. */
void binds_rollback(struct binds *next);

/*
 * The list of one worker, for worker_update: with an acceptor for each socket
 * that it does not have yet.  To be freed with free; binds_untake before, if it
 * does not come to an update.  False: no memory.
 */
bool binds_take(const struct binds *next, struct worker *w,
    struct worker_bind **list, size_t *n) WARN_UNUSED;
void binds_untake(struct worker_bind *list, size_t n);

/* `next` is in force; the workers close the sockets of those that are not.
 * Says in the log which are new and which are gone, and takes away the files of
 * gone unix sockets.  Cannot fail. */
void binds_commit(struct binds *now, struct binds *next);

/* After the first commit, and before any worker runs: listens on those that do
 * not yet.  An end after that takes connections with it.  False: `why`. */
bool binds_start(struct binds *b, struct textbuf *why) WARN_UNUSED;

/* How many sockets there are. */
size_t binds_count(const struct binds *b);

/* What another process is to inherit; `to` has room for binds_count, and its
 * labels live as long as `labels`, which has room for BINDS_LABEL_BYTES each.
 * Returns how many. */
size_t
binds_hand_over(const struct binds *b, struct inherit_socket *to, char *labels);

/* Takes away the files of unix sockets, of those that were inherited only if
 * they are this process's by now; those of systemd stay. */
void binds_unlink(const struct binds *b, bool inherited_too);
/* Whether some bind leads to another listener in `next`. */
bool binds_moved(const struct binds *now, const struct binds *next);

/* Forgets them; the descriptors are the workers'. */
void binds_free(struct binds *b);

#endif
