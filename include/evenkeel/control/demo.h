/*
 * demo - small backends for trying evenkeel without a web server.
 *
 * One for each loopback address that the configuration names and nobody
 * listens on; each answers with its name and what it was asked.
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_DEMO_H
#define EVENKEEL_CONTROL_DEMO_H

#include "evenkeel/control/httpd.h"
#include "evenkeel/net/log.h"
#include "evenkeel/proxy/snapshot.h"

struct demo;

/* None yet.  NULL: no memory. */
struct demo *demo_create(struct loop *l, struct log_ring *log) WARN_UNUSED;

/* Starts those that the snapshot names and that do not run yet.  An address
 * that cannot be bound is somebody else's and is left alone.  `d` may be
 * NULL. */
void demo_serve(struct demo *d, const struct snapshot *s);

void demo_free(struct demo *d);

#endif
