/*
 * system - what the machine and the process have to offer.
 *
 * Layer: net.  At start-up; any thread.
 */
#ifndef EVENKEEL_NET_SYSTEM_H
#define EVENKEEL_NET_SYSTEM_H

#include <stdbool.h>
#include <stdint.h>

#include "evenkeel/base/check.h"

/* Processors this process may use: those of its affinity mask, capped by the
 * quota of its cgroup (rounded up); at least 1. */
uint32_t system_cpus(void);

/* Raises the soft limit of descriptors to the hard one; returns it. */
uint64_t system_raise_files(void);

/* Random bytes of the kernel, for seeds. */
uint64_t system_seed(void);

/* Writes the number of this process to a file, in place of what is there.
 * False: errno says why. */
bool system_write_pid(const char *path) WARN_UNUSED;

/* Removes it, if it still has this number. */
void system_remove_pid(const char *path);

/* Numbers about this process, for process_* metrics. */
struct system_usage {
	uint64_t cpu_us;
	uint64_t open_files, max_files;
	uint64_t virtual_bytes, resident_bytes;
	uint64_t start_unix_ms;
};

/* What cannot be found out is 0. */
void system_usage(struct system_usage *u);

#endif
