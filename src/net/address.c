#include "evenkeel/net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

static bool
from_unix(struct address *a, const struct cfg_addr *from, struct textbuf *why)
{
	size_t len = strlen(from->host);

	if (len >= sizeof(a->u.un.sun_path)) {
		textbuf_lit(why, "path of a unix socket is too long");
		return false;
	}
	a->u.un.sun_family = AF_UNIX;
	memcpy(a->u.un.sun_path, from->host, len + 1);
	a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	return true;
}

static bool
from_inet4(struct address *a, const struct cfg_addr *from)
{
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)&a->u.storage;

	in->sin_family = AF_INET;
	in->sin_port = htons(from->port);
	a->len = sizeof(*in);
	return inet_pton(AF_INET, from->host, &in->sin_addr) == 1;
}

static bool
from_inet6(struct address *a, const struct cfg_addr *from)
{
	struct sockaddr_in6 *in = (struct sockaddr_in6 *)(void *)&a->u.storage;

	in->sin6_family = AF_INET6;
	in->sin6_port = htons(from->port);
	a->len = sizeof(*in);
	return inet_pton(AF_INET6, from->host, &in->sin6_addr) == 1;
}

bool
address_resolve(
    struct address *a, const struct cfg_addr *from, struct textbuf *why)
{
	memset(a, 0, sizeof(*a));
	switch (from->kind) {
	case CFG_ADDR_UNIX:
		return from_unix(a, from, why);
	case CFG_ADDR_INET4:
		if (from_inet4(a, from))
			return true;
		break;
	case CFG_ADDR_INET6:
		if (from_inet6(a, from))
			return true;
		break;
	case CFG_ADDR_NAME:
	case CFG_ADDR_SRV:
		break;
	}
	textbuf_lit(why, "not an address: ");
	textbuf_str(why, from->host);
	return false;
}

/* The C library's way is a printf: ten times as slow, and a page may have
 * 10,000 of them. */
static void
put_ipv4(struct textbuf *out, const unsigned char bytes[4])
{
	for (int i = 0; i < 4; i++) {
		if (i > 0)
			textbuf_byte(out, '.');
		textbuf_u64(out, bytes[i]);
	}
}

void
address_put_ip(struct textbuf *out, const struct sockaddr *a)
{
	const struct sockaddr_in6 *in6 = (const void *)a;
	const struct sockaddr_in *in4 = (const void *)a;
	char text[INET6_ADDRSTRLEN];

	if (a->sa_family == AF_INET)
		put_ipv4(out, (const unsigned char *)&in4->sin_addr);
	else if (a->sa_family == AF_INET6 &&
	    inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text)) != NULL)
		textbuf_str(out, text);
}

void
address_put(struct textbuf *out, const struct address *a)
{
	const struct sockaddr_in6 *in6 = (const void *)&a->u.storage;
	const struct sockaddr_in *in4 = (const void *)&a->u.storage;

	if (a->u.any.sa_family == AF_UNIX) {
		textbuf_lit(out, "unix:");
		textbuf_str(out, a->u.un.sun_path);
		return;
	}
	if (a->u.any.sa_family == AF_INET6)
		textbuf_byte(out, '[');
	address_put_ip(out, &a->u.any);
	if (a->u.any.sa_family == AF_INET6)
		textbuf_byte(out, ']');
	textbuf_byte(out, ':');
	textbuf_u64(out,
	    ntohs(a->u.any.sa_family == AF_INET6 ? in6->sin6_port
						 : in4->sin_port));
}

bool
address_of_socket(struct address *a, int fd)
{
	memset(a, 0, sizeof(*a));
	a->len = sizeof(a->u);
	return getsockname(fd, &a->u.any, &a->len) == 0;
}

bool
address_equal(const struct address *a, const struct address *b)
{
	return a->len == b->len && memcmp(&a->u, &b->u, a->len) == 0;
}

bool
address_is_any(const struct address *a)
{
	static const struct in6_addr any6 = IN6ADDR_ANY_INIT;

	if (a->u.any.sa_family == AF_INET)
		return ((const struct sockaddr_in *)&a->u)->sin_addr.s_addr ==
		    INADDR_ANY;
	return a->u.any.sa_family == AF_INET6 &&
	    memcmp(&((const struct sockaddr_in6 *)&a->u)->sin6_addr, &any6,
		sizeof(any6)) == 0;
}

bool
address_on_loopback(const struct address *a)
{
	const struct sockaddr_in *in4 = (const void *)&a->u.storage;
	const struct sockaddr_in6 *in6 = (const void *)&a->u.storage;

	if (a->u.any.sa_family == AF_INET)
		return ntohl(in4->sin_addr.s_addr) >> 24 == 127;
	return a->u.any.sa_family == AF_INET6 &&
	    IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

struct ip
address_ip(const struct sockaddr *a)
{
	const struct sockaddr_in *in4 = (const void *)a;
	const struct sockaddr_in6 *in6 = (const void *)a;

	if (a->sa_family == AF_INET)
		return ip_make(IP_V4, &in4->sin_addr);
	if (a->sa_family == AF_INET6)
		return ip_unmap(ip_make(IP_V6, &in6->sin6_addr));
	return (struct ip){.family = IP_NONE};
}

uint16_t
address_port(const struct address *a)
{
	const struct sockaddr_in *in4 = (const void *)&a->u.storage;
	const struct sockaddr_in6 *in6 = (const void *)&a->u.storage;

	if (a->u.any.sa_family == AF_INET)
		return ntohs(in4->sin_port);
	return a->u.any.sa_family == AF_INET6 ? ntohs(in6->sin6_port) : 0;
}

void
address_set_port(struct address *a, uint16_t port)
{
	struct sockaddr_in *in4 = (void *)&a->u.storage;
	struct sockaddr_in6 *in6 = (void *)&a->u.storage;

	if (a->u.any.sa_family == AF_INET)
		in4->sin_port = htons(port);
	else if (a->u.any.sa_family == AF_INET6)
		in6->sin6_port = htons(port);
}
