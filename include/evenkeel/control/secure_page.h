/*
 * secure_page - what the pages tell of TLS: which listeners speak it, how long
 * their certificates are good, how handshakes ended.
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_SECURE_PAGE_H
#define EVENKEEL_CONTROL_SECURE_PAGE_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/control/secure.h"
#include "evenkeel/proxy/snapshot.h"
#include "evenkeel/proxy/worker.h"

/* The member listeners, with a comma in front.  `secure` is that of the
 * snapshot's configuration; NULL: there is none. */
void secure_page_put_json(
    struct textbuf *out, const struct snapshot *s, const struct secure *secure);

/* A line for each listener that speaks TLS. */
void secure_page_put_text(struct textbuf *out, const struct snapshot *s,
    const struct secure *secure, int64_t now_unix_s);

/* The family evenkeel_tls_certificate_expiry_timestamp_seconds. */
void secure_page_put_expiries(struct textbuf *out, const struct secure *secure);

/* The family evenkeel_tls_handshakes_total. */
void secure_page_put_handshakes(
    struct textbuf *out, struct worker *const *workers, uint32_t n);

#endif
