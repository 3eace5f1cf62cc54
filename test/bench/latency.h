/*
 * latency - every latency of a run, and percentiles of them.
 *
 * Samples are kept one by one, up to a limit: no buckets, no rounding.
 */
#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include <stdbool.h>
#include <stdint.h>

/* False: no memory. */
bool latency_start(void);

/* Beyond 8 million samples they are no longer kept. */
void latency_add(uint64_t ns);

/* Once all are there. */
void latency_sort(void);

/* In us, after latency_sort(); `part` of 0.99 is p99.  0 without samples. */
double latency_percentile_us(double part);

#endif
