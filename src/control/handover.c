#include "evenkeel/control/handover.h"

#include <stdlib.h>

#include "evenkeel/control/long_text.h"

/* "drain POOL\tBACKEND\n" */
#define DRAIN "drain "

static void
refuse(const struct handover *h, const char *why)
{
	log_message(h->log, LOG_LEVEL_WARN, "no upgrade was started: %s", why);
}

/* ---- what is draining ---- */

static void
put_drains(struct textbuf *out, const struct roster *r)
{
	for (size_t i = 0; i < r->n_pools; i++)
		for (size_t k = 0; k < r->pools[i].n_members; k++) {
			const struct roster_member *m = r->pools[i].members[k];

			if (!m->draining)
				continue;
			textbuf_lit(out, DRAIN);
			textbuf_put(out, m->pool->pool->upstream->name_span);
			textbuf_byte(out, '\t');
			textbuf_put(out, m->backend->name_span);
			textbuf_byte(out, '\n');
		}
}

static struct roster_member *
find(const struct roster *r, struct span pool, struct span backend)
{
	for (size_t i = 0; i < r->n_pools; i++) {
		const struct roster_pool *p = &r->pools[i];

		if (!span_equal(p->pool->upstream->name_span, pool))
			continue;
		for (size_t k = 0; k < p->n_members; k++)
			if (span_equal(
				p->members[k]->backend->name_span, backend))
				return p->members[k];
	}
	return NULL;
}

static void
take_drain(struct guard *g, struct span line)
{
	size_t tab = span_find(line, '\t');
	struct roster_member *m;

	if (tab == line.len)
		return;
	m = find(guard_roster(g), span_make(line.ptr, tab),
	    span_make(line.ptr + tab + 1, line.len - tab - 1));
	if (m != NULL && !m->draining)
		guard_drain(g, m, true, "the process before this one");
}

void
handover_take(struct guard *g, struct span more)
{
	while (more.len > 0) {
		size_t end = span_find(more, '\n'), skip = end < more.len;
		struct span line = span_make(more.ptr, end);

		more = span_make(more.ptr + end + skip, more.len - end - skip);
		if (span_starts_with(line, SPAN(DRAIN)))
			take_drain(g,
			    span_make(line.ptr + sizeof(DRAIN) - 1,
				line.len - (sizeof(DRAIN) - 1)));
	}
}

/* ---- the beginning ---- */

static bool
collect_drains(const struct handover *h, struct long_text *t)
{
	do {
		if (!long_text_more(t))
			return false;
		put_drains(&t->out, guard_roster(h->guard));
	} while (t->out.full);
	return true;
}

static void
start(const struct handover *h)
{
	struct long_text drains = {.bytes = NULL};
	struct inherit_socket *list =
	    calloc(binds_count(h->binds) + 1, sizeof(*list));
	char *labels = calloc(h->binds->n + 1, BINDS_LABEL_BYTES);
	size_t n;

	if (list == NULL || labels == NULL || !collect_drains(h, &drains)) {
		refuse(h, "out of memory");
	} else if (binds_count(h->binds) >= INHERIT_MAX) {
		refuse(h, "it listens on more sockets than can be handed over");
	} else {
		n = binds_hand_over(h->binds, list, labels);
		n += admin_hand_over(h->admin, list + n);
		upgrade_start(h->upgrade, list, n, textbuf_span(&drains.out));
	}
	free(list);
	free(labels);
	free(drains.bytes);
	if (upgrade_state(h->upgrade) == UPGRADE_STARTING)
		reload_hold(h->reload, "an upgrade is under way");
}

void
handover_begin(const struct handover *h, const char *why_not)
{
	if (why_not != NULL)
		refuse(h, why_not);
	else if (upgrade_state(h->upgrade) != UPGRADE_IDLE)
		refuse(h, "an upgrade is under way already");
	else if (reload_busy(h->reload))
		refuse(h, "a reload is under way; try again");
	else
		start(h);
}
