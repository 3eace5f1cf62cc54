/*
 * check_tls - what only a whole section can tell about its TLS.
 *
 * Layer: config.  Pure.  Internal to the layer.
 */
#ifndef EVENKEEL_CONFIG_CHECK_TLS_H
#define EVENKEEL_CONFIG_CHECK_TLS_H

#include "evenkeel/config/draft.h"

/* Reports certificates, keys and staples that do not go together, and keys of a
 * listener that does not speak TLS. */
void check_tls(struct cfg_build *b, const struct draft_section *s);

/* Warns of what protects less than it seems to, or does nothing. */
void check_tls_warn(struct cfg_build *b, const struct draft_section *s);

/* The listener sends all clients elsewhere, or would if its `redirect` were
 * good. */
bool check_tls_redirects(const struct draft_section *s);

#endif
