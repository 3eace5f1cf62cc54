#include "evenkeel/control/binds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "evenkeel/control/sockets.h"

void
binds_init(
    struct binds *b, uint32_t workers, struct inherit *in, struct log_ring *log)
{
	*b = (struct binds){.workers = workers, .inherit = in, .log = log};
}

/* The file of a unix socket, unless it is systemd's. */
static void
remove_file(const struct bind *b)
{
	if (b->asked.u.any.sa_family == AF_UNIX && b->kind == INHERIT_ALONE)
		unlink(b->asked.u.un.sun_path);
}

/* By which a port that the kernel chose is found. */
static struct span
put_label(char *bytes, const struct bind *b)
{
	struct textbuf out = textbuf_make(bytes, BINDS_LABEL_BYTES);

	textbuf_put(&out, b->front->name_span);
	textbuf_byte(&out, ' ');
	address_put(&out, &b->asked);
	return textbuf_span(&out);
}

/* One of the binds in force has the same port, on an address that is one of
 * `a`, or `a` is one of its. */
static bool
overlaps(const struct binds *now, const struct address *a)
{
	uint16_t port = address_port(a);

	for (size_t i = 0; port != 0 && i < now->n; i++) {
		const struct address *b = &now->list[i].bound;

		if (b->u.any.sa_family == a->u.any.sa_family &&
		    address_port(b) == port &&
		    (address_is_any(a) || address_is_any(b)))
			return true;
	}
	return false;
}

/* The bind in force with that address that no other of `next` keeps. */
static const struct bind *
find_kept(const struct binds *next, const struct binds *now,
    const struct address *asked)
{
	for (size_t i = 0; i < now->n; i++) {
		const struct bind *b = &now->list[i];
		bool taken = false;

		if (!address_equal(&b->asked, asked))
			continue;
		for (size_t k = 0; k < next->n; k++)
			taken |= next->list[k].sockets == b->sockets;
		if (!taken)
			return b;
	}
	return NULL;
}

static bool
bind_new(struct binds *next, const struct binds *now, struct bind *b,
    struct textbuf *why)
{
	char label[BINDS_LABEL_BYTES];
	struct sockets k;

	if (!sockets_open(&k,
		&(struct sockets_want){.inherit = next->inherit,
		    .asked = b->asked,
		    .label = put_label(label, b),
		    .beside = overlaps(now, &b->asked),
		    .workers = next->workers},
		why))
		return false;
	b->sockets = calloc(k.n, sizeof(*b->sockets));
	if (b->sockets == NULL) {
		textbuf_lit(why, "out of memory");
		sockets_close(&k);
		return false;
	}
	b->kind = k.kind;
	b->inherited = k.inherited;
	b->bound = k.bound;
	b->n_sockets = k.n;
	b->n_listen = k.n_listen;
	b->id = ++next->last_id;
	for (size_t i = 0; i < k.n; i++)
		b->sockets[i] = (struct bind_socket){.fd = k.fds[i],
		    .id = ++next->last_id,
		    .worker = (uint32_t)(i % next->workers)};
	free(k.fds);
	return true;
}

static bool
prepare_bind(struct binds *next, const struct binds *now,
    const struct cfg_addr *addr, struct front *front, struct textbuf *why)
{
	struct bind b = {.front = front};
	const struct bind *kept;

	if (!address_resolve(&b.asked, addr, why))
		return false;
	kept = find_kept(next, now, &b.asked);
	if (kept != NULL) {
		b = *kept;
		b.front = front;
		b.kept = true;
	} else if (!bind_new(next, now, &b, why)) {
		return false;
	}
	next->list[next->n++] = b;
	return true;
}

static void
put_place(struct textbuf *why, const char *file, const struct cfg_addr *a,
    const struct cfg_listener *l)
{
	textbuf_str(why, file);
	if (a->line > 0) {
		textbuf_byte(why, ':');
		textbuf_u64(why, a->line);
	}
	textbuf_lit(why, ": [listener ");
	textbuf_str(why, l->name);
	textbuf_lit(why, "] bind: ");
}

/* Goes on behind a failure, so that all of them are told. */
static bool
prepare_all(struct binds *next, const struct binds *now,
    const struct snapshot *s, const char *file, struct textbuf *why)
{
	bool all = true;

	for (size_t l = 0; l < s->n_listeners; l++) {
		const struct cfg_listener *cfg = s->listeners[l].cfg;

		for (size_t i = 0; i < cfg->n_binds; i++) {
			size_t start = why->len;

			put_place(why, file, &cfg->binds[i], cfg);
			if (prepare_bind(next, now, &cfg->binds[i],
				s->listeners[l].front, why)) {
				why->len = start;
				continue;
			}
			textbuf_byte(why, '\n');
			all = false;
		}
	}
	return all;
}

bool
binds_prepare(struct binds *next, const struct binds *now,
    const struct snapshot *s, const char *file, struct textbuf *why)
{
	size_t n = 0;

	binds_init(next, now->workers, now->inherit, now->log);
	next->last_id = now->last_id;
	for (size_t l = 0; l < s->n_listeners; l++)
		n += s->listeners[l].cfg->n_binds;
	next->list = calloc(n, sizeof(*next->list));
	if (next->list == NULL)
		textbuf_lit(why, "out of memory\n");
	else if (prepare_all(next, now, s, file, why))
		return true;
	binds_rollback(next);
	return false;
}

void
binds_rollback(struct binds *next)
{
	for (size_t i = 0; i < next->n; i++) {
		struct bind *b = &next->list[i];

		if (b->kept)
			continue;
		for (size_t k = 0; k < b->n_sockets; k++)
			close(b->sockets[k].fd);
		if (!b->inherited)
			remove_file(b);
		free(b->sockets);
	}
	free(next->list);
	next->list = NULL;
	next->n = 0;
}

static size_t
count_of(const struct binds *b, uint32_t worker)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		for (size_t k = 0; k < b->list[i].n_sockets; k++)
			n += b->list[i].sockets[k].worker == worker;
	return n;
}

static bool
take_socket(const struct bind *b, const struct bind_socket *s, struct worker *w,
    struct worker_bind *to)
{
	*to =
	    (struct worker_bind){.id = s->id, .bind = b->id, .front = b->front};
	if (b->kept)
		return true;
	to->acceptor = worker_acceptor(w, s->fd, b->id);
	return to->acceptor != NULL;
}

bool
binds_take(const struct binds *next, struct worker *w,
    struct worker_bind **list, size_t *n)
{
	*n = 0;
	*list = calloc(count_of(next, w->index) + 1, sizeof(**list));
	if (*list == NULL)
		return false;
	for (size_t i = 0; i < next->n; i++) {
		const struct bind *b = &next->list[i];

		for (size_t k = 0; k < b->n_sockets; k++) {
			if (b->sockets[k].worker != w->index)
				continue;
			if (!take_socket(b, &b->sockets[k], w, &(*list)[*n])) {
				binds_untake(*list, *n);
				return false;
			}
			++*n;
		}
	}
	return true;
}

void
binds_untake(struct worker_bind *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		acceptor_drop(list[i].acceptor);
	free(list);
}

static void
say(struct binds *b, const char *what, const struct bind *bind)
{
	char text[ADDRESS_TEXT_BYTES];
	struct textbuf shown = textbuf_make(text, sizeof(text) - 1);

	address_put(&shown, &bind->bound);
	text[shown.len] = '\0';
	log_message(b->log, LOG_LEVEL_INFO, "%s %s%s", what, text,
	    bind->kind == INHERIT_GIVEN ? " (socket of systemd)" : "");
}

static bool
keeps(const struct binds *next, const struct bind *b)
{
	for (size_t i = 0; i < next->n; i++)
		if (next->list[i].sockets == b->sockets)
			return true;
	return false;
}

void
binds_commit(struct binds *now, struct binds *next)
{
	for (size_t i = 0; i < next->n; i++) {
		if (!next->list[i].kept)
			say(now, "listening on", &next->list[i]);
		next->list[i].kept = true;
	}
	for (size_t i = 0; i < now->n; i++) {
		struct bind *b = &now->list[i];

		if (keeps(next, b))
			continue;
		say(now, "not listening any more on", b);
		remove_file(b);
		free(b->sockets);
	}
	free(now->list);
	*now = *next;
	next->list = NULL;
	next->n = 0;
}

static bool
start_one(struct bind *b, struct textbuf *why)
{
	for (; b->n_listen < b->n_sockets; b->n_listen++) {
		if (listener_start(b->sockets[b->n_listen].fd))
			continue;
		address_put(why, &b->bound);
		textbuf_lit(why, ": ");
		textbuf_str(why, strerror(errno));
		return false;
	}
	return true;
}

bool
binds_start(struct binds *b, struct textbuf *why)
{
	for (size_t i = 0; i < b->n; i++)
		if (!start_one(&b->list[i], why))
			return false;
	return true;
}

size_t
binds_count(const struct binds *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		n += b->list[i].n_sockets;
	return n;
}

size_t
binds_hand_over(const struct binds *b, struct inherit_socket *to, char *labels)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++) {
		const struct bind *bind = &b->list[i];
		struct span label = put_label(labels, bind);
		/* The others of one that is shared are the same socket. */
		size_t each = bind->kind == INHERIT_GROUP ? bind->n_sockets : 1;

		for (size_t k = 0; k < each; k++)
			to[n++] =
			    (struct inherit_socket){.fd = bind->sockets[k].fd,
				.kind = bind->kind,
				.label = label};
		labels += BINDS_LABEL_BYTES;
	}
	return n;
}

void
binds_unlink(const struct binds *b, bool inherited_too)
{
	for (size_t i = 0; i < b->n; i++)
		if (inherited_too || !b->list[i].inherited)
			remove_file(&b->list[i]);
}

void
binds_free(struct binds *b)
{
	for (size_t i = 0; i < b->n; i++)
		free(b->list[i].sockets);
	free(b->list);
	b->list = NULL;
	b->n = 0;
}

bool
binds_moved(const struct binds *now, const struct binds *next)
{
	for (size_t i = 0; i < next->n; i++)
		for (size_t k = 0; k < now->n; k++)
			if (next->list[i].id == now->list[k].id &&
			    next->list[i].front != now->list[k].front)
				return true;
	return false;
}
