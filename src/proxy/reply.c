#include "evenkeel/proxy/reply.h"

#include "evenkeel/base/num.h"

const char *
reply_reason(unsigned status)
{
	static const struct {
		unsigned status;
		const char *reason;
	} reasons[] = {
	    {301, "Moved Permanently"},
	    {308, "Permanent Redirect"},
	    {400, "Bad Request"},
	    {404, "Not Found"},
	    {405, "Method Not Allowed"},
	    {408, "Request Timeout"},
	    {413, "Content Too Large"},
	    {414, "URI Too Long"},
	    {417, "Expectation Failed"},
	    {431, "Request Header Fields Too Large"},
	    {500, "Internal Server Error"},
	    {501, "Not Implemented"},
	    {502, "Bad Gateway"},
	    {503, "Service Unavailable"},
	    {504, "Gateway Timeout"},
	    {505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

/* The backend failed or was too slow: how, says the attempt. */
static const char *
attempt_error(enum access_outcome outcome)
{
	static const char *const errors[ACCESS_OUTCOMES] = {
	    [ACCESS_CONNECT_REFUSED] = "connection_refused",
	    [ACCESS_CONNECT_TIMEOUT] = "connection_timeout",
	    [ACCESS_CONNECT_FAILED] = "destination_unavailable",
	    [ACCESS_TLS_FAILED] = "tls_protocol_error",
	    [ACCESS_STALE] = "connection_terminated",
	    [ACCESS_RESET] = "connection_terminated",
	    [ACCESS_BAD_RESPONSE] = "http_protocol_error",
	    [ACCESS_TIMEOUT] = "http_response_timeout",
	};

	return errors[outcome] != NULL ? errors[outcome]
				       : "http_response_timeout";
}

const char *
reply_error(enum access_end end, enum access_outcome last)
{
	switch (end) {
	case ACCESS_END_CLIENT_BAD:
	case ACCESS_END_CLIENT_SLOW:
		return "http_request_error";
	case ACCESS_END_NO_ROUTE:
		return "destination_not_found";
	case ACCESS_END_NO_BACKEND:
		return "destination_unavailable";
	case ACCESS_END_BACKEND_FAILED:
	case ACCESS_END_BACKEND_SLOW:
		return attempt_error(last);
	default:
		return "proxy_internal_error";
	}
}

static void
put_https_only(struct textbuf *out, struct span host)
{
	textbuf_lit(out, "\nThis port speaks HTTPS: ask for ");
	if (host.len == 0)
		textbuf_lit(out, "an address that begins with https://");
	else
		textbuf_lit(out, "https://");
	textbuf_put(out, host);
	if (host.len > 0)
		textbuf_byte(out, '/');
}

static void
put_text(struct textbuf *out, const struct reply *r)
{
	textbuf_u64(out, r->status);
	textbuf_byte(out, ' ');
	textbuf_str(out, reply_reason(r->status));
	if (r->why.len > 0) {
		textbuf_lit(out, ": ");
		textbuf_put(out, r->why);
	}
	if (r->https_only)
		put_https_only(out, r->host);
	textbuf_lit(out, "\nrequest id: ");
	textbuf_put(out, r->id);
	textbuf_byte(out, '\n');
}

static void
put_head(struct textbuf *out, const struct reply *r, size_t length)
{
	textbuf_lit(out, "HTTP/1.1 ");
	textbuf_u64(out, r->status);
	textbuf_byte(out, ' ');
	textbuf_str(out, reply_reason(r->status));
	textbuf_lit(out,
	    "\r\nContent-Type: text/plain; charset=utf-8\r\n"
	    "Content-Length: ");
	textbuf_u64(out, length);
	textbuf_lit(out, "\r\nX-Request-Id: ");
	textbuf_put(out, r->id);
	if (r->error != NULL) {
		textbuf_lit(out, "\r\nProxy-Status: evenkeel; error=");
		textbuf_str(out, r->error);
	}
	if (r->location != NULL) {
		textbuf_lit(out, "\r\nLocation: ");
		redirect_put(out, r->location);
	}
	if (r->status == 503) {
		textbuf_lit(out, "\r\nRetry-After: ");
		textbuf_u64(out, REPLY_RETRY_AFTER_S);
	}
	if (r->status == 405)
		textbuf_lit(out,
		    "\r\nAllow: GET, HEAD, POST, PUT, DELETE, "
		    "OPTIONS, PATCH");
	if (r->connection == H1_CONNECTION_CLOSE)
		textbuf_lit(out, "\r\nConnection: close");
	if (r->connection == H1_CONNECTION_KEEPALIVE)
		textbuf_lit(out, "\r\nConnection: keep-alive");
	textbuf_lit(out, "\r\n\r\n");
}

size_t
reply_put(struct textbuf *out, const struct reply *r)
{
	char body[REPLY_BYTES / 2];
	struct textbuf text = textbuf_make(body, sizeof(body));

	put_text(&text, r);
	put_head(out, r, text.len);
	if (r->head_only)
		return 0;
	textbuf_put(out, textbuf_span(&text));
	return text.len;
}
