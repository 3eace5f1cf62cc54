/*
 * tls_file - the files that a configuration names for TLS, read once, and
 * saying what is wrong with them.
 *
 * The contexts of all threads are made of the same bytes, so a file that is
 * replaced meanwhile cannot give them different certificates.
 *
 * Layer: net.  Any thread.
 */
#ifndef EVENKEEL_NET_TLS_FILE_H
#define EVENKEEL_NET_TLS_FILE_H

#include <sys/types.h>

#include "evenkeel/net/tls_context.h"

/* A reason is cut here: a path, and as much again. */
#define TLS_REASON_BYTES 8192

/* Tells and counts. */
struct tls_report {
	const struct tls_teller *teller;
	bool bad;   /* an error was told */
	bool quiet; /* warnings were told before */
};

/* What is being read: the n-th value of an option. */
struct tls_place {
	const char *key;
	size_t index;
	const char *path; /* NULL: not a file */
};

/* "PATH: " and the texts that follow, up to NULL. */
void tls_error(struct tls_report *r, const struct tls_place *at, ...)
    __attribute__((sentinel));
void tls_warning(struct tls_report *r, const struct tls_place *at, ...)
    __attribute__((sentinel));

struct tls_file {
	unsigned char *bytes; /* NULL: not read */
	size_t len;           /* 1..TLS_FILE_BYTES */
	mode_t mode;
};

/* A regular file that is not empty.  False: told why. */
bool tls_file_read(struct tls_file *f, struct tls_report *r,
    const struct tls_place *at) WARN_UNUSED;

/* Wiped: it may have been a key. */
void tls_file_free(struct tls_file *f);

/* Told when others than the owner and his group may read or change it. */
void tls_file_warn_of_others(
    const struct tls_file *f, struct tls_report *r, const struct tls_place *at);

/* The bytes, of a file that was read or not. */
struct span tls_file_span(const struct tls_file *f);

#endif
