#include "evenkeel/net/inifile.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "evenkeel/base/num.h"
#include "evenkeel/config/value.h"

/* A file this large was not written by hand, nor by a sane generator. */
#define INIFILE_BYTES_MAX ((size_t)64 << 20)
/* Without its line end. */
#define INIFILE_LINE_MAX 4096
/* Stands in for a key where inih shall report a section header; no key of a
 * file can be this, see is_key. */
#define INIFILE_HEADER "@"
#define MESSAGE_MAX    1024

struct reader {
	struct cfg_build *build;
	struct span rest; /* of the text */
	unsigned line;    /* of the last line taken */
	char section[CFG_NAME_MAX];
	size_t section_len;
	bool announce; /* the header was handed over, its entry not yet */
	bool skip;     /* the header could not be read: neither can its keys */
	struct span value; /* of the line that inih has now */
	bool broken;       /* inih did not do what it was asked to */
};

void
inifile_free(struct inifile *f)
{
	blocks_free(&f->memory);
	*f = (struct inifile){.cfg = NULL};
}

/* "[pool web] ", or in quotes when it would not be fit to be shown. */
static void
put_section(struct textbuf *t, struct span section)
{
	bool plain = true;

	for (size_t i = 0; i < section.len; i++)
		plain =
		    plain && section.ptr[i] >= 0x20 && section.ptr[i] < 0x7f;
	textbuf_byte(t, '[');
	if (plain)
		textbuf_put(t, section);
	else
		cfg_put_quoted(t, section);
	textbuf_lit(t, "] ");
}

/* Reports an error in the line at hand: `[pool web] "...": WHAT`. */
static void
complain(struct reader *r, struct span part, const char *what)
{
	char room[MESSAGE_MAX];
	struct textbuf t = textbuf_make(room, sizeof(room));
	struct span section = span_make(r->section, r->section_len);

	if (section.len > 0)
		put_section(&t, section);
	cfg_put_quoted(&t, part);
	textbuf_lit(&t, ": ");
	textbuf_str(&t, what);
	cfg_build_problem(r->build, CFG_ERROR, r->line, textbuf_span(&t));
}

/* The next physical line without its end; false: there is none. */
static bool
next_line(struct reader *r, struct span *line)
{
	size_t n;

	if (r->rest.len == 0)
		return false;
	n = span_find(r->rest, '\n');
	*line = span_make(r->rest.ptr, n);
	n += n < r->rest.len;
	r->rest = span_make(r->rest.ptr + n, r->rest.len - n);
	if (line->len > 0 && line->ptr[line->len - 1] == '\r')
		line->len--;
	r->line++;
	return true;
}

/* Bytes up to a ';' or '#' at the start or after white space. */
static struct span
without_comment(struct span line)
{
	for (size_t i = 0; i < line.len; i++) {
		char c = line.ptr[i];
		char before = i > 0 ? line.ptr[i - 1] : ' ';

		if ((c == ';' || c == '#') && (before == ' ' || before == '\t'))
			return span_make(line.ptr, i);
	}
	return line;
}

/* Control bytes have no place in text, and NUL would end it early. */
static bool
has_control(struct span line, size_t *at)
{
	for (size_t i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char)line.ptr[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f) {
			*at = i;
			return true;
		}
	}
	return false;
}

/* What makes the whole line unusable; SPAN_NONE: it is just too long. */
static bool
line_is_text(struct reader *r, struct span line)
{
	size_t at = 0;

	if (line.len > INIFILE_LINE_MAX) {
		complain(r, span_make(line.ptr, 20),
		    "the line is too long; allowed: at most 4096 bytes");
		return false;
	}
	if (has_control(line, &at)) {
		complain(r, span_make(line.ptr + at, 1),
		    "a control byte; allowed: text, tabs, and LF or CRLF at "
		    "the end of a line");
		return false;
	}
	return true;
}

/* "pool \t web" as "pool web" into r->section; false: too long. */
static bool
take_section(struct reader *r, struct span text)
{
	struct textbuf t = textbuf_make(r->section, sizeof(r->section));
	bool gap = false;

	text = span_trim(text);
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == ' ' || text.ptr[i] == '\t') {
			gap = true;
			continue;
		}
		if (gap)
			textbuf_byte(&t, ' ');
		gap = false;
		textbuf_byte(&t, text.ptr[i]);
	}
	r->section_len = t.full ? 0 : t.len;
	return !t.full;
}

/* A header; true: it is in r->section. */
static bool
read_header(struct reader *r, struct span line)
{
	size_t end = span_find(line, ']');
	struct span inner = span_make(line.ptr + 1, end - 1);

	r->section_len = 0;
	r->skip = false;
	/* These two are reported and then read as they were probably meant,
	 * so that the errors below are found in the same pass. */
	if (end == line.len)
		complain(r, line,
		    "the closing ] is missing; allowed: "
		    "[SECTION] or [SECTION NAME]");
	else if (end + 1 < line.len)
		complain(r, line, "text behind the ]; allowed: only a comment");
	if (take_section(r, inner))
		return true;
	complain(r, inner,
	    "the section name is too long; allowed: at most "
	    "48 bytes");
	r->skip = true;
	return false;
}

static bool
is_key(struct reader *r, struct span key)
{
	if (!value_is_name(key))
		complain(r, key, "not a key; allowed: letters, digits, _ . -");
	else if (key.len > CFG_NAME_MAX)
		complain(r, key,
		    "the key is too long; allowed: at most 48 "
		    "bytes");
	else
		return true;
	return false;
}

/* KEY = VALUE; true: inih may have the key. */
static bool
read_pair(struct reader *r, struct span line, struct span *key)
{
	size_t equals = span_find(line, '=');

	if (equals == line.len) {
		complain(r, line,
		    "the = is missing; allowed: KEY = VALUE, [SECTION] or a "
		    "comment");
		return false;
	}
	*key = span_trim(span_make(line.ptr, equals));
	r->value =
	    span_trim(span_make(line.ptr + equals + 1, line.len - equals - 1));
	return is_key(r, *key) && !r->skip;
}

/* What inih shall see instead of the line; false: nothing. */
static bool
rewrite_line(struct reader *r, struct span line, struct textbuf *out)
{
	struct span key;

	if (!line_is_text(r, line))
		return false;
	line = span_trim(without_comment(line));
	if (line.len == 0)
		return false;
	if (line.ptr[0] == '[') {
		r->announce = read_header(r, line);
		if (!r->announce)
			return false;
		textbuf_byte(out, '[');
		textbuf_put(out, span_make(r->section, r->section_len));
		textbuf_byte(out, ']');
		return true;
	}
	if (!read_pair(r, line, &key))
		return false;
	textbuf_put(out, key);
	textbuf_lit(out, " = #");
	textbuf_u64(out, r->line);
	return true;
}

/* inih does not call for a header, so its line is followed by one with a key
 * of our own. */
static bool
announce_header(struct reader *r, struct textbuf *out)
{
	if (!r->announce)
		return false;
	r->announce = false;
	r->value = SPAN_NONE;
	textbuf_lit(out, INIFILE_HEADER " = #");
	textbuf_u64(out, r->line);
	return true;
}

/* The ini_reader: one short line into `out`, or NULL at the end. */
static char *
reader_on_line(char *out, int size, void *stream)
{
	struct reader *r = stream;
	struct textbuf t = textbuf_make(out, size > 2 ? (size_t)size - 2 : 0);
	struct span line;
	bool got = announce_header(r, &t);

	while (!got && next_line(r, &line))
		got = rewrite_line(r, line, &t);
	/* A key, the marks and a number: far less than inih's 200 bytes. */
	r->broken = r->broken || t.full;
	if (!got || t.full)
		return NULL;
	t.ptr[t.len++] = '\n';
	t.ptr[t.len] = '\0';
	return out;
}

/* The ini_handler: nonzero is success. */
static int
reader_on_entry(
    void *arg, const char *section, const char *key, const char *value)
{
	struct reader *r = arg;
	struct cfg_entry e = {.line = r->line, .section = span_of(section)};
	uint64_t line;

	if (value[0] != '#' ||
	    !num_parse_u64(span_of(value + 1), UINT32_MAX, &line) ||
	    line != r->line ||
	    !span_equal(e.section, span_make(r->section, r->section_len))) {
		r->broken = true;
		return 0;
	}
	if (strcmp(key, INIFILE_HEADER) != 0) {
		e.key = span_of(key);
		e.value = r->value;
	}
	cfg_build_entry(r->build, &e);
	return 1;
}

static struct span
without_bom(struct span text)
{
	struct span bom = SPAN("\xef\xbb\xbf");

	return span_starts_with(text, bom)
	    ? span_make(text.ptr + bom.len, text.len - bom.len)
	    : text;
}

bool
inifile_parse(struct inifile *f, struct span text)
{
	struct reader r = {.rest = without_bom(text)};
	struct arena arena;
	int outcome;

	*f = (struct inifile){.cfg = NULL};
	arena_init(&arena, blocks_more, &f->memory);
	r.build = cfg_build_begin(&arena);
	if (r.build == NULL) {
		f->no_memory = true;
		return true;
	}
	outcome = ini_parse_stream(reader_on_line, &r, reader_on_entry, &r);
	if (r.broken || outcome != 0)
		cfg_build_problem(r.build, CFG_ERROR, r.line,
		    SPAN("the INI library lost its way here"));
	f->cfg = cfg_build_end(r.build, &f->problems);
	f->no_memory = arena.failed;
	return true;
}

/* Says why, and keeps errno for the caller. */
static bool
fail(struct textbuf *why, const char *path, const char *what, int error)
{
	char room[128];

	textbuf_str(why, path);
	textbuf_lit(why, ": ");
	textbuf_str(why, what);
	if (what[0] == '\0')
		textbuf_str(why, strerror_r(error, room, sizeof(room)));
	errno = error;
	return false;
}

static bool
check_file(int fd, const char *path, struct textbuf *why)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return fail(why, path, "", errno);
	if (S_ISDIR(st.st_mode))
		return fail(why, path, "is a directory, not a file", EISDIR);
	if (!S_ISREG(st.st_mode))
		return fail(why, path, "is not a regular file", EINVAL);
	if (st.st_size > (off_t)INIFILE_BYTES_MAX)
		return fail(why, path, "is larger than 64 MiB", EFBIG);
	return true;
}

/* The whole file into *text (to be freed), which is *len bytes. */
static bool
slurp(int fd, const char *path, char **text, size_t *len, struct textbuf *why)
{
	size_t cap = 0;

	for (;;) {
		ssize_t n;

		if (*len == cap) {
			char *larger;

			cap = cap > 0 ? 2 * cap : 65536;
			larger = realloc(*text, cap);
			if (larger == NULL)
				return fail(why, path, "", ENOMEM);
			*text = larger;
		}
		n = read(fd, *text + *len, cap - *len);
		if (n == 0)
			return true;
		if (n < 0 && errno != EINTR)
			return fail(why, path, "", errno);
		*len += n > 0 ? (size_t)n : 0;
		/* It may grow while it is read. */
		if (*len > INIFILE_BYTES_MAX)
			return fail(why, path, "is larger than 64 MiB", EFBIG);
	}
}

/* The whole file at `path`; *text is to be freed either way. */
static bool
read_text(const char *path, char **text, size_t *len, struct textbuf *why)
{
	/* Without O_NONBLOCK a FIFO would keep us waiting for a writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool ok;
	int error;

	*text = NULL;
	*len = 0;
	if (fd < 0)
		return fail(why, path, "", errno);
	ok = check_file(fd, path, why) && slurp(fd, path, text, len, why);
	error = errno;
	(void)close(fd);
	errno = error;
	return ok;
}

bool
inifile_read(struct inifile *f, const char *path, struct textbuf *why)
{
	char *text;
	size_t len;
	bool ok;

	*f = (struct inifile){.cfg = NULL};
	ok = read_text(path, &text, &len, why) &&
	    inifile_parse(f, span_make(text, len));
	free(text);
	return ok;
}

struct wanted {
	struct reader *reader;
	struct span section, key, value;
};

/* The ini_handler of inifile_find. */
static int
find_on_entry(
    void *arg, const char *section, const char *key, const char *value)
{
	struct wanted *w = arg;

	(void)value;
	if (span_equal(span_of(section), w->section) &&
	    span_equal(span_of(key), w->key))
		w->value = w->reader->value;
	return 1;
}

bool
inifile_find(
    const char *path, struct span section, struct span key, struct textbuf *out)
{
	char room[MESSAGE_MAX];
	struct textbuf why = textbuf_make(room, sizeof(room));
	struct inifile f = {.cfg = NULL};
	struct reader r = {.broken = false};
	struct wanted w = {.reader = &r, .section = section, .key = key};
	struct arena arena;
	size_t len;
	char *text;

	if (!read_text(path, &text, &len, &why)) {
		free(text);
		return false;
	}
	r.rest = without_bom(span_make(text, len));
	/* Errors go into a build that nobody asks. */
	arena_init(&arena, blocks_more, &f.memory);
	r.build = cfg_build_begin(&arena);
	if (r.build != NULL)
		(void)ini_parse_stream(reader_on_line, &r, find_on_entry, &w);
	/* Without it `out` stays as it is, for what the caller puts instead. */
	if (w.value.len > 0) {
		textbuf_put(out, w.value);
		textbuf_byte(out, '\0');
	}
	inifile_free(&f);
	free(text);
	return w.value.len > 0 && !out->full;
}
