#include "evenkeel/net/resolver.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "evenkeel/base/list.h"
#include "evenkeel/net/mailbox.h"
#include "evenkeel/net/thread.h"

/* What the helpers work on.  It lives until the resolver and the last helper
 * have let go. */
struct office {
	pthread_mutex_t lock; /* for all of it */
	pthread_cond_t wake;  /* something waits, or it is closed */
	struct mailbox *mail; /* NULL: closed */
	struct list waiting;  /* of struct resolver_query, oldest first */
	unsigned n_waiting, n_idle, n_threads;
	unsigned holders;
};

struct resolver {
	struct office *office;
	struct mailbox *mail;
	bool closing;
};

struct resolver_query {
	struct mail mail;
	struct list link; /* in office.waiting */
	enum lookup_kind kind;
	uint16_t port;
	_Atomic bool abandoned;
	struct lookup_result result; /* the helper's until it is mailed */
	resolver_on_answer *on_answer;
	void *arg;
	char name[];
};

static void
query_free(struct resolver_query *q)
{
	free(q->result.found);
	free(q);
}

/* ---- helpers ---- */

/* With the lock, which is gone then. */
static void
let_go(struct office *o)
{
	bool last = --o->holders == 0;

	pthread_mutex_unlock(&o->lock);
	if (!last)
		return;
	pthread_cond_destroy(&o->wake);
	pthread_mutex_destroy(&o->lock);
	free(o);
}

/* With the lock.  NULL: the office is closed. */
static struct resolver_query *
take_query(struct office *o)
{
	while (o->mail != NULL && o->n_waiting == 0) {
		o->n_idle++;
		pthread_cond_wait(&o->wake, &o->lock);
		o->n_idle--;
	}
	if (o->mail == NULL)
		return NULL;
	o->n_waiting--;
	return LIST_OWNER(
	    list_pop_front(&o->waiting), struct resolver_query, link);
}

static void *
helper_thread(void *arg)
{
	struct office *o = arg;
	struct resolver_query *q;

	pthread_mutex_lock(&o->lock);
	while ((q = take_query(o)) != NULL) {
		pthread_mutex_unlock(&o->lock);
		lookup(&q->result, q->kind, q->name, q->port, &q->abandoned);
		pthread_mutex_lock(&o->lock);
		if (o->mail != NULL)
			mailbox_post(o->mail, &q->mail);
		else
			query_free(q);
	}
	let_go(o);
	return NULL;
}

/* With the lock. */
static bool
start_helper(struct office *o)
{
	if (!thread_start(NULL, helper_thread, o))
		return false;
	o->n_threads++;
	o->holders++;
	return true;
}

/* ---- the loop's side ---- */

static void
resolver_on_mail(struct mail *m, void *arg)
{
	const struct resolver *r = arg;
	struct resolver_query *q = m->body;

	if (!r->closing && !atomic_load(&q->abandoned))
		q->on_answer(&q->result, q->arg);
	query_free(q);
}

static struct office *
open_office(struct mailbox *mail)
{
	struct office *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	if (pthread_mutex_init(&o->lock, NULL) != 0) {
		free(o);
		return NULL;
	}
	if (pthread_cond_init(&o->wake, NULL) != 0) {
		pthread_mutex_destroy(&o->lock);
		free(o);
		return NULL;
	}
	list_init(&o->waiting);
	o->mail = mail;
	o->holders = 1;
	return o;
}

struct resolver *
resolver_create(struct loop *l)
{
	struct resolver *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->mail = mailbox_create(l, resolver_on_mail, r);
	if (r->mail != NULL)
		r->office = open_office(r->mail);
	if (r->office != NULL)
		return r;
	mailbox_free(r->mail);
	free(r);
	return NULL;
}

void
resolver_free(struct resolver *r)
{
	struct office *o;
	struct list *link, *next;

	if (r == NULL)
		return;
	o = r->office;
	r->closing = true;
	pthread_mutex_lock(&o->lock);
	o->mail = NULL;
	for (link = o->waiting.next; link != &o->waiting; link = next) {
		next = link->next;
		query_free(LIST_OWNER(link, struct resolver_query, link));
	}
	list_init(&o->waiting);
	o->n_waiting = 0;
	pthread_cond_broadcast(&o->wake);
	let_go(o);
	mailbox_free(r->mail);
	free(r);
}

struct resolver_query *
resolver_ask(struct resolver *r, enum lookup_kind kind, const char *name,
    uint16_t port, resolver_on_answer *on_answer, void *arg)
{
	struct office *o = r->office;
	size_t bytes = strlen(name) + 1;
	struct resolver_query *q = calloc(1, sizeof(*q) + bytes);
	bool served;

	if (q == NULL)
		return NULL;
	q->mail.body = q;
	q->kind = kind;
	q->port = port;
	q->on_answer = on_answer;
	q->arg = arg;
	memcpy(q->name, name, bytes);
	pthread_mutex_lock(&o->lock);
	served = o->n_waiting < o->n_idle || o->n_threads == RESOLVER_THREADS ||
	    start_helper(o) || o->n_threads > 0;
	if (served) {
		list_push_back(&o->waiting, &q->link);
		o->n_waiting++;
		pthread_cond_signal(&o->wake);
	}
	pthread_mutex_unlock(&o->lock);
	if (served)
		return q;
	query_free(q);
	return NULL;
}

void
resolver_abandon(struct resolver *r, struct resolver_query *q)
{
	struct office *o = r->office;
	bool waits;

	pthread_mutex_lock(&o->lock);
	waits = !list_empty(&q->link);
	if (waits) {
		list_remove(&q->link);
		o->n_waiting--;
	}
	/* Else its helper ends early, and its mail is thrown away. */
	atomic_store(&q->abandoned, true);
	pthread_mutex_unlock(&o->lock);
	if (waits)
		query_free(q);
}
