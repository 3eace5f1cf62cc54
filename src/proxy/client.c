#include "evenkeel/proxy/client.h"

#include <stdlib.h>

#include "evenkeel/net/conn_tls.h"
#include "evenkeel/proxy/exchange.h"
#include "evenkeel/proxy/greeting.h"
#include "evenkeel/proxy/picker.h"
#include "evenkeel/proxy/worker.h"

#define CLIENT_MAGIC 0x436c6965U

enum client_state {
	CLIENT_GREETING, /* of what comes before a request not all is there */
	CLIENT_IDLE,     /* no byte of a request is there */
	CLIENT_BUSY,     /* an exchange has the connection */
	CLIENT_LINGER,   /* FIN is sent; what comes is thrown away */
	CLIENT_ENDED     /* closed; the memory goes at the end of the turn */
};

struct client {
	uint32_t magic;
	enum client_state state;
	struct conn conn;
	struct worker *w;
	const struct front *front; /* where its next request comes in */
	uint64_t bind;
	uint64_t serial;           /* of the snapshot that `trusted` is by */
	struct exchange *exchange; /* of CLIENT_BUSY */
	struct list link;          /* in w->clients */
	struct wheel_timer timer;  /* idle, linger */
	struct loop_task task;     /* the next request; then the grave */
	uint64_t linger_since_ms;  /* the last sign that the answer is read */
	uint32_t send_timeout_ms;  /* of its last exchange */
	uint32_t unsent;           /* of the answer, when last looked at */
	uint64_t counted_in, counted_out;
	struct exchange_peer peer;
	bool leaving; /* its listener is gone */
	enum greeting_step greeting;
};

static void client_next(struct client *c);
static void client_greet(struct client *c);

static bool
client_ok(const struct client *c)
{
	return c->magic == CLIENT_MAGIC &&
	    (c->exchange != NULL) == (c->state == CLIENT_BUSY);
}

struct client *
client_of(struct list *link)
{
	return LIST_OWNER(link, struct client, link);
}

static void
client_free(struct loop_task *t)
{
	struct client *c = LOOP_TASK_OWNER(t, struct client, task);

	c->magic = 0;
	free(c->peer.subject);
	free(c);
}

/* Counts what was read and sent since it was last counted. */
static void
count_bytes(struct client *c)
{
	counter_add(&c->w->stats.client_in, c->conn.bytes_in - c->counted_in);
	counter_add(
	    &c->w->stats.client_out, c->conn.bytes_out - c->counted_out);
	c->counted_in = c->conn.bytes_in;
	c->counted_out = c->conn.bytes_out;
}

static void
client_end(struct client *c, bool reset)
{
	struct worker *w = c->w;

	CHECK(c->exchange == NULL && c->state != CLIENT_ENDED);
	c->state = CLIENT_ENDED;
	wheel_remove(&w->loop->wheel, &c->timer);
	loop_task_cancel(&c->task);
	list_remove(&c->link);
	w->n_clients--;
	counter_add(&w->stats.clients, (uint64_t)-1);
	count_bytes(c);
	atomic_fetch_sub_explicit(
	    &w->shared->connections, 1, memory_order_relaxed);
	if (reset)
		conn_reset(&c->conn);
	else
		conn_close(&c->conn);
	c->task.run = client_free;
	loop_bury(w->loop, &c->task);
	worker_client_ended(w);
}

static uint32_t
idle_timeout(const struct client *c)
{
	const struct cfg_listener *cfg =
	    snapshot_listener_of(c->w->snapshot, c->front)->cfg;

	/* A connection that never brought a byte is a head that is slow. */
	return c->conn.bytes_in == 0 ? cfg->header_timeout_ms
				     : cfg->idle_timeout_ms;
}

static void
client_idle(struct client *c)
{
	uint32_t wait_ms;

	if (c->leaving) {
		client_end(c, false);
		return;
	}
	c->state = CLIENT_IDLE;
	conn_release_in(&c->conn);
	wait_ms = idle_timeout(c);
	if (c->w->hurrying && c->conn.bytes_in == 0)
		wait_ms = CLIENT_FIRST_STOP_MS;
	/* Before a stop closes it: a request may have come already. */
	else if (c->w->hurrying)
		c->conn.readable = true;
	loop_arm(c->w->loop, &c->timer, loop_now_ms(c->w->loop) + wait_ms);
	/* A request that came early: its turn is after everybody else's. */
	if (c->conn.in != NULL || c->conn.readable || c->conn.eof_read)
		loop_ready(c->w->loop, &c->task);
}

static void
client_drop_input(struct client *c)
{
	struct buf *in = c->conn.in;

	if (in == NULL)
		return;
	in->start = in->mid = in->raw = in->end = in->base = 0;
	conn_release_in(&c->conn);
}

/* Reads and forgets.  The number of rounds is bounded by LINGER_BYTES. */
static void
client_linger_on(struct client *c)
{
	uint64_t until = c->conn.bytes_in + CLIENT_LINGER_BYTES;
	enum conn_io io = CONN_OK;

	if (!conn_out_empty(&c->conn))
		(void)!conn_flush(&c->conn);
	while (io == CONN_OK && c->conn.bytes_in < until) {
		io = conn_fill(&c->conn);
		client_drop_input(c);
	}
	/* Too much at once: closing while it still sends would reset the
	 * connection and take the answer with it. */
	if (io == CONN_OK && conn_unsent(&c->conn) > 0)
		conn_again(&c->conn);
	else if (io != CONN_AGAIN)
		client_end(c, false);
}

static void
client_linger(struct client *c)
{
	if (c->conn.eof_read) {
		client_end(c, false);
		return;
	}
	c->state = CLIENT_LINGER;
	c->linger_since_ms = loop_now_ms(c->w->loop);
	c->unsent = conn_unsent(&c->conn);
	client_drop_input(c);
	conn_shutdown(&c->conn);
	loop_arm(c->w->loop, &c->timer,
	    c->linger_since_ms +
		(c->w->draining ? CLIENT_LINGER_STOP_MS : CLIENT_LINGER_MS));
	client_linger_on(c);
}

/* The answer is still on its way to a slow reader: CLIENT_LINGER_MS begins
 * when it is there, within send_timeout for each step. */
static bool
linger_longer(struct client *c, uint64_t now_ms)
{
	uint32_t unsent = conn_unsent(&c->conn);

	if (unsent < c->unsent)
		c->linger_since_ms = now_ms;
	if (c->unsent == 0 || c->w->draining ||
	    now_ms >= c->linger_since_ms + c->send_timeout_ms)
		return false;
	c->unsent = unsent;
	loop_arm(c->w->loop, &c->timer, now_ms + CLIENT_LINGER_MS);
	return true;
}

static void
client_on_done(void *arg, enum exchange_after after)
{
	struct client *c = arg;

	CHECK(client_ok(c) && c->state == CLIENT_BUSY);
	c->send_timeout_ms = c->exchange->send_timeout_ms;
	c->exchange = NULL;
	c->state = CLIENT_IDLE;
	count_bytes(c);
	switch (after) {
	case EXCHANGE_KEEP:
		client_idle(c);
		break;
	case EXCHANGE_CLOSE:
		client_linger(c);
		break;
	case EXCHANGE_CLOSE_AGREED:
		conn_release_in(&c->conn);
		/* What says that TLS ends may have to wait for room. */
		if (c->conn.in == NULL && !c->conn.readable &&
		    (c->conn.writable || !conn_is_secure(&c->conn)))
			client_end(c, false);
		else
			client_linger(c);
		break;
	case EXCHANGE_ABORT:
		client_end(c, true);
		break;
	case EXCHANGE_GONE:
		client_end(c, false);
		break;
	}
}

static const struct exchange_ops client_exchange_ops = {
    .on_done = client_on_done};

/* Whether it is one of trusted_proxies, as the snapshot has them. */
static void
judge(struct client *c)
{
	const struct snapshot *s = c->w->snapshot;
	const struct snapshot_listener *l = snapshot_listener_of(s, c->front);

	c->serial = s->serial;
	c->peer.trusted = l->n_trusted > 0 &&
	    cidr_contains(l->trusted, l->n_trusted, &c->peer.ip);
}

static void
begin_exchange(struct client *c)
{
	const struct exchange_from from = {.w = c->w,
	    .conn = &c->conn,
	    .front = c->front,
	    .peer = &c->peer,
	    .ops = &client_exchange_ops,
	    .arg = c};

	c->exchange = exchange_create(&from);
}

static void
client_next(struct client *c)
{
	if (!c->leaving && c->serial != c->w->snapshot->serial)
		judge(c);
	if (!c->leaving)
		begin_exchange(c);
	if (c->exchange == NULL) {
		client_end(c, false);
		return;
	}
	c->state = CLIENT_BUSY;
	c->timer.deadline_ms = WHEEL_NEVER;
	exchange_on_front(c->exchange);
}

static void
client_on_ready(struct conn *conn, void *arg)
{
	struct client *c = arg;

	CHECK(client_ok(c));
	switch (c->state) {
	case CLIENT_GREETING:
		client_greet(c);
		break;
	case CLIENT_IDLE:
		/* The last of the handshake. */
		if (!conn_out_empty(conn))
			(void)!conn_flush(conn);
		if (conn->readable)
			client_next(c);
		break;
	case CLIENT_BUSY:
		exchange_on_front(c->exchange);
		break;
	case CLIENT_LINGER:
		client_linger_on(c);
		break;
	case CLIENT_ENDED:
		break;
	}
}

static const struct conn_ops client_conn_ops = {.on_ready = client_on_ready};

static void
client_on_task(struct loop_task *t)
{
	struct client *c = LOOP_TASK_OWNER(t, struct client, task);

	CHECK(client_ok(c));
	if (c->state == CLIENT_IDLE)
		client_next(c);
	if (c->w->hurrying && c->state == CLIENT_BUSY)
		exchange_hurry(c->exchange);
}

static void
client_on_timer(struct wheel_timer *t, uint64_t now_ms)
{
	struct client *c = (struct client *)(void *)((char *)t -
	    offsetof(struct client, timer));

	CHECK(client_ok(c));
	if (c->state == CLIENT_LINGER && linger_longer(c, now_ms))
		return;
	if (c->state == CLIENT_GREETING && c->greeting == GREETING_SHAKE)
		greeting_timed_out(c->w, &c->conn);
	if (c->state != CLIENT_BUSY)
		client_end(c, false);
}

/* What comes before the first request. */
static void
client_greet(struct client *c)
{
	struct greeting g = {.w = c->w,
	    .conn = &c->conn,
	    .front = c->front,
	    .peer = &c->peer,
	    .step = c->greeting};
	enum greeting_result result = greeting_run(&g);

	c->greeting = g.step;
	c->serial = 0;
	switch (result) {
	case GREETING_MORE:
		break;
	case GREETING_DONE:
		client_idle(c);
		break;
	case GREETING_MISPLACED:
		client_next(c);
		break;
	case GREETING_REFUSED:
		client_linger(c);
		break;
	case GREETING_GONE:
		client_end(c, false);
		break;
	}
}

static void
client_begin(struct client *c)
{
	const struct snapshot_listener *l =
	    snapshot_listener_of(c->w->snapshot, c->front);

	if (!greeting_wanted(l)) {
		client_idle(c);
		return;
	}
	c->state = CLIENT_GREETING;
	loop_arm(c->w->loop, &c->timer,
	    loop_now_ms(c->w->loop) + l->cfg->header_timeout_ms);
	client_greet(c);
}

void
client_accept(
    struct worker *w, int fd, const struct sockaddr *peer, uint64_t bind)
{
	struct client *c = calloc(1, sizeof(*c));

	atomic_fetch_add_explicit(
	    &w->shared->connections, 1, memory_order_relaxed);
	if (c == NULL ||
	    !conn_open(&c->conn, w->loop, fd, &client_conn_ops, c)) {
		if (c == NULL)
			conn_refuse(fd);
		free(c);
		atomic_fetch_sub_explicit(
		    &w->shared->connections, 1, memory_order_relaxed);
		return;
	}
	c->magic = CLIENT_MAGIC;
	c->w = w;

	c->bind = bind;
	c->front = worker_front(w, bind);
	greeting_note_peer(&c->peer, address_ip(peer),
	    address_port(&(struct address){
		.u.storage = *(const struct sockaddr_storage *)peer}));
	wheel_timer_init(&c->timer, client_on_timer);
	loop_task_init(&c->task, client_on_task);
	list_push_back(&w->clients, &c->link);
	w->n_clients++;
	counter_add(&w->stats.clients, 1);
	client_begin(c);
}

void
client_drain(struct client *c)
{
	CHECK(client_ok(c));
	if (c->state == CLIENT_IDLE) {
		c->conn.readable = true;
		client_next(c);
	}
	/* A handshake that has begun is as good as a request. */
	if (c->state == CLIENT_GREETING &&
	    (c->greeting != GREETING_SHAKE || conn_wire_in(&c->conn) == 0))
		client_end(c, false);
	else if (c->state == CLIENT_BUSY)
		exchange_hurry(c->exchange);
	else if (c->state == CLIENT_LINGER && conn_unsent(&c->conn) == 0)
		client_end(c, false);
}

void
client_move(struct client *c, const struct snapshot *next)
{
	const struct front *front = worker_front(c->w, c->bind);

	CHECK(client_ok(c));
	if (c->leaving || front == c->front)
		return;
	/* A bind that is gone leaves its clients with their listener. */
	if (front == NULL && snapshot_listener_of(next, c->front) != NULL)
		return;
	if (front != NULL) {
		c->front = front;
		return;
	}
	/* A request may have come already. */
	if (c->state == CLIENT_IDLE) {
		c->conn.readable = true;
		client_next(c);
	}
	c->leaving = true;
	if (c->state == CLIENT_BUSY)
		exchange_leave(c->exchange);
	else if (c->state == CLIENT_IDLE || c->state == CLIENT_GREETING)
		client_end(c, false);
}

void
client_recount(struct client *c)
{
	if (c->state == CLIENT_BUSY)
		picker_recount(&c->exchange->attempt);
}

void
client_stop(struct client *c)
{
	CHECK(client_ok(c));
	if (c->state == CLIENT_BUSY) {
		if (!exchange_begun(c->exchange))
			exchange_drop(c->exchange);
		else
			exchange_shut_down(c->exchange);
	}
	/* Its answer could not be delivered at once: it is not waited for. */
	if (c->state == CLIENT_BUSY)
		exchange_shut_down(c->exchange);
	if (c->state != CLIENT_ENDED)
		client_end(c, false);
}
