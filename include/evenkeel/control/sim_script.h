/*
 * sim_script - the language in which an outage is told to `simulate`.
 *
 * Statements, one a line or separated by ';', in any order:
 *
 *     duration 60s                       how long requests come
 *     rate 500/s [even|random]           how many; random is a Poisson process
 *     latency 5ms..20ms                  of a healthy backend
 *     connect 1ms                        how long connecting takes
 *     mix GET 90% POST 10%
 *     seed 1
 *     pool web
 *     [at 10s] [for 30s:] backend WHO FAULT [for 30s]
 *
 * WHO is a name, a number (1 is the first of the pool) or *; FAULT is down,
 * blackhole, reset, slow 2s, or a status such as 503, with a percentage when
 * not everybody meets it.  docs/simulate.md says it at length.
 *
 * Layer: control.  Any thread; no state of its own.
 */
#ifndef EVENKEEL_CONTROL_SIM_SCRIPT_H
#define EVENKEEL_CONTROL_SIM_SCRIPT_H

#include "evenkeel/base/check.h"
#include "evenkeel/base/textbuf.h"
#include "evenkeel/config/config.h"
#include "evenkeel/control/sim_words.h"

/* Of a script. */
#define SIM_SCRIPT_BYTES 65536U
#define SIM_FAULTS_MAX   100
#define SIM_RATE_MAX     1000000000ULL /* in thousandths */
#define SIM_REQUESTS_MAX 20000000ULL
#define SIM_ALL          UINT32_MAX
/* Of an outage that says no time: then, or after a sixth of the duration. */
#define SIM_FAULT_FROM_US 10000000ULL

enum sim_fault_kind {
	SIM_DOWN,      /* refuses connections, breaks off what is under way */
	SIM_BLACKHOLE, /* answers nothing, not even a connect */
	SIM_RESET,     /* takes requests and breaks off */
	SIM_STATUS,
	SIM_SLOW,
	SIM_FAULT_KINDS
};

struct sim_fault {
	enum sim_fault_kind kind;
	uint32_t backend; /* its index, or SIM_ALL */
	uint32_t share;   /* of SIM_WHOLE: who meets it */
	uint64_t from_us, until_us;
	unsigned status;         /* of STATUS */
	uint32_t retry_after_ms; /* of STATUS; 0: none */
	struct sim_range slow;   /* of SLOW */
	unsigned line;
};

struct sim_script {
	const struct cfg_pool *pool;
	uint64_t duration_us;
	uint64_t rate_milli; /* requests in 1000 s */
	bool even;
	struct sim_range latency, connect;
	uint32_t safe_share; /* of SIM_WHOLE: idempotent requests */
	uint64_t seed;
	struct sim_fault faults[SIM_FAULTS_MAX];
	size_t n_faults;
};

/*
 * Reads `text` about a pool of `cfg`.  False: `why` has the first mistake as
 * "line 3: ...".  The configuration must outlive the script.
 */
bool sim_script_parse(struct sim_script *s, const struct cfg *cfg,
    struct span text, struct textbuf *why) WARN_UNUSED;

#endif
