#include "evenkeel/net/conn.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "evenkeel/net/tls.h"
#include "evenkeel/net/tls_io.h"

#define CONN_MAGIC 0x436f6e6eU

bool
conn_ok(const struct conn *c)
{
	return c->magic == CONN_MAGIC && (c->in == NULL || buf_ok(c->in)) &&
	    (c->out == NULL || buf_ok(c->out));
}

static void
conn_on_event(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	CHECK(c->magic == CONN_MAGIC);
	if (what & EV_READ)
		c->readable = true;
	if (what & EV_WRITE)
		c->writable = true;
	if (what & EV_CLOSED) {
		c->eof = true;
		c->readable = true;
	}
	c->ops->on_ready(c, c->arg);
}

static void
conn_on_again(struct loop_task *t)
{
	struct conn *c = LOOP_TASK_OWNER(t, struct conn, again);

	CHECK(c->magic == CONN_MAGIC);
	c->ops->on_ready(c, c->arg);
}

bool
conn_open(struct conn *c, struct loop *l, int fd, const struct conn_ops *ops,
    void *arg)
{
	*c = (struct conn){.magic = CONN_MAGIC,
	    .fd = fd,
	    .loop = l,
	    .ops = ops,
	    .arg = arg,
	    .writable = true};
	loop_task_init(&c->again, conn_on_again);
	if (event_assign(&c->event, l->base, fd,
		EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST,
		conn_on_event, c) == 0 &&
	    event_add(&c->event, NULL) == 0)
		return true;
	close(fd);
	c->fd = -1;
	return false;
}

static enum conn_io
failed(struct conn *c, int error)
{
	c->error = error;
	return CONN_ERROR;
}

enum conn_io
conn_connect(struct conn *c, struct loop *l, const struct sockaddr *addr,
    socklen_t addr_len, const struct conn_ops *ops, void *arg)
{
	int one = 1, error = 0;
	int fd = socket(
	    addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*c = (struct conn){.magic = CONN_MAGIC, .fd = -1, .loop = l};
	if (fd < 0)
		return failed(c, errno);
	if (addr->sa_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, addr, addr_len) != 0)
		error = errno;
	/* POSIX connect: an interrupted one goes on by itself. */
	if (error == EINTR)
		error = EINPROGRESS;
	if (error != 0 && error != EINPROGRESS) {
		close(fd);
		return failed(c, error);
	}
	if (!conn_open(c, l, fd, ops, arg))
		return failed(c, ENOMEM);
	c->connecting = error == EINPROGRESS;
	c->writable = !c->connecting;
	return c->connecting ? CONN_AGAIN : CONN_OK;
}

enum conn_io
conn_connected(struct conn *c)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (!c->connecting)
		return CONN_OK;
	if (!c->writable)
		return CONN_AGAIN;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error != 0)
		return failed(c, error);
	c->connecting = false;
	return CONN_OK;
}

/* Its end is said to whom it may still reach. */
static void
leave_tls(struct conn *c)
{
	if (c->out == NULL && !c->resetting)
		tls_say_end(c);
	tls_free(c->tls);
	c->tls = NULL;
}

void
conn_close(struct conn *c)
{
	if (c->fd < 0)
		return;
	if (c->tls != NULL)
		leave_tls(c);
	loop_task_cancel(&c->again);
	event_del(&c->event);
	close(c->fd);
	c->fd = -1;
	buf_put(&c->loop->bufs, c->in);
	buf_put(&c->loop->bufs, c->out);
	c->in = c->out = NULL;
}

void
conn_reset(struct conn *c)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	if (c->fd < 0)
		return;
	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	c->resetting = true;
	conn_close(c);
}

void
conn_refuse(int fd)
{
	close(fd);
}

void
conn_shutdown(struct conn *c)
{
	if (c->fd < 0)
		return;
	if (c->tls != NULL)
		tls_say_end(c);
	if (c->tls != NULL && c->out != NULL)
		c->fin = true;
	else
		shutdown(c->fd, SHUT_WR);
}

enum conn_io
conn_recv(struct conn *c, void *p, size_t len, size_t *got)
{
	ssize_t n;

	if (__builtin_expect(c->tls != NULL, 0))
		return tls_recv(c, p, len, got);
	*got = 0;
	if (c->eof_read)
		return CONN_EOF;
	if (!c->readable && !c->unsure)
		return CONN_AGAIN;
	c->unsure = false;
	do
		n = recv(c->fd, p, len, 0);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		*got = (size_t)n;
		c->bytes_in += (size_t)n;
		/* A short read has drained the socket, unless a FIN waits
		 * behind it that would not be reported a second time. */
		if ((size_t)n < len && !c->eof) {
			c->readable = false;
			c->unsure = true;
		}
		return CONN_OK;
	}
	if (n == 0) {
		c->eof = c->eof_read = true;
		c->readable = false;
		return CONN_EOF;
	}
	c->readable = false;
	if (errno == EAGAIN)
		return CONN_AGAIN;
	return failed(c, errno);
}

static enum conn_io
fill(struct conn *c, bool settle)
{
	struct buf *b = c->in;
	enum conn_io result;
	size_t got;

	if (!c->readable && !c->unsure && !c->eof_read)
		return CONN_AGAIN;
	if (b == NULL) {
		b = c->in = buf_get(&c->loop->bufs);
		if (b == NULL)
			return failed(c, ENOMEM);
	}
	if (settle)
		buf_settle(b);
	if (buf_room(b) == 0)
		return CONN_AGAIN;
	result = conn_recv(c, b->data + b->end, buf_room(b), &got);
	b->end += (uint32_t)got;
	return result;
}

enum conn_io
conn_fill(struct conn *c)
{
	return fill(c, true);
}

enum conn_io
conn_watch(struct conn *c)
{
	return fill(c, false);
}

/* Changes c->in, where only a kept head lies, for a large buffer. */
static void
enlarge(struct conn *c)
{
	struct buf *small = c->in, *large;

	if (small != NULL && small->large)
		return;
	large = buf_get_large(&c->loop->bufs);
	if (large == NULL)
		return;
	if (small != NULL) {
		if (small->base > 0)
			memcpy(large->data, small->data, small->base);
		large->base = small->base;
		buf_put(&c->loop->bufs, small);
	}
	c->in = large;
}

enum conn_io
conn_fill_large(struct conn *c, uint32_t front, uint32_t back)
{
	enum conn_io result;
	struct buf *b;
	size_t got;

	if (!c->readable && !c->unsure && !c->eof_read)
		return CONN_AGAIN;
	if (c->in != NULL)
		buf_settle(c->in);
	CHECK(c->in == NULL || c->in->start == c->in->end);
	enlarge(c);
	if (c->in == NULL)
		c->in = buf_get(&c->loop->bufs);
	if (c->in == NULL)
		return failed(c, ENOMEM);
	b = c->in;
	if (b->cap - b->base <= front + back)
		front = back = 0; /* the kept head leaves no room for that */
	b->start = b->mid = b->raw = b->end = b->base + front;
	result = conn_recv(c, b->data + b->end, buf_room(b) - back, &got);
	b->end += (uint32_t)got;
	return result;
}

/* What is no error of the connection: the same bytes can be copied. */
static bool
cannot_splice(int error)
{
	return error == EINVAL || error == ENOMEM || error == ENOBUFS;
}

enum conn_io
conn_splice_in(struct conn *c, struct pipe *p, size_t max, size_t *got)
{
	ssize_t n;

	CHECK(p->len == 0 && max > 0);
	*got = 0;
	if (c->tls != NULL)
		return failed(c, EINVAL);
	if (c->eof_read)
		return CONN_EOF;
	if (!c->readable && !c->unsure)
		return CONN_AGAIN;
	do
		n = splice(c->fd, NULL, p->in, NULL,
		    max < p->cap ? max : p->cap,
		    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		/* Few bytes say nothing: a pipe has a limit of pieces, too.
		 * So the flags stay until the socket says EAGAIN. */
		*got = (size_t)n;
		p->len = (uint32_t)n;
		c->bytes_in += (size_t)n;
		return CONN_OK;
	}
	if (n < 0 && cannot_splice(errno))
		return failed(c, EINVAL);
	c->readable = c->unsure = false;
	if (n == 0) {
		c->eof = c->eof_read = true;
		return CONN_EOF;
	}
	/* The pipe was empty, so it is the socket that had nothing. */
	return errno == EAGAIN ? CONN_AGAIN : failed(c, errno);
}

enum conn_io
conn_splice_out(struct conn *c, struct pipe *p)
{
	ssize_t n;

	CHECK(p->len > 0 && c->out == NULL);
	if (c->tls != NULL)
		return failed(c, EINVAL);
	if (!c->writable)
		return CONN_AGAIN;
	do
		n = splice(p->out, NULL, c->fd, NULL, p->len,
		    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		p->len -= (uint32_t)n;
		c->bytes_out += (size_t)n;
		return CONN_OK;
	}
	if (n < 0 && cannot_splice(errno))
		return failed(c, EINVAL);
	/* The pipe was not empty, so it is the socket that was full. */
	if (n == 0 || errno != EAGAIN)
		return failed(c, n == 0 ? EIO : errno);
	c->writable = false;
	return CONN_AGAIN;
}

bool
conn_unload(struct conn *c, struct pipe *p)
{
	struct buf *b = c->in;
	ssize_t n;

	if (b == NULL)
		b = c->in = buf_get(&c->loop->bufs);
	if (b == NULL)
		return false;
	buf_settle(b);
	CHECK(p->len > 0 && b->start == b->end);
	do
		n = read(p->out, b->data + b->end,
		    buf_room(b) < p->len ? buf_room(b) : p->len);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	p->len -= (uint32_t)n;
	b->mid = b->raw = b->end = b->end + (uint32_t)n;
	return true;
}

static uint32_t
in_kernel(const struct conn *c)
{
	int n = 0;

	if (c->fd < 0 || ioctl(c->fd, SIOCOUTQ, &n) != 0 || n < 0)
		return 0;
	return (uint32_t)n;
}

uint32_t
conn_unsent(const struct conn *c)
{
	uint32_t n = in_kernel(c);

	return c->out == NULL ? n : n + buf_raw_len(c->out);
}

void
conn_release_in(struct conn *c)
{
	if (c->in == NULL || c->in->base != 0 || c->in->start != c->in->end)
		return;
	buf_put(&c->loop->bufs, c->in);
	c->in = NULL;
}

static ssize_t
send_pieces(int fd, const struct iovec *piece, int n)
{
	struct msghdr message = {0};

	/* send(2) is the cheaper call and heads and small bodies are one
	 * piece. */
	if (n == 1)
		return send(
		    fd, piece[0].iov_base, piece[0].iov_len, MSG_NOSIGNAL);
	message.msg_iov = (struct iovec *)(uintptr_t)piece;
	message.msg_iovlen = (size_t)n;
	return sendmsg(fd, &message, MSG_NOSIGNAL);
}

enum conn_io
conn_send(struct conn *c, const struct iovec *piece, int n, size_t *sent)
{
	size_t want = 0;
	ssize_t done;

	if (__builtin_expect(c->tls != NULL, 0))
		return tls_send(c, piece, n, sent);
	*sent = 0;
	if (!c->writable)
		return CONN_AGAIN;
	for (int i = 0; i < n; i++)
		want += piece[i].iov_len;
	do
		done = send_pieces(c->fd, piece, n);
	while (done < 0 && errno == EINTR);
	if (done < 0 && errno != EAGAIN)
		return failed(c, errno);
	if (done < 0) {
		c->writable = false;
		return CONN_AGAIN;
	}
	*sent = (size_t)done;
	c->bytes_out += (size_t)done;
	/* The socket is full; its draining will be reported. */
	if ((size_t)done < want)
		c->writable = false;
	return CONN_OK;
}

bool
conn_keep(struct conn *c, struct span bytes)
{
	struct buf *b = c->out;

	if (bytes.len == 0)
		return true;
	if (c->tls != NULL)
		return tls_keep(c, bytes);
	if (b == NULL) {
		b = c->out = buf_get(&c->loop->bufs);
		if (b == NULL)
			return false;
	}
	if (buf_room(b) < bytes.len)
		buf_compact(b);
	if (buf_room(b) < bytes.len)
		return false;
	memcpy(b->data + b->end, bytes.ptr, bytes.len);
	b->end += (uint32_t)bytes.len;
	return true;
}

enum conn_io
conn_write(struct conn *c, struct span bytes)
{
	struct iovec piece = {(void *)(uintptr_t)bytes.ptr, bytes.len};
	enum conn_io result = CONN_OK;
	size_t sent = 0;

	if (bytes.len == 0)
		return CONN_OK;
	if (c->out == NULL)
		result = conn_send(c, &piece, 1, &sent);
	if (result == CONN_ERROR)
		return result;
	bytes = span_make(bytes.ptr + sent, bytes.len - sent);
	if (!conn_keep(c, bytes))
		return sent == 0 ? CONN_AGAIN : failed(c, ENOMEM);
	return CONN_OK;
}

enum conn_io
conn_flush(struct conn *c)
{
	struct buf *b = c->out;
	enum conn_io result;
	struct iovec piece;
	size_t sent;

	if (b == NULL)
		return CONN_OK;
	if (c->tls != NULL)
		return tls_flush(c);
	piece = (struct iovec){buf_raw(b), buf_raw_len(b)};
	result = conn_send(c, &piece, 1, &sent);
	b->raw += (uint32_t)sent;
	if (result == CONN_ERROR)
		return result;
	if (buf_raw_len(b) > 0)
		return CONN_AGAIN;
	buf_put(&c->loop->bufs, b);
	c->out = NULL;
	return CONN_OK;
}
