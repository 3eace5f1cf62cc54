#include "evenkeel/http/ip.h"

#include <arpa/inet.h>

bool
ip_parse(struct span text, struct ip *out)
{
	char copy[IP_TEXT_BYTES + 1];
	uint8_t bytes[16];
	enum ip_family family;

	/* inet_pton ends at a NUL: what stands behind one must not pass. */
	if (text.len == 0 || text.len >= sizeof(copy) ||
	    memchr(text.ptr, '\0', text.len) != NULL)
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	family = memchr(copy, ':', text.len) != NULL ? IP_V6 : IP_V4;
	if (inet_pton(family == IP_V6 ? AF_INET6 : AF_INET, copy, bytes) != 1)
		return false;
	*out = ip_make(family, bytes);
	return true;
}

struct ip
ip_make(enum ip_family family, const void *bytes)
{
	struct ip ip = {.family = (uint8_t)family};

	memcpy(ip.bytes, bytes, family == IP_V4 ? 4 : sizeof(ip.bytes));
	return ip;
}

struct ip
ip_unmap(struct ip ip)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (ip.family == IP_V6 && memcmp(ip.bytes, mapped, sizeof(mapped)) == 0)
		return ip_make(IP_V4, ip.bytes + sizeof(mapped));
	return ip;
}

bool
ip_equal(const struct ip *a, const struct ip *b)
{
	return a->family == b->family &&
	    memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

void
ip_put(struct textbuf *out, const struct ip *ip)
{
	char text[INET6_ADDRSTRLEN];

	if (ip->family != IP_NONE &&
	    inet_ntop(ip->family == IP_V6 ? AF_INET6 : AF_INET, ip->bytes, text,
		sizeof(text)) != NULL)
		textbuf_str(out, text);
}
