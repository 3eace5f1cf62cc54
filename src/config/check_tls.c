#include "evenkeel/config/check_tls.h"

#include "evenkeel/config/items.h"
#include "evenkeel/config/problem.h"

static const struct option *
option_of(const struct draft_section *s, struct span key)
{
	const struct option *o = option_find(s->kind, key);

	CHECK(o != NULL);
	return o;
}

/* The line of a key, or 0. */
static unsigned
line_of(const struct draft_section *s, const struct option *o)
{
	return s->seen[o - option_table];
}

/* All that was written of the key has been understood. */
static bool
is_whole(const struct draft_section *s, const struct option *o)
{
	size_t i = (size_t)(o - option_table);

	return !s->damaged && !s->refused[i] && !s->meant[i];
}

/* It is in the file, or was meant to be. */
static bool
is_said(const struct draft_section *s, const struct option *o)
{
	return line_of(s, o) > 0 || s->meant[o - option_table];
}

/* "KEY: TEXT" */
static void
tell(struct cfg_build *b, enum cfg_severity severity,
    const struct draft_section *s, const struct option *o, const char *text)
{
	struct problem m;

	problem_begin(&m, b, severity, line_of(s, o), s);
	textbuf_str(&m.text, o->name);
	textbuf_lit(&m.text, ": ");
	textbuf_str(&m.text, text);
	problem_end(&m);
}

/* ---- listeners ---- */

bool
check_tls_redirects(const struct draft_section *s)
{
	return s->kind == OPTION_LISTENER &&
	    is_said(s, option_of(s, SPAN("redirect")));
}

/* The n-th value of an option, n below their number. */
static const struct draft_item *
item_at(const struct draft_section *s, const struct option *o, size_t n)
{
	const struct draft_item *i = s->items;

	while (i->option != o || n-- > 0)
		i = i->next;
	return i;
}

static void
put_count(struct textbuf *out, size_t n, const struct option *o)
{
	textbuf_u64(out, n);
	textbuf_byte(out, ' ');
	textbuf_str(out, o->name);
}

/* Value n of `of` has nothing in `other` that it belongs to. */
static void
alone(struct cfg_build *b, const struct draft_section *s,
    const struct option *of, size_t n, const struct option *other,
    const char *allowed)
{
	const struct draft_item *i = item_at(s, of, n);
	struct problem m;

	problem_begin(&m, b, CFG_ERROR, i->line, s);
	problem_put_value(&m, of, span_of(i->text));
	textbuf_lit(&m.text, "there is no ");
	textbuf_str(&m.text, other->name);
	textbuf_lit(&m.text, " for it (");
	put_count(&m.text, items_count(s, of), of);
	textbuf_lit(&m.text, ", ");
	put_count(&m.text, items_count(s, other), other);
	textbuf_lit(&m.text, "); allowed: ");
	textbuf_str(&m.text, allowed);
	problem_end(&m);
}

static void
check_pairs(struct cfg_build *b, const struct draft_section *s)
{
	static const char one_each[] = "one tls_key for each tls_certificate, "
				       "in the same order";
	const struct option *certificate =
	    option_of(s, SPAN("tls_certificate"));
	const struct option *key = option_of(s, SPAN("tls_key"));
	const struct option *staple = option_of(s, SPAN("tls_ocsp_staple"));
	size_t n = items_count(s, certificate), n_keys = items_count(s, key);

	if (!is_whole(s, certificate))
		return;
	if (is_whole(s, key) && n_keys < n)
		alone(b, s, certificate, n_keys, key, one_each);
	if (is_whole(s, key) && n_keys > n)
		alone(b, s, key, n, certificate, one_each);
	if (is_whole(s, staple) && items_count(s, staple) > n)
		alone(b, s, staple, n, certificate,
		    "at most one tls_ocsp_staple for each tls_certificate, in "
		    "the same order");
}

/* Each key that would do nothing is named: who wrote it expects TLS. */
static void
check_plain(struct cfg_build *b, const struct draft_section *s)
{
	for (size_t i = 0; i < option_count; i++)
		if (option_table[i].section == s->kind &&
		    option_table[i].of_tls && s->seen[i] > 0)
			tell(b, CFG_ERROR, s, &option_table[i],
			    "the listener has no tls_certificate, so it does "
			    "not speak TLS; allowed: with tls_certificate");
}

static void
check_redirect(struct cfg_build *b, const struct draft_section *s)
{
	const struct option *o = option_of(s, SPAN("redirect"));
	struct problem m;

	if (line_of(s, o) == 0)
		return;
	problem_begin(&m, b, CFG_ERROR, line_of(s, o), s);
	textbuf_lit(&m.text,
	    "redirect: the listener speaks TLS already, by its "
	    "tls_certificate at line ");
	textbuf_u64(&m.text, line_of(s, option_of(s, SPAN("tls_certificate"))));
	textbuf_lit(
	    &m.text, "; allowed: on a listener without tls_certificate");
	problem_end(&m);
}

static void
check_listener(struct cfg_build *b, const struct draft_section *s)
{
	const struct option *certificate =
	    option_of(s, SPAN("tls_certificate"));
	struct cfg_listener *l = s->object;

	l->tls_ciphers_line = line_of(s, option_of(s, SPAN("tls_ciphers")));
	l->tls_ciphersuites_line =
	    line_of(s, option_of(s, SPAN("tls_ciphersuites")));
	if (line_of(s, certificate) > 0) {
		check_redirect(b, s);
		check_pairs(b, s);
	} else if (is_whole(s, certificate)) {
		check_plain(b, s);
	}
}

/* ---- pools ---- */

static void
check_both(struct cfg_build *b, const struct draft_section *s, struct span key,
    struct span other)
{
	const struct option *o = option_of(s, key);
	const struct option *with = option_of(s, other);
	struct problem m;

	if (s->damaged || line_of(s, o) == 0 || is_said(s, with))
		return;
	problem_begin(&m, b, CFG_ERROR, line_of(s, o), s);
	textbuf_str(&m.text, o->name);
	textbuf_lit(&m.text, ": there is no ");
	textbuf_str(&m.text, with->name);
	textbuf_lit(&m.text, " for it; allowed: both or neither");
	problem_end(&m);
}

void
check_tls(struct cfg_build *b, const struct draft_section *s)
{
	if (s->kind == OPTION_LISTENER)
		check_listener(b, s);
	if (s->kind != OPTION_POOL)
		return;
	check_both(b, s, SPAN("tls_certificate"), SPAN("tls_key"));
	check_both(b, s, SPAN("tls_key"), SPAN("tls_certificate"));
}

/* ---- warnings ---- */

static bool
any_https(const struct draft_section *s)
{
	for (const struct draft_item *i = s->items; i != NULL; i = i->next)
		if (i->option->type == OPTION_BACKENDS && i->backend.https)
			return true;
	return false;
}

static void
warn_unused(struct cfg_build *b, const struct draft_section *s)
{
	for (size_t i = 0; i < option_count; i++)
		if (option_table[i].section == s->kind &&
		    option_table[i].of_tls && s->seen[i] > 0)
			tell(b, CFG_WARNING, s, &option_table[i],
			    "no backend of the pool is written as "
			    "https://host:port, so it has no effect");
}

static void
warn_verify(struct cfg_build *b, const struct draft_section *s)
{
	const struct cfg_pool *p = s->object;
	const struct option *ca = option_of(s, SPAN("tls_ca"));

	if (p->tls_verify == CFG_ON)
		return;
	tell(b, CFG_WARNING, s, option_of(s, SPAN("tls_verify")),
	    "no, so anybody between here and the backends can read and change "
	    "what is sent; tls_ca is for certificates of one's own");
	if (line_of(s, ca) > 0)
		tell(b, CFG_WARNING, s, ca,
		    "it is not used, as tls_verify is no");
}

/* "_https" of the name, which the SRV record has for its own sake. */
static void
warn_srv(struct cfg_build *b, const struct draft_section *s)
{
	struct problem m;

	for (const struct draft_item *i = s->items; i != NULL; i = i->next) {
		if (i->option->type != OPTION_BACKENDS ||
		    i->backend.addr.kind != CFG_ADDR_SRV ||
		    !span_starts_with(
			span_of(i->backend.addr.host), SPAN("_https.")))
			continue;
		problem_begin(&m, b, CFG_WARNING, i->line, s);
		problem_put_value(&m, i->option, span_of(i->text));
		textbuf_lit(&m.text,
		    "the servers of an SRV record are spoken to in plain "
		    "HTTP, whatever the name of the service");
		problem_end(&m);
	}
}

/* Redirected before a pool is looked for. */
static void
warn_redirect(struct cfg_build *b, const struct draft_section *s)
{
	const struct option *pool = option_of(s, SPAN("pool"));

	if (check_tls_redirects(s) && line_of(s, pool) > 0)
		tell(b, CFG_WARNING, s, pool,
		    "the listener redirects every request, so none gets to a "
		    "pool");
}

static bool
binds_port(const struct draft_section *s, uint16_t port)
{
	for (const struct draft_item *i = s->items; i != NULL; i = i->next)
		if (i->option->type == OPTION_BINDS &&
		    i->backend.addr.kind != CFG_ADDR_UNIX &&
		    i->backend.addr.port == port)
			return true;
	return false;
}

/* Where clients are sent to, somebody has to speak TLS. */
static void
warn_target(struct cfg_build *b, const struct draft_section *s)
{
	const struct option *o = option_of(s, SPAN("redirect"));
	const struct cfg_listener *l = s->object;
	const struct draft_section *plain = NULL;
	struct problem m;

	if (l->redirect_port == 0)
		return;
	for (const struct draft_section *t = b->sections; t != NULL;
	     t = t->next) {
		if (t->kind != OPTION_LISTENER ||
		    !binds_port(t, l->redirect_port))
			continue;
		if (is_said(t, option_of(t, SPAN("tls_certificate"))))
			return;
		plain = t;
	}
	if (plain == NULL)
		return;
	problem_begin(&m, b, CFG_WARNING, line_of(s, o), s);
	textbuf_lit(&m.text, "redirect: listener ");
	textbuf_str(&m.text, plain->name);
	textbuf_lit(&m.text, " has port ");
	textbuf_u64(&m.text, l->redirect_port);
	textbuf_lit(&m.text, " and speaks no TLS, so clients get nowhere");
	problem_end(&m);
}

/* Nearly always https. */
static void
warn_443(struct cfg_build *b, const struct draft_section *s)
{
	struct problem m;

	for (const struct draft_item *i = s->items; i != NULL; i = i->next) {
		if (i->option->type != OPTION_BACKENDS || i->backend.https ||
		    i->backend.addr.kind == CFG_ADDR_UNIX ||
		    i->backend.addr.kind == CFG_ADDR_SRV ||
		    i->backend.addr.port != 443)
			continue;
		problem_begin(&m, b, CFG_WARNING, i->line, s);
		problem_put_value(&m, i->option, span_of(i->text));
		textbuf_lit(&m.text,
		    "it is spoken to in plain HTTP; TLS is written as "
		    "https://host:443");
		problem_end(&m);
	}
}

void
check_tls_warn(struct cfg_build *b, const struct draft_section *s)
{
	if (s->kind == OPTION_LISTENER) {
		warn_redirect(b, s);
		warn_target(b, s);
	}
	if (s->kind != OPTION_POOL)
		return;
	warn_srv(b, s);
	warn_443(b, s);
	if (any_https(s))
		warn_verify(b, s);
	else
		warn_unused(b, s);
}
