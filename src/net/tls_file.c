#include "evenkeel/net/tls_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

static void
compose(char *room, size_t cap, const struct tls_place *at, va_list texts)
{
	struct textbuf t = textbuf_make(room, cap - 1);
	const char *text;

	if (at->path != NULL) {
		textbuf_str(&t, at->path);
		textbuf_lit(&t, ": ");
	}
	while ((text = va_arg(texts, const char *)) != NULL)
		textbuf_str(&t, text);
	room[t.len] = '\0';
}

void
tls_error(struct tls_report *r, const struct tls_place *at, ...)
{
	char room[TLS_REASON_BYTES];
	va_list texts;

	va_start(texts, at);
	compose(room, sizeof(room), at, texts);
	va_end(texts);
	r->bad = true;
	r->teller->error(at->key, at->index, room, r->teller->arg);
}

void
tls_warning(struct tls_report *r, const struct tls_place *at, ...)
{
	char room[TLS_REASON_BYTES];
	va_list texts;

	if (r->quiet || r->teller->warning == NULL)
		return;
	va_start(texts, at);
	compose(room, sizeof(room), at, texts);
	va_end(texts);
	r->teller->warning(at->key, at->index, room, r->teller->arg);
}

static const char *
words_of_errno(int error)
{
	const char *text;

	switch (error) {
	case ENOENT:
		return "no such file";
	case EACCES:
	case EPERM:
		return "permission denied: who evenkeel runs as (user) may not "
		       "read it, or not enter its directory";
	case EISDIR:
		return "is a directory";
	case ENOTDIR:
		return "no such file: a part of its path is not a directory";
	case ENOMEM:
		return "no memory";
	default:
		text = strerrordesc_np(error);
		return text != NULL ? text : "cannot be read";
	}
}

/* As much as there is, up to f->len, which is then what there was. */
static bool
read_all(int fd, struct tls_file *f)
{
	size_t got = 0;

	while (got < f->len) {
		ssize_t n = read(fd, f->bytes + got, f->len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	f->len = got;
	return true;
}

/* NULL, or what is wrong. */
static const char *
read_from(int fd, struct tls_file *f)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return words_of_errno(errno);
	if (S_ISDIR(st.st_mode))
		return "is a directory";
	if (!S_ISREG(st.st_mode))
		return "is not a regular file";
	if (st.st_size > (off_t)TLS_FILE_BYTES)
		return "is larger than 1 MiB";
	if (st.st_size == 0)
		return "is empty";
	f->mode = st.st_mode;
	f->len = (size_t)st.st_size;
	f->bytes = (unsigned char *)malloc(f->len);
	if (f->bytes == NULL)
		return "no memory";
	if (!read_all(fd, f))
		return words_of_errno(errno);
	return f->len == 0 ? "is empty" : NULL;
}

/* FNV-1a: nobody gains by two files that look alike. */
static uint64_t
digest_of(const struct tls_file *f)
{
	uint64_t hash = 14695981039346656037U;

	for (size_t i = 0; i < f->len; i++)
		hash = (hash ^ f->bytes[i]) * 1099511628211U;
	return hash;
}

bool
tls_file_read(
    struct tls_file *f, struct tls_report *r, const struct tls_place *at)
{
	/* A pipe without a writer must not hold the loader. */
	int fd = open(at->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *why;

	*f = (struct tls_file){.bytes = NULL};
	why = fd < 0 ? words_of_errno(errno) : read_from(fd, f);
	if (fd >= 0)
		close(fd);
	if (why == NULL && r->teller->content != NULL)
		r->teller->content(
		    at->key, at->index, digest_of(f), r->teller->arg);
	if (why == NULL)
		return true;
	tls_file_free(f);
	tls_error(r, at, why, NULL);
	return false;
}

void
tls_file_free(struct tls_file *f)
{
	if (f->bytes != NULL)
		OPENSSL_cleanse(f->bytes, f->len);
	free(f->bytes);
	*f = (struct tls_file){.bytes = NULL};
}

void
tls_file_warn_of_others(
    const struct tls_file *f, struct tls_report *r, const struct tls_place *at)
{
	char mode[] = "0000";

	/* A group that may read is how a key gets to a user of its own. */
	if ((f->mode & (S_IROTH | S_IWOTH | S_IWGRP)) == 0)
		return;
	for (unsigned i = 1; i < 4; i++)
		mode[i] = (char)('0' + ((f->mode >> (3 * (3 - i))) & 7));
	if ((f->mode & S_IROTH) != 0)
		tls_warning(r, at, "everybody may read it (mode ", mode,
		    "); chmod 640 or 600", NULL);
	else
		tls_warning(r, at, "others than its owner may change it (mode ",
		    mode, "); chmod 640 or 600", NULL);
}

struct span
tls_file_span(const struct tls_file *f)
{
	return span_make((const char *)f->bytes, f->len);
}
