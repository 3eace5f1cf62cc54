#include "evenkeel/net/alarm.h"

#include <event2/event.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "evenkeel/net/loop.h"

/* ---- the heap: each parent is due no later than its children ---- */

/* The later of two roots becomes the first child of the other. */
static struct alarm *
meld(struct alarm *a, struct alarm *b)
{
	struct alarm *late = b;

	if (a == NULL || b == NULL)
		return a != NULL ? a : b;
	if (b->due_us < a->due_us) {
		late = a;
		a = b;
	}
	late->prev = a;
	late->next = a->child;
	if (late->next != NULL)
		late->next->prev = late;
	a->child = late;
	a->next = a->prev = NULL;
	return a;
}

/* Takes the first off a list of roots. */
static struct alarm *
take(struct alarm **list)
{
	struct alarm *a = *list;

	if (a != NULL) {
		*list = a->next;
		a->next = a->prev = NULL;
	}
	return a;
}

/* One heap of a list of them: in pairs from the left, those then from the
 * right. */
static struct alarm *
meld_all(struct alarm *list)
{
	struct alarm *pairs = NULL, *all = NULL;

	while (list != NULL) {
		struct alarm *a = take(&list);
		struct alarm *pair = meld(a, take(&list));

		pair->next = pairs;
		pairs = pair;
	}
	while (pairs != NULL) {
		struct alarm *pair = take(&pairs);

		all = meld(all, pair);
	}
	return all;
}

static void
heap_remove(struct alarms *all, struct alarm *a)
{
	struct alarm *below = meld_all(a->child);

	if (all->first == a) {
		all->first = below;
	} else {
		if (a->prev->child == a)
			a->prev->child = a->next;
		else
			a->prev->next = a->next;
		if (a->next != NULL)
			a->next->prev = a->prev;
		all->first = meld(all->first, below);
	}
	a->child = a->next = a->prev = NULL;
	a->pending = false;
}

void
alarm_init(struct alarm *a, void (*expired)(struct alarm *a))
{
	*a = (struct alarm){.expired = expired};
}

void
alarm_arm(struct loop *l, struct alarm *a, uint64_t due_us)
{
	struct alarms *all = &l->alarms;

	if (a->pending)
		heap_remove(all, a);
	/* One that arms itself for now goes off in the next turn. */
	if (due_us <= all->running_us)
		due_us = all->running_us + 1;
	a->due_us = due_us;
	a->pending = true;
	all->first = meld(all->first, a);
}

void
alarm_cancel(struct loop *l, struct alarm *a)
{
	if (a->pending)
		heap_remove(&l->alarms, a);
}

/* ---- the timer ---- */

static void
alarms_on_time(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;
	struct alarms *all = &l->alarms;

	(void)fd;
	(void)what;
	/* Edge-triggered and set anew each time: there is nothing to read. */
	all->set_us = ALARM_UNSET;
	all->running_us = loop_clock(l);
	for (int i = 0; i < ALARM_BURST && all->first != NULL &&
	     all->first->due_us <= all->running_us;
	     i++) {
		struct alarm *a = all->first;

		heap_remove(all, a);
		a->expired(a);
	}
	all->running_us = 0;
}

bool
alarms_set(struct loop *l)
{
	struct alarms *all = &l->alarms;
	struct itimerspec when = {{0, 0}, {0, 0}};
	uint64_t due_us;

	if (all->first == NULL || all->first->due_us >= all->set_us)
		return true;
	/* 0 would disarm it. */
	due_us = all->first->due_us > 0 ? all->first->due_us : 1;
	when.it_value.tv_sec = (time_t)(due_us / 1000000);
	when.it_value.tv_nsec = (long)(due_us % 1000000 * 1000);
	if (timerfd_settime(all->fd, TFD_TIMER_ABSTIME, &when, NULL) != 0)
		return false;
	all->set_us = all->first->due_us;
	return true;
}

bool
alarms_open(struct loop *l)
{
	struct alarms *all = &l->alarms;

	*all = (struct alarms){.set_us = ALARM_UNSET,
	    .fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)};
	if (all->fd < 0)
		return false;
	all->event = event_new(
	    l->base, all->fd, EV_READ | EV_ET | EV_PERSIST, alarms_on_time, l);
	if (all->event != NULL && event_add(all->event, NULL) == 0)
		return true;
	alarms_close(l);
	return false;
}

void
alarms_close(struct loop *l)
{
	struct alarms *all = &l->alarms;

	if (all->event != NULL)
		event_free(all->event);
	if (all->fd >= 0)
		close(all->fd);
	all->event = NULL;
	all->fd = -1;
}
