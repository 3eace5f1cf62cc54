#include "evenkeel/proxy/request.h"

#include "evenkeel/http/forward.h"
#include "evenkeel/http/proxyproto.h"
#include "evenkeel/http/redirect.h"
#include "evenkeel/net/conn_tls.h"
#include "evenkeel/proxy/deadline.h"
#include "evenkeel/proxy/worker.h"

const char *
request_base(const struct exchange *x)
{
	return x->from.conn->in->data + x->head_off;
}

bool
request_idempotent(const struct exchange *x)
{
	return h1_method_idempotent((enum h1_method)x->head.method) ||
	    h1_head_find(&x->head, H1_FIELD_IDEMPOTENCY_KEY) != NULL;
}

bool
request_repeatable(const struct exchange *x)
{
	return x->pool->retry.non_idempotent || request_idempotent(x);
}

static struct span
header_value(const struct exchange *x, const char *base, struct span name)
{
	for (uint32_t i = 0; i < x->head.n_fields; i++)
		if (span_equal_nocase(
			h1_span(x->head.fields[i].name, base), name))
			return h1_span(x->head.fields[i].value, base);
	return SPAN_NONE;
}

/* RFC 6265 4.2.1: "a=1; b=2". */
static struct span
cookie_value(const struct exchange *x, const char *base, struct span name)
{
	struct span rest = header_value(x, base, SPAN("Cookie"));

	while (rest.len > 0) {
		size_t end = span_find(rest, ';');
		struct span pair = span_trim(span_make(rest.ptr, end));
		size_t equals = span_find(pair, '=');

		if (equals < pair.len &&
		    span_equal(span_make(pair.ptr, equals), name))
			return span_make(
			    pair.ptr + equals + 1, pair.len - equals - 1);
		end += end < rest.len;
		rest = span_make(rest.ptr + end, rest.len - end);
	}
	return SPAN_NONE;
}

uint64_t
request_hash(const struct exchange *x)
{
	const char *base = request_base(x);
	struct span path;

	switch (x->pool->hash) {
	case SNAPSHOT_HASH_PATH:
		path = h1_span(x->framing.path, base);
		return ring_hash(span_make(path.ptr, span_find(path, '?')));
	case SNAPSHOT_HASH_HEADER:
		return ring_hash(header_value(x, base, x->pool->hash_name));
	case SNAPSHOT_HASH_COOKIE:
		return ring_hash(cookie_value(x, base, x->pool->hash_name));
	case SNAPSHOT_HASH_CLIENT_IP:
		break;
	}
	return ring_hash(x->client);
}

static struct flow_input
routed(struct exchange *x, const char *base)
{
	const struct snapshot_pool *pool = snapshot_route(x->listener,
	    h1_span(x->framing.host, base), h1_span(x->framing.path, base));

	if (pool == NULL)
		return exchange_event(FLOW_EV_NO_ROUTE);
	x->pool = pool;
	x->terms = pool->terms;
	x->upstream = pool->upstream;
	x->stream_timeout_ms = pool->cfg->stream_timeout_ms;
	x->request_deadline_ms =
	    loop_now_ms(x->from.w->loop) + pool->cfg->request_timeout_ms;
	x->wait_since_us = loop_now_us(x->from.w->loop);
	x->upload.keep = pool->cfg->retry_body_limit;
	flow_set_policy(&x->flow, &pool->retry);
	counter_add(&pool->upstream->lanes[x->from.w->index].requests, 1);
	return exchange_event(FLOW_EV_ROUTED);
}

/* What a trusted proxy says of the client, and of the request. */
static void
believe(struct exchange *x, const char *base)
{
	const struct forwarded_walk walk = {
	    .mode = (enum forwarded_mode)x->listener->cfg->forwarded,
	    .peer = x->from.peer->ip,
	    .trusted = x->listener->trusted,
	    .n_trusted = x->listener->n_trusted};
	struct ip client = forwarded_client(&x->head, base, &walk);
	struct span id = forwarded_request_id(&x->head, base);
	struct textbuf text =
	    textbuf_make(x->client_text, sizeof(x->client_text));

	ip_put(&text, &client);
	x->client = textbuf_span(&text);
	if (id.len == 0)
		return;
	memcpy(x->id, id.ptr, id.len);
	x->id_len = (uint8_t)id.len;
}

static struct flow_input __attribute__((noinline)) misplaced(struct exchange *x)
{
	x->why = "plain HTTP came to a TLS port";
	return (struct flow_input){.event = FLOW_EV_CLIENT_BAD, .status = 400};
}

static struct flow_input __attribute__((noinline))
redirected(struct exchange *x)
{
	if (x->framing.host.len == 0) {
		x->why = "a request without Host cannot be redirected";
		return (struct flow_input){
		    .event = FLOW_EV_CLIENT_BAD, .status = 400};
	}
	return (struct flow_input){.event = FLOW_EV_REDIRECTED,
	    .status = redirect_status((enum h1_method)x->head.method)};
}

static struct flow_input
head_complete(struct exchange *x)
{
	const struct cfg_listener *cfg = x->listener->cfg;
	struct buf *in = x->from.conn->in;
	const char *base = buf_raw(in);
	enum h1_error e = h1_framing_request(&x->head, base, &x->framing);

	x->head_off = in->raw;
	if (e != H1_OK)
		return exchange_refused(x, e);
	x->head_done = true;
	/* The body gets all of the buffer that is left. */
	if (x->framing.body != H1_BODY_NONE) {
		buf_compact(in);
		x->head_off = in->raw;
		base = buf_raw(in);
	}
	if (x->from.peer->trusted)
		believe(x, base);
	in->raw += x->head.len;
	in->base = in->start = in->mid = in->raw;
	pump_init(
	    &x->upload, &x->framing, x->framing.body == H1_BODY_CHUNKED, false);
	if (x->from.peer->misplaced)
		return misplaced(x);
	x->upload.limit = cfg->max_body_size;
	if (cfg->max_body_size != 0 && x->framing.length > cfg->max_body_size) {
		x->why = "request body is larger than max_body_size";
		return (struct flow_input){
		    .event = FLOW_EV_CLIENT_BAD, .status = 413};
	}
	return cfg->redirect_port != 0 ? redirected(x) : routed(x, base);
}

/* The client ended while its head was incomplete. */
static bool
head_cut(struct exchange *x, struct flow_input *in)
{
	if (!exchange_begun(x)) {
		exchange_drop(x);
		return false;
	}
	*in = exchange_event(FLOW_EV_CLIENT_GONE);
	return true;
}

/* The buffer may be older than the configuration, and too small for a head as
 * large as that allows. */
static bool
make_room(struct conn *c)
{
	buf_compact(c->in);
	return buf_room(c->in) > 0 ||
	    buf_extend(&c->loop->bufs, &c->in, c->loop->bufs.size);
}

/* A head that comes in a record which does not end has begun as well. */
static void __attribute__((noinline)) time_record(struct exchange *x)
{
	if (exchange_begun(x))
		return;
	if (!conn_has_part(x->from.conn))
		x->head_deadline_ms = 0;
	else if (x->head_deadline_ms == 0)
		x->head_deadline_ms = loop_now_ms(x->from.w->loop) +
		    x->listener->cfg->header_timeout_ms;
}

bool
request_read_head(struct exchange *x, struct flow_input *in)
{
	struct conn *c = x->from.conn;

	for (;;) {
		enum h1_result result = H1_MORE;

		if (c->in != NULL && buf_raw_len(c->in) > x->head.pos)
			result = h1_head_parse(
			    &x->head, buf_raw(c->in), buf_raw_len(c->in));
		if (x->head_deadline_ms == 0 && exchange_begun(x))
			x->head_deadline_ms = loop_now_ms(x->from.w->loop) +
			    x->listener->cfg->header_timeout_ms;
		if (result == H1_DONE) {
			*in = head_complete(x);
			return true;
		}
		if (result == H1_BAD) {
			x->head_off = c->in->raw;
			*in = exchange_refused(x, (enum h1_error)x->head.error);
			return true;
		}
		if (c->in != NULL && buf_room(c->in) == 0 && !make_room(c)) {
			*in = exchange_event(FLOW_EV_NO_MEMORY);
			return true;
		}
		switch (conn_fill(c)) {
		case CONN_OK:
			break;
		case CONN_AGAIN:
			if (conn_is_secure(c))
				time_record(x);
			return false;
		case CONN_EOF:
		case CONN_ERROR:
			return head_cut(x, in);
		}
	}
}

_Static_assert((int)CFG_FORWARDED_X == (int)FORWARDED_X &&
	(int)CFG_FORWARDED_RFC7239 == (int)FORWARDED_RFC7239 &&
	(int)CFG_FORWARDED_BOTH == (int)FORWARDED_BOTH,
    "the words of `forwarded` are its bits");

void
request_put_proxy(const struct exchange *x, struct textbuf *out)
{
	struct proxyproto p = {.family = PROXYPROTO_UNKNOWN};
	struct address local;

	p.source.ip = x->from.peer->ip;
	p.source.port = x->from.peer->port;
	if (address_of_socket(&local, x->from.conn->fd)) {
		p.destination.ip = address_ip(&local.u.any);
		p.destination.port = address_port(&local);
	}
	/* Both of one kind, or nothing is said. */
	if (p.source.ip.family == p.destination.ip.family &&
	    p.source.ip.family != IP_NONE)
		p.family = p.source.ip.family == IP_V4 ? PROXYPROTO_INET4
						       : PROXYPROTO_INET6;
	if (x->pool->cfg->proxy_protocol == CFG_PROXY_PROTOCOL_V1)
		proxyproto_put_v1(out, &p);
	else
		proxyproto_put_v2(out, &p);
}

static void
put_request_head(struct exchange *x, struct textbuf *out)
{
	const struct exchange_peer *peer = x->from.peer;
	const struct cfg_listener *cfg = x->listener->cfg;
	const struct h1_forward_request how = {
	    .forwarded = {.mode = (enum forwarded_mode)cfg->forwarded,
		.trusted = peer->trusted,
		.https = peer->https,
		.subject =
		    peer->subject == NULL ? SPAN_NONE : span_of(peer->subject),
		.client_ip = span_make(peer->text, peer->text_len)},
	    .request_id = cfg->request_id == CFG_REQUEST_ID_OFF
		? SPAN_NONE
		: exchange_id(x),
	    .expect_continue = x->framing.expect_continue,
	    .upgrade = x->attempt.upgrade,
	    .host = x->pool->host_of_backend ? x->picked->host : x->pool->host,
	    .default_host = x->picked->host,
	};

	h1_forward_request(out, &x->head, request_base(x), &x->framing, &how);
	CHECK(!out->full);
}

/* Bytes from a backend that was asked nothing yet are nobody's. */
static bool
spoke_first(struct exchange *x, struct flow_input *in)
{
	struct attempt *a = &x->attempt;

	if (a->reused || !a->back->conn.readable)
		return false;
	switch (conn_fill(&a->back->conn)) {
	case CONN_AGAIN:
		return false;
	case CONN_OK:
		a->outcome = ACCESS_BAD_RESPONSE;
		a->why = "backend spoke before it was asked";
		break;
	default:
		attempt_send_failed(a);
		break;
	}
	*in = exchange_failed(x);
	return true;
}

static void
upload_ends(struct exchange *x, bool failed_to_send)
{
	x->upload_over = true;
	x->upload_failed = failed_to_send;
	x->attempt.sent_us = loop_now_us(x->from.w->loop);
	deadline_upload_ends(x);
}

bool
request_awaits_continue(const struct exchange *x)
{
	return x->framing.expect_continue && !x->continued &&
	    x->from.conn->in != NULL && x->upload.bytes == 0;
}

void
request_discard(struct exchange *x)
{
	struct textbuf none = worker_scratch(x->from.w);

	if (x->upload.discard && !x->upload.ended &&
	    pump_run(&x->upload, x->from.conn, &x->attempt.back->conn, &none) ==
		PUMP_YIELD)
		conn_again(x->from.conn);
}

/* True: `in` has an event. */
static bool
upload_stopped(struct exchange *x, struct flow_input *in)
{
	switch (x->upload_state) {
	case PUMP_MALFORMED:
		*in = exchange_refused(x, (enum h1_error)x->upload.body.error);
		return true;
	case PUMP_TOO_LARGE:
		x->why = "request body is larger than max_body_size";
		*in = (struct flow_input){
		    .event = FLOW_EV_CLIENT_BAD, .status = 413};
		return true;
	case PUMP_TRUNCATED:
		x->why = "client ended inside the request body";
		*in = exchange_event(FLOW_EV_CLIENT_GONE);
		return true;
	case PUMP_SOURCE_ERROR:
		*in = exchange_event(FLOW_EV_CLIENT_GONE);
		return true;
	case PUMP_NO_MEMORY:
		*in = exchange_event(FLOW_EV_NO_MEMORY);
		return true;
	default:
		return false;
	}
}

bool
request_pump(struct exchange *x, struct textbuf *head, struct flow_input *in)
{
	struct attempt *a = &x->attempt;

	x->upload_state =
	    pump_run(&x->upload, x->from.conn, &a->back->conn, head);
	switch (x->upload_state) {
	case PUMP_DONE:
		upload_ends(x, false);
		return false;
	case PUMP_SINK_ERROR:
		/* The backend may have answered before it closed: look for
		 * that first, unless it never got a byte. */
		upload_ends(x, true);
		/* Its end may be in the socket and not reported yet. */
		a->back->conn.readable = true;
		/* The rest of the body is read and forgotten, so that a client
		 * that reads only when it has sent all gets the answer. */
		x->upload.discard = true;
		if (attempt_sent_any(a) || x->flow.state != FLOW_AWAITING) {
			/* Want of memory is no event of the connection. */
			conn_again(x->from.conn);
			return false;
		}
		attempt_send_failed(a);
		*in = exchange_failed(x);
		return true;
	case PUMP_YIELD:
		conn_again(x->from.conn);
		return false;
	default:
		if (x->upload.ended)
			deadline_upload_ends(x);
		else if (!request_awaits_continue(x))
			deadline_upload_begins(x);
		return upload_stopped(x, in);
	}
}

bool
request_send(struct exchange *x, struct flow_input *in)
{
	struct textbuf head = worker_scratch(x->from.w);

	if (spoke_first(x, in))
		return true;
	x->progress_ms = loop_now_ms(x->from.w->loop);
	/* With a body it would not be clear where the tunnel begins. */
	x->attempt.upgrade =
	    x->framing.upgrade && x->framing.body == H1_BODY_NONE;
	if (x->pool->cfg->proxy_protocol != CFG_PROXY_PROTOCOL_OFF &&
	    !x->attempt.reused && !conn_is_secure(&x->attempt.back->conn))
		request_put_proxy(x, &head);
	put_request_head(x, &head);
	return request_pump(x, &head, in);
}
