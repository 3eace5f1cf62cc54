#include "evenkeel/net/thread.h"

#include <errno.h>
#include <signal.h>

static int
create(pthread_t *to, int state, void *(*run)(void *arg), void *arg)
{
	pthread_attr_t attr;
	int error = pthread_attr_init(&attr);

	if (error != 0)
		return error;
	error = pthread_attr_setdetachstate(&attr, state);
	if (error == 0)
		error = pthread_create(to, &attr, run, arg);
	pthread_attr_destroy(&attr);
	return error;
}

bool
thread_start(pthread_t *to, void *(*run)(void *arg), void *arg)
{
	pthread_t detached;
	sigset_t all, before;
	int error;

	sigfillset(&all);
	error = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (error == 0) {
		error = to != NULL
		    ? create(to, PTHREAD_CREATE_JOINABLE, run, arg)
		    : create(&detached, PTHREAD_CREATE_DETACHED, run, arg);
		(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	if (error != 0)
		errno = error;
	return error == 0;
}
