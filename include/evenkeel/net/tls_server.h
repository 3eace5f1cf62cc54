/*
 * tls_server - the certificates of a listener in one space.
 *
 * Its functions are in net/tls_context.h.  It lives as long as its first
 * SSL_CTX, which every stream refers to from beginning to end; other SSL_CTXs
 * differ from it in certificates alone, and a stream changes over to one when
 * the client names a host.
 *
 * Layer: net.  As in net/tls_context.h.
 */
#ifndef EVENKEEL_NET_TLS_SERVER_H
#define EVENKEEL_NET_TLS_SERVER_H

#include "evenkeel/net/tls_context.h"

#endif
