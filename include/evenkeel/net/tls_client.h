/*
 * tls_client - what streams to the backends of a pool have in common, in one
 * space.
 *
 * Its functions are in net/tls_context.h.  It lives as long as its SSL_CTX,
 * which every stream refers to.
 *
 * Layer: net.  As in net/tls_context.h.
 */
#ifndef EVENKEEL_NET_TLS_CLIENT_H
#define EVENKEEL_NET_TLS_CLIENT_H

#include "evenkeel/net/tls_context.h"

#endif
