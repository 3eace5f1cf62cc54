#include "evenkeel/control/orders.h"

#include "evenkeel/base/num.h"
#include "evenkeel/config/nearest.h"
#include "evenkeel/control/query.h"
#include "evenkeel/control/words.h"
#include "evenkeel/net/clock.h"

/* A decoded name; longer ones are nobody's. */
#define NAME_BYTES 512U
#define WHO_BYTES  64U
/* How a reload is asked for here. */
#define BY_SOCKET "the control socket"

/* ---- names ---- */

static void
put_nearest(struct textbuf *out, const struct nearest *n)
{
	if (n->best.ptr != NULL) {
		textbuf_lit(out, " (did you mean ");
		textbuf_put(out, n->best);
		textbuf_lit(out, "?)");
	}
	textbuf_byte(out, '\n');
}

static struct roster_pool *
find_pool(const struct roster *r, struct span name, struct textbuf *why)
{
	struct nearest near;

	nearest_init(&near, name);
	for (size_t i = 0; i < r->n_pools; i++) {
		struct span known = r->pools[i].pool->upstream->name_span;

		if (span_equal(known, name))
			return &r->pools[i];
		nearest_offer(&near, known);
	}
	textbuf_lit(why, "there is no pool ");
	textbuf_put(why, name);
	put_nearest(why, &near);
	return NULL;
}

static struct roster_member *
find_member(const struct roster_pool *p, struct span name, struct textbuf *why)
{
	struct nearest near;

	nearest_init(&near, name);
	for (size_t i = 0; i < p->n_members; i++) {
		struct span known = p->members[i]->backend->name_span;

		if (span_equal(known, name))
			return p->members[i];
		nearest_offer(&near, known);
	}
	textbuf_lit(why, "pool ");
	textbuf_put(why, p->pool->upstream->name_span);
	textbuf_lit(why, " has no backend ");
	textbuf_put(why, name);
	put_nearest(why, &near);
	return NULL;
}

/* Whom the request is about; NULL: the answer says why there is nobody. */
static struct roster_member *
find(const struct orders *o, const struct httpd_request *r,
    struct httpd_answer *a)
{
	char pool_bytes[NAME_BYTES], backend_bytes[NAME_BYTES];
	struct textbuf pool = textbuf_make(pool_bytes, sizeof(pool_bytes));
	struct textbuf backend =
	    textbuf_make(backend_bytes, sizeof(backend_bytes));
	struct roster_member *m = NULL;
	struct roster_pool *p;

	if (!query_get(r->target, SPAN("pool"), &pool) ||
	    !query_get(r->target, SPAN("backend"), &backend)) {
		a->status = 400;
		textbuf_lit(a->body,
		    "400: which one? allowed: ?pool=NAME&backend=NAME, "
		    "percent-encoded\n");
		return NULL;
	}
	p = find_pool(guard_roster(o->guard), textbuf_span(&pool), a->body);
	if (p != NULL)
		m = find_member(p, textbuf_span(&backend), a->body);
	if (m == NULL)
		a->status = 404;
	return m;
}

/* ---- answers ---- */

static void
put_whom(struct textbuf *out, const struct roster_member *m)
{
	textbuf_lit(out, "pool ");
	textbuf_put(out, m->pool->pool->upstream->name_span);
	textbuf_lit(out, ": backend ");
	textbuf_put(out, m->backend->name_span);
}

/* Who is left for the requests of the pool, where that is not as usual. */
static void
put_left(struct textbuf *out, const struct roster_pool *p)
{
	if (roster_usable(p) == 0)
		textbuf_lit(out,
		    "warning: no backend of the pool is usable now; requests "
		    "wait queue_timeout and get 503\n");
	else if (p->in_state[ROSTER_MAIN][ROSTER_UP] == 0)
		textbuf_lit(out,
		    "warning: only backups are usable now; they get the "
		    "requests\n");
}

static void
drain(struct orders *o, struct roster_member *m, const char *who,
    struct textbuf *out)
{
	char time[WORDS_SECONDS_BYTES];
	uint64_t since_ms = m->since_ms;

	put_whom(out, m);
	if (m->draining) {
		uint64_t now_ms = clock_monotonic_us() / 1000;

		textbuf_lit(out, " is draining already, for ");
		textbuf_str(out,
		    words_seconds(time, (now_ms - since_ms) / 1000 * 1000));
		textbuf_byte(out, '\n');
	} else {
		textbuf_lit(out, " gets no new requests");
		if (m->state != ROSTER_UP) {
			textbuf_lit(out, "; it was ");
			textbuf_str(out, roster_state_text(m->state));
			textbuf_lit(out, " before: ");
			textbuf_str(out, m->why);
		}
		textbuf_byte(out, '\n');
		guard_drain(o->guard, m, true, who);
	}
	put_left(out, m->pool);
}

static void
undrain(struct orders *o, struct roster_member *m, const char *who,
    struct textbuf *out)
{
	put_whom(out, m);
	if (!m->draining) {
		textbuf_lit(out, " was not draining; it is ");
		textbuf_str(out, roster_state_text(m->state));
		textbuf_byte(out, '\n');
		return;
	}
	guard_drain(o->guard, m, false, who);
	if (m->state == ROSTER_UP) {
		textbuf_lit(out, " gets requests again\n");
		return;
	}
	textbuf_lit(out, " is not draining any more; it is ");
	textbuf_str(out, roster_state_text(m->state));
	textbuf_lit(out, ": ");
	textbuf_str(out, m->why);
	textbuf_byte(out, '\n');
}

static void
put_progress(
    struct textbuf *out, const struct orders *o, const struct roster_member *m)
{
	if (roster_drained(guard_roster(o->guard), m)) {
		textbuf_lit(out, "drained 0\n");
		return;
	}
	textbuf_str(out, m->draining ? "draining " : "serving ");
	textbuf_u64(out, backend_in_flight(m->backend));
	textbuf_byte(out, '\n');
}

/* ---- reload ---- */

static void
order_reload(
    struct orders *o, const struct httpd_request *r, struct textbuf *out)
{
	char who_bytes[WHO_BYTES];
	struct textbuf who = textbuf_make(who_bytes, sizeof(who_bytes) - 1);
	uint64_t number;

	peer_put(&who, &r->peer);
	textbuf_str(&who, who.len > 0 ? " over " BY_SOCKET : BY_SOCKET);
	who_bytes[who.len] = '\0';
	number = reload_ask(o->reload, who_bytes);
	o->asked = num_max_u64(o->asked, number);
	textbuf_u64(out, number);
	textbuf_byte(out, '\n');
}

/* Which one the request is about.  False: the answer says that there is no
 * such reload. */
static bool
find_reload(const struct orders *o, const struct httpd_request *r,
    struct httpd_answer *a, uint64_t *number)
{
	char bytes[NUM_U64_DIGITS];
	struct textbuf digits = textbuf_make(bytes, sizeof(bytes));

	if (!query_get(r->target, SPAN("number"), &digits) ||
	    !num_parse_u64(textbuf_span(&digits), UINT64_MAX, number)) {
		a->status = 400;
		textbuf_lit(a->body,
		    "400: which one? allowed: ?number=N, the answer to "
		    "POST\n");
		return false;
	}
	if (*number > 0 &&
	    (*number <= o->asked || *number <= reload_last(o->reload)->number))
		return true;
	a->status = 404;
	textbuf_lit(a->body, "404: nobody has asked this process for reload ");
	textbuf_u64(a->body, *number);
	textbuf_lit(a->body, ": it has taken over meanwhile; reload again\n");
	return false;
}

static void
put_result(struct textbuf *out, const struct reload *r, uint64_t number)
{
	const struct reload_last *last = reload_last(r);

	if (!reload_ended(r, number)) {
		textbuf_lit(out, "pending\n");
		return;
	}
	textbuf_str(out, reload_result_text(last->result));
	textbuf_byte(out, '\n');
	/* The file was read again since; that reading is what counts. */
	if (last->number != number) {
		textbuf_lit(out, "reload ");
		textbuf_u64(out, number);
		textbuf_lit(out, " was followed by reload ");
		textbuf_u64(out, last->number);
		textbuf_lit(out, ", which this is about:\n");
	}
	textbuf_put(out, last->text);
}

static void
on_reload(
    struct orders *o, const struct httpd_request *r, struct httpd_answer *a)
{
	uint64_t number;

	if (o->reload == NULL) {
		a->status = 503;
		textbuf_lit(a->body, "503: nothing can be reloaded here\n");
	} else if (r->method == H1_METHOD_POST) {
		order_reload(o, r, a->body);
	} else if (find_reload(o, r, a, &number)) {
		put_result(a->body, o->reload, number);
	}
}

/* ---- which order ---- */

static bool
allows(
    const struct httpd_request *r, struct httpd_answer *a, const char *allowed)
{
	bool reads = r->method == H1_METHOD_GET || r->method == H1_METHOD_HEAD;

	if (r->method == H1_METHOD_POST || (reads && allowed[0] == 'G'))
		return true;
	a->status = 405;
	a->allow = allowed;
	textbuf_lit(a->body, "405: allowed: ");
	textbuf_str(a->body, allowed);
	textbuf_byte(a->body, '\n');
	return false;
}

static void
on_drain(struct orders *o, const struct httpd_request *r,
    struct httpd_answer *a, bool drains)
{
	char who_bytes[WHO_BYTES];
	struct textbuf who = textbuf_make(who_bytes, sizeof(who_bytes) - 1);
	struct roster_member *m = find(o, r, a);

	if (m == NULL)
		return;
	peer_put(&who, &r->peer);
	who_bytes[who.len] = '\0';
	if (!drains)
		undrain(o, m, who_bytes, a->body);
	else if (r->method == H1_METHOD_POST)
		drain(o, m, who_bytes, a->body);
	else
		put_progress(a->body, o, m);
}

void
orders_on_control(
    const struct httpd_request *r, struct httpd_answer *a, void *arg)
{
	struct orders *o = arg;
	struct span path = query_path(r->target);
	bool drains = span_equal(path, SPAN("/drain"));
	bool undrains = span_equal(path, SPAN("/undrain"));

	if (!drains && !undrains && !span_equal(path, SPAN("/reload")))
		pages_on_control(r, a, o->pages);
	else if (!allows(r, a, undrains ? "POST" : "GET, HEAD, POST"))
		return;
	else if (drains || undrains)
		on_drain(o, r, a, drains);
	else
		on_reload(o, r, a);
}
