#include "evenkeel/net/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "evenkeel/base/num.h"

#define VARIABLE "EVENKEEL_UPGRADE"
/* Of a line beside its label: a descriptor, a kind, two blanks, the end. */
#define LINE_BYTES (NUM_U64_DIGITS + 16)
/* What is told, at most. */
#define TELL_BYTES 4096

static const char *const kinds[INHERIT_KINDS] = {[INHERIT_GROUP] = "group",
    [INHERIT_ALONE] = "alone",
    [INHERIT_GIVEN] = "given"};

/* ---- what was handed over ---- */

static bool
fail(struct textbuf *why, const char *what, int fd)
{
	textbuf_lit(why, "descriptor ");
	textbuf_u64(why, (uint64_t)fd);
	textbuf_lit(why, " was handed over, but ");
	textbuf_str(why, what);
	return false;
}

static bool
out_of_memory(struct textbuf *why)
{
	textbuf_lit(why, "out of memory");
	return false;
}

static int
option_of(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) == 0 ? value : -1;
}

/* Nothing of it reaches a program that this one starts by chance. */
static bool
set_flags(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
	    ((flags & O_NONBLOCK) != 0 ||
		fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
}

static bool
adopt(struct inherit *in, const struct inherit_socket *s, struct textbuf *why)
{
	struct inherit_socket *to = &in->list[in->n];
	int one = 1, family;

	if (fcntl(s->fd, F_GETFD) < 0)
		return fail(why, "is not open", s->fd);
	/* From here on it is closed in any case. */
	*to = *s;
	in->n++;
	family = option_of(s->fd, SO_DOMAIN);
	if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
		return fail(why, "is no TCP or unix socket", s->fd);
	if (option_of(s->fd, SO_TYPE) != SOCK_STREAM ||
	    option_of(s->fd, SO_ACCEPTCONN) != 1)
		return fail(why,
		    "is no stream socket that listens (in systemd: "
		    "ListenStream=, and not Accept=yes)",
		    s->fd);
	if (!set_flags(s->fd) || !address_of_socket(&to->bound, s->fd))
		return fail(why, strerror(errno), s->fd);
	/* As listener_bind does; for what is accepted. */
	if (family != AF_UNIX)
		setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return true;
}

/* The part of `*rest` up to `end`, which moves behind that. */
static struct span
cut(struct span *rest, char end)
{
	size_t at = span_find(*rest, end), skip = at < rest->len ? at + 1 : at;
	struct span part = span_make(rest->ptr, at);

	*rest = span_make(rest->ptr + skip, rest->len - skip);
	return part;
}

static bool
make_list(struct inherit *in, size_t n, struct textbuf *why)
{
	in->list = calloc(n + 1, sizeof(*in->list));
	return in->list != NULL || out_of_memory(why);
}

static bool
parse_fd(struct span text, int *fd)
{
	uint64_t value;

	if (!num_parse_u64(text, INT32_MAX, &value))
		return false;
	*fd = (int)value;
	return true;
}

static bool
parse_line(struct span line, struct inherit_socket *s)
{
	struct span fd = cut(&line, ' '), kind = cut(&line, ' ');

	*s = (struct inherit_socket){.label = line};
	for (size_t i = 0; i < INHERIT_KINDS; i++)
		if (span_equal(kind, span_of(kinds[i]))) {
			s->kind = (enum inherit_kind)i;
			return parse_fd(fd, &s->fd);
		}
	return false;
}

static bool
parse_first(struct inherit *in, struct span line)
{
	struct span pid = cut(&line, ' ');
	int old = 0;

	if (!parse_fd(pid, &old) || old == 0 || !parse_fd(line, &in->ready_fd))
		return false;
	in->old_pid = old;
	return fcntl(in->ready_fd, F_SETFD, FD_CLOEXEC) == 0;
}

static bool
read_own(struct inherit *in, const char *value, struct textbuf *why)
{
	struct span rest;
	size_t lines = 0;

	in->text = strdup(value);
	if (in->text == NULL)
		return out_of_memory(why);
	for (const char *p = in->text; *p != '\0'; p++)
		lines += *p == '\n';
	if (lines > INHERIT_MAX + 1)
		lines = INHERIT_MAX + 1;
	if (!make_list(in, lines, why))
		return false;
	rest = span_of(in->text);
	if (!parse_first(in, cut(&rest, '\n'))) {
		in->ready_fd = -1;
		textbuf_lit(why, VARIABLE " is not what evenkeel makes it");
		return false;
	}
	while (rest.len > 0 && in->n < lines) {
		struct span line = cut(&rest, '\n');
		struct inherit_socket s;

		if (span_equal(line, SPAN("more"))) {
			in->more = rest;
			break;
		}
		if (!parse_line(line, &s)) {
			textbuf_lit(
			    why, VARIABLE " is not what evenkeel makes it");
			return false;
		}
		if (!adopt(in, &s, why))
			return false;
	}
	return true;
}

/* sd_listen_fds(3): LISTEN_PID says whom they are for. */
static bool
read_systemd(struct inherit *in, struct textbuf *why)
{
	uint64_t pid, n;
	const char *names = getenv("LISTEN_FDNAMES");
	struct span rest;

	if (!num_parse_u64(span_of(getenv("LISTEN_PID")), INT32_MAX, &pid) ||
	    pid != (uint64_t)getpid())
		return true;
	if (!num_parse_u64(span_of(getenv("LISTEN_FDS")), INHERIT_MAX, &n)) {
		textbuf_lit(why, "LISTEN_FDS is not a number of descriptors");
		return false;
	}
	in->text = strdup(names != NULL ? names : "");
	if (in->text == NULL)
		return out_of_memory(why);
	if (!make_list(in, n, why))
		return false;
	rest = span_of(in->text);
	for (uint64_t i = 0; i < n; i++) {
		const struct inherit_socket s = {
		    .fd = INHERIT_FIRST_FD + (int)i,
		    .kind = INHERIT_GIVEN,
		    .label = cut(&rest, ':')};

		if (!adopt(in, &s, why))
			return false;
	}
	return true;
}

bool
inherit_read(struct inherit *in, struct textbuf *why)
{
	const char *own = getenv(VARIABLE);
	bool good;

	*in = (struct inherit){.ready_fd = -1};
	good = own != NULL ? read_own(in, own, why) : read_systemd(in, why);
	unsetenv(VARIABLE);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return good;
}

/* ---- who takes what ---- */

static bool
same_address(const struct address *a, const struct address *b)
{
	char a_text[ADDRESS_TEXT_BYTES], b_text[ADDRESS_TEXT_BYTES];
	struct textbuf a_out = textbuf_make(a_text, sizeof(a_text));
	struct textbuf b_out = textbuf_make(b_text, sizeof(b_text));

	if (a->u.any.sa_family != b->u.any.sa_family)
		return false;
	address_put(&a_out, a);
	address_put(&b_out, b);
	return span_equal(textbuf_span(&a_out), textbuf_span(&b_out));
}

/* ListenStream=80 of systemd makes one socket for both versions of IP. */
static bool
serves_both(const struct inherit_socket *s, const struct address *asked)
{
	int only = 1;
	socklen_t len = sizeof(only);

	return s->kind == INHERIT_GIVEN && asked->u.any.sa_family == AF_INET &&
	    address_is_any(asked) && s->bound.u.any.sa_family == AF_INET6 &&
	    address_is_any(&s->bound) &&
	    address_port(asked) == address_port(&s->bound) &&
	    getsockopt(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &len) == 0 &&
	    only == 0;
}

static bool
port_is_open(const struct address *a)
{
	return a->u.any.sa_family != AF_UNIX && address_port(a) == 0;
}

/* The first that fits; NULL: none does. */
static const struct inherit_socket *
find(const struct inherit *in, const struct address *asked, struct span label)
{
	bool open = port_is_open(asked);

	for (size_t i = 0; i < in->n; i++) {
		const struct inherit_socket *s = &in->list[i];

		if (open ? s->kind == INHERIT_GROUP &&
			    span_equal(s->label, label)
			 : same_address(&s->bound, asked))
			return s;
	}
	for (size_t i = 0; i < in->n; i++)
		if (serves_both(&in->list[i], asked))
			return &in->list[i];
	return NULL;
}

size_t
inherit_take(struct inherit *in, const struct address *asked, struct span label,
    struct inherit_socket *taken, size_t max)
{
	const struct inherit_socket *first = find(in, asked, label);
	struct address bound;
	enum inherit_kind kind;
	size_t n = 0, left = 0;

	if (first == NULL)
		return 0;
	bound = first->bound;
	kind = first->kind;
	for (size_t i = 0; i < in->n; i++) {
		struct inherit_socket *s = &in->list[i];

		if (n < max && s->kind == kind &&
		    same_address(&s->bound, &bound))
			taken[n++] = *s;
		else
			in->list[left++] = *s;
	}
	in->n = left;
	return n;
}

static void
remove_file(const struct inherit_socket *s)
{
	struct stat st;

	if (s->kind == INHERIT_ALONE && s->bound.u.any.sa_family == AF_UNIX &&
	    stat(s->bound.u.un.sun_path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(s->bound.u.un.sun_path);
}

static void
tell_rest(const struct inherit_socket *s, struct log_ring *log)
{
	char text[ADDRESS_TEXT_BYTES];
	struct textbuf shown = textbuf_make(text, sizeof(text) - 1);

	address_put(&shown, &s->bound);
	text[shown.len] = '\0';
	if (s->kind == INHERIT_GIVEN)
		log_message(log, LOG_LEVEL_WARN,
		    "systemd has passed the socket %s (%.*s), but no bind of "
		    "the configuration is that address: closed",
		    text, (int)s->label.len, s->label.ptr);
	else
		log_message(log, LOG_LEVEL_INFO,
		    "no longer listening on %s: the configuration does not "
		    "name it any more",
		    text);
}

void
inherit_drop_rest(struct inherit *in, struct log_ring *log)
{
	for (size_t i = 0; i < in->n; i++) {
		const struct inherit_socket *s = &in->list[i];

		/* A group is one address. */
		if (i == 0 || !same_address(&s->bound, &s[-1].bound))
			tell_rest(s, log);
		remove_file(s);
		close(s->fd);
	}
	in->n = 0;
}

/* ---- who hands over is told ---- */

static bool
tell(struct inherit *in, const char *word, struct span words)
{
	char bytes[TELL_BYTES];
	struct textbuf out = textbuf_make(bytes, sizeof(bytes) - 1);
	ssize_t n;

	if (in->ready_fd < 0)
		return true;
	textbuf_str(&out, word);
	textbuf_byte(&out, ' ');
	textbuf_put(&out,
	    span_make(words.ptr, num_min_size(words.len, out.cap - out.len)));
	out.cap = sizeof(bytes);
	textbuf_byte(&out, '\n');
	/* It fits the pipe, and the pipe is empty. */
	for (size_t at = 0; at < out.len; at += (size_t)n) {
		do
			n = write(in->ready_fd, out.ptr + at, out.len - at);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return false;
	}
	return true;
}

bool
inherit_tell_ready(struct inherit *in, struct span words)
{
	return tell(in, "ready", words);
}

void
inherit_tell_failed(struct inherit *in, struct span why)
{
	(void)tell(in, "failed", why);
}

void
inherit_close(struct inherit *in)
{
	for (size_t i = 0; i < in->n; i++)
		close(in->list[i].fd);
	in->n = 0;
	free(in->list);
	free(in->text);
	in->list = NULL;
	in->text = NULL;
}

/* ---- the giver's side ---- */

static void
put_value(struct textbuf *out, const struct inherit_socket *list, size_t n,
    int ready_fd, struct span more)
{
	textbuf_lit(out, VARIABLE "=");
	textbuf_u64(out, (uint64_t)getpid());
	textbuf_byte(out, ' ');
	textbuf_u64(out, (uint64_t)ready_fd);
	textbuf_byte(out, '\n');
	for (size_t i = 0; i < n; i++) {
		textbuf_u64(out, (uint64_t)list[i].fd);
		textbuf_byte(out, ' ');
		textbuf_str(out, kinds[list[i].kind]);
		textbuf_byte(out, ' ');
		textbuf_put(out, list[i].label);
		textbuf_byte(out, '\n');
	}
	textbuf_lit(out, "more\n");
	textbuf_put(out, more);
	textbuf_byte(out, '\0');
}

char **
inherit_environment(
    const struct inherit_socket *list, size_t n, int ready_fd, struct span more)
{
	size_t count = 0,
	       bytes = sizeof(VARIABLE "=") + (n + 2) * LINE_BYTES + more.len;
	struct textbuf out;
	char **all;

	while (environ[count] != NULL)
		count++;
	for (size_t i = 0; i < n; i++)
		bytes += list[i].label.len;
	all = malloc((count + 2) * sizeof(*all) + bytes);
	if (all == NULL)
		return NULL;
	out = textbuf_make((char *)&all[count + 2], bytes);
	put_value(&out, list, n, ready_fd, more);
	CHECK(!out.full);
	all[0] = out.ptr;
	memcpy(&all[1], environ, (count + 1) * sizeof(*all));
	return all;
}
