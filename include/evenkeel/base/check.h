/*
 * check - invariants that hold unless evenkeel itself has a bug.
 *
 * CHECK is for what the program guarantees to itself; input from outside is
 * tested and refused, never CHECKed.  A failed check says where and aborts:
 * continuing with a broken invariant would corrupt somebody's request.
 *
 * Layer: base.
 */
#ifndef EVENKEEL_BASE_CHECK_H
#define EVENKEEL_BASE_CHECK_H

#include <stdbool.h>

#define WARN_UNUSED __attribute__((warn_unused_result))

#define CHECK(x)                                              \
	do {                                                  \
		if (__builtin_expect(!(x), 0))                \
			check_failed(#x, __FILE__, __LINE__); \
	} while (0)

/* Writes "FILE:LINE: check failed: EXPR" to standard error and aborts. */
void check_failed(const char *expr, const char *file, int line)
    __attribute__((noreturn, cold));

#endif
