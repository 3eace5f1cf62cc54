/*
 * address - where to listen and where backends are, from text.
 *
 * Every address has one canonical text, so that two spellings of the same
 * place are seen to be the same: names in lower case, IPv6 as inet_ntop
 * writes it, ports without leading zeros.
 *
 * Layer: config.  Pure.
 *
 * Sources: RFC 3986 3.2.2 (brackets), RFC 1123 2.1 (host names), RFC 5952
 * (IPv6 text), RFC 2782 (names of SRV records); unix(7) (108 bytes of sun_path
 * with the final NUL).
 */
#ifndef EVENKEEL_CONFIG_ADDRESS_H
#define EVENKEEL_CONFIG_ADDRESS_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/config/arena.h"
#include "evenkeel/config/config.h"
#include "evenkeel/config/value.h"

#define ADDRESS_UNIX_MAX 107

/* host:port with a numeric host or localhost, [v6]:port, *:port, unix:/path;
 * port 0 is any free port.  `line` is left to the caller.  VALUE_BAD: `why`
 * has the reason. */
enum value_outcome address_parse_bind(struct arena *a, struct span text,
    struct cfg_addr *addr, struct textbuf *why) WARN_UNUSED;

/* host:port with a name or a numeric host, [v6]:port, either with https://
 * before it (*https), unix:/path, or srv:_SERVICE._tcp.NAME; the port is not 0.
 * Otherwise as above. */
enum value_outcome address_parse_backend(struct arena *a, struct span text,
    struct cfg_addr *addr, bool *https, struct textbuf *why) WARN_UNUSED;

/* The address of a backend as it reads back: addr.text, with https://. */
void address_put_backend(struct textbuf *out, const struct cfg_backend *b);

/* What a certificate may be issued to, and a client may ask for by SNI if it is
 * a name: a host name without a final dot, or an IP address without brackets.
 */
bool address_is_server_name(struct span text);

/* To be looked up: a host name or the name of an SRV record. */
bool address_is_name(const struct cfg_addr *addr);

/* A host as routes name it: a name, an IPv4 address, a bracketed IPv6 address
 * or "*." before a name.  *host is in lower case. */
enum value_outcome address_parse_host(struct arena *a, struct span text,
    const char **host, struct textbuf *why) WARN_UNUSED;

#endif
