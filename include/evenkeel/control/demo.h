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

/* Starts them.  NULL: no memory.  An address that cannot be bound is somebody
 * else's and is left alone. */
struct demo *demo_start(
    struct loop *l, const struct snapshot *s, struct log_ring *log) WARN_UNUSED;

void demo_stop(struct demo *d);

#endif
