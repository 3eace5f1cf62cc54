/*
 * clock - the two clocks: monotonic for deadlines, wall for records.
 *
 * Layer: net.  Any thread.  Cannot fail.
 */
#ifndef EVENKEEL_NET_CLOCK_H
#define EVENKEEL_NET_CLOCK_H

#include <stdint.h>

/* Monotonic; never goes back, starts anywhere. */
uint64_t clock_monotonic_us(void);

/* Milliseconds since the Unix epoch. */
uint64_t clock_unix_ms(void);

#endif
