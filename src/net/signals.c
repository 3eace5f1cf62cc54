#include "evenkeel/net/signals.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <signal.h>
#include <stdlib.h>

struct signal_watch {
	struct event event;
	int number;
	void (*on_signal)(int number, void *arg);
	void *arg;
};

static void
set_mask(int how)
{
	static const int watched[] = {
	    SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++)
		sigaddset(&set, watched[i]);
	pthread_sigmask(how, &set, NULL);
}

void
signals_block(void)
{
	signal(SIGPIPE, SIG_IGN);
	set_mask(SIG_BLOCK);
}

void
signals_allow(void)
{
	set_mask(SIG_UNBLOCK);
}

static void
signal_on_event(evutil_socket_t number, short what, void *arg)
{
	struct signal_watch *s = arg;

	(void)number;
	(void)what;
	s->on_signal(s->number, s->arg);
}

struct signal_watch *
signal_watch_create(struct loop *l, int number,
    void (*on_signal)(int number, void *arg), void *arg)
{
	struct signal_watch *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->number = number;
	s->on_signal = on_signal;
	s->arg = arg;
	if (event_assign(&s->event, l->base, number, EV_SIGNAL | EV_PERSIST,
		signal_on_event, s) == 0 &&
	    event_add(&s->event, NULL) == 0)
		return s;
	free(s);
	return NULL;
}

void
signal_watch_free(struct signal_watch *s)
{
	if (s == NULL)
		return;
	event_del(&s->event);
	free(s);
}
