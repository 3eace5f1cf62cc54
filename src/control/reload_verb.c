#include "evenkeel/control/reload_verb.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "evenkeel/base/num.h"
#include "evenkeel/control/verbs.h"
#include "evenkeel/net/clock.h"

#define EXIT_DONE    0
#define EXIT_FAILED  1
#define EXIT_REFUSED 2
/* Of an answer: there is no result yet. */
#define STILL_PENDING (-1)
#define TARGET_BYTES  64

static uint64_t
now_ms(void)
{
	return clock_monotonic_us() / 1000;
}

static void
say_not_understood(const char *control)
{
	fprintf(stderr, "evenkeel: %s: another version of evenkeel answers\n",
	    control);
}

/* Its first line, and what stands behind it. */
static struct span
first_line(const struct verbs_answer *a, struct span *rest)
{
	struct span text = span_make(a->text, a->len);
	size_t end = span_find(text, '\n');
	size_t next = end + (end < text.len);

	*rest = span_make(text.ptr + next, text.len - next);
	return span_make(text.ptr, end);
}

/* ---- the order ---- */

/* False: nobody took it, which has been said. */
static bool
order(const char *control, uint64_t *number)
{
	struct verbs_answer a;
	const char *why = "";
	struct span rest;
	bool taken;

	switch (verbs_call(control, "POST", SPAN("/reload"), &a, &why)) {
	case ASK_OK:
		break;
	case ASK_NOBODY:
		fprintf(stderr,
		    "evenkeel: nobody is running: no answer at %s "
		    "(or its socket is another: -c FILE, --control PATH)\n",
		    control);
		return false;
	case ASK_FAILED:
		fprintf(stderr, "evenkeel: %s: %s\n", control, why);
		return false;
	}
	taken = a.status == 200;
	if (!taken)
		fprintf(stderr, "evenkeel: %.*s", (int)a.len, a.text);
	else if (!num_parse_u64(first_line(&a, &rest), UINT64_MAX, number)) {
		taken = false;
		say_not_understood(control);
	}
	free(a.text);
	return taken;
}

/* ---- what came of it ---- */

static int
print_applied(struct span text)
{
	fwrite(text.ptr, 1, text.len, stdout);
	if (text.len == 0)
		puts("nothing has changed");
	return EXIT_DONE;
}

static int
print_refused(struct span text)
{
	fwrite(text.ptr, 1, text.len, stderr);
	fputs("evenkeel: refused; the configuration before stays in force\n",
	    stderr);
	return EXIT_REFUSED;
}

/* The exit code, or STILL_PENDING. */
static int
judge(const char *control, const struct verbs_answer *a)
{
	struct span text, word = first_line(a, &text);

	if (a->status != 200)
		fprintf(stderr, "evenkeel: %.*s", (int)a->len, a->text);
	else if (span_equal(word, SPAN("pending")))
		return STILL_PENDING;
	else if (span_equal(word, SPAN("applied")))
		return print_applied(text);
	else if (span_equal(word, SPAN("refused")))
		return print_refused(text);
	else
		say_not_understood(control);
	return EXIT_FAILED;
}

/* Asks once; `*silent` counts the questions since the last answer. */
static int
ask(const char *control, struct span target, unsigned *silent)
{
	struct verbs_answer a;
	const char *why = "";
	int code;

	switch (verbs_call(control, "GET", target, &a, &why)) {
	case ASK_OK:
		*silent = 0;
		code = judge(control, &a);
		free(a.text);
		return code;
	case ASK_NOBODY:
		fprintf(stderr,
		    "evenkeel: nobody is running any more: no answer at %s; "
		    "evenkeel ended before its reload, and its log may say "
		    "why\n",
		    control);
		return EXIT_FAILED;
	case ASK_FAILED:
		break;
	}
	/* It may be about to end: then the next question finds nobody. */
	(*silent)++;
	if (*silent < RELOAD_VERB_TRIES)
		return STILL_PENDING;
	fprintf(stderr,
	    "evenkeel: %s: %s; what has come of the reload is not known\n",
	    control, why);
	return EXIT_FAILED;
}

int
reload_verb_run(const char *control)
{
	uint64_t until_ms = now_ms() + RELOAD_VERB_WAIT_MS, number;
	char bytes[TARGET_BYTES];
	struct textbuf target = textbuf_make(bytes, sizeof(bytes));
	uint32_t pause_ms = RELOAD_VERB_FIRST_MS;
	unsigned silent = 0;

	if (!order(control, &number))
		return EXIT_FAILED;
	textbuf_lit(&target, "/reload?number=");
	textbuf_u64(&target, number);
	while (now_ms() < until_ms) {
		int code;

		clock_sleep_ms(pause_ms);
		code = ask(control, textbuf_span(&target), &silent);
		if (code != STILL_PENDING)
			return code;
		pause_ms = (uint32_t)num_min_u64(
		    2 * (uint64_t)pause_ms, RELOAD_VERB_ASK_MS);
	}
	fprintf(stderr,
	    "evenkeel: no result of reload %" PRIu64 " after %u s; it goes "
	    "on: evenkeel status will tell\n",
	    number, RELOAD_VERB_WAIT_MS / 1000);
	return EXIT_FAILED;
}
