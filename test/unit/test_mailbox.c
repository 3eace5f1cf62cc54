/* layer: net */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "evenkeel/net/mailbox.h"
#include "loop_until.h"

#define PRODUCERS 6
#define LETTERS   5000

static struct mailbox *box;

struct letter {
	struct mail mail;
	unsigned number;
};

struct producer {
	pthread_t thread;
	pthread_barrier_t *begin;
	int number;
	struct letter *letters;
	unsigned got; /* the receiver's */
};

static struct producer producers[PRODUCERS];
static unsigned delivered;

static void
on_mail(struct mail *m, void *arg)
{
	struct letter *l = (struct letter *)(void *)m;
	struct producer *p = m->body;

	assert_ptr_equal(arg, &producers);
	assert_int_equal(m->kind, p->number);
	/* In the order in which this producer has sent. */
	assert_int_equal(l->number, p->got);
	p->got++;
	delivered++;
	/* The receiver owns it: it may be gone at once. */
	memset(l, 0xee, sizeof(*l));
}

static int
open_box(void **state)
{
	if (open_loop(state) != 0)
		return -1;
	delivered = 0;
	memset(producers, 0, sizeof(producers));
	box = mailbox_create(loop, on_mail, &producers);
	return box != NULL ? 0 : -1;
}

static struct letter
letter(struct producer *p, unsigned number)
{
	return (struct letter){
	    .mail = {.kind = p->number, .body = p}, .number = number};
}

static void *
produce(void *arg)
{
	struct producer *p = arg;

	pthread_barrier_wait(p->begin);
	for (unsigned i = 0; i < LETTERS; i++) {
		p->letters[i] = letter(p, i);
		mailbox_post(box, &p->letters[i].mail);
	}
	return NULL;
}

/* Many threads at once, against a loop that is always awake. */
static void
nothing_is_lost(void **state)
{
	pthread_barrier_t begin;

	(void)state;
	assert_int_equal(pthread_barrier_init(&begin, NULL, PRODUCERS + 1), 0);
	for (int i = 0; i < PRODUCERS; i++) {
		struct producer *p = &producers[i];

		p->number = i;
		p->begin = &begin;
		p->letters = calloc(LETTERS, sizeof(*p->letters));
		assert_non_null(p->letters);
		assert_int_equal(
		    pthread_create(&p->thread, NULL, produce, p), 0);
	}
	pthread_barrier_wait(&begin);
	TURN_UNTIL(delivered == PRODUCERS * LETTERS);
	for (int i = 0; i < PRODUCERS; i++) {
		pthread_join(producers[i].thread, NULL);
		assert_int_equal(producers[i].got, LETTERS);
		free(producers[i].letters);
	}
	pthread_barrier_destroy(&begin);
	turn_once();
	assert_int_equal(delivered, PRODUCERS * LETTERS);
	mailbox_free(box);
}

static unsigned watchdog;

static void
on_watchdog(struct wheel_timer *t, uint64_t now_ms)
{
	(void)t;
	(void)now_ms;
	watchdog++;
	loop_stop(loop);
}

static void *
post_one(void *arg)
{
	mailbox_post(box, arg);
	return NULL;
}

/* A post wakes a loop that is asleep.  Its tick does too, but brings no mail.
 */
static void
wakes_the_sleeper(void **state)
{
	struct letter l = letter(&producers[0], 0);
	struct wheel_timer t;
	pthread_t thread;

	(void)state;
	loop->ops = NULL;
	watchdog = 0;
	wheel_timer_init(&t, on_watchdog);
	loop_arm(loop, &t, loop_now_ms(loop) + 20000);
	assert_int_equal(pthread_create(&thread, NULL, post_one, &l.mail), 0);
	while (delivered == 0 && watchdog == 0)
		assert_int_not_equal(
		    event_base_loop(loop->base, EVLOOP_ONCE), -1);
	assert_int_equal(delivered, 1);
	pthread_join(thread, NULL);
	wheel_remove(&loop->wheel, &t);
	mailbox_free(box);
}

static void
delivers_before_it_ends(void **state)
{
	struct letter l[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		l[i] = letter(&producers[0], i);
		mailbox_post(box, &l[i].mail);
	}
	assert_int_equal(delivered, 0);
	mailbox_free(box);
	assert_int_equal(delivered, 3);
	mailbox_free(NULL);
}

#define BOXED(test) cmocka_unit_test_setup_teardown(test, open_box, close_loop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    BOXED(nothing_is_lost),
	    BOXED(wakes_the_sleeper),
	    BOXED(delivers_before_it_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
