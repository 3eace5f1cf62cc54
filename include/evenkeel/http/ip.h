/*
 * ip - an IP address as bytes, from its text and back.
 *
 * Layer: http.  Pure.
 *
 * Sources: RFC 4291 2.2 (IPv6 text), 2.5.5.2 (IPv4-mapped); RFC 5952 (one
 * text for each).
 */
#ifndef EVENKEEL_HTTP_IP_H
#define EVENKEEL_HTTP_IP_H

#include <stdbool.h>
#include <stdint.h>

#include "evenkeel/base/check.h"
#include "evenkeel/base/textbuf.h"

/* What ip_put needs at most: an IPv6 address that ends in an IPv4 one. */
#define IP_TEXT_BYTES 45

enum ip_family {
	IP_NONE, /* not known, or a unix socket */
	IP_V4,
	IP_V6
};

struct ip {
	uint8_t family;    /* enum ip_family */
	uint8_t bytes[16]; /* in network order; those behind it are 0 */
};

/*
 * Dotted decimal without leading zeros, or IPv6 without brackets or zone; the
 * whole span.  False: it is neither, and *out is untouched.
 */
bool ip_parse(struct span text, struct ip *out) WARN_UNUSED;

/* The address of `family` (V4 or V6) that lies at `bytes`.  Cannot fail. */
struct ip ip_make(enum ip_family family, const void *bytes);

/* ::ffff:a.b.c.d as a.b.c.d, every other address as it is.  Cannot fail. */
struct ip ip_unmap(struct ip ip);

bool ip_equal(const struct ip *a, const struct ip *b);

/* As inet_ntop writes it (RFC 5952); nothing for IP_NONE. */
void ip_put(struct textbuf *out, const struct ip *ip);

#endif
