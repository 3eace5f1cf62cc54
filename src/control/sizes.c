#include "evenkeel/control/sizes.h"

#include "evenkeel/base/num.h"
#include "evenkeel/net/pipe.h"
#include "evenkeel/net/system.h"

/* Descriptors kept for what is not a connection: logs, admin and control; and
 * for each worker its loop, mailbox and listening sockets. */
#define RESERVED_FILES        40U
#define RESERVED_FILES_WORKER 7U
/* One of so many descriptors is for pipes. */
#define PIPES_SHARE     16U
#define CONNECTIONS_MAX 10000000U
#define CHECKS_RESERVED 1000U

uint32_t
sizes_workers(const struct cfg *cfg)
{
	uint32_t n = cfg->global.workers;

	if (n == CFG_AUTO)
		n = system_cpus();
	return n < CFG_WORKERS_MAX ? n : CFG_WORKERS_MAX;
}

/* Descriptors of checks that are under way at the same time. */
static uint64_t
checks_at_a_time(const struct cfg *cfg)
{
	uint64_t n = 0;

	for (size_t i = 0; i < cfg->n_pools; i++)
		if (cfg->pools[i].health != CFG_HEALTH_OFF)
			n += cfg->pools[i].n_backends;
	return num_min_u64(n, CHECKS_RESERVED);
}

void
sizes_share(const struct cfg *cfg, uint32_t workers, size_t binds,
    uint32_t *connections, uint32_t *pipes)
{
	uint64_t files = system_raise_files();
	uint64_t reserved = RESERVED_FILES + checks_at_a_time(cfg) +
	    workers * (RESERVED_FILES_WORKER + (uint64_t)binds);
	uint64_t left = files > reserved ? files - reserved : 0;
	uint64_t n = cfg->global.max_connections;

	*pipes = (uint32_t)num_min_u64(
	    left / PIPES_SHARE / 2 / workers, PIPE_POOL_MAX);
	if (n == CFG_AUTO)
		n = left / 2 - (uint64_t)*pipes * workers;
	*connections = (uint32_t)num_min_u64(n > 0 ? n : 1, CONNECTIONS_MAX);
}
