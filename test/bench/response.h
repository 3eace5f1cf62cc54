/*
 * response - reads one HTTP/1 response from a stream, as far as the generator
 * needs: its status and where it ends.
 *
 * Bodies with a length are thrown away, plain ones in the kernel.  Of a chunked
 * body only the last bytes are looked at: those of the benchmarks' backend
 * contain no other end.
 */
#ifndef BENCH_RESPONSE_H
#define BENCH_RESPONSE_H

#include <stddef.h>
#include <stdint.h>

#include "stream.h"

#define RESPONSE_HEAD_BYTES 4096

enum response_result {
	RESPONSE_MORE,
	RESPONSE_DONE,
	RESPONSE_BAD,
	RESPONSE_NOTHING /* not seen outside */
};

struct response {
	enum { RESPONSE_HEAD, RESPONSE_BODY, RESPONSE_CHUNKED } state;
	uint64_t left; /* of the body */
	size_t len;    /* of data: the head, or the end of a chunked body */
	char data[RESPONSE_HEAD_BYTES];
};

/* For the next one. */
void response_start(struct response *r);

/* The stream is readable: one recv, or what TLS has.  *bytes grows by what came
 * of the body.  RESPONSE_BAD: not a 200, too long, or the connection ended. */
enum response_result
response_read(struct response *r, struct stream *s, uint64_t *bytes);

#endif
