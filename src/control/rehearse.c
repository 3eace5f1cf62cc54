#include "evenkeel/control/rehearse.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "evenkeel/net/privileges.h"

#define DIRECTORY_BYTES 4096

struct rehearsal {
	struct textbuf *out;
	const char *file;
	const struct cfg *cfg;
	bool good;
};

static void
complain(struct rehearsal *r, const char *key, struct span what, int error)
{
	r->good = false;
	textbuf_str(r->out, r->file);
	textbuf_lit(r->out, ": [global] ");
	textbuf_str(r->out, key);
	textbuf_lit(r->out, ": ");
	textbuf_put(r->out, what);
	textbuf_lit(r->out, ": ");
	textbuf_str(r->out, strerror(error));
	textbuf_lit(r->out, " (as user ");
	textbuf_str(r->out, r->cfg->global.user);
	textbuf_lit(r->out, ")\n");
}

/* Whether a file can be made beside `path`. */
static void
try_directory(struct rehearsal *r, const char *key, const char *path)
{
	char text[DIRECTORY_BYTES];
	struct textbuf out = textbuf_make(text, sizeof(text) - 1);
	size_t slash = span_find_last(span_of(path), '/');

	if (slash == span_of(path).len)
		textbuf_lit(&out, ".");
	else
		textbuf_put(&out, span_make(path, slash > 0 ? slash : 1));
	text[out.full ? 0 : out.len] = '\0';
	if (access(text, W_OK | X_OK) != 0)
		complain(r, key, textbuf_span(&out), errno);
}

static void
try_file(struct rehearsal *r, const char *key, const char *path)
{
	if (access(path, F_OK) != 0 && errno == ENOENT)
		try_directory(r, key, path);
	else if (access(path, W_OK) != 0)
		complain(r, key, span_of(path), errno);
}

static bool
is_path(const char *text)
{
	return text[0] == '/' || text[0] == '.';
}

static bool
become(struct rehearsal *r)
{
	const struct cfg_global *g = &r->cfg->global;
	struct privileges p;
	size_t start = r->out->len;

	textbuf_str(r->out, r->file);
	textbuf_lit(r->out, ": [global] ");
	r->good = privileges_find(&p, g->user, g->group, r->out) &&
	    privileges_drop(&p, r->out);
	if (r->good)
		r->out->len = start;
	else
		textbuf_byte(r->out, '\n');
	return r->good;
}

bool
rehearse_put(struct textbuf *out, const char *file, const struct cfg *cfg,
    const char *control)
{
	struct rehearsal r = {
	    .out = out, .file = file, .cfg = cfg, .good = true};
	const struct cfg_global *g = &cfg->global;

	if (geteuid() != 0 || (g->user[0] == '\0' && g->group[0] == '\0'))
		return true;
	if (!become(&r))
		return false;
	if (is_path(g->log))
		try_file(&r, "log", g->log);
	if (is_path(g->access_log))
		try_file(&r, "access_log", g->access_log);
	if (g->pid_file[0] != '\0')
		try_file(&r, "pid_file", g->pid_file);
	try_directory(&r, "control", control);
	return r.good;
}
