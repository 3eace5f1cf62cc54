#include "evenkeel/control/secure.h"

#include <stdlib.h>
#include <string.h>

/* Keys of a section that name files. */
#define KEYS_MAX 7
/* What net/tls_* says of a path, and what stands before it. */
#define TEXT_BYTES 8448

static const char listener_word[] = "listener", pool_word[] = "pool";

/* A key and its values. */
struct named {
	const char *key;
	const struct cfg_file *files;
	size_t n;
};

/* The section that is looked at. */
struct look {
	struct secure *s;
	const char *section, *name;
	unsigned line;
	struct named keys[KEYS_MAX];
	bool told; /* an error */
	bool no_memory;
};

/* ---- what lasts ---- */

void
secure_base_init(struct secure_base *b, uint32_t workers)
{
	*b = (struct secure_base){.workers = workers};
}

/* False: no memory. */
static bool
base_ready(struct secure_base *b)
{
	uint32_t n = b->workers + 1;

	if (b->tickets == NULL)
		b->tickets = tls_tickets_create();
	if (b->spaces == NULL)
		b->spaces = calloc(n, sizeof(struct tls_space *));
	if (b->tickets == NULL || b->spaces == NULL)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		if (b->spaces[i] == NULL)
			b->spaces[i] = tls_space_create();
		if (b->spaces[i] == NULL)
			return false;
	}
	return true;
}

void
secure_base_free(struct secure_base *b)
{
	for (uint32_t i = 0; b->spaces != NULL && i <= b->workers; i++)
		if (b->spaces[i] != NULL)
			tls_space_free(b->spaces[i]);
	free(b->spaces);
	if (b->tickets != NULL)
		tls_tickets_free(b->tickets);
	b->spaces = NULL;
	b->tickets = NULL;
}

/* ---- what is told ---- */

static const struct cfg_file *
find_file(const struct look *l, const char *key, size_t index)
{
	for (size_t i = 0; i < KEYS_MAX && l->keys[i].key != NULL; i++)
		if (strcmp(l->keys[i].key, key) == 0)
			return index < l->keys[i].n ? &l->keys[i].files[index]
						    : NULL;
	return NULL;
}

/* The line of the value, else that of the section. */
static unsigned
line_of(const struct look *l, const char *key, size_t index)
{
	const struct cfg_file *f = find_file(l, key, index);

	return f != NULL && f->line > 0 ? f->line : l->line;
}

static void
note_problem(
    struct look *l, enum cfg_severity severity, unsigned line, struct span text)
{
	struct cfg_problem *p = malloc(sizeof(*p) + text.len + 1);
	struct cfg_problem **at = &l->s->problems;
	char *copy = (char *)(p + 1);

	if (p == NULL) {
		l->no_memory = true;
		return;
	}
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	*p = (struct cfg_problem){
	    .severity = severity, .line = line, .text = copy};
	while (*at != NULL && (*at)->line <= line)
		at = &(*at)->next;
	p->next = *at;
	*at = p;
}

/* "[listener main] tls_key: reason"; a path that is longer than paths are is
 * cut. */
static void
tell(struct look *l, enum cfg_severity severity, const char *key, size_t index,
    const char *reason)
{
	char bytes[TEXT_BYTES];
	struct textbuf t = textbuf_make(bytes, sizeof(bytes));
	struct span rest = span_of(reason);

	textbuf_byte(&t, '[');
	textbuf_str(&t, l->section);
	textbuf_byte(&t, ' ');
	textbuf_str(&t, l->name);
	textbuf_lit(&t, "] ");
	textbuf_str(&t, key);
	textbuf_lit(&t, ": ");
	if (rest.len > t.cap - t.len)
		rest.len = t.cap - t.len;
	textbuf_put(&t, rest);
	note_problem(l, severity, line_of(l, key, index), textbuf_span(&t));
}

static void
look_on_error(const char *key, size_t index, const char *reason, void *arg)
{
	struct look *l = arg;

	l->told = true;
	tell(l, CFG_ERROR, key, index, reason);
}

static void
look_on_warning(const char *key, size_t index, const char *reason, void *arg)
{
	tell(arg, CFG_WARNING, key, index, reason);
}

/* ---- lists ---- */

/* Room for one more at the end of `n` of them. */
static void *
grow(void **list, size_t n, size_t size)
{
	void *more;

	/* A power of two is full. */
	if ((n & (n - 1)) == 0) {
		more = realloc(*list, (n > 0 ? 2 * n : 1) * size);
		if (more == NULL)
			return NULL;
		*list = more;
	}
	return (char *)*list + n * size;
}

static void
note_file(struct look *l, const struct secure_file *file)
{
	void *list = l->s->files;
	struct secure_file *f = grow(&list, l->s->n_files, sizeof(*f));

	l->s->files = list;
	if (f == NULL) {
		l->no_memory = true;
		return;
	}
	*f = *file;
	l->s->n_files++;
}

static void
look_on_content(const char *key, size_t index, uint64_t digest, void *arg)
{
	struct look *l = arg;
	const struct cfg_file *f = find_file(l, key, index);

	if (f == NULL)
		return;
	note_file(l,
	    &(struct secure_file){.section = l->section,
		.name = l->name,
		.key = key,
		.path = f->path,
		.digest = digest});
}

/* A file that a section names twice expires once. */
static bool
is_noted(const struct look *l, const char *file)
{
	const struct secure *s = l->s;

	for (size_t i = s->n_certificates; i > 0; i--) {
		const struct secure_certificate *c = &s->certificates[i - 1];

		if (c->section != l->section || c->name != l->name)
			break;
		if (strcmp(c->file, file) == 0)
			return true;
	}
	return false;
}

static void
note_certificate(struct look *l, const char *file, int64_t expires_s)
{
	void *list = l->s->certificates;
	struct secure_certificate *c;

	if (is_noted(l, file))
		return;
	c = grow(&list, l->s->n_certificates, sizeof(*c));
	l->s->certificates = list;
	if (c == NULL) {
		l->no_memory = true;
		return;
	}
	*c = (struct secure_certificate){.section = l->section,
	    .name = l->name,
	    .file = file,
	    .expires_s = expires_s};
	l->s->n_certificates++;
}

/* ---- listeners ---- */

static struct tls_teller
teller_of(struct look *l)
{
	return (struct tls_teller){.error = look_on_error,
	    .warning = look_on_warning,
	    .content = look_on_content,
	    .arg = l};
}

static struct tls_pair *
pairs_of(const struct cfg_listener *cfg)
{
	struct tls_pair *pairs =
	    calloc(cfg->n_tls_certificates, sizeof(*pairs));

	for (size_t i = 0; pairs != NULL && i < cfg->n_tls_certificates; i++) {
		pairs[i].certificate = cfg->tls_certificates[i].path;
		pairs[i].key = cfg->tls_keys[i].path;
		if (i < cfg->n_tls_staples &&
		    cfg->tls_staples[i].path[0] != '\0')
			pairs[i].staple = cfg->tls_staples[i].path;
	}
	return pairs;
}

/* False: it failed, and was told, or there is no memory. */
static bool
create_servers(struct look *l, struct secure_base *b,
    const struct cfg_listener *cfg, struct tls_server **out)
{
	const struct tls_teller teller = teller_of(l);
	struct tls_pair *pairs = pairs_of(cfg);
	const struct tls_server_terms terms = {.name = cfg->name,
	    .pairs = pairs,
	    .n_pairs = cfg->n_tls_certificates,
	    .only_1_3 = cfg->tls_min_version == CFG_TLS_1_3,
	    .ciphers = cfg->tls_ciphers,
	    .ciphersuites = cfg->tls_ciphersuites,
	    .client_ca = cfg->tls_client_ca.path,
	    .ticket_keys = cfg->tls_ticket_keys.path,
	    .tickets = b->tickets};
	bool made = pairs != NULL &&
	    tls_servers_create(out, b->spaces, b->workers, &terms, &teller);

	free(pairs);
	return made;
}

static void
look_at_listener(struct secure *s, struct secure_base *b,
    const struct cfg_listener *cfg, struct look *l, size_t at)
{
	struct tls_server **out =
	    calloc(b->workers, sizeof(struct tls_server *));

	const struct cfg_file ciphers = {.line = cfg->tls_ciphers_line};
	const struct cfg_file suites = {.line = cfg->tls_ciphersuites_line};

	*l = (struct look){.s = s,
	    .section = listener_word,
	    .name = cfg->name,
	    .line = cfg->line,
	    .keys = {{"tls_certificate", cfg->tls_certificates,
			 cfg->n_tls_certificates},
		{"tls_key", cfg->tls_keys, cfg->n_tls_keys},
		{"tls_ocsp_staple", cfg->tls_staples, cfg->n_tls_staples},
		{"tls_client_ca", &cfg->tls_client_ca, 1},
		{"tls_ticket_keys", &cfg->tls_ticket_keys, 1},
		{"tls_ciphers", &ciphers, 1},
		{"tls_ciphersuites", &suites, 1}}};
	if (out == NULL || !create_servers(l, b, cfg, out)) {
		l->no_memory |= !l->told;
		free(out);
		return;
	}
	s->servers[at] = out;
	for (size_t i = 0; i < cfg->n_tls_certificates; i++)
		note_certificate(l, cfg->tls_certificates[i].path,
		    tls_server_expiry(out[0], i));
}

/* ---- pools ---- */

static bool
has_https(const struct cfg_pool *p)
{
	for (size_t i = 0; i < p->n_backends; i++)
		if (p->backends[i].https)
			return true;
	return false;
}

static bool
same_terms(const struct cfg_pool *a, const struct cfg_pool *b)
{
	return a->tls_verify == b->tls_verify &&
	    strcmp(a->tls_ca.path, b->tls_ca.path) == 0 &&
	    strcmp(a->tls_certificate.path, b->tls_certificate.path) == 0 &&
	    strcmp(a->tls_key.path, b->tls_key.path) == 0;
}

/* An earlier pool that has been loaded with the same terms, or NULL: what all
 * CAs of a system take is taken once. */
static const struct cfg_pool *
find_twin(const struct secure *s, const struct cfg *cfg, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (s->clients[i] != NULL &&
		    same_terms(&cfg->pools[i], &cfg->pools[at]))
			return &cfg->pools[i];
	return NULL;
}

static void
share(struct look *l, const struct cfg_pool *twin, struct tls_client **out)
{
	struct secure *s = l->s;
	size_t n_files = s->n_files;

	for (uint32_t i = 0; i <= s->workers; i++)
		out[i] = tls_client_hold(s->clients[twin->index][i]);
	for (size_t i = 0; i < n_files; i++) {
		struct secure_file f = s->files[i];

		if (f.section != pool_word || f.name != twin->name)
			continue;
		f.name = l->name;
		note_file(l, &f);
	}
}

static bool
create_clients(struct look *l, struct secure_base *b,
    const struct cfg_pool *cfg, struct tls_client **out)
{
	const struct tls_teller teller = teller_of(l);
	const struct tls_client_terms terms = {
	    .verify = cfg->tls_verify == CFG_ON,
	    .ca = cfg->tls_ca.path,
	    .certificate = cfg->tls_certificate.path,
	    .key = cfg->tls_key.path};

	return tls_clients_create(
	    out, b->spaces, b->workers + (size_t)1, &terms, &teller);
}

static void
look_at_pool(struct secure *s, struct secure_base *b, const struct cfg *all,
    struct look *l, size_t at)
{
	const struct cfg_pool *cfg = &all->pools[at];
	const struct cfg_pool *twin = find_twin(s, all, at);
	struct tls_client **out =
	    calloc(b->workers + (size_t)1, sizeof(struct tls_client *));

	*l = (struct look){.s = s,
	    .section = pool_word,
	    .name = cfg->name,
	    .line = cfg->line,
	    .keys = {{"tls_ca", &cfg->tls_ca, 1},
		{"tls_certificate", &cfg->tls_certificate, 1},
		{"tls_key", &cfg->tls_key, 1}}};
	if (out != NULL && twin != NULL) {
		share(l, twin, out);
	} else if (out == NULL || !create_clients(l, b, cfg, out)) {
		l->no_memory |= !l->told;
		free(out);
		return;
	}
	s->clients[at] = out;
	if (tls_client_expiry(out[0]) != 0)
		note_certificate(
		    l, cfg->tls_certificate.path, tls_client_expiry(out[0]));
}

/* ---- all of them ---- */

static void
drop_warnings(struct secure *s)
{
	struct cfg_problem **at = &s->problems;

	while (*at != NULL) {
		struct cfg_problem *p = *at;

		if (p->severity == CFG_WARNING) {
			*at = p->next;
			free(p);
		} else {
			at = &p->next;
		}
	}
}

/* False: no memory. */
static bool
load(struct secure *s, struct secure_base *b, const struct cfg *cfg)
{
	struct look l = {.no_memory = false};

	for (size_t i = 0; i < cfg->n_listeners && !l.no_memory; i++) {
		if (cfg->listeners[i].n_tls_certificates == 0)
			continue;
		if (!base_ready(b))
			return false;
		look_at_listener(s, b, &cfg->listeners[i], &l, i);
		s->failed |= l.told;
	}
	for (size_t i = 0; i < cfg->n_pools && !l.no_memory; i++) {
		if (!has_https(&cfg->pools[i]))
			continue;
		if (!base_ready(b))
			return false;
		look_at_pool(s, b, cfg, &l, i);
		s->failed |= l.told;
	}
	return !l.no_memory;
}

struct secure *
secure_load(struct secure_base *b, const struct cfg *cfg)
{
	struct secure *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->workers = b->workers;
	s->n_listeners = cfg->n_listeners;
	s->n_pools = cfg->n_pools;
	s->servers = calloc(cfg->n_listeners, sizeof(struct tls_server **));
	s->clients = calloc(cfg->n_pools, sizeof(struct tls_client **));
	if (s->servers == NULL || s->clients == NULL || !load(s, b, cfg)) {
		secure_free(s);
		return NULL;
	}
	if (s->failed)
		drop_warnings(s);
	return s;
}

static void
free_problems(struct secure *s)
{
	while (s->problems != NULL) {
		struct cfg_problem *p = s->problems;

		s->problems = p->next;
		free(p);
	}
}

void
secure_free(struct secure *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; s->servers != NULL && i < s->n_listeners; i++) {
		for (uint32_t k = 0; s->servers[i] && k < s->workers; k++)
			tls_server_release(s->servers[i][k]);
		free(s->servers[i]);
	}
	for (size_t i = 0; s->clients != NULL && i < s->n_pools; i++) {
		for (uint32_t k = 0; s->clients[i] && k <= s->workers; k++)
			tls_client_release(s->clients[i][k]);
		free(s->clients[i]);
	}
	free_problems(s);
	free(s->servers);
	free(s->clients);
	free(s->certificates);
	free(s->files);
	free(s);
}

/* ---- what is asked of it ---- */

static bool
same_place(const struct secure_file *a, const struct secure_file *b)
{
	return strcmp(a->section, b->section) == 0 &&
	    strcmp(a->name, b->name) == 0 && strcmp(a->key, b->key) == 0 &&
	    strcmp(a->path, b->path) == 0;
}

/* Its place in `s`; n_files: none.  The same files in the same order, as they
 * mostly are, are found at once when `from` goes on behind the last. */
static size_t
find_place(const struct secure *s, const struct secure_file *f, size_t from)
{
	for (size_t i = 0; i < s->n_files; i++) {
		size_t at = (from + i) % s->n_files;

		if (same_place(&s->files[at], f))
			return at;
	}
	return s->n_files;
}

static void
put_change(struct textbuf *out, const struct secure_file *f)
{
	textbuf_str(out, f->section);
	textbuf_byte(out, ' ');
	textbuf_str(out, f->name);
	textbuf_lit(out, ": ");
	textbuf_str(out, f->key);
	textbuf_byte(out, ' ');
	textbuf_str(out, f->path);
	textbuf_lit(out, " has new content\n");
}

/* `out` may be NULL. */
static bool
go_over_changes(
    struct textbuf *out, const struct secure *old, const struct secure *new)
{
	bool any = false;
	size_t from = 0;

	if (old == NULL || new == NULL)
		return false;
	for (size_t i = 0; i < new->n_files; i++) {
		const struct secure_file *f = &new->files[i];
		size_t at = find_place(old, f, from);

		if (at == old->n_files)
			continue;
		from = at + 1;
		if (old->files[at].digest == f->digest)
			continue;
		any = true;
		if (out != NULL)
			put_change(out, f);
	}
	return any;
}

bool
secure_changed(const struct secure *old, const struct secure *new)
{
	return go_over_changes(NULL, old, new);
}

void
secure_put_changes(
    struct textbuf *out, const struct secure *old, const struct secure *new)
{
	(void)go_over_changes(out, old, new);
}

int64_t
secure_next_expiry(const struct secure *s, const char *listener)
{
	int64_t first = 0;

	for (size_t i = 0; s != NULL && i < s->n_certificates; i++) {
		const struct secure_certificate *c = &s->certificates[i];

		if (c->section == listener_word &&
		    strcmp(c->name, listener) == 0 &&
		    (first == 0 || c->expires_s < first))
			first = c->expires_s;
	}
	return first;
}
