#include "evenkeel/net/address.h"

#include <arpa/inet.h>
#include <netdb.h>
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

static bool
from_name(struct address *a, const struct cfg_addr *from, struct textbuf *why)
{
	struct addrinfo hints = {
	    .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	int error = getaddrinfo(from->host, NULL, &hints, &list);

	if (error != 0 || list == NULL) {
		textbuf_str(why, from->host);
		textbuf_lit(why, " does not resolve: ");
		textbuf_str(why, gai_strerror(error));
		return false;
	}
	memcpy(&a->u.storage, list->ai_addr, list->ai_addrlen);
	a->len = list->ai_addrlen;
	freeaddrinfo(list);
	if (a->u.any.sa_family == AF_INET6)
		((struct sockaddr_in6 *)(void *)&a->u.storage)->sin6_port =
		    htons(from->port);
	else
		((struct sockaddr_in *)(void *)&a->u.storage)->sin_port =
		    htons(from->port);
	return true;
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
		return from_name(a, from, why);
	}
	textbuf_lit(why, "not an address: ");
	textbuf_str(why, from->host);
	return false;
}

void
address_put_ip(struct textbuf *out, const struct sockaddr *a)
{
	char text[INET6_ADDRSTRLEN];
	const void *raw = NULL;

	if (a->sa_family == AF_INET)
		raw = &((const struct sockaddr_in *)(const void *)a)->sin_addr;
	else if (a->sa_family == AF_INET6)
		raw =
		    &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;
	if (raw != NULL &&
	    inet_ntop(a->sa_family, raw, text, sizeof(text)) != NULL)
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
