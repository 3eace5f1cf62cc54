#include "evenkeel/config/address.h"

#include <arpa/inet.h>

#include "evenkeel/base/num.h"
#include "evenkeel/config/build.h"

/* RFC 1035 2.3.4 */
#define HOST_NAME_MAX_BYTES 253
#define HOST_LABEL_MAX      63
/* Room for any address with its port: a name, ':', five digits. */
#define ADDRESS_TEXT_MAX 320

#define HTTPS SPAN("https://")

static enum value_outcome
bad(struct textbuf *why, const char *reason)
{
	textbuf_str(why, reason);
	return VALUE_BAD;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Labels of letters, digits, '-' and '_' (which RFC 1123 has not, but the
 * names of many container networks have). */
static bool
is_host_name(struct span s)
{
	size_t label = 0;

	if (s.len == 0 || s.len > HOST_NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = span_lower_byte(s.ptr[i]);

		if (c == '.') {
			if (label == 0)
				return false;
			label = 0;
		} else if ((c >= 'a' && c <= 'z') || is_digit(c) || c == '_' ||
		    (c == '-' && label > 0)) {
			if (++label > HOST_LABEL_MAX)
				return false;
		} else {
			return false;
		}
	}
	return true;
}

/* A name whose last label begins with a digit is meant as an IPv4 address. */
static bool
looks_inet4(struct span s)
{
	size_t dot;

	if (s.len > 0 && s.ptr[s.len - 1] == '.')
		s.len--;
	dot = span_find_last(s, '.');
	if (dot < s.len)
		s = span_make(s.ptr + dot + 1, s.len - dot - 1);
	for (size_t i = 0; i < s.len; i++)
		if (!is_digit(s.ptr[i]))
			return false;
	return true;
}

/* inet_pton wants a terminated string; `canonical` has INET6_ADDRSTRLEN. */
static bool
parse_inet(int family, struct span s, char *canonical)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr bytes;

	if (s.len == 0 || s.len >= sizeof(text))
		return false;
	memcpy(text, s.ptr, s.len);
	text[s.len] = '\0';
	if (inet_pton(family, text, &bytes) != 1)
		return false;
	if (family == AF_INET) {
		/* Of IPv4 it takes one spelling only. */
		memcpy(canonical, text, s.len + 1);
		return true;
	}
	return inet_ntop(family, &bytes, canonical, INET6_ADDRSTRLEN) != NULL;
}

static char *
lower_copy(struct arena *a, struct span s)
{
	char *copy = arena_text(a, s);

	for (size_t i = 0; copy != NULL && i < s.len; i++)
		copy[i] = span_lower_byte(copy[i]);
	return copy;
}

/* With addr->kind and addr->host set: the text. */
static enum value_outcome
finish(struct arena *a, struct cfg_addr *addr, uint16_t port)
{
	char room[ADDRESS_TEXT_MAX];
	struct textbuf t = textbuf_make(room, sizeof(room));
	bool brackets = addr->kind == CFG_ADDR_INET6;

	if (addr->host == NULL)
		return VALUE_NO_MEMORY;
	textbuf_str(&t, addr->kind == CFG_ADDR_UNIX ? "unix:" : "");
	textbuf_str(&t, addr->kind == CFG_ADDR_SRV ? "srv:" : "");
	textbuf_str(&t, brackets ? "[" : "");
	textbuf_str(&t, addr->host);
	textbuf_str(&t, brackets ? "]" : "");
	if (addr->kind != CFG_ADDR_UNIX && addr->kind != CFG_ADDR_SRV) {
		textbuf_byte(&t, ':');
		textbuf_u64(&t, port);
	}
	CHECK(!t.full);
	addr->port = port;
	addr->text = arena_text(a, textbuf_span(&t));
	return addr->text != NULL ? VALUE_OK : VALUE_NO_MEMORY;
}

static enum value_outcome
parse_unix(struct arena *a, struct span path, struct cfg_addr *addr,
    struct textbuf *why)
{
	if (path.len == 0 || path.ptr[0] != '/')
		return bad(why, "the path of a unix socket begins with /");
	if (path.len > ADDRESS_UNIX_MAX)
		return bad(why,
		    "the path of a unix socket has at most 107 "
		    "bytes");
	for (size_t i = 0; i < path.len; i++)
		if (path.ptr[i] == ' ' || path.ptr[i] == '\t')
			return bad(why, "white space in a path");
	addr->kind = CFG_ADDR_UNIX;
	addr->host = arena_text(a, path);
	return finish(a, addr, 0);
}

/* Cuts "host:port" or "[v6]:port"; brackets stay with the host. */
static enum value_outcome
split_port(
    struct span text, struct span *host, uint16_t *port, struct textbuf *why)
{
	size_t colon = span_find_last(text, ':');
	size_t bracket = span_find_last(text, ']');
	uint64_t number;

	if (colon == text.len || (bracket < text.len && colon < bracket))
		return bad(why, "the port is missing");
	*host = span_make(text.ptr, colon);
	if (span_find(*host, ':') < host->len && host->ptr[0] != '[')
		return bad(why,
		    "an IPv6 address stands in brackets, as in "
		    "[::1]:8080");
	text = span_make(text.ptr + colon + 1, text.len - colon - 1);
	if (!num_parse_u64(text, UINT16_MAX, &number))
		return bad(why, "the port is not a number up to 65535");
	*port = (uint16_t)number;
	return VALUE_OK;
}

static bool
starts_nocase(struct span text, struct span prefix)
{
	return text.len >= prefix.len &&
	    span_equal_nocase(span_make(text.ptr, prefix.len), prefix);
}

static bool
has_slash(struct span text)
{
	return span_find(text, '/') < text.len;
}

/* IPv4, or IPv6 in brackets; OK with addr->host NULL: it is neither. */
static enum value_outcome
parse_numeric(struct arena *a, struct span host, struct cfg_addr *addr,
    struct textbuf *why)
{
	char canonical[INET6_ADDRSTRLEN];

	addr->host = NULL;
	if (host.len > 0 && host.ptr[0] == '[') {
		struct span inner = span_make(host.ptr + 1, host.len - 1);

		if (inner.len == 0 || inner.ptr[inner.len - 1] != ']')
			return bad(why, "the closing ] is missing");
		inner.len--;
		if (!parse_inet(AF_INET6, inner, canonical))
			return bad(why, "not an IPv6 address");
		addr->kind = CFG_ADDR_INET6;
	} else if (parse_inet(AF_INET, host, canonical)) {
		addr->kind = CFG_ADDR_INET4;
	} else if (host.len > 0 && looks_inet4(host)) {
		return bad(why, "not an IPv4 address");
	} else {
		return VALUE_OK;
	}
	addr->host = arena_text(a, span_of(canonical));
	return addr->host != NULL ? VALUE_OK : VALUE_NO_MEMORY;
}

/* Takes the scheme off `text`. */
static bool
has_scheme(struct span text, struct span scheme, struct span *rest)
{
	if (!span_starts_with(text, scheme))
		return false;
	*rest = span_make(text.ptr + scheme.len, text.len - scheme.len);
	return true;
}

/* Takes the first label and its dot off `*name`. */
static struct span
take_label(struct span *name)
{
	size_t dot = span_find(*name, '.');
	struct span label = span_make(name->ptr, dot);

	*name = dot == name->len
	    ? SPAN_NONE
	    : span_make(name->ptr + dot + 1, name->len - dot - 1);
	return label;
}

/* RFC 2782: _Service._Proto.Name */
static enum value_outcome
parse_srv(struct arena *a, struct span whole, struct cfg_addr *addr,
    struct textbuf *why)
{
	struct span name = whole, service, protocol;

	if (span_find(whole, ':') < whole.len)
		return bad(why, "the port comes from the SRV record");
	service = take_label(&name);
	protocol = take_label(&name);
	if (service.len < 2 || service.ptr[0] != '_' || protocol.len < 2 ||
	    protocol.ptr[0] != '_')
		return bad(why,
		    "the name of an SRV record begins with _SERVICE._tcp, as "
		    "in srv:_http._tcp.example.com");
	if (!span_equal_nocase(protocol, SPAN("_tcp")))
		return bad(why, "HTTP needs an SRV record of _tcp");
	if (name.len == 0 || span_equal(name, SPAN(".")))
		return bad(why, "the name behind _tcp is missing");
	if (!is_host_name(whole))
		return bad(why, "not a host name");
	addr->kind = CFG_ADDR_SRV;
	addr->host = lower_copy(a, whole);
	return finish(a, addr, 0);
}

enum value_outcome
address_parse_bind(struct arena *a, struct span text, struct cfg_addr *addr,
    struct textbuf *why)
{
	enum value_outcome outcome;
	struct span host;
	uint16_t port;

	if (has_scheme(text, SPAN("unix:"), &host))
		return parse_unix(a, host, addr, why);
	if (starts_nocase(text, HTTPS))
		return bad(why, "a listener speaks TLS by its tls_certificate");
	if (has_slash(text))
		return bad(why,
		    "not an address (of the schemes only unix:/path "
		    "is known)");
	if (span_starts_with(text, SPAN("srv:")))
		return bad(why, "SRV records are for backends alone");
	outcome = split_port(text, &host, &port, why);
	if (outcome != VALUE_OK)
		return outcome;
	if (span_equal(host, SPAN("*")))
		host = SPAN("0.0.0.0");
	else if (span_equal_nocase(host, SPAN("localhost")))
		host = SPAN("127.0.0.1");
	else if (host.len == 0)
		return bad(why, "the host is missing (* is all of IPv4)");
	outcome = parse_numeric(a, host, addr, why);
	if (outcome != VALUE_OK)
		return outcome;
	if (addr->host == NULL)
		return bad(why,
		    "names are not looked up here, except "
		    "localhost");
	return finish(a, addr, port);
}

/* Of a backend: host:port or [v6]:port. */
static enum value_outcome
parse_host_port(struct arena *a, struct span text, struct cfg_addr *addr,
    struct textbuf *why)
{
	enum value_outcome outcome;
	struct span host;
	uint16_t port;

	outcome = split_port(text, &host, &port, why);
	if (outcome != VALUE_OK)
		return outcome;
	if (host.len == 0)
		return bad(why, "the host is missing");
	if (port == 0)
		return bad(why, "no backend listens on port 0");
	outcome = parse_numeric(a, host, addr, why);
	if (outcome != VALUE_OK)
		return outcome;
	if (addr->host == NULL) {
		if (!is_host_name(host))
			return bad(why, "not a host name");
		addr->kind = CFG_ADDR_NAME;
		addr->host = lower_copy(a, host);
	}
	return finish(a, addr, port);
}

/* What stands behind https://. */
static enum value_outcome
parse_https(struct arena *a, struct span text, struct cfg_addr *addr,
    struct textbuf *why)
{
	if (span_starts_with(text, SPAN("srv:")))
		return bad(why,
		    "TLS to the servers of an SRV record is not offered; a "
		    "backend each, as https://host:port, is");
	if (span_starts_with(text, SPAN("unix:")))
		return bad(why, "there is no TLS over a unix socket");
	if (has_slash(text))
		return bad(why,
		    "a backend is an address, and nothing may stand behind "
		    "its port");
	return parse_host_port(a, text, addr, why);
}

enum value_outcome
address_parse_backend(struct arena *a, struct span text, struct cfg_addr *addr,
    bool *https, struct textbuf *why)
{
	struct span rest;

	*https = starts_nocase(text, HTTPS);
	if (*https)
		return parse_https(a,
		    span_make(text.ptr + HTTPS.len, text.len - HTTPS.len), addr,
		    why);
	if (has_scheme(text, SPAN("unix:"), &rest))
		return parse_unix(a, rest, addr, why);
	if (has_scheme(text, SPAN("srv:"), &rest))
		return parse_srv(a, rest, addr, why);
	if (starts_nocase(text, SPAN("http://")))
		return bad(why, "plain HTTP is written without http://");
	if (has_slash(text))
		return bad(why,
		    "not an address (of the schemes only https://, unix:/path "
		    "and srv: are known)");
	return parse_host_port(a, text, addr, why);
}

void
address_put_backend(struct textbuf *out, const struct cfg_backend *b)
{
	textbuf_put(out, b->https ? HTTPS : SPAN_NONE);
	textbuf_str(out, b->addr.text);
}

bool
address_is_server_name(struct span text)
{
	char canonical[INET6_ADDRSTRLEN];

	if (parse_inet(AF_INET, text, canonical) ||
	    parse_inet(AF_INET6, text, canonical))
		return true;
	return is_host_name(text) && !looks_inet4(text) &&
	    text.ptr[text.len - 1] != '.';
}

bool
address_is_name(const struct cfg_addr *addr)
{
	return addr->kind == CFG_ADDR_NAME || addr->kind == CFG_ADDR_SRV;
}

enum value_outcome
address_parse_host(
    struct arena *a, struct span text, const char **host, struct textbuf *why)
{
	struct cfg_addr addr = {.host = NULL};
	struct span name = text;
	enum value_outcome outcome;

	if (span_starts_with(text, SPAN("*.")))
		name = span_make(text.ptr + 2, text.len - 2);
	else if (text.len > 0 && text.ptr[0] != '[' &&
	    span_find(text, ':') < text.len)
		return bad(why, "a host of a route has no port");
	outcome = parse_numeric(a, name, &addr, why);
	if (outcome != VALUE_OK)
		return outcome;
	if (addr.host == NULL || name.len < text.len) {
		if (addr.host != NULL || !is_host_name(name) ||
		    name.ptr[name.len - 1] == '.')
			return bad(why, "not a host name");
	}
	*host = lower_copy(a, text);
	return *host != NULL ? VALUE_OK : VALUE_NO_MEMORY;
}
