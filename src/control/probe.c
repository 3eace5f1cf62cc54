#include "evenkeel/control/probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "evenkeel/control/words.h"
#include "evenkeel/http/proxyproto.h"
#include "evenkeel/net/conn_tls.h"

/* Two values of a configuration's line, and what stands around them. */
#define REQUEST_BYTES (2 * 4096 + 256 + PROXYPROTO_WRITE_BYTES)

static void probe_on_ready(struct conn *c, void *arg);

static const struct conn_ops probe_ops = {.on_ready = probe_on_ready};

/* A check that is a connection alone is one without TLS, too. */
static bool
wants_tls(const struct snapshot_pool *pool, const struct backend *b)
{
	return pool->cfg->health == CFG_HEALTH_HTTP && pool->tls != NULL &&
	    b->server_name != NULL;
}

static void
aim_tls(
    struct probe *p, const struct snapshot_pool *pool, const struct backend *b)
{
	const char *name = pool->cfg->tls_server_name;

	p->tls = NULL;
	p->identity = 0;
	if (!wants_tls(pool, b))
		return;
	/* Control's is behind those of the workers. */
	p->tls = pool->tls[b->n_lanes];
	p->identity = pool->terms.tls;
	p->server_name = name[0] != '\0' ? name : b->server_name;
}

/* Whom it asks, and by which name. */
static void
aim(struct probe *p, const struct snapshot_pool *pool, const struct backend *b)
{
	const struct cfg_pool *cfg = pool->cfg;

	p->cfg = cfg;
	aim_tls(p, pool, b);
	p->host = b->host;
	p->address = b->address;
	if (cfg->health_port != 0 && b->address.u.any.sa_family != AF_UNIX) {
		address_set_port(&p->address, cfg->health_port);
		p->host = SPAN_NONE;
	}
	if (cfg->health_host[0] != '\0')
		p->host = span_of(cfg->health_host);
}

void
probe_init(struct probe *p, struct loop *l, const struct snapshot_pool *pool,
    const struct backend *b, const struct probe_ops *ops, void *arg)
{
	*p = (struct probe){.loop = l, .ops = ops, .arg = arg};
	p->conn.fd = -1;
	aim(p, pool, b);
}

static bool
same_text(const char *a, const char *b)
{
	return span_equal(span_of(a), span_of(b));
}

static bool
same_statuses(const struct cfg_pool *a, const struct cfg_pool *b)
{
	bool same = a->n_health_statuses == b->n_health_statuses;

	for (size_t i = 0; same && i < a->n_health_statuses; i++)
		same =
		    a->health_statuses[i].from == b->health_statuses[i].from &&
		    a->health_statuses[i].to == b->health_statuses[i].to;
	return same;
}

static bool
same_check(const struct cfg_pool *a, const struct cfg_pool *b)
{
	return a->health == b->health && a->health_port == b->health_port &&
	    a->health_method == b->health_method &&
	    a->health_timeout_ms == b->health_timeout_ms &&
	    a->proxy_protocol == b->proxy_protocol &&
	    a->max_header_size == b->max_header_size &&
	    a->max_headers == b->max_headers && same_statuses(a, b) &&
	    same_text(a->health_path, b->health_path) &&
	    same_text(a->health_host, b->health_host) &&
	    same_text(a->health_body, b->health_body);
}

bool
probe_follow(
    struct probe *p, const struct snapshot_pool *pool, const struct backend *b)
{
	bool same = same_check(p->cfg, pool->cfg) &&
	    p->identity == (wants_tls(pool, b) ? pool->terms.tls : 0);

	if (!same && p->state != PROBE_IDLE)
		probe_stop(p);
	if (p->answer != NULL)
		p->answer->cfg = pool->cfg;
	aim(p, pool, b);
	return same;
}

/* ---- ends ---- */

void
probe_stop(struct probe *p)
{
	/* A check that was a connection alone leaves nothing to be waited for:
	 * its port is free again at once.  TLS may have told the backend what
	 * it does not like. */
	if (p->conn.bytes_out == 0 && !conn_is_secure(&p->conn))
		conn_reset(&p->conn);
	else
		conn_close(&p->conn);
	free(p->answer);
	p->answer = NULL;
	p->state = PROBE_IDLE;
}

static void
finish(struct probe *p, enum probe_end end, const char *why)
{
	probe_stop(p);
	p->ops->on_end(p, end, why, p->arg);
}

static void
fail(struct probe *p, const char *why)
{
	finish(p, PROBE_FAILED, why);
}

/* A socket call of this side failed, or of the other. */
static void
fail_with(struct probe *p, int error)
{
	switch (error) {
	case ECONNREFUSED:
		fail(p, "connection refused");
		break;
	case ECONNRESET:
	case EPIPE:
		fail(p, "connection reset");
		break;
	case ETIMEDOUT:
		finish(p, PROBE_TIMEOUT, "connect timed out");
		break;
	case EHOSTUNREACH:
	case ENETUNREACH:
		fail(p, "unreachable");
		break;
	case EAGAIN:
		fail(p, "its queue of connections is full");
		break;
	case ENOENT:
		fail(p, "no such socket file");
		break;
	case EACCES:
	case EPERM:
		fail(p, "permission denied");
		break;
	case EMFILE:
	case ENFILE:
		finish(p, PROBE_SKIPPED, "out of file descriptors");
		break;
	case EADDRNOTAVAIL:
		finish(p, PROBE_SKIPPED, "out of local ports");
		break;
	case ENOMEM:
	case ENOBUFS:
		finish(p, PROBE_SKIPPED, "out of memory");
		break;
	default:
		fail(p, "connect failed");
		break;
	}
}

/* ...or TLS did. */
static void
fail_conn(struct probe *p)
{
	char why[ANSWER_WHY_BYTES];

	if (p->conn.error != EPROTO || !conn_is_secure(&p->conn)) {
		fail_with(p, p->conn.error);
		return;
	}
	snprintf(why, sizeof(why), "TLS: %s", conn_why(&p->conn));
	fail(p, why);
}

void
probe_time_out(struct probe *p)
{
	char why[ANSWER_WHY_BYTES], time[WORDS_SECONDS_BYTES];
	const char *what = "no whole answer";

	CHECK(p->state != PROBE_IDLE);
	if (p->state == PROBE_CONNECTING)
		what = "no connection";
	else if (p->state == PROBE_HANDSHAKE)
		what = "no TLS handshake";
	else if (p->conn.bytes_in == 0)
		what = "no answer";
	snprintf(why, sizeof(why), "timed out after %s (%s)",
	    words_seconds(time, p->cfg->health_timeout_ms), what);
	finish(p, PROBE_TIMEOUT, why);
}

/* ---- the connection ---- */

/* With the answer's own words, which end with it. */
static void
fail_answer(struct probe *p)
{
	char why[ANSWER_WHY_BYTES];

	memcpy(why, p->answer->why, sizeof(why));
	fail(p, why);
}

static void
read_answer(struct probe *p)
{
	struct conn *c = &p->conn;

	/* Ends: each round reads a byte or is the last, and what is taken of
	 * an answer is bounded. */
	for (;;) {
		switch (conn_fill(c)) {
		case CONN_OK:
			break;
		case CONN_AGAIN:
			return;
		case CONN_EOF:
			answer_ended(p->answer, c->bytes_in > 0);
			fail_answer(p);
			return;
		case CONN_ERROR:
			fail_conn(p);
			return;
		}
		switch (answer_take(p->answer, c->in)) {
		case ANSWER_MORE:
			break;
		case ANSWER_GOOD:
			finish(p, PROBE_OK, "");
			return;
		case ANSWER_BAD:
			fail_answer(p);
			return;
		}
	}
}

static void
put_proxy_header(struct textbuf *out, const struct cfg_pool *cfg)
{
	/* The check comes from nobody else but this side itself. */
	const struct proxyproto own = {.family = PROXYPROTO_UNKNOWN};

	if (cfg->proxy_protocol == CFG_PROXY_PROTOCOL_V1)
		proxyproto_put_v1(out, &own);
	else if (cfg->proxy_protocol == CFG_PROXY_PROTOCOL_V2)
		proxyproto_put_v2(out, &own);
}

static void
put_request(struct textbuf *out, const struct probe *p)
{
	static const char *const methods[] = {"GET", "HEAD", "OPTIONS"};

	textbuf_str(out, methods[p->cfg->health_method]);
	textbuf_byte(out, ' ');
	textbuf_str(out, p->cfg->health_path);
	textbuf_lit(out, " HTTP/1.1\r\nHost: ");
	if (p->host.len > 0)
		textbuf_put(out, p->host);
	else
		address_put(out, &p->address);
	textbuf_lit(out,
	    "\r\nUser-Agent: evenkeel-health/" EVENKEEL_VERSION
	    "\r\nAccept: */*\r\nConnection: close\r\n\r\n");
}

/* False: it has ended. */
static bool
send_text(struct probe *p, const struct textbuf *text)
{
	CHECK(!text->full);
	if (conn_write(&p->conn, textbuf_span(text)) == CONN_OK)
		return true;
	fail_conn(p);
	return false;
}

/* Sends the request, behind what stands in `text` already. */
static void
ask(struct probe *p, struct textbuf *text)
{
	put_request(text, p);
	p->answer = malloc(answer_bytes(p->cfg));
	if (p->answer == NULL) {
		fail_with(p, ENOMEM);
		return;
	}
	answer_init(p->answer, p->cfg, p->loop->bufs.size);
	if (!send_text(p, text))
		return;
	p->state = PROBE_ANSWER;
	read_answer(p);
}

static void
shake_hands(struct probe *p)
{
	char bytes[REQUEST_BYTES];
	struct textbuf out = textbuf_make(bytes, sizeof(bytes));
	struct conn *c = &p->conn;

	switch (conn_handshake(c)) {
	case CONN_OK:
		ask(p, &out);
		break;
	case CONN_AGAIN:
		break;
	case CONN_EOF:
		fail(p, "TLS: closed during the handshake");
		break;
	case CONN_ERROR:
		if (conn_is_secure(c))
			fail_conn(p);
		else
			fail(p, "TLS: the backend speaks plain HTTP");
		break;
	}
}

static void
connected(struct probe *p)
{
	char bytes[REQUEST_BYTES];
	struct textbuf out = textbuf_make(bytes, sizeof(bytes));

	put_proxy_header(&out, p->cfg);
	if (p->cfg->health == CFG_HEALTH_HTTP && p->tls == NULL) {
		ask(p, &out);
		return;
	}
	if (!send_text(p, &out))
		return;
	if (p->tls == NULL) {
		finish(p, PROBE_OK, "");
		return;
	}
	/* Want of memory in the kernel: a new socket takes it. */
	if (!conn_out_empty(&p->conn) ||
	    !conn_secure_client(
		&p->conn, p->tls, p->server_name, p->identity, NULL)) {
		fail_with(p, ENOMEM);
		return;
	}
	p->state = PROBE_HANDSHAKE;
	shake_hands(p);
}

/* The TCP connection stands, is under way, or has failed. */
static void
go_on_connecting(struct probe *p, enum conn_io io)
{
	switch (io) {
	case CONN_OK:
		connected(p);
		break;
	case CONN_ERROR:
		fail_with(p, p->conn.error);
		break;
	default:
		break;
	}
}

static void
probe_on_ready(struct conn *c, void *arg)
{
	struct probe *p = arg;

	switch (p->state) {
	case PROBE_IDLE:
		break;
	case PROBE_CONNECTING:
		go_on_connecting(p, conn_connected(c));
		break;
	case PROBE_HANDSHAKE:
		shake_hands(p);
		break;
	case PROBE_ANSWER:
		if (conn_flush(c) == CONN_ERROR)
			fail_conn(p);
		else
			read_answer(p);
		break;
	}
}

void
probe_start(struct probe *p)
{
	CHECK(p->state == PROBE_IDLE);
	p->state = PROBE_CONNECTING;
	go_on_connecting(p,
	    conn_connect(&p->conn, p->loop, &p->address.u.any, p->address.len,
		&probe_ops, p));
}
