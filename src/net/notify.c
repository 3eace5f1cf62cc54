#include "evenkeel/net/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "evenkeel/base/check.h"
#include "evenkeel/base/textbuf.h"
#include "evenkeel/net/clock.h"

#define TEXT_BYTES 512

/* 0: no name of a unix socket. */
static socklen_t
address_of(const char *name, struct sockaddr_un *un)
{
	size_t len = name == NULL ? 0 : span_of(name).len;
	size_t start = offsetof(struct sockaddr_un, sun_path);

	*un = (struct sockaddr_un){.sun_family = AF_UNIX};
	/* A path keeps its final NUL; an abstract name has one in front, for
	 * which '@' stands, and ends with the address. */
	if (len < 2 || (name[0] != '/' && name[0] != '@') ||
	    len + (name[0] == '/') > sizeof(un->sun_path))
		return 0;
	memcpy(un->sun_path, name, len);
	if (name[0] == '/')
		return (socklen_t)(start + len + 1);
	un->sun_path[0] = '\0';
	return (socklen_t)(start + len);
}

/* False: the manager is busy, for longer than is waited if at all. */
static bool
tell(struct span text, bool waits)
{
	const struct timeval wait = {.tv_sec = NOTIFY_WAIT_MS / 1000};
	int flags = MSG_NOSIGNAL | (waits ? 0 : MSG_DONTWAIT);
	bool told = true;
	struct sockaddr_un un;
	socklen_t un_len = address_of(getenv("NOTIFY_SOCKET"), &un);
	int fd;

	if (un_len == 0)
		return true;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) == 0)
		told = sendto(fd, text.ptr, text.len, flags,
			   (const struct sockaddr *)&un, un_len) >= 0 ||
		    errno != EAGAIN;
	close(fd);
	return told;
}

static bool
tell_ready(struct span status, bool waits)
{
	char bytes[TEXT_BYTES];
	struct textbuf out = textbuf_make(bytes, sizeof(bytes));

	textbuf_lit(&out, "READY=1\nSTATUS=");
	textbuf_put(&out, status);
	CHECK(!out.full);
	return tell(textbuf_span(&out), waits);
}

void
notify_ready(struct span status)
{
	(void)tell_ready(status, true);
}

bool
notify_reloaded(struct span status)
{
	return tell_ready(status, false);
}

bool
notify_reloading(void)
{
	char bytes[TEXT_BYTES];
	struct textbuf out = textbuf_make(bytes, sizeof(bytes));

	textbuf_lit(&out, "RELOADING=1\nMONOTONIC_USEC=");
	textbuf_u64(&out, clock_monotonic_us());
	textbuf_lit(&out, "\nSTATUS=reloading");
	CHECK(!out.full);
	return tell(textbuf_span(&out), false);
}

void
notify_successor(uint64_t pid, struct span status)
{
	char bytes[TEXT_BYTES];
	struct textbuf out = textbuf_make(bytes, sizeof(bytes));

	textbuf_lit(&out, "MAINPID=");
	textbuf_u64(&out, pid);
	textbuf_lit(&out, "\nSTATUS=");
	textbuf_put(&out, status);
	CHECK(!out.full);
	(void)tell(textbuf_span(&out), true);
}

void
notify_stopping(uint64_t limit_ms, struct span status)
{
	char bytes[TEXT_BYTES];
	struct textbuf out = textbuf_make(bytes, sizeof(bytes));

	textbuf_lit(&out, "STOPPING=1\nEXTEND_TIMEOUT_USEC=");
	textbuf_u64(&out, limit_ms * 1000);
	textbuf_lit(&out, "\nSTATUS=");
	textbuf_put(&out, status);
	CHECK(!out.full);
	(void)tell(textbuf_span(&out), true);
}
