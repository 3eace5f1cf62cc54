/*
 * peer - which process is at the other end of a unix socket.
 *
 * Layer: net.  Any thread.
 */
#ifndef EVENKEEL_NET_PEER_H
#define EVENKEEL_NET_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "evenkeel/base/textbuf.h"

struct peer {
	bool known;
	uint32_t pid; /* when it connected; 0: of another pid namespace */
	uint32_t uid;
};

#define PEER_UNKNOWN ((struct peer){.known = false})

/* Not known when `fd` is no connected unix socket.  Cannot fail. */
struct peer peer_of(int fd);

/* "uid 1000, pid 4711", or nothing when it is not known. */
void peer_put(struct textbuf *out, const struct peer *p);

#endif
