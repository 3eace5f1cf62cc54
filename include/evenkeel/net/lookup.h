/*
 * lookup - the addresses behind a host name or an SRV record: asks and waits.
 *
 * Host names go through getaddrinfo, so /etc/hosts, nsswitch.conf and
 * resolv.conf hold as for any other program.  SRV records come from the name
 * servers of resolv.conf, their targets from getaddrinfo.  What comes out is in
 * an order of its own, that of the addresses: the same set is the same list,
 * whatever order the servers answer in.
 *
 * Layer: net.  Any thread that may block; see net/resolver for those that may
 * not.
 *
 * Sources: RFC 2782 (SRV); RFC 6724 5, rule 1 (destinations out of reach);
 * getaddrinfo(3), resolver(3).
 */
#ifndef EVENKEEL_NET_LOOKUP_H
#define EVENKEEL_NET_LOOKUP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "evenkeel/base/check.h"
#include "evenkeel/net/address.h"

/* Addresses of one name, and records of one service; more are left out. */
#define LOOKUP_FOUND_MAX  1024
#define LOOKUP_WEIGHT_MAX CFG_WEIGHT_MAX
/* A reason with a NUL; the longest names a host (253 bytes). */
#define LOOKUP_WHY_BYTES 400

enum lookup_kind { LOOKUP_HOST, LOOKUP_SRV };

struct lookup_found {
	struct address address;
	uint16_t weight; /* of its record, 1..LOOKUP_WEIGHT_MAX; 0: there is
			    none */
	bool backup;     /* not of the record's first priority */
};

enum lookup_end {
	LOOKUP_ALL,   /* n >= 1 */
	LOOKUP_PART,  /* something of it did not answer: `why`; n may be 0 */
	LOOKUP_FAILED /* `why` says why; n is 0 */
};

struct lookup_result {
	enum lookup_end end;
	struct lookup_found *found; /* in order, each address once; free() */
	size_t n;
	char why[LOOKUP_WHY_BYTES]; /* in plain words */
};

/*
 * Looks the name up.  LOOKUP_HOST: `port` is that of all addresses; else it is
 * not looked at.  Ends early, with whatever it has, when *stop becomes true.
 * Blocks as long as resolv.conf says; what is in `r` belongs to the caller
 * then.  0.0.0.0 and :: are no addresses of anybody and left out.
 */
void lookup(struct lookup_result *r, enum lookup_kind kind, const char *name,
    uint16_t port, const _Atomic bool *stop);

/* ---- its parts, for tests ---- */

struct lookup_record {
	uint16_t priority, weight, port;
	char target[256]; /* without the final dot; empty: it was the root */
};

/*
 * The SRV records of an answer as it came from a name server; other records
 * are passed over.  Returns how many of them were written to `records`, at
 * most `max`; what is malformed ends the list.
 */
size_t lookup_read_srv(const unsigned char *answer, size_t len,
    struct lookup_record *records, size_t max);

/* The weight and the priority of record `i` among the `n` as an address has
 * them: weights above LOOKUP_WEIGHT_MAX are scaled with all others of their
 * kind (first priority, or backups), and none is 0. */
void lookup_weigh(const struct lookup_record *records, size_t n, size_t i,
    struct lookup_found *to);

/* Leaves the IPv6 addresses out when none of them can be routed and there are
 * others: on a machine without IPv6 each would be a backend that is down. */
void lookup_leave_out(
    struct lookup_result *r, bool (*has_route)(const struct address *a));

/* In order, each address once (one of the first priority, then one of the
 * greater weight stays), at most LOOKUP_FOUND_MAX. */
void lookup_tidy(struct lookup_result *r);

#endif
