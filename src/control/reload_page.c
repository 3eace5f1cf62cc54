#include "evenkeel/control/reload_page.h"

#include "evenkeel/http/access.h"
#include "evenkeel/http/metrics.h"

/* NULL: none has ended yet. */
static const struct reload_last *
last_of(const struct reload *r)
{
	const struct reload_last *last = r == NULL ? NULL : reload_last(r);

	return last == NULL || last->number == 0 ? NULL : last;
}

static uint64_t
generation_of(const struct reload *r)
{
	return r == NULL ? 1 : reload_generation(r);
}

/* Its whole lines within `max` bytes, or as much of a longer first one. */
static struct span
lines_within(struct span text, size_t max)
{
	size_t n = max;

	if (text.len <= max)
		return text;
	while (n > 0 && text.ptr[n - 1] != '\n')
		n--;
	return span_make(text.ptr, n > 0 ? n : max);
}

static uint64_t
count_lines(struct span text)
{
	uint64_t n = 0;

	while (text.len > 0) {
		size_t end = span_find(text, '\n');

		end += end < text.len;
		text = span_make(text.ptr + end, text.len - end);
		n++;
	}
	return n;
}

/* ---- JSON ---- */

static void
put_text_json(struct textbuf *out, struct span text)
{
	struct span shown = lines_within(text, RELOAD_PAGE_TEXT_BYTES);

	textbuf_lit(out, ",\"text\":\"");
	textbuf_json(out, shown);
	if (shown.len < text.len) {
		uint64_t n = count_lines(
		    span_make(text.ptr + shown.len, text.len - shown.len));

		textbuf_lit(out, "... and ");
		textbuf_u64(out, n);
		textbuf_str(out, n == 1 ? " more line\\n" : " more lines\\n");
	}
	textbuf_lit(out, "\"}");
}

void
reload_page_put_json(struct textbuf *out, const struct reload *r)
{
	const struct reload_last *last = last_of(r);

	textbuf_lit(out, ",\"config_generation\":");
	textbuf_u64(out, generation_of(r));
	textbuf_lit(out, ",\"last_reload\":");
	if (last == NULL) {
		textbuf_lit(out, "null");
		return;
	}
	textbuf_lit(out, "{\"number\":");
	textbuf_u64(out, last->number);
	textbuf_lit(out, ",\"result\":\"");
	textbuf_str(out, reload_result_text(last->result));
	textbuf_lit(out, "\",\"time\":\"");
	access_put_time(out, last->unix_ms);
	textbuf_lit(out, "\",\"took_ms\":");
	textbuf_u64(out, last->took_ms);
	textbuf_lit(out, ",\"swap_us\":");
	textbuf_u64(out, last->swap_us);
	put_text_json(out, last->text);
}

/* ---- for people ---- */

/* The first error, and how many more there are. */
static void
put_errors(struct textbuf *out, struct span text)
{
	uint64_t n = count_lines(text);

	textbuf_put(out, span_make(text.ptr, span_find(text, '\n')));
	if (n < 2)
		return;
	textbuf_lit(out, " (and ");
	textbuf_u64(out, n - 1);
	textbuf_str(out, n == 2 ? " more error)" : " more errors)");
}

void
reload_page_put_text(
    struct textbuf *out, const struct reload *r, uint64_t now_unix_ms)
{
	const struct reload_last *last = last_of(r);
	bool applied;

	if (last == NULL)
		return;
	applied = last->result == RELOAD_APPLIED;
	textbuf_lit(out, "reload   ");
	textbuf_str(out, applied ? "applied " : "REFUSED ");
	/* The wall clock may have been set back since. */
	textbuf_u64(out,
	    now_unix_ms > last->unix_ms ? (now_unix_ms - last->unix_ms) / 1000
					: 0);
	textbuf_lit(out, " s ago");
	if (applied) {
		textbuf_lit(out, " (generation ");
		textbuf_u64(out, generation_of(r));
		textbuf_byte(out, ')');
	} else {
		textbuf_lit(out, ", the configuration before is in force: ");
		put_errors(out, last->text);
	}
	textbuf_byte(out, '\n');
}

/* ---- metrics ---- */

static void
put_result(
    struct textbuf *out, const struct reload *r, enum reload_result result)
{
	const struct metrics_label label = {
	    "result", span_of(reload_result_text(result))};

	metrics_put_count(out, "evenkeel_reloads_total",
	    (struct metrics_labels){&label, 1},
	    r == NULL ? 0 : reload_count(r, result));
}

void
reload_page_put_metrics(struct textbuf *out, const struct reload *r)
{
	metrics_put_family(out, "evenkeel_reloads_total", METRICS_COUNTER,
	    "Reloads that have ended: applied, or refused with the "
	    "configuration before still in force.");
	put_result(out, r, RELOAD_APPLIED);
	put_result(out, r, RELOAD_REFUSED);
	metrics_put_family(out, "evenkeel_config_generation", METRICS_GAUGE,
	    "Configurations since the start, this one included: one more with "
	    "each reload that was applied.");
	metrics_put_count(out, "evenkeel_config_generation",
	    (struct metrics_labels){NULL, 0}, generation_of(r));
}
