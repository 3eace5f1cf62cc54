#include "evenkeel/control/sim_script.h"

#include "evenkeel/base/num.h"
#include "evenkeel/config/nearest.h"
#include "evenkeel/control/sim_words.h"

/* A time that a statement does not say. */
#define UNSAID UINT64_MAX

#define SETTINGS "duration|rate|latency|connect|mix|seed|pool"
#define CLAUSES  "at|for|from|until|backend"
#define FAULTS   "down|blackhole|reset|slow|retry-after"
#define METHODS  "GET|HEAD|OPTIONS|PUT|DELETE|TRACE|POST|PATCH"

struct statement {
	struct sim_script *s;
	const struct cfg *cfg;
	struct sim_words w;
};

/* ---- settings ---- */

static bool
set_rate(struct statement *st)
{
	struct span word, rest;
	uint64_t milli = 0;

	(void)sim_words_take(&st->w, &word);
	rest = word;
	if (!sim_words_take_number(&rest, &milli))
		return sim_words_bad(&st->w, word, "not a rate, such as 500/s");
	if (sim_words_is(rest, "/m") || sim_words_is(rest, "/min"))
		milli /= 60;
	else if (rest.len > 0 && !sim_words_is(rest, "/s") &&
	    !sim_words_is(rest, "rps"))
		return sim_words_bad(&st->w, word, "not a rate, such as 500/s");
	if (milli == 0 || milli > SIM_RATE_MAX)
		return sim_words_bad(
		    &st->w, word, "allowed: 0.001/s..1000000/s");
	st->s->rate_milli = milli;
	if (!sim_words_take(&st->w, &word))
		return true;
	st->s->even = sim_words_is(word, "even");
	return st->s->even || sim_words_is(word, "random") ||
	    sim_words_bad(&st->w, word, "not even or random");
}

static bool
set_duration(struct statement *st)
{
	if (!sim_words_take_time(&st->w, &st->s->duration_us))
		return false;
	return st->s->duration_us > 0 ||
	    sim_words_bad(
		&st->w, SPAN_NONE, "the duration is 0; allowed: up to 24h");
}

static bool
set_seed(struct statement *st)
{
	struct span word;

	(void)sim_words_take(&st->w, &word);
	return num_parse_u64(word, UINT64_MAX, &st->s->seed) ||
	    sim_words_bad(&st->w, word, "not a whole number");
}

/* Each method with its share; what is left over is GET. */
static bool
set_mix(struct statement *st)
{
	static const char *const unsafe[] = {"POST", "PATCH", NULL};
	static const char *const safe[] = {
	    "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", NULL};
	uint32_t sum = 0, once = 0, share;
	struct span word;

	while (sim_words_take(&st->w, &word)) {
		struct nearest near;
		bool repeat = sim_words_is_any(word, safe);

		nearest_init(&near, word);
		nearest_offer_words(&near, METHODS);
		if (!repeat && !sim_words_is_any(word, unsafe))
			return sim_words_bad_near(
			    &st->w, "not a method", &near);
		share = SIM_WHOLE - sum;
		if (sim_words_take(&st->w, &word) &&
		    !sim_words_share_of(word, &share))
			return sim_words_bad(
			    &st->w, word, "not a share, such as 10%");
		if (share > SIM_WHOLE - sum)
			return sim_words_bad(
			    &st->w, word, "more than 100% in all");
		sum += share;
		once += repeat ? 0 : share;
	}
	st->s->safe_share = SIM_WHOLE - once;
	return sum > 0 ||
	    sim_words_bad(
		&st->w, SPAN_NONE, "a method is missing: mix GET 90% POST 10%");
}

static bool
set_pool(struct statement *st)
{
	struct nearest near;
	struct span word;

	(void)sim_words_take(&st->w, &word);
	nearest_init(&near, word);
	for (size_t i = 0; i < st->cfg->n_pools; i++) {
		struct span name = span_of(st->cfg->pools[i].name);

		nearest_offer(&near, name);
		if (span_equal(name, word)) {
			st->s->pool = &st->cfg->pools[i];
			return true;
		}
	}
	return sim_words_bad_near(&st->w, "there is no such pool", &near);
}

static bool
set_latency(struct statement *st)
{
	return sim_words_take_range(&st->w, &st->s->latency);
}

static bool
set_connect(struct statement *st)
{
	return sim_words_take_range(&st->w, &st->s->connect);
}

/* True: it was one, well or badly said; `fine` says which. */
static bool
setting(struct statement *st, bool *fine)
{
	static const struct {
		const char *name;
		bool (*set)(struct statement *st);
	} settings[] = {{"duration", set_duration}, {"rate", set_rate},
	    {"latency", set_latency}, {"connect", set_connect},
	    {"mix", set_mix}, {"seed", set_seed}, {"pool", set_pool}};
	struct span more;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (!sim_words_is(st->w.words[0], settings[i].name))
			continue;
		st->w.at = 1;
		*fine = settings[i].set(st);
		if (*fine && sim_words_take(&st->w, &more))
			*fine = sim_words_bad(
			    &st->w, more, "nothing more is expected here");
		return true;
	}
	return false;
}

/* ---- faults ---- */

static bool
take_backend(struct statement *st, uint32_t *backend)
{
	const struct cfg_pool *p = st->s->pool;
	struct nearest near;
	struct span word;
	uint64_t number;

	if (!sim_words_take(&st->w, &word))
		return sim_words_bad(&st->w, SPAN_NONE,
		    "which backend? a name, a number from 1, or *");
	*backend = SIM_ALL;
	if (sim_words_is(word, "*") || sim_words_is(word, "all"))
		return true;
	nearest_init(&near, word);
	for (uint32_t i = 0; i < p->n_backends; i++) {
		struct span name = span_of(p->backends[i].name);

		nearest_offer(&near, name);
		*backend = i;
		if (span_equal(name, word) ||
		    span_equal(span_of(p->backends[i].addr.text), word))
			return true;
	}
	if (!num_parse_u64(word, UINT64_MAX, &number))
		return sim_words_bad_near(
		    &st->w, "the pool has no backend of that name", &near);
	if (number < 1 || number > p->n_backends)
		return sim_words_bad(
		    &st->w, word, "the pool has no backend of that number");
	*backend = (uint32_t)number - 1;
	return true;
}

static bool
set_kind(struct statement *st, struct sim_fault *f, struct span word,
    enum sim_fault_kind kind)
{
	if (f->kind != SIM_FAULT_KINDS)
		return sim_words_bad(&st->w, word,
		    "one fault in a statement; write another one for this");
	f->kind = kind;
	return true;
}

static bool
take_status(struct statement *st, struct sim_fault *f, struct span word)
{
	uint64_t status;

	if (!num_parse_u64(word, UINT32_MAX, &status) || status < 400 ||
	    status > 599)
		return sim_words_bad(&st->w, word,
		    "neither a status (400..599) nor a time with its unit");
	f->status = (unsigned)status;
	return set_kind(st, f, word, SIM_STATUS);
}

static bool
take_retry_after(struct statement *st, struct sim_fault *f)
{
	uint64_t us = 0;
	bool fine = sim_words_take_time(&st->w, &us);

	f->retry_after_ms = (uint32_t)(us / 1000);
	return fine;
}

struct times {
	uint64_t from, until, length;
};

static bool
unknown(struct statement *st, struct span word)
{
	struct nearest near;

	nearest_init(&near, word);
	nearest_offer_words(&near, CLAUSES "|" FAULTS);
	/* Not that it was one, but that it was meant to be. */
	if (st->w.at == 1)
		nearest_offer_words(&near, SETTINGS);
	return sim_words_bad_near(&st->w, "unknown word", &near);
}

static bool
take_clause(struct statement *st, struct sim_fault *f, struct times *t)
{
	static const char *const fillers[] = {"is", "are", "with", "of",
	    "requests", "status", "the", "and", "latency", NULL};
	static const char *const down[] = {
	    "down", "dead", "refuse", "refused", "refuses", NULL};
	struct span word;

	(void)sim_words_take(&st->w, &word);
	if (sim_words_is_any(word, fillers))
		return true;
	if (sim_words_is(word, "at") || sim_words_is(word, "from") ||
	    sim_words_is(word, "after"))
		return sim_words_take_time(&st->w, &t->from);
	if (sim_words_is(word, "until") || sim_words_is(word, "to"))
		return sim_words_take_time(&st->w, &t->until);
	if (sim_words_is(word, "for"))
		return sim_words_take_time(&st->w, &t->length);
	if (sim_words_is(word, "backend") || sim_words_is(word, "backends"))
		return take_backend(st, &f->backend);
	if (sim_words_is_any(word, down))
		return set_kind(st, f, word, SIM_DOWN);
	if (sim_words_is(word, "blackhole"))
		return set_kind(st, f, word, SIM_BLACKHOLE);
	if (sim_words_is(word, "reset") || sim_words_is(word, "resets"))
		return set_kind(st, f, word, SIM_RESET);
	if (sim_words_is(word, "slow"))
		return set_kind(st, f, word, SIM_SLOW) &&
		    sim_words_take_range(&st->w, &f->slow);
	if (sim_words_is(word, "retry-after") ||
	    sim_words_is(word, "retry_after"))
		return take_retry_after(st, f);
	if (sim_words_share_of(word, &f->share) ||
	    sim_words_time_of(word, &t->length))
		return true;
	return sim_words_digits(word) > 0 ? take_status(st, f, word)
					  : unknown(st, word);
}

static bool
set_times(struct statement *st, struct sim_fault *f, const struct times *t)
{
	f->from_us = t->from;
	f->until_us = t->until;
	if (t->length != UNSAID && t->until != UNSAID)
		return sim_words_bad(
		    &st->w, SPAN_NONE, "either `for` or `until`");
	if (t->length == 0)
		return sim_words_bad(
		    &st->w, SPAN_NONE, "it lasts no time at all");
	/* Until the beginning is known: its length. */
	if (t->length != UNSAID && t->from != UNSAID)
		f->until_us = t->from + t->length;
	else if (t->length != UNSAID)
		f->until_us = t->length;
	if (t->from != UNSAID && f->until_us <= t->from)
		return sim_words_bad(
		    &st->w, SPAN_NONE, "it ends before it begins");
	if (t->from == UNSAID && t->until != UNSAID)
		return sim_words_bad(&st->w, SPAN_NONE,
		    "`until` needs `at`: when does it begin?");
	return true;
}

static bool
fault(struct statement *st)
{
	struct sim_fault f = {.kind = SIM_FAULT_KINDS,
	    .backend = SIM_ALL - 1,
	    .share = SIM_WHOLE,
	    .line = st->w.line};
	struct times t = {UNSAID, UNSAID, UNSAID};

	while (st->w.at < st->w.n)
		if (!take_clause(st, &f, &t))
			return false;
	if (f.backend == SIM_ALL - 1)
		return sim_words_bad(&st->w, SPAN_NONE,
		    "which backend? `backend` and a name, a number, or *");
	if (f.kind == SIM_FAULT_KINDS)
		return sim_words_bad(&st->w, SPAN_NONE,
		    "what is wrong with it? down, blackhole, reset, slow 2s "
		    "or a status such as 503");
	if (f.retry_after_ms > 0 && f.kind != SIM_STATUS)
		return sim_words_bad(
		    &st->w, SPAN_NONE, "retry-after goes with a status only");
	if (!set_times(st, &f, &t))
		return false;
	if (st->s->n_faults == SIM_FAULTS_MAX)
		return sim_words_bad(&st->w, SPAN_NONE, "more than 100 faults");
	st->s->faults[st->s->n_faults++] = f;
	return true;
}

/* ---- statements ---- */

/* The first time only the pool is looked for, as backends are its. */
static bool
statement(struct statement *st, struct span text, bool first)
{
	bool fine = true;

	if (!sim_words_split(&st->w, text))
		return false;
	if (st->w.n == 0 || first != sim_words_is(st->w.words[0], "pool"))
		return true;
	return setting(st, &fine) ? fine : fault(st);
}

/* A comment begins with '#' at the start or behind white space. */
static size_t
comment(struct span line)
{
	for (size_t i = 0; i < line.len; i++)
		if (line.ptr[i] == '#' &&
		    (i == 0 || sim_words_separates(line.ptr[i - 1])))
			return i;
	return line.len;
}

static bool
statements(struct statement *st, struct span text, bool first)
{
	for (st->w.line = 1; text.len > 0; st->w.line++) {
		size_t end = span_find(text, '\n');
		struct span line = span_make(text.ptr, end);

		end += end < text.len;
		text = span_make(text.ptr + end, text.len - end);
		line.len = comment(line);
		while (line.len > 0) {
			size_t stop = span_find(line, ';');

			if (!statement(st, span_make(line.ptr, stop), first))
				return false;
			stop += stop < line.len;
			line = span_make(line.ptr + stop, line.len - stop);
		}
	}
	return true;
}

/* ---- the whole ---- */

static bool
settle_fault(struct statement *st, struct sim_fault *f)
{
	const struct sim_script *s = st->s;
	uint64_t usual = num_min_u64(SIM_FAULT_FROM_US, s->duration_us / 6);

	st->w.line = f->line;
	if (f->from_us == UNSAID) {
		f->from_us = usual;
		f->until_us = num_add_capped(usual, f->until_us);
	}
	return f->from_us < s->duration_us ||
	    sim_words_bad(
		&st->w, SPAN_NONE, "it begins after the end: see duration");
}

static bool
settle(struct statement *st)
{
	struct sim_script *s = st->s;
	double requests = (double)s->duration_us / 1e9 * (double)s->rate_milli;

	for (size_t i = 0; i < s->n_faults; i++)
		if (!settle_fault(st, &s->faults[i]))
			return false;
	if (requests <= (double)SIM_REQUESTS_MAX)
		return true;
	textbuf_lit(
	    st->w.why, "duration and rate make more than 20000000 requests");
	return false;
}

bool
sim_script_parse(struct sim_script *s, const struct cfg *cfg, struct span text,
    struct textbuf *why)
{
	struct statement st = {.s = s, .cfg = cfg, .w = {.why = why}};

	*s = (struct sim_script){.duration_us = 60000000,
	    .rate_milli = 100000,
	    .latency = {5000, 20000},
	    .connect = {1000, 1000},
	    .safe_share = SIM_WHOLE,
	    .seed = 1};
	if (text.len > SIM_SCRIPT_BYTES) {
		textbuf_lit(why, "the script is longer than 64k");
		return false;
	}
	if (!statements(&st, text, true))
		return false;
	if (s->pool == NULL && cfg->n_pools > 1) {
		textbuf_lit(why,
		    "the configuration has several pools: say which one with "
		    "`pool NAME`");
		return false;
	}
	if (s->pool == NULL)
		s->pool = &cfg->pools[0];
	return statements(&st, text, false) && settle(&st);
}
