/*
 * compile - from a configuration to the form that the request path uses, but
 * for the objects it refers to, which are the registry's.
 *
 * Layer: control.  The control thread.
 */
#ifndef EVENKEEL_CONTROL_COMPILE_H
#define EVENKEEL_CONTROL_COMPILE_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/control/secure.h"
#include "evenkeel/proxy/snapshot.h"

/* `s` is zeroed.  Pools come without backends and upstreams, listeners without
 * fronts.  False: no memory; what there is, is for compile_free. */
bool compile_snapshot(
    struct snapshot *s, const struct cfg *cfg, uint32_t workers) WARN_UNUSED;

/* Gives TLS to the listeners and pools of `s` that have it; `secure`, of the
 * same configuration, must outlive it.  NULL: nothing was loaded. */
void compile_secure(struct snapshot *s, const struct secure *secure);

/* What compile_snapshot has made, and the lists of backends. */
void compile_free(struct snapshot *s);

#endif
