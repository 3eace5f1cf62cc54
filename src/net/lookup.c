#include "evenkeel/net/lookup.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "evenkeel/base/num.h"

/* What is gathered before it is put in order and cut. */
#define GATHER_MAX 16384
/* A message of DNS over TCP. */
#define ANSWER_BYTES 65536

/* Targets of a record that nobody could tell the addresses of, before the
 * others are not asked for: a hundred of them would take an hour. */
#define SILENT_MAX 3

/* What can be told of a name. */
enum outcome {
	FOUND,
	NOTHING, /* there is such a name or not, but no address for sure */
	UNKNOWN  /* nobody could tell */
};

static void
say(struct lookup_result *r, enum lookup_end end, const char *why)
{
	r->end = end;
	snprintf(r->why, sizeof(r->why), "%s", why);
}

/* ---- order ---- */

static int
compare_bytes(const struct address *a, const struct address *b)
{
	const struct sockaddr_in *a4 = (const void *)&a->u.storage;
	const struct sockaddr_in *b4 = (const void *)&b->u.storage;
	const struct sockaddr_in6 *a6 = (const void *)&a->u.storage;
	const struct sockaddr_in6 *b6 = (const void *)&b->u.storage;
	int by_ip;

	if (a->u.any.sa_family != AF_INET6)
		return memcmp(
		    &a4->sin_addr, &b4->sin_addr, sizeof(a4->sin_addr));
	by_ip = memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr));
	if (by_ip != 0)
		return by_ip;
	return (a6->sin6_scope_id > b6->sin6_scope_id) -
	    (a6->sin6_scope_id < b6->sin6_scope_id);
}

/* IPv4 first. */
static int
compare_addresses(const struct address *a, const struct address *b)
{
	int by_bytes;

	if (a->u.any.sa_family != b->u.any.sa_family)
		return a->u.any.sa_family == AF_INET ? -1 : 1;
	by_bytes = compare_bytes(a, b);
	return by_bytes != 0 ? by_bytes : address_port(a) - address_port(b);
}

static int
compare(const void *one, const void *other)
{
	const struct lookup_found *a = one, *b = other;
	int by_address = compare_addresses(&a->address, &b->address);

	if (by_address != 0)
		return by_address;
	if (a->backup != b->backup)
		return a->backup ? 1 : -1;
	return b->weight - a->weight;
}

void
lookup_tidy(struct lookup_result *r)
{
	size_t kept = 0;

	if (r->n == 0)
		return;
	qsort(r->found, r->n, sizeof(*r->found), compare);
	for (size_t i = 1; i < r->n; i++)
		if (compare_addresses(
			&r->found[kept].address, &r->found[i].address) != 0)
			r->found[++kept] = r->found[i];
	r->n = num_min_size(kept + 1, LOOKUP_FOUND_MAX);
}

/* ---- routes ---- */

static bool
is_inet6(const struct lookup_found *f)
{
	return f->address.u.any.sa_family == AF_INET6;
}

void
lookup_leave_out(
    struct lookup_result *r, bool (*has_route)(const struct address *a))
{
	size_t kept = 0;

	for (size_t i = 0; i < r->n; i++) {
		if (is_inet6(&r->found[i]) && has_route(&r->found[i].address))
			return;
		kept += !is_inet6(&r->found[i]);
	}
	if (kept == 0)
		return;
	kept = 0;
	for (size_t i = 0; i < r->n; i++)
		if (!is_inet6(&r->found[i]))
			r->found[kept++] = r->found[i];
	r->n = kept;
}

/* Connecting a datagram socket sends nothing. */
static bool
has_route(const struct address *a)
{
	int fd = socket(a->u.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has = true;

	if (fd < 0)
		return errno != EAFNOSUPPORT;
	if (connect(fd, &a->u.any, a->len) != 0)
		has = errno != ENETUNREACH && errno != EADDRNOTAVAIL;
	close(fd);
	return has;
}

/* ---- host names ---- */

static enum outcome
outcome_of(int error)
{
	switch (error) {
	case 0:
		return FOUND;
	case EAI_NONAME:
	case EAI_NODATA:
	case EAI_ADDRFAMILY:
		return NOTHING;
	default:
		return UNKNOWN;
	}
}

static const char *
text_of(int error)
{
	switch (error) {
	case EAI_NONAME:
		return "no such name";
	case EAI_NODATA:
	case EAI_ADDRFAMILY:
		return "the name has no address";
	case EAI_AGAIN:
		return "no name server answered";
	case EAI_FAIL:
		return "the name server failed";
	case EAI_MEMORY:
		return "out of memory";
	case EAI_SYSTEM:
		return strerror(errno);
	default:
		return gai_strerror(error);
	}
}

/* False: no memory, or there are too many. */
static bool
add(struct lookup_result *r, size_t *room, const struct lookup_found *like,
    const struct addrinfo *info, uint16_t port)
{
	struct lookup_found *more;

	if (r->n == *room) {
		*room = *room > 0 ? 2 * *room : 8;
		more = *room > GATHER_MAX
		    ? NULL
		    : realloc(r->found, *room * sizeof(*more));
		if (more == NULL)
			return false;
		r->found = more;
	}
	more = &r->found[r->n++];
	*more = *like;
	memset(&more->address, 0, sizeof(more->address));
	memcpy(&more->address.u.storage, info->ai_addr, info->ai_addrlen);
	more->address.len = info->ai_addrlen;
	address_set_port(&more->address, port);
	return true;
}

/* 0.0.0.0 and ::, which stand for "blocked" in some answers: who connects there
 * connects to this machine. */
static bool
leads_here(const struct addrinfo *info)
{
	struct address a;

	memset(&a, 0, sizeof(a));
	memcpy(&a.u.storage, info->ai_addr, info->ai_addrlen);
	return address_is_any(&a);
}

/* Adds all addresses of the host to `r`; *why is why there are none. */
static enum outcome
ask_host(struct lookup_result *r, size_t *room, const char *host, uint16_t port,
    const struct lookup_found *like, const char **why)
{
	/* Not AI_ADDRCONFIG: it hides ::1 where IPv6 is loopback alone. */
	const struct addrinfo hints = {
	    .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	enum outcome outcome = NOTHING;
	int error = getaddrinfo(host, NULL, &hints, &list);

	*why = text_of(error != 0 ? error : EAI_NODATA);
	if (error != 0)
		return outcome_of(error);
	for (const struct addrinfo *i = list; i != NULL; i = i->ai_next) {
		if (i->ai_family != AF_INET && i->ai_family != AF_INET6)
			continue;
		if (leads_here(i))
			continue;
		outcome = FOUND;
		if (add(r, room, like, i, port))
			continue;
		*why = text_of(EAI_MEMORY);
		outcome = UNKNOWN;
		break;
	}
	freeaddrinfo(list);
	return outcome;
}

static void
lookup_host(struct lookup_result *r, const char *host, uint16_t port)
{
	const struct lookup_found plain = {.weight = 0};
	const char *why;
	size_t room = 0;

	switch (ask_host(r, &room, host, port, &plain, &why)) {
	case FOUND:
		r->end = LOOKUP_ALL;
		break;
	case NOTHING:
	case UNKNOWN:
		say(r, LOOKUP_FAILED, why);
		r->n = 0;
		break;
	}
}

/* ---- SRV records ---- */

static uint16_t
number_at(const unsigned char *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* RFC 2782: priority, weight, port, target. */
static bool
read_record(const ns_msg *m, const ns_rr *rr, struct lookup_record *to)
{
	const unsigned char *data = ns_rr_rdata(*rr);
	size_t n;

	if (ns_rr_rdlen(*rr) < 7)
		return false;
	to->priority = number_at(data);
	to->weight = number_at(data + 2);
	to->port = number_at(data + 4);
	if (ns_name_uncompress(ns_msg_base(*m), ns_msg_end(*m), data + 6,
		to->target, sizeof(to->target)) < 0)
		return false;
	n = strlen(to->target);
	if (n > 0 && to->target[n - 1] == '.')
		to->target[n - 1] = '\0';
	return true;
}

size_t
lookup_read_srv(const unsigned char *answer, size_t len,
    struct lookup_record *records, size_t max)
{
	ns_msg message;
	ns_rr rr;
	size_t n = 0;

	if (len > ANSWER_BYTES || ns_initparse(answer, (int)len, &message) != 0)
		return 0;
	for (int i = 0; i < ns_msg_count(message, ns_s_an) && n < max; i++) {
		if (ns_parserr(&message, ns_s_an, i, &rr) != 0)
			break;
		if (ns_rr_type(rr) != ns_t_srv)
			continue;
		if (!read_record(&message, &rr, &records[n]))
			break;
		n++;
	}
	return n;
}

void
lookup_weigh(const struct lookup_record *records, size_t n, size_t i,
    struct lookup_found *to)
{
	uint16_t first = UINT16_MAX;
	uint32_t most = 0, weight = records[i].weight;

	for (size_t k = 0; k < n; k++)
		if (records[k].priority < first)
			first = records[k].priority;
	to->backup = records[i].priority != first;
	for (size_t k = 0; k < n; k++)
		if ((records[k].priority != first) == to->backup &&
		    records[k].weight > most)
			most = records[k].weight;
	if (most > LOOKUP_WEIGHT_MAX)
		weight = (weight * LOOKUP_WEIGHT_MAX + most / 2) / most;
	to->weight = (uint16_t)(weight > 0 ? weight : 1);
}

/* Bytes of the answer; 0: `r` says why there is none. */
static size_t
ask_srv(struct lookup_result *r, const char *name, unsigned char *answer)
{
	struct __res_state state;
	int len, error;

	memset(&state, 0, sizeof(state));
	if (res_ninit(&state) != 0) {
		say(r, LOOKUP_FAILED, "resolv.conf could not be read");
		return 0;
	}
	len =
	    res_nsearch(&state, name, ns_c_in, ns_t_srv, answer, ANSWER_BYTES);
	error = state.res_h_errno;
	res_nclose(&state);
	if (len > 0)
		return num_min_size((size_t)len, ANSWER_BYTES);
	if (error == HOST_NOT_FOUND)
		say(r, LOOKUP_FAILED, "no such name");
	else if (error == NO_DATA)
		say(r, LOOKUP_FAILED, "the name has no SRV record");
	else if (error == NO_RECOVERY)
		say(r, LOOKUP_FAILED, "the name server failed");
	else
		say(r, LOOKUP_FAILED, "no name server answered");
	return 0;
}

/* A target that nobody could tell the addresses of. */
static void
say_part(struct lookup_result *r, const char *target, const char *why)
{
	r->end = LOOKUP_PART;
	snprintf(r->why, sizeof(r->why), "target %s: %s", target, why);
}

static void
ask_targets(struct lookup_result *r, const struct lookup_record *records,
    size_t n, const _Atomic bool *stop)
{
	char absolute[sizeof(records[0].target) + 1];
	const char *why = "";
	size_t room = 0, asked = 0, silent = 0;

	r->end = LOOKUP_ALL;
	for (size_t i = 0; i < n && silent < SILENT_MAX; i++) {
		struct lookup_found like = {.weight = 0};

		if (atomic_load(stop))
			break;
		if (records[i].target[0] == '\0' || records[i].port == 0)
			continue;
		asked++;
		lookup_weigh(records, n, i, &like);
		/* It is a whole name: nothing is to be tried behind it. */
		snprintf(absolute, sizeof(absolute), "%s.", records[i].target);
		if (ask_host(r, &room, absolute, records[i].port, &like,
			&why) == UNKNOWN) {
			say_part(r, records[i].target, why);
			silent++;
		}
	}
	if (r->n > 0 || r->end == LOOKUP_PART)
		return;
	/* RFC 2782: a target of "." says so. */
	if (asked == 0)
		say(r, LOOKUP_FAILED, "the service is not offered there");
	else
		say(r, LOOKUP_FAILED, "no target of the record has an address");
}

static void
lookup_srv(struct lookup_result *r, const char *name, const _Atomic bool *stop)
{
	unsigned char *answer = malloc(ANSWER_BYTES);
	struct lookup_record *records =
	    calloc(LOOKUP_FOUND_MAX, sizeof(*records));
	size_t len, n;

	if (answer == NULL || records == NULL) {
		say(r, LOOKUP_FAILED, "out of memory");
		goto out;
	}
	len = ask_srv(r, name, answer);
	if (len == 0)
		goto out;
	n = lookup_read_srv(answer, len, records, LOOKUP_FOUND_MAX);
	if (n > 0)
		ask_targets(r, records, n, stop);
	else
		say(r, LOOKUP_FAILED, "the name has no SRV record");
out:
	free(answer);
	free(records);
}

void
lookup(struct lookup_result *r, enum lookup_kind kind, const char *name,
    uint16_t port, const _Atomic bool *stop)
{
	*r = (struct lookup_result){.end = LOOKUP_FAILED};
	if (kind == LOOKUP_SRV)
		lookup_srv(r, name, stop);
	else
		lookup_host(r, name, port);
	lookup_leave_out(r, has_route);
	lookup_tidy(r);
}
