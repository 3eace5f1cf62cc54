/*
 * running - what a running evenkeel consists of, and what happens to it: for
 * start, stop and server, and for nobody else.
 *
 * Layer: control.  The control thread, but for what is called by workers.
 */
#ifndef EVENKEEL_CONTROL_RUNNING_H
#define EVENKEEL_CONTROL_RUNNING_H

#include <pthread.h>

#include "evenkeel/control/apply.h"
#include "evenkeel/control/demo.h"
#include "evenkeel/control/door.h"
#include "evenkeel/control/orders.h"
#include "evenkeel/control/pages.h"
#include "evenkeel/control/reload.h"
#include "evenkeel/control/server.h"
#include "evenkeel/control/upgrade.h"
#include "evenkeel/net/signals.h"

/* A reason in words. */
#define RUNNING_WHY_BYTES 1024
/* Signals that are watched. */
#define RUNNING_SIGNALS 6

/* Mail from workers, and of the loader. */
enum server_mail {
	SERVER_DRAINED,
	SERVER_FAILING,
	SERVER_SHORT,
	SERVER_UPDATED,
	SERVER_RELEASED,
	SERVER_LOADED
};

struct server {
	const struct server_options *o;
	char why_bytes[RUNNING_WHY_BYTES];
	struct textbuf why;
	struct log *log;
	struct log_ring *ring;
	struct loop *loop;
	struct mailbox *mail;
	struct names *names;
	struct registry *registry;
	struct secure_base base; /* the loader's while it runs */
	struct secure *secure;   /* of the start, until that is in force */
	struct worker_shared shared;
	struct worker **workers;
	struct log_ring **rings; /* of the workers */
	pthread_t *threads;
	uint32_t n_workers, n_threads;
	struct binds binds;
	struct guard *guard;
	struct admin admin;
	struct apply apply;
	struct reload *reload;
	struct pages pages;
	struct orders orders;
	struct door door;
	struct upgrade *upgrade;
	struct demo *demo;
	struct signal_watch *signals[RUNNING_SIGNALS];
	struct wheel_timer deadline; /* shutdown_timeout */
	/* While it starts: names are waited for.  Then: other addresses are to
	 * be tried again. */
	struct alarm patience;
	struct wheel_timer leave; /* LEAVE_MS */
	uint32_t n_drained;
	bool ready;   /* the first configuration is in force */
	bool stale;   /* addresses of names have changed since it came */
	bool refused; /* its certificates; standard error has said why */
	bool pid_written;
	bool handed_over; /* sockets, paths and all to another process */
};

/* ---- what workers call, and mail (server.c) ---- */

void server_on_mail(struct mail *m, void *arg);
void server_on_drained(struct worker *w, void *arg);
void server_on_failing(struct backend *b, void *arg);
void server_on_short(void *arg);
void server_on_updated(struct worker_update *u, void *arg);
void server_on_released(struct snapshot_hold *hold, void *arg);

/* ---- what the parts tell (server.c) ---- */

/* All workers have a configuration; it was put in force. */
void server_on_done(void *arg);
void server_on_applied(void *arg);
/* Names: other addresses; first answers; enough waited. */
void server_on_change(void *arg);
void server_on_settled(void *arg);
void server_on_patience(struct alarm *a);
void server_on_turn(void *arg);

#endif
