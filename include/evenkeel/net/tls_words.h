/*
 * tls_words - lists of cipher names, checked name by name.
 *
 * OpenSSL passes over names that it does not know, so that a slip of the pen
 * would quietly leave other ciphers than were meant.
 *
 * Layer: net.  Any thread.
 */
#ifndef EVENKEEL_NET_TLS_WORDS_H
#define EVENKEEL_NET_TLS_WORDS_H

#include "evenkeel/net/tls_file.h"
#include "evenkeel/net/tls_space.h"

/* Of TLS 1.2 ("tls_ciphers") and TLS 1.3 ("tls_ciphersuites"); empty lists are
 * fine.  What is wrong is told. */
void tls_words_check(const struct tls_space *s, const struct tls_settings *t,
    struct tls_report *r);

#endif
