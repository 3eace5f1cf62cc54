#include "evenkeel/http/proxyproto.h"

#include "evenkeel/base/num.h"

#define SIGNATURE_BYTES 12
/* 2.2: version 2 in the upper half. */
#define COMMAND_LOCAL 0x20U
#define COMMAND_PROXY 0x21U
/* 2.2: type and length of a TLV. */
#define TLV_HEAD_BYTES 3U

static const char v1_signature[] = "PROXY ";
static const char v2_signature[SIGNATURE_BYTES + 1] = "\r\n\r\n\0\r\nQUIT\n";

/* What family and transport say, and how long an address is. */
struct kind {
	uint8_t code;
	enum proxyproto_family family;
	uint8_t address_bytes;
};

/* 2.2: the valid pairs.  Datagrams are accepted as unknown: "falls back to
 * the UNSPEC mode for the valid combinations that it does not support". */
static const struct kind kinds[] = {
    {0x00, PROXYPROTO_UNKNOWN, 0},
    {0x11, PROXYPROTO_INET4, 4},
    {0x12, PROXYPROTO_UNKNOWN, 0},
    {0x21, PROXYPROTO_INET6, 16},
    {0x22, PROXYPROTO_UNKNOWN, 0},
    {0x31, PROXYPROTO_UNIX, PROXYPROTO_PATH_BYTES},
    {0x32, PROXYPROTO_UNKNOWN, 0},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static enum proxyproto_result
bad(struct proxyproto_parsed *out, enum proxyproto_error e)
{
	*out = (struct proxyproto_parsed){.error = e};
	return PROXYPROTO_BAD;
}

static unsigned
byte_at(const char *p)
{
	return (unsigned char)*p;
}

static unsigned
u16_at(const char *p)
{
	return byte_at(p) << 8 | byte_at(p + 1);
}

static struct span
skip(struct span s, size_t n)
{
	return span_make(s.ptr + n, s.len - n);
}

/* ---- version 1 ---- */

/* Takes the next word off, and the one space behind it.  A second space makes
 * an empty word, which is nothing that anybody asks for. */
static struct span
take_word(struct span *line)
{
	size_t n = span_find(*line, ' ');
	struct span word = span_make(line->ptr, n);

	*line = skip(*line, n < line->len ? n + 1 : n);
	return word;
}

/* 2.1: 0..65535, without leading zeros. */
static bool
parse_port(struct span text, uint16_t *port)
{
	uint64_t number;

	if ((text.len > 1 && text.ptr[0] == '0') ||
	    !num_parse_u64(text, UINT16_MAX, &number))
		return false;
	*port = (uint16_t)number;
	return true;
}

static bool
parse_ip(struct span text, enum ip_family family, struct ip *ip)
{
	return ip_parse(text, ip) && ip->family == family;
}

/* The words behind TCP4 or TCP6. */
static enum proxyproto_error
v1_addresses(struct span line, enum ip_family family, struct proxyproto *p)
{
	bool ended = line.len > 0 && line.ptr[line.len - 1] == ' ';
	struct span source = take_word(&line), destination = take_word(&line);
	struct span from = take_word(&line), to = take_word(&line);

	if (ended || to.len == 0 || line.len > 0)
		return PROXYPROTO_E_WORDS;
	if (!parse_ip(source, family, &p->source.ip) ||
	    !parse_ip(destination, family, &p->destination.ip) ||
	    !parse_port(from, &p->source.port) ||
	    !parse_port(to, &p->destination.port))
		return PROXYPROTO_E_ADDRESS;
	p->family = family == IP_V4 ? PROXYPROTO_INET4 : PROXYPROTO_INET6;
	return PROXYPROTO_OK;
}

/* `line` is without signature and CRLF. */
static enum proxyproto_error
v1_line(struct span line, struct proxyproto *p)
{
	struct span protocol;

	if (span_find(line, '\r') < line.len)
		return PROXYPROTO_E_LINE;
	protocol = take_word(&line);
	if (span_equal(protocol, SPAN("TCP4")))
		return v1_addresses(line, IP_V4, p);
	if (span_equal(protocol, SPAN("TCP6")))
		return v1_addresses(line, IP_V6, p);
	/* 2.1: what stands behind UNKNOWN is to be ignored. */
	return span_equal(protocol, SPAN("UNKNOWN")) ? PROXYPROTO_OK
						     : PROXYPROTO_E_WORDS;
}

static enum proxyproto_result
v1_parse(struct span bytes, struct proxyproto_parsed *out)
{
	const size_t first = sizeof(v1_signature) - 1;
	struct span seen =
	    span_make(bytes.ptr, num_min_size(bytes.len, PROXYPROTO_V1_BYTES));
	size_t end = span_find(seen, '\n');
	enum proxyproto_error e;

	if (end == seen.len)
		return seen.len < PROXYPROTO_V1_BYTES
		    ? PROXYPROTO_MORE
		    : bad(out, PROXYPROTO_E_LINE);
	/* Not before the signature's end: that is a space. */
	if (seen.ptr[end - 1] != '\r')
		return bad(out, PROXYPROTO_E_LINE);
	e = v1_line(span_make(seen.ptr + first, end - 1 - first), &out->header);
	if (e != PROXYPROTO_OK)
		return bad(out, e);
	out->len = end + 1;
	return PROXYPROTO_DONE;
}

/* ---- version 2 ---- */

static const struct kind *
find_kind(unsigned code)
{
	for (size_t i = 0; i < KINDS; i++)
		if (kinds[i].code == code)
			return &kinds[i];
	return NULL;
}

/* Each round takes at least TLV_HEAD_BYTES. */
static bool
tlvs_fit(struct span s)
{
	while (s.len >= TLV_HEAD_BYTES) {
		size_t n = TLV_HEAD_BYTES + u16_at(s.ptr + 1);

		if (n > s.len)
			return false;
		s = skip(s, n);
	}
	return s.len == 0;
}

/* How many bytes the two addresses (and ports) have. */
static size_t
addresses_len(const struct kind *k)
{
	size_t ports = k->address_bytes == 4 || k->address_bytes == 16 ? 4 : 0;

	return 2 * (size_t)k->address_bytes + ports;
}

static struct span
path_at(const char *bytes)
{
	struct span path = span_make(bytes, PROXYPROTO_PATH_BYTES);

	while (path.len > 0 && path.ptr[path.len - 1] == '\0')
		path.len--;
	return path;
}

static void
v2_addresses(const char *at, const struct kind *k, struct proxyproto *p)
{
	enum ip_family f = k->family == PROXYPROTO_INET4 ? IP_V4 : IP_V6;
	size_t n = k->address_bytes;

	p->family = k->family;
	if (k->family == PROXYPROTO_UNIX) {
		p->source.path = path_at(at);
		p->destination.path = path_at(at + n);
	} else if (k->family != PROXYPROTO_UNKNOWN) {
		p->source.ip = ip_make(f, at);
		p->destination.ip = ip_make(f, at + n);
		p->source.port = (uint16_t)u16_at(at + 2 * n);
		p->destination.port = (uint16_t)u16_at(at + 2 * n + 2);
	}
}

/* The bytes behind the signature, each judged as soon as it is there, so that
 * the first fault is the same however they are cut.  *kind NULL: incomplete. */
static enum proxyproto_error
v2_head(struct span bytes, const struct kind **kind)
{
	const char *p = bytes.ptr + SIGNATURE_BYTES;
	size_t n = bytes.len - SIGNATURE_BYTES, rest;
	const struct kind *k;

	*kind = NULL;
	if (n < 1)
		return PROXYPROTO_OK;
	if (byte_at(p) != COMMAND_LOCAL && byte_at(p) != COMMAND_PROXY)
		return PROXYPROTO_E_VERSION;
	if (n < 2)
		return PROXYPROTO_OK;
	/* 2.2: with LOCAL the family is ignored. */
	k = byte_at(p) == COMMAND_LOCAL ? &kinds[0] : find_kind(byte_at(p + 1));
	if (k == NULL)
		return PROXYPROTO_E_FAMILY;
	if (n < 4)
		return PROXYPROTO_OK;
	rest = u16_at(p + 2);
	if (rest > PROXYPROTO_V2_REST_BYTES || rest < addresses_len(k))
		return PROXYPROTO_E_LENGTH;
	*kind = k;
	return PROXYPROTO_OK;
}

static enum proxyproto_result
v2_parse(struct span bytes, struct proxyproto_parsed *out)
{
	const struct kind *k;
	enum proxyproto_error e = v2_head(bytes, &k);
	size_t rest, used;
	const char *at;

	if (e != PROXYPROTO_OK)
		return bad(out, e);
	if (k == NULL)
		return PROXYPROTO_MORE;
	rest = u16_at(bytes.ptr + PROXYPROTO_V2_HEAD_BYTES - 2);
	if (bytes.len < PROXYPROTO_V2_HEAD_BYTES + rest)
		return PROXYPROTO_MORE;
	at = bytes.ptr + PROXYPROTO_V2_HEAD_BYTES;
	used = addresses_len(k);
	/* What follows an unknown family is opaque, addresses included. */
	if (k->family != PROXYPROTO_UNKNOWN &&
	    !tlvs_fit(span_make(at + used, rest - used)))
		return bad(out, PROXYPROTO_E_TLV);
	v2_addresses(at, k, &out->header);
	out->len = PROXYPROTO_V2_HEAD_BYTES + rest;
	return PROXYPROTO_DONE;
}

/* ---- either ---- */

/* The bytes begin with the signature, or are the beginning of it. */
static bool
begins(struct span bytes, struct span signature)
{
	size_t n = num_min_size(bytes.len, signature.len);

	return span_equal(span_make(bytes.ptr, n), span_make(signature.ptr, n));
}

enum proxyproto_result
proxyproto_parse(struct span bytes, struct proxyproto_parsed *out)
{
	const struct span v1 =
	    span_make(v1_signature, sizeof(v1_signature) - 1);
	const struct span v2 = span_make(v2_signature, SIGNATURE_BYTES);

	*out = (struct proxyproto_parsed){.error = PROXYPROTO_OK};
	if (begins(bytes, v1))
		return bytes.len < v1.len ? PROXYPROTO_MORE
					  : v1_parse(bytes, out);
	if (begins(bytes, v2))
		return bytes.len < v2.len ? PROXYPROTO_MORE
					  : v2_parse(bytes, out);
	return bad(out, PROXYPROTO_E_SIGNATURE);
}

const char *
proxyproto_error_text(enum proxyproto_error e)
{
	switch (e) {
	case PROXYPROTO_OK:
		return "";
	case PROXYPROTO_E_SIGNATURE:
		return "the connection did not begin with a PROXY header";
	case PROXYPROTO_E_LINE:
		return "the PROXY line has no CRLF within 107 bytes";
	case PROXYPROTO_E_WORDS:
		return "the PROXY line has not the words that it must have";
	case PROXYPROTO_E_ADDRESS:
		return "the PROXY line has a malformed address or port";
	case PROXYPROTO_E_VERSION:
		return "the PROXY header has an unknown version or command";
	case PROXYPROTO_E_FAMILY:
		return "the PROXY header has an unknown address family";
	case PROXYPROTO_E_LENGTH:
		return "the PROXY header is too short or too long";
	case PROXYPROTO_E_TLV:
		return "the PROXY header has malformed TLVs";
	}
	return "";
}

/* ---- writing ---- */

static bool
are_ips(const struct proxyproto *p, enum ip_family family)
{
	return p->source.ip.family == family &&
	    p->destination.ip.family == family;
}

bool
proxyproto_ok(const struct proxyproto *p)
{
	switch (p->family) {
	case PROXYPROTO_UNKNOWN:
		return true;
	case PROXYPROTO_INET4:
		return are_ips(p, IP_V4);
	case PROXYPROTO_INET6:
		return are_ips(p, IP_V6);
	case PROXYPROTO_UNIX:
		return p->source.path.len <= PROXYPROTO_PATH_BYTES &&
		    p->destination.path.len <= PROXYPROTO_PATH_BYTES;
	}
	return false;
}

void
proxyproto_put_v1(struct textbuf *out, const struct proxyproto *p)
{
	CHECK(proxyproto_ok(p));
	if (p->family != PROXYPROTO_INET4 && p->family != PROXYPROTO_INET6) {
		textbuf_lit(out, "PROXY UNKNOWN\r\n");
		return;
	}
	textbuf_str(
	    out, p->family == PROXYPROTO_INET4 ? "PROXY TCP4 " : "PROXY TCP6 ");
	ip_put(out, &p->source.ip);
	textbuf_lit(out, " ");
	ip_put(out, &p->destination.ip);
	textbuf_lit(out, " ");
	textbuf_u64(out, p->source.port);
	textbuf_lit(out, " ");
	textbuf_u64(out, p->destination.port);
	textbuf_lit(out, "\r\n");
}

static void
put_u16(struct textbuf *out, size_t value)
{
	textbuf_byte(out, (char)(value >> 8 & 0xff));
	textbuf_byte(out, (char)(value & 0xff));
}

static void
put_path(struct textbuf *out, struct span path)
{
	static const char nuls[PROXYPROTO_PATH_BYTES];

	textbuf_put(out, path);
	textbuf_put(out, span_make(nuls, sizeof(nuls) - path.len));
}

static void
put_ips(struct textbuf *out, const struct proxyproto *p, size_t n)
{
	textbuf_put(out, span_make((const char *)p->source.ip.bytes, n));
	textbuf_put(out, span_make((const char *)p->destination.ip.bytes, n));
	put_u16(out, p->source.port);
	put_u16(out, p->destination.port);
}

void
proxyproto_put_v2(struct textbuf *out, const struct proxyproto *p)
{
	const struct kind *k = kinds;

	CHECK(proxyproto_ok(p));
	while (k->family != p->family)
		k++;
	textbuf_put(out, span_make(v2_signature, SIGNATURE_BYTES));
	textbuf_byte(out,
	    (char)(p->family == PROXYPROTO_UNKNOWN ? COMMAND_LOCAL
						   : COMMAND_PROXY));
	textbuf_byte(out, (char)k->code);
	put_u16(out, addresses_len(k));
	if (p->family == PROXYPROTO_UNIX) {
		put_path(out, p->source.path);
		put_path(out, p->destination.path);
	} else if (p->family != PROXYPROTO_UNKNOWN) {
		put_ips(out, p, k->address_bytes);
	}
}
