/*
 * privileges - from root to an ordinary user, keeping the one thing that is
 * still needed: binding ports below 1024.
 *
 * Everything that is opened afterwards is opened as that user, so whatever
 * works at the start works later, too.  CAP_NET_BIND_SERVICE is kept as an
 * ambient capability, so that a program this one executes has it as well;
 * everything else is given up for good (no-new-privs).
 *
 * Layer: net.  At the start, before there are threads.
 *
 * Sources: credentials(7), capabilities(7), prctl(2) on PR_CAP_AMBIENT and
 * PR_SET_NO_NEW_PRIVS.
 */
#ifndef EVENKEEL_NET_PRIVILEGES_H
#define EVENKEEL_NET_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

#include "evenkeel/base/check.h"
#include "evenkeel/base/textbuf.h"

#define PRIVILEGES_NAME_BYTES 64

/* Who to become. */
struct privileges {
	bool change; /* false: stay who we are */
	uid_t uid;
	gid_t gid;
	char user[PRIVILEGES_NAME_BYTES]; /* of its other groups; empty: none */
};

/*
 * Finds `user` and `group`, each by name or number; empty is none given.  A
 * user without a group has the groups of the user database.  False: there is
 * no such one, or only root could become it; `why` says so.
 */
bool privileges_find(struct privileges *p, const char *user, const char *group,
    struct textbuf *why) WARN_UNUSED;

/* Becomes that one, and gives up what is to be given up in any case.  False:
 * the kernel refuses; `why` says what.  The process must end then. */
bool
privileges_drop(const struct privileges *p, struct textbuf *why) WARN_UNUSED;

#endif
