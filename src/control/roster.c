#include "evenkeel/control/roster.h"

#include <stdarg.h>
#include <stdio.h>

#include "evenkeel/base/num.h"
#include "evenkeel/control/words.h"

/* ---- words ---- */

const char *
roster_state_text(enum roster_state s)
{
	static const char *const text[] = {"up", "down", "ejected", "draining"};

	CHECK(s < ROSTER_STATES);
	return text[s];
}

const char *
roster_check_text(enum health_result h)
{
	static const char *const text[] = {"ok", "failed", "timeout"};

	CHECK(h < HEALTH_RESULTS);
	return text[h];
}

void
roster_say(struct roster *r, enum log_level level, const char *format, ...)
{
	char text[LOG_LINE_BYTES];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	r->ops->say(level, text, r->arg);
}

static void set_text(char *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
set_text(char *out, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(out, ROSTER_WHY_BYTES, format, list);
	va_end(list);
}

/* ---- states ---- */

bool
roster_member_ok(const struct roster_member *m)
{
	return m->state < ROSTER_STATES &&
	    health_ok(&m->health, &m->pool->health) && eject_ok(&m->eject) &&
	    list_empty(&m->busy) ==
	    (!m->eject.out && m->ramp_ms == ROSTER_NEVER) &&
	    (m->ramp_ms == ROSTER_NEVER || m->state == ROSTER_UP);
}

enum roster_state
roster_state_of(const struct roster_member *m)
{
	if (m->draining)
		return ROSTER_DRAINING;
	if (!health_is_up(&m->health, &m->pool->health))
		return ROSTER_DOWN;
	return m->eject.out ? ROSTER_EJECTED : ROSTER_UP;
}

uint32_t
roster_usable(const struct roster_pool *p)
{
	return p->in_state[ROSTER_MAIN][ROSTER_UP] +
	    p->in_state[ROSTER_BACKUP][ROSTER_UP];
}

static void
mark(struct roster *r, struct roster_pool *p)
{
	p->marked = true;
	r->ops->on_change(r->arg);
}

uint64_t
roster_step_ms(const struct roster_member *m)
{
	uint64_t all = m->pool->pool->cfg->slow_start_ms;

	return num_max_u64(
	    ROSTER_STEP_MS, (all + ROSTER_STEPS - 1) / ROSTER_STEPS);
}

/* What is due next decides whether it is busy. */
void
roster_note_busy(struct roster *r, struct roster_member *m, uint64_t now_ms)
{
	list_remove(&m->busy);
	if (m->eject.out) {
		m->next_ms = m->eject.until_ms;
	} else if (m->ramp_ms != ROSTER_NEVER) {
		uint64_t step = roster_step_ms(m);

		m->next_ms =
		    m->ramp_ms + ((now_ms - m->ramp_ms) / step + 1) * step;
		/* At times that all share: one rebuild for many. */
		m->next_ms += ROSTER_STEP_MS - 1;
		m->next_ms -= m->next_ms % ROSTER_STEP_MS;
	} else {
		return;
	}
	list_push_back(&r->busy, &m->busy);
}

/* Health, ejection or draining has changed: what that makes of it. */
static void
change_state(
    struct roster *r, struct roster_member *m, const char *why, uint64_t now_ms)
{
	struct roster_pool *p = m->pool;
	enum roster_state old = m->state, new = roster_state_of(m);

	if (new != old) {
		p->in_state[m->peers][old]--;
		p->in_state[m->peers][new]++;
		m->state = new;
		m->since_ms = now_ms;
		m->ramp_ms = ROSTER_NEVER;
		if (new == ROSTER_UP && m->been_up &&old != ROSTER_DRAINING &&
		    p->pool->cfg->slow_start_ms > 0)
			m->ramp_ms = now_ms;
		m->been_up |= new == ROSTER_UP;
		set_text(m->why, "%s", why);
		mark(r, p);
	}
	roster_note_busy(r, m, now_ms);
	CHECK(roster_member_ok(m));
}

static void
set_ejected(struct roster_member *m, bool ejected, uint64_t now_ms)
{
	struct backend *b = m->backend;
	uint64_t asked_ms = atomic_load(&b->asked_until_ms);

	if (ejected)
		eject_out(&m->eject, &m->pool->eject, now_ms,
		    asked_ms > now_ms ? asked_ms - now_ms : 0);
	else
		eject_back(&m->eject, now_ms);
	m->pool->n_ejected[m->peers] += ejected ? 1U : (uint32_t)-1;
	m->good_row = 0;
	atomic_store(&b->asked_until_ms, 0);
	atomic_store(&b->failures, 0);
}

static void
back_early(
    struct roster *r, struct roster_member *m, const char *why, uint64_t now_ms)
{
	roster_say(r, LOG_LEVEL_INFO,
	    "pool %s: backend %s is back before its ejection is over: %s",
	    m->pool->pool->cfg->name, m->backend->name, why);
	set_ejected(m, false, now_ms);
	change_state(r, m, why, now_ms);
}

/* Those that are only ejected are better than none. */
void
roster_recall(struct roster *r, struct roster_pool *p, uint64_t now_ms)
{
	if (roster_usable(p) > 0)
		return;
	for (size_t i = 0; i < p->n_members; i++)
		if (p->members[i]->state == ROSTER_EJECTED)
			back_early(r, p->members[i],
			    "no other backend is usable", now_ms);
}

static void
settle(
    struct roster *r, struct roster_member *m, const char *why, uint64_t now_ms)
{
	change_state(r, m, why, now_ms);
	roster_recall(r, m->pool, now_ms);
}

/* ---- what happens ---- */

static void
went_down(struct roster *r, struct roster_member *m, uint64_t now_ms)
{
	uint32_t n = m->pool->health.fall;
	char why[2 * ROSTER_WHY_BYTES];

	m->down_since_ms = now_ms;
	snprintf(why, sizeof(why), "%u check%s failed, last: %s", n,
	    n == 1 ? "" : "s", m->last_why);
	roster_say(r, LOG_LEVEL_WARN, "pool %s: backend %s is down: %s",
	    m->pool->pool->cfg->name, m->backend->name, why);
	settle(r, m, why, now_ms);
}

static void
went_up(struct roster *r, struct roster_member *m, uint64_t now_ms)
{
	uint32_t n = m->pool->health.rise;
	char why[ROSTER_WHY_BYTES], time[WORDS_SECONDS_BYTES];

	set_text(why, "%u check%s passed", n, n == 1 ? "" : "s");
	if (m->been_up)
		roster_say(r, LOG_LEVEL_INFO,
		    "pool %s: backend %s is up again after %s: %s",
		    m->pool->pool->cfg->name, m->backend->name,
		    words_seconds(
			time, (now_ms - m->down_since_ms) / 100 * 100),
		    why);
	else
		roster_say(r, LOG_LEVEL_INFO, "pool %s: backend %s is up: %s",
		    m->pool->pool->cfg->name, m->backend->name, why);
	if (m->eject.out)
		set_ejected(m, false, now_ms);
	atomic_store(&m->backend->failures, 0);
	settle(r, m, why, now_ms);
}

static uint64_t
ok_attempts(const struct backend *b)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < b->n_lanes; i++)
		sum += counter_get(&b->lanes[i].attempts[ACCESS_OK]);
	return sum;
}

/* Ejected because connects failed, while checks show that they work. */
static void
refute(struct roster *r, struct roster_member *m, enum health_result result,
    uint64_t now_ms)
{
	uint32_t rise = m->pool->health.rise;
	char why[ROSTER_WHY_BYTES];

	m->good_row = result == HEALTH_OK ? m->good_row + 1 : 0;
	if (m->state != ROSTER_EJECTED || !m->unreachable || m->good_row < rise)
		return;
	set_text(why, "%u check%s passed", rise, rise == 1 ? "" : "s");
	back_early(r, m, why, now_ms);
}

void
roster_checked(struct roster *r, struct roster_member *m,
    enum health_result result, const char *why, uint64_t now_ms)
{
	uint64_t ok = ok_attempts(m->backend);
	bool answered = ok > m->answered;

	m->backend->checks[result]++;
	m->answered = ok;
	set_text(m->last_why, "%s", result == HEALTH_OK ? "" : why);
	switch (health_report(&m->health, &m->pool->health, result, answered)) {
	case HEALTH_WENT_DOWN:
		went_down(r, m, now_ms);
		break;
	case HEALTH_WENT_UP:
		went_up(r, m, now_ms);
		break;
	case HEALTH_SAME:
		refute(r, m, result, now_ms);
		break;
	}
}

/* "5 attempts failed in a row, last: reset"; after some outcomes with more:
 * "tls_failed (certificate has expired)". */
static void
put_failures(char *out, const struct backend *b, uint32_t failures)
{
	enum access_outcome last =
	    (enum access_outcome)atomic_load(&b->last_failure);
	bool known = last != ACCESS_OK && last < ACCESS_OUTCOMES;
	const char *more = atomic_load(&b->last_why);
	bool said = known && more != NULL && more[0] != '\0';

	set_text(out, "%u attempt%s failed in a row%s%s%s%s%s", failures,
	    failures == 1 ? "" : "s", known ? ", last: " : "",
	    known ? access_outcome_text(last) : "", said ? " (" : "",
	    said ? more : "", said ? ")" : "");
}

/* It should go but may not: told now and then. */
static void
spare(
    struct roster *r, struct roster_member *m, const char *why, uint64_t now_ms)
{
	bool last = roster_usable(m->pool) == 1;

	if (m->told_ms != 0 && now_ms - m->told_ms < ROSTER_TELL_MS)
		return;
	m->told_ms = num_max_u64(now_ms, 1);
	roster_say(r, LOG_LEVEL_WARN,
	    "pool %s: backend %s is not ejected, %s: %s",
	    m->pool->pool->cfg->name, m->backend->name,
	    last ? "being the last that is usable" : "as eject_max is reached",
	    why);
}

void
roster_failing(struct roster *r, struct backend *b, uint64_t now_ms)
{
	struct roster_member *m = roster_member_of(b);
	struct roster_pool *p = m == NULL ? NULL : m->pool;
	uint32_t failures = atomic_load(&b->failures);
	char why[ROSTER_WHY_BYTES], time[WORDS_SECONDS_BYTES];

	/* It may be gone, have answered since, or be out already. */
	if (p == NULL || p->eject.failures == 0 ||
	    failures < p->eject.failures || m->state != ROSTER_UP)
		return;
	put_failures(why, b, failures);
	if (roster_usable(p) == 1 ||
	    p->n_ejected[m->peers] >= eject_limit(&p->eject, p->n[m->peers])) {
		spare(r, m, why, now_ms);
		return;
	}
	set_ejected(m, true, now_ms);
	m->unreachable = retry_cause_of((enum access_outcome)atomic_load(
			     &b->last_failure)) == RETRY_CONNECT;
	roster_say(r, LOG_LEVEL_WARN,
	    "pool %s: backend %s is ejected for %s: %s", p->pool->cfg->name,
	    b->name, words_seconds(time, m->eject.until_ms - now_ms), why);
	settle(r, m, why, now_ms);
}

/* Why it is in the state that the end of a drain leaves it in. */
static void
put_undrained(char *out, const struct roster_member *m)
{
	switch (roster_state_of(m)) {
	case ROSTER_DOWN:
		if (m->last_why[0] != '\0')
			set_text(out, "checks failed, last: %s", m->last_why);
		else
			set_text(out, "too few checks have passed yet");
		break;
	case ROSTER_EJECTED:
		set_text(out, "its time out is not over yet");
		break;
	default:
		set_text(out, "not draining any more");
		break;
	}
}

void
roster_drain(struct roster *r, struct roster_member *m, bool draining,
    const char *who, uint64_t now_ms)
{
	char why[ROSTER_WHY_BYTES];
	bool known = who[0] != '\0';

	if (m->draining == draining)
		return;
	m->draining = draining;
	/* Before the rotations without it: who passes them sees it. */
	atomic_store(&m->backend->draining, draining);
	roster_say(r, LOG_LEVEL_INFO, "pool %s: backend %s is %s%s%s",
	    m->pool->pool->cfg->name, m->backend->name,
	    draining ? "draining: it gets no new requests"
		     : "not draining any more",
	    known ? ", asked for by " : "", who);
	if (draining)
		set_text(why, "asked for%s%s", known ? " by " : "", who);
	else
		put_undrained(why, m);
	settle(r, m, why, now_ms);
}

bool
roster_drained(const struct roster *r, const struct roster_member *m)
{
	/* In this order: what came from an old rotation is counted before the
	 * worker passes the new one. */
	return m->draining && !m->pool->marked &&
	    publish_passed(r->publish, m->pool->generation) &&
	    backend_in_flight(m->backend) == 0;
}

void
roster_pardon(struct roster *r, struct roster_member *m, uint64_t now_ms)
{
	back_early(r, m, "nobody is ejected any more", now_ms);
}

void
roster_forget(struct roster_member *m)
{
	list_remove(&m->busy);
	m->backend->keeper = NULL;
}

/* ---- what is due ---- */

static void
due(struct roster *r, struct roster_member *m, uint64_t now_ms)
{
	if (eject_due(&m->eject, now_ms)) {
		set_ejected(m, false, now_ms);
		settle(r, m, "back after ejection", now_ms);
		if (m->state == ROSTER_UP)
			roster_say(r, LOG_LEVEL_INFO,
			    "pool %s: backend %s is back after ejection",
			    m->pool->pool->cfg->name, m->backend->name);
		return;
	}
	if (m->ramp_ms != ROSTER_NEVER) {
		if (now_ms - m->ramp_ms >= m->pool->pool->cfg->slow_start_ms)
			m->ramp_ms = ROSTER_NEVER;
		mark(r, m->pool);
	}
	roster_note_busy(r, m, now_ms);
}

void
roster_tick(struct roster *r, uint64_t now_ms)
{
	struct list now;
	struct list *link;

	list_init(&now);
	list_splice_back(&now, &r->busy);
	while ((link = list_pop_front(&now)) != NULL) {
		struct roster_member *m =
		    LIST_OWNER(link, struct roster_member, busy);

		if (m->next_ms <= now_ms)
			due(r, m, now_ms);
		else
			list_push_back(&r->busy, link);
	}
}

uint64_t
roster_next_ms(const struct roster *r)
{
	uint64_t next_ms = ROSTER_NEVER;

	LIST_EACH(link, &r->busy)
	next_ms = num_min_u64(
	    next_ms, LIST_OWNER(link, struct roster_member, busy)->next_ms);
	return next_ms;
}
