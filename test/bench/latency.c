#include "latency.h"

#include <stdlib.h>

#define SAMPLES (8U << 20)

static uint64_t *samples;
static size_t n;

bool
latency_start(void)
{
	samples = calloc(SAMPLES, sizeof(*samples));
	return samples != NULL;
}

void
latency_add(uint64_t ns)
{
	if (n < SAMPLES)
		samples[n++] = ns;
}

static int
by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

void
latency_sort(void)
{
	qsort(samples, n, sizeof(*samples), by_size);
}

double
latency_percentile_us(double part)
{
	if (n == 0)
		return 0;
	size_t at = (size_t)(part * (double)n);
	return (double)samples[at < n ? at : n - 1] / 1000;
}
