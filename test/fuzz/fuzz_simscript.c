/*
 * Any text as the script of a simulation: it is either read, and then within
 * its bounds, or there is one line that says what is wrong.
 */
#include <stdint.h>

#include "evenkeel/control/sim_script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct cfg *
config(void)
{
	static struct cfg_backend backends[] = {
	    {.name = "web1", .addr = {.text = "127.0.0.1:3001"}},
	    {.name = "127.0.0.1:3002", .addr = {.text = "127.0.0.1:3002"}}};
	static struct cfg_pool pools[] = {
	    {.name = "web", .backends = backends, .n_backends = 2}};
	static const struct cfg cfg = {.pools = pools, .n_pools = 1};

	return &cfg;
}

static void
check_fault(const struct sim_script *s, const struct sim_fault *f)
{
	CHECK(f->kind < SIM_FAULT_KINDS && f->share <= SIM_WHOLE);
	CHECK(f->backend == SIM_ALL || f->backend < s->pool->n_backends);
	CHECK(f->from_us < s->duration_us && f->from_us < f->until_us);
	CHECK(f->kind != SIM_STATUS || (f->status >= 400 && f->status <= 599));
	CHECK(f->slow.from_us <= f->slow.to_us &&
	    f->slow.to_us <= SIM_TIME_MAX_US);
}

static void
check_script(const struct sim_script *s)
{
	CHECK(s->pool != NULL && s->n_faults <= SIM_FAULTS_MAX);
	CHECK(s->duration_us > 0 && s->duration_us <= SIM_TIME_MAX_US);
	CHECK(s->rate_milli > 0 && s->rate_milli <= SIM_RATE_MAX);
	CHECK(s->safe_share <= SIM_WHOLE);
	CHECK(s->latency.from_us <= s->latency.to_us &&
	    s->connect.from_us <= s->connect.to_us);
	for (size_t i = 0; i < s->n_faults; i++)
		check_fault(s, &s->faults[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sim_script script;
	char bytes[1024];
	struct textbuf why = textbuf_make(bytes, sizeof(bytes));

	if (sim_script_parse(
		&script, config(), span_make((const char *)data, size), &why)) {
		CHECK(why.len == 0);
		check_script(&script);
		return 0;
	}
	CHECK(why.len > 0 && !why.full);
	for (size_t i = 0; i < why.len; i++)
		CHECK(bytes[i] >= 0x20 && bytes[i] < 0x7f);
	return 0;
}
