/*
 * cidr - blocks of IP addresses, and whether an address lies in one.
 *
 * An IPv4-mapped IPv6 address (::ffff:a.b.c.d) is the IPv4 address wherever
 * it occurs, in a block as in what is looked for: a listener on [::] sees its
 * IPv4 clients so.  `::/0` is therefore all of IPv6 and nothing of IPv4.
 *
 * Layer: http.  Pure.
 *
 * Sources: RFC 4632 3.1 (prefix notation), RFC 4291 2.3, 2.5.5.2.
 */
#ifndef EVENKEEL_HTTP_CIDR_H
#define EVENKEEL_HTTP_CIDR_H

#include <stddef.h>

#include "evenkeel/http/ip.h"

/* What cidr_put needs at most. */
#define CIDR_TEXT_BYTES (IP_TEXT_BYTES + 4)

struct cidr {
	struct ip base; /* bits behind the prefix are 0; never IPv4-mapped */
	uint8_t bits;   /* 0..32 or 0..128 */
};

enum cidr_error {
	CIDR_OK,
	CIDR_E_ADDRESS,  /* before the '/' stands no IP address */
	CIDR_E_BITS,     /* behind it no number, or one that is too large */
	CIDR_E_HOST_BITS /* bits behind the prefix are set */
};

/*
 * "10.0.0.0/8", "2001:db8::/32", or an address alone, which is a block of
 * one.  Bits set behind the prefix are refused and not masked: 10.1.2.3/8 is
 * nearly always a slip, and would trust far more than what was meant.
 * *out is untouched unless CIDR_OK.
 */
enum cidr_error cidr_parse(struct span text, struct cidr *out) WARN_UNUSED;

/* What is wrong, for a message about a configuration. */
const char *cidr_error_text(enum cidr_error e);

/* In the one way it is written: "10.0.0.0/8", an address alone when it is a
 * block of one. */
void cidr_put(struct textbuf *out, const struct cidr *c);

/* Whether one of the `n` blocks holds the address; IP_NONE is in none. */
bool cidr_contains(const struct cidr *list, size_t n, const struct ip *ip);

#endif
