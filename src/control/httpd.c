#include "evenkeel/control/httpd.h"

#include <stdlib.h>

#include "evenkeel/base/num.h"
#include "evenkeel/http/body.h"
#include "evenkeel/http/framing.h"
#include "evenkeel/net/conn.h"
#include "evenkeel/net/listener.h"
#include "evenkeel/proxy/reply.h"

#define VISIT_MAGIC        0x56697369U
#define VISIT_FIELDS       100
#define FIRST_ANSWER_BYTES 65536U
#define HEAD_BYTES         512U
#define HTTPD_LINGER_READS 16

struct httpd {
	struct loop *loop;
	struct acceptor *acceptor;
	const struct httpd_ops *ops;
	void *arg;
	struct list visits;
	uint32_t n_visits;
	size_t large_bytes; /* how large the large answers have been */
};

enum visit_state {
	VISIT_HEAD,
	VISIT_BODY,
	VISIT_ANSWER,
	VISIT_LINGER, /* FIN is sent; what comes is thrown away */
	VISIT_ENDED
};

/* One connection. */
struct visit {
	uint32_t magic;
	enum visit_state state;
	struct httpd *httpd;
	struct conn conn;
	struct list link;
	struct wheel_timer timer;
	struct loop_task grave;
	struct h1_head head;
	struct h1_framing framing;
	struct h1_body body;
	bool keep;
	enum h1_method method;
	char *target;
	size_t target_len;
	char *answer;
	size_t answer_len, answer_sent;
	struct h1_field fields[VISIT_FIELDS];
};

static void
visit_free(struct loop_task *t)
{
	struct visit *v = LOOP_TASK_OWNER(t, struct visit, grave);

	v->magic = 0;
	free(v->target);
	free(v->answer);
	free(v);
}

static void
visit_end(struct visit *v)
{
	if (v->state == VISIT_ENDED)
		return;
	v->state = VISIT_ENDED;
	wheel_remove(&v->httpd->loop->wheel, &v->timer);
	list_remove(&v->link);
	v->httpd->n_visits--;
	conn_close(&v->conn);
	loop_bury(v->httpd->loop, &v->grave);
}

static void
visit_begin(struct visit *v)
{
	static const struct h1_limits limits = {
	    .head_bytes = 16384, .fields = VISIT_FIELDS};

	v->state = VISIT_HEAD;
	h1_head_init(&v->head, H1_REQUEST, &limits, v->fields);
	loop_arm(v->httpd->loop, &v->timer,
	    loop_now_ms(v->httpd->loop) + HTTPD_TIMEOUT_MS);
}

/* ---- answers ---- */

static void
put_head(
    struct textbuf *out, const struct visit *v, const struct httpd_answer *a)
{
	textbuf_lit(out, "HTTP/1.1 ");
	textbuf_u64(out, a->status);
	textbuf_byte(out, ' ');
	textbuf_str(out, a->status == 200 ? "OK" : reply_reason(a->status));
	textbuf_lit(out, "\r\nContent-Type: ");
	textbuf_str(out, a->type);
	textbuf_lit(out, "\r\nContent-Length: ");
	textbuf_u64(out, a->body->len);
	if (a->status == 405) {
		textbuf_lit(out, "\r\nAllow: ");
		textbuf_str(out, a->allow);
	}
	if (!v->keep)
		textbuf_lit(out, "\r\nConnection: close");
	else if (v->head.minor == 0)
		textbuf_lit(out, "\r\nConnection: keep-alive");
	textbuf_lit(out, "\r\n\r\n");
}

static bool
only_reads(const struct visit *v)
{
	return v->method == H1_METHOD_GET || v->method == H1_METHOD_HEAD;
}

/* Smaller ones are forgotten slowly: large pages of two kinds take turns. */
static void
remember_large(struct httpd *h, size_t len)
{
	h->large_bytes -= h->large_bytes / 8;
	if (len > h->large_bytes)
		h->large_bytes = len;
}

/* Asks the handler with room for `cap` bytes.  False: that was too little, or
 * there is no memory (*failed). */
static bool
ask(struct visit *v, size_t cap, unsigned status, bool *failed)
{
	struct textbuf head, body;
	struct httpd_answer a = {.status = status ? status : 200,
	    .type = "text/plain; charset=utf-8",
	    .allow = "GET, HEAD",
	    .body = &body};

	v->answer = malloc(HEAD_BYTES + cap);
	*failed = v->answer == NULL;
	if (v->answer == NULL)
		return false;
	body = textbuf_make(v->answer + HEAD_BYTES, cap);
	if (status == 0)
		v->httpd->ops->on_request(
		    &(struct httpd_request){.method = v->method,
			.target = span_make(v->target, v->target_len),
			.peer =
			    only_reads(v) ? PEER_UNKNOWN : peer_of(v->conn.fd)},
		    &a, v->httpd->arg);
	else
		textbuf_str(&body, reply_reason(status));
	if (body.full) {
		free(v->answer);
		v->answer = NULL;
		return false;
	}
	if (cap > FIRST_ANSWER_BYTES)
		remember_large(v->httpd, body.len);
	head = textbuf_make(v->answer, HEAD_BYTES);
	put_head(&head, v, &a);
	/* Head and body side by side. */
	if (v->method == H1_METHOD_HEAD)
		body.len = 0;
	memmove(v->answer + HEAD_BYTES - head.len, v->answer, head.len);
	v->answer_sent = HEAD_BYTES - head.len;
	v->answer_len = HEAD_BYTES + body.len;
	return true;
}

/* Reads and forgets, so that the answer is not lost to a reset. */
static void
visit_linger(struct visit *v)
{
	enum conn_io io = CONN_OK;

	for (int i = 0; i < HTTPD_LINGER_READS && io == CONN_OK; i++) {
		struct buf *in;

		io = conn_fill(&v->conn);
		in = v->conn.in;
		if (in != NULL)
			in->start = in->mid = in->raw = in->end = 0;
	}
	conn_release_in(&v->conn);
	if (io != CONN_AGAIN)
		visit_end(v);
}

static void
visit_send(struct visit *v)
{
	enum conn_io io = CONN_OK;

	while (io == CONN_OK && v->answer_sent < v->answer_len) {
		struct iovec piece = {
		    v->answer + v->answer_sent, v->answer_len - v->answer_sent};
		size_t sent;

		io = conn_send(&v->conn, &piece, 1, &sent);
		v->answer_sent += sent;
	}
	if (io == CONN_AGAIN)
		return;
	free(v->answer);
	v->answer = NULL;
	if (io == CONN_ERROR) {
		visit_end(v);
		return;
	}
	if (!v->keep) {
		v->state = VISIT_LINGER;
		conn_shutdown(&v->conn);
		if (v->conn.in != NULL)
			v->conn.in->start = v->conn.in->mid = v->conn.in->raw =
			    v->conn.in->end;
		loop_arm(v->httpd->loop, &v->timer,
		    loop_now_ms(v->httpd->loop) + HTTPD_LINGER_MS);
		visit_linger(v);
		return;
	}
	visit_begin(v);
	conn_again(&v->conn);
}

/*
 * How much room to offer after `cap` was too little, HTTPD_ANSWER_BYTES at
 * most: a large page is about as large as the last time, so that it is not
 * written over and over.
 */
static size_t
more_room(const struct httpd *h, size_t cap)
{
	size_t room = h->large_bytes + h->large_bytes / 8;

	if (room < 4 * cap)
		room = 4 * cap;
	return room < HTTPD_ANSWER_BYTES ? room : HTTPD_ANSWER_BYTES;
}

/* `status` 0: the handler answers. */
static void
visit_answer(struct visit *v, unsigned status)
{
	size_t cap = FIRST_ANSWER_BYTES;
	bool failed = false;

	v->state = VISIT_ANSWER;
	loop_arm(v->httpd->loop, &v->timer,
	    loop_now_ms(v->httpd->loop) + HTTPD_TIMEOUT_MS);
	while (!ask(v, cap, status, &failed)) {
		if (failed || cap == HTTPD_ANSWER_BYTES) {
			visit_end(v);
			return;
		}
		cap = more_room(v->httpd, cap);
	}
	visit_send(v);
}

/* ---- requests ---- */

static bool
keep_target(struct visit *v, struct span target)
{
	free(v->target);
	v->target = malloc(target.len + 1);
	if (v->target == NULL)
		return false;
	memcpy(v->target, target.ptr, target.len);
	v->target_len = target.len;
	return true;
}

static void
visit_refuse(struct visit *v, enum h1_error e)
{
	v->keep = false;
	v->method = (enum h1_method)v->head.method;
	visit_answer(v, h1_error_status(e));
}

static void
visit_head_done(struct visit *v)
{
	struct buf *in = v->conn.in;
	const char *base = buf_raw(in);
	enum h1_error e = h1_framing_request(&v->head, base, &v->framing);

	v->method = (enum h1_method)v->head.method;
	if (e != H1_OK) {
		visit_refuse(v, e);
		return;
	}
	v->keep = v->framing.keep_alive;
	if (!keep_target(v, h1_span(v->framing.path, base))) {
		visit_end(v);
		return;
	}
	in->raw += v->head.len;
	in->start = in->mid = in->raw;
	h1_body_init(&v->body, &v->framing, false);
	v->state = VISIT_BODY;
}

/* True: go on with what is in the buffer. */
static bool
visit_parse(struct visit *v)
{
	struct buf *in = v->conn.in;
	struct h1_body_step step;

	if (v->state == VISIT_HEAD) {
		enum h1_result r =
		    h1_head_parse(&v->head, buf_raw(in), buf_raw_len(in));

		if (r == H1_DONE)
			visit_head_done(v);
		else if (r == H1_BAD)
			visit_refuse(v, (enum h1_error)v->head.error);
		else if (buf_room(in) == 0)
			buf_compact(in);
	}
	if (v->state != VISIT_BODY)
		return false;
	switch (h1_body_decode(&v->body, buf_raw(in), buf_raw_len(in), &step)) {
	case H1_BODY_END:
		in->raw += (uint32_t)step.consumed;
		in->start = in->mid = in->raw;
		visit_answer(v, 0);
		return false;
	case H1_BODY_BAD:
		visit_refuse(v, (enum h1_error)v->body.error);
		return false;
	case H1_BODY_MORE:
	case H1_BODY_TRAILER:
		break;
	}
	in->raw += (uint32_t)step.consumed;
	in->start = in->mid = in->raw;
	return false;
}

static void
visit_read(struct visit *v)
{
	while (v->state == VISIT_HEAD || v->state == VISIT_BODY) {
		struct buf *in = v->conn.in;

		if (in != NULL && buf_raw_len(in) > 0 &&
		    (v->state == VISIT_BODY || buf_raw_len(in) > v->head.pos))
			visit_parse(v);
		if (v->state != VISIT_HEAD && v->state != VISIT_BODY)
			return;
		switch (conn_fill(&v->conn)) {
		case CONN_OK:
			break;
		case CONN_AGAIN:
			return;
		case CONN_EOF:
		case CONN_ERROR:
			visit_end(v);
			return;
		}
	}
}

static void
visit_on_ready(struct conn *c, void *arg)
{
	struct visit *v = arg;

	(void)c;
	CHECK(v->magic == VISIT_MAGIC);
	if (v->state == VISIT_ANSWER)
		visit_send(v);
	else if (v->state == VISIT_LINGER)
		visit_linger(v);
	else
		visit_read(v);
}

static const struct conn_ops visit_conn_ops = {.on_ready = visit_on_ready};

static void
visit_on_timer(struct wheel_timer *t, uint64_t now_ms)
{
	struct visit *v =
	    (struct visit *)(void *)((char *)t - offsetof(struct visit, timer));

	(void)now_ms;
	CHECK(v->magic == VISIT_MAGIC);
	visit_end(v);
}

/* ---- the server ---- */

/* Ends the oldest that has said nothing, or waits for its next request: those
 * who are silent do not keep out those who ask. */
static void
make_room(struct httpd *h)
{
	LIST_EACH(link, &h->visits)
	{
		struct visit *v = LIST_OWNER(link, struct visit, link);

		if (v->state == VISIT_HEAD && !h1_head_begun(&v->head)) {
			visit_end(v);
			return;
		}
	}
}

static void
httpd_on_accept(int fd, const struct sockaddr *peer, void *listener, void *arg)
{
	struct httpd *h = arg;
	struct visit *v = NULL;

	(void)peer;
	(void)listener;
	if (h->n_visits >= HTTPD_CONNECTIONS)
		make_room(h);
	if (h->n_visits < HTTPD_CONNECTIONS)
		v = calloc(1, sizeof(*v));
	if (v == NULL) {
		conn_refuse(fd);
		return;
	}
	if (!conn_open(&v->conn, h->loop, fd, &visit_conn_ops, v)) {
		free(v);
		return;
	}
	v->magic = VISIT_MAGIC;
	v->httpd = h;
	wheel_timer_init(&v->timer, visit_on_timer);
	loop_task_init(&v->grave, visit_free);
	list_push_back(&h->visits, &v->link);
	h->n_visits++;
	visit_begin(v);
}

static bool
httpd_may_accept(void *arg)
{
	(void)arg;
	return true;
}

static const struct acceptor_ops httpd_acceptor_ops = {
    .on_accept = httpd_on_accept, .may_accept = httpd_may_accept};

struct httpd *
httpd_create(struct loop *l, int fd, const struct httpd_ops *ops, void *arg)
{
	struct httpd *h = calloc(1, sizeof(*h));

	if (h == NULL) {
		conn_refuse(fd);
		return NULL;
	}
	*h = (struct httpd){.loop = l, .ops = ops, .arg = arg};
	list_init(&h->visits);
	h->acceptor = acceptor_create(l, fd, &httpd_acceptor_ops, NULL, h);
	if (h->acceptor == NULL) {
		free(h);
		return NULL;
	}
	return h;
}

void
httpd_retire(struct httpd *h)
{
	if (h == NULL || h->acceptor == NULL)
		return;
	/* Whoever the kernel has let in already is served. */
	acceptor_take_all(h->acceptor);
	acceptor_free(h->acceptor);
	h->acceptor = NULL;
}

void
httpd_free(struct httpd *h)
{
	if (h == NULL)
		return;
	acceptor_free(h->acceptor);
	while (!list_empty(&h->visits))
		visit_end(LIST_OWNER(h->visits.next, struct visit, link));
	free(h);
}
