#include "evenkeel/net/mailbox.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox {
	_Atomic(struct mail *) top;
	int fd;
	struct event event;
	void (*on_mail)(struct mail *m, void *arg);
	void *arg;
};

static void
deliver(struct mailbox *b)
{
	struct mail *m =
	    atomic_exchange_explicit(&b->top, NULL, memory_order_acquire);
	struct mail *oldest = NULL;

	while (m != NULL) {
		struct mail *next = m->next;

		m->next = oldest;
		oldest = m;
		m = next;
	}
	while (oldest != NULL) {
		m = oldest;
		oldest = m->next;
		b->on_mail(m, b->arg);
	}
}

static void
mailbox_on_event(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;

	(void)what;
	/* Emptied first: a later post then raises it again. */
	if (read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
		deliver(arg);
}

struct mailbox *
mailbox_create(
    struct loop *l, void (*on_mail)(struct mail *m, void *arg), void *arg)
{
	struct mailbox *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	atomic_init(&b->top, NULL);
	b->on_mail = on_mail;
	b->arg = arg;
	b->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (b->fd >= 0 &&
	    event_assign(&b->event, l->base, b->fd, EV_READ | EV_PERSIST,
		mailbox_on_event, b) == 0 &&
	    event_add(&b->event, NULL) == 0)
		return b;
	if (b->fd >= 0)
		close(b->fd);
	free(b);
	return NULL;
}

void
mailbox_post(struct mailbox *b, struct mail *m)
{
	uint64_t one = 1;
	ssize_t n;

	m->next = atomic_load_explicit(&b->top, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(
	    &b->top, &m->next, m, memory_order_release, memory_order_relaxed))
		;
	/* Fails otherwise only when the counter is at its top: awake already.
	 */
	do
		n = write(b->fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
}

void
mailbox_free(struct mailbox *b)
{
	if (b == NULL)
		return;
	deliver(b);
	event_del(&b->event);
	close(b->fd);
	free(b);
}
