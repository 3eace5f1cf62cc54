/*
 * address - socket addresses, from the configuration and from the kernel.
 *
 * Layer: net.  Any thread.
 */
#ifndef EVENKEEL_NET_ADDRESS_H
#define EVENKEEL_NET_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "evenkeel/base/check.h"
#include "evenkeel/base/textbuf.h"
#include "evenkeel/config/config.h"
#include "evenkeel/http/ip.h"

/* "ffff:...:255.255.255.255" and a NUL; an IP address as text. */
#define ADDRESS_IP_BYTES 48
/* "[" ip "]:65535", or a path of a unix socket. */
#define ADDRESS_TEXT_BYTES 128

struct address {
	socklen_t len;
	union {
		struct sockaddr any;
		struct sockaddr_un un; /* the largest */
		struct sockaddr_storage storage;
	} u;
};

/*
 * The address that `from` is.  False: `why` says what is wrong with it; also
 * that it is a name, which is for net/resolver.
 */
bool address_resolve(struct address *a, const struct cfg_addr *from,
    struct textbuf *why) WARN_UNUSED;

/* The IP address alone; nothing for a unix socket. */
void address_put_ip(struct textbuf *out, const struct sockaddr *a);

/* host:port, [v6]:port or unix:/path. */
void address_put(struct textbuf *out, const struct address *a);

/* The IP address, IPv4-mapped ones as IPv4; IP_NONE of a unix socket. */
struct ip address_ip(const struct sockaddr *a);

/* The port; 0 of a unix socket. */
uint16_t address_port(const struct address *a);

/* The same address with another port; a unix socket stays as it is. */
void address_set_port(struct address *a, uint16_t port);

bool address_equal(const struct address *a, const struct address *b);

/* All addresses of its family: 0.0.0.0 or ::, with any port. */
bool address_is_any(const struct address *a);

/* 127.0.0.0/8 or ::1. */
bool address_on_loopback(const struct address *a);

/* The address that a socket is bound to. */
bool address_of_socket(struct address *a, int fd) WARN_UNUSED;

#endif
