#include "evenkeel/http/cidr.h"

#include "evenkeel/base/num.h"

/* Bits of ::ffff:0:0/96, before the IPv4 address. */
#define MAPPED_BITS 96U

static unsigned
bits_of(const struct ip *ip)
{
	return ip->family == IP_V4 ? 32 : 128;
}

/* The first `bits` bits of both are the same. */
static inline bool
same_prefix(const struct ip *a, const struct ip *b, unsigned bits)
{
	unsigned whole = bits / 8, left = bits % 8;

	if (memcmp(a->bytes, b->bytes, whole) != 0)
		return false;
	return left == 0 ||
	    (a->bytes[whole] ^ b->bytes[whole]) >> (8 - left) == 0;
}

static bool
has_host_bits(const struct ip *ip, unsigned bits)
{
	unsigned n = bits / 8;

	if (bits % 8 != 0 && (ip->bytes[n++] & (0xffU >> bits % 8)) != 0)
		return true;
	for (; n < sizeof(ip->bytes); n++)
		if (ip->bytes[n] != 0)
			return true;
	return false;
}

/* RFC 4632 3.1: without leading zeros. */
static bool
parse_bits(struct span text, unsigned max, uint64_t *bits)
{
	return !(text.len > 1 && text.ptr[0] == '0') &&
	    num_parse_u64(text, max, bits);
}

enum cidr_error
cidr_parse(struct span text, struct cidr *out)
{
	size_t slash = span_find(text, '/');
	struct ip ip;
	uint64_t bits;

	if (!ip_parse(span_make(text.ptr, slash), &ip))
		return CIDR_E_ADDRESS;
	bits = bits_of(&ip);
	if (slash < text.len &&
	    !parse_bits(span_make(text.ptr + slash + 1, text.len - slash - 1),
		bits_of(&ip), &bits))
		return CIDR_E_BITS;
	if (has_host_bits(&ip, (unsigned)bits))
		return CIDR_E_HOST_BITS;
	if (ip.family == IP_V6 && bits >= MAPPED_BITS) {
		ip = ip_unmap(ip);
		if (ip.family == IP_V4)
			bits -= MAPPED_BITS;
	}
	*out = (struct cidr){.base = ip, .bits = (uint8_t)bits};
	return CIDR_OK;
}

const char *
cidr_error_text(enum cidr_error e)
{
	switch (e) {
	case CIDR_OK:
		return "";
	case CIDR_E_ADDRESS:
		return "not an IP address";
	case CIDR_E_BITS:
		return "the prefix length is not a number up to 32 (IPv4) or "
		       "128 (IPv6)";
	case CIDR_E_HOST_BITS:
		return "the address has bits set behind the prefix";
	}
	return "";
}

void
cidr_put(struct textbuf *out, const struct cidr *c)
{
	ip_put(out, &c->base);
	if (c->bits == bits_of(&c->base))
		return;
	textbuf_lit(out, "/");
	textbuf_u64(out, c->bits);
}

bool
cidr_contains(const struct cidr *list, size_t n, const struct ip *ip)
{
	struct ip plain = ip_unmap(*ip);

	for (size_t i = 0; i < n; i++)
		if (list[i].base.family == plain.family &&
		    same_prefix(&list[i].base, &plain, list[i].bits))
			return true;
	return false;
}
