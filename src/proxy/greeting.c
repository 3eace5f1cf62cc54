#include "evenkeel/proxy/greeting.h"

#include <errno.h>
#include <string.h>

#include "evenkeel/http/proxyproto.h"
#include "evenkeel/net/clock.h"
#include "evenkeel/net/conn_tls.h"
#include "evenkeel/proxy/worker.h"

void
greeting_note_peer(struct exchange_peer *p, struct ip ip, uint16_t port)
{
	struct textbuf text = textbuf_make(p->text, sizeof(p->text));

	p->ip = ip;
	p->port = port;
	ip_put(&text, &ip);
	p->text_len = (uint8_t)text.len;
}

bool
greeting_wanted(const struct snapshot_listener *l)
{
	return l->tls != NULL || l->cfg->proxy_protocol != CFG_OFF;
}

/* ---- TLS ---- */

static void
count(const struct greeting *g, enum stats_handshake how)
{
	counter_add(&g->w->stats.tls_handshakes[STATS_CLIENT][how], 1);
}

void
greeting_timed_out(struct worker *w, const struct conn *c)
{
	if (conn_wire_in(c) > 0)
		counter_add(
		    &w->stats.tls_handshakes[STATS_CLIENT][STATS_FAILED], 1);
}

/* The subject of its certificate, for its requests.  False: no memory. */
static bool
take_subject(struct greeting *g)
{
	char text[GREETING_SUBJECT_BYTES];
	struct textbuf out = textbuf_make(text, sizeof(text));

	if (!conn_put_subject(g->conn, &out))
		return true;
	g->peer->subject = strndup(text, out.len);
	return g->peer->subject != NULL;
}

static enum greeting_result
shaken(struct greeting *g)
{
	g->step = GREETING_NONE;
	g->peer->https = true;
	count(g, conn_resumed(g->conn) ? STATS_RESUMED : STATS_FULL);
	return take_subject(g) ? GREETING_DONE : GREETING_GONE;
}

static enum greeting_result
shake_failed(struct greeting *g)
{
	g->step = GREETING_NONE;
	count(g, STATS_FAILED);
	/* HTTP where TLS belongs: whoever it is can read, so it is told. */
	if (!conn_is_secure(g->conn)) {
		g->peer->misplaced = true;
		return GREETING_MISPLACED;
	}
	if (g->conn->error != EPROTO)
		return GREETING_GONE;
	log_message(g->w->log, LOG_LEVEL_DEBUG,
	    "%s: %.*s: TLS handshake failed: %s", g->front->name,
	    g->peer->text_len, g->peer->text, conn_why(g->conn));
	/* The alert must not be lost in a reset. */
	conn_unsecure(g->conn);
	return GREETING_REFUSED;
}

static enum greeting_result
shake(struct greeting *g)
{
	struct worker *w = g->w;
	uint64_t start_us;
	enum conn_io io;

	/* Handshakes are long work: the requests of others come between. */
	if (!worker_may_shake(w)) {
		conn_again(g->conn);
		return GREETING_MORE;
	}
	start_us = clock_monotonic_us();
	io = conn_handshake(g->conn);
	w->shake_us += clock_monotonic_us() - start_us;
	switch (io) {
	case CONN_OK:
		return shaken(g);
	case CONN_AGAIN:
		return GREETING_MORE;
	case CONN_EOF:
		if (conn_wire_in(g->conn) > 0)
			count(g, STATS_FAILED);
		return GREETING_GONE;
	case CONN_ERROR:
		break;
	}
	return shake_failed(g);
}

static enum greeting_result
begin_tls(struct greeting *g)
{
	const struct snapshot_listener *l =
	    snapshot_listener_of(g->w->snapshot, g->front);

	g->step = GREETING_NONE;
	if (l->tls == NULL)
		return GREETING_DONE;
	g->step = GREETING_SHAKE;
	if (!conn_secure_server(g->conn, l->tls[g->w->index]))
		return GREETING_GONE;
	return GREETING_MORE;
}

/* ---- PROXY ---- */

static enum greeting_result
introduced(struct greeting *g, const struct proxyproto_parsed *p)
{
	struct buf *in = g->conn->in;
	enum greeting_result result;

	in->raw += (uint32_t)p->len;
	in->start = in->mid = in->raw;
	if (p->header.family == PROXYPROTO_INET4 ||
	    p->header.family == PROXYPROTO_INET6)
		greeting_note_peer(g->peer, ip_unmap(p->header.source.ip),
		    p->header.source.port);
	result = begin_tls(g);
	/* The handshake may have come with the header. */
	return result == GREETING_MORE ? shake(g) : result;
}

/* Reads the PROXY header, which comes before everything else. */
static enum greeting_result
read_header(struct greeting *g)
{
	struct proxyproto_parsed p;
	enum conn_io io;

	/* Bounded: a header has an end, and the buffer, too. */
	for (;;) {
		const struct buf *in = g->conn->in;

		if (in != NULL && buf_raw_len(in) > 0)
			switch (proxyproto_parse(
			    span_make(in->data + in->raw, buf_raw_len(in)),
			    &p)) {
			case PROXYPROTO_DONE:
				return introduced(g, &p);
			case PROXYPROTO_BAD:
				log_message(g->w->log, LOG_LEVEL_WARN,
				    "%s: %.*s: no PROXY header: %s",
				    g->front->name, g->peer->text_len,
				    g->peer->text,
				    proxyproto_error_text(p.error));
				return GREETING_GONE;
			case PROXYPROTO_MORE:
				break;
			}
		io = conn_fill(g->conn);
		if (io != CONN_OK)
			return io == CONN_AGAIN ? GREETING_MORE : GREETING_GONE;
	}
}

enum greeting_result
greeting_run(struct greeting *g)
{
	const struct snapshot_listener *l;

	switch (g->step) {
	case GREETING_PROXY:
		return read_header(g);
	case GREETING_SHAKE:
		return shake(g);
	case GREETING_NONE:
		break;
	}
	l = snapshot_listener_of(g->w->snapshot, g->front);
	if (l->cfg->proxy_protocol == CFG_OFF)
		return begin_tls(g);
	g->step = GREETING_PROXY;
	return GREETING_MORE;
}
