#include "evenkeel/net/tls_io.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "evenkeel/base/num.h"
#include "evenkeel/net/tls.h"

/* OpenSSL's buffers for records in either direction are a little over 16 KB;
 * all that are have one size here, and change places. */
#define BLOCK_MIN  16384U
#define BLOCK_MAX  17408U
#define BLOCK_KEEP 128U
/* Theirs alone begin at such an address, but for chance: OpenSSL frees hundreds
 * of small things in a handshake, whose sizes need not be asked for. */
#define BLOCK_ALIGN 1024U

struct tls_block {
	struct tls_block *next;
};

/* This thread's: OpenSSL's allocator is not told whose memory it is. */
static _Thread_local struct tls_io *mine;

/* ---- memory ---- */

static void *
take(size_t size, const char *file, int line)
{
	struct tls_io *io = mine;
	struct tls_block *b;

	(void)file;
	(void)line;
	if (size < BLOCK_MIN || size > BLOCK_MAX || io == NULL)
		return size == 0 ? NULL : malloc(size);
	b = io->free;
	if (b == NULL)
		return aligned_alloc(BLOCK_ALIGN, BLOCK_MAX);
	io->free = b->next;
	io->n_free--;
	return b;
}

static void *
resize(void *p, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	if (size > 0)
		return realloc(p, size);
	free(p);
	return NULL;
}

static __attribute__((noinline)) void
give_block(void *p)
{
	struct tls_io *io = mine;
	size_t size = malloc_usable_size(p);

	if (size < BLOCK_MAX || size > BLOCK_MAX + BLOCK_MAX / 8 ||
	    io == NULL || io->n_free >= BLOCK_KEEP) {
		free(p);
		return;
	}
	((struct tls_block *)p)->next = io->free;
	io->free = p;
	io->n_free++;
}

static void
give(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	if ((uintptr_t)p % BLOCK_ALIGN != 0)
		free(p);
	else if (p != NULL)
		give_block(p);
}

void
tls_init(void)
{
	/* Too late when OpenSSL has allocated something: then it is served by
	 * malloc alone, which is right, too. */
	(void)CRYPTO_set_mem_functions(take, resize, give);
}

/* ---- the BIO ---- */

/* From before TLS began. */
static int
read_early(struct tls *t, char *p, size_t len)
{
	struct buf *b = t->early;
	size_t n = num_min_size(len, buf_raw_len(b));

	memcpy(p, buf_raw(b), n);
	b->raw += (uint32_t)n;
	if (buf_raw_len(b) == 0) {
		buf_put(&t->conn->loop->bufs, b);
		t->early = NULL;
	}
	return (int)n;
}

static int
read_socket(struct tls *t, char *p, size_t len)
{
	ssize_t n;

	do
		n = recv(t->conn->fd, p, len, 0);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		t->wire_in += (size_t)n;
		/* As in conn_recv: a FIN behind it is not told twice. */
		t->lull = (size_t)n < len && !t->conn->eof;
		t->drained = t->lull;
		return (int)n;
	}
	t->drained = t->lull = true;
	if (n == 0)
		t->ended = true;
	else if (errno != EAGAIN)
		t->error = errno;
	return (int)n;
}

/* What the peer began with is no handshake but a method: gives the bytes to
 * c->in. */
static bool
is_plain(struct tls *t, const char *p, int n)
{
	struct conn *c = t->conn;

	if (t->begun || n <= 0)
		return false;
	t->begun = true;
	if (!t->server || p[0] < 'A' || p[0] > 'Z')
		return false;
	CHECK(c->in == NULL);
	c->in = buf_get(&c->loop->bufs);
	if (c->in == NULL)
		return false;
	t->plain = true;
	c->in->end = (uint32_t)num_min_size((size_t)n, buf_room(c->in));
	memcpy(c->in->data, p, c->in->end);
	return true;
}

static int
tls_io_read(BIO *b, char *p, int len)
{
	struct tls *t = ((struct tls_io *)BIO_get_data(b))->now;
	int n;

	BIO_clear_retry_flags(b);
	if (t->ended)
		return 0;
	if (t->error != 0 || t->plain)
		return -1;
	t->held_back = t->reads == 0;
	/* Part of a record, or a handshake, is nothing to come back for: as
	 * long as nothing has moved the socket says for certain. */
	if (((t->drained && t->moved) || t->held_back) && t->early == NULL) {
		BIO_set_retry_read(b);
		return -1;
	}
	t->reads -= !t->held_back;
	n = t->early != NULL ? read_early(t, p, (size_t)len)
			     : read_socket(t, p, (size_t)len);
	if (is_plain(t, p, n))
		return -1;
	if (n < 0 && t->error == 0)
		BIO_set_retry_read(b);
	return n;
}

/* Room in the stage, which grows as far as is needed. */
static bool
make_room(struct tls_io *io, uint32_t bytes)
{
	struct buf_pool *pool = &io->loop->bufs;

	if (io->stage == NULL)
		io->stage = buf_get_large(pool);
	if (io->stage == NULL)
		io->stage = buf_get(pool);
	if (io->stage == NULL)
		return false;
	return buf_room(io->stage) >= bytes ||
	    buf_extend(pool, &io->stage, io->stage->end + bytes);
}

uint32_t
tls_io_room(struct tls_io *io, uint32_t wanted)
{
	if (io->stage == NULL && !make_room(io, 0))
		return 0;
	return (uint32_t)num_min_u64(buf_room(io->stage), wanted);
}

static bool
put(struct tls_io *io, const char *p, uint32_t len)
{
	if (!make_room(io, len))
		return false;
	memcpy(io->stage->data + io->stage->end, p, len);
	io->stage->end += len;
	return true;
}

void
tls_io_unpark(struct tls *t)
{
	if (t->parked == NULL)
		return;
	alarm_cancel(t->conn->loop, &t->parked->due);
	free(t->parked);
	t->parked = NULL;
}

/* What was kept back comes first; nothing of this stream is in the stage. */
static bool
put_parked(struct tls *t)
{
	if (t->parked == NULL)
		return true;
	if (!put(t->io, t->parked->bytes, t->parked->len))
		return false;
	tls_io_unpark(t);
	return true;
}

static int
tls_io_write(BIO *b, const char *p, int len)
{
	struct tls_io *io = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	if (!put_parked(io->now) || !put(io, p, (uint32_t)len)) {
		io->now->send_error = ENOMEM;
		return -1;
	}
	return len;
}

static long
tls_io_ctrl(BIO *b, int what, long n, void *p)
{
	const struct tls_io *io = BIO_get_data(b);

	(void)n;
	(void)p;
	if (what == BIO_CTRL_EOF)
		return io->now->ended;
	return what == BIO_CTRL_FLUSH;
}

/* ---- what was sealed ---- */

static void
empty(struct tls_io *io)
{
	io->stage->raw = io->stage->end = 0;
}

/* Behind what waits in c->out already. */
static bool
append(struct conn *c, struct buf *stage)
{
	uint32_t len = buf_raw_len(stage);

	if (buf_room(c->out) < len)
		buf_compact(c->out);
	if (buf_room(c->out) < len &&
	    (c->out->end + len > TLS_WAITING_BYTES ||
		!buf_extend(&c->loop->bufs, &c->out, c->out->end + len)))
		return false;
	memcpy(c->out->data + c->out->end, buf_raw(stage), len);
	c->out->end += len;
	return true;
}

/* The rest of the stage goes to c->out, which becomes as large as that needs
 * and not as the stage is: there may be many slow readers. */
static bool
leave(struct tls *t)
{
	struct tls_io *io = t->io;
	struct conn *c = t->conn;
	bool done;

	if (c->out == NULL)
		c->out = buf_get(&c->loop->bufs);
	done = c->out != NULL && append(c, io->stage);
	empty(io);
	return done;
}

void
tls_io_leave(struct tls *t)
{
	if (t->io->stage != NULL && buf_raw_len(t->io->stage) > 0)
		CHECK(leave(t));
}

static enum conn_io
broken(struct tls *t, int error)
{
	if (t->io->stage != NULL)
		empty(t->io);
	t->send_error = t->conn->error = error;
	return CONN_ERROR;
}

enum conn_io
tls_io_push(struct tls *t)
{
	struct buf *stage = t->io->stage;
	struct conn *c = t->conn;
	ssize_t n = 0;

	if (stage == NULL || buf_raw_len(stage) == 0)
		return CONN_OK;
	/* It was told before; what came meanwhile can still be read. */
	if (t->send_error != 0) {
		empty(t->io);
		return CONN_OK;
	}
	if (c->out == NULL && c->writable) {
		do
			n = send(c->fd, buf_raw(stage), buf_raw_len(stage),
			    MSG_NOSIGNAL);
		while (n < 0 && errno == EINTR);
		if (n < 0 && errno != EAGAIN)
			return broken(t, errno);
		n = n < 0 ? 0 : n;
		t->wire_out += (size_t)n;
		stage->raw += (uint32_t)n;
		if (buf_raw_len(stage) == 0) {
			empty(t->io);
			return CONN_OK;
		}
		c->writable = false;
	}
	return leave(t) ? CONN_OK : broken(t, ENOBUFS);
}

/* Nothing came that it could go with. */
static void
on_due(struct alarm *due)
{
	struct tls *t = ALARM_OWNER(due, struct tls_parked, due)->of;

	if (put_parked(t))
		(void)!tls_io_push(t);
	else
		t->send_error = ENOMEM;
}

enum conn_io
tls_io_park(struct tls *t)
{
	struct buf *stage = t->io->stage;
	struct loop *l = t->conn->loop;
	struct tls_parked *p;
	uint32_t len;

	CHECK(t->parked == NULL);
	len = stage == NULL ? 0 : buf_raw_len(stage);
	p = len == 0 || t->conn->out != NULL ? NULL : malloc(sizeof(*p) + len);
	if (p == NULL)
		return tls_io_push(t);
	p->of = t;
	p->len = len;
	memcpy(p->bytes, buf_raw(stage), len);
	empty(t->io);
	alarm_init(&p->due, on_due);
	alarm_arm(l, &p->due, loop_now_us(l) + TLS_PARKED_US);
	t->parked = p;
	return CONN_OK;
}

/* ---- a thread's part ---- */

static BIO *
make_bio(struct tls_io *io)
{
	BIO_METHOD *m = BIO_meth_new(
	    BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "evenkeel");
	BIO *b = NULL;

	if (m != NULL && BIO_meth_set_read(m, tls_io_read) &&
	    BIO_meth_set_write(m, tls_io_write) &&
	    BIO_meth_set_ctrl(m, tls_io_ctrl))
		b = BIO_new(m);
	if (b == NULL) {
		BIO_meth_free(m);
		return NULL;
	}
	BIO_set_data(b, io);
	BIO_set_init(b, 1);
	BIO_set_app_data(b, m);
	return b;
}

struct tls_io *
tls_io_of(struct loop *l)
{
	struct tls_io *io = l->tls;

	if (io != NULL)
		return io;
	io = calloc(1, sizeof(*io));
	if (io == NULL)
		return NULL;
	io->loop = l;
	io->bio = make_bio(io);
	if (io->bio == NULL) {
		free(io);
		return NULL;
	}
	l->tls = io;
	mine = io;
	return io;
}

void
tls_io_free(struct tls_io *io)
{
	BIO_METHOD *m;

	if (io == NULL)
		return;
	if (mine == io)
		mine = NULL;
	m = BIO_get_app_data(io->bio);
	BIO_free(io->bio);
	BIO_meth_free(m);
	buf_put(&io->loop->bufs, io->stage);
	while (io->free != NULL) {
		struct tls_block *b = io->free;

		io->free = b->next;
		free(b);
	}
	free(io);
}
