/*
 * proxyproto - the PROXY protocol: whom a connection comes from, told by the
 * balancer before us, or by us to a backend.
 *
 * One header before the first byte of the connection, as a line of text
 * (version 1) or in binary (version 2); readers take both.  The parser keeps
 * no state: it is given all bytes that have come, at most
 * PROXYPROTO_READ_BYTES of which it ever looks at, until it says other than
 * MORE.  The verdict depends on the bytes alone, never on how they were cut,
 * and what is refused stays refused whatever follows.
 *
 * Strict: one space between words, numbers and addresses in canonical form,
 * CRLF; lengths in version 2 must add up.  TLVs are measured and skipped (a
 * CRC32C among them is not computed).
 *
 * Layer: http.  Pure.
 *
 * Sources: https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt,
 * 2.1 (version 1), 2.2 (version 2).
 */
#ifndef EVENKEEL_HTTP_PROXYPROTO_H
#define EVENKEEL_HTTP_PROXYPROTO_H

#include "evenkeel/http/ip.h"

/* 2.1: the longest line, with its CRLF. */
#define PROXYPROTO_V1_BYTES 107
/* 2.2: signature, command, family, length. */
#define PROXYPROTO_V2_HEAD_BYTES 16
/* Addresses and TLVs.  The format allows 65535; 2.2 names 536 as what always
 * arrives whole, and certificates of clients in TLVs stay below this. */
#define PROXYPROTO_V2_REST_BYTES 4096
#define PROXYPROTO_READ_BYTES \
	(PROXYPROTO_V2_HEAD_BYTES + PROXYPROTO_V2_REST_BYTES)
/* 2.2: sun_path. */
#define PROXYPROTO_PATH_BYTES 108
/* What either proxyproto_put_ function needs at most. */
#define PROXYPROTO_WRITE_BYTES \
	(PROXYPROTO_V2_HEAD_BYTES + 2 * PROXYPROTO_PATH_BYTES)

enum proxyproto_family {
	PROXYPROTO_UNKNOWN, /* UNKNOWN, LOCAL, and what is no stream: the
			       addresses of the socket itself are meant */
	PROXYPROTO_INET4,
	PROXYPROTO_INET6,
	PROXYPROTO_UNIX
};

struct proxyproto_addr {
	struct ip ip;     /* of INET4 and INET6 */
	uint16_t port;    /* the same */
	struct span path; /* of UNIX: without the NULs behind it, at most
			     PROXYPROTO_PATH_BYTES; an abstract one begins
			     with a NUL.  When parsed, it lies in the bytes */
};

struct proxyproto {
	enum proxyproto_family family;
	struct proxyproto_addr source, destination; /* unless UNKNOWN */
};

enum proxyproto_result {
	PROXYPROTO_MORE, /* valid so far, incomplete */
	PROXYPROTO_DONE,
	PROXYPROTO_BAD
};

enum proxyproto_error {
	PROXYPROTO_OK,
	PROXYPROTO_E_SIGNATURE, /* begins like neither version */
	PROXYPROTO_E_LINE,      /* v1: no CRLF where there must be one */
	PROXYPROTO_E_WORDS,     /* v1: not the words that must be there */
	PROXYPROTO_E_ADDRESS,   /* v1: an address or a port */
	PROXYPROTO_E_VERSION,   /* v2: version or command */
	PROXYPROTO_E_FAMILY,    /* v2: family or transport */
	PROXYPROTO_E_LENGTH,    /* v2: too short for the addresses, or over
				   PROXYPROTO_V2_REST_BYTES */
	PROXYPROTO_E_TLV        /* v2: TLVs that do not fill the rest */
};

struct proxyproto_parsed {
	struct proxyproto header;    /* of DONE */
	size_t len;                  /* of DONE: how many bytes it has */
	enum proxyproto_error error; /* of BAD */
};

/*
 * `bytes` is everything that came on the connection, from its first byte.
 * DONE: out->len of them belong to the header, the rest to the client.
 * MORE: call again with more; if none come in time, it is to be refused.
 * Nothing came: MORE.  An end of the connection is the caller's business.
 */
enum proxyproto_result
proxyproto_parse(struct span bytes, struct proxyproto_parsed *out) WARN_UNUSED;

/* What is wrong, as a sentence for the log. */
const char *proxyproto_error_text(enum proxyproto_error e);

/* The addresses are of the family (and paths short enough). */
bool proxyproto_ok(const struct proxyproto *p);

/* Appends a header of version 1: TCP4 or TCP6, UNKNOWN for other families. */
void proxyproto_put_v1(struct textbuf *out, const struct proxyproto *p);

/* Appends a header of version 2 without TLVs: PROXY over a stream, or LOCAL
 * for PROXYPROTO_UNKNOWN. */
void proxyproto_put_v2(struct textbuf *out, const struct proxyproto *p);

#endif
