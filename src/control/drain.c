#include "evenkeel/control/drain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "evenkeel/base/num.h"
#include "evenkeel/control/query.h"
#include "evenkeel/control/verbs.h"
#include "evenkeel/net/clock.h"

#define EXIT_DONE   0
#define EXIT_FAILED 1

struct wait {
	const struct drain_request *d;
	uint64_t begin_ms;
	uint64_t told;    /* how many were left; UINT64_MAX: not told yet */
	uint64_t told_ms; /* when */
};

static uint64_t
now_ms(void)
{
	return clock_monotonic_us() / 1000;
}

bool
drain_names_both(const char *whom)
{
	struct span s = span_of(whom);
	size_t slash = span_find(s, '/');

	return slash > 0 && slash + 1 < s.len;
}

/* False: the names are too long to be anybody's. */
static bool
put_target(struct textbuf *out, const char *path, const char *whom)
{
	struct span s = span_of(whom);
	size_t slash = span_find(s, '/');

	textbuf_str(out, path);
	textbuf_lit(out, "?pool=");
	query_put(out, span_make(s.ptr, slash));
	textbuf_lit(out, "&backend=");
	query_put(out, span_make(s.ptr + slash + 1, s.len - slash - 1));
	return !out->full;
}

/* Asks the running process.  True: *a is a good answer, to be freed; else what
 * is wrong has been said. */
static bool
call(const struct drain_request *d, const char *method, const char *path,
    struct verbs_answer *a)
{
	char bytes[VERBS_TARGET_BYTES];
	struct textbuf target = textbuf_make(bytes, sizeof(bytes));
	const char *why = "";

	if (!put_target(&target, path, d->whom)) {
		fprintf(stderr, "evenkeel: no name is that long: %.100s...\n",
		    d->whom);
		return false;
	}
	switch (
	    verbs_call(d->control, method, textbuf_span(&target), a, &why)) {
	case ASK_OK:
		if (a->status == 200)
			return true;
		fprintf(stderr, "evenkeel: %.*s", (int)a->len, a->text);
		free(a->text);
		return false;
	case ASK_NOBODY:
		fprintf(stderr,
		    "evenkeel: nobody is running: no answer at %s "
		    "(or its socket is another: -c FILE, --control PATH)\n",
		    d->control);
		return false;
	case ASK_FAILED:
		break;
	}
	fprintf(stderr, "evenkeel: %s: %s\n", d->control, why);
	return false;
}

/* Gives the order and prints what comes of it. */
static bool
order(const struct drain_request *d, const char *path)
{
	struct verbs_answer a;

	if (!call(d, "POST", path, &a))
		return false;
	fwrite(a.text, 1, a.len, stdout);
	fflush(stdout);
	free(a.text);
	return true;
}

enum progress { PROGRESS_DRAINING, PROGRESS_DRAINED, PROGRESS_SERVING };

/* False: that is no progress. */
static bool
parse_progress(struct span text, enum progress *p, uint64_t *left)
{
	static const char *const words[] = {"draining", "drained", "serving"};
	size_t space = span_find(text, ' ');
	struct span word = span_make(text.ptr, space);

	if (text.len < space + 2 || text.ptr[text.len - 1] != '\n' ||
	    !num_parse_u64(
		span_make(text.ptr + space + 1, text.len - space - 2),
		UINT64_MAX, left))
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (span_equal(word, span_of(words[i]))) {
			*p = (enum progress)i;
			return true;
		}
	return false;
}

/* False: there is none to be had, which has been said. */
static bool
ask(const struct drain_request *d, enum progress *p, uint64_t *left)
{
	struct verbs_answer a;
	bool good;

	if (!call(d, "GET", "/drain", &a))
		return false;
	good = parse_progress(span_make(a.text, a.len), p, left);
	free(a.text);
	if (!good)
		fprintf(stderr,
		    "evenkeel: %s: another version of evenkeel answers\n",
		    d->control);
	return good;
}

/* What is left, when that is news. */
static void
tell(struct wait *w, uint64_t left)
{
	if (left == w->told || left == 0 ||
	    (w->told != UINT64_MAX && now_ms() - w->told_ms < DRAIN_SAY_MS))
		return;
	w->told = left;
	w->told_ms = now_ms();
	printf("waiting: %" PRIu64 " in flight, tunnels included\n", left);
	fflush(stdout);
}

/* True: the time is up, which has been said. */
static bool
is_over(const struct wait *w, uint64_t left)
{
	uint64_t gone_ms = now_ms() - w->begin_ms;
	uint64_t limit_ms = w->d->wait_ms;

	if (left == 0)
		limit_ms += DRAIN_GRACE_MS;
	if (w->d->wait_ms == DRAIN_FOREVER || gone_ms < limit_ms)
		return false;
	if (left > 0)
		fprintf(stderr,
		    "evenkeel: time is up with %" PRIu64 " in flight", left);
	else
		fputs("evenkeel: time is up before every worker took notice",
		    stderr);
	fprintf(stderr, "; %s stays draining until: evenkeel undrain %s\n",
	    w->d->whom, w->d->whom);
	return true;
}

/* How long to be quiet before the next question. */
static uint32_t
pause_ms(const struct wait *w)
{
	uint64_t gone_ms = now_ms() - w->begin_ms;

	/* A drain that was idle is over in a moment. */
	if (gone_ms < DRAIN_ASK_MS)
		return 2;
	if (gone_ms < w->d->wait_ms)
		return (uint32_t)num_min_u64(
		    DRAIN_ASK_MS, w->d->wait_ms - gone_ms);
	return DRAIN_ASK_MS;
}

int
drain_run(const struct drain_request *d)
{
	struct wait w = {.d = d, .begin_ms = now_ms(), .told = UINT64_MAX};
	enum progress p = PROGRESS_DRAINING;
	uint64_t left = 0;

	if (!order(d, "/drain"))
		return EXIT_FAILED;
	/* As long as the caller wants: that is what he asked for. */
	while (ask(d, &p, &left)) {
		if (p == PROGRESS_DRAINED) {
			printf(
			    "drained: nothing is in flight on %s\n", d->whom);
			return EXIT_DONE;
		}
		if (p == PROGRESS_SERVING) {
			fprintf(stderr,
			    "evenkeel: %s is not draining any more: undrained "
			    "meanwhile, or evenkeel was started anew\n",
			    d->whom);
			return EXIT_FAILED;
		}
		tell(&w, left);
		if (is_over(&w, left))
			return EXIT_FAILED;
		clock_sleep_ms(pause_ms(&w));
	}
	return EXIT_FAILED;
}

int
drain_undo(const struct drain_request *d)
{
	return order(d, "/undrain") ? EXIT_DONE : EXIT_FAILED;
}
