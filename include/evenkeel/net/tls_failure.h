/*
 * tls_failure - what OpenSSL's errors mean, in plain words.
 *
 * Layer: net.  Any thread; an error queue is its thread's.
 *
 * Sources: RFC 8446 6.2 (alerts), RFC 5280 6 (paths), RFC 6125 6 (names).
 */
#ifndef EVENKEEL_NET_TLS_FAILURE_H
#define EVENKEEL_NET_TLS_FAILURE_H

#include "evenkeel/net/tls_context.h"

/* What stands in the thread's error queue, which is then empty; `otherwise`
 * when nothing does.  A static text. */
const char *tls_failure_words(const char *otherwise);

#endif
