/*
 * What both ends of the storm share: the bytes of every body, and a socket
 * with a read buffer.  A body is named by where it begins in one table and how
 * long it is, so each end knows what the other must have sent.
 */
#ifndef SOAK_WIRE_H
#define SOAK_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BODY_MAX (1u << 20)
#define BODY_OFF (1u << 20) /* bodies begin below this */
#define WIRE_BUF 65536

enum framing {
	FRAMING_NONE,
	FRAMING_LENGTH,
	FRAMING_CHUNKED,
	FRAMING_CLOSE,
};

struct wire {
	int fd;
	size_t at, len; /* unread bytes of buf */
	bool ended;     /* the peer closed in order */
	bool lost;      /* reset, or nothing within the time limit */
	bool slow;      /* reads little at a time, with pauses */
	char buf[WIRE_BUF];
};

/* A head: its first line, and the fields that matter. */
struct head {
	char line[512];
	uint64_t length;
	bool has_length, chunked, close, expect, upgrade;
};

/* Fills the table; once, before everything else. */
void wire_prepare(void);

/* The body that begins at `off`; BODY_MAX bytes can be read from there. */
const char *wire_body(uint32_t off);

/* The next of a sequence of random numbers. */
uint32_t wire_random(uint64_t *state);

/* 20 s for every wait on a socket, and no delay of small segments. */
void wire_options(int fd);

void wire_open(struct wire *w, int fd);

/* Ends the connection, by a reset when asked to. */
void wire_close(struct wire *w, bool reset);

bool wire_send(struct wire *w, const char *data, size_t len);
bool wire_text(struct wire *w, const char *text);

/* A whole body framed as asked; `seed` draws the sizes of chunks. */
bool wire_send_body(struct wire *w, uint32_t off, uint32_t len,
    enum framing framing, uint64_t seed);

/* False: the connection ended before a whole head was there. */
bool wire_head(struct wire *w, struct head *h);

/*
 * Reads a body and compares it with the one at `off`.  Returns how many bytes
 * came and were right; *whole tells whether the framing says it is complete.
 * A byte that is wrong ends it at once with *whole false and *wrong true.
 */
uint64_t wire_read_body(struct wire *w, enum framing framing, uint64_t length,
    uint32_t off, bool *whole, bool *wrong);

/* Waits until the peer closes; false when bytes came, or a reset. */
bool wire_at_end(struct wire *w);

#endif
