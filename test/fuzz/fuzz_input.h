/*
 * fuzz_input - how the bytes of a fuzzer become a test.
 *
 * One byte of flags, two that say where the text is cut, and the text.  Each
 * target also checks what must hold of any input; CHECK aborts when it does
 * not.
 */
#ifndef EVENKEEL_FUZZ_INPUT_H
#define EVENKEEL_FUZZ_INPUT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "evenkeel/base/check.h"
#include "evenkeel/base/span.h"

/* Longer inputs find nothing that shorter ones don't. */
#define FUZZ_TEXT_BYTES 32768

struct fuzz_input {
	unsigned flags;
	size_t cut; /* 0..text.len */
	struct span text;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline bool
fuzz_read(struct fuzz_input *in, const uint8_t *data, size_t size)
{
	if (size < 3 || size - 3 > FUZZ_TEXT_BYTES)
		return false;
	in->flags = data[0];
	in->text = span_make((const char *)data + 3, size - 3);
	in->cut = (size_t)(data[1] | data[2] << 8) % (in->text.len + 1);
	return true;
}

/* `len` bytes in memory of just that size; free() it. */
static inline char *
fuzz_copy(const char *bytes, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);

	if (copy == NULL)
		abort();
	memcpy(copy, bytes, len);
	return copy;
}

#endif
