/*
 * stop - signals, and the ways in which a process ends: it drains, or another
 * one takes over.
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_STOP_H
#define EVENKEEL_CONTROL_STOP_H

#include "evenkeel/control/running.h"

/* RUNNING_SIGNALS of them. */
extern const int stop_signals[];

void stop_on_signal(int number, void *arg);
/* shutdown_timeout is over. */
void stop_on_deadline(struct wheel_timer *t, uint64_t now_ms);
/* After an upgrade idle clients have had their time. */
void stop_on_leave(struct wheel_timer *t, uint64_t now_ms);
void stop_on_upgraded(pid_t pid, struct span words, void *arg);
void stop_on_upgrade_failed(void *arg);

/* Ends the workers' threads. */
void stop_workers(struct server *s);

#endif
