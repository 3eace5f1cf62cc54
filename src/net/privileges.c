#include "evenkeel/net/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "evenkeel/base/num.h"

#define BIND_BIT (1U << CAP_NET_BIND_SERVICE)

static bool
fail(struct textbuf *why, const char *what, const char *name)
{
	textbuf_str(why, what);
	textbuf_str(why, name);
	return false;
}

static bool
failed_call(struct textbuf *why, const char *what)
{
	textbuf_str(why, what);
	textbuf_lit(why, ": ");
	textbuf_str(why, strerror(errno));
	return false;
}

static bool
find_user(struct privileges *p, const char *user, struct textbuf *why)
{
	const struct passwd *entry = getpwnam(user);
	uint64_t number;

	if (entry == NULL &&
	    num_parse_u64(span_of(user), UINT32_MAX - 1, &number)) {
		entry = getpwuid((uid_t)number);
		/* A number stands for itself. */
		if (entry == NULL) {
			p->uid = (uid_t)number;
			p->gid = (gid_t)number;
			return true;
		}
	}
	if (entry == NULL)
		return fail(why, "user: there is no user ", user);
	p->uid = entry->pw_uid;
	p->gid = entry->pw_gid;
	snprintf(p->user, sizeof(p->user), "%s", entry->pw_name);
	return true;
}

static bool
find_group(struct privileges *p, const char *group, struct textbuf *why)
{
	const struct group *entry = getgrnam(group);
	uint64_t number;

	if (entry != NULL)
		p->gid = entry->gr_gid;
	else if (num_parse_u64(span_of(group), UINT32_MAX - 1, &number))
		p->gid = (gid_t)number;
	else
		return fail(why, "group: there is no group ", group);
	return true;
}

bool
privileges_find(struct privileges *p, const char *user, const char *group,
    struct textbuf *why)
{
	*p = (struct privileges){.uid = geteuid(), .gid = getegid()};
	if (user[0] != '\0' && !find_user(p, user, why))
		return false;
	if (group[0] != '\0' && !find_group(p, group, why))
		return false;
	p->change = p->uid != geteuid() || p->gid != getegid();
	if (p->change && geteuid() != 0)
		return fail(why, "only root can become another user or group: ",
		    user[0] != '\0' ? user : group);
	return true;
}

/* What is kept of root's powers. */
static bool
keep_bind(struct textbuf *why)
{
	struct __user_cap_header_struct head = {
	    .version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{.effective = BIND_BIT,
	    .permitted = BIND_BIT,
	    .inheritable = BIND_BIT}};

	if (syscall(SYS_capset, &head, data) != 0)
		return failed_call(why, "cannot keep CAP_NET_BIND_SERVICE");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0,
		0) != 0)
		return failed_call(
		    why, "cannot make CAP_NET_BIND_SERVICE ambient");
	return true;
}

static bool
become(const struct privileges *p, struct textbuf *why)
{
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
		return failed_call(why, "cannot keep capabilities");
	if (p->user[0] != '\0' ? initgroups(p->user, p->gid) != 0
			       : setgroups(0, NULL) != 0)
		return failed_call(why, "cannot set the groups");
	if (setresgid(p->gid, p->gid, p->gid) != 0)
		return failed_call(why, "cannot change the group");
	if (setresuid(p->uid, p->uid, p->uid) != 0)
		return failed_call(why, "cannot change the user");
	/* To see its own descriptors in /proc, and for a core to be had. */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return p->uid == 0 || keep_bind(why);
}

bool
privileges_drop(const struct privileges *p, struct textbuf *why)
{
	if (p->change && !become(p, why))
		return false;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return failed_call(why, "cannot set no-new-privs");
	return true;
}
