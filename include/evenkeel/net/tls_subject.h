/*
 * tls_subject - whom a client's certificate is about, as text.
 *
 * Its function is in net/tls_context.h.
 *
 * Layer: net.  The thread of the stream.
 *
 * Sources: RFC 4514 2 (names as text).
 */
#ifndef EVENKEEL_NET_TLS_SUBJECT_H
#define EVENKEEL_NET_TLS_SUBJECT_H

#include "evenkeel/net/tls_context.h"

#endif
