#include "evenkeel/control/door.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "evenkeel/net/listener.h"

/* Where it binds. */
static void
choose(struct door *d, bool beside)
{
	struct textbuf out = textbuf_make(d->at, sizeof(d->at) - 1);
	size_t plain;

	textbuf_str(&out, d->path);
	plain = out.len;
	if (beside)
		textbuf_byte(&out, '~');
	d->at[out.full ? plain : out.len] = '\0';
}

static bool
note_file(struct door *d, struct textbuf *why)
{
	struct stat st;

	if (stat(d->at, &st) == 0) {
		d->dev = st.st_dev;
		d->ino = st.st_ino;
		return true;
	}
	textbuf_str(why, d->at);
	textbuf_lit(why, ": ");
	textbuf_str(why, strerror(errno));
	return false;
}

bool
door_open(struct door *d, bool beside, struct textbuf *why)
{
	const struct cfg_addr at = {
	    .kind = CFG_ADDR_UNIX, .host = d->at, .text = ""};
	struct address a, bound;
	mode_t old;
	bool good;
	int fd;

	choose(d, beside);
	if (beside && strcmp(d->at, d->path) == 0)
		unlink(d->path);
	if (!address_resolve(&a, &at, why))
		return false;
	/* Born private: whoever may open it may give orders. */
	old = umask(0177);
	good = listener_bind(&a, &fd, 1, &bound, why);
	umask(old);
	if (!good)
		return false;
	d->httpd = httpd_create(d->loop, fd, d->ops, d->arg);
	if (d->httpd == NULL) {
		textbuf_lit(why, "out of memory");
		unlink(d->at);
		return false;
	}
	return note_file(d, why);
}

bool
door_take(struct door *d)
{
	if (strcmp(d->at, d->path) != 0 && rename(d->at, d->path) != 0)
		return false;
	memcpy(d->at, d->path, strlen(d->path) + 1);
	return true;
}

static bool
is_ours(const struct door *d, const char *path)
{
	struct stat st;

	return d->ino != 0 && stat(path, &st) == 0 && st.st_dev == d->dev &&
	    st.st_ino == d->ino;
}

bool
door_is_ours(const struct door *d)
{
	return is_ours(d, d->path);
}

void
door_sweep(const struct door *d)
{
	struct door other = {.path = d->path};

	choose(&other, true);
	if (strcmp(other.at, d->path) != 0)
		unlink(other.at);
}

void
door_retire(struct door *d)
{
	httpd_retire(d->httpd);
}

void
door_close(struct door *d)
{
	if (is_ours(d, d->at))
		unlink(d->at);
	httpd_free(d->httpd);
	d->httpd = NULL;
	d->ino = 0;
}
