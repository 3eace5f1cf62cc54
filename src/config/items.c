/* Values of the options that repeat or name other sections. */
#include "evenkeel/config/items.h"

#include "evenkeel/base/num.h"
#include "evenkeel/config/address.h"
#include "evenkeel/http/cidr.h"
#include "evenkeel/config/problem.h"
#include "evenkeel/policy/retry.h"

#define WHY_MAX      512
#define STATUS_LEAST 100U

struct draft_item *
items_add(struct cfg_build *b, struct draft_section *s, const struct option *o,
    unsigned line)
{
	struct draft_item *item = arena_get(b->arena, 1, sizeof(*item));

	if (item == NULL)
		return NULL;
	item->option = o;
	item->line = line;
	*s->last_item = item;
	s->last_item = &item->next;
	return item;
}

size_t
items_count(const struct draft_section *s, const struct option *o)
{
	size_t n = 0;

	for (const struct draft_item *i = s->items; i != NULL; i = i->next)
		n += i->option == o;
	return n;
}

static enum value_outcome
bad(struct textbuf *why, const char *reason)
{
	textbuf_str(why, reason);
	return VALUE_BAD;
}

/* The next run of bytes that are not white space; false: none is left. */
static bool
next_token(struct span *rest, struct span *token)
{
	size_t n = 0;

	*rest = span_trim(*rest);
	while (n < rest->len && rest->ptr[n] != ' ' && rest->ptr[n] != '\t')
		n++;
	*token = span_make(rest->ptr, n);
	*rest = span_make(rest->ptr + n, rest->len - n);
	return n > 0;
}

/* Takes "name=" off the token. */
static bool
take_option(struct span *token, struct span name)
{
	if (!span_starts_with(*token, name))
		return false;
	*token = span_make(token->ptr + name.len, token->len - name.len);
	return true;
}

static enum value_outcome
bad_backend_option(struct span token, struct textbuf *why)
{
	struct nearest near;

	token.len = span_find(token, '=');
	nearest_init(&near, token);
	nearest_offer_words(&near, "weight|name|max|backup");
	textbuf_lit(why, "unknown option ");
	cfg_put_quoted(why, token);
	if (near.best.ptr != NULL) {
		textbuf_lit(why, " (did you mean ");
		textbuf_put(why, near.best);
		textbuf_lit(why, "=?)");
	}
	return VALUE_BAD;
}

/* Whether a name is short enough for messages and labels. */
static bool
is_backend_name(struct span name)
{
	return value_is_name(name) && name.len <= CFG_NAME_MAX;
}

/* A number of an option that stands once; VALUE_OK, or why not. */
static enum value_outcome
take_number(struct span token, uint32_t max, uint32_t *number,
    struct textbuf *why, const char *twice, const char *range)
{
	uint64_t value;

	if (*number > 0)
		return bad(why, twice);
	if (!num_parse_u64(token, max, &value) || value == 0)
		return bad(why, range);
	*number = (uint32_t)value;
	return VALUE_OK;
}

static enum value_outcome
take_name(struct arena *a, struct span token, struct cfg_backend *backend,
    struct textbuf *why)
{
	if (backend->name != NULL)
		return bad(why, "name= is there twice");
	if (!is_backend_name(token))
		return bad(why, "a name is up to 48 letters, digits, _ . -");
	backend->name = arena_text(a, token);
	return backend->name == NULL ? VALUE_NO_MEMORY : VALUE_OK;
}

static enum value_outcome
parse_backend_option(struct arena *a, struct span token,
    struct cfg_backend *backend, struct textbuf *why)
{
	struct span whole = token;

	if (take_option(&token, SPAN("weight=")))
		return take_number(token, CFG_WEIGHT_MAX, &backend->weight, why,
		    "weight= is there twice",
		    "the weight is not a number from 1 to 256");
	if (take_option(&token, SPAN("max=")))
		return take_number(token, CFG_MAX_MAX, &backend->max, why,
		    "max= is there twice",
		    "max is not a number from 1 to 1000000");
	if (take_option(&token, SPAN("name=")))
		return take_name(a, token, backend, why);
	if (!span_equal(token, SPAN("backup")))
		return bad_backend_option(whole, why);
	if (backend->backup)
		return bad(why, "backup is there twice");
	backend->backup = true;
	return VALUE_OK;
}

/* What it is called when it is given no name; NULL: no memory. */
static const char *
name_of(struct arena *a, const struct cfg_backend *backend)
{
	char room[VALUE_TEXT_MAX];
	struct textbuf t = textbuf_make(room, sizeof(room));

	if (!backend->https)
		return backend->addr.text;
	address_put_backend(&t, backend);
	CHECK(!t.full);
	return arena_text(a, textbuf_span(&t));
}

static enum value_outcome
parse_backend(struct arena *a, struct span text, struct cfg_backend *backend,
    struct textbuf *why)
{
	enum value_outcome outcome;
	struct span token;

	if (!next_token(&text, &token))
		return bad(why, "the address is missing");
	outcome = address_parse_backend(
	    a, token, &backend->addr, &backend->https, why);
	while (outcome == VALUE_OK && next_token(&text, &token))
		outcome = parse_backend_option(a, token, backend, why);
	if (outcome == VALUE_OK && backend->addr.kind == CFG_ADDR_SRV &&
	    backend->weight > 0)
		return bad(why, "the weight comes from the SRV record");
	if (outcome == VALUE_OK && backend->name == NULL)
		backend->name = name_of(a, backend);
	if (outcome == VALUE_OK && backend->name == NULL)
		return VALUE_NO_MEMORY;
	if (backend->weight == 0)
		backend->weight = 1;
	return outcome;
}

static enum value_outcome
parse_path(const struct option *o, struct arena *a, struct span text,
    const char **path, struct textbuf *why)
{
	if (text.len == 0 || text.ptr[0] != '/')
		return bad(why, "a path begins with /");
	if (text.len > o->max)
		return bad(why, "too long");
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		/* RFC 9112 3.2: such bytes never stand in a target. */
		if (c <= 0x20 || c >= 0x7f || c == '?' || c == '#')
			return bad(why,
			    "white space, ?, # or a byte that is "
			    "not ASCII in a path");
	}
	*path = arena_text(a, text);
	return *path != NULL ? VALUE_OK : VALUE_NO_MEMORY;
}

static enum value_outcome
parse_cidr(
    struct arena *a, struct span text, const char **kept, struct textbuf *why)
{
	char room[CIDR_TEXT_BYTES];
	struct textbuf t = textbuf_make(room, sizeof(room));
	struct cidr c;
	enum cidr_error e = cidr_parse(text, &c);

	if (e != CIDR_OK)
		return bad(why, cidr_error_text(e));
	cidr_put(&t, &c);
	*kept = arena_text(a, textbuf_span(&t));
	return *kept != NULL ? VALUE_OK : VALUE_NO_MEMORY;
}

/* A number of three digits between the two; else why not. */
static enum value_outcome
take_status(
    struct span text, unsigned least, uint16_t *status, struct textbuf *why)
{
	uint64_t value;

	if (!num_parse_u64(text, UINT64_MAX, &value) || text.len != 3)
		return bad(why, "not a status code");
	if (value < least || value > RETRY_STATUS_MAX)
		return bad(why, "the status code is out of range");
	*status = (uint16_t)value;
	return VALUE_OK;
}

static bool
is_cause(const struct option *o, struct span text)
{
	struct span rest = span_of(o->words), word;

	while (value_next_word(&rest, &word))
		if (span_equal(text, word))
			return true;
	return false;
}

/* Neither a cause nor a status code. */
static enum value_outcome
bad_cause(const struct option *o, struct span text, struct textbuf *why)
{
	struct nearest near;

	if (text.ptr[0] >= '0' && text.ptr[0] <= '9')
		return bad(why,
		    "not a status code (each stands by itself, without "
		    "ranges)");
	if (span_equal(text, SPAN("off")) || span_equal(text, SPAN("none")) ||
	    span_equal(text, SPAN("no")))
		return bad(why, "retry_attempts = 0 turns retries off");
	nearest_init(&near, text);
	nearest_offer_words(&near, o->words);
	textbuf_lit(why, "unknown cause");
	if (near.best.ptr != NULL) {
		textbuf_lit(why, " (did you mean ");
		textbuf_put(why, near.best);
		textbuf_lit(why, "?)");
	}
	return VALUE_BAD;
}

static enum value_outcome
parse_cause(const struct option *o, struct arena *a, struct span text,
    const char **cause, struct textbuf *why)
{
	enum value_outcome outcome;
	uint16_t status;
	uint64_t number;

	if (!is_cause(o, text)) {
		if (!num_parse_u64(text, UINT64_MAX, &number))
			return bad_cause(o, text, why);
		outcome = take_status(text, RETRY_STATUS_MIN, &status, why);
		if (outcome != VALUE_OK)
			return outcome;
	}
	*cause = arena_text(a, text);
	return *cause != NULL ? VALUE_OK : VALUE_NO_MEMORY;
}

/* A code, or two with '-' between them. */
static enum value_outcome
parse_statuses(
    struct span text, struct cfg_statuses *statuses, struct textbuf *why)
{
	size_t dash = span_find(text, '-');
	struct span to = text;
	enum value_outcome outcome;

	if (dash < text.len)
		to = span_make(text.ptr + dash + 1, text.len - dash - 1);
	text.len = dash;
	outcome = take_status(text, STATUS_LEAST, &statuses->from, why);
	if (outcome == VALUE_OK)
		outcome = take_status(to, STATUS_LEAST, &statuses->to, why);
	if (outcome == VALUE_OK && statuses->from > statuses->to)
		return bad(why, "the range ends before it begins");
	return outcome;
}

static enum value_outcome
parse_name(
    struct arena *a, struct span text, const char **name, struct textbuf *why)
{
	if (!value_is_name(text) || text.len > CFG_NAME_MAX)
		return bad(why, "a name consists of letters, digits, _ . -");
	*name = arena_text(a, text);
	return *name != NULL ? VALUE_OK : VALUE_NO_MEMORY;
}

static enum value_outcome
parse_file(const struct option *o, struct arena *a, struct span text,
    const char **path, struct textbuf *why)
{
	if (!value_check_text(o, text, why))
		return VALUE_BAD;
	*path = arena_text(a, text);
	return *path != NULL ? VALUE_OK : VALUE_NO_MEMORY;
}

static enum value_outcome
parse_element(struct arena *a, struct span text, struct draft_item *item,
    struct textbuf *why)
{
	const struct option *o = item->option;

	if (text.len == 0)
		return bad(why, "empty");
	if (o->type == OPTION_HOSTS)
		return address_parse_host(a, text, &item->text, why);
	if (o->type == OPTION_PATHS)
		return parse_path(o, a, text, &item->text, why);
	if (o->type == OPTION_FILE || o->type == OPTION_FILES)
		return parse_file(o, a, text, &item->text, why);
	if (o->type == OPTION_CIDRS)
		return parse_cidr(a, text, &item->text, why);
	if (o->type == OPTION_POOL_NAME || o->type == OPTION_LISTENER_NAMES)
		return parse_name(a, text, &item->text, why);
	if (o->type == OPTION_CAUSES)
		return parse_cause(o, a, text, &item->text, why);
	if (o->type == OPTION_STATUSES)
		return parse_statuses(text, &item->statuses, why);
	item->text = arena_text(a, text);
	if (item->text == NULL)
		return VALUE_NO_MEMORY;
	if (o->type == OPTION_BACKENDS)
		return parse_backend(a, text, &item->backend, why);
	return address_parse_bind(a, text, &item->backend.addr, why);
}

/* Something of the element is already in the list; what is not a list of words
 * or numbers is compared in the end, by check. */
static bool
is_there(const struct draft_section *s, const struct draft_item *parsed)
{
	enum option_type type = parsed->option->type;

	if (type != OPTION_CAUSES && type != OPTION_STATUSES)
		return false;
	for (const struct draft_item *i = s->items; i != NULL; i = i->next) {
		if (i->option != parsed->option)
			continue;
		if (type == OPTION_CAUSES && strcmp(i->text, parsed->text) == 0)
			return true;
		if (type == OPTION_STATUSES &&
		    i->statuses.from <= parsed->statuses.to &&
		    i->statuses.to >= parsed->statuses.from)
			return true;
	}
	return false;
}

static enum value_outcome
parse_new(struct cfg_build *b, const struct draft_section *s,
    struct draft_item *parsed, struct span text, struct textbuf *why)
{
	enum value_outcome outcome = parse_element(b->arena, text, parsed, why);

	if (outcome == VALUE_OK && is_there(s, parsed))
		return bad(why, "it is in the list already");
	return outcome;
}

static void
take_element(struct cfg_build *b, struct draft_section *s,
    const struct draft_item *form, struct span text)
{
	char room[WHY_MAX];
	struct textbuf why = textbuf_make(room, sizeof(room));
	struct draft_item parsed = *form, *item;
	struct problem m;

	switch (parse_new(b, s, &parsed, text, &why)) {
	case VALUE_OK:
		item = items_add(b, s, form->option, form->line);
		if (item == NULL)
			return;
		item->text = parsed.text;
		item->statuses = parsed.statuses;
		item->backend = parsed.backend;
		item->backend.addr.line = form->line;
		return;
	case VALUE_NO_MEMORY:
		return;
	case VALUE_BAD:
		s->refused[form->option - option_table] = true;
		problem_begin(&m, b, CFG_ERROR, form->line, s);
		problem_put_value(&m, form->option, text);
		textbuf_put(&m.text, textbuf_span(&why));
		problem_put_allowed(&m, form->option);
		problem_end(&m);
		return;
	}
}

void
items_parse(struct cfg_build *b, struct draft_section *s,
    const struct option *o, const struct cfg_entry *e)
{
	struct draft_item form = {.option = o, .line = e->line};
	struct span rest = e->value, element;

	if (!option_is_list(o)) {
		take_element(b, s, &form, e->value);
		return;
	}
	while (span_next_element(&rest, &element))
		take_element(b, s, &form, element);
}
