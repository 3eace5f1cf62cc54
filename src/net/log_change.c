#include "evenkeel/net/log_change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const option_names[LOG_STREAMS] = {"log: ", "access_log: "};

/* What the words of the system leave open. */
static const char *
hint(int error)
{
	if (error == ENXIO)
		return " (a socket, or a FIFO that nobody reads)";
	return "";
}

static struct log_file *
open_stream(enum log_stream s, const char *path, struct textbuf *why)
{
	struct log_file *f;
	int inherited = -1;

	if (s == LOG_STREAM_LOG && strcmp(path, "stderr") == 0)
		inherited = STDERR_FILENO;
	if (s == LOG_STREAM_ACCESS && strcmp(path, "stdout") == 0)
		inherited = STDOUT_FILENO;
	f = log_file_open(path, inherited);
	if (!f) {
		int error = errno;

		textbuf_str(why, option_names[s]);
		textbuf_str(why, path);
		textbuf_lit(why, ": ");
		textbuf_str(why, strerror(error));
		textbuf_str(why, hint(error));
	}
	return f;
}

/* The file of `s`: the one of before when its path is the same, for it is open
 * and might not be opened again. */
static bool
set_stream(struct log_change *c, const struct log_change *before,
    enum log_stream s, const char *path, struct textbuf *why)
{
	struct log_file *old = before ? before->files[s] : NULL;

	c->kept[s] = old && strcmp(old->name, path) == 0;
	c->files[s] = c->kept[s] ? old : open_stream(s, path, why);
	return c->files[s] != NULL;
}

static bool
set_streams(struct log_change *c, const struct log_change *before,
    const struct log_options *o, struct textbuf *why)
{
	if (!c->to_syslog &&
	    !set_stream(c, before, LOG_STREAM_LOG, o->log, why))
		return false;
	return !c->has_access ||
	    set_stream(c, before, LOG_STREAM_ACCESS, o->access, why);
}

struct log_change *
log_change_open(const struct log_change *before, const struct log_options *o,
    size_t n_rings, struct textbuf *why)
{
	struct log_change *c = calloc(1, sizeof(*c));

	if (c)
		c->marks = calloc(n_rings > 0 ? n_rings : 1, sizeof(uint64_t));
	if (!c || !c->marks) {
		free(c);
		textbuf_lit(why, "log: no memory");
		return NULL;
	}
	c->level = o->level;
	c->format = o->format;
	c->to_syslog = strcmp(o->log, "syslog") == 0;
	c->has_access = strcmp(o->access, "off") != 0;
	if (set_streams(c, before, o, why))
		return c;
	log_change_undo(c);
	return NULL;
}

void
log_change_undo(struct log_change *c)
{
	if (!c)
		return;
	for (int i = 0; i < LOG_STREAMS; i++)
		if (c->kept[i])
			c->files[i] = NULL;
	log_change_free(c);
}

void
log_change_free(struct log_change *c)
{
	for (int i = 0; i < LOG_STREAMS; i++)
		log_file_free(c->files[i]);
	free(c->marks);
	free(c);
}
