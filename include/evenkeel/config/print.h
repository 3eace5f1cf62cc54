/*
 * print - a configuration as INI text.
 *
 * Layer: config.  Pure.
 */
#ifndef EVENKEEL_CONFIG_PRINT_H
#define EVENKEEL_CONFIG_PRINT_H

#include "evenkeel/base/textbuf.h"
#include "evenkeel/config/config.h"

/* `evenkeel config`: the effective configuration as INI, which reads back as
 * the same; with `defaults` also the keys that have their default. */
void print_ini(struct textbuf *out, const struct cfg *cfg, bool defaults);

#endif
