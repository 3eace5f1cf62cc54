/*
 * Preloaded: counts the calls of malloc, calloc, realloc and the aligned
 * ones, and writes their number to the file MALLOCS_FILE when the process
 * ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* glibc's own names for what the wrappers stand in front of. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static atomic_ulong calls;

void *
malloc(size_t size)
{
	calls++;
	return __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	calls++;
	return __libc_calloc(count, size);
}

void *
realloc(void *old, size_t size)
{
	calls++;
	return __libc_realloc(old, size);
}

void *
aligned_alloc(size_t alignment, size_t size)
{
	calls++;
	return __libc_memalign(alignment, size);
}

int
posix_memalign(void **out, size_t alignment, size_t size)
{
	calls++;
	*out = __libc_memalign(alignment, size);
	return *out == NULL ? ENOMEM : 0;
}

__attribute__((destructor)) static void
report(void)
{
	char text[32];
	const char *path = getenv("MALLOCS_FILE");
	int len = snprintf(text, sizeof(text), "%lu\n", calls);
	int fd = path == NULL
	    ? -1
	    : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd >= 0 && write(fd, text, (size_t)len) != len)
		_exit(97);
}
