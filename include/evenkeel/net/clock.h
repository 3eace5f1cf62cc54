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

/* Returns so much later, or a little earlier after a signal.  Not for a thread
 * that runs a loop. */
void clock_sleep_ms(uint32_t ms);

/* Processor time that this thread has used. */
uint64_t clock_thread_us(void);

/* Milliseconds since the Unix epoch. */
uint64_t clock_unix_ms(void);

#endif
