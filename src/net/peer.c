#include "evenkeel/net/peer.h"

#include <sys/socket.h>

struct peer
peer_of(int fd)
{
	struct ucred c;
	socklen_t len = sizeof(c);

	/* A socket that is no unix socket says that nobody is there. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len) != 0 ||
	    c.uid == (uid_t)-1)
		return PEER_UNKNOWN;
	return (struct peer){
	    .known = true, .pid = (uint32_t)c.pid, .uid = c.uid};
}

void
peer_put(struct textbuf *out, const struct peer *p)
{
	if (!p->known)
		return;
	textbuf_lit(out, "uid ");
	textbuf_u64(out, p->uid);
	if (p->pid == 0)
		return;
	textbuf_lit(out, ", pid ");
	textbuf_u64(out, p->pid);
}
